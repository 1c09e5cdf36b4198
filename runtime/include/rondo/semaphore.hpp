// A number of permits.
#pragma once

#include <chrono>
#include <cstddef>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// Holds permits: acquire() takes one, release() gives some back, from whichever tasklet or thread. Fair: a permit that
/// comes back goes to whoever has waited longest. Safe from any tasklet and any thread; may be destroyed as soon as
/// nobody waits for it.
class semaphore {
public:
    /// Throws: usage_error for a negative number.
    explicit semaphore(std::ptrdiff_t permits);
    ~semaphore();
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    /// Takes a permit.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no permit is taken.
    /// Cost:     O(1), no allocation.
    void acquire() { acquire_by(lowlevel::no_deadline); }

    /// Takes a permit if there is one. Suspends: never.
    [[nodiscard]] bool try_acquire() noexcept;

    /// As acquire(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool acquire_for(std::chrono::duration<Rep, Period> d) {
        return acquire_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool acquire_until(std::chrono::time_point<Clock, Duration> tp) {
        return acquire_by(detail::limit_at(tp));
    }
    /// The same two under the names that std::counting_semaphore gives them.
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> d) {
        return acquire_for(d);
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_acquire_until(std::chrono::time_point<Clock, Duration> tp) {
        return acquire_until(tp);
    }

    /// Gives permits back, or adds new ones. Suspends: never. Cost: O(waiters that get one).
    /// Throws: usage_error for a negative number, or if there were more permits than a ptrdiff_t can count.
    void release(std::ptrdiff_t permits = 1);

private:
    friend class lowlevel::clause_on<semaphore>;

    bool acquire_by(lowlevel::time_point until);
    bool take_one() noexcept;                           // with the lock held
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node) noexcept;
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }

    lowlevel::spin_lock lock_;                          // guards what follows
    std::ptrdiff_t free_;                               // 0 while somebody waits
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
