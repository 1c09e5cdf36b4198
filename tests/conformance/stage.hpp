// What the conformance tests share: a log that several workers may write to, what a call comes to, and workers that are held
// so that nobody else runs.
//
// Each test is a row of the list that Stackless Python 3.7.5 was measured against; its id is a tag. With one worker the
// order is Stackless's, line by line; with several the test checks what must hold whatever the order. Where Rondo differs
// on purpose, the test's name or a comment that begins with "Rondo:" says so.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
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

/// Keeps some workers of the caller's session busy: with all of them held, what is ready stays ready. One worker alone runs
/// nobody before main waits, and need not be held.
class held_workers {
public:
    explicit held_workers(unsigned n, unsigned of) : go_on_(std::make_shared<std::atomic<bool>>(of == 1)) {
        if (of == 1) return;
        const auto held = std::make_shared<std::atomic<unsigned>>(0);
        for (unsigned i = 0; i < n; ++i)
            sl::tasklet([held, go_on = go_on_] {
                ++*held;
                while (!*go_on) std::this_thread::yield();
            })();
        while (*held != n) std::this_thread::yield();        // each holds its own: it does not suspend
    }
    explicit held_workers(unsigned all) : held_workers(all, all) {}
    ~held_workers() { let_go(); }
    void let_go() { *go_on_ = true; }
    held_workers(const held_workers&) = delete;
    held_workers& operator=(const held_workers&) = delete;

private:
    std::shared_ptr<std::atomic<bool>> go_on_;
};

/// With several workers a tasklet may begin, and even end, before the run that it is meant for, main's or another one's.
inline void wait_for_run(const sl::tasklet_ref& runner) {
    while (!runner.paused()) sl::schedule();
}

/// An error with arguments.
struct oops : std::runtime_error {
    explicit oops(const std::string& text, int n = 0) : std::runtime_error(text), number(n) {}
    int number;
};

}  // namespace conformance
