// as_completed: each tasklet as soon as it has ended.
#include <catch2/catch.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/as_completed.hpp>
#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using namespace support;

TEST_CASE("as_completed gives tasklets in the order in which they end", "[as_completed]") {
    const auto workers = GENERATE(1u, 2u);
    std::vector<int> order;
    rondo::run({.workers = workers}, [&] {
        std::vector<rondo::event> go(5);
        std::vector<rondo::tasklet<int>> tasklets;
        for (int i = 0; i < 5; ++i)
            tasklets.push_back(rondo::spawn([&go, i] {
                go[static_cast<std::size_t>(i)].wait();
                return i;
            }));
        int next = 4;
        go[4].set();
        for (auto& t : rondo::as_completed(tasklets)) {
            CHECK(t.done());
            order.push_back(t.join());
            if (next > 0) go[static_cast<std::size_t>(--next)].set();
        }
    });
    CHECK(order == std::vector{4, 3, 2, 1, 0});
}

TEST_CASE("as_completed goes through many that end at random, each once", "[as_completed]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    constexpr int n = 500;
    std::vector<int> seen(n);
    rondo::run({.workers = workers}, [&] {
        std::vector<rondo::tasklet<int>> tasklets;
        for (int i = 0; i < n; ++i)
            tasklets.push_back(rondo::spawn([i] {
                if (i % 3 == 0) rondo::yield();
                if (i % 7 == 0) rondo::sleep_for(std::chrono::microseconds(i % 100));
                return i;
            }));
        for (auto& t : rondo::as_completed(tasklets)) ++seen[static_cast<std::size_t>(t.join())];
    });
    CHECK(seen == std::vector<int>(n, 1));
}

TEST_CASE("as_completed passes failures on through join, and knows empty ranges and temporaries", "[as_completed]") {
    rondo::run({.workers = 1}, [] {
        int failures = 0, ends = 0;
        const auto both = [] {
            std::vector<rondo::tasklet<void>> v;
            v.push_back(rondo::spawn([] { throw std::runtime_error("boom"); }));
            v.push_back(rondo::spawn([] {}));
            return v;
        };
        for (auto& t : rondo::as_completed(both())) (end_of([&] { t.join(); }) == "boom" ? failures : ends) += 1;
        CHECK(failures == 1);
        CHECK(ends == 1);
        std::vector<rondo::tasklet<void>> none;
        for (auto& t : rondo::as_completed(none)) t.join();
        std::vector<rondo::tasklet<void>> empty_handle(1);
        CHECK(end_of([&] { for (auto& t : rondo::as_completed(empty_handle)) t.join(); }) == "usage_error");
    });
}

TEST_CASE("a stop or a deadline ends a wait in as_completed, and the tasklets can still be joined", "[as_completed][stop]") {
    rondo::run({.workers = 1}, [] {
        rondo::event go;
        std::vector<rondo::tasklet<int>> tasklets;
        for (int i = 0; i < 3; ++i)
            tasklets.push_back(rondo::spawn([&go, i] {
                go.wait();
                return i;
            }));
        const auto walk = [&] {
            for (auto& t : rondo::as_completed(tasklets)) t.join();
        };
        CHECK_FALSE(rondo::within(1ms, walk));
        auto stopped = rondo::spawn(walk);
        rondo::yield();
        stopped.stop();
        CHECK(end_of([&] { stopped.join(); }) == "stopped");
        go.set();
        int sum = 0;
        for (auto& t : tasklets) sum += t.join();
        CHECK(sum == 3);
    });
}

TEST_CASE("a plain thread may go through as_completed", "[as_completed][threads]") {
    rondo::runtime rt({.workers = 2});
    std::vector<rondo::tasklet<int>> tasklets;
    for (int i = 0; i < 20; ++i)
        tasklets.push_back(rt.spawn([i] {
            rondo::sleep_for(std::chrono::milliseconds(i % 3));
            return i;
        }));
    int sum = 0;
    for (auto& t : rondo::as_completed(tasklets)) sum += t.join();
    CHECK(sum == 190);
}
