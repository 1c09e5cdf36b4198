// The states in which actors are killed under stress, and the count that shows that each of them has been tried.
#pragma once

#include <array>
#include <atomic>

#include <rondo/error.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/time.hpp>

namespace actor_states {

// What the handler, the constructor or the destructor of one that is killed waits for, or what its object has under way.
enum state : unsigned {
    on_channel, sleeping, asking, telling, locking, selecting, joining_actor, joining_tasklet, behaving, starting,
    constructing, destroying, owing, with_every, with_idle_timeout, with_watch, states
};
inline constexpr std::array<const char*, states> state_names{
    "on a channel", "in a sleep", "in ask", "in tell, for room", "on a mutex", "in select", "in join of an actor",
    "in join of a tasklet", "under become", "in on(started)", "in the constructor", "in the destructor",
    "owing an answer", "with every pending", "with an idle timeout", "with a watch"};

/// How often an end came in which state.
using ends = std::array<std::atomic<long>, states>;

/// Waits as f does; a stop that ends the wait is counted.
template <class F>
void wait_in(state s, ends& all, F f) {
    try {
        f();
    } catch (const rondo::stopped&) {
        ++all[s];
        throw;
    }
}

/// The wait of a destructor. No stop ends it; one that comes meanwhile is counted.
template <class Duration>
void linger(ends& all, Duration d) noexcept {
    const auto stop = rondo::this_tasklet::stop_token();
    const bool was_stopped = stop.stop_requested();
    rondo::sleep_for(d);
    if (!was_stopped && stop.stop_requested()) ++all[destroying];
}

}  // namespace actor_states
