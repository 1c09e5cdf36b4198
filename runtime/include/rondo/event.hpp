// Something that has happened, or not yet.
#pragma once

#include <chrono>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// A door: while it is set every wait() goes through; set() lets all who wait go, reset() closes it again. Those that
/// set() found waiting go on even if reset() follows at once. Safe from any tasklet and any thread; may be destroyed as
/// soon as nobody waits any more, also by a waiter that has just been woken.
class event {
public:
    constexpr event() noexcept : event(false) {}
    constexpr explicit event(bool is_set) noexcept : set_(is_set) {}
    ~event();
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Suspends: never. Cost: O(waiters).
    void set() noexcept;
    /// Suspends: never.
    void reset() noexcept;
    /// Suspends: never. What the setter did before set() is then seen.
    [[nodiscard]] bool is_set() const noexcept { return set_.load(detail::acquire); }   // pairs with set()

    /// Returns when it is set.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`.
    /// Cost:     one load if it is set; else O(1), no allocation.
    void wait() { wait_by(lowlevel::no_deadline); }
    /// As wait(), but never suspends: is_set().
    [[nodiscard]] bool try_wait() const noexcept { return is_set(); }
    /// As wait(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> d) {
        return wait_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(std::chrono::time_point<Clock, Duration> tp) {
        return wait_by(detail::limit_at(tp));
    }

private:
    friend class lowlevel::clause_on<event>;

    bool wait_by(lowlevel::time_point until);
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node) noexcept;
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }

    detail::atomic<bool> set_;                          // changed under lock_ only
    lowlevel::spin_lock lock_;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
