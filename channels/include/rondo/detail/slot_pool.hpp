// The slots of one channel, in chunks that stay where they are until the channel goes.
//
// With a limit there is one chunk. Without one chunks come as they are needed, each twice as large as the one before. Slots
// that come back lie on a stack (R. K. Treiber, 1986), linked by index, whose head carries a count against ABA. Reading the
// link of a slot that somebody else has just taken is harmless: it is atomic, its memory stays, and the count has changed.
//
//   word        who may change it         how                               next
//   free_       put(), anybody            CAS seq_cst, count + 1            the slot, above those that were there
//               take_used(), anybody      CAS acq_rel, count + 1            the one below it
//   a slot's    put(), whose it is        store relaxed, before that CAS    the number of the one below it
//   below
//   fresh_      take(), grow()            fetch_add, or CAS, relaxed        one more has been given out
//   chunks_[i]  the constructor; grow(),  store; CAS release                a chunk: it stays until the pool goes
//               if it is not there
//
// Who is alone with the pool (..._alone: lowlevel/solo.hpp) does the same by loads and stores, and the stores of free_ are
// releases as well. Whatever acquires pairs with the release of the same word.
//
// I1  fresh_ counts slots that have ever been given out; one chunk after the other is there before its first is.
// Progress: lock-free. Who has lost a compare-and-swap stands back for some microseconds (stand_back).
// Checked: tests/model/slots_test.cpp, tests/stress/channel_stress_test.cpp.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

template <class Value>
class slot_pool {
public:
    struct slot {
        Value value;
        std::uint32_t number = 0;
        atomic<std::uint32_t> below{0};             // number + 1; 0: none
    };

    explicit slot_pool(std::size_t limit) : limit_(limit) {
        if (!is_limited()) return;
        if (limit > most) throw std::bad_alloc();
        chunks_[0].store(new slot[limit], relaxed);
    }
    ~slot_pool() {
        for (auto& c : chunks_) delete[] c.load(acquire);       // pairs with the release in grow()
    }
    slot_pool(const slot_pool&) = delete;
    slot_pool& operator=(const slot_pool&) = delete;

    [[nodiscard]] bool is_limited() const noexcept { return limit_ != no_limit; }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

    /// nullptr: all are in use. Without a limit that never happens, but there may be no memory: throws std::bad_alloc.
    slot* take() {
        if (slot* s = take_used()) return s;
        if (!is_limited()) return grow();
        // relaxed: a fresh slot holds nothing that somebody else has written.
        if (fresh_.load(relaxed) >= limit_) return nullptr;
        const auto n = fresh_.fetch_add(1, relaxed);
        if (n >= limit_) return nullptr;
        slot& s = at(static_cast<std::uint32_t>(n));
        s.number = static_cast<std::uint32_t>(n);
        return &s;
    }
    /// One that has come back.
    slot* take_used() noexcept {
        // seq_cst: slots_channel's I1. acquire: pairs with the release in put(): the slot is as it was left.
        auto head = free_.load(seq_cst);
        unsigned pauses = first_pauses;
        while (const auto i = static_cast<std::uint32_t>(head)) {
            slot& s = at(i - 1);
            const auto next = head_after(head, s.below.load(relaxed));
            if (free_.compare_exchange_weak(head, next, acq_rel, acquire)) return &s;
            stand_back(pauses);
            head = free_.load(acquire);
        }
        return nullptr;
    }
    void put(slot& s) noexcept {
        auto head = free_.load(relaxed);
        for (unsigned pauses = first_pauses;;) {
            s.below.store(static_cast<std::uint32_t>(head), relaxed);
            const auto next = head_after(head, s.number + 1);
            // seq_cst: slots_channel's I1. release: pairs with the acquire in take_used().
            if (free_.compare_exchange_weak(head, next, seq_cst, relaxed)) return;
            stand_back(pauses);
            head = free_.load(relaxed);
        }
    }
    /// Of who is alone with the pool (rondo/lowlevel/solo.hpp). nullptr: none has come back.
    slot* take_used_alone() noexcept {
        const auto head = free_.load(relaxed);
        const auto i = static_cast<std::uint32_t>(head);
        if (i == 0) return nullptr;
        slot& s = at(i - 1);
        free_.store(head_after(head, s.below.load(relaxed)), release);
        return &s;
    }
    void put_alone(slot& s) noexcept {
        const auto head = free_.load(relaxed);
        s.below.store(static_cast<std::uint32_t>(head), relaxed);
        free_.store(head_after(head, s.number + 1), release);
    }
    /// Something else whenever a slot has come back.
    [[nodiscard]] std::uint64_t count() const noexcept { return free_.load(acquire); }      // pairs with the release in put()

private:
    static constexpr std::size_t most = UINT32_MAX - 1;
    static constexpr std::uint64_t head_after(std::uint64_t head, std::uint32_t newest) noexcept {
        return ((head >> 32) + 1) << 32 | newest;
    }
    static constexpr unsigned first_bits = 3;       // the first chunk has 8
    static constexpr unsigned chunk_of(std::uint64_t n) noexcept {
        return static_cast<unsigned>(std::bit_width((n >> first_bits) + 1)) - 1;
    }
    static constexpr std::uint64_t start_of(unsigned chunk) noexcept {
        return ((std::uint64_t{1} << chunk) - 1) << first_bits;
    }
    // Somebody else is at it, on another core. Both would now wait for the same few cache lines at each step, and together
    // get less done than one of us alone: so one stands back, while the other takes a dozen messages further, then more.
    static constexpr unsigned first_pauses = 64, most_pauses = 256;
    static void stand_back([[maybe_unused]] unsigned& pauses) noexcept {
#ifndef RONDO_MODEL_ATOMICS
        for (unsigned i = 0; i < pauses; ++i) cpu_relax();
        pauses = pauses < most_pauses ? pauses * 2 : most_pauses;
#endif
    }
    slot& at(std::uint32_t n) noexcept {
        if (is_limited()) return chunks_[0].load(relaxed)[n];
        const auto c = chunk_of(n);
        // acquire: pairs with the release in grow(): the chunk's slots are made.
        return chunks_[c].load(acquire)[n - start_of(c)];
    }
    slot* grow() {
        for (auto n = fresh_.load(relaxed);;) {
            if (n >= most) throw std::bad_alloc();
            const auto c = chunk_of(n);
            if (!chunks_[c].load(acquire)) {
                auto fresh = std::make_unique<slot[]>(std::size_t{1} << (c + first_bits));
                slot* none = nullptr;
                if (chunks_[c].compare_exchange_strong(none, fresh.get(), acq_rel, relaxed)) fresh.release();
            }
            // relaxed: as in take().
            if (!fresh_.compare_exchange_weak(n, n + 1, relaxed, relaxed)) continue;
            slot& s = at(static_cast<std::uint32_t>(n));
            s.number = static_cast<std::uint32_t>(n);
            return &s;
        }
    }

    const std::size_t limit_;
    std::array<atomic<slot*>, 30> chunks_{};
    alignas(64) atomic<std::uint64_t> fresh_{0};
    alignas(64) atomic<std::uint64_t> free_{0};     // {count:32 | number + 1:32}
};

}  // namespace rondo::detail
