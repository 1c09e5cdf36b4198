// Deadlock: D02 to D06. Lifetime: L01 to L05.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <rondo/time.hpp>

#include "stage.hpp"
#include "support/sanitized.hpp"

using namespace conformance;
using namespace std::chrono_literals;

TEST_CASE("main cannot wait when nobody is left to wake it, the channel stays as it was", "[D01]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    CHECK(end_of([&] { c.receive(); }) == "deadlock");
    CHECK(end_of([&] { c.send(1); }) == "deadlock");
    CHECK(c.balance() == 0);
}

TEST_CASE("main receives, the last other tasklet ends: main gets the error", "[D02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    sl::tasklet([] { sl::schedule(); })();
    std::string message;
    try {
        c.receive();
    } catch (const rondo::deadlock& e) {
        message = e.what();
    }
    CHECK(message == "Deadlock: the main tasklet is receiving without a sender available.");
    CHECK(c.balance() == 0);
}

TEST_CASE("main sends, the last other tasklet ends: main gets the error", "[D03]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    sl::tasklet([] { sl::schedule(); })();
    std::string message;
    try {
        c.send(1);
    } catch (const rondo::deadlock& e) {
        message = e.what();
    }
    CHECK(message == "Deadlock: the main tasklet is sending without a receiver available.");
    CHECK(c.balance() == 0);
}

TEST_CASE("main receives, a tasklet blocks last: it gets the error, and can go on to send to main", "[D04]") {
    sl::session s;
    sl::channel<int> to_main, nobody;
    std::string tasklet_end;
    sl::tasklet([&] {
        tasklet_end = end_of([&] { nobody.receive(); });
        to_main.send(8);
    })();
    CHECK(to_main.receive() == 8);
    CHECK(tasklet_end == "deadlock");
    CHECK(nobody.balance() == 0);
}

TEST_CASE("what the tasklet does not catch goes to main", "[D04]") {
    sl::session s;
    sl::channel<int> to_main, nobody;
    sl::tasklet([&] { nobody.receive(); })();
    CHECK(end_of([&] { to_main.receive(); }) == "deadlock");
    CHECK(to_main.balance() == 0);
    CHECK(nobody.balance() == 0);
}

TEST_CASE("with several workers somebody gets the deadlock error, it never hangs", "[D04][several]") {
    sl::session s({.workers = GENERATE(2u, 4u)});
    sl::channel<int> to_main, nobody;
    for (int i = 0; i < 3; ++i)
        sl::tasklet([&] { nobody.receive(); })();
    CHECK(end_of([&] { to_main.receive(); }) == "deadlock");
}

TEST_CASE("a deadlock error names those that wait", "[D02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c, other;
    sl::tasklet([&] { other.receive(); })().set_name("husband");
    sl::run();
    try {
        c.receive();
        FAIL("no deadlock");
    } catch (const rondo::deadlock& e) {
        REQUIRE(e.tasklets().size() == 1);
        CHECK(e.tasklets()[0].name == "husband");
        CHECK(std::string(e.what()).find("husband") != std::string::npos);
    }
}

TEST_CASE("two that each wait for the other's receive: run returns, both are parked and named", "[D06]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> a, b;
    sl::tasklet([&] {
        a.send(1);
        b.receive();
    })().set_name("t");
    sl::tasklet([&] {
        b.send(1);
        a.receive();
    })().set_name("u");
    CHECK(sl::run().parked == 2);
    const auto waiting = sl::parked_tasklets();
    REQUIRE(waiting.size() == 2);
    CHECK(waiting[0].name == "t");
    CHECK(waiting[1].name == "u");
    CHECK(waiting[0].waits_for == "send on a stackless channel");
}

TEST_CASE("with two sacks in one circle of rendezvous channels everybody ends up sending", "[D06][MW8]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    const std::size_t players = 10;
    std::vector<sl::channel<int>> circle(players);
    std::atomic<int> kicks{0};
    std::uint32_t chance = 12345;
    for (std::size_t me = 0; me < players; ++me)
        sl::tasklet([&, me] {
            std::uint32_t mine = chance + static_cast<std::uint32_t>(me) * 7919;
            for (;;) {
                const int sack = circle[me].receive();
                mine = mine * 1664525 + 1013904223;
                std::size_t to = (mine >> 8) % (players - 1);
                if (to >= me) ++to;
                if (++kicks > 1'000'000) return;
                circle[to].send(sack);
            }
        })();
    for (int sack : {0, 1}) sl::tasklet([&, sack] { circle[static_cast<std::size_t>(sack)].send(sack); })();
    CHECK(sl::run().parked >= players);
    int sending = 0;
    for (auto& c : circle) sending += c.balance() > 0;
    CHECK(sending >= 1);
    CHECK(kicks < 1'000'000);
}

TEST_CASE("a deadline around a receive in main ends it instead of a deadlock", "[D02][MW7]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    CHECK_FALSE(rondo::within(1ms, [&] { return c.receive(); }));
    CHECK(c.balance() == 0);
}

TEST_CASE("a deadline around a receive ends it in a tasklet too", "[MW7]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c, to_main;
    bool in_time = true;
    sl::tasklet([&] {
        in_time = rondo::within(1ms, [&] { return c.receive(); }).has_value();
        to_main.send(1);
    })();
    CHECK(rondo::within(10s, [&] { return to_main.receive(); }) == 1);
    CHECK_FALSE(in_time);
    CHECK(c.balance() == 0);
}

// ------------------------------------------------------------------------------------------------------------ lifetime

TEST_CASE("a tasklet whose handle was dropped at once still runs", "[L01]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    std::atomic<int> ran{0};
    { auto t = sl::tasklet([&] { ++ran; })(); }
    sl::run();
    CHECK(ran == 1);
}

TEST_CASE("what a tasklet owns is gone when it has finished", "[L02]") {
    const auto workers = GENERATE(1u, 2u);
    sl::session s({.workers = workers});
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    held_workers held(workers);
    auto t = sl::tasklet([](std::shared_ptr<int>) {})(std::move(owned));
    CHECK_FALSE(watch.expired());
    held.let_go();
    sl::run();
    CHECK(watch.expired());
}

TEST_CASE("a tasklet that has finished is freed when its last handle goes", "[L02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    sl::tasklet_ref t = sl::tasklet([] {})();
    sl::run();
    t.tempval() = std::move(owned);                   // the tasklet's own
    auto same = t;
    t = {};
    CHECK_FALSE(watch.expired());
    same = {};
    while (!watch.expired()) std::this_thread::yield();      // the worker that it ended on may just be letting go of it
}

TEST_CASE("what lies on the stack of a tasklet that waits for ever is destroyed with its session", "[L03]") {
    const auto workers = GENERATE(1u, 2u);
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    {
        sl::session s({.workers = workers});
        sl::tasklet([](std::shared_ptr<int>) {
            sl::channel<int> only_i_know;
            only_i_know.receive();
        })(std::move(owned));
        CHECK(sl::run().parked == 1);                 // reported
        CHECK_FALSE(watch.expired());
    }
    CHECK(watch.expired());                           // Rondo: Stackless never unwinds it
}

TEST_CASE("a value that waits in a killed sender is destroyed exactly once", "[L05]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    sl::channel<std::shared_ptr<int>> c;
    auto t = sl::tasklet([&c](std::shared_ptr<int> value) { c.send(std::move(value)); })(std::move(owned));
    sl::run();
    CHECK(watch.use_count() == 1);
    t.kill();
    sl::run();
    CHECK(watch.expired());
    CHECK(c.balance() == 0);
}

TEST_CASE("a hundred thousand waiting tasklets unwind at the end of their session, each exactly once", "[MW6]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t many = support::sanitized ? 10'000 : 100'000;
    std::vector<std::atomic<unsigned char>> unwound(many);
    struct note {
        std::atomic<unsigned char>& n;
        ~note() { ++n; }
    };
    const auto all_are = [&](int n) {
        return std::all_of(unwound.begin(), unwound.end(), [n](const auto& u) { return u == n; });
    };
    const sl::channel<int> line;                      // outlives the session
    {
        sl::session s({.workers = workers});
        for (std::size_t i = 0; i < many; ++i)
            sl::tasklet([&, i] {
                const note n{unwound[i]};
                line.receive();
            })();
        CHECK(sl::run().parked == many);
        CHECK(line.balance() == -static_cast<std::ptrdiff_t>(many));
        CHECK(all_are(0));
    }
    CHECK(all_are(1));
    CHECK(line.balance() == 0);
}
