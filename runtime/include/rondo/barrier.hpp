// A meeting point, again and again.
#pragma once

#include <chrono>
#include <cstddef>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// Participants meet: when as many have arrived as take part, all go on and the next round begins. Safe from any
/// tasklet and any thread; may be destroyed as soon as nobody waits any more, also by a waiter that has just been
/// woken.
class barrier {
public:
    /// Throws: usage_error unless there is at least one participant.
    explicit barrier(std::ptrdiff_t participants);
    ~barrier();
    barrier(const barrier&) = delete;
    barrier& operator=(const barrier&) = delete;

    /// Arrives, and returns when the round is complete.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped` and takes the arrival back, so that the round still needs as many as before; if the
    ///           round is complete already, returns.
    /// Throws:   usage_error if all participants have dropped out.
    /// Cost:     O(1), no allocation; for the last one to arrive O(participants).
    void arrive_and_wait() { arrive_and_wait_by(lowlevel::no_deadline); }
    /// As arrive_and_wait(), but gives up after a while, taking the arrival back: false.
    template <class Rep, class Period>
    [[nodiscard]] bool arrive_and_wait_for(std::chrono::duration<Rep, Period> d) {
        return arrive_and_wait_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool arrive_and_wait_until(std::chrono::time_point<Clock, Duration> tp) {
        return arrive_and_wait_by(detail::limit_at(tp));
    }

    /// Arrives without waiting. Suspends: never. Throws: as arrive_and_wait().
    void arrive() { arrive_now(false); }
    /// Arrives for the last time: later rounds need one participant less. Suspends: never. Throws: as
    /// arrive_and_wait().
    void drop() { arrive_now(true); }
    /// The same under std::barrier's name for it.
    void arrive_and_drop() { drop(); }

private:
    bool arrive_and_wait_by(lowlevel::time_point until);
    void arrive_now(bool for_the_last_time);
    void check_participants();                          // with the lock held; throws without it

    lowlevel::spin_lock lock_;                          // guards what follows
    std::ptrdiff_t participants_;
    std::ptrdiff_t missing_;                            // in this round; 0 only without participants
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
