// What Rondo throws. Everything that a caller may handle derives from rondo::error; `stopped` does not, so that no
// ordinary catch keeps a tasklet from ending.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/tasklet_info.hpp>

namespace rondo {

/// Base of all errors that say "this call cannot do its job". The message says what to do.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Send or receive on a channel that is closed (and, for a receive, empty).
class closed : public error {
public:
    closed() : error("the channel is closed: nobody can send or receive on it any more") {}
    using error::error;
};

/// A call that its object does not allow: joining twice, a moved-from handle, an option out of range, no runtime.
class usage_error : public error {
public:
    using error::error;
};

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_moved_from(const char* what) {
    throw usage_error(std::string("this ") + what + " was moved from: it names nothing any more");
}

}  // namespace detail

/// No memory for a tasklet or for a stack. The call that threw it has done nothing.
class out_of_memory : public error {
public:
    using error::error;
};

/// Thrown by `run` when tasklets are left that nothing can ever wake. what() is the whole report.
class deadlock : public error {
public:
    deadlock(const std::string& report, std::vector<tasklet_info> stuck) : error(report), stuck_(std::move(stuck)) {}

    /// Every tasklet that can never go on: its name, spawn site, what it waits for, who holds that.
    [[nodiscard]] const std::vector<tasklet_info>& tasklets() const noexcept { return stuck_; }

private:
    std::vector<tasklet_info> stuck_;
};

/// Arrives at the next call that may suspend once a tasklet was asked to stop. Sticky: it arrives again at every
/// later such call. Deliberately not a std::exception. Let it pass; clean up in destructors: what they wait for while an
/// exception is on its way is ended neither by a stop nor by a deadline. (A destructor that waits when no exception is on
/// its way should hold a lowlevel::shield: it must not throw.)
class stopped {
public:
    virtual ~stopped() = default;
    [[nodiscard]] virtual const char* what() const noexcept { return "the tasklet was asked to stop"; }
};

namespace detail {

/// What a passed deadline throws; `within` catches it at the level that set the deadline.
class deadline_passed final : public stopped {
public:
    [[nodiscard]] const char* what() const noexcept override { return "a deadline set by rondo::within has passed"; }
};

[[noreturn]] void expectation_failed(const char* what, std::source_location where) noexcept;

}  // namespace detail

/// Ends the process with a message when `condition` is false: a bug, ours or the caller's.
inline void expect(bool condition, const char* what,
                   std::source_location where = std::source_location::current()) noexcept {
    if (!condition) [[unlikely]] detail::expectation_failed(what, where);
}

}  // namespace rondo
