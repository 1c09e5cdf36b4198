// The scheduler: S02 to S12.
#include <catch2/catch.hpp>

#include <any>
#include <string>

#include "stage.hpp"

using namespace conformance;

TEST_CASE("to yield when nobody else is ready returns at once, with the value given", "[S02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::schedule();
    CHECK(sl::schedule(42) == 42);
    int got = 0;
    sl::tasklet([&] { got = sl::schedule(7); })();
    sl::run();
    CHECK(got == 7);
}

TEST_CASE("run returns although a tasklet waits, and says so", "[S03]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    auto t = sl::tasklet([&] { c.receive(); })();
    CHECK(sl::run().parked == 1);                     // Rondo: Stackless says nothing
    CHECK(t.blocked());
    const auto waiting = sl::parked_tasklets();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[0].waits_for == "receive on a stackless channel");
    CHECK(waiting[0].id == t.id());
}

TEST_CASE("run with nothing queued returns at once", "[S04]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    const auto result = sl::run();
    CHECK(result.finished == 0);
    CHECK(result.parked == 0);
}

TEST_CASE("a paused tasklet gets the value that its waker has left", "[S06]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    std::string got;
    auto t = sl::tasklet([&] { got = std::any_cast<std::string>(sl::schedule_remove()); })();
    sl::run();
    REQUIRE(t.paused());
    t.tempval() = std::string("woken");
    t.insert();
    sl::run();
    CHECK(got == "woken");
}

TEST_CASE("a paused tasklet that nobody leaves a value gets its own", "[S07]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    int got = 0;
    auto t = sl::tasklet([&] { got = std::any_cast<int>(sl::schedule_remove(5)); })();
    sl::run();
    t.insert();
    sl::run();
    CHECK(got == 5);
}

TEST_CASE("main yields without run: queued tasklets run", "[S08]") {
    sl::session s;
    journal j;
    sl::tasklet([&] { j.say("a"); })();
    sl::tasklet([&] { j.say("b"); })();
    sl::schedule();
    CHECK(j.said() == lines{"a", "b"});
}

TEST_CASE("one run executes a chain of tasklets that make each other", "[S10]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    journal j;
    std::function<void(int)> link = [&](int depth) {
        j.say(std::to_string(depth));
        if (depth < 5) sl::tasklet(link)(depth + 1);
    };
    sl::tasklet(link)(1);
    sl::run();
    CHECK(j.said() == lines{"1", "2", "3", "4", "5"});
}

TEST_CASE("a run inside a tasklet returns before the outer one, after the others finished", "[S11]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    const auto main = sl::getmain();
    journal j;
    sl::tasklet([&] {
        wait_for_run(main);
        sl::tasklet([&] {
            for (int i = 0; i < 3; ++i) sl::schedule();
            j.say("yielder done");
        })();
        sl::run();
        j.say("inner run over");
    })();
    sl::run();
    j.say("outer run over");
    CHECK(j.said() == lines{"yielder done", "inner run over", "outer run over"});
}

TEST_CASE("the innermost run throws what a tasklet under it ends with, the outer one does not", "[S12]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    const auto main = sl::getmain();
    journal j;
    sl::tasklet([&] {
        wait_for_run(main);
        sl::tasklet([inner = sl::getcurrent()] {
            wait_for_run(inner);
            throw oops("inside");
        })();
        j.say(end_of([] { sl::run(); }));
    })();
    j.say(end_of([] { sl::run(); }));
    CHECK(j.said() == lines{"inside", "returned"});
}

TEST_CASE("getruncount counts the caller and all that are ready, not those that wait", "[scheduler]") {
    sl::session s;
    CHECK(sl::getruncount() == 1);
    sl::channel<int> c;
    sl::tasklet([&] { c.receive(); })();
    sl::tasklet([] { sl::schedule(); })();
    CHECK(sl::getruncount() == 3);
    sl::run();
    CHECK(sl::getruncount() == 1);
}

TEST_CASE("getcurrent and getmain name the caller and the thread's first tasklet", "[scheduler]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    const auto main = sl::getmain();
    CHECK(sl::getcurrent() == main);
    CHECK(main.is_main());
    CHECK(main.is_current());
    CHECK(sl::getcurrentid() == main.id());
    sl::tasklet_ref t;
    bool mine = false, not_main = false, main_paused = false;
    t = sl::tasklet([&] {
        mine = sl::getcurrent() == t && t.is_current() && sl::getcurrentid() == t.id();
        not_main = sl::getmain() == main && !t.is_main();
        main_paused = main.paused();
    });
    auto again = t;
    t.bind([&] {
        mine = sl::getcurrent() == again && again.is_current() && sl::getcurrentid() == again.id();
        not_main = sl::getmain() == main && !again.is_main();
    });
    t.insert();
    sl::run();
    CHECK(mine);
    CHECK(not_main);
    CHECK_FALSE(main_paused);
}
