// oneshot: one value, one receiver; closing, limits, stops, errors, handles, plain threads, select.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/oneshot.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::oneshot;
using rondo::send_status;

TEST_CASE("a oneshot keeps its value until somebody receives it", "[oneshot]") {
    oneshot<int> o;
    CHECK_FALSE(o.is_ready());
    CHECK_FALSE(o.try_receive());
    o.send(7);                                        // nobody waits: it does not wait either
    CHECK(o.is_ready());
    CHECK_FALSE(o.is_closed());
    CHECK(o.receive() == 7);
    CHECK_FALSE(o.is_ready());
    CHECK(o.is_closed());
}

TEST_CASE("a receiver that came first gets the value", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    oneshot<std::unique_ptr<int>> o;
    int got = 0;
    auto t = s.rt.spawn([&] { got = *o.receive(); });
    CHECK(s.settle() == 1);
    o.send(std::make_unique<int>(7));
    CHECK(s.settle() == 0);
    CHECK(got == 7);
}

TEST_CASE("of several receivers the oldest gets the value, the others get closed", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    oneshot<int> o;
    std::vector<std::string> ends(4);
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends) {
        all.push_back(s.rt.spawn([&] { end = end_of([&] { if (o.receive() != 7) throw 0; }); }));
        s.settle();
    }
    o.send(7);
    CHECK(s.settle() == 0);
    CHECK(ends == lines{"returned", "closed", "closed", "closed"});
    CHECK(end_of([&] { o.receive(); }) == "closed");
    CHECK_FALSE(o.next());
    CHECK_FALSE(o.try_receive());
}

TEST_CASE("a second send is refused, and leaves its value to the caller", "[oneshot]") {
    oneshot<std::unique_ptr<int>> o;
    o.send(std::make_unique<int>(1));
    CHECK(end_of([&] { o.send(std::make_unique<int>(2)); }) == "usage_error");
    auto mine = std::make_unique<int>(3);
    CHECK(o.try_send(mine) == send_status::full);
    REQUIRE(mine);
    CHECK(*mine == 3);
    CHECK(*o.receive() == 1);
    CHECK(o.try_send(mine) == send_status::full);     // spent: still one value only
    CHECK(mine);
}

TEST_CASE("a closed oneshot refuses a send, a value sent before can still be received", "[oneshot]") {
    oneshot<std::unique_ptr<int>> empty, full;
    full.send(std::make_unique<int>(1));
    empty.close();
    full.close();
    auto mine = std::make_unique<int>(3);
    CHECK(empty.try_send(mine) == send_status::closed);
    CHECK(mine);
    CHECK(end_of([&] { empty.send(std::move(mine)); }) == "closed");
    CHECK(end_of([&] { empty.receive(); }) == "closed");
    CHECK(*full.receive() == 1);
    empty.close();                                    // a second close does nothing
}

TEST_CASE("close wakes all who wait on a oneshot", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    oneshot<int> o;
    std::string a, b;
    auto t = s.rt.spawn([&] { a = end_of([&] { o.receive(); }); });
    auto u = s.rt.spawn([&] { b = o.next() ? "value" : "nullopt"; });
    CHECK(s.settle() == 2);
    o.close();
    CHECK(s.settle() == 0);
    CHECK(a == "closed");
    CHECK(b == "nullopt");
}

TEST_CASE("when the last handle of a oneshot goes, those who wait get closed", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    std::optional<oneshot<int>> o(std::in_place);
    oneshot<int>* const at = &*o;
    std::string end;
    auto t = s.rt.spawn([&] { end = end_of([&] { at->receive(); }); });
    CHECK(s.settle() == 1);
    o.reset();
    CHECK(s.settle() == 0);
    CHECK(end == "closed");
}

TEST_CASE("a sender that goes without having sent closes its oneshot", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    oneshot<int> answer;
    std::string end;
    auto t = s.rt.spawn([&] { end = end_of([&] { answer.receive(); }); });
    s.settle();
    auto failing = s.rt.spawn([to = answer.sender()]() mutable {
        auto mine = std::move(to);
        throw std::runtime_error("before the answer");
    });
    CHECK(end_of([&] { failing.join(); }) == "before the answer");
    CHECK(s.settle() == 0);
    CHECK(end == "closed");

    oneshot<int> other;
    {
        auto to = other.sender();
        auto moved = std::move(to);
        CHECK(end_of([&] { to.send(1); }) == "usage_error");
        moved.send(2);
    }
    CHECK(other.receive() == 2);
}

TEST_CASE("an exception sent through a oneshot is thrown by the receive", "[oneshot]") {
    oneshot<int> o;
    o.send_error(std::make_exception_ptr(std::runtime_error("sent")));
    CHECK(end_of([&] { o.receive(); }) == "sent");
    CHECK(end_of([&] { o.receive(); }) == "closed");
}

TEST_CASE("a receive from a oneshot gives up when its time is up, and the value can still come", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [] {
        oneshot<int> o;
        CHECK_FALSE(o.receive_for(1ms));
        CHECK_FALSE(o.receive_for(0ms));
        CHECK_FALSE(o.receive_for(-1h));
        CHECK_FALSE(o.receive_until(std::chrono::steady_clock::now() + 1ms));
        CHECK_FALSE(o.receive_until(std::chrono::system_clock::now() - 1h));
        CHECK_FALSE(rondo::within(1ms, [&] { return o.receive(); }));
        o.send(4);
        CHECK(o.receive_for(0ms) == 4);
        CHECK(end_of([&] { (void)o.receive_for(1ms); }) == "closed");
    });
}

TEST_CASE("a stop ends a receive from a oneshot and takes nothing", "[oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    oneshot<int> o;
    std::string first, second;
    auto t = s.rt.spawn([&] {
        first = end_of([&] { o.receive(); });
        second = end_of([&] { o.receive(); });        // sticky
    });
    CHECK(s.settle() == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(first == "stopped");
    CHECK(second == "stopped");
    o.send(3);
    CHECK(o.receive() == 3);
}

TEST_CASE("plain threads receive from a oneshot and send to it", "[oneshot]") {
    oneshot<int> there, back;
    std::thread other([&] { back.send(there.receive() + 1); });
    there.send(1);
    CHECK(back.receive() == 2);
    other.join();
}

TEST_CASE("a value left in a oneshot is destroyed with it, once", "[oneshot]") {
    std::atomic<int> live{0};
    {
        oneshot<token> o;
        o.send(token(live));
        CHECK(live == 1);
    }
    CHECK(live == 0);
}

TEST_CASE("a moved-from oneshot says so", "[oneshot]") {
    oneshot<int> a;
    oneshot<int> b = std::move(a);
    CHECK(end_of([&] { a.send(1); }) == "usage_error");
    b.send(1);
    a = b;
    CHECK(a == b);
    CHECK(a.receive() == 1);
}

TEST_CASE("select receives from a oneshot, before and after it was sent, closed ones count as closed", "[oneshot][select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        oneshot<int> ready, later, never;
        ready.send(1);
        int got = 0;
        CHECK(rondo::select(rondo::from(ready, [&](int v) { got = v; }), rondo::from(never, [&](int) { got = -1; })));
        CHECK(got == 1);
        auto t = rondo::spawn([&] { later.send(2); });
        CHECK(rondo::select(rondo::from(later, [&](int v) { got = v; }), rondo::from(never, [&](int) { got = -1; })));
        CHECK(got == 2);
        auto u = rondo::spawn([&] { never.close(); });
        CHECK_FALSE(rondo::select(rondo::from(later, [&](int) { got = -1; }), rondo::from(never, [&](int) { got = -1; })));
        CHECK(got == 2);
        t.join();
        u.join();
    });
}

TEST_CASE("a send races with a close, a stop and a deadline: the value is received or left, never lost", "[oneshot][stress]") {
    const auto seed = GENERATE(range(1u, 9u));
    std::atomic<int> live{0};
    int received = 0, left = 0, refused = 0;
    const int rounds = 100;
    rondo::run({.workers = 4}, [&] {
        std::uint32_t chance = seed;
        const auto dice = [&chance] { return (chance = chance * 1664525 + 1013904223) >> 16; };
        for (int i = 0; i < rounds; ++i) {
            oneshot<token> o;
            const auto kind = dice() % 4;
            auto receiver = rondo::spawn([&o, kind] {
                if (kind == 0) return o.receive_for(10us).has_value();
                if (kind == 1) return rondo::within(10us, [&] { return o.receive(); }).has_value();
                return o.next().has_value();
            });
            auto sender = rondo::spawn([&o, &live] { return o.try_send(token(live)) == send_status::done; });
            auto closer = rondo::spawn([&o, kind] { if (kind == 2) o.close(); });
            if (kind == 3) receiver.stop();
            const bool sent = sender.join();
            closer.join();
            bool got = false;
            try {
                got = receiver.join();
            } catch (const rondo::stopped&) {
            } catch (const rondo::closed&) {
            }
            const bool there = o.try_receive().has_value();
            if (sent) CHECK(got + there == 1);
            else CHECK(got + there == 0);
            received += got;
            left += there;
            refused += !sent;
        }
    });
    CHECK(received + left + refused == rounds);
    CHECK(live == 0);
}
