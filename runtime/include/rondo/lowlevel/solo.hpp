// Shared words without locked instructions, for as long as only one thread works on them: a lock reserved for its first
// user, made of ordinary loads and stores (K. Kawachiya, A. Koseki, T. Onodera, "Lock reservation: Java locks can mostly do
// without atomic operations", 2002; with the fence that only the other side pays for, as in rondo/detail/atomic.hpp).
//
// A worker that is its runtime's only one is a soloist: what is made on it is its own, until somebody else comes. Then that
// one opens the object, once and for good.
//
//   word      who writes it                       what it says
//   owner_    the constructor: the maker, or open   whose it is
//             whoever else comes: | opening         that it is no more
//             the same, when the owner is outside: open
//             who alone can still come to it: open
//   inside    its soloist's thread: a bias          on which object it works now without locked instructions
//             the same: nullptr                     on none
//
// I1  turn: inside = object, then reads owner_ again. open_to_all(): owner_ |= opening, then reads inside. Dekker's pattern,
//     with the light fence in the owner's and the heavy one in the other's hand: so either the owner sees that the object is
//     its own no more, or the other sees it inside, and waits until it is not. Whoever comes meanwhile waits as well.
// I2  What the owner has done alone happens before what the other does: inside is written with release each time, and read
//     with acquire. Other words of the object need no more than their own orders afterwards.
// I3  The owner may use locked instructions at any time, in a turn or not; others only after claim() or open().
// Progress: turn is wait-free. open_to_all() waits, at most once in the life of an object, until the owner is through with one
//     operation: some ns, or for as long as the kernel keeps it from going on. Nothing of its runtime goes on then anyway.
// Checked: tests/model/solo_test.cpp (slots_test.cpp: with a channel), tests/stress/channel_stress_test.cpp (TSan).
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::lowlevel {

class bias;

/// A worker without others beside it. Lives for ever: an object may outlive the runtime on which it was made.
struct alignas(64) soloist {
    rondo::detail::atomic<const bias*> inside{nullptr};
    /// How many of its objects others have come to. Each costs them a heavy fence, so after some it makes no more.
    rondo::detail::atomic<std::uint32_t> opened{0};
    static constexpr std::uint32_t most_opened = 64;
};

/// The calling worker's, if it is alone in its runtime; nullptr: it is not, or this is a plain thread.
soloist* soloist_here() noexcept;

/// In each object: may its owner work on it alone?
class bias {
public:
    /// maker: soloist_here().
    explicit bias(soloist* maker) noexcept
        : owner_(maker && maker->opened.load(rondo::detail::relaxed) < soloist::most_opened ? word_of(maker) : is_open) {}
    bias(const bias&) = delete;
    bias& operator=(const bias&) = delete;

    /// Before everything that changes the object and is not in a turn. me: soloist_here(). Gives it back if the object is
    /// its own, else nullptr: then it is open to all.
    soloist* claim(soloist* me) noexcept {
        // acquire: pairs with the release below, of whoever has opened it.
        const auto o = owner_.load(rondo::detail::acquire);
        if (o == is_open) return nullptr;
        if (o == word_of(me)) return me;
        open_to_all(o);
        return nullptr;
    }
    /// The same, if the caller does not know who it is and takes no turn.
    void open() noexcept {
        if (owner_.load(rondo::detail::acquire) != is_open) [[unlikely]] claim(soloist_here());
    }

    /// The same, of who has made sure that nobody else can come to the object any more: without the fence, and the wait.
    void open_unshared() noexcept { owner_.store(is_open, rondo::detail::relaxed); }

private:
    friend class turn;
    static constexpr std::uintptr_t is_open = 0, opening = 1;      // else the address of a soloist, and perhaps opening
    static std::uintptr_t word_of(const soloist* s) noexcept { return reinterpret_cast<std::uintptr_t>(s); }

    [[gnu::noinline]] void open_to_all(std::uintptr_t o) noexcept {
        auto* const owner = reinterpret_cast<soloist*>(o & ~opening);
        // seq_cst, and the heavy fence: I1. If this fails others have come to it.
        auto now = word_of(owner);
        if (owner_.compare_exchange_strong(now, now | opening, rondo::detail::seq_cst, rondo::detail::relaxed))
            owner->opened.fetch_add(1, rondo::detail::relaxed);
        rondo::detail::fence_heavy();
        // acquire: I2.
        for (unsigned round = 0; owner->inside.load(rondo::detail::acquire) == this; ++round) detail::spin_wait(round);
        owner_.store(is_open, rondo::detail::release);
    }

    rondo::detail::atomic<std::uintptr_t> owner_;
};

/// One operation on an object. True: it is ours, and nobody else works on it until this goes. False: others may, once they, or
/// we, have claimed it. Nothing suspends meanwhile, and nothing of the user's runs.
class turn {
public:
    turn(bias& b, soloist& me) noexcept {
        me.inside.store(&b, rondo::detail::release);
        rondo::detail::fence_light();
        // acquire: who has opened it meanwhile waits for us, or has seen us outside.
        if (b.owner_.load(rondo::detail::acquire) == bias::word_of(&me)) [[likely]] me_ = &me;
        else me.inside.store(nullptr, rondo::detail::release);
    }
    ~turn() {
        if (me_) me_->inside.store(nullptr, rondo::detail::release);
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    operator bool() const noexcept { return me_; }

private:
    soloist* me_ = nullptr;
};

}  // namespace rondo::lowlevel
