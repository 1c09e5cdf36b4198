// The real lookout, idle_workers and wake_token under the model's atomics: while a worker sits on what it does not get to, and
// another one is parked, somebody comes by and looks, or has been woken. worker::find_work() and the pushes of worker_queues.cpp
// are here without their clocks, and one of each kind of queue stands for all: a search is one round, in which nobody has been
// seen to be stuck yet.
//
// Whoever finds work here is stuck with it for good. One who looks and sleeps would wake up by its clock and take whatever there
// is: so that is a good end, but for its first times, when it finds nobody stuck. Whoever is parked without a limit stays so.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <utility>

#include "runtime/src/idle_workers.hpp"
#include "runtime/src/injection_queue.hpp"
#include "runtime/src/lookout.hpp"
#include "runtime/src/wake_token.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct job {
    model::plain<job*> next{nullptr};
    model::plain<int> payload{0};
    int taken = 0;
};

struct runtime;

struct worker {
    runtime* home = nullptr;
    unsigned index = 0;
    unsigned looks_before = 0;                            // so often it wakes by its clock, and finds nobody stuck yet
    bool asleep = false, looking = false, stuck = false;  // each ends as one of these
    bool is_dismissed = false;                            // a spare one: sits down for good when it finds nothing, ...
    bool parks_first = false;                             // but parks before that
    bool sits_down_silently = false;                      // a bug: wakes nobody then
    wake_token token{};

    void find_work(bool searching = false);

    // For lookout::park().
    [[nodiscard]] bool sees_work() const;
    [[nodiscard]] bool sees_work_later() const { return sees_work(); }
    void all_parked() {}
    void tidy_up() {}
    void until_woken() { token.wait(); }
    void sleep(bool looks);
};

struct runtime {
    explicit runtime(unsigned n, bool fences_lightly = true, unsigned spares = 0)
        : idle(n - spares, spares), look(idle, true), lightly(fences_lightly), workers(n) {
        for (unsigned i = 0; i < n; ++i) all[i].home = this, all[i].index = i;
    }

    idle_workers idle;
    lookout look;
    const bool lightly;                                   // pushes have no fence
    const unsigned workers;
    injection_queue<job> offered;                         // to whoever searches
    atomic<job*> kept{nullptr};                           // in a next slot, or too little to be worth a theft
    std::array<worker, 3> all;
    std::array<job, 2> jobs;
    unsigned made = 0;

    job& make() {
        jobs[made].payload = 1;
        return jobs[made++];
    }
    void wake_for_work() {
        if (const int w = idle.to_wake(); w >= 0) all[static_cast<unsigned>(w)].token.wake();
    }
    void inject() {
        offered.push(&make());
        wake_for_work();
    }
    void push_offered() {
        offered.push(&make());
        lookout::after_push(lightly);
        if (idle.would_wake()) wake_for_work();
    }
    void push_kept() {
        kept.store(&make(), release);
        lookout::after_push(lightly);
        if (idle.would_wake() && !look.somebody_looks()) wake_for_work();
    }
    // Everybody has come to an end, or waits for good.
    void check_nobody_sleeps_through() const {
        bool anybody_sleeps = false, anybody_looks = false, anything_left = false;
        for (unsigned i = 0; i < workers; ++i) {
            model::check(all[i].asleep || all[i].stuck, "who is being woken goes on");
            anybody_sleeps |= all[i].asleep;
            anybody_looks |= all[i].asleep && all[i].looking;
        }
        for (unsigned i = 0; i < made; ++i) anything_left |= jobs[i].taken == 0;
        model::check(!anything_left || !anybody_sleeps || anybody_looks, "while work waits and a worker sleeps, somebody looks");
    }
};

bool worker::sees_work() const { return !home->offered.empty(); }

void worker::find_work(bool searching) {
    for (;; searching = true) {
        if (!searching) searching = home->idle.begin_search();
        if (job* x = searching ? home->offered.take_all() : nullptr) {        // with one job at a time in it
            const bool wakes = home->look.found(home->lightly, [&](bool anything) {
                return !home->offered.empty() || (anything && home->kept.load(relaxed));
            });
            if (wakes) home->wake_for_work();
            model::check(x->payload == 1, "a worker sees what was written before its job was published");
            model::check(++x->taken == 1, "no job is taken twice");
            stuck = true;
            return;
        }
        if (is_dismissed && !std::exchange(parks_first, false)) {             // worker::sit_down()
            home->idle.sit_down(searching);
            if (!sits_down_silently) home->wake_for_work();
            stuck = true;                                                     // it has no part in this any more
            return;
        }
        home->look.park(*this, index, searching);
    }
}

void worker::sleep(bool looks) {
    if (is_dismissed) {                                   // watchdog::bring_in_spares() takes it out
        if (!home->idle.take_back(index)) token.wait();
        return;
    }
    if (looks && looks_before > 0) {
        --looks_before;
        return token.wait(1, [] { return std::int64_t{1}; }, [&] { return home->idle.take_back(index); });
    }
    asleep = true;
    looking = looks;
    token.wait();
    asleep = false;
}

// Worker 0 pushes, and is stuck then; 1 and 2 look for work.
void zero_pushes_beside_two(runtime& r) {
    r.all[0].stuck = true;
    model::threads({[&] {
                        r.push_offered();
                        r.push_kept();
                    },
                    [&] { r.all[1].find_work(); }, [&] { r.all[2].find_work(); }},
                   model::at_end::may_wait);
    r.check_nobody_sleeps_through();
}

// 1 looks now and then, 2 parks.
model::outcome one_looks_one_parks(const model::bounds& b, bool lightly) {
    return model::explore(b, [lightly] {
        runtime r(3, lightly);
        r.all[1].looks_before = 1;
        zero_pushes_beside_two(r);
    });
}

// 2 has parked for good, since 1 looks. That one finds what 0 has pushed before, while 0 pushes more.
model::outcome last_searcher(const model::bounds& b, bool lightly) {
    return model::explore(b, [lightly] {
        runtime r(3, lightly);
        r.all[0].stuck = true;
        r.all[1].looks_before = 1;
        r.idle.park(2, false);
        model::threads({[&] {
                            r.push_offered();
                            r.push_kept();
                        },
                        [&] { r.all[1].find_work(); },
                        [&] {
                            r.all[2].sleep(false);
                            r.all[2].find_work(true);
                        }},
                       model::at_end::may_wait);
        r.check_nobody_sleeps_through();
    });
}

// Both park, so that nobody looks any more; then one is woken from outside, and keeps more than it can do.
model::outcome one_is_woken(const model::bounds& b) {
    return model::explore(b, [] {
        runtime r(2);
        r.all[0].looks_before = 1;
        const auto work = [&r](worker& me) {
            me.find_work();
            me.stuck = false;
            r.push_kept();
            me.stuck = true;
        };
        model::threads({[&] { work(r.all[0]); }, [&] { work(r.all[1]); }, [&] { r.inject(); }}, model::at_end::may_wait);
        r.check_nobody_sleeps_through();
    });
}

// 1 parks. 2 is a spare one that leaves, and may have been the one who looks.
model::outcome spare_leaves(const model::bounds& b, bool lightly, bool parks_first, bool silently) {
    return model::explore(b, [=] {
        runtime r(3, lightly, 1);
        r.idle.leave_bench();
        r.all[2].is_dismissed = true;
        r.all[2].parks_first = parks_first;
        r.all[2].sits_down_silently = silently;
        zero_pushes_beside_two(r);
    });
}

}  // namespace

TEST_CASE("a spare worker that leaves takes nobody's look-out with it", "[lookout][spare]") {
    for (const bool parks_first : {false, true})
        for (const bool lightly : {true, false}) {
            CHECK(spare_leaves({.preemptions = 2 + model::deep, .stale_reads = 1}, lightly, parks_first, false));
        }
}

TEST_CASE("a spare worker that left without waking anybody would", "[lookout][spare][mutant]") {
    CHECK_FALSE(spare_leaves({.preemptions = 2, .stale_reads = 1}, true, true, true));
}

TEST_CASE("nobody parks for good just when the one who looks has found work", "[lookout]") {
    for (const bool lightly : {true, false}) {
        const auto seen = one_looks_one_parks({.preemptions = (lightly ? 2 : 1) + model::deep, .stale_reads = 1}, lightly);
        CHECK(seen);
    }
}

TEST_CASE("a push without a fence is seen by the last searcher, or sees that nobody looks", "[lookout]") {
    for (const bool lightly : {true, false}) {
        const auto seen = last_searcher({.preemptions = 1 + model::deep, .stale_reads = 2}, lightly);
        CHECK(seen);
    }
}

TEST_CASE("who stops looking since all are parked looks on if one of them has been woken", "[lookout]") {
    for (const unsigned preemptions : {1u, 2u}) {
        const auto seen = one_is_woken({.preemptions = preemptions + model::deep, .stale_reads = 2 - 2 * (preemptions - 1)});
        CHECK(seen);
    }
}
