// A game on a runtime, whoever the players are: they sit down, play and go home, and each takes its time.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <utility>

#include <rondo/rondo.hpp>

#include "game.hpp"
#include "interrupt.hpp"
#include "machine.hpp"
#include "outcome.hpp"

namespace hackysack {

inline void take_stats(const rondo::runtime_stats& stats, outcome& result) {
    result.steals = stats.steals;
    result.left_over = stats.live;
    double dispatched = 0;
    for (const auto& worker : stats.per_worker) dispatched += static_cast<double>(worker.dispatched);
    for (const auto& worker : stats.per_worker)
        result.shares.push_back(static_cast<double>(worker.dispatched) / std::max(1.0, dispatched));
}

/// The first thing that went wrong. What goes wrong later follows from it, and is not kept.
class first_failure {
public:
    void note(std::exception_ptr what) noexcept {
        if (!happened_.exchange(true)) what_ = std::move(what);
    }
    [[nodiscard]] bool happened() const noexcept { return happened_.load(); }
    /// Once all who could note anything have ended.
    void rethrow_if_any() const {
        if (what_) std::rethrow_exception(what_);
    }

private:
    std::atomic<bool> happened_ = false;
    std::exception_ptr what_;
};

/// Engine: seat_players(), seated(), play_bags(), send_home(), failure_.
template <class Engine>
outcome play_on_runtime(const game& g, const interrupt& stop, Engine& engine) {
    outcome result{.played = g};
    rondo::runtime rt{{.workers = g.workers}};
    const double memory_before = resident_bytes();
    stopwatch going_home;
    rt.run([&] {
        try {
            stopwatch watch;
            engine.seat_players();
            result.set_up_s = watch.lap_s();
            result.bags = engine.play_bags();
            result.play_s = watch.lap_s();
            const auto players = static_cast<double>(std::max<std::size_t>(1, engine.seated()));
            result.bytes_per_player = (resident_bytes() - memory_before) / players;
        } catch (const std::exception&) {
            engine.failure_.note(std::current_exception());
        }
        going_home = stopwatch();
        engine.send_home();
    });
    engine.failure_.rethrow_if_any();
    result.end_s = going_home.lap_s();
    result.interrupted = stop.requested();
    take_stats(rt.stats(), result);
    result.left_over += rondo::live_actors(rt);
    return result;
}

}  // namespace hackysack
