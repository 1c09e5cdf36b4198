// Reentrant actors: other messages come in while a handler waits; what ends them ends all their handlers first.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using rondo::testing::check;
using support::end_of;

namespace {

struct enter {
    int who;
};
struct leave {
    int who;
};
struct fail {};
struct counts {
    int inside = 0, most = 0, running = 0, made = 0, left = 0;
    std::vector<int> order;
};
struct ask_counts {};

// Whoever enters waits until he may leave.
struct hall {
    static constexpr bool reentrant = true;
    counts* c;
    std::vector<rondo::channel<int>> doors;
    explicit hall(counts* to) : c(to), doors(10) { ++c->made; }
    ~hall() { c->left += c->inside * 1000; }              // must be 0

    int on(enter e) {
        struct visit {
            counts* c;
            explicit visit(counts* to) : c(to) { c->most = std::max(c->most, ++c->inside); }
            ~visit() {
                --c->inside;
                ++c->left;
            }
        } here(c);
        check(++c->running == 1, "one at a time");
        c->order.push_back(e.who);
        rondo::channel<int> door = doors[static_cast<std::size_t>(e.who)];
        --c->running;
        const int key = door.receive();
        check(++c->running == 1, "one at a time, after a wait too");
        --c->running;
        return key;
    }
    void on(leave l) { (void)doors[static_cast<std::size_t>(l.who)].try_send(l.who); }
    void on(fail) { throw std::runtime_error("the roof fell in"); }
    int on(ask_counts) const { return c->inside; }
};

struct change {};
struct name {};
struct twice {
    int n;
};

struct calculator {
    static constexpr bool reentrant = true;
    int on(int n) {
        rondo::sleep_for(1ms);
        return n + n;
    }
    int on(twice t) { return rondo::this_actor::ref<calculator>().ask(rondo::this_actor::ref<calculator>().ask(t.n)); }
};

struct sleeper {
    static constexpr bool reentrant = true;
    int* ended;
    int on(int n) {
        rondo::sleep_for(std::chrono::minutes(n));
        ++*ended;
        return n;
    }
};

struct impostor {
    static constexpr bool reentrant = true;
    void on(rondo::started) {
        rondo::this_actor::become([first = std::string("a long enough first name")](name) {
            rondo::sleep_for(1h);
            return first;
        });
    }
    void on(change) { rondo::this_actor::become([](name) { return std::string("second"); }); }
    std::string on(name) { return "none"; }
};

}  // namespace

TEST_CASE("while a handler of a reentrant actor waits others come in, in order, and one at a time", "[actor][reentrant]") {
    counts c;
    {
        rondo::testing::world world{{.workers = GENERATE(1u, 2u, 4u)}};
        auto h = rondo::start_on<hall>(world.in(), &c);
        std::vector<rondo::tasklet<int>> visitors;
        for (int i = 0; i < 5; ++i) {
            visitors.push_back(world.spawn([=] { return h.ask(enter{i}); }));
            world.settle();
        }
        CHECK(c.inside == 5);
        CHECK(c.order == std::vector<int>{0, 1, 2, 3, 4});
        CHECK(h.ask(ask_counts{}) == 5);
        for (int i : {3, 0, 4, 1, 2}) {
            h.tell(leave{i});
            world.settle();
            CHECK(visitors[static_cast<std::size_t>(i)].done());
            CHECK(visitors[static_cast<std::size_t>(i)].join() == i);
        }
        CHECK(c.inside == 0);
        CHECK(c.left == 5);
    }
}

TEST_CASE("a reentrant actor may ask itself, and one that is not is told so", "[actor][reentrant]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] { CHECK(rondo::start<calculator>().ask(twice{5}) == 20); });
}

TEST_CASE("stop lets the handlers under way come to their ends, and takes no more messages", "[actor][reentrant]") {
    counts c;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto h = rondo::start_on<hall>(world.in(), &c);
    auto a = world.spawn([=] { return h.ask(enter{0}); });
    auto b = world.spawn([=] { return h.ask(enter{1}); });
    world.settle();
    std::vector<rondo::channel<int>> doors;
    h.stop();
    world.settle();
    CHECK_FALSE(h.has_ended());
    auto late = world.spawn([=] { return h.ask(enter{2}); });
    world.settle();
    CHECK(c.inside == 2);
    CHECK_FALSE(late.done());
    h.kill();                                             // it has waited long enough
    world.settle();
    CHECK(h.has_ended());
    CHECK(c.inside == 0);
    CHECK_THROWS_AS(a.join(), rondo::actor_ended);
    CHECK_THROWS_AS(b.join(), rondo::actor_ended);
    CHECK_THROWS_AS(late.join(), rondo::actor_ended);
    CHECK(h.join().kind == rondo::exit_kind::killed);
}

TEST_CASE("stop, and all go by themselves: stopped, with their answers", "[actor][reentrant]") {
    int ended = 0;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto s = rondo::start_on<sleeper>(world.in(), &ended);
    std::vector<rondo::tasklet<int>> all;
    for (int n = 1; n <= 4; ++n) all.push_back(world.spawn([=] { return s.ask(n); }));
    world.settle();
    s.stop();
    world.advance(3min);
    CHECK(ended == 3);
    CHECK_FALSE(s.has_ended());
    world.advance(1min);
    CHECK(s.join().kind == rondo::exit_kind::stopped);
    for (int n = 1; n <= 4; ++n) CHECK(all[static_cast<std::size_t>(n - 1)].join() == n);
}

TEST_CASE("a crash of one handler ends the waits of the others, and is the reason", "[actor][reentrant]") {
    counts c;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto h = rondo::start_on<hall>(world.in(), &c);
    auto a = world.spawn([=] { return h.ask(enter{0}); });
    auto b = world.spawn([=] { return h.ask(enter{1}); });
    world.settle();
    auto failing = world.spawn([=] { h.ask(fail{}); });
    world.settle();
    CHECK(end_of([&] { failing.join(); }) == "the roof fell in");
    CHECK(end_of([&] { a.join(); }).find("the roof fell in") != std::string::npos);
    CHECK_THROWS_AS(b.join(), rondo::actor_ended);
    CHECK(h.join().text() == "crashed: the roof fell in");
    CHECK(c.inside == 0);
    CHECK(c.left == 2);                                   // both were unwound, and the object went after them
}

TEST_CASE("a supervised reentrant actor is made anew once its handlers are through", "[actor][reentrant]") {
    counts c, d;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto strategy = GENERATE(rondo::restart::one_for_one, rondo::restart::one_for_all);
    auto boss = world.run([&] {
        return rondo::supervise({.strategy = strategy, .max_restarts = 10},
                                rondo::child<hall>(rondo::child_options{.name = "a", .shutdown = 1s}, &c),
                                rondo::child<hall>(rondo::child_options{.name = "b", .shutdown = 1s}, &d));
    });
    auto a = world.run([&] { return boss.ref<hall>("a"); });
    auto b = world.run([&] { return boss.ref<hall>("b"); });
    auto first = world.spawn([=] { return a.ask(enter{0}); });
    auto second = world.spawn([=] { return b.ask(enter{1}); });
    world.settle();
    rondo::testing::crash(a, std::runtime_error("by order"));
    world.advance(2s);                                    // b is given its second, and then killed
    CHECK_THROWS_AS(first.join(), rondo::actor_ended);
    const bool all = strategy == rondo::restart::one_for_all;
    CHECK(second.done() == all);
    CHECK(c.made == 2);
    CHECK(d.made == (all ? 2 : 1));
    auto again = world.spawn([=] { return a.ask(enter{2}); });
    world.settle();
    a.tell(leave{2});
    world.settle();
    CHECK(again.join() == 2);
    b.tell(leave{1});
    world.settle();
    if (all) CHECK_THROWS_AS(second.join(), rondo::actor_ended);
    else CHECK(second.join() == 1);
    boss.stop();
    world.settle();
    CHECK(c.left == 2);
    CHECK(d.left == 1);
}

// It opens up slowly, and who comes in meanwhile takes his time as well.
struct shop {
    static constexpr bool reentrant = true;
    std::vector<std::string>* log;
    rondo::channel<int> key, till;
    ~shop() { log->push_back("gone"); }
    void on(rondo::started) {
        key.receive();
        rondo::yield();                                   // lets no others in, but they may come to the end of their waits
        log->push_back("open");
    }
    int on(enter e) {
        till.receive();
        log->push_back("served");
        return e.who;
    }
};

TEST_CASE("a handler of what the library tells, too, leaves those who came in meanwhile their turn", "[actor][reentrant]") {
    std::vector<std::string> log;
    const rondo::channel<int> key{1}, till{1};
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto s = rondo::start_on<shop>(world.in(), &log, key, till);
    world.settle();
    auto visit = world.spawn([=] { return s.ask(enter{7}); });
    world.settle();
    SECTION("when both go on at once") {
        world.run([=] {
            key.send(0);
            till.send(0);
        });
    }
    SECTION("when it is told to stop meanwhile") {
        s.stop();
        key.send(0);
        world.settle();
        CHECK(log == std::vector<std::string>{"open"});
        CHECK_FALSE(s.has_ended());
        till.send(0);
    }
    world.settle();
    CHECK(visit.join() == 7);
    s.stop();
    world.settle();
    CHECK(s.has_ended());
    REQUIRE(log.size() == 3);
    std::sort(log.begin(), log.begin() + 2);
    CHECK(log == std::vector<std::string>{"open", "served", "gone"});
}

TEST_CASE("become while a handler of the old behaviour waits", "[actor][reentrant]") {
    rondo::testing::world world;
    auto a = rondo::start_on<impostor>(world.in());
    auto first = world.spawn([=] { return a.ask(name{}); });
    world.settle();
    a.tell(change{});
    auto second = world.spawn([=] { return a.ask(name{}); });
    world.settle();
    CHECK(second.join() == "second");
    world.advance(1h);
    CHECK(first.join() == "a long enough first name");
}

TEST_CASE("reentrant actors in every schedule: one at a time, all unwound before the object goes", "[actor][reentrant][explore]") {
    const auto report = rondo::testing::explore({.seeds = 3000}, [] {
        counts c;
        {
            rondo::supervisor boss;
            rondo::actor_ref<hall> h;
            const bool supervised = rondo::testing::random() % 2;
            if (supervised) {
                boss = rondo::supervise({.max_restarts = 1000},
                                        rondo::child<hall>(rondo::child_options{.name = "h", .when = rondo::restart_when::ended}, &c));
                h = boss.ref<hall>("h");
            } else {
                h = rondo::start<hall>(&c);
            }
            rondo::scope([&](rondo::group& g) {
                for (int who = 0; who < 4; ++who)
                    g.spawn([h, who] {
                        try {
                            check(h.ask(enter{who}) == who, "his own key");
                        } catch (const rondo::error&) {}
                    });
                g.spawn([h] {
                    for (int n = static_cast<int>(rondo::testing::random() % 4); n > 0; --n)
                        switch (rondo::testing::random() % 4) {
                            case 0: h.kill(); break;
                            case 1: h.stop(); break;
                            case 2:
                                try {
                                    h.ask(fail{});
                                } catch (const std::exception&) {}
                                break;
                            default: h.tell(leave{static_cast<int>(rondo::testing::random() % 4)});
                        }
                });
                g.spawn([h, &g] {                         // so that all get out in the end; stopped, it takes no leave
                    for (int round = 0; g.size() > 1; ++round) {
                        rondo::sleep_for(1s);
                        if (round > 20) h.kill();
                        for (int who = 0; who < 4 && !h.has_ended(); ++who) (void)h.try_tell(leave{who});
                    }
                });
            });
            if (supervised) {
                boss.stop();
                boss.join();
            } else {
                h.stop();
            }
            h.join();
        }
        check(c.inside == 0, "all have left");
        check(c.left < 1000, "nobody was inside when the object went");
        check(rondo::live_actors() == 0, "none is left");
    });
    CHECK(report.ok());
}

namespace {

struct open_door {
    std::size_t door;
};
struct page {
    std::string s;
};
struct desk {
    static constexpr bool reentrant = true;
    std::vector<std::string>* log;
    std::vector<rondo::channel<int>> doors = std::vector<rondo::channel<int>>(2);
    explicit desk(std::vector<std::string>* to) : log(to) {}
    void on(rondo::started) {
        rondo::this_actor::become([this](page) {
            doors[0].receive();
            log->push_back("page: " + end_of([] { rondo::this_actor::stash(); }));
        });
    }
    void on(const page&) {}
    void on(const std::string&) {
        doors[1].receive();
        log->push_back("string: " + end_of([] { rondo::this_actor::stash(); }));
    }
    void on(const open_door& o) { (void)doors[o.door].try_send(0); }
    void on(int n, rondo::reply<int> r) {
        log->push_back("owed: " + end_of([] { rondo::this_actor::stash(); }));
        r.send(n);
    }
};

}  // namespace

namespace {

struct parcel {
    int n;
    std::shared_ptr<int> life;
};
struct counter {
    static constexpr bool reentrant = true;
    std::vector<int>* seen;
    rondo::channel<int> door;
    bool is_open = false;
    counter(std::vector<int>* s, rondo::channel<int> d) : seen(s), door(std::move(d)) {}
    void on(const parcel& p) {
        if (is_open) return seen->push_back(p.n);
        const std::weak_ptr<int> is_there = p.life;
        rondo::this_actor::stash();
        if (p.n % 2 != 0) return;
        door.receive();
        seen->push_back(is_there.expired() ? -1 : 10 * p.n);
    }
    void on(open_door) {
        is_open = true;
        rondo::this_actor::unstash();
    }
};

}  // namespace

TEST_CASE("what one handler puts back is not handled while another one still has it in hand", "[actor][reentrant][stash]") {
    std::vector<int> seen;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> door;
    auto c = rondo::start_on<counter>(world.in(), &seen, door);
    for (int i = 1; i < 6; ++i) c.tell(parcel{i, std::make_shared<int>()});
    world.settle();
    c.tell(open_door{});
    world.settle();
    CHECK(seen == std::vector{1, 3, 5});
    world.run([door] { door.send(0); });
    world.settle();
    CHECK(seen == std::vector{1, 3, 5, 20, 2});
    world.run([door] { door.send(0); });
    world.settle();
    CHECK(seen == std::vector{1, 3, 5, 20, 2, 40, 4});
}

TEST_CASE("a reentrant actor knows of each handler whether it has its message whole", "[actor][reentrant][stash]") {
    std::vector<std::string> log;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto d = rondo::start_on<desk>(world.in(), &log);
    d.tell(page{"by value"});
    world.settle();
    d.tell(std::string("by reference"));
    world.settle();
    d.tell(open_door{0});
    world.settle();
    d.tell(open_door{1});
    world.settle();
    CHECK(world.run([&] { return d.ask(5); }) == 5);
    CHECK(log == std::vector<std::string>{"page: usage_error", "string: returned", "owed: usage_error"});
}
