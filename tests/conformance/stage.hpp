// What the conformance tests share: a log that several workers may write to, and what a call comes to.
//
// Each test is a row of the list that Stackless Python 3.7.5 was measured against; its id is a tag. With one worker the
// order is Stackless's, line by line; with several the test checks what must hold whatever the order. Where Rondo differs
// on purpose, the test's name or a comment that begins with "Rondo:" says so.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/stackless.hpp>

#include "support/helpers.hpp"

namespace conformance {

namespace sl = rondo::stackless;
using support::lines;

/// Lines in the order in which they were said.
class journal {
public:
    void say(std::string line) {
        const std::lock_guard hold(lock_);
        said_.push_back(std::move(line));
    }
    [[nodiscard]] lines said() const {
        const std::lock_guard hold(lock_);
        return said_;
    }
    [[nodiscard]] lines sorted() const {
        auto all = said();
        std::sort(all.begin(), all.end());
        return all;
    }
    [[nodiscard]] std::size_t count(const std::string& line) const {
        const auto all = said();
        return static_cast<std::size_t>(std::count(all.begin(), all.end(), line));
    }
    void clear() {
        const std::lock_guard hold(lock_);
        said_.clear();
    }

private:
    mutable std::mutex lock_;
    lines said_;
};

/// As support::end_of, and "tasklet_exit".
template <class F>
std::string end_of(F&& f) {
    bool killed = false;
    const auto end = support::end_of([&] {
        try {
            f();
        } catch (const sl::tasklet_exit&) {
            killed = true;
        }
    });
    return killed ? "tasklet_exit" : end;
}

/// An error with arguments.
struct oops : std::runtime_error {
    explicit oops(const std::string& text, int n = 0) : std::runtime_error(text), number(n) {}
    int number;
};

}  // namespace conformance
