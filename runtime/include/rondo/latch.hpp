// A count that goes down to zero once.
#pragma once

#include <chrono>
#include <cstddef>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// Opens when it has been counted down to zero, and stays open. (barrier: again and again; wait_group: up and down.)
/// Safe from any tasklet and any thread; may be destroyed as soon as nobody waits any more, also by a waiter that has
/// just been woken.
class latch {
public:
    /// Throws: usage_error for a negative number.
    explicit latch(std::ptrdiff_t count);
    ~latch();
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    /// Suspends: never. Throws: usage_error if `by` is negative or more than what is left; nothing is counted then.
    /// Cost: one compare-and-swap; when it opens: O(waiters).
    void count_down(std::ptrdiff_t by = 1);

    /// Returns when it is open. What others did before they counted down is then seen.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`.
    /// Cost:     one load if it is open; else O(1), no allocation.
    void wait() { wait_by(lowlevel::no_deadline); }
    /// Is it open? Suspends: never.
    [[nodiscard]] bool try_wait() const noexcept { return left_.load(detail::acquire) == 0; }   // count_down()
    /// As wait(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> d) {
        return wait_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(std::chrono::time_point<Clock, Duration> tp) {
        return wait_by(detail::limit_at(tp));
    }

    /// count_down(by) and wait(). A stop, or the end of the time (false), takes the count back, unless the latch has
    /// opened meanwhile: then the call succeeds.
    void arrive_and_wait(std::ptrdiff_t by = 1) { arrive_and_wait_by(by, lowlevel::no_deadline); }
    template <class Rep, class Period>
    [[nodiscard]] bool arrive_and_wait_for(std::chrono::duration<Rep, Period> d, std::ptrdiff_t by = 1) {
        return arrive_and_wait_by(by, detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool arrive_and_wait_until(std::chrono::time_point<Clock, Duration> tp, std::ptrdiff_t by = 1) {
        return arrive_and_wait_by(by, detail::limit_at(tp));
    }

private:
    friend class lowlevel::clause_on<latch>;

    bool wait_by(lowlevel::time_point until);
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node) noexcept;
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }
    bool arrive_and_wait_by(std::ptrdiff_t by, lowlevel::time_point until);
    std::ptrdiff_t rest(std::ptrdiff_t now, std::ptrdiff_t by) const;
    std::ptrdiff_t count_under_lock(std::ptrdiff_t by);

    detail::atomic<std::ptrdiff_t> left_;               // becomes 0, and is raised, under lock_ only
    lowlevel::spin_lock lock_;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
