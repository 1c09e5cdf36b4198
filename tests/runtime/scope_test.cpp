// scope, group, all, race: children end before the scope does.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using namespace support;

namespace {

struct count_while_alive {
    std::atomic<int>& n;
    explicit count_while_alive(std::atomic<int>& counter) : n(counter) { ++n; }
    ~count_while_alive() { --n; }
};

}  // namespace

TEST_CASE("a scope ends after its last child, and gives what its function returned", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [result, ended] = rondo::run({.workers = workers}, [] {
        std::atomic<int> done{0};
        const int value = rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 20; ++i)
                g.spawn([&] {
                    rondo::sleep_for(50us);
                    ++done;
                });
            return 7;
        });
        return std::tuple(value, done.load());
    });
    CHECK(result == 7);
    CHECK(ended == 20);
}

TEST_CASE("children may refer to what lives around the scope", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto sum = rondo::run({.workers = workers}, [] {
        std::vector<int> squares(100);
        rondo::scope([&](rondo::group& g) {
            for (std::size_t i = 0; i < squares.size(); ++i)
                g.spawn([&, i] {
                    if (i % 3 == 0) rondo::yield();
                    squares[i] = static_cast<int>(i * i);
                });
        });
        int total = 0;
        for (int s : squares) total += s;
        return total;
    });
    CHECK(sum == 328'350);
}

TEST_CASE("a scope without children, and one in a scope, are fine", "[scope]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              int in_frame = 4;
              rondo::scope([](rondo::group&) {});
              int& same = rondo::scope([&](rondo::group& g) -> int& {
                  g.spawn([&] { rondo::scope([&](rondo::group& inner) { inner.spawn([&] { ++in_frame; }); }); });
                  return in_frame;
              });
              return same;
          }) == 5);
}

TEST_CASE("the first failure of a child stops the rest and comes out of the scope", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        const auto text = end_of([&] {
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 10; ++i)
                    g.spawn([&] {
                        const count_while_alive here(living);
                        rondo::event().wait();
                    });
                g.spawn([] {
                    rondo::yield();
                    throw std::runtime_error("first");
                });
            });
        });
        return std::tuple(text, living.load());
    });
    CHECK(end == "first");
    CHECK(alive == 0);
}

TEST_CASE("a failure of the scope's own function stops the children and comes out of the scope", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        const auto text = end_of([&] {
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 10; ++i)
                    g.spawn([&] {
                        const count_while_alive here(living);
                        rondo::event().wait();
                    });
                rondo::yield();
                throw std::runtime_error("own");
            });
        });
        return std::tuple(text, living.load());
    });
    CHECK(end == "own");
    CHECK(alive == 0);
}

TEST_CASE("a failure of a child reaches the scope's own function while that waits", "[scope]") {
    CHECK(rondo::run({.workers = 1}, [] {
              return end_of([&] {
                  rondo::scope([&](rondo::group& g) {
                      auto child = g.spawn([] { throw std::runtime_error("joined too"); });
                      child.join();
                  });
              });
          }) == "joined too");
}

TEST_CASE("a failure of a child ends whatever its scope's own function waits for", "[scope]") {
    const auto workers = GENERATE(1u, 2u);
    const auto wait = GENERATE(0, 1, 2, 3);
    int before = 0, after = 0;
    const auto end = rondo::run({.workers = workers}, [&] {
        rondo::event never, later;
        auto stranger = rondo::spawn([&] { later.wait(); });
        rondo::yield();
        return end_of([&] {
            const auto tidy = [&] {                   // whatever happens, run() shall end
                later.set();
                stranger.join();
            };
            try {
                rondo::scope([&](rondo::group& g) {
                    g.spawn([] {
                        rondo::yield();
                        throw std::runtime_error("boom");
                    });
                    ++before;
                    if (wait == 0) never.wait();
                    if (wait == 1) rondo::sleep_for(1h);
                    if (wait == 2) stranger.join();
                    if (wait == 3) rondo::scope([&](rondo::group& inner) { inner.spawn([&] { never.wait(); }); });
                    ++after;
                });
            } catch (...) {
                tidy();                               // and the stop was the scope's alone: this waits again
                throw;
            }
        });
    });
    CHECK(end == "boom");
    CHECK(before == 1);
    CHECK(after == 0);
}

TEST_CASE("a stop that was asked for stays when a failing scope's own stop goes", "[scope][stop]") {
    std::string inside, outside;
    rondo::run({.workers = 1}, [&] {
        rondo::event never;
        auto parent = rondo::spawn([&] {
            inside = end_of([&] {
                rondo::scope([&](rondo::group& g) {
                    g.spawn([] { throw std::runtime_error("boom"); });
                    never.wait();
                });
            });
            outside = end_of([] { rondo::yield(); });
            rondo::checkpoint();
        });
        rondo::yield();                               // the child has failed, and its parent has been told
        parent.stop();
        CHECK(end_of([&] { parent.join(); }) == "stopped");
    });
    CHECK(inside == "boom");
    CHECK(outside == "stopped");
}

TEST_CASE("two scopes of one tasklet fail one in the other, and both say why", "[scope]") {
    rondo::run({.workers = 1}, [] {
        rondo::event never, go;
        std::string inner, outer;
        outer = end_of([&] {
            rondo::scope([&](rondo::group& out) {
                out.spawn([&] {
                    go.wait();
                    throw std::runtime_error("outer");
                });
                inner = end_of([&] {
                    rondo::scope([&](rondo::group& in) {
                        in.spawn([&] {
                            go.wait();
                            throw std::runtime_error("inner");
                        });
                        go.set();
                        never.wait();
                    });
                });
                never.wait();
            });
        });
        CHECK(inner == "inner");
        CHECK(outer == "outer");
        CHECK(end_of([] { rondo::yield(); }) == "returned");
    });
}

TEST_CASE("of several failures the first comes out, and none is left for run", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(end_of([&] {
              rondo::run({.workers = workers}, [] {
                  const auto end = end_of([] {
                      rondo::scope([](rondo::group& g) {
                          for (int i = 0; i < 10; ++i) g.spawn([] { throw std::runtime_error("one of them"); });
                      });
                  });
                  if (end != "one of them") throw std::runtime_error("scope ended with " + end);
              });
          }) == "returned");
}

TEST_CASE("a failed child may be joined, and its scope fails all the same", "[scope]") {
    const auto ends = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        std::string joined;
        const auto scope_end = end_of([&] {
            rondo::scope([&](rondo::group& g) {
                auto child = g.spawn([]() -> int { throw std::runtime_error("child"); });
                joined = end_of([&] { child.join(); });
            });
        });
        return std::tuple(joined, scope_end);
    });
    CHECK(ends == std::tuple(std::string("child"), std::string("child")));
}

TEST_CASE("who waits for a child that fails gets its error, not the stop that it brings", "[scope][stop]") {
    const bool by_owner = GENERATE(true, false);
    rondo::testing::world world{{.workers = 1}};
    std::string joined, next_wait;
    const auto scope_end = world.run([&] {
        rondo::event fails;
        return end_of([&] {
            rondo::scope([&](rondo::group& g) {
                auto child = g.spawn([&]() -> int {
                    fails.wait();
                    throw std::runtime_error("child");
                });
                auto join = [&, child = std::move(child)]() mutable {
                    rondo::yield();                    // the child has begun: this join waits
                    g.spawn([&] { fails.set(); });
                    joined = end_of([&] { child.join(); });
                    next_wait = end_of([] { rondo::sleep_for(1h); });
                };
                if (by_owner) return join();
                g.spawn(std::move(join));
                rondo::sleep_for(1h);
            });
        });
    });
    CHECK(joined == "child");
    CHECK(next_wait == "stopped");
    CHECK(scope_end == "child");
}

TEST_CASE("a failed child gives its error to its joiner under every schedule", "[scope][stop]") {
    const auto report = rondo::testing::explore({.seeds = 500, .throws = false}, [] {
        std::string joined;
        const auto scope_end = end_of([&] {
            rondo::event has_begun, fails;
            rondo::scope([&](rondo::group& g) {
                auto child = g.spawn([&]() -> int {
                    has_begun.set();
                    fails.wait();
                    throw std::runtime_error("child");
                });
                has_begun.wait();
                fails.set();
                joined = end_of([&] { child.join(); });
            });
        });
        return joined == "child" && scope_end == "child";
    });
    INFO(report.text);
    CHECK(report.ok());
}

TEST_CASE("children give results to whoever joins them", "[scope]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [] {
              return rondo::scope([](rondo::group& g) {
                  auto a = g.spawn([](int x) { return x; }, 1);
                  auto b = g.spawn([](int x, int y) { return std::make_unique<int>(x + y); }, 2, 3);
                  auto c = g.spawn({.name = "named"}, [] { return std::string(rondo::this_tasklet::name()); });
                  return a.join() + *b.join() + static_cast<int>(c.join().size());
              });
          }) == 11);
}

TEST_CASE("group.stop ends all children, those to come too, without a failure", "[scope][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, stopped, late, asked] = rondo::run({.workers = workers}, [] {
        std::atomic<int> ended{0};
        std::atomic<bool> ran{false};
        bool requested = false;
        const auto text = end_of([&] {
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 5; ++i) g.spawn([&] { ended += end_of([] { rondo::event().wait(); }) == "stopped"; });
                while (g.size() != 5) rondo::yield();
                for (int i = 0; i < 20; ++i) rondo::yield();
                g.stop();
                requested = g.stop_requested();
                g.spawn([&] { ran = true; });
            });
        });
        return std::tuple(text, ended.load(), ran.load(), requested);
    });
    CHECK(end == "returned");
    CHECK(stopped <= 5);
    if (workers == 1) CHECK(stopped == 5);
    CHECK_FALSE(late);
    CHECK(asked);
}

TEST_CASE("a stop of the parent stops the children, and the parent ends after them", "[scope][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        int left = -1;
        auto parent = rondo::spawn([&] {
            try {
                rondo::scope([&](rondo::group& g) {
                    for (int i = 0; i < 10; ++i)
                        g.spawn([&] {
                            const count_while_alive here(living);
                            rondo::event().wait();
                        });
                });
            } catch (const rondo::stopped&) {
                left = living;
                throw;
            }
        });
        while (living != 10) rondo::yield();
        parent.stop();
        return std::tuple(end_of([&] { parent.join(); }), left);
    });
    CHECK(end == "stopped");
    CHECK(alive == 0);
}

TEST_CASE("children that take their time to stop keep their scope open", "[scope][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int rounds = rondo::run({.workers = workers}, [] {
        int swallowed = 0;
        rondo::event begun;
        auto parent = rondo::spawn([&] {
            rondo::scope([&](rondo::group& g) {
                g.spawn([&] {
                    begun.set();
                    while (swallowed < 100) try {
                            rondo::event().wait();
                        } catch (const rondo::stopped&) {
                            ++swallowed;
                            std::this_thread::yield();
                        }
                });
            });
        });
        begun.wait();
        parent.stop();
        end_of([&] { parent.join(); });
        return swallowed;
    });
    CHECK(rounds == 100);
}

TEST_CASE("a stop reaches down through nested scopes", "[scope][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        struct nest {
            static void down(int depth, std::atomic<int>& n) {
                const count_while_alive here(n);
                if (depth == 0) return rondo::event().wait();
                rondo::scope([&](rondo::group& g) {
                    g.spawn([depth, &n] { down(depth - 1, n); });
                    g.spawn([depth, &n] { down(depth - 1, n); });
                });
            }
        };
        auto t = rondo::spawn([&] { nest::down(4, living); });
        while (living != 31) rondo::yield();
        t.stop();
        const auto text = end_of([&] { t.join(); });
        return std::tuple(text, living.load());
    });
    CHECK(end == "stopped");
    CHECK(alive == 0);
}

TEST_CASE("a scope's deadline stops its children and comes out as deadline_exceeded", "[scope][deadline]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [end, alive, early] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        const auto before = std::chrono::steady_clock::now();
        const auto text = end_of([&] {
            rondo::scope({.deadline = 3ms}, [&](rondo::group& g) {
                for (int i = 0; i < 5; ++i)
                    g.spawn([&] {
                        const count_while_alive here(living);
                        rondo::event().wait();
                    });
            });
        });
        return std::tuple(text, living.load(), std::chrono::steady_clock::now() - before < 3ms);
    });
    CHECK(end == "deadline_exceeded");
    CHECK(alive == 0);
    CHECK_FALSE(early);
}

TEST_CASE("a scope's deadline reaches the waits of its own function", "[scope][deadline]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              return end_of([] {
                  rondo::scope({.deadline = 2ms}, [](rondo::group&) { rondo::event().wait(); });
              });
          }) == "deadline_exceeded");
}

TEST_CASE("a scope that ends in time knows no deadline", "[scope][deadline]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              const int value = rondo::scope({.deadline = 1h}, [](rondo::group& g) {
                  return g.spawn([] {
                      rondo::yield();
                      return 3;
                  }).join();
              });
              rondo::sleep_for(1us);
              return value;
          }) == 3);
}

TEST_CASE("a deadline around a scope stops its children and belongs to within", "[scope][deadline]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [result, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        const bool done = rondo::within(3ms, [&] {
            rondo::scope({.deadline = 1h}, [&](rondo::group& g) {
                g.spawn([&] {
                    const count_while_alive here(living);
                    rondo::event().wait();
                });
            });
        });
        return std::tuple(done, living.load());
    });
    CHECK_FALSE(result);
    CHECK(alive == 0);
}

TEST_CASE("all gives every result, in the order of its functions", "[scope][all]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [a, b, c] = rondo::run({.workers = workers}, [] {
        bool ran = false;
        auto [x, nothing, y] = rondo::all(
            [] {
                rondo::sleep_for(100us);
                return 1;
            },
            [&] { ran = true; }, [] { return std::string("two"); });
        static_cast<void>(nothing);
        return std::tuple(x, ran, y);
    });
    CHECK(a == 1);
    CHECK(b);
    CHECK(c == "two");
}

TEST_CASE("all fails with its first failure after it has stopped the others", "[scope][all]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(rondo::run({.workers = workers}, [] {
              std::atomic<int> living{0};
              const auto end = end_of([&] {
                  rondo::all(
                      [&] {
                          const count_while_alive here(living);
                          rondo::event().wait();
                      },
                      [] {
                          rondo::yield();
                          throw std::runtime_error("failed");
                      });
              });
              return end + std::to_string(living);
          }) == "failed0");
}

TEST_CASE("race gives the result of the first to end and stops the others", "[scope][race]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [winner, alive] = rondo::run({.workers = workers}, [] {
        std::atomic<int> living{0};
        const auto value = rondo::race(
            [&] {
                const count_while_alive here(living);
                rondo::event().wait();
                return std::string("never");
            },
            [] {
                rondo::sleep_for(1ms);
                return std::string("tortoise");
            });
        return std::tuple(value, living.load());
    });
    CHECK(winner == "tortoise");
    CHECK(alive == 0);
}

TEST_CASE("race of functions that return nothing, and one that fails", "[scope][race]") {
    const auto workers = GENERATE(1u, 2u);
    CHECK(rondo::run({.workers = workers}, [] {
              rondo::race([] { rondo::event().wait(); }, [] { rondo::yield(); });
              return end_of([] {
                  rondo::race([] { rondo::event().wait(); },
                              [] {
                                  rondo::yield();
                                  throw std::runtime_error("lost");
                              });
              });
          }) == "lost");
}

TEST_CASE("all keeps what a function gives as it is, be it a pair, a tuple or a reference", "[scope][all]") {
    int variable = 0;
    rondo::run([&] {
        const auto pair = rondo::all([] { return std::pair(1, std::string("one")); });
        STATIC_REQUIRE(std::is_same_v<decltype(pair), const std::tuple<std::pair<int, std::string>>>);
        CHECK(std::get<0>(pair).second == "one");
        const auto tuple = rondo::all([] { return std::tuple(1, 2); });
        STATIC_REQUIRE(std::is_same_v<decltype(tuple), const std::tuple<std::tuple<int, int>>>);
        auto reference = rondo::all([&]() -> int& { return variable; });
        CHECK(&std::get<0>(reference) == &variable);
    });
}

TEST_CASE("race gives a reference as one", "[scope][race]") {
    int variable = 0;
    CHECK(rondo::run([&] { return &rondo::race([&]() -> int& { return variable; }); }) == &variable);
}

TEST_CASE("how the losers of a race end makes no difference", "[scope][race]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [] {
              rondo::event waits;
              return rondo::race(
                  [&]() -> int {
                      try {
                          waits.set();
                          rondo::event().wait();
                      } catch (const rondo::stopped&) {
                          throw std::runtime_error("could not clean up");
                      }
                      return 1;
                  },
                  [&] {
                      waits.wait();
                      return 42;
                  });
          }) == 42);
}

TEST_CASE("children of a scope may spawn further children into it", "[scope]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(rondo::run({.workers = workers}, [] {
              std::atomic<int> ran{0};
              struct tree {
                  static void grow(rondo::group& g, int depth, std::atomic<int>& n) {
                      ++n;
                      if (depth == 0) return;
                      for (int i = 0; i < 2; ++i) g.spawn([&g, depth, &n] { grow(g, depth - 1, n); });
                  }
              };
              rondo::scope([&](rondo::group& g) { tree::grow(g, 7, ran); });
              return ran.load();
          }) == 255);
}

TEST_CASE("a group counts its children the same whether its scope waits for them or not", "[scope][unordered]") {
    std::vector<std::size_t> seen;
    rondo::run({.workers = 1}, [&] {
        rondo::event go;
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 3; ++i) g.spawn([&] { go.wait(); });
            g.spawn([&] {                       // runs when the scope waits
                seen.push_back(g.size());
                go.set();
            });
            seen.push_back(g.size());
        });
    });
    CHECK(seen == std::vector<std::size_t>{4, 4});
}


// Nobody is out of work then, so nobody searches.
TEST_CASE("what waits behind a tasklet that holds its worker is taken by a worker that is busy yielding", "[stealing]") {
    const auto workers = GENERATE(2u, 3u);
    rondo::run({.workers = workers}, [&] {
        std::atomic<bool> has_run{false};
        rondo::scope([&](rondo::group& g) {
            g.spawn([&] {                                 // holds its worker
                const auto mine = std::this_thread::get_id();
                std::atomic<unsigned> elsewhere{0};
                for (unsigned i = 1; i < workers; ++i)
                    g.spawn([&] {
                        bool counted = false;
                        while (!has_run) {
                            if (!counted && std::this_thread::get_id() != mine) counted = elsewhere.fetch_add(1) + 1;
                            rondo::yield();
                        }
                    });
                while (elsewhere < workers - 1) std::this_thread::yield();
                g.spawn([&] { has_run = true; });
                while (!has_run) std::this_thread::yield();
            });
        });
        CHECK(has_run);
    });
}
// Each of the others is over at once, so their worker has taken some of them off its queue already: taken_ahead.hpp.
TEST_CASE("a tasklet that turns out to be long holds up none of those behind it", "[scope][stealing]") {
    const auto workers = GENERATE(2u, 4u);
    static constexpr int tasklets = 2'000, others = tasklets - 1;
    std::atomic<int> ran{0};
    rondo::run({.workers = workers}, [&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < tasklets; ++i)
                g.spawn([&ran, i] {
                    if (i != tasklets / 2) ++ran;
                    else while (ran.load() != others) {}      // it does not suspend, and waits for all the others
                });
        });
    });
    CHECK(ran == others);
}

TEST_CASE("a tasklet that goes on for long holds up none of those that yield", "[scope][stealing]") {
    const auto workers = GENERATE(2u, 4u);
    static constexpr int tasklets = 200, yields = 100;
    std::atomic<int> ended{0};
    rondo::run({.workers = workers}, [&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < tasklets; ++i)
                g.spawn([&ended, i] {
                    for (int n = 0; n < yields; ++n) rondo::yield();
                    if (i == tasklets / 2)
                        while (ended.load() != tasklets - 1) {}
                    ++ended;
                });
        });
    });
    CHECK(ended == tasklets);
}

TEST_CASE("a stop finds all children, few or many, whoever has spawned them", "[scope][stop]") {
    const int children = GENERATE(1, 7, 8, 9, 30), others = GENERATE(0, 1, 3);
    rondo::runtime rt({.workers = GENERATE(1u, 2u, 4u)});
    std::atomic<int> stopped{0};
    const auto wait_for_stop = [&] {
        try {
            rondo::event().wait();
        } catch (const rondo::stopped&) {
            ++stopped;
            throw;
        }
    };
    rt.run([&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < children; ++i) g.spawn(wait_for_stop);
            for (int i = 0; i < others; ++i)
                rondo::spawn([&] { g.spawn(wait_for_stop); }).join();
            g.stop();
        });
    });
    CHECK(stopped <= children + others);              // who is stopped before it begins never waits
    rt.run([&] {
        rondo::semaphore waiting(0);
        stopped = 0;
        CHECK_THROWS_WITH(rondo::scope([&](rondo::group& g) {
            const auto child = [&] {
                waiting.release();
                wait_for_stop();
            };
            for (int i = 0; i < children; ++i) g.spawn(child);
            for (int i = 0; i < others; ++i)
                rondo::spawn([&] { g.spawn(child); }).join();
            for (int i = 0; i < children + others; ++i) waiting.acquire();
            throw std::runtime_error("enough");
        }), "enough");
        CHECK(stopped == children + others);
    });
}
