// How a descriptor that was free becomes a tasklet that has not started.
#pragma once

#include <cstdint>
#include <source_location>

#include "precise.hpp"
#include "worker.hpp"

namespace rondo::detail {

/// Sets what the one before may have left and recycle() does not see to: the rest is null or zero in a free descriptor. The id
/// is the caller's to set, with release.
[[gnu::always_inline]] inline void begin(task& t, std::source_location where, std::uint64_t parent) noexcept {
    precise::forget_last_tasklet_in(t);
    // A new generation, so that a stop meant for the one before fails; release: whoever sees it sees the id gone.
    const auto generation = static_cast<std::uint64_t>(lowlevel::waiter::generation_of(t.word.load(relaxed)) + 1);
    t.word.store(generation << 32, release);
    t.context.store(nullptr, relaxed);
    t.on.store(nullptr, relaxed);
    t.parent = parent;
    t.where = where;
    t.detached.store(false, relaxed);
    t.flags = {};
    t.state.store(task::phase::fresh, relaxed);
}

/// With what this worker has at hand: only after can_spawn_at_once() or prepare_spawn().
[[gnu::always_inline]] inline task& begin_here(worker& w, std::source_location where) noexcept {
    task& t = w.take_free();
    begin(t, where, w.running ? w.running->id.load(relaxed) : 0);
    t.id.store(w.take_id(), release);
    return t;
}

/// So many ids in a row, which nobody has had; the first of them.
std::uint64_t new_ids(std::uint64_t n) noexcept;

/// With what came from the pool, on whatever thread.
inline void begin_elsewhere(task& t, std::source_location where) noexcept {
    const worker* const w = worker::here();
    begin(t, where, w && w->running ? w->running->id.load(relaxed) : 0);
    t.id.store(new_ids(1), release);
}

}  // namespace rondo::detail
