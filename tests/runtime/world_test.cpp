// Worlds: standstill, virtual time, leaks.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/barrier.hpp>
#include <rondo/channel.hpp>
#include <rondo/condition_variable.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/scope.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>
#include <rondo/wait_group.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using namespace support;
using rondo::testing::world;

namespace {

// What a test takes in real time must not depend on what it takes in the world's.
class stopwatch {
public:
    [[nodiscard]] bool shows_less_than(std::chrono::steady_clock::duration d) const {
        return std::chrono::steady_clock::now() - start_ < d;
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

// ------------------------------------------------------------------------------------------------------------- settle

// docs: world
TEST_CASE("a rendezvous send returns only after its value was taken", "[world]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u, 8u)}};   // checks for leaks at the end
    rondo::channel<int> line;
    bool sent = false;

    auto sender = world.spawn([&, line] { line.send(7); sent = true; });
    world.settle();                       // every tasklet has ended or is suspended: nothing left to happen
    CHECK_FALSE(sent);

    CHECK(world.run([=] { return line.receive(); }) == 7);
    world.settle();
    CHECK(sent);
}
// docs: end

TEST_CASE("a world settles once all its tasklets have ended or are suspended", "[world]") {
    world w{{.workers = GENERATE(1u, 2u, 4u)}};
    std::atomic<int> steps{0};
    rondo::event go;
    for (int i = 0; i < 20; ++i)
        w.spawn([&] {
            for (int n = 0; n < 50; ++n) {
                rondo::yield();
                ++steps;
            }
            go.wait();
            ++steps;
        });
    w.settle();
    CHECK(steps == 1000);
    CHECK(w.tasklets().size() == 20);
    w.settle();
    CHECK(steps == 1000);
    go.set();
    w.settle();
    CHECK(steps == 1020);
    CHECK(w.tasklets().empty());
    CHECK(w.stats().live == 0);
}

TEST_CASE("a world waits for blocking calls before it stands still", "[world]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    int result = 0;
    w.spawn([&] {
        result = rondo::blocking([] {
            std::this_thread::sleep_for(1ms);
            return 4;
        });
    });
    w.settle();
    CHECK(result == 4);
}

TEST_CASE("spawn in a world takes arguments and options", "[world]") {
    world w{{.workers = 1}};
    auto sum = w.spawn([](int a, int b, int c) { return a + b + c; }, 1, 2, 3);
    auto twice = w.spawn([](int a) { return 2 * a; }, 4);
    rondo::event never;
    auto named = w.spawn({.name = "ann"}, [&] { never.wait(); });
    w.settle();
    CHECK(sum.join() == 6);
    CHECK(twice.join() == 8);
    REQUIRE(w.tasklets().size() == 1);
    CHECK(w.tasklets()[0].name == "ann");
    CHECK(has(w.tasklets()[0].spawn_site, "world_test.cpp"));
    named.stop();
    w.settle();
}

TEST_CASE("reports say since when a tasklet waits", "[world][dump]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    rondo::event go;
    rondo::channel<int> line;
    auto early = w.spawn([&] { go.wait(); });
    w.settle();
    w.advance(90min);
    auto late = w.spawn([&] {
        line.receive();
        line.receive();
    });
    w.settle();
    w.advance(1500ms);

    const auto all = w.tasklets();
    REQUIRE(all.size() == 2);
    CHECK(all[0].waited == 90min + 1500ms);
    CHECK(all[1].waited == 1500ms);
    std::ostringstream text, json;
    w.dump(text);
    w.dump(json, rondo::dump_format::json);
    CHECK(has(text.str(), " since 5401.5 s;"));
    CHECK(has(text.str(), " since 1.5 s;"));
    CHECK(has(json.str(), R"("waited_ns": 5401500000000)"));
    CHECK(has(json.str(), R"("waited_ns": 1500000000)"));

    w.run([&] { line.send(1); });                         // its next wait is another one
    w.settle();
    w.advance(2s);
    CHECK(w.tasklets().back().waited == 2s);
    w.run([&] { line.send(2); });
    go.set();
    w.settle();
}

// ------------------------------------------------------------------------------------------------------------- time

// docs: advance
TEST_CASE("a sleeper wakes when the clock has been moved on, and not before", "[world][time]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u, 4u)}};
    bool awake = false;
    world.spawn([&] { rondo::sleep_for(8h); awake = true; });

    world.advance(7h);
    CHECK_FALSE(awake);
    world.advance(1h);
    CHECK(awake);
}
// docs: end

TEST_CASE("timers fire in the order of their deadlines, and all settles in between", "[world][time]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    world w{{.workers = workers}};
    std::mutex guard;
    std::vector<std::pair<int, std::chrono::steady_clock::duration>> seen;
    const auto start = w.now();
    for (int hours : {7, 3, 9, 1, 5})
        w.spawn([&, hours] {
            rondo::sleep_for(std::chrono::hours(hours));
            const std::lock_guard hold(guard);
            seen.emplace_back(hours, rondo::now() - start);
            if (hours == 3)
                rondo::spawn([&] {                 // armed by what an earlier timer has set going
                    rondo::sleep_for(1h);
                    const std::lock_guard again(guard);
                    seen.emplace_back(4, rondo::now() - start);
                });
        });
    w.advance(10h);
    CHECK(seen == std::vector<std::pair<int, std::chrono::steady_clock::duration>>{
                      {1, 1h}, {3, 3h}, {4, 4h}, {5, 5h}, {7, 7h}, {9, 9h}});
    CHECK(w.now() - start == 10h);
}

TEST_CASE("time stands still while nobody moves it", "[world][time]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    const auto start = w.now();
    CHECK(w.run([] {
              const auto before = rondo::now();
              std::this_thread::sleep_for(2ms);
              for (int i = 0; i < 1000; ++i) rondo::yield();
              return rondo::now() - before;
          }) == 0s);
    CHECK(w.now() == start);
    w.advance(0s);
    CHECK(w.now() == start);
}

TEST_CASE("programs that wait for days run in no time", "[world][time]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const stopwatch real;
    world w{{.workers = workers}};
    int ticks = 0;
    w.spawn([&] {
        for (int i = 0; i < 1000; ++i) {
            rondo::sleep_for(1h);
            ++ticks;
        }
    });
    w.advance(24h * 10);
    CHECK(ticks == 240);
    w.advance(24h * 365);
    CHECK(ticks == 1000);
    CHECK(real.shows_less_than(100s));
}

TEST_CASE("run moves the clock on while its function cannot go on", "[world][time]") {
    const stopwatch real;
    world w{{.workers = GENERATE(1u, 2u, 4u)}};
    bool other_is_awake = false;
    w.spawn([&] {
        rondo::sleep_for(100h);
        other_is_awake = true;
    });
    CHECK(w.run([] {
              const auto before = rondo::now();
              rondo::sleep_for(48h);
              return rondo::now() - before;
          }) == 48h);
    CHECK_FALSE(other_is_awake);
    CHECK(real.shows_less_than(30s));
    w.advance(52h);
    CHECK(other_is_awake);
}

TEST_CASE("every timeout of the library follows the clock of the world", "[world][time]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const stopwatch real;
    world w{{.workers = workers}};
    // f waits for an hour, and says whether it then gave up as it should.
    const auto takes_an_hour = [&](auto f) {
        const auto before = w.now();
        return w.run(f) && w.now() - before == 1h;
    };
    rondo::channel<int> c;
    rondo::event e;
    rondo::mutex m;
    rondo::shared_mutex sm;
    rondo::semaphore s{0};
    rondo::latch l{1};
    rondo::barrier b{2};
    rondo::wait_group g;
    g.add(1);
    rondo::condition_variable cv;

    CHECK(takes_an_hour([] { rondo::sleep_for(1h); return true; }));
    CHECK(takes_an_hour([] { rondo::sleep_until(rondo::now() + 1h); return true; }));
    CHECK(takes_an_hour([&] { return c.receive_for(1h) == std::nullopt; }));
    CHECK(takes_an_hour([&] { return c.receive_until(rondo::now() + 1h) == std::nullopt; }));
    CHECK(takes_an_hour([&] { return c.send_for(1, 1h) != rondo::send_status::done; }));
    CHECK(takes_an_hour([&] { return !e.wait_for(1h); }));
    CHECK(takes_an_hour([&] { return !e.wait_until(rondo::now() + 1h); }));
    CHECK(takes_an_hour([&] { return !s.acquire_for(1h); }));
    CHECK(takes_an_hour([&] { return !l.wait_for(1h); }));
    CHECK(takes_an_hour([&] { return !b.arrive_and_wait_for(1h); }));
    CHECK(takes_an_hour([&] { return !g.wait_for(1h); }));
    CHECK(takes_an_hour([&] { return !rondo::within(1h, [&] { e.wait(); }); }));
    CHECK(takes_an_hour([&] { return rondo::within(1h, [&] { return c.receive(); }) == std::nullopt; }));
    CHECK(takes_an_hour([&] {
        return end_of([&] {
                   rondo::scope({.deadline = 1h}, [&](rondo::group& all) { all.spawn([&] { e.wait(); }); });
               }) != "returned";
    }));
    CHECK(takes_an_hour([&] {
        auto t = rondo::spawn([&] { e.wait(); });
        const bool ended = t.join_for(1h);
        t.stop();
        return !ended;
    }));
    CHECK(takes_an_hour([&] {
        auto t = rondo::spawn([&] { e.wait(); });
        const bool ended = t.join_until(rondo::now() + 1h);
        t.stop();
        return !ended;
    }));
    CHECK(takes_an_hour([&] {
        std::unique_lock hold(m);
        return !cv.wait_for(hold, 1h, [] { return false; });
    }));

    rondo::event let_go;
    auto holder = w.spawn([&] {
        const std::lock_guard hold(m);
        const std::lock_guard hold_too(sm);
        let_go.wait();
    });
    w.settle();
    CHECK(takes_an_hour([&] { return !m.try_lock_for(1h); }));
    CHECK(takes_an_hour([&] { return !m.try_lock_until(rondo::now() + 1h); }));
    CHECK(takes_an_hour([&] { return !sm.try_lock_for(1h); }));
    CHECK(takes_an_hour([&] { return !sm.try_lock_shared_for(1h); }));
    let_go.set();
    w.settle();
    CHECK(real.shows_less_than(60s));
}

TEST_CASE("a deadline of the world's clock reaches a tasklet that computes", "[world][time]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    rondo::event half_time;
    std::optional<int> result = 1;
    w.spawn([&] {
        result = rondo::within(10s, [&] {
            half_time.wait();
            rondo::sleep_for(6s);
            rondo::checkpoint();
            return 2;
        });
    });
    w.advance(5s);
    half_time.set();
    w.advance(4s);
    CHECK(result == 1);
    w.advance(1s);
    CHECK(result == std::nullopt);
}

TEST_CASE("advance without end lets everything happen that will", "[world][time]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    int days = 0;
    w.spawn([&] {
        for (; days < 100; ++days) rondo::sleep_for(24h);
    });
    w.advance(std::chrono::steady_clock::duration::max());
    CHECK(days == 100);
}

TEST_CASE("many sleepers, in a slot of the wheel that is far off, all wake on time", "[world][time]") {
    const auto workers = GENERATE(1u, 4u);
    world w{{.workers = workers}};
    std::atomic<int> awake{0}, off{0};
    for (int i = 0; i < 500; ++i)
        w.spawn([&, i] {
            const auto before = rondo::now();
            const auto wanted = 1000h + std::chrono::nanoseconds(i % 7);
            rondo::sleep_for(wanted);
            if (rondo::now() - before != wanted) ++off;
            ++awake;
        });
    w.advance(999h);
    CHECK(awake == 0);
    w.advance(2h);
    CHECK(awake == 500);
    CHECK(off == 0);
}

TEST_CASE("under forced migration a world stands still and moves on as well", "[world][time]") {
    world w{{.workers = GENERATE(2u, 4u), .force_migration = true}};
    std::atomic<int> rounds{0};
    for (int i = 0; i < 10; ++i)
        w.spawn([&] {
            for (int n = 0; n < 20; ++n) {
                rondo::sleep_for(1min);
                ++rounds;
            }
        });
    w.advance(10min);
    CHECK(rounds == 100);
    w.advance(10min);
    CHECK(rounds == 200);
}

// ------------------------------------------------------------------------------------------------------------- errors

TEST_CASE("run gives what its function threw, and what nobody joined", "[world]") {
    const auto workers = GENERATE(1u, 2u);
    world w{{.workers = workers}};
    CHECK(end_of([&] { w.run([] { throw std::runtime_error("from main"); }); }) == "from main");
    CHECK(end_of([&] {
              w.run([] { rondo::spawn([] { throw std::runtime_error("dropped"); }); });
          }) == "dropped");
    CHECK(end_of([&] { w.run([] {}); }) == "returned");
}

TEST_CASE("an exception that nobody joined comes out of settle, advance, or the end", "[world]") {
    const auto workers = GENERATE(1u, 2u);
    {
        world w{{.workers = workers}};
        w.spawn([] { throw std::runtime_error("at once"); });
        CHECK(end_of([&] { w.settle(); }) == "at once");
        w.spawn([] {
            rondo::sleep_for(1s);
            throw std::runtime_error("a second later");
        });
        w.settle();
        CHECK(end_of([&] { w.advance(1s); }) == "a second later");
    }
    CHECK(end_of([&] {
              world w{{.workers = workers}};
              w.spawn([] { throw std::runtime_error("unseen"); });
          }) == "unseen");
    CHECK(end_of([&] {
              world w{{.workers = workers}};
              auto kept = w.spawn([] { throw std::runtime_error("joined"); });
              w.settle();
              CHECK(end_of([&] { kept.join(); }) == "joined");
          }) == "returned");
}

TEST_CASE("run throws a deadlock when its function can never end, and the world goes on", "[world]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> line;
    std::string report;
    try {
        w.run([&] { return line.receive(); });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    CHECK(has(report, "\"main\""));
    CHECK(has(report, "a sender on channel"));
    w.run([&] { line.send(1); });
    CHECK(w.run([] { return 3; }) == 3);
}

TEST_CASE("a thread outside that may yet wake the function of run is no deadlock", "[world]") {
    world w{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> line;
    std::atomic<bool> go{false};
    std::thread outside([&] {
        while (!go) std::this_thread::yield();
        line.send(8);
    });
    CHECK(w.run([&] {
              go = true;
              return line.receive();
          }) == 8);
    outside.join();
}

TEST_CASE("the calls of a world are not for tasklets", "[world]") {
    world w{{.workers = 1}};
    CHECK(w.run([&] {
              std::string ends;
              for (const auto& end : {end_of([&] { w.settle(); }), end_of([&] { w.advance(1s); }),
                                      end_of([&] { w.run([] {}); }), end_of([&] { w.finish(); })})
                  ends += end + " ";
              return ends;
          }) == "usage_error usage_error usage_error usage_error ");
    CHECK(end_of([&] { w.advance(-1s); }) == "usage_error");
}

TEST_CASE("a world brings its own environment", "[world]") {
    struct other final : rondo::environment {
        rondo::lowlevel::time_point now() noexcept override { return {}; }
        std::uint64_t random() noexcept override { return 0; }
    } mine;
    CHECK(end_of([&] { world w{{.workers = 1, .world = &mine}}; }) == "usage_error");
}

// ------------------------------------------------------------------------------------------------------------- leaks

TEST_CASE("a tasklet that is left at the end fails the test that left it", "[world][leak]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::event never;
    std::string report;
    try {
        world w{{.workers = workers}};
        w.spawn({.name = "waits"}, [&] { never.wait(); });
        w.spawn({.name = "sleeps"}, [] { rondo::sleep_for(1h); });
        w.spawn({.name = "ends"}, [] {});
    } catch (const rondo::testing::leaked& e) {
        report = e.what();
        CHECK(e.tasklets().size() == 2);
    }
    CHECK(has(report, "2 tasklets are left"));
    CHECK(has(report, "\"waits\", suspended, waits for event"));
    CHECK(has(report, "\"sleeps\", suspended, waits for sleep"));
    CHECK(has(report, "world_test.cpp:"));
    CHECK(has(report, "expect_leftovers"));
    CHECK_FALSE(has(report, "\"ends\""));
}

TEST_CASE("finish says who is left, and the destructor does not say it again", "[world][leak]") {
    rondo::event never;
    bool unwound = false;
    {
        world w{{.workers = GENERATE(1u, 2u)}};
        w.spawn([&] {
            struct at_end {
                bool& yes;
                ~at_end() { yes = true; }
            } const note{unwound};
            never.wait();
        });
        CHECK(end_of([&] { w.finish(); }) == "leaked");
        CHECK_FALSE(unwound);
    }
    CHECK(unwound);                               // those who are left are stopped, and unwind
    world clean{{.workers = 1}};
    clean.spawn([] { rondo::yield(); });
    CHECK(end_of([&] { clean.finish(); }) == "returned");
}

TEST_CASE("leftovers may be expected", "[world][leak]") {
    rondo::event never;
    CHECK(end_of([&] {
              world w{{.workers = GENERATE(1u, 2u)}};
              w.expect_leftovers();
              w.spawn([&] { never.wait(); });
          }) == "returned");
}

TEST_CASE("a world says nothing about leaks in a test that fails already", "[world][leak]") {
    rondo::event never;
    CHECK(end_of([&] {
              world w{{.workers = GENERATE(1u, 2u)}};
              w.spawn([&] { never.wait(); });
              throw std::runtime_error("the first failure");
          }) == "the first failure");
}
