// What the tests of channels share.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <rondo/error.hpp>
#include <rondo/run.hpp>

constexpr unsigned one_worker = 1;
using lines = std::vector<std::string>;

/// What calling f comes to.
template <class F>
std::string end_of(F&& f) {
    try {
        f();
        return "returned";
    } catch (const rondo::closed&) {
        return "closed";
    } catch (const rondo::usage_error&) {
        return "usage_error";
    } catch (const rondo::stopped&) {
        return "stopped";
    } catch (const std::exception& e) {
        return e.what();
    }
}

/// Tasklets that can be looked at once nothing moves any more.
struct stage {
    rondo::runtime rt;
    explicit stage(unsigned workers) : rt({.workers = workers}) {}
    std::size_t settle() {                        // how many tasklets wait
        const auto report = rt.run_until_idle();
        for (auto& e : report.errors) std::rethrow_exception(e);
        return report.parked.size();
    }
};

/// Counts how many of its kind live; moved-from ones hold nothing.
class token {
public:
    explicit token(std::atomic<int>& live) : live_(&live) { ++*live_; }
    token(token&& other) noexcept : live_(std::exchange(other.live_, nullptr)) {}
    token& operator=(token&& other) noexcept {
        std::swap(live_, other.live_);
        return *this;
    }
    ~token() {
        if (live_) --*live_;
    }
    [[nodiscard]] bool holds() const noexcept { return live_ != nullptr; }

private:
    std::atomic<int>* live_;
};
