// Exploration: planted bugs that must be found, correct programs that must not be flagged, and what the explorer promises.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/as_completed.hpp>
#include <rondo/channel.hpp>
#include <rondo/condition_variable.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/mutex.hpp>
#include <rondo/scope.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"
#include "support/last_words.hpp"

using namespace std::chrono_literals;
using namespace support;
using rondo::testing::exploration_failed;
using rondo::testing::explore;
using rondo::testing::explore_options;
using rondo::testing::explore_report;
using rondo::testing::failure;
using rondo::testing::schedules;

namespace {

// The same options, and a report instead of an exception.
explore_options quiet(explore_options o) {
    o.throws = false;
    return o;
}

const auto every_strategy = [] { return GENERATE(schedules::mixed, schedules::random, schedules::priorities, schedules::exhaustive); };

// ---------------------------------------------------------------------------------------------- programs with a bug

bool lost_update_over_a_yield() {
    int x = 0;
    rondo::scope([&](rondo::group& g) {
        for (int i = 0; i < 2; ++i)
            g.spawn([&] {
                const int seen = x;
                rondo::yield();
                x = seen + 1;
            });
    });
    return x == 2;
}

bool lost_update_between_two_locks() {            // no yield: read under the lock, write under the lock, not in between
    int x = 0;
    rondo::mutex m;
    rondo::scope([&](rondo::group& g) {
        for (int i = 0; i < 2; ++i)
            g.spawn([&] {
                int seen;
                {
                    const std::lock_guard hold(m);
                    seen = x;
                }
                const std::lock_guard hold(m);
                x = seen + 1;
            });
    });
    return x == 2;
}

void lock_order() {
    rondo::mutex a, b;
    auto one = rondo::spawn({.name = "one"}, [&] {
        const std::lock_guard first(a);
        const std::lock_guard second(b);
    });
    auto two = rondo::spawn({.name = "two"}, [&] {
        const std::lock_guard first(b);
        const std::lock_guard second(a);
    });
    one.join();
    two.join();
}

// An event by hand: whoever waits looks at the flag first, but not in one step with waiting.
void lost_wake_up() {
    bool is_set = false;
    rondo::channel<int> bell;
    auto waiter = rondo::spawn([&] {
        if (!is_set) bell.receive();
    });
    auto setter = rondo::spawn([&] {
        is_set = true;
        int ring = 1;
        (void)bell.try_send(ring);                // nobody waits yet: nobody to wake
    });
    waiter.join();
    setter.join();
}

// Of all the orders of 2 x 25 steps only those show the bug in which the whole of one lies in one gap of the other.
bool one_order_in_thousands() {
    constexpr int steps = 25;
    int done_by_other = 0;
    bool bug = false;
    rondo::scope([&](rondo::group& g) {
        g.spawn([&] {
            for (int i = 0; i < steps; ++i) {
                const int before = done_by_other;
                rondo::checkpoint();
                if (i == 17 && before == 0 && done_by_other == steps) bug = true;
            }
        });
        g.spawn([&] {
            for (int i = 0; i < steps; ++i) {
                rondo::checkpoint();
                ++done_by_other;
            }
        });
    });
    return !bug;
}

// ---------------------------------------------------------------------------------------------- programs without one

bool bank() {
    struct account {
        rondo::mutex m;
        long cents = 100;
    } all[3];
    rondo::scope([&](rondo::group& g) {
        for (int i = 0; i < 3; ++i)
            g.spawn([&, i] {
                auto &from = all[i], &to = all[(i + 1) % 3];
                auto &low = &from < &to ? from : to, &high = &from < &to ? to : from;
                const std::lock_guard first(low.m);
                const std::lock_guard second(high.m);
                from.cents -= 10;
                rondo::yield();
                to.cents += 10;
            });
    });
    return all[0].cents + all[1].cents + all[2].cents == 300;
}

bool pipeline() {
    rondo::channel<int> raw, cooked{2};
    long sum = 0;
    rondo::scope([&](rondo::group& g) {
        g.spawn([=] {
            for (int i = 1; i <= 5; ++i) raw.send(i);
            raw.close();
        });
        g.spawn([=] {
            for (int v : raw) cooked.send(10 * v);
            cooked.close();
        });
        g.spawn([&] {
            for (int v : cooked) sum += v;
        });
    });
    return sum == 150;
}

bool queue_with_condition() {
    rondo::mutex m;
    rondo::condition_variable changed;
    std::vector<int> queue;
    int got = 0;
    rondo::scope([&](rondo::group& g) {
        for (int i = 0; i < 2; ++i)
            g.spawn([&] {
                std::unique_lock hold(m);
                changed.wait(hold, [&] { return !queue.empty(); });
                got += queue.back();
                queue.pop_back();
            });
        for (int i = 1; i <= 2; ++i)
            g.spawn([&, i] {
                {
                    const std::lock_guard hold(m);
                    queue.push_back(i);
                }
                changed.notify_one();
            });
    });
    return got == 3;
}

bool timeouts_and_stops() {
    rondo::event never;
    const auto start = rondo::now();
    if (rondo::within(3h, [&] { never.wait(); })) return false;
    if (rondo::now() - start != 3h) return false;
    auto t = rondo::spawn([&] { never.wait(); });
    if (t.join_for(1s)) return false;
    t.stop();
    const auto end = end_of([&] { t.join(); });
    return end == "stopped" && rondo::race([] { rondo::sleep_for(2h); return 2; }, [] { rondo::sleep_for(1h); return 1; }) == 1;
}

bool readers_and_writers() {
    rondo::shared_mutex m;
    int a = 0, b = 0;
    bool torn = false;
    rondo::scope([&](rondo::group& g) {
        for (int i = 0; i < 2; ++i) {
            g.spawn([&] {
                const std::lock_guard hold(m);
                ++a;
                rondo::yield();
                ++b;
            });
            g.spawn([&] {
                const std::shared_lock hold(m);
                const int seen = a;
                rondo::yield();
                if (seen != b) torn = true;
            });
        }
    });
    return !torn && a == 2 && b == 2;
}

bool spins_until_it_is_told() {
    bool go = false;
    auto polite = rondo::spawn([&] {
        while (!go) rondo::yield();
    });
    auto rude = rondo::spawn([&] {
        while (!go) rondo::checkpoint();
    });
    auto teller = rondo::spawn([&] {
        rondo::yield();
        go = true;
    });
    polite.join();
    rude.join();
    teller.join();
    return true;
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------- bugs

TEST_CASE("a lost update over a yield is found", "[explore][bugs][unordered]") {
    const auto r = explore(quiet({.seeds = 100, .strategy = every_strategy()}), lost_update_over_a_yield);
    CHECK(r.what == failure::said_no);
}

TEST_CASE("a lost update between two locks is found", "[explore][bugs]") {
    const auto r = explore(quiet({.seeds = 1000, .strategy = every_strategy()}), lost_update_between_two_locks);
    CHECK(r.what == failure::said_no);
    CHECK(r.schedules > 1);                       // first in, first out does not show it
}

TEST_CASE("a deadlock by lock order is found, with who waits for what", "[explore][bugs]") {
    const auto r = explore(quiet({.seeds = 1000, .strategy = every_strategy()}), lock_order);
    CHECK(r.what == failure::deadlock);
    CHECK(r.schedules > 1);
    CHECK(r.stuck.size() == 3);                   // and main, which joins them
    CHECK(has(r.text, "\"one\", suspended, waits for mutex"));
    CHECK(has(r.text, "(held by tasklet"));
}

TEST_CASE("a wake-up that a hand-made event loses is found", "[explore][bugs][unordered]") {
    const auto r = explore(quiet({.seeds = 1000, .strategy = every_strategy()}), lost_wake_up);
    CHECK(r.what == failure::deadlock);
    CHECK(r.schedules > 1);
}

TEST_CASE("priorities find what one order in thousands shows, again and again", "[explore][bugs][unordered]") {
    for (std::uint64_t first = 1; first < 100'000; first += 10'000) {
        const auto pct = explore(quiet({.seeds = 3000, .seed = first, .strategy = schedules::priorities}),
                                 one_order_in_thousands);
        CHECK(pct.what == failure::said_no);
        const auto mixed = explore(quiet({.seeds = 6000, .seed = first}), one_order_in_thousands);
        CHECK(mixed.what == failure::said_no);
    }
    CHECK(explore(quiet({.strategy = schedules::exhaustive}), one_order_in_thousands).what == failure::said_no);
}

TEST_CASE("a race right after spawn or unlock is found", "[explore][bugs][unordered]") {
    CHECK(explore(quiet({.seeds = 100, .strategy = every_strategy()}), [] {
              int x = 0;
              auto t = rondo::spawn([&] { x = 1; });
              const bool first = x == 0;          // the child may have run by now
              t.join();
              return first;
          }).what == failure::said_no);
    CHECK(explore(quiet({.seeds = 100, .strategy = every_strategy()}), [] {
              int x = 0;
              rondo::mutex m;
              auto t = rondo::spawn([&] {
                  m.lock();
                  x = 1;
                  m.unlock();
                  x = 2;                          // not under the lock
              });
              m.lock();
              const bool fine = x != 1;
              m.unlock();
              t.join();
              return fine;
          }).what == failure::said_no);
}

// ------------------------------------------------------------------------------------------------------------- no bugs

TEST_CASE("correct programs are not flagged", "[explore][unordered]") {
    bool (*const program)() = GENERATE(bank, pipeline, queue_with_condition, timeouts_and_stops, readers_and_writers,
                                       spins_until_it_is_told);
    const auto strategy = GENERATE(schedules::mixed, schedules::random, schedules::priorities);
    const auto r = explore(quiet({.seeds = 500, .strategy = strategy}), program);
    INFO(r.text);
    CHECK(r.ok());
    CHECK(r.schedules >= 1);
    CHECK(r.schedules <= 501);
}

TEST_CASE("the explored program may be anything that can be called", "[explore]") {
    int runs = 0;
    struct {
        int& n;
        void operator()() { ++n; }
    } counter{runs};
    CHECK(explore(counter).ok());
    CHECK(runs >= 1);
    CHECK(explore([&, only_moved = std::make_unique<int>(1)] { runs += *only_moved; }).ok());
    CHECK(runs >= 2);
}

TEST_CASE("a program without a choice is run once", "[explore]") {
    int runs = 0;
    const auto r = explore({.seeds = 1000}, [&] {
        ++runs;
        rondo::yield();
    });
    CHECK(r.schedules == 1);
    CHECK(runs == 1);
}

// ------------------------------------------------------------------------------------------------------------- exhaustive

TEST_CASE("exhaustive runs every schedule, and says so", "[explore][exhaustive][unordered]") {
    // Two tasklets of three steps each, and a main that only waits: as many orders as ways to merge two rows of three.
    std::set<std::string> orders;
    const auto r = explore({.strategy = schedules::exhaustive, .preemptions = 100}, [&] {
        std::string order;
        rondo::latch both{2};
        for (char name : {'a', 'b'})
            rondo::spawn([&, name] {
                order += name;
                rondo::checkpoint();
                order += name;
                rondo::checkpoint();
                order += name;
                both.count_down();
            });
        both.wait();
        orders.insert(order);
    });
    CHECK(r.complete);
    CHECK_FALSE(r.bounded);
    CHECK(orders.size() == 20);
    CHECK(r.schedules >= 20);
}

TEST_CASE("exhaustive keeps to its bound of preemptions, and says that there is more", "[explore][exhaustive]") {
    const auto none = explore({.strategy = schedules::exhaustive, .preemptions = 0}, lock_order);
    CHECK(none.complete);                         // the deadlock takes one
    CHECK(none.bounded);
    CHECK(none.ok());
    const auto one = explore(quiet({.strategy = schedules::exhaustive, .preemptions = 1}), lock_order);
    CHECK(one.what == failure::deadlock);
    CHECK_FALSE(one.complete);
}

TEST_CASE("exhaustive gives up after schedules_max, and is not complete then", "[explore][exhaustive]") {
    const auto r = explore({.strategy = schedules::exhaustive, .schedules_max = 50}, bank);
    CHECK(r.schedules == 50);
    CHECK_FALSE(r.complete);
    CHECK(r.ok());
}

TEST_CASE("small correct programs are proven up to the bound", "[explore][exhaustive][unordered]") {
    bool (*const program)() = GENERATE(timeouts_and_stops, spins_until_it_is_told);
    const auto r = explore(quiet({.strategy = schedules::exhaustive, .preemptions = 1}), program);
    INFO(r.text);
    CHECK(r.ok());
    CHECK(r.complete);
}

// ------------------------------------------------------------------------------------------------------------- time

TEST_CASE("explored programs sleep for days in no time, and always see the same clock", "[explore][time]") {
    const auto before = std::chrono::steady_clock::now();
    std::set<rondo::lowlevel::time_point> starts;
    std::vector<std::chrono::steady_clock::duration> lasted;
    const auto r = explore({.seeds = 100}, [&] {
        const auto start = rondo::now();
        starts.insert(start);
        std::vector<rondo::tasklet<void>> all;
        for (int days : {3, 1, 2})
            all.push_back(rondo::spawn([days] {
                for (int i = 0; i < 24; ++i) rondo::sleep_for(std::chrono::hours(days));
            }));
        for (auto& t : all) t.join();
        lasted.push_back(rondo::now() - start);
    });
    CHECK(r.ok());
    CHECK(starts.size() == 1);
    CHECK(lasted == std::vector<std::chrono::steady_clock::duration>(lasted.size(), 72h));
    CHECK(std::chrono::steady_clock::now() - before < 60s);
}

TEST_CASE("timers of one moment race with each other under explore", "[explore][time][unordered]") {
    std::set<std::string> orders;
    explore({.seeds = 100}, [&] {
        std::string order;
        rondo::scope([&](rondo::group& g) {
            for (char name : {'a', 'b', 'c'})
                g.spawn([&, name] {
                    rondo::sleep_until(rondo::now() + 1h);
                    order += name;
                });
        });
        orders.insert(order);
    });
    CHECK(orders.size() == 6);
}

TEST_CASE("blocking under explore runs its function right there", "[explore]") {
    const auto r = explore({.seeds = 10}, [] {
        auto t = rondo::spawn([] { return rondo::blocking([] { return 3; }); });
        return rondo::blocking([] { return 1; }) + t.join() == 4;
    });
    CHECK(r.ok());
}

// ------------------------------------------------------------------------------------------------------------- failures

TEST_CASE("an exception of the program, or of a tasklet that nobody joined, is a failure", "[explore][failures]") {
    const auto from_main = explore(quiet({}), [] { throw std::runtime_error("from main"); });
    CHECK(from_main.what == failure::threw);
    CHECK(end_of([&] { std::rethrow_exception(from_main.error); }) == "from main");
    CHECK(has(from_main.text, "from main"));
    const auto dropped = explore(quiet({}), [] { rondo::spawn([] { throw std::runtime_error("dropped"); }); });
    CHECK(dropped.what == failure::threw);
    CHECK(end_of([&] { std::rethrow_exception(dropped.error); }) == "dropped");
    const auto joined = explore(quiet({}), [] {
        auto t = rondo::spawn([] { throw std::runtime_error("joined"); });
        return end_of([&] { t.join(); }) == "joined";
    });
    CHECK(joined.ok());
}

TEST_CASE("check throws an error that names its place", "[explore][failures]") {
    const auto r = explore(quiet({}), [] {
        rondo::testing::check(true, "this holds");
        rondo::testing::check(false, "no kick is lost");
    });
    CHECK(r.what == failure::threw);
    CHECK(has(r.text, "no kick is lost"));
    CHECK(has(r.text, "explore_test.cpp:"));
}

TEST_CASE("tasklets that are left when the program has ended are a leak", "[explore][failures]") {
    const auto r = explore(quiet({}), [] {
        auto line = rondo::channel<int>();
        rondo::spawn({.name = "forgotten"}, [line] { line.receive(); });
    });
    CHECK(r.what == failure::leak);
    REQUIRE(r.stuck.size() == 1);
    CHECK(r.stuck[0].name == "forgotten");
    CHECK(has(r.text, "\"forgotten\""));
}

TEST_CASE("a failure is told also of a program that waits for the first of several tasklets to end", "[explore][failures]") {
    const auto r = explore(quiet({}), [] {
        std::vector<rondo::tasklet<void>> two;
        for (int i = 0; i < 2; ++i) two.push_back(rondo::spawn([] { rondo::sleep_for(1ms); }));
        for (auto& t : rondo::as_completed(two)) t.join();
        return false;
    });
    CHECK(r.what == failure::said_no);
    CHECK(has(r.text, "\"main\" waits for the end of"));
}

TEST_CASE("a livelock ends after steps_max", "[explore][failures]") {
    const auto r = explore(quiet({.steps_max = 1000}), [] {
        auto t = rondo::spawn([] {
            for (;;) rondo::yield();
        });
        t.join();
    });
    CHECK(r.what == failure::too_long);
}

TEST_CASE("after a failure everybody is stopped and unwinds", "[explore][failures][unordered]") {
    int alive = 0;
    struct counted {
        int& n;
        explicit counted(int& count) : n(count) { ++n; }
        ~counted() { --n; }
    };
    rondo::event never;
    const auto r = explore(quiet({}), [&] {
        const counted main(alive);
        for (int i = 0; i < 5; ++i)
            rondo::spawn([&] {
                const counted here(alive);
                if (rondo::this_tasklet::id() % 2) rondo::sleep_for(1h);
                never.wait();
            });
        rondo::yield();
        throw std::runtime_error("enough");
    });
    CHECK(r.what == failure::threw);
    CHECK(alive == 0);
}

TEST_CASE("a tasklet that is left and waits for ever in its destructor is reported as any other", "[explore][failures]") {
    struct last_will {
        rondo::channel<int> to;
        ~last_will() { to.send(1); }
    };
    const auto leaks = [] {
        rondo::channel<int> nobody_listens, silence;
        rondo::spawn({.name = "testator"}, [=] {
            const last_will will{nobody_listens};
            silence.receive();
        });
        rondo::yield();
    };
    const auto found = explore({.seeds = 20, .throws = false}, leaks);
    CHECK(found.what == failure::leak);
    CHECK(has(found.text, "repeat it: explore({.replay = "));
    CHECK(has(found.text, "switches:"));
    CHECK(has(found.text, "left: tasklet"));
    CHECK(has(found.text, "not even a stop has ended: tasklet"));
    CHECK(has(found.text, "waits for a receiver on channel"));
    CHECK(explore({.replay = found.replay, .throws = false}, leaks).what == failure::leak);
    CHECK(explore({.seeds = 20}, [] {}).ok());            // and life goes on

    // Several, which hold up a scope.
    const auto many = explore({.seeds = 5, .throws = false}, [] {
        rondo::channel<int> nobody_listens, silence;
        rondo::spawn([=] {
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 3; ++i)
                    g.spawn([=] {
                        const last_will will{nobody_listens};
                        silence.receive();
                    });
            });
        });
        rondo::yield();
        return false;
    });
    CHECK(many.what != failure::none);
    CHECK(rondo::run([] { return 7; }) == 7);
    CHECK(end_of([] { rondo::run([] { rondo::event().wait(); }); }) == "deadlock");
}

TEST_CASE("a program that depends on something outside is told apart", "[explore][failures]") {
    int calls = 0;
    const auto r = explore(quiet({.seeds = 100, .twice = true}), [&] {
        auto t = rondo::spawn([] {});
        if (++calls % 2) rondo::yield();
        t.join();
    });
    CHECK(r.what == failure::not_deterministic);
    int runs = 0;
    const auto late = explore(quiet({}), [&] {
        auto t = rondo::spawn([] {});
        t.join();
        return ++runs != 10;                      // fails once, and never again
    });
    CHECK(late.what == failure::said_no);
    CHECK(has(late.text, "depends on something outside"));
}

TEST_CASE("explore is not for tasklets, and refuses a replay string that is none", "[explore][failures]") {
    CHECK(rondo::run({.workers = 1}, [] { return end_of([] { explore([] {}); }); }) == "usage_error");
    for (const char* text : {"x", "1", "1/x", "1/2", "1/2:", "1/2:3,", "1/2:3;4:5", "1/2:3 ", "/1:2"})
        CHECK(end_of([&] { explore({.replay = text}, [] {}); }) == "usage_error");
    CHECK(end_of([] { explore({.steps_max = 0}, [] {}); }) == "usage_error");
    CHECK(end_of([] { explore({.strategy = rondo::testing::schedules::exhaustive, .schedules_max = 0}, [] {}); }) == "usage_error");
    CHECK(end_of([] { explore({.strategy = static_cast<rondo::testing::schedules>(17)}, [] {}); }) == "usage_error");
    CHECK(end_of([] { explore({.depth = 100'000'000}, [] {}); }) == "usage_error");
    for (const char* other_program : {"1/99:1", "1/0:99"})
        CHECK(end_of([&] { explore({.replay = other_program}, [] {}); }) == "usage_error");
}

// ------------------------------------------------------------------------------------------------------------- replay

TEST_CASE("a failure is thrown, and names the seed, the replay string and the switches", "[explore][replay]") {
    std::string text;
    explore_report r;
    try {
        explore({.seeds = 1000}, lock_order);
    } catch (const exploration_failed& e) {
        text = e.what();
        r = e.report();
    }
    CHECK(r.what == failure::deadlock);
    CHECK(has(text, "a deadlock"));
    CHECK(has(text, ".replay = \"" + r.replay + "\""));
    CHECK(has(text, ".seed = " + std::to_string(r.seed)));
    CHECK(has(text, "#0 \"main\": f itself"));
    CHECK(has(text, "\"one\": spawned at "));
    CHECK(has(text, "explore_test.cpp:"));
    CHECK(has(text, "is interrupted after"));
    CHECK(has(text, "waits for mutex"));
    CHECK(has(text, "waits for the end of tasklet"));
    CHECK_FALSE(has(text, "explore.cpp"));
}

TEST_CASE("the seed repeats a failure at once", "[explore][replay][unordered]") {
    const auto strategy = GENERATE(schedules::mixed, schedules::random, schedules::priorities);
    const auto program = GENERATE(lock_order, lost_wake_up);
    const auto found = explore(quiet({.seeds = 1000, .strategy = strategy}), program);
    REQUIRE(found.what == failure::deadlock);
    const auto again = explore(quiet({.seed = found.seed, .strategy = strategy}), program);
    CHECK(again.what == failure::deadlock);
    CHECK(again.seed == found.seed);
    CHECK(again.schedules <= 2);                  // first in, first out; then the seed's
    CHECK(again.replay == found.replay);
}

TEST_CASE("the replay string repeats a failure at once, and is short", "[explore][replay]") {
    const auto found = explore(quiet({.seeds = 3000, .strategy = every_strategy()}), lock_order);
    REQUIRE(found.what == failure::deadlock);
    const auto again = explore(quiet({.replay = found.replay}), lock_order);
    CHECK(again.what == failure::deadlock);
    CHECK(again.schedules == 1);
    CHECK(again.replay == found.replay);
    CHECK(std::count(found.replay.begin(), found.replay.end(), ':') <= 3);     // one or two interruptions, and who is next
}

TEST_CASE("the same seeds give the same schedules", "[explore][replay]") {
    bool (*const program)() = GENERATE(bank, pipeline, queue_with_condition, timeouts_and_stops, readers_and_writers);
    const auto strategy = GENERATE(schedules::mixed, schedules::random, schedules::priorities);
    const auto a = explore(quiet({.seeds = 50, .strategy = strategy}), program);
    const auto b = explore(quiet({.seeds = 50, .strategy = strategy}), program);
    const auto other = explore(quiet({.seeds = 50, .seed = 1000, .strategy = strategy}), program);
    CHECK(a.hash == b.hash);
    CHECK(a.steps == b.steps);
    CHECK(a.hash != other.hash);
    CHECK(explore(quiet({.seeds = 50, .strategy = strategy, .twice = true}), program).ok());
}

TEST_CASE("whom a scope stops first does not depend on the schedules before", "[explore][replay]") {
    const auto program = [] {
        rondo::event never;
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 6; ++i) g.spawn([&] { never.wait(); });
            rondo::yield();
            g.stop();
        });
    };
    const auto strategy = every_strategy();
    CHECK(explore(quiet({.seeds = 50, .strategy = strategy, .schedules_max = 50, .twice = true}), program).ok());
}

TEST_CASE("chance in an explored program comes from the seed", "[explore][replay]") {
    std::vector<std::vector<std::uint64_t>> drawn;
    for (int round = 0; round < 2; ++round)
        explore({.seeds = 20}, [&] {
            auto t = rondo::spawn([] {});
            t.join();
            drawn.push_back({rondo::testing::random(), rondo::testing::random()});
        });
    REQUIRE(drawn.size() == 42);
    CHECK(std::vector(drawn.begin(), drawn.begin() + 21) == std::vector(drawn.begin() + 21, drawn.end()));
    CHECK(std::set(drawn.begin() + 1, drawn.begin() + 21).size() == 20);
}

#if !defined(RONDO_ASAN) && !defined(RONDO_TSAN)
TEST_CASE("an expectation that fails under explore prints the replay string before it ends the process", "[explore][replay]") {
    const auto said = last_words([] {
        explore({.seeds = 100}, [] {
            bool go = false;
            auto t = rondo::spawn([&] { go = true; });
            rondo::expect(!go, "nobody was faster");
            t.join();
        });
    });
    CHECK(has(said, "nobody was faster"));
    CHECK(has(said, ".replay = \""));
}
#endif

// ------------------------------------------------------------------------------------------------------------- documents

// docs: explore
TEST_CASE("the family shares one salt shaker, whoever is how fast", "[explore]") {
    rondo::testing::explore({.seeds = 10'000}, [] {       // throws, with the seed and the switches, if one of them fails
        int grains = 100;
        rondo::channel<int> salt{1};
        salt.send(grains);
        rondo::scope([&](rondo::group& table) {
            for (int person = 0; person < 3; ++person)
                table.spawn([=] {
                    const int left = salt.receive();
                    rondo::sleep_for(20min);              // virtual: nobody waits for it
                    salt.send(left - 1);
                });
        });
        rondo::testing::check(salt.receive() == grains - 3, "no grain is lost");
    });
}
// docs: end

// docs: failure
TEST_CASE("a lost update is found, and its seed repeats it", "[explore]") {
    const auto two_cooks = [] {
        int plates = 0;
        const auto cook = [&] { const int seen = plates; rondo::yield(); plates = seen + 1; };
        rondo::all(cook, cook);
        return plates == 2;                               // false: this schedule has failed
    };
    const auto found = rondo::testing::explore({.throws = false}, two_cooks);
    CHECK(found.what == rondo::testing::failure::said_no);
    const auto again = rondo::testing::explore({.replay = found.replay, .throws = false}, two_cooks);
    CHECK(again.what == rondo::testing::failure::said_no);
}
// docs: end
