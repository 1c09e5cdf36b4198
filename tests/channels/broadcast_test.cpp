// broadcast: every subscriber, every value; slow ones are told what they lost; closing, limits, stops, handles, threads,
// select.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/broadcast.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::broadcast;

TEST_CASE("every subscriber receives every value sent since it subscribed", "[broadcast]") {
    broadcast<std::string> b(8);
    CHECK(b.send("nobody") == 0);
    auto early = b.subscribe();
    CHECK(b.send("one") == 1);
    auto late = b.subscribe();
    CHECK(b.send("two") == 2);
    CHECK(b.subscribers() == 2);
    CHECK(early.behind() == 2);
    CHECK(early.receive() == "one");
    CHECK(early.receive() == "two");
    CHECK(late.receive() == "two");
    CHECK_FALSE(early.try_receive());
    CHECK_FALSE(late.try_receive());
}

TEST_CASE("a send wakes all subscribers that wait", "[broadcast]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    broadcast<int> b(4);
    std::atomic<int> sum{0};
    std::vector<rondo::tasklet<void>> all;
    for (int i = 0; i < 5; ++i) all.push_back(s.rt.spawn([&, mine = b.subscribe()]() mutable { sum += mine.receive(); }));
    CHECK(s.settle() == 5);
    CHECK(b.send(10) == 5);
    CHECK(s.settle() == 0);
    CHECK(sum == 50);
}

TEST_CASE("a slow subscriber is told how many values it lost, once, and goes on with the oldest kept", "[broadcast]") {
    broadcast<int> b(3);
    auto slow = b.subscribe();
    for (int i = 0; i < 10; ++i) b.send(i);
    CHECK(slow.behind() == 10);
    std::uint64_t lost = 0;
    try {
        slow.receive();
        FAIL("nothing was lost");
    } catch (const rondo::lagged& e) {
        lost = e.count();
        CHECK(std::string(e.what()).find("lost 7 values") != std::string::npos);
    }
    CHECK(lost == 7);
    CHECK(slow.receive() == 7);
    CHECK(slow.receive() == 8);
    CHECK(slow.receive() == 9);
    CHECK_FALSE(slow.try_receive());
    for (int i = 0; i < 4; ++i) b.send(i);
    CHECK_THROWS_AS(slow.try_receive(), rondo::lagged);
    CHECK(slow.try_receive() == 1);
}

TEST_CASE("a copied subscription is a subscriber of its own", "[broadcast]") {
    broadcast<int> b(4);
    auto a = b.subscribe();
    b.send(1);
    auto c = a;
    CHECK(b.subscribers() == 2);
    CHECK(a.receive() == 1);
    CHECK(c.receive() == 1);
    {
        auto moved = std::move(c);
        CHECK(b.subscribers() == 2);
        CHECK(end_of([&] { c.receive(); }) == "usage_error");
        CHECK_FALSE(moved.try_receive());
    }
    CHECK(b.subscribers() == 1);
    CHECK(end_of([] { broadcast<int> none(0); }) == "usage_error");
}

TEST_CASE("after close subscribers receive what is kept, then closed, nobody can send", "[broadcast]") {
    broadcast<int> b(4);
    auto s = b.subscribe();
    b.send(1);
    b.send(2);
    b.close();
    CHECK(b.is_closed());
    CHECK(s.is_closed());
    CHECK(end_of([&] { b.send(3); }) == "closed");
    int sum = 0;
    for (int v : s) sum += v;
    CHECK(sum == 3);
    CHECK(end_of([&] { s.receive(); }) == "closed");
    CHECK_FALSE(s.next());
    CHECK_FALSE(s.try_receive());
    auto late = b.subscribe();
    CHECK_FALSE(late.next());
}

TEST_CASE("close, and the end of the last handle, wake all subscribers that wait", "[broadcast]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool drop = GENERATE(false, true);
    stage s(workers);
    std::optional<broadcast<int>> b(std::in_place, 4u);
    std::vector<std::string> ends(3);
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends)
        all.push_back(s.rt.spawn([&end, mine = b->subscribe()]() mutable { end = end_of([&] { mine.receive(); }); }));
    CHECK(s.settle() == 3);
    if (drop) b.reset();
    else b->close();
    CHECK(s.settle() == 0);
    CHECK(ends == lines{"closed", "closed", "closed"});
}

TEST_CASE("a receive from a broadcast gives up when its time is up, and loses nothing", "[broadcast]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [] {
        broadcast<int> b(4);
        auto s = b.subscribe();
        CHECK_FALSE(s.receive_for(1ms));
        CHECK_FALSE(s.receive_for(0ms));
        CHECK_FALSE(s.receive_until(std::chrono::steady_clock::now() + 1ms));
        CHECK_FALSE(s.receive_until(std::chrono::system_clock::now() - 1h));
        CHECK_FALSE(rondo::within(1ms, [&] { return s.receive(); }));
        b.send(3);
        CHECK(s.receive_for(0ms) == 3);
        b.close();
        CHECK(end_of([&] { (void)s.receive_for(1ms); }) == "closed");
    });
}

TEST_CASE("a stop ends a receive from a broadcast", "[broadcast]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    broadcast<int> b(4);
    std::string first, second;
    auto mine = b.subscribe();
    auto t = s.rt.spawn([&] {
        first = end_of([&] { mine.receive(); });
        second = end_of([&] { mine.receive(); });
    });
    CHECK(s.settle() == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(first == "stopped");
    CHECK(second == "stopped");
    b.send(1);
    CHECK(mine.receive() == 1);
}

TEST_CASE("plain threads subscribe and send", "[broadcast]") {
    broadcast<int> b(64);
    auto mine = b.subscribe();
    std::thread other([&] {
        for (int i = 0; i < 50; ++i) b.send(i);
        b.close();
    });
    int sum = 0;
    for (int v : mine) sum += v;
    other.join();
    CHECK(sum == 49 * 50 / 2);
}

TEST_CASE("a copy that throws has been received, the next one comes", "[broadcast]") {
    struct touchy {
        int n;
        explicit touchy(int i) : n(i) {}
        touchy(const touchy& other) : n(other.n) {
            if (n == 1) throw std::runtime_error("no copy");
        }
        touchy(touchy&&) noexcept = default;
    };
    broadcast<touchy> b(4);
    auto s = b.subscribe();
    b.send(touchy(1));
    b.send(touchy(2));
    CHECK(end_of([&] { s.receive(); }) == "no copy");
    CHECK(s.receive().n == 2);
}

TEST_CASE("select receives from a subscription, and passes lagged on", "[broadcast][select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        broadcast<int> a(2), b(2);
        auto sa = a.subscribe(), sb = b.subscribe();
        int got = 0;
        a.send(1);
        CHECK(rondo::select(rondo::from(sa, [&](int v) { got = v; }), rondo::from(sb, [&](int v) { got = -v; })));
        CHECK(got == 1);
        auto t = rondo::spawn([&] { b.send(2); });
        CHECK(rondo::select(rondo::from(sa, [&](int v) { got = v; }), rondo::from(sb, [&](int v) { got = -v; })));
        CHECK(got == -2);
        for (int i = 0; i < 5; ++i) a.send(i);
        CHECK_THROWS_AS(rondo::select(rondo::from(sa, [](int) {})), rondo::lagged);
        auto u = rondo::spawn([&] {
            a.close();
            b.close();
        });
        int values = 0;
        while (rondo::select(rondo::from(sa, [&](int) { ++values; }), rondo::from(sb, [&](int) { ++values; }))) {}
        CHECK(values == 2);
        t.join();
        u.join();
    });
}

TEST_CASE("each subscriber sees a rising sequence, and received plus lost is all that was sent", "[broadcast][stress]") {
    const auto seed = GENERATE(range(1u, 9u));
    const int values = 500;
    const std::size_t slots = seed % 2 ? 4 : 64;
    std::atomic<int> wrong{0};
    rondo::run({.workers = 4, .force_migration = seed % 4 == 0}, [&] {
        broadcast<int> b(slots);
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < 6; ++i)
            all.push_back(rondo::spawn([&wrong, i, seed, mine = b.subscribe()]() mutable {
                int last = -1;
                std::uint64_t received = 0, lost = 0;
                for (bool over = false; !over;) {
                    try {
                        std::optional<int> v;
                        switch ((i + seed) % 3) {
                            case 0: over = !(v = mine.next()); break;
                            case 1: v = mine.receive_for(20us); break;
                            default: over = !rondo::select(rondo::from(mine, [&](int x) { v = x; })); break;
                        }
                        if (!v) continue;
                        wrong += *v <= last;
                        last = *v;
                        ++received;
                    } catch (const rondo::lagged& e) {
                        lost += e.count();
                    } catch (const rondo::closed&) {
                        over = true;
                    }
                    if (i == 5) rondo::yield();       // a slow one
                }
                wrong += received + lost != values;
            }));
        for (int i = 0; i < values; ++i) {
            b.send(i);
            if (i % 7 == 0) rondo::yield();
        }
        b.close();
        for (auto& t : all) t.join();
    });
    CHECK(wrong == 0);
}
