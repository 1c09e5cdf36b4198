// The call of what a tasklet was spawned with: whatever it throws ends here.
#pragma once

#include <exception>

#include <rondo/detail/task.hpp>
#include <rondo/error.hpp>

#include "precise.hpp"

namespace rondo::detail {

[[gnu::noinline, gnu::cold]] inline void keep_error(task& t, bool was_stopped) noexcept {
    t.flags.was_stopped = was_stopped;
    t.error = std::current_exception();
}

// Stopped before it began. What it was spawned with goes as it does from a tasklet that has begun, by an exception: so a
// rondo::reply among it knows that its handler may be failing.
[[noreturn, gnu::noinline, gnu::cold]] inline void throw_before_it_begins(task& t) {
    struct discarding {
        task& t;
        ~discarding() { t.ops->discard(t); }
    } const on_the_way{t};
    throw stopped();
}

/// False: `run` ended with an exception, which is in t.error. May suspend: afterwards the caller may be on another worker.
template <class Run>
[[gnu::always_inline]] inline bool run_body(task& t, Run run) noexcept {
    try {
        if (t.stop_requested()) [[unlikely]] throw_before_it_begins(t);
        run();
        precise::from_end_of(t);
        return true;
    } catch (const stopped&) {
        keep_error(t, true);
    } catch (...) {
        keep_error(t, false);
    }
    precise::from_end_of(t);
    return false;
}

}  // namespace rondo::detail
