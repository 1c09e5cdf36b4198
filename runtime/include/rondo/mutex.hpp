// A lock that suspends tasklets.
#pragma once

#include <chrono>
#include <cstdint>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {
/// One holder at a time; may be held over calls that suspend, and belongs to the tasklet (or plain thread) that locked
/// it, on whichever worker it goes on. Fair: under contention unlock() hands the mutex to whoever has waited longest,
/// and nobody can slip in between. Satisfies TimedLockable: use it with std::unique_lock and std::lock_guard; for
/// conditions see condition_variable. Reports of deadlocks name its holder. Safe from any tasklet and any thread; may
/// be destroyed as soon as nobody holds it or waits for it, also by the tasklet that unlocked it last.
class mutex {
public:
    constexpr mutex() noexcept = default;
    ~mutex();
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Returns when the caller holds the mutex.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the mutex is not locked.
    /// Throws:   usage_error if the caller holds it already.
    /// Cost:     one compare-and-swap while nobody holds it; else O(1), no allocation. Spins for some microseconds, at
    ///           most, while nobody waits and the holder runs.
    void lock() {
        lowlevel::waiter& me = lowlevel::enter();
        if (!take(me)) [[unlikely]] lock_slowly(me, lowlevel::no_deadline);
    }

    /// Locks it if nobody holds it. Suspends: never.
    [[nodiscard]] bool try_lock() noexcept { return take(lowlevel::self()); }

    /// As lock(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return lock_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> tp) {
        return lock_by(detail::limit_at(tp));
    }

    /// Lets go of it: whoever has waited longest holds it now. Only its holder may call this (else the process ends).
    /// Suspends: never.
    void unlock() noexcept {
        lowlevel::waiter& me = lowlevel::self();
        let_go(me);
        lowlevel::after_operation(me);
    }

private:
    friend class condition_variable;
    friend class detail::lock_holders;
    friend class lowlevel::clause_on<mutex>;

    // The word: 0, or its holder's address, and these bits, which the address leaves free.
    static constexpr std::uintptr_t contended = 1;      // somebody waits: unlock() must look at the list
    static constexpr std::uintptr_t plain_thread = 2;   // says what the holder is without a look at its record

    void let_go(lowlevel::waiter& me) noexcept {
        auto mine = word_of(me);
        // A look first: a compare-and-swap that fails costs as much as one that does not.
        // release: pairs with the acquire in take().
        if (word_.load(detail::relaxed) == mine &&
            word_.compare_exchange_strong(mine, 0, detail::release, detail::relaxed)) [[likely]] return;
        unlock_slowly(me);
    }

    static std::uintptr_t word_of(const lowlevel::waiter& who) noexcept {
        return reinterpret_cast<std::uintptr_t>(&who) | (who.is_tasklet ? 0 : plain_thread);
    }
    bool take(lowlevel::waiter& me) noexcept {
        std::uintptr_t nobody = 0;
        // The look: as in let_go(). acquire: pairs with the release of whoever set the word to 0. relaxed on failure: a
        // loser reads nothing.
        return word_.load(detail::relaxed) == 0 &&
               word_.compare_exchange_strong(nobody, word_of(me), detail::acquire, detail::relaxed);
    }
    [[nodiscard]] bool held_by(const lowlevel::waiter& who) const noexcept {
        return (word_.load(detail::relaxed) & ~contended) == word_of(who);
    }
    bool lock_by(lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        return take(me) || lock_slowly(me, until);
    }
    bool lock_slowly(lowlevel::waiter& me, lowlevel::time_point until);
    bool take_soon(lowlevel::waiter& me) noexcept;
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node);
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }
    bool take_or_contend(lowlevel::waiter& me, bool may_wait);
    void lock_again(lowlevel::waiter& me) noexcept;     // condition_variable: whatever has been asked of the caller
    void unlock_slowly(lowlevel::waiter& me) noexcept;

    detail::atomic<std::uintptr_t> word_{0};
    lowlevel::spin_lock lock_;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
