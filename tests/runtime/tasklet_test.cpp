// tasklet: results, exceptions, handles, stops, joins, names, order, plain threads.
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/time.hpp>
#include <rondo/wait_group.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using namespace support;

namespace {

struct at_exit_of_scope {
    std::function<void()> action;
    ~at_exit_of_scope() { action(); }
};

}  // namespace

// ------------------------------------------------------------------------------------------------------------- results

TEST_CASE("join gives what the tasklet returned", "[tasklet]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto results = rondo::run({.workers = workers}, [] {
        int in_frame = 1;
        auto by_value = rondo::spawn([](int a, int b) { return a * b; }, 6, 7);
        auto by_reference = rondo::spawn([&]() -> int& { return in_frame; });
        auto move_only = rondo::spawn([] { return std::make_unique<int>(5); });
        auto text = rondo::spawn([](std::string s) { return s + "!"; }, "hello");
        bool ran = false;
        auto nothing = rondo::spawn([&] { ran = true; });
        by_reference.join() = 2;
        nothing.join();
        return std::tuple(by_value.join(), in_frame, *move_only.join(), text.join(), ran);
    });
    CHECK(results == std::tuple(42, 2, 5, std::string("hello!"), true));
}

TEST_CASE("join gives the result of a tasklet that had to wait, too", "[tasklet]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto results = rondo::run({.workers = workers}, [] {
        int in_frame = 1;
        const auto waits = [](auto f) {
            return [f = std::move(f)]() mutable -> decltype(auto) {
                rondo::sleep_for(1us);
                rondo::yield();
                return f();
            };
        };
        auto by_value = rondo::spawn(waits([] { return 42; }));
        auto by_reference = rondo::spawn(waits([&]() -> int& { return in_frame; }));
        auto move_only = rondo::spawn(waits([] { return std::make_unique<int>(5); }));
        auto nothing = rondo::spawn(waits([] {}));
        rondo::yield();
        by_reference.join() = 2;
        nothing.join();
        return std::tuple(by_value.join(), in_frame, *move_only.join());
    });
    CHECK(results == std::tuple(42, 2, 5));
}

TEST_CASE("arguments are copied or moved in, as std::thread does", "[tasklet]") {
    const auto sum = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto owned = std::make_unique<int>(1);
        int outer = 10;
        auto t = rondo::spawn([](std::unique_ptr<int> p, int& r, std::vector<int> v, int a, int b, int c) {
            r += 10;
            return *p + r + static_cast<int>(v.size()) + a + b + c;
        }, std::move(owned), std::ref(outer), std::vector<int>(100), 1000, 2000, 3000);
        return t.join() + outer;
    });
    CHECK(sum == 1 + 20 + 100 + 6000 + 20);
}

TEST_CASE("a callable of any size is destroyed once, before the join returns", "[tasklet]") {
    const auto use_counts = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [] {
        auto small = std::make_shared<int>(1);
        auto a = rondo::spawn([small] { return *small; });
        struct large {
            std::shared_ptr<int> p;
            char padding[500];
        };
        auto b = rondo::spawn([l = large{small, {}}] {
            rondo::yield();
            return *l.p;
        });
        auto c = rondo::spawn([l = large{small, {}}] { throw std::runtime_error("thrown"); });
        const int sum = a.join() + b.join();
        end_of([&] { c.join(); });
        return std::pair(sum, small.use_count());
    });
    CHECK(use_counts == std::pair(2, 1L));
}

TEST_CASE("a result that nobody joins is destroyed", "[tasklet]") {
    std::weak_ptr<int> seen[3];
    rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        const auto make = [&](std::size_t i) {
            return [&, i] {
                auto p = std::make_shared<int>(1);
                seen[i] = p;
                return p;
            };
        };
        rondo::spawn(make(0));                                  // dropped before it ran
        auto ended = rondo::spawn(make(1));
        while (!ended.done()) rondo::yield();                   // dropped after it ended
        auto moved = rondo::spawn(make(2));
        moved = rondo::tasklet<std::shared_ptr<int>>();         // dropped by an assignment
    });
    for (auto& p : seen) CHECK(p.expired());
}

// ------------------------------------------------------------------------------------------------------------- exceptions

TEST_CASE("join rethrows what the tasklet ended with", "[tasklet][exceptions]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto ends = rondo::run({.workers = workers}, [] {
        auto at_once = rondo::spawn([] { throw std::runtime_error("at once"); });
        auto later = rondo::spawn([]() -> int {
            rondo::yield();
            throw std::runtime_error("later");
        });
        auto ended = rondo::spawn([] { throw std::runtime_error("before the join"); });
        while (!ended.done()) rondo::yield();
        auto not_standard = rondo::spawn([] { throw 17; });
        int number = 0;
        try {
            not_standard.join();
        } catch (int n) {
            number = n;
        }
        return lines{end_of([&] { at_once.join(); }), end_of([&] { later.join(); }), end_of([&] { ended.join(); }),
                     std::to_string(number)};
    });
    CHECK(ends == lines{"at once", "later", "before the join", "17"});
}

TEST_CASE("an exception passes through several joins", "[tasklet][exceptions]") {
    const auto end = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [] {
        return end_of([] {
            rondo::spawn([] {
                rondo::spawn([] {
                    rondo::spawn([] {
                        rondo::yield();
                        throw std::runtime_error("from below");
                    }).join();
                }).join();
            }).join();
        });
    });
    CHECK(end == "from below");
}

TEST_CASE("an exception that was joined does not come out of run again", "[tasklet][exceptions]") {
    CHECK(end_of([] {
              rondo::run({.workers = GENERATE(1u, 2u)}, [] {
                  auto t = rondo::spawn([] { throw std::runtime_error("joined"); });
                  end_of([&] { t.join(); });
              });
          }) == "returned");
}

// ------------------------------------------------------------------------------------------------------------- handles

TEST_CASE("a tasklet whose handle was dropped still runs before run returns", "[tasklet][handles]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> ran{0};
    rondo::run({.workers = workers}, [&] {
        for (int i = 0; i < 100; ++i)
            rondo::spawn([&] {
                rondo::yield();
                ++ran;
            });
    });
    CHECK(ran == 100);
}

TEST_CASE("joining twice is a usage error that says so", "[tasklet][handles]") {
    const auto ends = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto t = rondo::spawn([] { return 1; });
        t.join();
        const auto second = end_of([&] { t.join(); });
        std::string message;
        try {
            t.join();
        } catch (const rondo::usage_error& e) {
            message = e.what();
        }
        return std::tuple(second, message.find("already joined") != std::string::npos, t.joinable(), t.id());
    });
    CHECK(ends == std::tuple(std::string("usage_error"), true, false, std::uint64_t{0}));
}

TEST_CASE("a handle that was moved from or never had a tasklet cannot be joined", "[tasklet][handles]") {
    const auto ends = rondo::run({.workers = 1}, [] {
        rondo::tasklet<int> empty;
        auto t = rondo::spawn([] { return 1; });
        auto u = std::move(t);
        empty.stop();
        lines result{end_of([&] { empty.join(); }), end_of([&] { t.join(); }), end_of([&] { u.join(); }),
                     end_of([&] { static_cast<void>(empty.try_join()); })};
        result.push_back(empty.done() ? "done" : "not done");
        return result;
    });
    CHECK(ends == lines{"usage_error", "usage_error", "returned", "usage_error", "not done"});
}

TEST_CASE("a second joiner at the same time is a usage error, and the first gets the result", "[tasklet][handles]") {
    rondo::event go;
    stage s(GENERATE(1u, 2u, 4u));
    int result = 0;
    std::string end;
    auto slow = s.rt.spawn([&] {
        go.wait();
        return 3;
    });
    s.rt.spawn([&] { result = slow.join(); });
    CHECK(s.settle() == 2);
    s.rt.spawn([&] { end = end_of([&] { slow.join(); }); });
    CHECK(s.settle() == 2);
    CHECK(end == "usage_error");
    go.set();
    CHECK(s.settle() == 0);
    CHECK(result == 3);
}

TEST_CASE("others may ask a tasklet to stop, or whether it has ended, while it is joined", "[tasklet][handles]") {
    rondo::runtime rt({.workers = GENERATE(1u, 2u)});
    int ended = 0;
    for (int i = 0; i < 2'000; ++i) {
        auto t = rt.spawn([] { rondo::yield(); });
        std::atomic<bool> joined{false};
        std::thread asks([&] {
            while (!joined.load()) {
                static_cast<void>(t.done());
                static_cast<void>(t.id());
                if (i % 2) t.stop();
            }
        });
        const auto end = end_of([&] { t.join(); });
        ended += end == "returned" || end == "stopped";
        joined = true;
        asks.join();
        CHECK_FALSE(t.done());
    }
    CHECK(ended == 2'000);
}

TEST_CASE("a stop reaches a child that its joiner runs as a plain call", "[tasklet][handles][stop]") {
    rondo::run({.workers = 1}, [] {
        rondo::event never;
        auto child = rondo::spawn([&] { never.wait(); });
        auto stops = rondo::spawn([&] {
            CHECK(child.joinable());
            CHECK(child.id() != 0);
            child.stop();
        });
        CHECK(end_of([&] { child.join(); }) == "stopped");    // has not begun: it runs on our stack
        CHECK_FALSE(child.joinable());
        stops.join();
    });
}

TEST_CASE("of two that join at the moment of the end one gets the result", "[tasklet][handles]") {
    rondo::runtime rt({.workers = 1});
    for (int i = 0; i < 1'000; ++i) {
        auto t = rt.spawn([i] { return i; });
        std::atomic<int> results{0}, refused{0};
        const auto join = [&] {
            try {
                if (t.join() == i) ++results;
            } catch (const rondo::usage_error&) {
                ++refused;
            }
        };
        std::thread other(join);
        join();
        other.join();
        CHECK(results == 1);
        CHECK(refused == 1);
    }
}

namespace {

// Trivially copyable, and yet a copy of a variable runs code of its own, which suspends.
struct suspends_when_copied {
    std::atomic<int>* ran;
    explicit suspends_when_copied(std::atomic<int>& n) : ran(&n) {}
    template <class Other>
        requires std::is_same_v<Other, suspends_when_copied>
    suspends_when_copied(Other& from) noexcept : ran(from.ran) {
        for (int i = 0; i < 3; ++i) rondo::yield();
    }
    suspends_when_copied(const suspends_when_copied&) = default;
    void operator()() const { ++*ran; }
};
static_assert(std::is_trivially_copyable_v<suspends_when_copied>);

}  // namespace

TEST_CASE("what a tasklet is spawned with may suspend while it is made", "[tasklet]") {
    std::atomic<int> ran{0};
    rondo::run({.workers = 3}, [&] {
        for (int k = 0; k < 8; ++k)
            rondo::spawn([&] {
                suspends_when_copied b(ran);
                for (int i = 0; i < 300; ++i) rondo::spawn(b);
            });
    });
    CHECK(ran == 8 * 300);
}

TEST_CASE("a result that is an rvalue reference is handed on as a value", "[tasklet]") {
    const std::string text(100, 'x');
    std::string variable;
    const auto give = [&]() -> std::string&& {
        variable = text;
        return std::move(variable);
    };
    CHECK(rondo::run(give) == text);
    CHECK(rondo::run([&] { return rondo::spawn(give).join(); }) == text);
    CHECK(rondo::run([&] { return rondo::blocking(give); }) == text);
    CHECK(rondo::run([&] { return rondo::scope([&](rondo::group&) -> std::string&& { return give(); }); }) == text);
    CHECK(rondo::run([&] { return std::get<0>(rondo::all(give)); }) == text);
    CHECK(rondo::run([&] { return rondo::race(give); }) == text);
    STATIC_REQUIRE(std::is_same_v<decltype(rondo::run(give)), std::string>);
}

TEST_CASE("a reference is joined as one in every form", "[tasklet][join]") {
    int variable = 1;
    rondo::run([&] {
        const auto give = [&]() -> int& { return variable; };
        CHECK(&rondo::spawn(give).join() == &variable);
        auto t = rondo::spawn(give);
        const auto at = t.join_for(std::chrono::hours(1));
        REQUIRE(at);
        CHECK(&at->get() == &variable);
        auto u = rondo::spawn(give);
        while (!u.done()) rondo::yield();
        CHECK(&u.try_join()->get() == &variable);
    });
}

TEST_CASE("reports say where a tasklet was spawned, not where in a header", "[tasklet]") {
    rondo::event end;
    rondo::runtime rt({.workers = 1});
    const auto wait = [&](auto...) { end.wait(); };
    std::vector<rondo::tasklet<void>> all;
    all.push_back(rt.spawn(wait));
    all.push_back(rt.spawn(wait, 1));
    all.push_back(rt.spawn(wait, 1, 2));
    all.push_back(rt.spawn([&] { rondo::spawn(wait, 1, 2, 3).join(); }));
    all.push_back(rt.spawn([&] { rondo::scope([&](rondo::group& g) { g.spawn(wait, 1, 2, 3); }); }));
    CHECK(rt.run_until_idle().parked.size() == 7);
    for (auto& info : rt.tasklets()) CHECK_THAT(info.spawn_site, Catch::Contains("tasklet_test.cpp:"));
    auto more = rt.spawn([&] { rondo::all(wait, wait); });
    const auto parked = rt.run_until_idle().parked;
    CHECK(std::count_if(parked.begin(), parked.end(), [](auto& info) { return info.spawn_site.empty(); }) == 2);
    end.set();
    for (auto& t : all) t.join();
    more.join();
}

TEST_CASE("a tasklet cannot join itself", "[tasklet][handles]") {
    std::string end;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        rondo::tasklet<void> t;
        rondo::event set;
        t = rondo::spawn([&] {
            set.wait();
            end = end_of([&] { t.join(); });
        });
        rondo::yield();
        set.set();
        while (!t.done()) rondo::yield();
    });
    CHECK(end == "usage_error");
}

TEST_CASE("spawn outside any runtime is a usage error that names the way out", "[tasklet][handles]") {
    std::string message;
    try {
        rondo::spawn([] {});
    } catch (const rondo::usage_error& e) {
        message = e.what();
    }
    CHECK(message.find("rondo::run") != std::string::npos);
}

TEST_CASE("done and ids tell tasklets apart", "[tasklet][handles]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [ids, same, before, after] = rondo::run({.workers = workers}, [] {
        std::set<std::uint64_t> seen{rondo::this_tasklet::id()};
        bool equal = true;
        rondo::event go;
        auto t = rondo::spawn([&] { go.wait(); });
        const bool done_before = t.done();
        go.set();
        for (int i = 0; i < 100; ++i) {
            auto u = rondo::spawn([] { return rondo::this_tasklet::id(); });
            const auto id = u.id();
            seen.insert(id);
            equal = equal && u.join() == id;
        }
        while (!t.done()) rondo::yield();
        return std::tuple(seen.size(), equal, done_before, t.done());
    });
    CHECK(ids == 101);
    CHECK(same);
    CHECK_FALSE(before);
    CHECK(after);
    CHECK(rondo::this_tasklet::id() == 0);
}

TEST_CASE("handles are safe after their runtime has gone", "[tasklet][handles]") {
    rondo::tasklet<std::string> ended, never_joined, failed;
    rondo::tasklet<void> detached, stopped;
    {
        rondo::runtime rt({.workers = GENERATE(1u, 2u)});
        ended = rt.spawn([] { return std::string(100, 'x'); });
        never_joined = rt.spawn([] { return std::string(100, 'y'); });
        failed = rt.spawn([]() -> std::string { throw std::runtime_error("kept"); });
        detached = rt.spawn([] {});
        stopped = rt.spawn([] { rondo::event().wait(); });
        rt.run_until_idle();
    }
    CHECK(ended.done());
    CHECK(stopped.done());
    ended.stop();
    stopped.stop();
    CHECK(ended.join() == std::string(100, 'x'));
    CHECK(end_of([&] { failed.join(); }) == "kept");
    CHECK(end_of([&] { detached.join(); }) == "returned");
    const auto end = end_of([&] { stopped.join(); });
    CHECK(end == "stopped");
}

TEST_CASE("a handle kept over many runtimes still has its result", "[tasklet][handles]") {
    std::vector<rondo::tasklet<std::unique_ptr<int>>> kept;
    for (int i = 0; i < 50; ++i) {
        rondo::runtime rt({.workers = 1});
        kept.push_back(rt.spawn([i] { return std::make_unique<int>(i); }));
        for (int k = 0; k < 20; ++k) rt.spawn([] { rondo::yield(); });
        rt.run_until_idle();
    }
    int sum = 0;
    for (auto& t : kept) sum += *t.join();
    CHECK(sum == 49 * 50 / 2);
}

// ------------------------------------------------------------------------------------------------------------- stop

TEST_CASE("a tasklet stopped before it starts never runs its body", "[tasklet][stop]") {
    bool ran = false;
    std::string end;
    long uses = 0;
    rondo::run({.workers = one_worker}, [&] {
        auto witness = std::make_shared<int>(1);
        auto t = rondo::spawn([&, witness] { ran = true; });
        t.stop();
        end = end_of([&] { t.join(); });
        uses = witness.use_count();
    });
    CHECK_FALSE(ran);
    CHECK(end == "stopped");
    CHECK(uses == 1);
}

TEST_CASE("a stopped tasklet whose handle was dropped is no failure of the run", "[tasklet][stop]") {
    CHECK(end_of([] {
              rondo::run({.workers = GENERATE(1u, 2u)}, [] {
                  auto t = rondo::spawn([] { rondo::event().wait(); });
                  rondo::yield();
                  t.stop();
              });
          }) == "returned");
}

TEST_CASE("a stop ends every kind of wait", "[tasklet][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    std::vector<std::string> ends(4);
    std::vector<rondo::tasklet<void>> all;
    rondo::event never;
    all.push_back(s.rt.spawn([&] { ends[0] = end_of([&] { never.wait(); }); }));
    all.push_back(s.rt.spawn([&] {
        auto child = rondo::spawn([&] { never.wait(); });
        rondo::yield();
        ends[1] = end_of([&] { child.join(); });
        child.stop();
    }));
    all.push_back(s.rt.spawn([&] {
        ends[2] = end_of([&] { rondo::scope([&](rondo::group& g) { g.spawn([&] { never.wait(); }); }); });
    }));
    all.push_back(s.rt.spawn([&] {
        auto child = rondo::spawn([&] { never.wait(); });
        ends[3] = end_of([&] { child.join(); });
        child.stop();
    }));
    CHECK(s.settle() >= 6);
    for (auto& t : all) t.stop();
    CHECK(s.settle() == 0);
    CHECK(ends == std::vector<std::string>(4, "stopped"));
}

TEST_CASE("a stop ends a sleep", "[tasklet][stop]") {
    const auto before = std::chrono::steady_clock::now();
    const auto end = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [] {
        auto t = rondo::spawn([] { rondo::sleep_for(1h); });
        rondo::yield();
        t.stop();
        return end_of([&] { t.join(); });
    });
    CHECK(end == "stopped");
    CHECK(std::chrono::steady_clock::now() - before < 10min);
}

TEST_CASE("a stop is sticky: it arrives again at every later call that may suspend", "[tasklet][stop]") {
    lines ends;
    bool requested = false;
    rondo::run({.workers = one_worker}, [&] {
        auto t = rondo::spawn([&] {
            rondo::event never;
            ends.push_back(end_of([&] { never.wait(); }));
            ends.push_back(end_of([&] { never.wait(); }));
            ends.push_back(end_of([&] { rondo::yield(); }));
            ends.push_back(end_of([&] { rondo::checkpoint(); }));
            ends.push_back(end_of([&] { rondo::sleep_for(1h); }));
            ends.push_back(end_of([&] { rondo::scope([](rondo::group& g) { g.spawn([] {}); }); }));
            requested = rondo::this_tasklet::stop_requested();
        });
        rondo::yield();
        t.stop();
        t.stop();
        t.join();
    });
    CHECK(std::count(ends.begin(), ends.end(), "stopped") >= 5);
    CHECK(ends.size() == 6);
    CHECK(requested);
}

TEST_CASE("a stopped joiner leaves its child running, and the child can be joined again", "[tasklet][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    rondo::event go;
    rondo::tasklet<int> child;
    std::string end;
    child = s.rt.spawn([&] {
        go.wait();
        return 9;
    });
    CHECK(s.settle() == 1);
    auto joiner = s.rt.spawn([&] { end = end_of([&] { child.join(); }); });
    CHECK(s.settle() == 2);
    joiner.stop();
    CHECK(s.settle() == 1);
    CHECK(end == "stopped");
    CHECK(child.joinable());
    CHECK_FALSE(child.done());
    go.set();
    CHECK(s.settle() == 0);
    CHECK(child.join() == 9);
}

TEST_CASE("a stop of a joiner that runs its child as a plain call reaches the child", "[tasklet][stop]") {
    std::string child_end, joiner_end;
    bool child_asked = true;
    rondo::run({.workers = one_worker}, [&] {
        rondo::event never;
        auto joiner = rondo::spawn([&] {
            auto child = rondo::spawn([&] {
                child_end = end_of([&] { never.wait(); });
                child_asked = rondo::this_tasklet::stop_requested();
                throw rondo::stopped();
            });
            joiner_end = end_of([&] { child.join(); });
        });
        rondo::yield();
        joiner.stop();
        end_of([&] { joiner.join(); });
    });
    CHECK(child_end == "stopped");
    CHECK(joiner_end == "stopped");
    CHECK_FALSE(child_asked);
}

TEST_CASE("a stop of a joiner several plain calls below reaches the one that waits", "[tasklet][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    std::atomic<int> unwound{0};
    rondo::event never;
    const std::function<void(int)> descend = [&](int depth) {
        const at_exit_of_scope note{[&] { ++unwound; }};
        if (depth == 0) return never.wait();
        rondo::spawn([&, depth] { descend(depth - 1); }).join();
    };
    auto t = s.rt.spawn([&] { descend(8); });
    CHECK(s.settle() >= 1);
    t.stop();
    s.settle();
    // A child that another worker had begun goes on; on one worker all of them are plain calls.
    if (workers == 1) CHECK(unwound == 9);
    never.set();
    CHECK(s.settle() == 0);
    CHECK(unwound == 9);
    if (workers == 1) CHECK(end_of([&] { t.join(); }) == "stopped");
}

TEST_CASE("a stop of a joiner does not cut short the blocking call of a child that it runs", "[tasklet][stop]") {
    // The helper thread works on the child's frame: the child must not leave it before the call has ended.
    const auto workers = GENERATE(1u, 2u);
    std::atomic<bool> started{false}, begun{false}, go_on{false}, call_ended{false};
    bool call_ended_first = false;
    std::string earlier;
    rondo::run({.workers = workers}, [&] {
        rondo::event never;
        auto joiner = rondo::spawn([&] {
            auto child = rondo::spawn([&] {
                started = true;
                earlier = end_of([&] { never.wait(); });
                end_of([&] {
                    rondo::blocking([&] {
                        begun = true;
                        while (!go_on) std::this_thread::yield();
                        call_ended = true;
                    });
                });
                // One that another worker has begun is no plain call: it is asked itself, perhaps before the call begins.
                call_ended_first = begun == call_ended;
                begun = true;
            });
            end_of([&] { child.join(); });
            child.stop();
        });
        while (!started) rondo::yield();
        joiner.stop();
        while (!begun) rondo::yield();
        for (int i = 0; i < 100; ++i) rondo::yield();
        go_on = true;
        end_of([&] { joiner.join(); });
    });
    CHECK(earlier == "stopped");
    CHECK(call_ended_first);
}

TEST_CASE("cleaning up during a stop runs every destructor", "[tasklet][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> alive{0};
    stage s(workers);
    rondo::event never;
    std::vector<rondo::tasklet<void>> all;
    for (int i = 0; i < 50; ++i)
        all.push_back(s.rt.spawn([&] {
            ++alive;
            const at_exit_of_scope note{[&] { --alive; }};
            never.wait();
        }));
    CHECK(s.settle() == 50);
    CHECK(alive == 50);
    for (auto& t : all) t.stop();
    CHECK(s.settle() == 0);
    CHECK(alive == 0);
}

TEST_CASE("the stop token of a tasklet fires when it is asked to stop", "[tasklet][stop]") {
    const auto workers = GENERATE(1u, 2u);
    stage s(workers);
    std::stop_token token, late, outside = rondo::this_tasklet::stop_token();
    std::atomic<int> called{0};
    rondo::event never;
    auto t = s.rt.spawn([&] {
        token = rondo::this_tasklet::stop_token();
        end_of([&] { never.wait(); });
        late = rondo::this_tasklet::stop_token();
    });
    CHECK(s.settle() == 1);
    {
        const std::stop_callback call(token, [&] { ++called; });
        CHECK(token.stop_possible());
        CHECK_FALSE(token.stop_requested());
        t.stop();
        CHECK(called == 1);
    }
    CHECK(token.stop_requested());
    CHECK(s.settle() == 0);
    CHECK(late.stop_requested());
    CHECK_FALSE(outside.stop_possible());
}

TEST_CASE("a stop is told to the callbacks in a tasklet's own frames before it unwinds them", "[tasklet][stop]") {
    std::atomic<bool> told{false}, unwound{false};
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        std::stop_token token;
        rondo::event ready;
        auto t = rondo::spawn([&] {
            struct leaving {
                std::atomic<bool>& unwound;
                ~leaving() { unwound = true; }
            } last{unwound};
            token = rondo::this_tasklet::stop_token();
            const std::stop_callback call(token, [&] { told = true; });
            rondo::event never;
            ready.set();
            never.wait();
        });
        ready.wait();
        rondo::yield();
        const std::stop_callback slow(token, [&] {           // made last, called first
            const auto enough = std::chrono::steady_clock::now() + 20ms;
            while (!unwound && std::chrono::steady_clock::now() < enough) std::this_thread::yield();
        });
        t.stop();
        end_of([&] { t.join(); });
    });
    CHECK(told);
    CHECK(unwound);
}

TEST_CASE("a stop token made after the stop has fired already", "[tasklet][stop]") {
    bool fired = false;
    rondo::run({.workers = one_worker}, [&] {
        auto t = rondo::spawn([&] {
            end_of([] { rondo::event().wait(); });
            fired = rondo::this_tasklet::stop_token().stop_requested();
        });
        rondo::yield();
        t.stop();
        t.join();
    });
    CHECK(fired);
}

TEST_CASE("stopping a tasklet that has ended does nothing to the one that took its place", "[tasklet][stop]") {
    const bool all_ran = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        bool fine = true;
        for (int i = 0; i < 200; ++i) {
            auto old = rondo::spawn([] {});
            while (!old.done()) rondo::yield();
            auto next = rondo::spawn([] {
                rondo::yield();
                return true;
            });
            old.stop();
            fine = fine && next.join();
            old.join();
        }
        return fine;
    });
    CHECK(all_ran);
}

// ------------------------------------------------------------------------------------------------------------- join limits

TEST_CASE("try_join and join_for give nothing while the tasklet goes on", "[tasklet][join]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [early, late, result, empty, nothing, something] = rondo::run({.workers = workers}, [] {
        rondo::event go;
        auto t = rondo::spawn([&] {
            go.wait();
            return 5;
        });
        auto v = rondo::spawn([&] { go.wait(); });
        const auto a = t.try_join();
        const auto b = t.join_for(1ms);
        const auto d = v.join_until(std::chrono::steady_clock::now() + 1ms);
        const bool still = t.joinable() && v.joinable();
        go.set();
        const auto c = t.join_for(10s);
        return std::tuple(a, b, c, d, still, v.join_for(10s));
    });
    CHECK_FALSE(early);
    CHECK_FALSE(late);
    CHECK(result == std::optional(5));
    CHECK_FALSE(empty);
    CHECK(nothing);
    CHECK(something);
}

TEST_CASE("try_join joins a tasklet that has ended", "[tasklet][join]") {
    const auto [value, joinable, end] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto t = rondo::spawn([] { return 5; });
        auto failed = rondo::spawn([] { throw std::runtime_error("failed"); });
        while (!t.done() || !failed.done()) rondo::yield();
        auto v = t.try_join();
        return std::tuple(v, t.joinable(), end_of([&] { static_cast<void>(failed.try_join()); }));
    });
    CHECK(value == std::optional(5));
    CHECK_FALSE(joinable);
    CHECK(end == "failed");
}

// ------------------------------------------------------------------------------------------------------------- names

TEST_CASE("a tasklet knows its name", "[tasklet]") {
    const auto names = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        std::string name = "husband";
        auto t = rondo::spawn({.name = name}, [] { return std::string(rondo::this_tasklet::name()); });
        name = "another";
        auto u = rondo::spawn([] { return std::string(rondo::this_tasklet::name()); });
        return lines{std::string(rondo::this_tasklet::name()), t.join(), u.join()};
    });
    CHECK(names == lines{"main", "husband", ""});
    CHECK(rondo::this_tasklet::name().empty());
}

TEST_CASE("spawn options take arguments and a stack size", "[tasklet]") {
    const auto depth = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        struct deep {
            static int fill(int n) {
                volatile char frame[4096];
                frame[0] = static_cast<char>(n);
                if (n == 0) {
                    rondo::yield();
                    return 0;
                }
                return fill(n - 1) + (frame[0] == static_cast<char>(n));
            }
        };
        auto t = rondo::spawn({.name = "deep", .stack_bytes = 4 << 20}, &deep::fill, 400);
        return t.join();
    });
    CHECK(depth == 400);
}

// ------------------------------------------------------------------------------------------------------------- per tasklet

TEST_CASE("errno stays with its tasklet", "[tasklet]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool kept = rondo::run({.workers = workers, .force_migration = true}, [] {
        std::vector<rondo::tasklet<bool>> all;
        for (int i = 1; i <= 20; ++i)
            all.push_back(rondo::spawn([i] {
                bool mine = true;
                for (int round = 0; round < 50; ++round) {
                    set_errno(i);
                    rondo::yield();
                    mine = mine && get_errno() == i;
                }
                return mine;
            }));
        bool result = true;
        for (auto& t : all) result = t.join() && result;
        return result;
    });
    CHECK(kept);
}

// ------------------------------------------------------------------------------------------------------------- order

TEST_CASE("one worker runs tasklets in order of creation", "[tasklet][order][unordered]") {
    lines log;
    rondo::run({.workers = one_worker}, [&] {
        for (const char* word : {"one", "two", "three"}) rondo::spawn([&, word] { log.push_back(word); });
        log.push_back("created");
    });
    CHECK(log == lines{"created", "one", "two", "three"});
}

TEST_CASE("one worker gives turns to those that yield in order", "[tasklet][order][unordered]") {
    lines log;
    rondo::run({.workers = one_worker}, [&] {
        for (const char* name : {"first", "second", "third"})
            rondo::spawn([&, name] {
                for (const char* turn : {"1: ", "2: ", "3: "}) {
                    log.push_back(turn + std::string(name));
                    rondo::yield();
                }
            });
    });
    CHECK(log == lines{"1: first", "1: second", "1: third", "2: first", "2: second", "2: third", "3: first",
                       "3: second", "3: third"});
}

TEST_CASE("turns go round in order however many yield, also when the queue is full", "[tasklet][order][unordered]") {
    const int n = GENERATE(2, 31, 32, 33, 255, 256, 257, 511, 512, 513);        // a queue begins with room for 256
    std::vector<int> order, expected;
    rondo::run({.workers = one_worker, .spawn_backlog = 10'000, .breadth_limit = 10'000}, [&] {
        for (int i = 0; i < n; ++i)
            rondo::spawn([&, i] {
                for (int turn = 0; turn < 5; ++turn) {
                    order.push_back(i);
                    rondo::yield();
                }
            });
    });
    for (int turn = 0; turn < 5; ++turn)
        for (int i = 0; i < n; ++i) expected.push_back(i);
    CHECK(order == expected);
}

TEST_CASE("a yield lets everybody run that was ready before", "[tasklet][order][unordered]") {
    lines log;
    rondo::run({.workers = one_worker}, [&] {
        rondo::spawn([&] { log.push_back("a"); });
        rondo::spawn([&] { log.push_back("b"); });
        rondo::yield();
        log.push_back("main");
    });
    CHECK(log == lines{"a", "b", "main"});
}

TEST_CASE("a chain of spawns runs in order", "[tasklet][order]") {
    std::vector<int> order;
    rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        struct chain {
            static void link(std::vector<int>& o, int n) {
                o.push_back(n);
                if (n < 5) rondo::spawn([&o, n] { link(o, n + 1); });
            }
        };
        chain::link(order, 0);
    });
    CHECK(order == std::vector{0, 1, 2, 3, 4, 5});
}

TEST_CASE("a tasklet alone may yield as often as it likes", "[tasklet][order]") {
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, [] {
              int n = 0;
              for (; n < 10'000; ++n) rondo::yield();
              return n;
          }) == 10'000);
}

TEST_CASE("a tasklet that never waits lets others run at its checkpoints", "[tasklet][order][unordered]") {
    CHECK(rondo::run({.workers = one_worker}, [] {
              bool other = false;
              rondo::spawn([&] { other = true; });
              int rounds = 0;
              for (; !other && rounds < 100'000; ++rounds) rondo::checkpoint();
              return rounds;
          }) < 100'000);
}

// ------------------------------------------------------------------------------------------------------------- many and deep

TEST_CASE("100,000 spawned tasklets all run", "[tasklet][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<long> sum{0};
    rondo::run({.workers = workers}, [&] {
        for (int i = 0; i < 100'000; ++i) rondo::spawn([&, i] { sum += i; });
    });
    CHECK(sum == 100'000L * 99'999 / 2);
}

TEST_CASE("100,000 tasklets can be joined in any order", "[tasklet][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto reversed = GENERATE(false, true);
    const long sum = rondo::run({.workers = workers}, [reversed] {
        std::vector<rondo::tasklet<int>> all;
        for (int i = 0; i < 100'000; ++i) all.push_back(rondo::spawn([i] { return i; }));
        if (reversed) std::reverse(all.begin(), all.end());
        long total = 0;
        for (auto& t : all) total += t.join();
        return total;
    });
    CHECK(sum == 100'000L * 99'999 / 2);
}

TEST_CASE("a recursion 500 deep with a yield at its bottom comes back", "[tasklet][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto depths = rondo::run({.workers = workers}, [] {
        struct deep {
            static int down(int n) {
                if (n == 0) {
                    rondo::yield();
                    return 0;
                }
                return down(n - 1) + 1;
            }
        };
        std::vector<rondo::tasklet<int>> all;
        for (int i = 0; i < 3; ++i) all.push_back(rondo::spawn(&deep::down, 500));
        std::vector<int> result;
        for (auto& t : all) result.push_back(t.join());
        return result;
    });
    CHECK(depths == std::vector{500, 500, 500});
}

TEST_CASE("joins nest as deep as there is memory, not as deep as a stack", "[tasklet][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int depth = rondo::run({.workers = workers}, [] {
        struct nested {
            static int down(int n) { return n == 0 ? 0 : rondo::spawn(&nested::down, n - 1).join() + 1; }
        };
        return nested::down(5000);
    });
    CHECK(depth == 5000);
}

// ------------------------------------------------------------------------------------------------------------- plain threads

TEST_CASE("plain threads spawn, join and stop tasklets", "[tasklet][threads]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::runtime rt({.workers = workers});
    std::atomic<long> sum{0};
    std::atomic<int> stops{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < 3; ++n)
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                auto t = rt.spawn([](int k) {
                    if (k % 3 == 0) rondo::yield();
                    return k;
                }, i);
                auto waits = rt.spawn([] { rondo::event().wait(); });
                sum += t.join();
                waits.stop();
                stops += end_of([&] { waits.join(); }) == "stopped";
            }
        });
    for (auto& t : threads) t.join();
    CHECK(sum == 3L * 200 * 199 / 2);
    CHECK(stops == 600);
}

TEST_CASE("a plain thread gives up a join when its time is up", "[tasklet][threads]") {
    rondo::event go;
    stage s(GENERATE(1u, 2u));
    auto t = s.rt.spawn([&] {
        go.wait();
        return 2;
    });
    CHECK_FALSE(t.try_join());
    CHECK_FALSE(t.join_for(2ms));
    go.set();
    CHECK(t.join_for(1min) == std::optional(2));
}

TEST_CASE("a tasklet of one runtime joins a tasklet of another", "[tasklet][threads]") {
    rondo::runtime other({.workers = GENERATE(1u, 2u)});
    const int got = rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto t = other.spawn([] {
            rondo::yield();
            return 11;
        });
        auto dropped = other.spawn([] { return 1; });
        return t.join();
    });
    CHECK(got == 11);
}

// ------------------------------------------------------------------------------------------------------------- breadth

namespace {

// Sums the leaves of a tree in which every inner node waits for its children.
std::uint64_t leaves_below(unsigned depth, unsigned width) {
    if (depth == 0) return 1;
    rondo::wait_group children;
    std::atomic<std::uint64_t> sum{0};
    children.add(width);
    for (unsigned i = 0; i < width; ++i)
        rondo::spawn([&children, &sum, depth, width] {
            sum += leaves_below(depth - 1, width);
            children.done();
        });
    children.wait();
    return sum;
}

}  // namespace

TEST_CASE("a wide tree of tasklets needs stacks for its depth, not for its breadth", "[tasklet]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::runtime rt{{.workers = workers, .breadth_limit = 64}};
    CHECK(rt.run([] { return leaves_below(5, 8); }) == 8 * 8 * 8 * 8 * 8);
    // 37,448 tasklets; breadth first they would all be suspended at once.
    CHECK(rt.stats().stacks < 64 * workers + 400 * workers);
}

TEST_CASE("siblings start in order of creation even beyond the breadth limit", "[tasklet][unordered]") {
    std::vector<int> order;
    rondo::run({.workers = 1, .breadth_limit = 8}, [&] {
        rondo::event go;
        for (int i = 0; i < 200; ++i)
            rondo::spawn([&, i] {
                order.push_back(i);
                go.wait();
            });
        rondo::yield();
        CHECK(order.size() == 200);
        go.set();
    });
    CHECK(std::is_sorted(order.begin(), order.end()));
}

#if !defined(RONDO_ASAN) && !defined(RONDO_TSAN)
TEST_CASE("a suspended tasklet holds one page of stack, also beyond the breadth limit", "[tasklet][stacks]") {
    const auto resident_bytes = [] {
        std::ifstream statm("/proc/self/statm");
        std::size_t all = 0, resident = 0;
        statm >> all >> resident;
        return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    };
    constexpr std::size_t n = 8'000;
    rondo::run({.workers = 1}, [&] {
        rondo::event go;
        const auto before = resident_bytes();
        for (std::size_t i = 0; i < n; ++i) rondo::spawn([&] { go.wait(); });
        rondo::yield();
        const auto each = (resident_bytes() - before) / n;
        CHECK(each >= 4'096);
        CHECK(each < 4'096 + 1'024);
        go.set();
    });
}
#endif

TEST_CASE("a tasklet that yields runs again although others keep spawning beyond the breadth limit", "[tasklet][unordered]") {
    int turns = 0;
    rondo::run({.workers = 1, .breadth_limit = 4}, [&] {
        bool enough = false;
        rondo::event never_early;
        for (int i = 0; i < 64; ++i) rondo::spawn([&] { never_early.wait(); });
        rondo::yield();
        rondo::scope([&](rondo::group& g) {
            for (int chain = 0; chain < 3; ++chain)
                g.spawn([&g, &enough] {
                    struct link {
                        rondo::group& g;
                        bool& enough;
                        void operator()() const {
                            if (!enough) g.spawn(*this);
                        }
                    };
                    link{g, enough}();
                });
            for (; turns < 100; ++turns) rondo::yield();
            enough = true;
        });
        never_early.set();
    });
    CHECK(turns == 100);
}

TEST_CASE("what a tasklet leaves to nobody is let go of by itself, and may wait", "[tasklet][end]") {
    struct waits_at_the_end {
        std::atomic<int>* ended;
        explicit waits_at_the_end(std::atomic<int>& n) : ended(&n) {}
        waits_at_the_end(waits_at_the_end&& o) noexcept : ended(std::exchange(o.ended, nullptr)) {}
        ~waits_at_the_end() {
            if (!ended) return;
            if (rondo::this_tasklet::id() == 0) return;   // not in a tasklet: not counted
            rondo::sleep_for(1ms);
            rondo::spawn([] {}).join();
            ++*ended;
        }
    };
    rondo::runtime rt({.workers = GENERATE(1u, 2u, 4u)});
    std::atomic<int> ended{0};
    rt.run([&] {
        for (int i = 0; i < 20; ++i) rondo::spawn([&] { return waits_at_the_end(ended); });      // dropped
    });
    CHECK(ended == 20);
    rt.run([&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 20; ++i) g.spawn([&] { return waits_at_the_end(ended); });
        });
        CHECK(ended == 40);                               // before the scope ends
        CHECK_THROWS_WITH(rondo::scope([&](rondo::group& g) {
            g.spawn([&] { return waits_at_the_end(ended); });
            rondo::yield();
            throw std::runtime_error("stops them");
        }), "stops them");
    });
}

TEST_CASE("the handler of unhandled errors may wait, and spawn", "[tasklet][errors][end]") {
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> heard{0};
        rondo::runtime rt({.workers = 1 + static_cast<unsigned>(round % 3), .on_unhandled = [&](std::exception_ptr, const rondo::tasklet_info&) {
                        rondo::sleep_for(100us);
                        rondo::spawn([] {}).join();
                        rondo::spawn([&] { ++heard; });
                    }});
        rt.run([] {
            for (int i = 0; i < 3; ++i) rondo::spawn([] { throw 1; });
        });
        CHECK(heard == 3);
    }
}
