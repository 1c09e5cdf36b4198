// latest: readers see the newest value; closing, limits, stops, handles, threads, select.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/latest.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::latest;

TEST_CASE("a reader receives the value of now, then each newest one it has not seen", "[latest]") {
    latest<std::string> l("a");
    CHECK(l.get() == "a");
    auto r = l.reader();
    CHECK(r.has_changed());
    CHECK(r.receive() == "a");
    CHECK_FALSE(r.has_changed());
    CHECK_FALSE(r.try_receive());
    l.set("b");
    l.set("c");
    CHECK(r.get() == "c");
    CHECK(r.has_changed());                           // get() has not received it
    CHECK(r.receive() == "c");                        // b is gone: only the latest counts
    CHECK_FALSE(r.try_receive());
}

TEST_CASE("set wakes all readers that wait", "[latest]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    latest<int> l(0);
    std::atomic<int> sum{0};
    std::vector<rondo::tasklet<void>> all;
    for (int i = 0; i < 5; ++i)
        all.push_back(s.rt.spawn([&, r = l.reader()]() mutable {
            r.receive();
            sum += r.receive();
        }));
    CHECK(s.settle() == 5);
    l.set(10);
    CHECK(s.settle() == 0);
    CHECK(sum == 50);
}

TEST_CASE("readers are copied with what they have seen", "[latest]") {
    latest<int> l(1);
    auto a = l.reader();
    a.receive();
    auto b = a;
    CHECK_FALSE(b.try_receive());
    l.set(2);
    CHECK(a.receive() == 2);
    CHECK(b.receive() == 2);
}

TEST_CASE("update changes the value as one step, from several tasklets at once", "[latest]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    latest<int> l(0);
    rondo::run({.workers = workers}, [&] {
        rondo::scope([&](rondo::group& g) {
            for (int t = 0; t < 8; ++t)
                g.spawn([&] {
                    for (int i = 0; i < 100; ++i) l.update([](int v) { return v + 1; });
                });
        });
    });
    CHECK(l.get() == 800);
}

TEST_CASE("after close a reader receives what it has not seen, then closed, nobody can set", "[latest]") {
    latest<int> l(1);
    auto r = l.reader();
    l.set(2);
    l.close();
    CHECK(l.is_closed());
    CHECK(end_of([&] { l.set(3); }) == "closed");
    CHECK(end_of([&] { l.update([](int v) { return v; }); }) == "closed");
    CHECK(r.receive() == 2);
    CHECK(end_of([&] { r.receive(); }) == "closed");
    CHECK_FALSE(r.next());
    CHECK(l.get() == 2);
    int seen = 0;
    auto again = l.reader();
    for (int v : again) seen += v;
    CHECK(seen == 2);
}

TEST_CASE("close, and the end of the last handle, wake all readers that wait", "[latest]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool drop = GENERATE(false, true);
    stage s(workers);
    std::optional<latest<int>> l(std::in_place, 1);
    std::vector<std::string> ends(3);
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends)
        all.push_back(s.rt.spawn([&end, r = l->reader()]() mutable {
            r.receive();
            end = end_of([&] { r.receive(); });
        }));
    CHECK(s.settle() == 3);
    if (drop) l.reset();
    else l->close();
    CHECK(s.settle() == 0);
    CHECK(ends == lines{"closed", "closed", "closed"});
}

TEST_CASE("a reader gives up when its time is up", "[latest]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [] {
        latest<int> l(1);
        auto r = l.reader();
        CHECK(r.receive_for(0ms) == 1);
        CHECK_FALSE(r.receive_for(1ms));
        CHECK_FALSE(r.receive_for(-1h));
        CHECK_FALSE(r.receive_until(std::chrono::steady_clock::now() + 1ms));
        CHECK_FALSE(r.receive_until(std::chrono::system_clock::now() - 1h));
        CHECK_FALSE(rondo::within(1ms, [&] { return r.receive(); }));
        l.set(2);
        CHECK(r.receive_for(1h) == 2);
        l.close();
        CHECK(end_of([&] { (void)r.receive_for(1ms); }) == "closed");
    });
}

TEST_CASE("a stop ends a reader's wait", "[latest]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    latest<int> l(1);
    auto r = l.reader();
    std::string first, second;
    auto t = s.rt.spawn([&] {
        r.receive();
        first = end_of([&] { r.receive(); });
        second = end_of([&] { r.receive(); });
    });
    CHECK(s.settle() == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(first == "stopped");
    CHECK(second == "stopped");
    l.set(2);
    CHECK(r.receive() == 2);
}

TEST_CASE("plain threads set and receive", "[latest]") {
    latest<int> l(0);
    std::thread other([&] {
        for (int i = 1; i <= 100; ++i) l.set(i);
        l.close();
    });
    int last = -1, wrong = 0;
    auto r = l.reader();
    for (int v : r) {
        wrong += v <= last;
        last = v;
    }
    other.join();
    CHECK(wrong == 0);
    CHECK(last == 100);
}

TEST_CASE("select receives from readers", "[latest][select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        latest<int> a(1), b(2);
        auto ra = a.reader(), rb = b.reader();
        ra.receive();
        rb.receive();
        int got = 0;
        auto t = rondo::spawn([&] { b.set(5); });
        CHECK(rondo::select(rondo::from(ra, [&](int v) { got = v; }), rondo::from(rb, [&](int v) { got = -v; })));
        CHECK(got == -5);
        a.set(6);
        CHECK(rondo::select(rondo::from(ra, [&](int v) { got = v; }), rondo::from(rb, [&](int v) { got = -v; })));
        CHECK(got == 6);
        auto u = rondo::spawn([&] {
            a.close();
            b.close();
        });
        CHECK_FALSE(rondo::select(rondo::from(ra, [](int) {}), rondo::from(rb, [](int) {})));
        t.join();
        u.join();
    });
}

TEST_CASE("every reader's values rise and end with the last one set", "[latest][stress]") {
    const auto seed = GENERATE(range(1u, 9u));
    const int values = 500;
    std::atomic<int> wrong{0};
    rondo::run({.workers = 4, .force_migration = seed % 4 == 0}, [&] {
        latest<int> l(0);
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < 6; ++i)
            all.push_back(rondo::spawn([&wrong, i, seed, r = l.reader()]() mutable {
                int last = -1;
                for (bool over = false; !over;) {
                    std::optional<int> v;
                    switch ((i + seed) % 3) {
                        case 0: over = !(v = r.next()); break;
                        case 1:
                            try {
                                v = r.receive_for(20us);
                            } catch (const rondo::closed&) {
                                over = true;
                            }
                            break;
                        default: over = !rondo::select(rondo::from(r, [&](int x) { v = x; })); break;
                    }
                    if (!v) continue;
                    wrong += *v <= last;
                    last = *v;
                }
                wrong += last != values;
            }));
        for (int i = 1; i <= values; ++i) {
            l.set(i);
            if (i % 5 == 0) rondo::yield();
        }
        l.close();
        for (auto& t : all) t.join();
    });
    CHECK(wrong == 0);
}
