// Nobody starves beside tasklets that compute for long between their calls, or that fork and join all the time. What is counted is
// how often the others have their turn first, not how long that takes.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <utility>

#include <rondo/rondo.hpp>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using rondo::runtime;

void compute_for(std::chrono::microseconds d) {
    for (const auto until = clock_type::now() + d; clock_type::now() < until;) {}
}

// How many slices go by, at most, while somebody sleeps for a millisecond beside so many tasklets, on one worker, that compute for so
// long and then let others go on. The first sleeps do not count: nothing is known of the slices yet.
std::uint64_t slices_before_a_sleeper(int tasklets, std::chrono::microseconds slice, void (*let_others_go_on)()) {
    runtime rt({.workers = 1});
    std::atomic<bool> end{false};
    std::atomic<std::uint64_t> slices{0};
    std::uint64_t most = 0;
    rt.run([&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < tasklets; ++i)
                g.spawn([&] {
                    for (; !end; ++slices) {
                        compute_for(slice);
                        let_others_go_on();
                    }
                });
            for (int i = 0; i < 8; ++i) {
                const auto before = slices.load();
                rondo::sleep_for(1ms);
                if (i >= 3) most = std::max(most, slices.load() - before);
            }
            end = true;
        });
    });
    return most;
}

}  // namespace

TEST_CASE("sleepers go on beside tasklets that yield seldom", "[fairness]") {
    const auto slice = GENERATE(300us, 2000us);
    CHECK(slices_before_a_sleeper(2, slice, rondo::yield) < 40);
}

TEST_CASE("a checkpoint lets others go on once a tasklet has computed for a millisecond", "[fairness]") {
    const auto step = GENERATE(100us, 1000us);
    CHECK(slices_before_a_sleeper(1, step, rondo::checkpoint) < 60);
}

TEST_CASE("a tasklet that spawns and joins again and again starves nobody", "[fairness]") {
    const unsigned workers = GENERATE(1u, 2u);
    runtime rt({.workers = workers});
    std::atomic<bool> slept{false}, begun{false}, told{false};
    struct listener {
        std::atomic<bool>& told;
        void on(int) { told = true; }
    };
    rt.run([&] {
        auto a = rondo::start<listener>(told);
        const auto over = [&] { return slept && begun && told; };
        rondo::scope([&](rondo::group& g) {
            for (unsigned i = 0; i < workers + 1; ++i)
                g.spawn([&] {
                    while (!over()) rondo::spawn([] {}).join();
                });
            g.spawn([&] {
                rondo::sleep_for(1ms);
                slept = true;
                a.tell(1);
                while (!over()) rondo::all([] {}, [] {});
            });
            g.spawn([&] { begun = true; });
        });
    });
}

namespace {

long fib(int n) {
    if (n < 2) return n;
    auto one = rondo::spawn([n] { return fib(n - 1); });
    const long other = fib(n - 2);
    return one.join() + other;
}

}  // namespace

TEST_CASE("fork and join beside a sleeper needs stacks for its depth all the same", "[fairness]") {
    runtime rt({.workers = GENERATE(1u, 2u)});
    rt.run([&] {
        std::atomic<bool> end{false};
        auto sleeper = rondo::spawn([&] {
            while (!end) rondo::sleep_for(100us);
        });
        CHECK(fib(24) == 46368);
        end = true;
        sleeper.join();
    });
    CHECK(rt.stats().stacks < 400);
}

TEST_CASE("an actor with a long mailbox and slow handlers lets others go on", "[fairness]") {
    runtime rt({.workers = 1});
    std::atomic<std::uint64_t> handled{0};
    struct slow {
        std::atomic<std::uint64_t>& handled;
        void on(int) {
            compute_for(1000us);
            ++handled;
        }
    };
    rt.run([&] {
        auto a = rondo::start<slow>(rondo::actor_options{.mailbox_slots = 1000}, handled);
        for (int i = 0; i < 100; ++i) a.tell(i);
        std::uint64_t before = 0, most = 0;
        for (int i = 0; i < 3; ++i) {                     // the first turns teach the worker how long they are
            rondo::yield();
            most = std::max(most, handled - std::exchange(before, handled.load()));
        }
        CHECK(most < 40);
        a.kill();
    });
}

TEST_CASE("beyond the breadth limit chains of ready tasklets let unstarted ones begin", "[fairness]") {
    runtime rt({.workers = 1, .breadth_limit = 8});
    std::atomic<bool> end{false};
    std::atomic<std::uint64_t> messages{0};
    rt.run([&] {
        rondo::scope([&](rondo::group& g) {
            for (int pair = 0; pair < 20; ++pair) {
                rondo::channel<int> line(rondo::handoff::none);
                g.spawn([&, line] {
                    while (!end) line.send(1);
                    line.close();
                });
                g.spawn([&, line] {
                    while (line.next()) ++messages;
                });
            }
            rondo::sleep_for(2ms);
            const auto before = messages.load();
            auto late = g.spawn([&] { return messages.load(); });
            CHECK(late.join() - before < 50'000);
            end = true;
        });
    });
}
