// What the cells of channels lie in, in their models.
#pragma once

#include "model_atomics.hpp"

#include <algorithm>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <rondo/detail/cell_queue.hpp>

#include "tasklets.hpp"

using namespace rondo::detail;
namespace model = rondo::model;
using rondo::lowlevel::wait_node;
using rondo::lowlevel::waiter;
using rondo::lowlevel::wake;
using rondo::model::tasklet;

namespace {

// Type-stable: a segment lives as long as the execution.
template <std::size_t Cells>
struct memory {
    std::vector<std::unique_ptr<cell_segment<Cells>>> segments;
    std::vector<std::uint32_t> free;
    unsigned in_use = 0;
    atomic<unsigned> order{0};           // the store's own acquire and release
};
template <std::size_t Cells>
struct model_store {
    using segment = cell_segment<Cells>;
    static constexpr std::uint32_t first_sweep = 2;
    memory<Cells>* of;
    segment& operator[](std::uint32_t index) const { return *of->segments[index - 1]; }
    std::uint32_t allocate() const {
        of->order.fetch_add(1, rondo::detail::acquire);
        ++of->in_use;
        if (!of->free.empty()) {
            const auto i = of->free.back();
            of->free.pop_back();
            return i;
        }
        of->segments.push_back(std::make_unique<segment>());
        return static_cast<std::uint32_t>(of->segments.size());
    }
    void release(std::uint32_t index) const {
        of->order.fetch_add(1, rondo::detail::release);
        --of->in_use;
        of->free.push_back(index);
    }
    static void settle(waiter& who, waiter::hold how) { static_cast<tasklet&>(who).settle(how); }
    static void wait_for_memory(unsigned) { cpu_relax(); }
};

[[maybe_unused]] model::bounds within(unsigned preemptions, unsigned stale_reads) {
    if (model::sanitized) return {.preemptions = std::min(preemptions, 1u), .stale_reads = std::min(stale_reads, 1u)};
    return {.preemptions = preemptions + model::deep, .stale_reads = stale_reads};
}

}  // namespace
