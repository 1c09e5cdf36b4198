// The real idle_workers and wake_token, with a real work_deque or injection_queue, under the model's atomics: no worker stays
// parked while work is left that nobody else is going to look for. What a worker does around them is worker::find_work() of
// runtime/src/worker_search.cpp, without timers and with one search round, where every push has its fence and nobody looks after
// the others (that is lookout_test.cpp's).
//
// A worker here ends with the first thing that it finds, as if that took for ever. So a lost wake-up shows as a thread
// that waits for its token for good, which explore() reports as stuck.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>

#include "runtime/src/idle_workers.hpp"
#include "runtime/src/injection_queue.hpp"
#include "runtime/src/spare_duty.hpp"
#include "runtime/src/wake_token.hpp"
#include "runtime/src/work_deque.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct job {
    model::plain<job*> next{nullptr};
    model::plain<int> payload{0};
    int taken = 0;
};

// Where the work comes from: a worker's own deque, or from outside through an inbox that one worker empties at a time.
struct deque_source {
    work_deque<job> jobs{0, 2};
    void push(job& x) { jobs.push(&x); }
    job* take() { return jobs.steal(); }
    [[nodiscard]] bool empty() const { return jobs.offered() == 0; }
};
struct inbox_source {
    injection_queue<job> jobs;
    void push(job& x) { jobs.push(&x); }
    job* take() { return jobs.take_all(); }               // with one job at a time in it
    [[nodiscard]] bool empty() const { return jobs.empty(); }
};

template <class Source>
struct scheduler {
    explicit scheduler(unsigned workers) : idle(workers) {}

    idle_workers idle;
    Source source;
    std::array<wake_token, 3> tokens;
    std::array<job, 2> jobs;

    void produce(unsigned i) {
        jobs[i].payload = 1;
        source.push(jobs[i]);
        wake_for_work();
    }
    void wake_for_work() {
        if (const int w = idle.to_wake(); w >= 0) tokens[static_cast<unsigned>(w)].wake();
    }
    void work(unsigned me) {                              // worker::find_work()
        bool searching = false;
        for (;;) {
            if (!searching) searching = idle.begin_search();
            if (searching)
                if (job* x = source.take()) {
                    found_while_searching();
                    model::check(x->payload == 1, "a worker sees what was written before its job was published");
                    model::check(++x->taken == 1, "no job is taken twice");
                    return;
                }
            park(me, searching);
            searching = true;
        }
    }
    void found_while_searching() {
        if (idle.end_search() && !source.empty()) wake_for_work();
    }
    void park(unsigned me, bool searching) {
        idle.park(me, searching);
        if (!source.empty() && idle.take_back(me)) return;
        tokens[me].wait();
    }
    void check_all_done(unsigned n) {
        for (unsigned i = 0; i < n; ++i) model::check(jobs[i].taken == 1, "each job is taken");
    }
};

template <class Source>
model::outcome one_job_one_worker(const model::bounds& b) {
    return model::explore(b, [] {
        scheduler<Source> s{2};
        model::threads({[&] { s.produce(0); }, [&] { s.work(1); }});
        s.check_all_done(1);
        model::check(!s.idle.somebody_searches(), "who has found work does not search any more");
    });
}

void two_jobs_two_workers() {
    scheduler<deque_source> s{3};
    model::threads({[&] {
                        s.produce(0);
                        s.produce(1);
                    },
                    [&] { s.work(1); }, [&] { s.work(2); }});
    s.check_all_done(2);
}

}  // namespace

TEST_CASE("no worker parks for good while its producer's deque holds a job", "[idle_workers]") {
    const auto seen = one_job_one_worker<deque_source>({.preemptions = 4, .stale_reads = 3});
    CHECK(seen);
}

TEST_CASE("no worker parks for good while a job has come from outside", "[idle_workers]") {
    const auto seen = one_job_one_worker<inbox_source>({.preemptions = 4, .stale_reads = 4});
    CHECK(seen);
}

TEST_CASE("the last searcher wakes the next one, so that two jobs get two workers", "[idle_workers]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, two_jobs_two_workers);
    CHECK(seen);
}

TEST_CASE("two jobs get two workers in long random runs", "[idle_workers]") {
    const auto seen = model::explore({.random = 200'000 + 2'000'000 * model::deep}, two_jobs_two_workers);
    CHECK(seen);
}

// scheduler::end_workers() and worker::sit_down(), with the watchdog that calls in once before that.
TEST_CASE("the end of a runtime reaches a spare worker that sits down just then, or is called in", "[idle_workers][spare]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 3}, [] {
        idle_workers idle{1, 1};
        wake_token token;
        spare_duty duty;
        atomic<bool> terminating{false};
        const auto call_in = [&] {
            if (!duty.call_in()) return;
            idle.leave_bench();
            token.wake();
        };
        model::threads({[&] {
                            call_in();                    // the watchdog, which is gone before the end
                            duty.dismiss();
                            call_in();
                            terminating.store(true, release);
                            fence_seq_cst();
                            call_in();
                        },
                        [&] {
                            token.wait();
                            while (!terminating.load(acquire)) {
                                idle.sit_down(false);
                                if (duty.sit_down(terminating)) token.wait();
                                else idle.leave_bench();
                            }
                        }});
        model::check(!idle_workers::all_parked(idle.snapshot()), "the one and the spare one are both awake");
    });
    CHECK(seen);
}

// scheduler::end_workers() and, of a worker, find_work() and lookout::park().
TEST_CASE("the end of a runtime reaches a worker that parks just then", "[idle_workers]") {
    const auto seen = model::explore({.preemptions = 3, .stale_reads = 3}, [] {
        idle_workers idle{1};
        wake_token token;
        atomic<bool> terminating{false};
        model::threads({[&] {
                            terminating.store(true, release);
                            fence_seq_cst();
                            while (idle.take_parked() >= 0) token.wake();
                        },
                        [&] {
                            for (bool searching = false; !terminating.load(acquire); searching = true) {
                                idle.park(0, searching);
                                if (!terminating.load(relaxed) || !idle.take_back(0)) token.wait();
                            }
                        }});
    });
    CHECK(seen);
}

TEST_CASE("one parked worker is woken by one of two producers", "[idle_workers]") {
    const auto seen = model::explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [] {
        idle_workers idle{3};
        idle.park(2, false);
        int wakes = 0;
        const auto produce = [&] {
            if (const int w = idle.to_wake(); w >= 0) {
                model::check(w == 2, "who is woken was parked");
                ++wakes;
            }
        };
        model::threads({produce, produce, [&] { wakes += idle.take_back(2); }});
        model::check(wakes == 1, "a worker is woken once");
        model::check(idle.somebody_searches() && !idle.somebody_parked(), "and counts as searching then");
    });
    CHECK(seen);
}

// Its time is over at once. So either it takes itself back, or it waits for the waker that was faster; in both cases its token
// is as before, and the next wake-up comes through.
TEST_CASE("a worker whose time is over misses no wake-up, and gets none twice", "[idle_workers]") {
    const auto seen = model::explore({.preemptions = 4, .stale_reads = 3}, [] {
        idle_workers idle{2};
        wake_token token;
        model::plain<int> work{0};
        int wakes = 0;
        const auto wake_another = [&] {
            if (idle.to_wake() < 0) return false;
            token.wake();
            return true;
        };
        model::threads({[&] {
                            work = 1;
                            wakes += wake_another();
                        },
                        [&] {
                            idle.park(1, false);
                            bool took_itself_back = false;
                            token.wait(1, [] { return std::int64_t{1}; },
                                       [&] { return took_itself_back = idle.take_back(1); });
                            if (!took_itself_back) model::check(work == 1, "who was woken sees what was published before");
                            model::check(!token.has_come(), "no wake-up is left behind");
                            model::check(!idle.somebody_parked() && idle.somebody_searches(), "and it is awake");
                        }});
        model::check(wakes <= 1, "a worker is woken once");
    });
    CHECK(seen);
}

TEST_CASE("when all have parked it is seen, though one was woken and parked again meanwhile", "[idle_workers]") {
    const auto seen = model::explore({.preemptions = 4, .stale_reads = 3}, [] {
        idle_workers idle{2};
        idle.park(1, false);
        const auto park = [&](unsigned me, bool searching) {          // without work: worker::park()
            idle.park(me, searching);
            if (idle_workers::all_parked(idle.snapshot())) idle.note_rest();
        };
        model::threads({[&] { park(0, false); },
                        [&] {
                            if (idle.take_back(1)) park(1, true);
                        }});
        model::check(idle.is_at_rest(idle.snapshot()), "all have parked, and it is seen");
    });
    CHECK(seen);
}
