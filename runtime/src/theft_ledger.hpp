// Does it pay to take over ready tasklets from another worker? Each leaves its stack behind in the caches of its worker. If
// those we took have kept us busy for less than it takes to move them, then it was not worth it: a ball that goes round leaves
// many ready ones behind it, but what each has to do is to wait again.
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

class worker;

/// One worker's own. The bar, how much ready work (in stamps, the time it takes its worker) a theft must promise, is the
/// runtime's.
class theft_ledger {
public:
    explicit theft_ledger(atomic<std::uint64_t>& bar) noexcept : bar_(bar) {}

    void note(const worker& robbed) noexcept;             // one has been taken over
    /// Out of work again: raises or lowers the bar. after_search: nothing was found.
    void judge(bool after_search) noexcept;
    /// Things may have changed: lowers the bar a little, so that somebody tries again.
    void forget_a_little() noexcept;

private:
    void set_bar(std::uint64_t stamps) noexcept;

    atomic<std::uint64_t>& bar_;
    std::uint64_t taken_ = 0, first_stamp_ = 0;           // since we were out of work, and when the first of them was
    const worker* robbed_ = nullptr;                      // from whom, and what he had done by then
    std::uint64_t robbed_moves_ = 0;
};

}  // namespace rondo::detail
