// Where the segments of all channels come from.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/detail/cell_queue.hpp>

namespace rondo::detail {

/// Type-stable memory: address space for all segments that there can be is reserved once, on first use, and never given
/// back; what is touched stays. An index is worth an address by one multiplication. Free ones form a lock-free stack.
class cell_store {
public:
    using segment = cell_segment<15>;               // 512 bytes
    static constexpr std::uint32_t first_sweep = 8;

    segment& operator[](std::uint32_t index) const noexcept { return memory[index]; }
    [[nodiscard]] std::uint32_t allocate() const noexcept;      // 0: no memory
    void release(std::uint32_t index) const noexcept;
    /// How many are given out. For tests.
    [[nodiscard]] static std::size_t in_use() noexcept;
    static void settle(lowlevel::waiter& who, lowlevel::waiter::hold how) noexcept {
        lowlevel::settle(who, how, lowlevel::placement::tail);
    }
    static void wait_for_memory(unsigned round) noexcept { lowlevel::detail::spin_wait(round); }

private:
    static constinit segment* memory;               // set before the first index is given out
};
static_assert(sizeof(cell_store::segment) == 512);

extern template class cell_queue<cell_store>;
extern template class cell_queue<cell_store, true>;

}  // namespace rondo::detail
