// How a parked worker sleeps until another one wakes it: a futex word.
//
//   state      who leaves it             to         then
//   empty      the worker: wait()        parked     it sleeps
//              a waker: wake()           notified   it does not sleep
//   parked     a waker: wake()           notified   one system call wakes it
//              the worker: wait()        empty      its time was over, and nobody is waking it
//   notified   the worker: wait()        empty      it is awake
//
// I1  Whoever takes the worker out of the parked ones (idle_workers) calls wake(), once; the worker takes itself out, or waits
//     until that has come. So there is never a second wake() before the first has been seen, and none is left behind.
// I2  A limit that is over does not end the wait by itself: take_back() says whether a waker was faster, and if so its wake() is
//     waited for, without a limit.
// Orders: release in wake(), acquire in wait(): what the waker has published before is seen by the one woken.
// Checked:  tests/model/idle_workers_test.cpp, tests/stress (TSan).
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>

#include "futex.hpp"

namespace rondo::detail {

class wake_token {
public:
    /// Any other thread; see I1.
    void wake() noexcept {
        if (state_.exchange(notified, acq_rel) == parked) futex_wake(&state_);
    }
    /// The worker: returns when it has been woken, or when `until_ns` is over on the clock `now_ns()` and `take_back()` says that
    /// nobody has begun to wake it.
    template <class Clock, class TakeBack>
    void wait(std::int64_t until_ns, Clock now_ns, TakeBack take_back) noexcept {
        auto expected = empty;
        if (state_.compare_exchange_strong(expected, parked, acq_rel, acquire)) {
            while (state_.load(acquire) == parked) {
                futex_wait_until(state_, parked, until_ns);
                if (until_ns != no_limit_ns && state_.load(acquire) == parked && now_ns() >= until_ns) {
                    if (take_back()) break;
                    until_ns = no_limit_ns;               // somebody is waking us
                }
            }
        }
        state_.store(empty, relaxed);
    }
    /// The same for a worker that somebody is waking: without a limit.
    void wait() noexcept {
        wait(no_limit_ns, [] { return std::int64_t{0}; }, [] { return false; });
    }
    /// The worker, before wait(): a glance.
    [[nodiscard]] bool has_come() const noexcept { return state_.load(relaxed) != empty; }

private:
    static constexpr std::uint32_t empty = 0, parked = 1, notified = 2;
    atomic<std::uint32_t> state_{empty};
};

}  // namespace rondo::detail
