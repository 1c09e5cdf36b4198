// Traps: R01 to R07. Budgets: W01 to W06. Observers: B01 to B03.
#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stage.hpp"

using namespace conformance;

TEST_CASE("with the block trap set an operation that would wait is an error, and changes nothing", "[R01]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    auto main = sl::getmain();
    main.block_trap(true);
    CHECK(main.block_trap());
    CHECK(end_of([&] { c.send(1); }) == "usage_error");
    CHECK(end_of([&] { c.receive(); }) == "usage_error");
    CHECK(c.balance() == 0);
    std::string inside;
    sl::tasklet([&] {
        sl::getcurrent().block_trap(true);
        inside = end_of([&] { c.receive(); });
    })();
    sl::run();
    CHECK(inside == "usage_error");
    CHECK(c.balance() == 0);
    main.block_trap(false);
}

TEST_CASE("with the block trap set an operation that meets a waiting partner succeeds", "[R02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> to, from;
    int got = 0;
    sl::tasklet([&] { got = to.receive(); })();
    sl::tasklet([&] { from.send(6); })();
    sl::run();
    sl::getmain().block_trap(true);
    to.send(5);
    CHECK(from.receive() == 6);
    sl::getmain().block_trap(false);
    sl::run();
    CHECK(got == 5);
}

TEST_CASE("the block trap of main does not concern other tasklets", "[R03]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    sl::getmain().block_trap(true);
    auto t = sl::tasklet([&] { c.receive(); })();
    CHECK(sl::run().parked == 1);
    CHECK(t.blocked());
    sl::getmain().block_trap(false);
}

TEST_CASE("a send that a switch trap forbids leaves the receiver waiting", "[R05]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    int got = 0;
    auto t = sl::tasklet([&] { got = c.receive(); })();
    sl::run();
    CHECK(sl::switch_trap(1) == 0);
    CHECK(end_of([&] { c.send(1); }) == "usage_error");
    CHECK(t.blocked());
    CHECK(c.balance() == -1);
    CHECK(sl::switch_trap(-1) == 1);
    c.send(2);
    sl::run();                                        // several workers: main does not make way for it
    CHECK(got == 2);
}

TEST_CASE("under a switch trap nothing switches, and everything stays as it was", "[R05]") {
    const auto workers = GENERATE(1u, 2u);
    sl::session s({.workers = workers});
    held_workers held(workers);
    int ran = 0;
    auto t = sl::tasklet([&] { ++ran; })();
    sl::tasklet_ref p;
    p.bind([&] { ++ran; });
    sl::channel<int> c;
    sl::switch_trap(1);
    CHECK(end_of([] { sl::schedule(); }) == "usage_error");
    CHECK(end_of([] { sl::schedule_remove(); }) == "usage_error");
    CHECK(end_of([] { sl::run(); }) == "usage_error");
    CHECK(end_of([&] { t.run(); }) == "usage_error");
    CHECK(end_of([&] { p.switch_to(); }) == "usage_error");
    CHECK(end_of([&] { c.receive(); }) == "usage_error");
    // Rondo: with several workers raise_exception never switches, it only makes the tasklet ready.
    if (workers == 1) CHECK(end_of([&] { t.raise_exception<oops>("no"); }) == "usage_error");
    sl::getcurrent().run();                           // to oneself: no switch
    sl::switch_trap(-1);
    CHECK(ran == 0);
    CHECK(t.scheduled());
    CHECK(p.paused());
    held.let_go();
    sl::run();
    CHECK(ran == 1);
}

TEST_CASE("with several workers a switch trap concerns every tasklet of its session", "[R05][several]") {
    sl::session s({.workers = 2});
    std::atomic<bool> has_begun{false}, is_set{false};
    journal j;
    sl::tasklet([&] {                                 // Rondo: in Stackless only the caller runs at all
        has_begun = true;
        while (!is_set) std::this_thread::yield();
        j.say(end_of([] { sl::schedule(); }));
    })();
    while (!has_begun) std::this_thread::yield();
    sl::switch_trap(1);
    is_set = true;
    while (j.said().empty()) std::this_thread::yield();
    sl::switch_trap(-1);
    sl::run();
    CHECK(j.said() == lines{"usage_error"});
}

TEST_CASE("atomic nests, restores, and does not stop a tasklet from switching by itself", "[R06][R07]") {
    sl::session s;
    journal j;
    sl::tasklet([&] {
        const sl::atomic outer;
        {
            const sl::atomic inner;
            sl::schedule();
        }
        j.say("a");
        for (int i = 0; i < 100; ++i) sl::checkpoint();
        j.say("a end");
    })();
    sl::tasklet([&] { j.say("b"); })();
    CHECK_FALSE(sl::run(10).interrupted);
    CHECK(j.said() == lines{"b", "a", "a end"});
}

// ------------------------------------------------------------------------------------------------------------- budgets

TEST_CASE("an endless loop of checkpoints is interrupted by run with a timeout, which names it", "[W01]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    sl::session s({.workers = workers});
    std::atomic<int> other{0};
    auto endless = sl::tasklet([] {
        for (;;) sl::checkpoint();                    // Rondo: only checkpoints count, and can be interrupted
    })();
    sl::tasklet([&] { ++other; })();
    const auto result = sl::run(1000);
    CHECK(result.interrupted == endless);
    CHECK(endless.paused());
    if (workers == 1) CHECK(other == 0);
    while (sl::getruncount() > 1)
        if (auto t = sl::run(1000).interrupted) t.insert();
    CHECK(other == 1);
    endless.kill();
}

TEST_CASE("a budget that is not used up reports nobody", "[W02]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    for (int i = 0; i < 200; ++i)
        sl::tasklet([] {
            for (int n = 0; n < 10; ++n) sl::checkpoint();
        })();
    const auto result = sl::run(11);
    CHECK_FALSE(result.interrupted);
    CHECK(result.parked == 0);
    CHECK(sl::getruncount() == 1);
}

TEST_CASE("counting tasklets are done in order without a limit, and all are done with one", "[W03]") {
    const auto workers = GENERATE(1u, 2u);
    sl::session s({.workers = workers});
    journal j;
    const auto timeout = GENERATE(0ull, 3ull, 1000ull);
    for (int n : {100, 101, 102, 103})
        sl::tasklet([&](int to) {
            for (int i = 0; i < to; ++i) sl::checkpoint();
            j.say(std::to_string(to));
        })(n);
    while (sl::getruncount() > 1)
        if (auto t = sl::run(timeout).interrupted) t.insert();
    if (timeout != 3 && workers == 1) CHECK(j.said() == lines{"100", "101", "102", "103"});
    else CHECK(j.sorted() == lines{"100", "101", "102", "103"});
}

TEST_CASE("an interrupt waits until the atomic part is over", "[W04]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    const auto main = sl::getmain();
    journal j;
    auto t = sl::tasklet([&] {
        wait_for_run(main);
        {
            const sl::atomic critical;
            for (int i = 0; i < 100; ++i) sl::checkpoint();
            j.say("critical part done");
        }
        sl::checkpoint();
        j.say("end");
    })();
    CHECK(sl::run(10).interrupted == t);
    CHECK(j.said() == lines{"critical part done"});
    t.insert();
    sl::run();
    CHECK(j.said() == lines{"critical part done", "end"});
}

TEST_CASE("a timeout is for each slice: many short ones never use it up", "[W05]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    for (int i = 0; i < 2; ++i)
        sl::tasklet([] {
            for (int k = 0; k < 100; ++k) {
                for (int n = 0; n < 5; ++n) sl::checkpoint();
                sl::schedule();
            }
        })();
    CHECK_FALSE(sl::run(10).interrupted);
    CHECK(sl::getruncount() == 1);
}

TEST_CASE("a total timeout is used up by yielding tasklets too", "[W06]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    sl::session s({.workers = workers});
    const auto main = sl::getmain();
    std::atomic<int> ended{0};
    for (int i = 0; i < 2; ++i)
        sl::tasklet([&] {
            wait_for_run(main);
            for (int k = 0; k < 100; ++k) {
                for (int n = 0; n < 5; ++n) sl::checkpoint();
                sl::schedule();
            }
            ++ended;
        })();
    auto t = sl::run({.timeout = 50, .total = true}).interrupted;
    CHECK(t.paused());
    if (workers == 1) CHECK(sl::getruncount() == 2);
    t.insert();
    CHECK(sl::run().parked == 0);
    CHECK(ended == 2);
}

TEST_CASE("a soft timeout interrupts nobody: run returns at the next switch, and all stay queued", "[W06]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool total = GENERATE(false, true);
    sl::session s({.workers = workers});
    std::atomic<int> slices{0};
    for (int i = 0; i < 2; ++i)
        sl::tasklet([&] {
            for (;;) {
                for (int n = 0; n < 20; ++n) sl::checkpoint();
                ++slices;
                sl::schedule();
            }
        })();
    CHECK_FALSE(sl::run({.timeout = 10, .total = total, .soft = true}).interrupted);
    CHECK(slices >= 1);
    if (workers == 1) CHECK(slices == 1);
    CHECK(sl::getruncount() == 3);
}

TEST_CASE("a soft timeout is up when the tasklet that has used it up ends or waits, too", "[W06]") {
    const bool ends = GENERATE(false, true);
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    const auto main = sl::getmain();
    sl::channel<int> never;
    sl::tasklet([&, ends] {
        wait_for_run(main);
        for (int n = 0; n < 20; ++n) sl::checkpoint();
        if (!ends) never.receive();
    })();
    auto endless = sl::tasklet([] {
        for (;;) sl::schedule();
    })();
    const auto result = sl::run({.timeout = 10, .soft = true});
    CHECK_FALSE(result.interrupted);
    CHECK(result.finished == (ends ? 1 : 0));
    CHECK(result.parked == (ends ? 0 : 1));
    CHECK(endless.scheduled());
}

TEST_CASE("a run that has a timeout inside one that has one goes by the outer one's", "[W01]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    const auto main = sl::getmain();
    std::atomic<int> ticks{0};
    sl::tasklet_ref endless;
    sl::tasklet([&] {
        wait_for_run(main);
        auto t = sl::tasklet([&] {
            for (;;) {
                ++ticks;
                sl::checkpoint();
            }
        });
        endless = t;                                  // before it runs
        t();
        sl::run(5);
    })();
    const auto result = sl::run(1000);
    CHECK(result.interrupted == endless);
    CHECK(ticks == 1000);
}

TEST_CASE("whom a run could not give, since it threw an error instead, the next one gives", "[W01]") {
    sl::session s;
    auto main = sl::getmain();
    bool has_thrown = false;
    sl::set_schedule_callback([&](const sl::tasklet_ref&, const sl::tasklet_ref& next) {
        if (next.is_main() && !std::exchange(has_thrown, true))
            main.throw_exception(std::make_exception_ptr(oops("first")), true);
    });
    auto endless = sl::tasklet([] {
        for (;;) sl::checkpoint();
    })();
    CHECK(end_of([] { sl::run(10); }) == "first");
    CHECK(endless.paused());
    CHECK(sl::run(10).interrupted == endless);
    CHECK_FALSE(sl::run(10).interrupted);
}

// Rondo: with several workers run gives the first that has used up its slice; the others go on in parallel, without a limit
// until the next run that has one.
TEST_CASE("with several workers the others go on while an interrupted tasklet waits", "[W01][several]") {
    sl::session s({.workers = GENERATE(2u, 4u)});
    std::atomic<bool> go_on{false}, has_ended{false};
    auto endless = sl::tasklet([] {
        for (;;) sl::checkpoint();
    })();
    auto other = sl::tasklet([&] {
        while (!go_on) sl::schedule();
        for (int i = 0; i < 100; ++i) sl::checkpoint();      // more than the limit was
        has_ended = true;
    })();
    CHECK(sl::run(10).interrupted == endless);
    CHECK(other.scheduled());
    go_on = true;
    while (!has_ended) std::this_thread::yield();            // without another run
    CHECK(endless.paused());
    CHECK(sl::run().parked == 1);
    CHECK(endless.paused());
}

TEST_CASE("with several workers ticks of an earlier run do not count in the next", "[W02][several]") {
    sl::session s({.workers = 2});
    std::atomic<bool> has_counted{false}, go_on{false}, has_ended{false};
    auto t = sl::tasklet([&] {                        // one long slice
        for (int i = 0; i < 90; ++i) sl::checkpoint();
        has_counted = true;
        while (!go_on) std::this_thread::yield();
        for (int i = 0; i < 90; ++i) sl::checkpoint();
        has_ended = true;
    });
    auto endless = sl::tasklet([&] {
        t();
        while (!has_counted) sl::schedule();
        for (;;) sl::checkpoint();
    })();
    CHECK(sl::run(100).interrupted == endless);
    REQUIRE(has_counted);
    auto opener = sl::tasklet([&] {
        wait_for_run(sl::getmain());
        go_on = true;
    })();
    CHECK_FALSE(sl::run(100).interrupted);
    CHECK(has_ended);
}

// ----------------------------------------------------------------------------------------------------------- observers

TEST_CASE("a schedule callback sees each switch, there and back", "[B01]") {
    sl::session s;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
    sl::set_schedule_callback([&](const sl::tasklet_ref& a, const sl::tasklet_ref& b) { seen.emplace_back(a.id(), b.id()); });
    auto t = sl::tasklet([] {})();
    const auto id = t.id(), main = sl::getmain().id();
    CHECK(seen.empty());
    sl::run();
    sl::set_schedule_callback({});
    sl::tasklet([] {})();
    sl::run();
    CHECK(seen == std::vector{std::pair(main, id), {id, main}});
}

TEST_CASE("a schedule callback can throw, which is printed, but cannot switch", "[B01]") {
    sl::session s;
    std::string inside;
    sl::set_schedule_callback([&](const auto&, const auto&) {
        if (inside.empty()) inside = end_of([] { sl::schedule(); });
        throw oops("from the callback of a test: to be printed");
    });
    int ran = 0;
    sl::tasklet([&] { ++ran; })();
    CHECK(end_of([] { sl::run(); }) == "returned");
    CHECK(inside == "usage_error");
    CHECK(ran == 1);
}

TEST_CASE("a channel callback sees each operation, and whether it will wait", "[B02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    struct event {
        std::uint64_t who;
        bool sending, blocks, right_channel;
        bool operator==(const event&) const = default;
    };
    std::vector<event> seen;
    std::string recursive;
    sl::set_channel_callback([&](const sl::channel_base& on, const sl::tasklet_ref& who, bool sending, bool blocks) {
        seen.push_back({who.id(), sending, blocks, on == c});
        if (recursive.empty()) recursive = end_of([&] { c.send(1); });
    });
    auto t = sl::tasklet([&] { c.receive(); })();
    const auto id = t.id(), main = sl::getmain().id();
    sl::run();
    c.send(1);
    sl::run();
    CHECK(seen == std::vector<event>{{id, false, true, true}, {main, true, false, true}});
    CHECK(recursive == "usage_error");
}

TEST_CASE("setting a callback gives the one before, an empty one takes it away", "[B03]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    CHECK_FALSE(sl::get_schedule_callback());
    CHECK_FALSE(sl::set_schedule_callback([](const auto&, const auto&) {}));
    CHECK(sl::get_schedule_callback());
    CHECK(sl::set_schedule_callback({}));
    CHECK_FALSE(sl::get_schedule_callback());
    CHECK_FALSE(sl::get_channel_callback());
    CHECK_FALSE(sl::set_channel_callback([](const auto&, const auto&, bool, bool) {}));
    CHECK(sl::set_channel_callback({}));
    CHECK_FALSE(sl::get_channel_callback());
}

TEST_CASE("with several workers, what a worker's switch goes to is what its next one comes from", "[B01][several][unordered]") {
    sl::session s({.workers = 2});
    std::mutex lock;
    std::map<std::thread::id, std::vector<std::pair<std::uint64_t, std::uint64_t>>> seen;
    sl::set_schedule_callback([&](const sl::tasklet_ref& a, const sl::tasklet_ref& b) {
        const std::lock_guard hold(lock);
        seen[std::this_thread::get_id()].emplace_back(a.id(), b.id());
    });
    sl::channel<int> c;
    for (int i = 0; i < 4; ++i) {
        sl::tasklet([&] { for (int n = 0; n < 50; ++n) c.send(n); })();
        sl::tasklet([&] { for (int n = 0; n < 50; ++n) c.receive(); })();
    }
    sl::run();
    sl::set_schedule_callback({});
    for (auto& [thread, events] : seen)
        for (std::size_t i = 1; i < events.size(); ++i) CHECK(events[i].first == events[i - 1].second);
}

TEST_CASE("with several workers a schedule callback sees those go on who had yielded", "[B01][several][unordered]") {
    sl::session s({.workers = 2});
    held_workers held(1, 2);                          // so that the two share the other one
    journal j;
    sl::tasklet_ref a, b;
    std::atomic<int> ended{0};
    const auto yields = [&] {
        for (int i = 0; i < 20; ++i) sl::schedule();
        ++ended;
    };
    sl::tasklet([&] {
        a = sl::tasklet(yields)();
        b = sl::tasklet(yields)();
        sl::set_schedule_callback([&](const sl::tasklet_ref& from, const sl::tasklet_ref& to) {
            if (from == a && to == b) j.say("a to b");
            if (from == b && to == a) j.say("b to a");
        });
    })();
    while (ended != 2) std::this_thread::yield();
    held.let_go();
    sl::run();
    sl::set_schedule_callback({});
    CHECK(j.count("a to b") >= 10);
    CHECK(j.count("b to a") >= 10);
}
