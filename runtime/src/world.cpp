// A world: a runtime whose clock is ours. Its workers arm timers as always, and park without a limit; we look at their
// wheels while they stand still, and fire what is due.
#include <rondo/testing.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "blocking_threads.hpp"
#include "precise.hpp"
#include "scheduler.hpp"
#include "splitmix.hpp"

namespace rondo::testing {

using detail::relaxed;
using detail::timer_wheel;

class world::virtual_clock final : public environment {
public:
    lowlevel::time_point now() noexcept override {
        // acquire: pairs with the release in set().
        return lowlevel::time_point(std::chrono::nanoseconds(now_ns_.load(detail::acquire)));
    }
    std::uint64_t random() noexcept override { return detail::next_random(state_); }       // by any worker
    void set(std::int64_t ns) noexcept { now_ns_.store(ns, detail::release); }      // pairs with the acquire in now()
    [[nodiscard]] std::int64_t ns() const noexcept { return now_ns_.load(relaxed); }

private:
    detail::atomic<std::int64_t> now_ns_{
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()};
    detail::atomic<std::uint64_t> state_{0x2545f4914f6cdd1dull};
};

namespace {

runtime_options with_clock(runtime_options o, environment* clock) {
    if (o.world) throw usage_error("testing::world brings its own environment: leave runtime_options::world alone");
    o.world = clock;
    return o;
}

}  // namespace

world::world(runtime_options options)
    : clock_(std::make_unique<virtual_clock>()), runtime_(with_clock(std::move(options), clock_.get())),
      exceptions_before_(std::uncaught_exceptions()) {}

world::~world() noexcept(false) {
    if (finished_ || std::uncaught_exceptions() > exceptions_before_) return;
    try {
        finish();
    } catch (const leaked& e) {
        // Printed as well: those who are left are stopped now, and may refer to what is gone by now.
        fmt::print(stderr, "{}\n", e.what());
        throw;
    }
}

void world::check_outside(const char* call) const {
    const detail::worker* const w = detail::worker::current();
    if ((w && w->running) || detail::blocking_threads::serves == &runtime_.impl())
        throw usage_error(std::string(call) + " is for the test's own thread, not for a tasklet");
}

lowlevel::time_point world::now() const noexcept { return clock_->now(); }

void world::stand_still() { runtime_.impl().wait_until_quiet(lowlevel::no_deadline, true); }

void world::throw_errors() {
    if (auto errors = runtime_.impl().take_errors(); !errors.empty()) std::rethrow_exception(errors.front());
}

void world::settle() {
    check_outside("testing::world::settle");
    stand_still();
    throw_errors();
}

// Everything stands still. Moves the clock to the next timer that is due by `until` and fires it, with all others of the
// same moment. False: there is none.
bool world::fire_next(lowlevel::time_point until) {
    auto& workers = runtime_.impl().workers;
    auto first = timer_wheel::never;
    for (auto& w : workers) first = std::min(first, w->wheel.next_deadline());
    if (first == timer_wheel::never || lowlevel::time_point(std::chrono::nanoseconds(first)) > until) return false;
    clock_->set(std::max(clock_->ns(), first));
    for (auto& w : workers) w->resume_expired(w->wheel.expire(clock_->ns()));
    return true;
}

void world::advance(detail::time_span span) {
    check_outside("testing::world::advance");
    const detail::ticks d = span;
    if (d < d.zero()) throw usage_error("testing::world::advance: time does not go backwards");
    const auto until = d > lowlevel::time_point::max() - now() ? lowlevel::no_deadline : now() + d;
    do stand_still();
    while (fire_next(until));
    if (until != lowlevel::no_deadline)
        clock_->set(std::chrono::duration_cast<std::chrono::nanoseconds>(until.time_since_epoch()).count());
    settle();
}

void world::run_until_done(detail::task_ref main) {
    do stand_still();
    while (!detail::task_done(main) && (fire_next(lowlevel::no_deadline) || runtime_.impl().wait_for_others()));
    if (!detail::task_done(main)) throw runtime_.impl().make_deadlock();
    if (main.t->id.load(detail::acquire) == main.id && main.t->error) return;      // run() joins it
    throw_errors();
}

void world::finish() {
    check_outside("testing::world::finish");
    finished_ = true;
    settle();
    if (leftovers_expected_) return;
    auto& home = runtime_.impl();
    // acquire: pairs with the release in attach(). Actors end with their world; a message still to come is a leak, though.
    if (auto* layer = detail::precise::seen(home.above); layer && home.live() <= layer->background()) {
        layer->end();
        settle();
    }
    auto left = runtime_.tasklets();
    if (left.empty()) return;
    std::string report =
        fmt::format("rondo::testing::world: {} tasklet{} left at the end (advance() the clock if they wait for time, "
                    "stop and join them, or call expect_leftovers() if that is meant):",
                    left.size(), left.size() == 1 ? " is" : "s are");
    for (auto& info : left) report += "\n  " + describe(info);
    throw leaked(report, std::move(left));
}

}  // namespace rondo::testing
