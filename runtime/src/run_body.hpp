// The call of what a tasklet was spawned with: whatever it throws ends here.
#pragma once

#include <exception>

#include <rondo/detail/task.hpp>
#include <rondo/error.hpp>

namespace rondo::detail {

[[gnu::noinline, gnu::cold]] inline void keep_error(task& t, bool was_stopped) noexcept {
    t.flags.was_stopped = was_stopped;
    t.error = std::current_exception();
}

/// False: `run` ended with an exception, which is in t.error. May suspend: afterwards the caller may be on another worker.
template <class Run>
[[gnu::always_inline]] inline bool run_body(task& t, Run run) noexcept {
    try {
        if (t.stop_requested()) [[unlikely]] {        // stopped before it began
            t.ops->discard(t);
            throw stopped();
        }
        run();
        return true;
    } catch (const stopped&) {
        keep_error(t, true);
    } catch (...) {
        keep_error(t, false);
    }
    return false;
}

}  // namespace rondo::detail
