// Waiting until a changing number of jobs is done.
#pragma once

#include <chrono>
#include <cstddef>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// Counts jobs under way: add() before each is started, done() when it has ended; wait() returns when none is left.
/// Can be used again. (Children that should end before their parent does, and whose failures matter: rondo::scope.)
/// Safe from any tasklet and any thread; may be destroyed as soon as nobody waits any more, also by a waiter that has
/// just been woken.
class wait_group {
public:
    wait_group() : wait_group(0) {}
    /// Throws: usage_error for a negative number.
    explicit wait_group(std::ptrdiff_t jobs);
    ~wait_group();
    wait_group(const wait_group&) = delete;
    wait_group& operator=(const wait_group&) = delete;

    /// Suspends: never. Throws: usage_error if the number of jobs would be negative, or too large; it stays as it was.
    /// Cost: one compare-and-swap; when the last one is done: O(waiters).
    void add(std::ptrdiff_t jobs);
    void done() { add(-1); }

    /// Returns when no job is left. What the jobs did before done() is then seen.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`.
    /// Cost:     one load if none is left; else O(1), no allocation.
    void wait() { wait_by(lowlevel::no_deadline); }
    /// Is no job left? Suspends: never.
    [[nodiscard]] bool try_wait() const noexcept { return jobs_.load(detail::acquire) == 0; }   // pairs with add()
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
    friend class lowlevel::clause_on<wait_group>;

    bool wait_by(lowlevel::time_point until);
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node) noexcept;
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }
    std::ptrdiff_t sum(std::ptrdiff_t now, std::ptrdiff_t jobs) const;

    detail::atomic<std::ptrdiff_t> jobs_;               // becomes 0 under lock_ only
    lowlevel::spin_lock lock_;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
