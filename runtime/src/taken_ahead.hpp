// The oldest of a queue, taken off it all at once, to be run one after the other: one compare-and-swap for several. Only for
// those that are over soon: nobody else gets them in the ordinary way. If one is not over soon after all, a thief may still
// take those behind it (raid()): a lock that is biased towards the owner.
//
//   word     who writes it                 what it says
//   next_    the owner                     items below are the owner's
//   end_     the owner: fill(), +n         items from next_ to end_ wait
//            a raider: -1                  the last one is the raider's
//   raid_    raiders: 0 -> 1 -> 0          a raider is at it: the owner waits for it before it goes on
//
// I1  take() stores next_ = n + 1, then reads raid_; raid() sets raid_, then reads next_: Dekker's pattern, with the light
//     fence in the owner's and the heavy one in the raider's hand. So either the raider sees n + 1 and leaves n alone, or the
//     owner sees the raid: under way, and waits, or over. Then n is the owner's if end_ is still above it.
// I2  While a raid lasts the owner's side moves at most once more (one take(), or a fill() and one take()), so next_ and end_ as
//     the raider reads them differ from what they are by no more than that, and what lies between them is whole.
// I3  A raider takes from the end, the owner from the front; they only meet at the last one, see I1.
// Progress: take() and fill() are wait-free, but for a raid under way: some 20 instructions, once in a worker's long slice.
// Checked:  tests/model/taken_ahead_test.cpp, tests/stress (TSan).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

/// Only where has_asymmetric_fences().
template <class T, std::size_t N = 8>
class taken_ahead {
    static_assert((N & (N - 1)) == 0);

public:
    static constexpr std::size_t room = N;

    /// Anybody; a snapshot, exact for the owner.
    [[nodiscard]] bool empty() const noexcept { return next_.load(relaxed) >= end_.load(relaxed); }

    /// The same: how many wait.
    [[nodiscard]] std::size_t size() const noexcept {
        const auto n = next_.load(relaxed), e = end_.load(relaxed);
        return n < e ? static_cast<std::size_t>(e - n) : 0;
    }

    /// Owner, when empty(): n of them, N at most, oldest first.
    void fill(T* const* items, std::size_t n) noexcept {
        const auto e = end_.load(relaxed);
        for (std::size_t i = 0; i < n; ++i) items_[(e + i) % N].store(items[i], relaxed);
        end_.store(e + n, release);               // pairs with the acquire in raid(): who takes one sees it as it was left
    }
    /// Owner: the oldest without taking it, and those behind it; nullptr: none. Hints: a raider may take them.
    [[nodiscard]] T* peek(std::size_t i = 0) const noexcept {
        const auto n = next_.load(relaxed) + i;
        return n < end_.load(relaxed) ? items_[n % N].load(relaxed) : nullptr;
    }
    /// Owner: the oldest. nullptr: none.
    [[gnu::always_inline]] T* take() noexcept {
        const auto n = next_.load(relaxed);
        if (n >= end_.load(relaxed)) return nullptr;
        next_.store(n + 1, relaxed);
        fence_light();                            // pairs with the heavy one in raid()
        // acquire: pairs with the release in raid(). One that is over may have taken the last: so look at end_ again.
        if (raid_.load(acquire) != 0 || n >= end_.load(relaxed)) [[unlikely]] return take_after_raid(n);
        return items_[n % N].load(relaxed);
    }

    /// Anybody else: the newest, for an owner that is stuck. Interrupts every core of the process. nullptr: none, or somebody
    /// else is raiding.
    T* raid() noexcept {
        std::uint32_t nobody = 0;
        // acquire, and release below: what one raider has left is seen by the next.
        if (empty() || !raid_.compare_exchange_strong(nobody, 1, acquire, relaxed)) return nullptr;
        fence_heavy();                            // pairs with the light one in take()
        const auto n = next_.load(relaxed), e = end_.load(acquire);     // acquire: as in fill()
        T* x = nullptr;
        if (n < e) {
            x = items_[(e - 1) % N].load(relaxed);
            end_.store(e - 1, relaxed);
        }
        raid_.store(0, release);                  // pairs with the acquire in take_after_raid()
        return x;
    }

private:
    [[gnu::noinline]] T* take_after_raid(std::uint64_t n) noexcept {
        for (unsigned round = 0; raid_.load(acquire) != 0; ++round) lowlevel::detail::spin_wait(round);
        if (n < end_.load(relaxed)) return items_[n % N].load(relaxed);
        next_.store(n, relaxed);
        return nullptr;
    }

    atomic<std::uint64_t> next_{0}, end_{0};
    atomic<std::uint32_t> raid_{0};
    std::array<atomic<T*>, N> items_{};
};

}  // namespace rondo::detail
