// A lock with many readers or one writer, which suspends tasklets.
#pragma once

#include <chrono>
#include <cstddef>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// Held by one writer (lock) or by any number of readers (lock_shared). Fair: strictly in order of arrival, so a reader
/// that comes after a waiting writer waits behind it, and neither side can starve the other. Do not lock_shared() again
/// what you hold shared already: a writer that waits in between makes that a deadlock. Satisfies SharedTimedLockable:
/// use it with std::unique_lock and std::shared_lock. Reports name the writer that holds it; readers are only counted.
/// Safe from any tasklet and any thread; may be destroyed as soon as nobody holds it or waits for it.
class shared_mutex {
public:
    constexpr shared_mutex() noexcept = default;
    ~shared_mutex();
    shared_mutex(const shared_mutex&) = delete;
    shared_mutex& operator=(const shared_mutex&) = delete;

    /// Returns when the caller holds it alone.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; it is not locked.
    /// Throws:   usage_error if the caller holds it alone already.
    /// Cost:     O(1), no allocation.
    void lock() { acquire(as::writer, lowlevel::no_deadline); }
    /// Locks it if nobody holds it or waits for it. Suspends: never.
    [[nodiscard]] bool try_lock() noexcept { return try_acquire(as::writer); }
    /// As lock(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return acquire(as::writer, detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> tp) {
        return acquire(as::writer, detail::limit_at(tp));
    }
    /// Lets go of it. Only the writer that holds it may call this (else the process ends). Suspends: never.
    void unlock() noexcept;

    /// Returns when the caller holds it as one of its readers. The rest as for lock().
    void lock_shared() { acquire(as::reader, lowlevel::no_deadline); }
    /// Locks it as a reader if no writer holds it and nobody waits for it. Suspends: never.
    [[nodiscard]] bool try_lock_shared() noexcept { return try_acquire(as::reader); }
    /// As lock_shared(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_shared_for(std::chrono::duration<Rep, Period> d) {
        return acquire(as::reader, detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> tp) {
        return acquire(as::reader, detail::limit_at(tp));
    }
    /// Lets go of it as a reader; there must be one (else the process ends). Suspends: never.
    void unlock_shared() noexcept;

private:
    friend class detail::lock_holders;
    friend class lowlevel::clause_on<shared_mutex, true>;      // as a reader
    friend class lowlevel::clause_on<shared_mutex, false>;
    enum class as : unsigned char { reader, writer };

    bool acquire(as what, lowlevel::time_point until);
    bool try_acquire(as what) noexcept;
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node, bool as_reader);
    void withdraw(lowlevel::wait_node& node) noexcept;
    bool take_and_unlock(as what, lowlevel::waiter& me);
    [[nodiscard]] bool is_free_for(as what) const noexcept;
    void give_to(as what, lowlevel::waiter& who) noexcept;
    void admit_and_unlock() noexcept;                   // those at the front who can go ahead

    lowlevel::spin_lock lock_;                          // guards what follows
    const lowlevel::waiter* writer_ = nullptr;
    std::size_t readers_ = 0;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
