// work_queue: order, slots, task_done and join, closing, limits, stops, errors, handles, plain threads, select.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>
#include <rondo/work_queue.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::send_status;
using rondo::work_queue;

TEST_CASE("items come out in order, without a limit put never waits", "[work_queue]") {
    work_queue<int> q;
    for (int i = 0; i < 100; ++i) q.put(i);
    CHECK(q.size() == 100);
    CHECK(q.unfinished() == 100);
    for (int i = 0; i < 100; ++i) CHECK(q.get() == i);
    CHECK(q.size() == 0);
    CHECK(q.unfinished() == 100);
    CHECK_FALSE(q.try_get());
}

TEST_CASE("a queue with slots makes put wait while it is full, in order of arrival", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> q(2);
    CHECK(q.capacity() == 2);
    q.put(0);
    q.put(1);
    std::vector<rondo::tasklet<void>> putters;
    for (int i = 2; i < 5; ++i) {
        putters.push_back(s.rt.spawn([&, i] { q.put(i); }));
        s.settle();
    }
    CHECK(q.size() == 2);
    CHECK(q.unfinished() == 2);                       // those that wait are not accepted yet
    for (int i = 0; i < 5; ++i) CHECK(q.get() == i);
    CHECK(s.settle() == 0);
    CHECK(q.unfinished() == 5);
    CHECK(end_of([] { work_queue<int> none(0); }) == "usage_error");
}

TEST_CASE("those who wait to get are served in order of arrival", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> q;
    std::vector<int> got(4);
    std::vector<rondo::tasklet<void>> all;
    for (auto& mine : got) {
        all.push_back(s.rt.spawn([&] { mine = q.get(); }));
        s.settle();
    }
    for (int v : {10, 11, 12, 13}) q.put(v);
    CHECK(s.settle() == 0);
    CHECK(got == std::vector{10, 11, 12, 13});
}

TEST_CASE("join returns when all that was put has been reported done, not when the queue is empty", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> q;
    CHECK(q.try_join());
    q.join();                                         // nothing was put
    q.put(1);
    q.put(2);
    bool joined = false;
    auto t = s.rt.spawn([&] {
        q.join();
        joined = true;
    });
    q.get();
    q.task_done();
    q.get();
    CHECK(q.size() == 0);
    CHECK(s.settle() == 1);
    CHECK_FALSE(joined);
    CHECK_FALSE(q.try_join());
    q.task_done();
    CHECK(s.settle() == 0);
    CHECK(joined);
    CHECK(end_of([&] { q.task_done(); }) == "usage_error");
    CHECK(q.try_join());
}

TEST_CASE("an item handed straight to a waiting getter counts as unfinished before put returns", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> q;
    auto getter = s.rt.spawn([&] {
        q.get();
        rondo::yield();
        q.task_done();
    });
    CHECK(s.settle() == 1);
    auto putter = s.rt.spawn([&] {
        q.put(1);
        q.join();
        return q.unfinished();
    });
    CHECK(putter.join() == 0);
    CHECK(s.settle() == 0);
}

TEST_CASE("close refuses puts, wakes all who put or get, and leaves what lies in the queue", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> full(1), empty;
    full.put(1);
    std::string putter, getter, looper;
    auto a = s.rt.spawn([&] { putter = end_of([&] { full.put(2); }); });
    auto b = s.rt.spawn([&] { getter = end_of([&] { empty.get(); }); });
    auto c = s.rt.spawn([&] {
        looper = "ended";
        for (int v : empty) looper = std::to_string(v);
    });
    bool joined = false;
    auto d = s.rt.spawn([&] {
        full.join();
        joined = true;
    });
    CHECK(s.settle() == 4);
    full.close();
    empty.close();
    CHECK(s.settle() == 1);                           // the join goes on waiting: an item is left to be done
    CHECK(putter == "closed");
    CHECK(getter == "closed");
    CHECK(looper == "ended");
    CHECK(full.is_closed());
    CHECK(end_of([&] { full.put(3); }) == "closed");
    int mine = 3;
    CHECK(full.try_put(mine) == send_status::closed);
    CHECK(full.get() == 1);
    CHECK(end_of([&] { full.get(); }) == "closed");
    CHECK_FALSE(full.next());
    full.task_done();
    CHECK(s.settle() == 0);
    CHECK(joined);
}

TEST_CASE("when the last handle of a work_queue goes, all who wait on it get closed, joiners too", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    std::optional<work_queue<int>> q(std::in_place);
    auto* const at = &*q;
    q->put(1);
    q->get();
    std::string getter, joiner;
    auto a = s.rt.spawn([&] { getter = end_of([&] { at->get(); }); });
    auto b = s.rt.spawn([&] { joiner = end_of([&] { at->join(); }); });
    CHECK(s.settle() == 2);
    q.reset();
    CHECK(s.settle() == 0);
    CHECK(getter == "closed");
    CHECK(joiner == "closed");
}

TEST_CASE("a full queue refuses try_put and leaves the item to the caller", "[work_queue]") {
    work_queue<std::unique_ptr<int>> q(1);
    auto a = std::make_unique<int>(1), b = std::make_unique<int>(2);
    CHECK(q.try_put(a));
    CHECK_FALSE(a);
    CHECK(q.try_put(b) == send_status::full);
    REQUIRE(b);
    CHECK(*b == 2);
    CHECK(q.unfinished() == 1);
    CHECK(**q.try_get() == 1);
}

TEST_CASE("put, get and join give up when their time is up, and change nothing", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [] {
        work_queue<int> q(1);
        q.put(1);
        CHECK(q.put_for(2, 1ms) == send_status::timed_out);
        CHECK(q.put_for(2, 0ms) == send_status::timed_out);
        CHECK(q.put_until(2, std::chrono::steady_clock::now() + 1ms) == send_status::timed_out);
        CHECK_FALSE(rondo::within(1ms, [&] { q.put(2); }));
        CHECK_FALSE(q.join_for(1ms));
        CHECK_FALSE(q.join_for(0ms));
        CHECK_FALSE(q.join_until(std::chrono::system_clock::now() - 1h));
        CHECK_FALSE(rondo::within(1ms, [&] { q.join(); }));
        CHECK(q.unfinished() == 1);
        CHECK(q.get() == 1);
        q.task_done();
        CHECK(q.join_for(0ms));
        CHECK_FALSE(q.get_for(1ms));
        CHECK_FALSE(q.get_for(-1h));
        CHECK_FALSE(q.get_until(std::chrono::steady_clock::now() + 1ms));
        CHECK_FALSE(rondo::within(1ms, [&] { return q.get(); }));
        CHECK(q.put_for(3, 1ms) == send_status::done);
        CHECK(q.get_for(1ms) == 3);
    });
}

TEST_CASE("a stop ends put, get and join, and no item is lost", "[work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    work_queue<int> full(1), empty;
    full.put(1);
    std::vector<std::string> ends(3);
    std::vector<rondo::tasklet<void>> all;
    all.push_back(s.rt.spawn([&] { ends[0] = end_of([&] { full.put(2); }); }));
    all.push_back(s.rt.spawn([&] { ends[1] = end_of([&] { empty.get(); }); }));
    all.push_back(s.rt.spawn([&] { ends[2] = end_of([&] { full.join(); }); }));
    CHECK(s.settle() == 3);
    for (auto& t : all) t.stop();
    CHECK(s.settle() == 0);
    CHECK(ends == lines{"stopped", "stopped", "stopped"});
    CHECK(full.get() == 1);
    CHECK_FALSE(full.try_get());
    CHECK(full.unfinished() == 1);
    empty.put(5);
    CHECK(empty.get() == 5);
}

TEST_CASE("plain threads put, get and join", "[work_queue]") {
    work_queue<int> q(2);
    std::atomic<int> sum{0};
    std::thread worker([&] {
        for (int v : q) {
            sum += v;
            q.task_done();
        }
    });
    for (int i = 1; i <= 100; ++i) q.put(i);
    q.join();
    CHECK(sum == 5050);
    q.close();
    worker.join();
}

TEST_CASE("select gets from a work_queue", "[work_queue][select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        work_queue<int> a, b(1);
        a.put(1);
        int got = 0;
        CHECK(rondo::select(rondo::from(a, [&](int v) { got = v; }), rondo::from(b, [&](int v) { got = -v; })));
        CHECK(got == 1);
        auto t = rondo::spawn([&] {
            b.put(2);
            b.put(3);                                 // waits until 2 has been got
            b.put(4);
        });
        for (int i = 2; i < 5; ++i) {
            CHECK(rondo::select(rondo::from(a, [&](int) { got = -1; }), rondo::from(b, [&](int v) { got = v; })));
            CHECK(got == i);
        }
        t.join();
        a.close();
        b.close();
        CHECK_FALSE(rondo::select(rondo::from(a, [](int) {}), rondo::from(b, [](int) {})));
    });
}

TEST_CASE("workers that stop, time out and select lose no item and do none twice", "[work_queue][stress]") {
    const auto seed = GENERATE(range(1u, 9u));
    const std::size_t slots = GENERATE(1, 8);
    const int producers = 4, each = 100;
    work_queue<int> q(slots);
    std::vector<std::atomic<int>> done(producers * each);
    std::atomic<int> items{0};
    rondo::run({.workers = 4, .force_migration = seed % 4 == 0}, [&] {
        rondo::scope([&](rondo::group& g) {
            std::vector<rondo::tasklet<void>> consumers;
            for (unsigned c = 0; c < 6; ++c)
                consumers.push_back(rondo::spawn([&, c] {
                    for (;;) {
                        std::optional<int> v;
                        bool over = false;
                        switch ((c + seed) % 3) {
                            case 0: over = !(v = q.next()); break;
                            case 1:
                                try {
                                    v = q.get_for(20us);
                                } catch (const rondo::closed&) {
                                    over = true;
                                }
                                break;
                            default: over = !rondo::select(rondo::from(q, [&](int x) { v = x; })); break;
                        }
                        if (over) return;
                        if (!v) continue;
                        ++done[static_cast<std::size_t>(*v)];
                        q.task_done();
                    }
                }));
            std::vector<rondo::tasklet<void>> makers;
            for (int p = 0; p < producers; ++p)
                makers.push_back(rondo::spawn([&, p] {
                    for (int i = 0; i < each; ++i) {
                        const int v = p * each + i;
                        if (i % 3 == 0) {
                            while (q.put_for(v, 20us) != send_status::done) {}
                        } else {
                            q.put(v);
                        }
                        ++items;
                    }
                }));
            if (seed % 2) consumers[0].stop();
            for (auto& m : makers) m.join();
            q.join();
            q.close();
            (void)g;
            for (auto& c : consumers) {
                try {
                    c.join();
                } catch (const rondo::stopped&) {
                }
            }
        });
    });
    CHECK(items == producers * each);
    CHECK(q.unfinished() == 0);
    for (auto& n : done) CHECK(n == 1);
}
