// Who waits in the models of channels, and what their cells lie in.
//
// publish() and settle() live in runtime/src/wait.cpp between things that a model cannot have (stacks, futexes); what they
// do to the word is repeated here step by step. Whoever changes the one must change the other.
#pragma once

#include "model_atomics.hpp"

#include <algorithm>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <rondo/detail/cell_queue.hpp>

using namespace rondo::detail;
namespace model = rondo::model;
using rondo::lowlevel::wait_node;
using rondo::lowlevel::waiter;
using rondo::lowlevel::wake;

namespace {

struct tasklet : waiter {
    atomic<unsigned> resumed{0};
    unsigned waits = 0;
    model::plain<int> frame{0};          // where the value comes from or goes to

    void resume() { resumed.fetch_add(1, release); }

    // wait.cpp: publish(); then until somebody resumes us.
    wake suspend_published(std::uint32_t generation) {
        auto now = word.load(relaxed);
        std::uint64_t next = 0;
        bool opened = false, early = false;
        do {
            if (generation_of(now) == generation) {
                early = true;
                break;
            }
            const bool stops = now & stop_flag;
            opened = !stops && !(now & missed_flag);
            next = (static_cast<std::uint64_t>(generation) << 32) | (now & stop_flag);
            if (opened) next |= open_flag;
            else next |= static_cast<std::uint64_t>(stops ? wake::stopped : wake::none) << 8;
        } while (!word.compare_exchange_weak(now, next, seq_cst, relaxed));
        if (early) {
            if (word.fetch_or(left_flag, acq_rel) & settled_flag) resume();
        } else if (!opened) {
            resume();
        }
        resumed.wait(waits++, acquire);
        return outcome_of(word.load(relaxed));
    }
    // wait.cpp: settle()
    void settle(hold how) {
        if (how == hold::early && !(word.fetch_or(settled_flag, acq_rel) & left_flag)) return;
        resume();
    }
    // wait.cpp: request_stop()
    void request_stop() {
        auto w = word.load(relaxed);
        for (;;) {
            const bool ends_wait = w & open_flag;
            auto next = w | stop_flag;
            if (ends_wait)
                next = (next & ~(open_flag | std::uint64_t{0xff00})) | (static_cast<std::uint64_t>(wake::stopped) << 8);
            if (!word.compare_exchange_weak(w, next, seq_cst, relaxed)) continue;
            if (ends_wait) resume();
            return;
        }
    }
    void forget_stop() { word.fetch_and(~stop_flag, relaxed); }      // and begin a new life
    void begin_enlisting() { word.fetch_or(enlisting_flag, relaxed); }
    [[nodiscard]] bool missed() const { return word.load(relaxed) & missed_flag; }
    void end_enlisting() {
        auto now = word.load(relaxed);
        std::uint64_t next = 0;
        do next = (static_cast<std::uint64_t>(generation_of(now) + 1) << 32) | (now & stop_flag);
        while (!word.compare_exchange_weak(now, next, acquire, relaxed));
    }
};

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
