// How a tasklet leaves its stack. Always inline: every frame between the switch and the caller's own code is one more return
// that the processor predicts wrongly when the tasklet arrived at has come another way.
#pragma once

#include <utility>

#include "precise.hpp"
#include "worker.hpp"

namespace rondo::detail {

// A loop that begins when that stack is switched to. It looks after the stack's canary, if that is its guard.
inline fcontext worker::begin_loop_on(stack& s) noexcept {
#ifdef RONDO_ASAN
    __asan_unpoison_memory_region(s.limit, static_cast<std::size_t>(s.base + s.size - s.limit));
#endif
    const auto entry = s.guard == guard_kind::canary ? &worker::loop_entry<true> : &worker::loop_entry<false>;
    return boost::context::detail::make_fcontext(s.top, static_cast<std::size_t>(s.top - s.base), entry);
}

[[gnu::always_inline]] inline void worker::leave(worker& w, departure& d, task* into) noexcept {
    task* const me = w.running;
    precise::from_here(static_cast<const void*>(&w.home));
    const precise::on_loop until_it_is_back;
    if (w.ended_in_.load(relaxed)) [[unlikely]] w.count_out();
    task* next = into ? into : w.pick();
    me->on.store(w.on_, relaxed);
    if (w.migrates_) [[unlikely]] me->order.store(w.index, relaxed);     // see scheduler::migrate()
    d.by = &w;
    ++w.counters.switches;
    fcontext to;
    if (next && (to = next->context.load(relaxed))) {
        w.run_next(*next);
    } else {
        w.handoff_ = next;
        w.running = nullptr;
        if (w.spare_context_) {
            to = std::exchange(w.spare_context_, nullptr);
            w.on_ = w.spare_stack_;
        } else {
            w.on_ = &w.stacks_.take();                // has_spare_stack() has seen to it
            w.stacks_taken.add(1);
            to = begin_loop_on(*w.on_);
        }
    }
    switch_stacks(w.here_, to, *w.on_, d, false, &worker::state_of);
    precise::forget_errno();
}

// The same to one that has started, in the simplest case: see pass_turn().
[[gnu::always_inline]] inline void worker::leave_to(worker& w, departure& d, task& next) noexcept {
    precise::from_here(static_cast<const void*>(&w.home));
    const precise::on_loop until_it_is_back;
    w.running->on.store(w.on_, relaxed);
    d.by = &w;
    ++w.counters.switches;
    w.run_next(next);
    switch_stacks(w.here_, next.context.load(relaxed), *w.on_, d, false, &worker::state_of);
    precise::forget_errno();
}

}  // namespace rondo::detail
