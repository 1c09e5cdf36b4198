// Whether a spare worker is on its bench, and who fetches it from there.
//
//   seated_    who may change it          how                                                        next
//   true       the watchdog               call_in(): exchange; idle_workers::leave_bench(); wake()    false: it works
//              the runtime's end          the same                                                    false: it ends
//              the worker itself          sit_down(): exchange, if the runtime ends just now          false: it ends
//   false      the worker, dismissed      sit_down(): store, when it has left idle_workers            true: it waits for its token
//
// I1  Whoever changes true to false is one: an exchange. So each wait for the token is ended by one wake().
// I2  The end of a runtime misses nobody (Dekker's pattern): it sets `terminating`, then looks at seated_; the worker sits down, then
//     looks at `terminating`. A full fence keeps the two apart on both sides.
// I3  It sits down only with empty queues and no timers, so nothing lies where nobody looks.
// Orders: seated_: acq_rel, since who calls in sees what the worker has done before it sat down. wanted_ is a hint, and relaxed.
// Checked:  tests/model/idle_workers_test.cpp, tests/runtime/spare_workers_test.cpp.
#pragma once

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

class spare_duty {
public:
    // ---- the watchdog; and the runtime's end, when that is gone
    /// True: it has been on its bench. The caller must let it leave idle_workers' and wake it.
    [[nodiscard]] bool call_in() noexcept {
        wanted_.store(true, relaxed);
        return seated_.exchange(false, acq_rel);
    }
    void dismiss() noexcept { wanted_.store(false, relaxed); }
    [[nodiscard]] bool is_seated() const noexcept { return seated_.load(acquire); }
    [[nodiscard]] bool is_wanted() const noexcept { return wanted_.load(relaxed); }

    // ---- the worker
    /// False: the runtime ends, and nobody will call it in.
    [[nodiscard]] bool sit_down(const atomic<bool>& terminating) noexcept {
        seated_.store(true, release);
        fence_seq_cst();                          // I2: pairs with the one in scheduler::end_workers()
        return !terminating.load(relaxed) || !seated_.exchange(false, acq_rel);
    }

private:
    atomic<bool> seated_{true}, wanted_{false};
};

}  // namespace rondo::detail
