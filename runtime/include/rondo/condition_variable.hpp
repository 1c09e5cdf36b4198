// Waiting, with a mutex let go meanwhile, until somebody says that something has changed.
#pragma once

#include <chrono>
#include <concepts>
#include <condition_variable>    // std::cv_status
#include <mutex>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>
#include <rondo/mutex.hpp>

namespace rondo {

/// As std::condition_variable, for rondo::mutex. Whoever waits holds the mutex before and after, whatever happens:
/// a stop thrown out of a wait locks it first. Wakes in order of arrival; never spuriously. No notify is lost: one that
/// meets a waiter which a stop or a timer has ended goes on to the next. Safe from any tasklet and any thread; may be
/// destroyed as soon as all waiters have been notified.
///
/// Example: tests/stress/sync_stress_test.cpp has a bounded buffer.
class condition_variable {
public:
    constexpr condition_variable() noexcept = default;
    ~condition_variable();
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    /// Lets go of the mutex, waits for a notify, and locks the mutex again.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the mutex is locked. Locking it again is not ended by a stop or a deadline.
    /// Throws:   usage_error if the caller does not hold the mutex through `lock`.
    /// Cost:     O(1), no allocation.
    void wait(std::unique_lock<mutex>& lock) { wait_by(lock, lowlevel::no_deadline); }

    /// Returns once holds() is true; it is called with the mutex locked. If holds() throws, the notify that led to the
    /// call goes on to another waiter.
    template <std::predicate Predicate>
    void wait(std::unique_lock<mutex>& lock, Predicate holds) {
        wait_by(lock, lowlevel::no_deadline, holds);
    }

    /// As wait(), but gives up after a while: timeout, or with a predicate whether it holds now.
    template <class Rep, class Period>
    std::cv_status wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> d) {
        return status(wait_by(lock, detail::limit_after(d)));
    }
    template <class Rep, class Period, std::predicate Predicate>
    bool wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> d, Predicate holds) {
        return wait_by(lock, detail::limit_after(d), holds);
    }
    template <class Clock, class Duration>
    std::cv_status wait_until(std::unique_lock<mutex>& lock, std::chrono::time_point<Clock, Duration> tp) {
        return status(wait_by(lock, detail::limit_at(tp)));
    }
    template <class Clock, class Duration, std::predicate Predicate>
    bool wait_until(std::unique_lock<mutex>& lock, std::chrono::time_point<Clock, Duration> tp, Predicate holds) {
        return wait_by(lock, detail::limit_at(tp), holds);
    }

    /// Wakes whoever has waited longest, or all. The caller need not hold the mutex. Suspends: never.
    void notify_one() noexcept;
    void notify_all() noexcept;

private:
    static std::cv_status status(bool notified) noexcept {
        return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
    }
    // True: notified. False: time was up.
    bool wait_by(std::unique_lock<mutex>& lock, lowlevel::time_point until);

    template <class Predicate>
    bool wait_by(std::unique_lock<mutex>& lock, lowlevel::time_point until, Predicate& holds) {
        struct pass_on {                                // what we were woken for is still to be done
            condition_variable* to;
            ~pass_on() {
                if (to) to->notify_one();
            }
        };
        lowlevel::enter();
        if (holds()) return true;
        for (;;) {
            const bool notified = wait_by(lock, until);
            pass_on unless_done{notified ? this : nullptr};
            const bool yes = holds();
            unless_done.to = nullptr;
            if (yes || !notified) return yes;
        }
    }

    lowlevel::spin_lock lock_;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
