// Actors in the testing world and under explore: standing still, expected messages, virtual time, crashes at will, leaks.
#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using rondo::testing::failure;
using support::end_of;
using support::has;

namespace {

struct order {
    std::string dish;
};
struct plate {
    std::string dish;
};
struct is_it_fresh {
    std::string dish;
};
// Cooks for so long, asks about the fish, and serves.
struct kitchen {
    rondo::address<plate, bool(is_it_fresh)> waiter;
    int cooked = 0;
    void on(const order& o) {
        if (o.dish == "fish" && !waiter.ask(is_it_fresh{o.dish})) throw std::runtime_error("the fish is old");
        rondo::sleep_for(20min);
        ++cooked;
        waiter.tell(plate{o.dish});
    }
    int on(std::monostate) const { return cooked; }
};

struct tick {};
struct metronome {
    int* ticks;
    void on(rondo::started) { rondo::this_actor::every(1s, tick{}); }
    void on(tick) { ++*ticks; }
};

struct open {};
struct gate {
    rondo::channel<int> key;
    void on(open) { key.receive(); }
};

struct mourned {
    void on(open) { rondo::this_actor::stop(); }
};
struct mourner {
    rondo::actor_ref<mourned> whom;
    int days;
    mourner(rondo::actor_ref<mourned> a, int n) : whom(std::move(a)), days(n) {}
    void on(rondo::started) { rondo::watch(whom); }
    void on(const rondo::down&) {
        for (int i = 0; i < days; ++i) rondo::yield();
    }
};

}  // namespace

// docs: a probe
TEST_CASE("a world settles with its actors, and its probe has what they told", "[actor][world]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u, 4u)}};
    rondo::testing::probe<plate, bool(is_it_fresh)> waiter(world);
    auto cook = rondo::start_on<kitchen>(world.in(), waiter);

    cook.tell(order{"soup"});
    cook.tell(order{"bread"});
    waiter.expect_nothing();                              // it takes its time
    world.advance(20min);
    CHECK(waiter.expect<plate>().dish == "soup");
    waiter.expect_nothing();
    world.advance(1h);
    CHECK(waiter.expect<plate>().dish == "bread");
    waiter.expect_nothing();
}
// docs: end

TEST_CASE("a probe answers what it is asked, when the test says so", "[actor][world]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::testing::probe<plate, bool(is_it_fresh)> waiter(world);
    auto cook = rondo::start_on<kitchen>(world.in(), waiter);

    cook.tell(order{"fish"});
    CHECK(waiter.expect<is_it_fresh>().dish == "fish");
    waiter.expect_nothing();
    waiter.answer<is_it_fresh>(true);
    world.advance(20min);
    CHECK(waiter.expect<plate>().dish == "fish");
}

TEST_CASE("what a probe did not expect is named, with the place", "[actor][world]") {
    rondo::testing::world world;
    rondo::testing::probe<plate, order> waiter(world);
    CHECK(has(end_of([&] { waiter.expect<plate>(); }), "plate was expected, nothing came"));
    waiter.ref().tell(order{"soup"});
    const auto text = end_of([&] { waiter.expect<plate>(); });
    CHECK(has(text, "plate was expected"));
    CHECK(has(text, "order came"));
    CHECK(has(text, "testing_test.cpp:"));
    waiter.ref().tell(order{"soup"});
    CHECK(has(end_of([&] { waiter.expect_nothing(); }), "nothing was expected"));
}

TEST_CASE("timers of actors follow the clock of their world", "[actor][world][time]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    int ticks = 0;
    auto m = rondo::start_on<metronome>(world.in(), &ticks);
    world.settle();
    CHECK(ticks == 0);
    world.advance(2500ms);
    CHECK(ticks == 2);
    world.advance(1h);
    CHECK(ticks == 3602);
}                                                         // it ticks on: no leak, it ends with its world

TEST_CASE("a crash at will is a crash: the supervisor restarts, and gives up", "[actor][world]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::testing::probe<plate, bool(is_it_fresh)> waiter(world);
    rondo::address<plate, bool(is_it_fresh)> to = waiter;
    rondo::supervisor boss;
    world.run([&] {
        boss = rondo::supervise({.max_restarts = 1, .within = 1min},
                                rondo::child<kitchen>(rondo::child_options{.name = "cook"}, to));
    });
    auto cook = world.run([&] { return boss.ref<kitchen>("cook"); });
    cook.tell(order{"soup"});
    world.settle();
    rondo::testing::crash(cook, std::runtime_error("burnt"));
    waiter.expect_nothing();                              // not in the middle of a message
    world.advance(20min);
    CHECK(waiter.expect<plate>().dish == "soup");
    CHECK(cook.ask(std::monostate{}) == 0);               // a new life
    CHECK(world.run([&] { return boss.children(); })[0].restarts == 1);
    rondo::testing::crash(cook, std::runtime_error("burnt again"));
    CHECK(has(end_of([&] { world.settle(); }), "burnt again"));
    CHECK(boss.join().kind == rondo::exit_kind::gave_up);
    CHECK(cook.has_ended());
}

TEST_CASE("a crash at will that nobody sees comes out of settle", "[actor][world]") {
    rondo::testing::world world;
    auto g = rondo::start_on<gate>(world.in());
    rondo::testing::crash(g, std::runtime_error("by order"));
    CHECK(end_of([&] { world.settle(); }) == "by order");
    CHECK(g.join().text() == "crashed: by order");
    rondo::testing::crash(g, std::runtime_error("again"));             // it has ended: nothing
    CHECK(end_of([&] { world.settle(); }) == "returned");
}

TEST_CASE("a handler that waits for ever, and a message still to come, are leaks of a world", "[actor][world]") {
    struct slow {
        void on(open) { rondo::this_actor::after(1s, tick{}); }
        void on(tick) {}
    };
    {
        rondo::testing::world world;
        auto g = rondo::start_on<gate>(world.in());
        g.tell(open{});
        CHECK(end_of([&] { world.finish(); }) == "leaked");
    }
    {
        rondo::testing::world world;
        auto g = rondo::start_on<slow>(world.in());
        g.tell(open{});
        CHECK(end_of([&] { world.finish(); }) == "leaked");
    }
}

TEST_CASE("explore drives actors: every schedule ends with none left, and starts with none", "[actor][explore]") {
    std::set<int> orders_seen;
    auto report = rondo::testing::explore({.seeds = 300, .twice = true}, [&] {
        struct mark {
            int who;
        };
        struct list {
            std::vector<int> all;
            void on(mark m) { all.push_back(m.who); }
            std::vector<int> on(open) const { return all; }
        };
        auto l = rondo::start<list>();
        rondo::testing::check(rondo::registry().add("list", l), "the name is free again in each schedule");
        rondo::testing::check(l.id() == 1, "numbers begin anew");
        rondo::scope([&](rondo::group& g) {
            for (int who : {1, 2})
                g.spawn([=] {
                    for (int i = 0; i < 2; ++i) l.tell(mark{who * 10 + i});
                });
        });
        const auto all = l.ask(open{});
        rondo::testing::check(all.size() == 4, "all have come");
        int order = 0;
        int last[3] = {0, 0, 0};
        for (int m : all) {
            rondo::testing::check(last[m / 10] <= m, "in each sender's order");
            last[m / 10] = m;
            order = order * 2 + m / 10 - 1;
        }
        orders_seen.insert(order);
    });
    CHECK(report.ok());
    CHECK(orders_seen.size() == 6);                       // all interleavings of two and two
}

TEST_CASE("who hears of an end first does not depend on the schedules before", "[actor][explore]") {
    const auto report = rondo::testing::explore({.seeds = 50, .throws = false, .twice = true}, [] {
        const auto a = rondo::start<mourned>();
        std::vector<rondo::tasklet<void>> hosts;              // they let go of them in any order, so their memory changes hands
        for (int i = 0; i < 16; ++i)
            hosts.push_back(rondo::spawn([m = rondo::start<mourner>(a, i)]() mutable {
                const auto mine = std::move(m);
                rondo::yield();
                mine.stop();
                mine.join();
            }));
        rondo::yield();
        a.tell(open{});
        for (auto& h : hosts) h.join();
    });
    CHECK(report.ok());
}

TEST_CASE("explore finds an actor's bug that needs a certain order, and its seed repeats it", "[actor][explore]") {
    struct take {
        int cents;
    };
    struct account {                                      // it looks, waits, and then believes what it saw
        int cents = 100;
        int on(open) const { return cents; }
        void on(take t) { cents -= t.cents; }
    };
    const auto two_customers = [] {
        auto a = rondo::start<account>();
        const auto customer = [a] {
            if (a.ask(open{}) >= 60) a.tell(take{60});
        };
        rondo::all(customer, customer);
        return a.ask(open{}) >= 0;
    };
    const auto found = rondo::testing::explore({.throws = false}, two_customers);
    CHECK(found.what == failure::said_no);
    CHECK(rondo::testing::explore({.replay = found.replay, .throws = false}, two_customers).what == failure::said_no);
    const auto every = rondo::testing::explore(
        {.strategy = rondo::testing::schedules::exhaustive, .preemptions = 1, .throws = false}, two_customers);
    CHECK(every.what == failure::said_no);
}

TEST_CASE("the switches of an explored failure name the actors, whoever is about to wait for them", "[actor][explore]") {
    struct alarm {
        void on(rondo::started) { rondo::this_actor::after(1h, tick{}); }
        void on(tick) {}
    };
    const auto report = rondo::testing::explore({.seeds = 1, .throws = false}, [] {
        auto ann = rondo::start<gate>(rondo::actor_options{.name = "ann", .mailbox_slots = 1});
        auto clock = rondo::start<alarm>();
        ann.tell(open{});
        rondo::sleep_for(1ms);                            // its handler waits for the key
        ann.tell(open{});
        rondo::spawn([=] { ann.tell(open{}); });
        ann.join();
    });
    REQUIRE(report.what == failure::deadlock);
    INFO(report.text);
    CHECK(has(report.text, ", handler of actor 1 \"ann\" ("));
    CHECK(has(report.text, "gate): started at "));
    CHECK(has(report.text, "testing_test.cpp:"));
    CHECK(has(report.text, "gate), waits for a sender on channel"));
    CHECK(has(report.text, "waits for room in the mailbox of actor 1 \"ann\" ("));
    CHECK(has(report.text, "waits for the end of actor 1 \"ann\" ("));
    CHECK(has(report.text, ", the timers of all actors, waits for sleep"));
    CHECK_FALSE(has(report.text, "actor_cell.cpp"));
    CHECK_FALSE(has(report.text, "actor_system.cpp"));
}

TEST_CASE("under explore: an unseen crash, an ask without an answer, a handler left waiting", "[actor][explore][unordered]") {
    const auto what = [](auto&& f) { return rondo::testing::explore({.seeds = 20, .throws = false}, f).what; };
    CHECK(what([] {
              auto g = rondo::start<gate>();
              rondo::testing::crash(g, std::runtime_error("unseen"));
          }) == failure::threw);
    CHECK(what([] {
              auto g = rondo::start<gate>();
              g.ask(open{});
          }) == failure::deadlock);
    CHECK(what([] {
              auto g = rondo::start<gate>();
              g.tell(open{});
          }) == failure::leak);
    int ticks = 0;
    CHECK(what([&] {                                      // every does not keep it from ending
              auto m = rondo::start<metronome>(&ticks);
              ticks = 0;
              rondo::sleep_for(10s);
              return ticks == 9 || ticks == 10;
          }) == failure::none);
}

TEST_CASE("a probe inside an explored program waits for its message", "[actor][explore]") {
    const auto report = rondo::testing::explore({.seeds = 200}, [] {
        rondo::testing::probe<plate, bool(is_it_fresh)> waiter;
        waiter.patience = 1h;
        auto cook = rondo::start<kitchen>(waiter);
        waiter.answer<is_it_fresh>(true);
        cook.tell(order{"fish"});
        waiter.expect<is_it_fresh>();
        waiter.expect<plate>();
        waiter.expect_nothing();
    });
    CHECK(report.ok());
}
