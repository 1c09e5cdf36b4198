// Sleeping, deadlines, and the wheel behind them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"

#include "../../runtime/src/timer_wheel.hpp"

using namespace std::chrono_literals;
using namespace support;
using clock_type = std::chrono::steady_clock;

// ------------------------------------------------------------------------------------------------------------- sleep

TEST_CASE("sleepers wake in the order of their deadlines", "[time][unordered]") {
    std::vector<int> order;
    bool in_time = false;
    while (!in_time) {                                    // all of them asleep before the first is to wake
        order.clear();
        rondo::run({.workers = one_worker}, [&] {
            const auto start = clock_type::now();
            for (int ms : {21, 9, 27, 3, 15})
                rondo::spawn([&order, start, ms] {
                    rondo::sleep_until(start + std::chrono::milliseconds(ms));
                    order.push_back(ms);
                });
            rondo::yield();
            in_time = clock_type::now() < start + 3ms;
        });
    }
    CHECK(order == std::vector{3, 9, 15, 21, 27});
}

// Whichever of the two keeps the sleeper's timer: sooner or later that one is woken by what comes from outside.
TEST_CASE("a sleeper wakes in time though the worker that keeps its timer is held up and all others are parked", "[time]") {
    rondo::runtime rt{{.workers = 2}};
    for (int round = 0; round < 6; ++round) {
        std::atomic<bool> is_asleep{false}, is_awake{false};
        auto sleeper = rt.spawn([&] {
            is_asleep = true;
            rondo::sleep_for(20ms);
            is_awake = true;
        });
        while (!is_asleep) std::this_thread::yield();
        std::this_thread::sleep_for(2ms);                 // most probably all are parked now
        const bool in_time = rt.spawn([&] {               // holds its worker
            for (const auto limit = clock_type::now() + 5s; !is_awake && clock_type::now() < limit;) std::this_thread::yield();
            return is_awake.load();
        }).join();
        sleeper.join();
        REQUIRE(in_time);
    }
}

TEST_CASE("sleepers with the same deadline wake in the order in which they fell asleep", "[time][unordered]") {
    std::vector<int> order;
    rondo::run({.workers = one_worker}, [&] {
        const auto then = clock_type::now() + 3ms;
        for (int i = 0; i < 20; ++i)
            rondo::spawn([&order, then, i] {
                rondo::sleep_until(then);
                order.push_back(i);
            });
    });
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(order.size() == 20);
}

TEST_CASE("no sleep ends early", "[time]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int early = rondo::run({.workers = workers}, [] {
        std::atomic<int> too_early{0};
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 100; ++i)
                g.spawn([&, i] {
                    const auto wanted = std::chrono::microseconds(37 * i);
                    const auto before = clock_type::now();
                    rondo::sleep_for(wanted);
                    if (clock_type::now() - before < wanted) ++too_early;
                });
        });
        return too_early.load();
    });
    CHECK(early == 0);
}

TEST_CASE("a sleep of no time or into the past returns, a plain thread may sleep too", "[time]") {
    const auto nap = [] {
        rondo::sleep_for(0s);
        rondo::sleep_for(-1h);
        rondo::sleep_until(clock_type::now() - 1h);
        const auto before = clock_type::now();
        rondo::sleep_for(1500us);
        return clock_type::now() - before >= 1500us;
    };
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, nap));
    CHECK(nap());
}

TEST_CASE("a sleep without end can only be stopped", "[time]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              auto a = rondo::spawn([] { rondo::sleep_for(std::chrono::hours::max()); });
              auto b = rondo::spawn([] { rondo::sleep_until(clock_type::time_point::max()); });
              rondo::yield();
              a.stop();
              b.stop();
              return end_of([&] { a.join(); }) + " " + end_of([&] { b.join(); });
          }) == "stopped stopped");
}

namespace {

struct from_the_end {                             // a clock whose epoch is still to come, as that of files may be
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<from_the_end>;
    [[maybe_unused]] static constexpr bool is_steady = false;
    static time_point now() { return time_point(-std::chrono::hours(24 * 365 * 200)); }
};

}  // namespace

TEST_CASE("a time that no clock can tell is the longest that one can, or the earliest", "[time]") {
    using namespace rondo::detail;
    using rondo::lowlevel::no_deadline;
    using std::chrono::duration, std::chrono::hours, std::chrono::system_clock;
    CHECK(limit_after(hours::max()) == no_deadline);
    CHECK(limit_after(hours::min()) == at_once);
    CHECK(limit_after(std::chrono::steady_clock::duration::max()) == no_deadline);
    CHECK(limit_after(duration<double>(1e300)) == no_deadline);
    CHECK(limit_after(duration<double>(-1e300)) == at_once);
    CHECK(limit_after(duration<float, std::nano>(0.25f)) > clock_type::now() - 1h);      // rounded up: not at once
    CHECK(limit_at(system_clock::time_point::max()) == no_deadline);
    CHECK(limit_at(system_clock::time_point::min()) == at_once);
    CHECK(limit_at(std::chrono::time_point<system_clock, hours>::max()) == no_deadline);
    CHECK(limit_at(std::chrono::time_point<clock_type, hours>::max()) == no_deadline);
    CHECK(limit_at(std::chrono::time_point<clock_type, hours>::min()) == at_once);
    CHECK(limit_at(from_the_end::time_point::max()) == no_deadline);
    CHECK(limit_at(from_the_end::time_point(hours(24 * 365 * 200))) == no_deadline);
    const auto before = clock_type::now(), soon = limit_at(from_the_end::now() + 1h);
    CHECK((soon >= before + 1h && soon < before + 2h));
    CHECK((time_span(hours::max()) + time_span(1h) == time_span(hours::max())));
    CHECK((time_span(2h) + time_span(1h) == time_span(3h)));
}

TEST_CASE("options take the longest time there is", "[time]") {
    CHECK(rondo::run([] {
              return rondo::scope({.deadline = std::chrono::hours::max()}, [](rondo::group& g) {
                  return g.spawn([] { return 3; }).join();
              });
          }) == 3);
    CHECK(rondo::run([] {
              return end_of([] {
                  rondo::scope({.deadline = std::chrono::hours::min()}, [](rondo::group&) { rondo::sleep_for(1h); });
              });
          }) == "deadline_exceeded");
    rondo::runtime rt({.workers = 1});
    rt.spawn([] { rondo::yield(); });
    CHECK(rt.shutdown(std::chrono::hours::max()).empty());
    rondo::testing::world w{{.workers = 1}};
    bool awake = false;
    w.spawn([&] {
        rondo::sleep_for(8h);
        awake = true;
    });
    w.advance(std::chrono::hours::max());
    CHECK(awake);
}

TEST_CASE("a sleep ends at a time of any clock", "[time]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        const auto before = clock_type::now();
        rondo::sleep_until(std::chrono::system_clock::now() + 2ms);
        rondo::sleep_until(std::chrono::time_point_cast<std::chrono::microseconds>(clock_type::now()) + 2ms);
        rondo::sleep_until(std::chrono::system_clock::now() - 1h);
        return clock_type::now() - before >= 3ms;
    }));
}

TEST_CASE("sleepers wake while another tasklet keeps yielding", "[time][unordered]") {
    CHECK(rondo::run({.workers = one_worker}, [] {
              bool awake = false;
              auto sleeper = rondo::spawn([&] {
                  rondo::sleep_for(1ms);
                  awake = true;
              });
              const auto limit = clock_type::now() + 1min;
              while (!awake && clock_type::now() < limit) rondo::yield();
              const bool in_time = awake;
              sleeper.join();
              return in_time;
          }));
}

// ------------------------------------------------------------------------------------------------------------- within

TEST_CASE("within gives the result of what ends in time", "[time][within]") {
    const auto workers = GENERATE(1u, 2u);
    const auto [value, done, moved] = rondo::run({.workers = workers}, [] {
        int in_frame = 2;
        auto v = rondo::within(1h, [] {
            rondo::sleep_for(1us);
            return 1;
        });
        const bool d = rondo::within(1h, [] { rondo::yield(); });
        auto m = rondo::within(1h, [] { return std::make_unique<int>(3); });
        const auto r = rondo::within(1h, [&]() -> int& { return in_frame; });
        return std::tuple(v.value_or(0) + r.value_or(0), d, m ? **m : 0);
    });
    CHECK(value == 3);
    CHECK(done);
    CHECK(moved == 3);
}

TEST_CASE("the deadline of within reaches every kind of wait", "[time][within]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto results = rondo::run({.workers = workers}, [] {
        rondo::event never;
        rondo::channel<int> line;
        auto slow = rondo::spawn([&] { never.wait(); });
        auto unstarted = rondo::spawn([&] { never.wait(); });
        const std::vector<bool> done{
            rondo::within(1ms, [] { rondo::sleep_for(1h); }),
            rondo::within(1ms, [&] { line.receive(); }),
            rondo::within(1ms, [&] { line.send(1); }),
            rondo::within(1ms, [&] { slow.join(); }),
            rondo::within(1ms, [&] { unstarted.join(); }),
            rondo::within(1ms, [&] { never.wait(); }),
            rondo::within(1ms, [] { for (;;) rondo::yield(); }),
            rondo::within(1ms, [] { for (;;) rondo::checkpoint(); }),
            rondo::within(0ms, [] { rondo::yield(); }),
            rondo::within(1ms, [&] { rondo::scope([&](rondo::group& g) { g.spawn([&] { never.wait(); }); }); }),
        };
        slow.stop();
        unstarted.stop();
        end_of([&] { slow.join(); });
        end_of([&] { unstarted.join(); });
        return done;
    });
    CHECK(results == std::vector<bool>(10, false));
}

TEST_CASE("the deadline of within reaches down any depth of calls and through handlers of std::exception",
          "[time][within]") {
    const auto [result, handled] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        bool swallowed = false;
        struct deep {
            static void down(int n, bool& s) {
                if (n == 0) return rondo::event().wait();
                try {
                    down(n - 1, s);
                } catch (const std::exception&) {
                    s = true;
                }
            }
        };
        const bool done = rondo::within(1ms, [&] { deep::down(20, swallowed); });
        return std::tuple(done, swallowed);
    });
    CHECK_FALSE(result);
    CHECK_FALSE(handled);
}

TEST_CASE("a deadline that has passed arrives again at every later call inside", "[time][within]") {
    const auto [done, times] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        int arrived = 0;
        const bool ended = rondo::within(1ms, [&] {
            for (int i = 0; i < 5; ++i) try {
                    rondo::sleep_for(1h);
                } catch (const rondo::stopped&) {
                    ++arrived;
                }
            rondo::yield();
        });
        return std::tuple(ended, arrived);
    });
    CHECK_FALSE(done);
    CHECK(times == 5);
}

TEST_CASE("of nested deadlines the earliest counts, at its own level", "[time][within]") {
    const auto workers = GENERATE(1u, 2u);
    const auto [inner_first, outer_first] = rondo::run({.workers = workers}, [] {
        std::string a, b;
        const bool outer_a = rondo::within(1h, [&] {
            const bool inner = rondo::within(1ms, [] { rondo::sleep_for(1h); });
            rondo::yield();
            a = inner ? "inner in time" : "inner late";
        });
        a += outer_a ? ", outer in time" : ", outer late";
        const bool outer_b = rondo::within(1ms, [&] {
            const bool inner = rondo::within(1h, [] { rondo::sleep_for(1h); });
            b = inner ? "inner in time" : "inner late";
        });
        b += outer_b ? "outer in time" : "outer late";
        return std::tuple(a, b);
    });
    CHECK(inner_first == "inner late, outer in time");
    CHECK(outer_first == "outer late");
}

TEST_CASE("after within everything may take its time again", "[time][within]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              const bool late = rondo::within(1ms, [] { rondo::sleep_for(1h); });
              rondo::sleep_for(2ms);
              rondo::yield();
              return late;
          }) == false);
}

TEST_CASE("within works on a plain thread", "[time][within]") {
    rondo::channel<int> line;
    const auto before = clock_type::now();
    CHECK_FALSE(rondo::within(2ms, [&] { return line.receive(); }));
    CHECK_FALSE(rondo::within(2ms, [] { rondo::sleep_for(1h); }));
    CHECK(clock_type::now() - before >= 4ms);
    CHECK(rondo::within(1h, [] { return 1; }) == std::optional(1));
}

TEST_CASE("a deadline that has passed ends a loop of yields, on a plain thread too", "[time][within]") {
    CHECK_FALSE(rondo::within(1ms, [] {
        for (;;) rondo::yield();
    }));
    CHECK_FALSE(rondo::within(1ms, [] {
        for (;;) rondo::sleep_for(0s);
    }));
}

TEST_CASE("a child does not inherit the deadline of the one that joins it", "[time][within]") {
    const auto [joined, child_end] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::event go;
        auto child = rondo::spawn([&] {
            go.wait();
            return 5;
        });
        const auto in_time = rondo::within(1ms, [&] { return child.join(); });
        go.set();
        return std::tuple(in_time.has_value(), child.join());
    });
    CHECK_FALSE(joined);
    CHECK(child_end == 5);
}

TEST_CASE("an exception of what runs within a deadline comes out", "[time][within]") {
    CHECK(rondo::run({.workers = 1}, [] {
              return end_of([] { rondo::within(1h, []() -> int { throw std::runtime_error("own"); }); });
          }) == "own");
}

// ------------------------------------------------------------------------------------------------------------- the wheel

namespace {

using rondo::detail::timer_entry;
using rondo::detail::timer_wheel;

struct firing {
    std::int64_t now;
    std::vector<timer_entry*> order;
    static firing*& current() {
        static firing* f = nullptr;
        return f;
    }
};
void note(timer_entry& e) noexcept { firing::current()->order.push_back(&e); }

// Deadlines from the next nanosecond to some years ahead, and a few in the past.
std::int64_t random_distance(std::mt19937_64& random) {
    const auto bits = random() % 56;
    const auto d = static_cast<std::int64_t>(random() & ((1ull << bits) - 1));
    return random() % 16 == 0 ? -d / 1024 : d;
}

}  // namespace

TEST_CASE("the timer wheel fires what an ordered map would fire", "[time][wheel]") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random(seed);
        std::int64_t now = static_cast<std::int64_t>(random() % (1ull << 50)) + (1ll << 51);
        timer_wheel wheel(now);
        std::multimap<std::int64_t, timer_entry*> oracle;
        std::vector<std::unique_ptr<timer_entry>> entries;
        firing seen;
        firing::current() = &seen;
        bool same = true, hints_hold = true;
        std::size_t fired = 0;
        for (int step = 0; step < 2000; ++step) {
            if (random() % 3 != 0) {
                auto e = std::make_unique<timer_entry>();
                e->deadline_ns = now + random_distance(random);
                e->fire = &note;
                oracle.emplace(e->deadline_ns, e.get());
                wheel.insert(*e);
                entries.push_back(std::move(e));
            }
            if (!oracle.empty() && random() % 4 == 0) {
                auto victim = oracle.lower_bound(now + random_distance(random));
                if (victim == oracle.end()) victim = oracle.begin();
                timer_wheel::cancel(*victim->second);
                timer_wheel::cancel(*victim->second);             // a second time does nothing
                oracle.erase(victim);
            }
            hints_hold = hints_hold && wheel.size() == oracle.size();
            if (!oracle.empty()) {
                const auto first = oracle.begin()->first;
                hints_hold = hints_hold && wheel.next_hint() <= first && wheel.next_deadline() <= std::max(first, now);
            } else {
                hints_hold = hints_hold && wheel.next_deadline() == timer_wheel::never;
            }
            if (random() % 2) now += std::max<std::int64_t>(0, random_distance(random) >> (random() % 20));
            seen.order.clear();
            same = same && wheel.expire(now) == nullptr;           // nobody to resume: these have an action
            std::vector<timer_entry*> expected;
            const auto end = oracle.upper_bound(now);
            for (auto i = oracle.begin(); i != end; ++i) expected.push_back(i->second);
            oracle.erase(oracle.begin(), end);
            fired += expected.size();
            std::sort(expected.begin(), expected.end());
            std::sort(seen.order.begin(), seen.order.end());
            same = same && seen.order == expected;
        }
        INFO("seed " << seed);
        CHECK(same);
        CHECK(hints_hold);
        CHECK(fired > 0);
        for (auto& [deadline, e] : oracle) timer_wheel::cancel(*e);
        CHECK(wheel.size() == 0);
        CHECK(wheel.next_deadline() == timer_wheel::never);
    }
}

TEST_CASE("a deadline before the epoch of the clock is due at once", "[time][wheel]") {
    timer_wheel wheel(1'000'000);                        // a machine that has only just started
    firing seen;
    firing::current() = &seen;
    timer_entry e;
    e.deadline_ns = -3'600'000'000'000;                  // "an hour ago"
    e.fire = &note;
    wheel.insert(e);
    CHECK(wheel.expire(1'000'000) == nullptr);
    CHECK(seen.order == std::vector<timer_entry*>{&e});
    CHECK(wheel.size() == 0);
}

TEST_CASE("a worker that sleeps until the wheel's next deadline reaches every timer in time", "[time][wheel]") {
    for (unsigned seed = 1; seed <= 10; ++seed) {
        std::mt19937_64 random(seed);
        std::int64_t now = 1ll << 50;
        timer_wheel wheel(now);
        std::vector<std::unique_ptr<timer_entry>> entries;
        std::multimap<std::int64_t, timer_entry*> oracle;
        firing seen;
        firing::current() = &seen;
        for (int i = 0; i < 300; ++i) {
            auto e = std::make_unique<timer_entry>();
            e->deadline_ns = now + static_cast<std::int64_t>(random() % (1ull << (random() % 45 + 1)));
            e->fire = &note;
            oracle.emplace(e->deadline_ns, e.get());
            wheel.insert(*e);
            entries.push_back(std::move(e));
        }
        bool exact = true;
        int rounds = 0;
        for (; wheel.size() != 0 && rounds < 10'000; ++rounds) {
            now = std::max(now, wheel.next_deadline());
            exact = exact && now <= std::max(oracle.begin()->first, now) && now <= oracle.begin()->first;
            seen.order.clear();
            wheel.expire(now);
            for (auto* e : seen.order) {
                exact = exact && e->deadline_ns == now;           // neither early nor late
                for (auto i = oracle.lower_bound(e->deadline_ns); i != oracle.end(); ++i)
                    if (i->second == e) {
                        oracle.erase(i);
                        break;
                    }
            }
            if (oracle.empty()) break;
        }
        INFO("seed " << seed);
        CHECK(exact);
        CHECK(oracle.empty());
        CHECK(rounds < 5'000);
    }
}
