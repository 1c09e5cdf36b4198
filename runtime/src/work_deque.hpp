// Work-stealing deque: the owner pushes at the bottom; the owner takes from either end, thieves from the top.
// After D. Chase and Y. Lev, "Dynamic circular work-stealing deque" (2005), with the C11 orders of N. M. Le, A. Pop,
// A. Cohen and F. Zappa Nardelli, "Correct and efficient work-stealing for weak memory models" (2013). Ours differs
// in that the owner takes from the top too (its run order is first in, first out; only join takes the newest), in
// that old rings are kept until the deque dies, and in its private part, after T. van Dijk and J. van de Pol, "Lace:
// non-blocking split deque for work-stealing" (2014):
//
//   top_ <= public: anybody may take the oldest < limit_ <= private: the owner takes the newest without a fence < bottom_
//
//   word      who may change it       how
//   bottom_   the owner               plain arithmetic, release store / fence
//   limit_    the owner               release store; a fence after it has been lowered
//   top_      owner and thieves       CAS t -> t+1; the winner owns the element at t
//   ring_     the owner               release store of a larger copy; old ones stay readable
//
// I1  top_ never decreases, so a CAS that succeeds proves that the element read before it was still there.
// I2  An element inside (top_, bottom_ - 1) is only contended at the ends; drop_bottom settles the last one by the CAS.
// I3  A thief takes t only if it has read limit_ > t after top_ == t, a full fence between. An owner who takes b has
//     either read top_ after the store limit_ = b, a full fence between (then one of the two sees the other's store,
//     as in Chase and Lev's proof with limit_ for bottom), or limit_ <= b since its last such fence, and then the thief
//     has read an old limit_ and fails at the CAS, or comes too late for the fence and reads the new one.
// I4  steal_private() has the fence on both sides, on the owner's behalf too (fence_heavy), with bottom_ for limit_.
// I5  with_private_bottom() takes the newest and puts it back: meanwhile it is its owner's alone, as after drop_bottom().
// The public part is empty only while the owner neither pushes nor takes: each of these makes half of the deque public if
// it finds nothing public. A private part does not grow beyond most_private.
// Progress: push and drop_bottom are wait-free but for growth; steal and take_top are lock-free.
// Checked:  tests/model/work_deque_test.cpp (every interleaving of small runs), tests/stress (TSan).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

template <class T>
class work_deque {
public:
    /// most_private: how many of the newest may be hidden from steal(); 0: none, and there is nothing to gain.
    explicit work_deque(std::int64_t most_private = 0, std::size_t capacity = 256) : most_private_(most_private) {
        grow_to(capacity, 0, 0);
    }
    work_deque(const work_deque&) = delete;
    work_deque& operator=(const work_deque&) = delete;

    /// Owner. Throws std::bad_alloc when it has to grow and cannot; then nothing has changed.
    void push(T* x) {
        const auto b = bottom_.load(relaxed);
        // acquire: pairs with the CAS of a thief; we may overwrite a slot only after the thief has read it.
        if (b - top_seen_ >= static_cast<std::int64_t>(mask_) + 1) [[unlikely]] {
            top_seen_ = top_.load(acquire);
            if (b - top_seen_ >= static_cast<std::int64_t>(mask_) + 1) grow_to((mask_ + 1) * 2, top_seen_, b);
        }
        slots_[static_cast<std::size_t>(b) & mask_].store(x, relaxed);
        show(b + 1);
    }

    /// Owner: push() where the caller knows that there is room: length_seen() < capacity().
    void push_in_room(T* x) noexcept {
        const auto b = bottom_.load(relaxed);
        slots_[static_cast<std::size_t>(b) & mask_].store(x, relaxed);
        show(b + 1);
    }
    /// The same without thieves: there is nobody to show it to.
    void push_alone(T* x) noexcept {
        const auto b = bottom_.load(relaxed);
        slots_[static_cast<std::size_t>(b) & mask_].store(x, relaxed);
        bottom_.store(b + 1, relaxed);
    }
    /// Where the oldest is, and one past the newest: for several steps of the owner with the same values.
    struct ends {
        std::int64_t top, bottom;
    };
    [[nodiscard]] ends now() const noexcept { return {top_.load(relaxed), bottom_.load(relaxed)}; }
    /// A hint, if a thief may have been there.
    [[nodiscard]] T* at(std::int64_t position) const noexcept {
        return slots_[static_cast<std::size_t>(position) & mask_].load(relaxed);
    }
    /// Owner without thieves, when not empty: takes the oldest.
    [[nodiscard]] T* take_alone(const ends& old) noexcept {
        top_.store(old.top + 1, relaxed);
        return at(old.top);
    }
    /// The same, and pushes x, which is not in it: there is room, since one goes.
    void exchange_alone(const ends& old, T* x) noexcept {
        slots_[static_cast<std::size_t>(old.bottom) & mask_].store(x, relaxed);      // in a full ring it is the oldest one's
        bottom_.store(old.bottom + 1, relaxed);
        top_.store(old.top + 1, relaxed);
        top_seen_ = old.top + 1;
    }
    /// Owner: no less than size().
    [[nodiscard]] std::size_t length_seen() const noexcept {
        return static_cast<std::size_t>(bottom_.load(relaxed) - top_seen_);
    }
    void look_at_top() noexcept { top_seen_ = top_.load(acquire); }     // acquire: as in push()
    [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

    /// Owner: is `x` the newest (or was, unless a thief has taken it)?
    [[nodiscard]] bool is_at_bottom(const T* x) const noexcept {
        const auto b = bottom_.load(relaxed) - 1;
        return b >= top_seen_ && slots_[static_cast<std::size_t>(b) & mask_].load(relaxed) == x;
    }
    /// Owner: takes the newest. False: there is none.
    [[gnu::always_inline]] bool drop_bottom(bool alone) noexcept {
        const auto b = bottom_.load(relaxed) - 1;
        if (alone) {                       // no thieves exist
            if (top_.load(relaxed) > b) return false;
            bottom_.store(b, relaxed);
            return true;
        }
        // release, here and below: a thief that reads this value must see the elements below it as push() published them (a
        // relaxed store does not continue push()'s release sequence). The model test found this.
        bottom_.store(b, release);
        std::int64_t t;
        if (b >= limit_.load(relaxed)) {
            fence_light();                 // pairs with the heavy one in steal_private()
            t = top_.load(relaxed);
            if (t < b) {
                if (t >= limit_.load(relaxed)) show_half(t, b);
                return true;
            }
        } else {
            limit_.store(b, release);
            // seq_cst fence: keeps the stores above apart from the load of top_ below (thief: the other way).
            fence_seq_cst();
            t = top_.load(relaxed);
            if (t < b) return true;
        }
        bool mine = false;
        if (t == b)                        // the last one: a thief may be after it
            // seq_cst: in one order with the fences of steal(). relaxed on failure: nothing is read.
            mine = top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);
        bottom_.store(b + 1, release);     // as above; empty now, and the indices meet again
        return mine;
    }
    /// Owner: if `x` is the newest of several, and no steal() reaches it: calls f() while nobody else can have it. False: it is
    /// not, or f() was not called, since a thief may have it.
    template <class F>
    [[gnu::always_inline]] bool with_private_bottom(const T* x, F f) noexcept {
        const auto b = bottom_.load(relaxed) - 1;
        if (b < limit_.load(relaxed) || !is_at_bottom(x)) return false;
        bottom_.store(b, release);         // as in drop_bottom(): out of everybody's reach
        fence_light();                     // pairs with the heavy one in steal_private()
        const bool mine = top_.load(relaxed) < b;
        if (mine) f();
        bottom_.store(b + 1, release);     // pairs with the acquire in steal_private(): whoever takes it sees what f() has done
        return mine;
    }
    /// Owner: the newest. nullptr: empty.
    T* take_bottom(bool alone) noexcept {
        const auto b = bottom_.load(relaxed) - 1;
        T* const x = slots_[static_cast<std::size_t>(b) & mask_].load(relaxed);
        return drop_bottom(alone) ? x : nullptr;
    }
    /// Owner: the newest, if it is `x`; for join.
    bool take_bottom_if(T* x, bool alone) noexcept { return is_at_bottom(x) && drop_bottom(alone); }

    /// Owner: the oldest. nullptr: empty.
    T* take_top(bool alone) {
        auto t = top_.load(relaxed);
        for (;;) {
            if (t >= bottom_.load(relaxed)) return nullptr;
            T* x = slots_[static_cast<std::size_t>(t) & mask_].load(relaxed);
            if (alone) {
                top_.store(t + 1, relaxed);
                return x;
            }
            // seq_cst: one order with thieves' CAS and fences; failure: t is the new top, try again.
            if (top_.compare_exchange_weak(t, t + 1, seq_cst, relaxed)) {
                const auto b = bottom_.load(relaxed);
                // release: as in show().
                if (t + 1 >= limit_.load(relaxed) && t + 1 < b) limit_.store(b, release);     // they go in order now
                return x;
            }
        }
    }

    /// Owner: the oldest ones, so many at most, all at once. Says how many.
    std::size_t take_top_many(T** into, std::size_t most) noexcept {
        auto t = top_.load(relaxed);
        for (;;) {
            const auto b = bottom_.load(relaxed);
            const auto n = std::min(static_cast<std::int64_t>(most), b - t);
            if (n <= 0) return 0;
            for (std::int64_t i = 0; i < n; ++i)
                into[i] = slots_[static_cast<std::size_t>(t + i) & mask_].load(relaxed);
            // seq_cst: as in take_top(). Whoever takes one of these moves top_, and then this fails.
            if (top_.compare_exchange_weak(t, t + n, seq_cst, relaxed)) {
                if (t + n >= limit_.load(relaxed) && t + n < b) limit_.store(b, release);
                return static_cast<std::size_t>(n);
            }
        }
    }

    /// Owner: the oldest, if it is `x`; for join in order of creation.
    bool take_top_if(T* x, bool alone) {
        auto t = top_.load(relaxed);
        if (t >= bottom_.load(relaxed) || slots_[static_cast<std::size_t>(t) & mask_].load(relaxed) != x) return false;
        if (alone) {
            top_.store(t + 1, relaxed);
            return true;
        }
        return top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);       // seq_cst: as in take_top()
    }

    /// Anybody. nullptr: nothing is public, or lost a race.
    T* steal() {
        const auto t = top_.load(acquire);           // pairs with the CAS of whoever took the one before
        // seq_cst fence: keeps the load of top_ apart from the load of limit_; pairs with the owner's in drop_bottom.
        fence_seq_cst();
        return take_above(t, limit_.load(acquire));  // acquire: pairs with the release in show()
    }
    /// Anybody: also what the owner has not made public. Interrupts every core of the process: for owners that are stuck.
    T* steal_private() {
        if (most_private_ == 0) return nullptr;      // everything is public (and there may be no heavy fences)
        const auto t = top_.load(acquire);
        fence_heavy();                               // as in steal(); pairs with the light one in drop_bottom too
        return take_above(t, bottom_.load(acquire));
    }
    /// Anybody; a snapshot of what steal() may get.
    [[nodiscard]] std::size_t offered() const noexcept {
        const auto l = limit_.load(relaxed), t = top_.load(relaxed);
        return l > t ? static_cast<std::size_t>(l - t) : 0;
    }

    /// Anybody; a snapshot.
    [[nodiscard]] std::size_t size() const noexcept {
        const auto b = bottom_.load(relaxed), t = top_.load(relaxed);
        return b > t ? static_cast<std::size_t>(b - t) : 0;
    }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    /// Owner: positions, for the order between two deques. They wrap: compare their difference.
    [[nodiscard]] std::uint32_t pushed() const noexcept { return static_cast<std::uint32_t>(bottom_.load(relaxed)); }
    [[nodiscard]] std::uint32_t taken() const noexcept { return static_cast<std::uint32_t>(top_.load(relaxed)); }
    [[nodiscard]] std::int64_t bottom() const noexcept { return bottom_.load(relaxed); }
    [[nodiscard]] std::int64_t top() const noexcept { return top_.load(relaxed); }
    /// Owner: the oldest, without taking it; a thief may take it at any moment. Only when it was not empty.
    [[nodiscard]] T* peek_top() const noexcept { return at(top_.load(relaxed)); }

private:
    // The owner: there are elements up to here now.
    [[gnu::always_inline]] void show(std::int64_t b) noexcept {
        // release: pairs with the acquire loads in the steals; the thief then sees the slot and the task.
        bottom_.store(b, release);
        if (most_private_ == 0) return limit_.store(b, release);      // and thieves' line, top_, need not come here
        const auto limit = limit_.load(relaxed), t = top_.load(relaxed);
        if (t >= limit) show_half(t, b);
        else if (b - limit > most_private_) limit_.store(b, release);
    }
    void show_half(std::int64_t t, std::int64_t b) noexcept { limit_.store(t + (b - t + 1) / 2, release); }
    T* take_above(std::int64_t t, std::int64_t end) {
        if (t >= end) return nullptr;
        const ring* r = ring_.load(acquire);         // acquire: pairs with the release in grow_to()
        T* x = r->slots[static_cast<std::size_t>(t) & r->mask].load(relaxed);
        // seq_cst: in one order with the owner's CAS and fence in drop_bottom() and take_top(). relaxed on failure: lost.
        return top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed) ? x : nullptr;
    }
    struct ring {
        explicit ring(std::size_t n) : mask(n - 1), slots(new atomic<T*>[n]) {}
        std::size_t mask;
        std::unique_ptr<atomic<T*>[]> slots;
    };
    void grow_to(std::size_t n, std::int64_t t, std::int64_t b) {
        rings_.reserve(rings_.size() + 1);
        auto bigger = std::make_unique<ring>(n);
        for (auto i = t; i < b; ++i)
            bigger->slots[static_cast<std::size_t>(i) & bigger->mask].store(
                slots_[static_cast<std::size_t>(i) & mask_].load(relaxed), relaxed);
        slots_ = bigger->slots.get();
        mask_ = bigger->mask;
        ring_.store(bigger.get(), release);          // pairs with the acquire in take_above()
        rings_.push_back(std::move(bigger));
    }

    // The owner's line: its own copies of the ring, and a top it has seen.
    alignas(64) atomic<std::int64_t> bottom_{0};
    atomic<std::int64_t> limit_{0};
    const std::int64_t most_private_;
    atomic<T*>* slots_ = nullptr;
    std::size_t mask_ = 0;
    std::int64_t top_seen_ = 0;
    std::vector<std::unique_ptr<ring>> rings_;
    alignas(64) atomic<std::int64_t> top_{0};
    atomic<const ring*> ring_{nullptr};
};

}  // namespace rondo::detail
