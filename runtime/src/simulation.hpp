// Who goes on, decided step by step: what the one worker of a runtime asks instead of its own queues while
// rondo::testing::explore runs. A schedule is one run of the program under test, from its first tasklet to its last.
//
// A step begins where a tasklet could be interrupted: in every call that may suspend (its slice is 0 operations long, so
// that lowlevel::enter() always takes the way of a slice that is used up), after spawn, after unlock; and where it
// suspends or ends. At each step all that are ready are offered to a chooser, which picks one of them by its index:
//   - the running tasklet first, if it may go on: index 0 lets it go on;
//   - then those that are ready, in the order in which they became so: index 0 is what a plain run queue would do;
//   - the running tasklet last, if it yields.
// So a schedule is the list of its choices, and the few that are not 0 tell it from first-in-first-out.
//
// Time is virtual: it stands still while anybody is ready, and then moves to the next timer.
//
// The driver is the tasklet that explores. It waits inside run_schedule() and is not among those that are offered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <rondo/run.hpp>

namespace rondo::detail {

class worker;

class chooser {
public:
    virtual ~chooser() = default;
    enum class running : std::uint8_t { none, first, last };      // where the running tasklet is among those offered
    /// An index into `who`, at least two tasklets, known by their numbers (0 is main, then in order of creation).
    virtual std::size_t choose(std::span<const std::uint32_t> who, running where) noexcept = 0;
};

/// A choice that is not 0, and how many choices came before it.
struct deviation {
    std::size_t at;
    std::uint32_t index;
};
[[nodiscard]] std::vector<deviation> deviations(const std::vector<std::uint32_t>& choices);
/// "seed/zeros:index,zeros:index,...": the seed of random(), then for each deviation how many zeros are before it.
[[nodiscard]] std::string replay_text(std::uint64_t seed, const std::vector<deviation>& what);

class simulation final : public environment {
public:
    static constexpr std::uint32_t nobody = ~0u;
    static constexpr std::int64_t start_ns = 1'000'000'000'000'000;   // the same in every schedule, and no early time

    enum class step : std::uint8_t { interrupted, yielded, waits, ended, time };
    struct event {
        step what;
        lowlevel::wait_kind kind;                 // waits: for what
        std::uint32_t who, object, after;         // object: its number (a joined tasklet's own); after: so many calls
        std::int64_t at_ns;
    };
    enum class end : std::uint8_t { all_ended, stuck, too_long, failed };

    // ---- for the driver
    struct plan {
        chooser* by;
        std::uint64_t seed;                       // of random()
        std::uint64_t steps_max;
        bool keep_trace;
    };
    /// Waits until the schedule has come to its end. The driver has spawned its first tasklet just before.
    end run_schedule(const plan& p) noexcept;
    /// After a failure: lets those that are left run on, first in first out, until `this_one` has ended, nobody can go on
    /// (the clock stands still unless time_moves), or it has taken too long.
    void run_rest(task_ref this_one, bool time_moves) noexcept;
    /// Nothing can make this one end, and no timer is armed: it counts as ended, but its frames stay as they are for ever.
    /// False: a timer is armed.
    bool abandon(task_ref one) noexcept;
    /// How many have been abandoned, in all schedules.
    [[nodiscard]] std::size_t abandoned() const noexcept { return abandoned_; }
    /// From a tasklet: the schedule has failed; the driver goes on at the next step.
    void fail() noexcept { failed_ = true; }

    /// What repeats the schedule that runs now, as far as it has come.
    [[nodiscard]] std::string replay() const { return replay_text(plan_.seed, deviations(choices)); }

    // ---- about the last schedule
    std::vector<std::uint32_t> choices;           // where there was more than one to choose from
    std::vector<event> trace;                     // keep_trace only, as the next one
    std::vector<tasklet_info> tasklets;           // in the order of their numbers: id, name, role, spawn_site
    std::vector<std::string> objects;             // by their numbers: what the trace calls them
    std::uint64_t steps = 0;
    std::uint64_t hash = 0;                       // of every step

    // ---- environment
    lowlevel::time_point now() noexcept override { return lowlevel::time_point(std::chrono::nanoseconds(now_ns_)); }
    std::uint64_t random() noexcept override;
    simulation* simulated() noexcept override { return this; }

    // ---- for the worker
    /// The next to run, not the running one: it is suspending, or has ended. nullptr: not from here; the loop asks again.
    task* pick(worker& w) noexcept;
    /// The running tasklet could be interrupted here. nullptr: it goes on; else the one to switch to.
    task* at_point(worker& w, task& me, bool yields) noexcept;

private:
    enum class mode : std::uint8_t { off, schedule, rest };
    struct ready_tasklet {
        task* t;
        std::uint32_t number;
    };
    static constexpr std::uint64_t most_rest_steps = 100'000;     // of one that was told to stop
    static constexpr unsigned longest_run = 1000; // calls in a row; then it counts as yielding, so that nobody spins for ever

    void collect(worker& w);
    std::uint32_t number_of(task& t);
    std::uint32_t number_of(const void* object, lowlevel::wait_kind kind);
    [[nodiscard]] bool over() noexcept;
    bool end_actors(worker& w);
    [[nodiscard]] bool rest_is_over() noexcept { return task_done(rest_until_) || rest_steps_ > most_rest_steps; }
    task* take(std::size_t i) noexcept;
    task* back_to_driver(end how) noexcept;
    void suspend_driver() noexcept;
    std::size_t ask(chooser::running where) noexcept;
    void note(step what, lowlevel::wait_kind kind = lowlevel::wait_kind::none, const void* object = nullptr);
    void mix(std::uint64_t x) noexcept { hash = (hash ^ x) * 0x100000001b3ull; }

    mode mode_ = mode::off;
    plan plan_{};
    end end_ = end::all_ended;
    bool failed_ = false;
    std::int64_t now_ns_ = start_ns;
    std::uint64_t random_state_ = 0;
    lowlevel::wait_node* driver_ = nullptr;
    std::vector<ready_tasklet> ready_;
    std::vector<std::uint32_t> offered_;
    std::uint32_t current_ = nobody;              // who runs, or has just left
    unsigned in_a_row_ = 0;                       // calls since it was chosen
    task_ref rest_until_{};
    bool rest_time_moves_ = false;
    std::uint64_t rest_steps_ = 0;
    std::size_t abandoned_ = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
    std::unordered_map<const void*, std::uint32_t> objects_;
};

}  // namespace rondo::detail
