// The call of what a tasklet was spawned with: whatever it throws ends here.
#pragma once

#include <exception>

#include <rondo/detail/task.hpp>
#include <rondo/error.hpp>

namespace rondo::detail {

/// False: `run` ended with an exception, which is in t.error. May suspend: afterwards the caller may be on another worker.
template <class Run>
bool run_body(task& t, Run run) noexcept {
    try {
        if (t.stop_requested()) [[unlikely]] {        // stopped before it began
            t.ops->discard(t);
            throw stopped();
        }
        run();
        return true;
    } catch (const stopped&) {
        t.flags.was_stopped = true;
        t.error = std::current_exception();
    } catch (...) {
        t.error = std::current_exception();
    }
    return false;
}

}  // namespace rondo::detail
