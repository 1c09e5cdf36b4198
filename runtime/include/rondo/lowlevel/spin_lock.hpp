// A lock for a few instructions: never held over user code, and over a switch only until the post-switch action has
// published the tasklet that left (lowlevel/wait.hpp).
#pragma once

#include <rondo/detail/atomic.hpp>

namespace rondo::lowlevel {

namespace detail {
void spin_wait(unsigned round) noexcept;    // pause; from some hundred rounds on gives the CPU away
}

/// Test-and-test-and-set. Satisfies Lockable. Cost: one exchange (2 ns) and one store, uncontended.
class spin_lock {
public:
    void lock() noexcept {
        // acquire, here and in try_lock(): pairs with the release in unlock().
        while (locked_.exchange(true, rondo::detail::acquire)) {
            for (unsigned round = 0; locked_.load(rondo::detail::relaxed); ++round) detail::spin_wait(round);
        }
    }
    bool try_lock() noexcept {
        return !locked_.load(rondo::detail::relaxed) && !locked_.exchange(true, rondo::detail::acquire);
    }
    void unlock() noexcept { locked_.store(false, rondo::detail::release); }

private:
    rondo::detail::atomic<bool> locked_{false};
};

}  // namespace rondo::lowlevel
