// Large numbers: suspended tasklets, runtimes, spawns and messages.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <rondo/actor.hpp>
#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/run.hpp>

#include "../../runtime/src/scheduler.hpp"
#include "support/memory.hpp"
#include "support/sanitized.hpp"

using rondo::detail::guard_kind;
using rondo::detail::stack_arena;

namespace {

#if defined(RONDO_TSAN) || defined(RONDO_ASAN)
constexpr int fewer = 100;
#else
constexpr int fewer = 1;
#endif

// Every resume on another worker wakes that one up.
constexpr int fewer_if(bool migrate) { return migrate && fewer == 1 ? 20 : 1; }

long fib(int n) {
    if (n < 2) return n;
    auto left = rondo::spawn(&fib, n - 1);
    const long right = fib(n - 2);
    return left.join() + right;
}

// Runs so many tasklets that wait for one event, all of them at the same time, and gives how many went on.
int all_suspended_at_once(rondo::runtime& rt, int many) {
    std::atomic<int> suspended{0}, resumed{0};
    rt.run([&] {
        rondo::event go;
        for (int i = 0; i < many; ++i)
            rondo::spawn([&] {
                ++suspended;
                go.wait();
                ++resumed;
            });
        while (suspended != many) rondo::yield();
        go.set();
        while (resumed != many) rondo::yield();
    });
    return resumed;
}

}  // namespace

TEST_CASE("a million suspended tasklets wait for one event and all go on", "[stress][many]") {
    const auto workers = GENERATE(1u, 2u);
    const bool migrate = GENERATE(false, true);
    const int many = 1'000'000 / fewer / fewer_if(migrate);
    rondo::runtime rt({.workers = workers, .force_migration = migrate});
    CHECK(all_suspended_at_once(rt, many) == many);
    const auto& stacks = rt.impl().stacks;
    CHECK(stacks.made() >= static_cast<std::size_t>(many));
    if (stack_arena::guards.may_install && stack_arena::kernel_installs_guards())
        CHECK(stacks.made(guard_kind::installed) == stacks.made());
}

TEST_CASE("on older kernels so many suspended tasklets have canaries that enough mappings are left", "[stress][many]") {
    const auto workers = GENERATE(1u, 2u);
    constexpr int many = 200'000 / fewer;
    const auto before = stack_arena::guards;
    stack_arena::guards.may_install = false;
    rondo::runtime rt({.workers = workers});
    stack_arena::guards = before;
    CHECK(all_suspended_at_once(rt, many) == many);
    const auto& stacks = rt.impl().stacks;
    CHECK(stacks.made() >= many);
    CHECK(stacks.made(guard_kind::installed) == 0);
    CHECK(stacks.made(guard_kind::mprotected) >= std::min(stacks.made(), before.most_mprotected));
    CHECK(stacks.made(guard_kind::mprotected) < before.most_mprotected + stacks.made() / 500);      // the lowest of chunks
}

TEST_CASE("a million idle actors take 192 bytes each, and every one is told and asked", "[stress][many][actor]") {
    struct how_much {};
    struct saver {
        std::uint64_t cents = 0;
        void on(std::uint64_t more) { cents += more; }
        std::uint64_t on(how_much) const { return cents; }
    };
    const auto workers = GENERATE(1u, 2u);
    const bool migrate = GENERATE(false, true);
    const std::size_t many = 1'000'000 / fewer / fewer_if(migrate);
    std::size_t bytes_each = 0;
    std::uint64_t sum = 0;
    rondo::run({.workers = workers, .force_migration = migrate}, [&] {
        std::vector<rondo::actor_ref<saver>> all(many);
        const auto before = support::resident_bytes();
        for (auto& a : all) a = rondo::start<saver>();
        bytes_each = (support::resident_bytes() - before) / many;
        for (std::uint64_t i = 0; i < many; ++i) all[i].tell(i);
        for (const auto& a : all) sum += a.ask(how_much{});
        CHECK(rondo::live_actors() == many);
    });
    if (!support::sanitized) CHECK(bytes_each <= 192);
    CHECK(sum == std::uint64_t{many} * (many - 1) / 2);
}

TEST_CASE("a hundred thousand suspended tasklets can all be stopped", "[stress][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const int many = 100'000 / fewer / fewer_if(migrate);
    int stopped = 0;
    rondo::run({.workers = workers, .force_migration = migrate}, [&] {
        rondo::channel<int> never;
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < many; ++i) all.push_back(rondo::spawn([&] { never.receive(); }));
        rondo::yield();
        for (auto& t : all) t.stop();
        for (auto& t : all) try {
                t.join();
            } catch (const rondo::stopped&) {
                ++stopped;
            }
    });
    CHECK(stopped == many);
}

TEST_CASE("a thousand runtimes come and go", "[stress][many]") {
    constexpr int many = 1000 / (fewer > 1 ? 10 : 1);
    int done = 0;
    for (int i = 0; i < many; ++i)
        done += rondo::run({.workers = 1 + static_cast<unsigned>(i % 3), .force_migration = i % 5 == 0}, [i] {
            auto t = rondo::spawn([i] {
                if (i % 2) rondo::yield();
                return 1;
            });
            rondo::spawn([] { rondo::yield(); });
            return t.join();
        });
    CHECK(done == many);
}

TEST_CASE("runtimes that come and go at once with tasklets that wait leave none behind", "[stress][many]") {
    constexpr int many = 300 / (fewer > 1 ? 10 : 1);
    std::atomic<int> alive{0};
    for (int i = 0; i < many; ++i) {
        rondo::runtime rt({.workers = 1 + static_cast<unsigned>(i % 3), .force_migration = i % 5 == 0});
        for (int k = 0; k < 10; ++k)
            rt.spawn([&] {
                struct witness {
                    std::atomic<int>& n;
                    explicit witness(std::atomic<int>& a) : n(a) { ++n; }
                    ~witness() { --n; }
                } const here(alive);
                rondo::event().wait();
            });
    }
    CHECK(alive == 0);
}

TEST_CASE("fib(22) ten times, every call a tasklet, is right each time", "[stress][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto force_migration = GENERATE(false, true);
    std::vector<long> results;
    for (int i = 0; i < 10; ++i)
        results.push_back(rondo::run({.workers = workers, .force_migration = force_migration},
                                     [] { return fib(fewer > 1 ? 15 : 22); }));
    CHECK(results == std::vector<long>(10, fewer > 1 ? 610 : 17711));
}

TEST_CASE("four senders and four receivers on an unbuffered channel lose nothing", "[stress][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto force_migration = GENERATE(false, true);
    constexpr int each = 20'000 / fewer;
    std::atomic<long> sum{0}, count{0};
    rondo::run({.workers = workers, .force_migration = force_migration}, [&] {
        rondo::channel<int> line;
        std::vector<rondo::tasklet<void>> senders;
        for (int s = 0; s < 4; ++s)
            senders.push_back(rondo::spawn([line] {
                for (int i = 1; i <= each; ++i) line.send(i);
            }));
        for (int r = 0; r < 4; ++r)
            rondo::spawn([&, line] {
                for (int v : line) {
                    sum += v;
                    ++count;
                }
            });
        for (auto& t : senders) t.join();
        line.close();
    });
    CHECK(count == 4L * each);
    CHECK(sum == 4L * each * (each + 1) / 2);
}
