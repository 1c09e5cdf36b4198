// Room for one: who shall run next on this worker. Its owner puts and takes without a locked instruction; if it does not come to
// it, a thief may take it (raid()): a lock that is biased towards the owner, as in taken_ahead.hpp.
//
//   word      who writes it              what it says
//   held_     the owner: put(), take()   who waits there; nullptr: nobody
//             a raider: nullptr          it was the raider's
//   raided_   a raider, before that: +1
//   raid_     raiders: 0 -> 1 -> 0       a raider is at it: take() waits for it
//
// I1  take() empties held_, then reads raid_; raid() sets raid_, then reads held_: Dekker's pattern, with the light fence in
//     the owner's and the heavy one in the raider's hand. So either the raider finds it empty, or the owner sees the raid: under
//     way, and waits, or over.
// I2  raided_ is as it was when the owner put, unless this one has been raided: put() comes when the owner has seen held_
//     empty (acquire), and so the count of whoever emptied it.
// I3  A raider writes held_ no more once the owner can have seen it empty, so it never wipes out a later one.
// Progress: put() and take() are wait-free, but for a raid under way: some 20 instructions.
// Checked:  tests/model/next_slot_test.cpp, tests/stress (TSan).
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

/// With raiders only where has_asymmetric_fences().
template <class T>
class next_slot {
public:
    /// Owner: exact. Others: a snapshot.
    [[nodiscard]] bool empty() const noexcept { return held_.load(acquire) == nullptr; }    // acquire: I2
    /// Owner: who waits there. A hint: a raider may take it.
    [[nodiscard]] T* peek() const noexcept { return held_.load(relaxed); }

    /// Owner, when empty().
    void put(T& x) noexcept {
        raided_before_ = raided_.load(relaxed);
        held_.store(&x, release);                 // pairs with the acquire in raid(): who takes it sees it as it was left
    }
    /// Owner. nullptr: nobody is there.
    [[gnu::always_inline]] T* take() noexcept {
        T* const x = held_.load(acquire);
        if (!x) return nullptr;
        held_.store(nullptr, relaxed);
        fence_light();                            // pairs with the heavy one in raid()
        // acquire: pairs with the release in raid(): what a raid that is over has written.
        if (raid_.load(acquire) != 0 || raided_.load(relaxed) != raided_before_) [[unlikely]] return take_after_raid(x);
        return x;
    }

    /// Anybody else, for an owner that is stuck. Interrupts every core of the process. nullptr: nobody is there, or somebody
    /// else is raiding.
    T* raid() noexcept {
        std::uint32_t nobody = 0;
        // acquire, and release below: what one raider has left is seen by the next.
        if (empty() || !raid_.compare_exchange_strong(nobody, 1, acquire, relaxed)) return nullptr;
        fence_heavy();                            // pairs with the light one in take()
        T* const x = held_.load(acquire);         // as in put()
        if (x) {
            raided_.store(raided_.load(relaxed) + 1, relaxed);
            held_.store(nullptr, release);        // pairs with the acquire in take() and empty()
        }
        raid_.store(0, release);                  // pairs with the acquire in take()
        return x;
    }

private:
    [[gnu::noinline]] T* take_after_raid(T* x) noexcept {
        for (unsigned round = 0; raid_.load(acquire) != 0; ++round) lowlevel::detail::spin_wait(round);
        return raided_.load(relaxed) == raided_before_ ? x : nullptr;
    }

    atomic<T*> held_{nullptr};
    atomic<std::uint32_t> raid_{0};
    atomic<std::uint32_t> raided_{0};
    std::uint32_t raided_before_ = 0;             // when the owner put
};

}  // namespace rondo::detail
