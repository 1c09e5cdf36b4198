// A stack of indices, linked through what they name (R. K. Treiber, "Systems programming: coping with parallelism", 1986). The
// head carries a count against ABA: reading the link of one that somebody else has just taken is harmless, for the memory stays
// what it is, and the count has changed.
//
//   word     who may change it       how                          next
//   head_    push(), anybody         CAS release, count + 1       its index, above those that were there
//            pop(), anybody          CAS acquire, count + 1       the index below it
//   a link   push(), whose it is     store relaxed, before that   the index of the one below it
//
// I1  Whoever has popped an index alone has what it names, until he pushes it.
// Progress: lock-free.
// Checked:  tests/model/index_stack_test.cpp, tests/stress/channel_stress_test.cpp (TSan).
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

class index_stack {
public:
    static constexpr std::uint64_t index_mask = (1u << 24) - 1;

    /// link(i): where the link of what i names lies, an atomic<std::uint32_t>&.
    template <class Link>
    void push(std::uint32_t i, Link link) noexcept {
        auto head = head_.load(relaxed);
        do link(i).store(index_of(head), relaxed);
        // release: pairs with the acquire in pop(): who gets it sees that we are done with it, and its link.
        while (!head_.compare_exchange_weak(head, next_count(head) | i, release, relaxed));
    }
    /// 0: there is none.
    template <class Link>
    [[nodiscard]] std::uint32_t pop(Link link) noexcept {
        // acquire, here and when the exchange fails: pairs with the release in push(): we see the link, and what whoever had
        // it has done. When it succeeds relaxed would do, for by the count it is the head that has been read before; but g++ 12
        // warns of a failure that is stronger.
        auto head = head_.load(acquire);
        while (const auto i = index_of(head)) {
            const auto below = link(i).load(relaxed);
            if (head_.compare_exchange_weak(head, next_count(head) | below, acquire, acquire)) return i;
        }
        return 0;
    }
    /// While nobody else pushes or pops.
    template <class Link>
    [[nodiscard]] std::size_t size(Link link) const noexcept {
        std::size_t n = 0;
        for (auto i = index_of(head_.load(acquire)); i; i = link(i).load(relaxed)) ++n;
        return n;
    }

private:
    static std::uint32_t index_of(std::uint64_t head) noexcept { return static_cast<std::uint32_t>(head & index_mask); }
    static std::uint64_t next_count(std::uint64_t head) noexcept { return (head & ~index_mask) + index_mask + 1; }

    alignas(64) atomic<std::uint64_t> head_{0};                 // {count:40 | index:24}
};

}  // namespace rondo::detail
