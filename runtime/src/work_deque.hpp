// Work-stealing deque: the owner pushes at the bottom; the owner takes from either end, thieves from the top.
// After D. Chase and Y. Lev, "Dynamic circular work-stealing deque" (2005), with the C11 orders of N. M. Le, A. Pop,
// A. Cohen and F. Zappa Nardelli, "Correct and efficient work-stealing for weak memory models" (2013). Ours differs
// in that the owner takes from the top too (its run order is first in, first out; only join takes the newest), and in
// that old rings are kept until the deque dies.
//
//   word      who may change it       how
//   bottom_   the owner               plain arithmetic, release store / fence
//   top_      owner and thieves       CAS t -> t+1; the winner owns the element at t
//   ring_     the owner               release store of a larger copy; old ones stay readable
//
// I1  top_ never decreases, so a CAS that succeeds proves that the element read before it was still there.
// I2  An element inside (top_, bottom_ - 1) is only contended at the ends; take_bottom settles the last one by the CAS.
// Progress: push and take_bottom are wait-free but for growth; steal and take_top are lock-free.
// Checked:  tests/model/work_deque_test.cpp (every interleaving of small runs), tests/stress (TSan).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

template <class T>
class work_deque {
public:
    explicit work_deque(std::size_t capacity = 256) { grow_to(capacity, 0, 0); }
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
        // release: pairs with the acquire load of bottom_ in steal(); the thief then sees the slot and the task.
        bottom_.store(b + 1, release);
    }

    /// Owner: push() where the caller knows that there is room: length_seen() < capacity().
    void push_in_room(T* x) noexcept {
        const auto b = bottom_.load(relaxed);
        slots_[static_cast<std::size_t>(b) & mask_].store(x, relaxed);
        bottom_.store(b + 1, release);               // as in push()
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
        // release: a thief that reads this value of bottom_ must see the elements below it as push() published them (a
        // relaxed store does not continue push()'s release sequence). The model test found this.
        bottom_.store(b, release);
        // seq_cst fence: keeps the store of bottom_ above apart from the load of top_ below (thief: the other way).
        fence_seq_cst();
        auto t = top_.load(relaxed);
        if (t < b) return true;
        bool mine = false;
        if (t == b)                        // the last one: a thief may be after it
            // seq_cst: in one order with the fences of steal(). relaxed on failure: nothing is read.
            mine = top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);
        bottom_.store(b + 1, release);     // as above; empty now, and the indices meet again
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
            if (top_.compare_exchange_weak(t, t + 1, seq_cst, relaxed)) return x;
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
        return top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);
    }

    /// Anybody. nullptr: empty, or lost a race.
    T* steal() {
        auto t = top_.load(acquire);
        // seq_cst fence: keeps the load of top_ apart from the load of bottom_; pairs with the owner's in take_bottom.
        fence_seq_cst();
        const auto b = bottom_.load(acquire);        // acquire: pairs with the release in push()
        if (t >= b) return nullptr;
        const ring* r = ring_.load(acquire);         // acquire: pairs with the release in grow_to()
        T* x = r->slots[static_cast<std::size_t>(t) & r->mask].load(relaxed);
        return top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed) ? x : nullptr;
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
    /// Owner: the oldest without taking it; a thief may take it at any moment. Only when size() was not 0.
    [[nodiscard]] T* peek_top() const noexcept {
        return slots_[static_cast<std::size_t>(top_.load(relaxed)) & mask_].load(relaxed);
    }

private:
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
        ring_.store(bigger.get(), release);          // pairs with the acquire in steal()
        rings_.push_back(std::move(bigger));
    }

    // The owner's line: its own copies of the ring, and a top it has seen.
    alignas(64) atomic<std::int64_t> bottom_{0};
    atomic<T*>* slots_ = nullptr;
    std::size_t mask_ = 0;
    std::int64_t top_seen_ = 0;
    std::vector<std::unique_ptr<ring>> rings_;
    alignas(64) atomic<std::int64_t> top_{0};
    atomic<const ring*> ring_{nullptr};
};

}  // namespace rondo::detail
