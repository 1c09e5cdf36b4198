// The seams of an actor's life: restarts and what waits over them, orders that come in between, other people's ends.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>
#include <rondo/testing.hpp>

#include "support/helpers.hpp"
#include "support/memory.hpp"
#include "support/sanitized.hpp"

using namespace std::chrono_literals;
using support::end_of;

namespace {

template <class F>
auto time_of(F&& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::steady_clock::now() - begin;
}

struct work {
    int n;
};
struct boom {};
struct diarist {
    std::string* diary;
    void on(rondo::started) { *diary += "S"; }
    void on(work w) { *diary += std::to_string(w.n); }
    void on(boom) {
        *diary += "X";
        throw std::runtime_error("boom");
    }
};

struct patient {
    rondo::channel<int> gate;
    void on(work) { gate.receive(); }
    void on(boom) { throw std::runtime_error("boom"); }
    int on(std::string s) { return static_cast<int>(s.size()); }
};

}  // namespace

TEST_CASE("on(started) comes before what has waited over a restart", "[actor][supervisor]") {
    std::string diary;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto backoff = GENERATE(0ms, 50ms);
    auto boss = world.run([&] {
        auto s = rondo::supervise({.backoff = backoff}, rondo::child<diarist>("d", &diary));
        auto d = s.ref<diarist>("d");
        d.tell(work{1});
        d.tell(boom{});
        d.tell(work{2});
        d.tell(work{3});
        return s;
    });
    world.advance(1s);
    CHECK(diary == "S1XS23");
}

TEST_CASE("who is restarted without its messages does not get those of the meantime either", "[actor][supervisor]") {
    std::string diary;
    std::vector<std::string> lost;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::observe_dead_letters(world.in(),
                                [&](const rondo::dead_letter& d) { lost.push_back(rondo::to_string(d.why)); });
    auto boss = world.run([&] {
        const rondo::child_options forgets{.name = "d", .keep_messages = false};
        return rondo::supervise({.backoff = 1s}, rondo::child<diarist>(forgets, &diary));
    });
    auto d = world.run([&] { return boss.ref<diarist>("d"); });
    d.tell(work{1});
    d.tell(boom{});
    world.settle();                                       // it is down
    d.tell(work{2});
    auto asker = world.spawn([d] { d.ask(work{3}); });
    world.advance(10s);
    d.tell(work{4});
    world.settle();
    CHECK(diary == "S1XS4");
    CHECK(end_of([&] { asker.join(); }).find("cannot answer: it has ended (crashed: boom)") != std::string::npos);
    CHECK(lost == std::vector<std::string>(2, "the actor was restarted without its messages"));
    CHECK(rondo::dead_letters(world.in()).restarted == 2);
}

namespace {

struct look {
    rondo::actor_ref<patient> at;
};
struct look_away {
    rondo::actor_ref<patient> at;
};
struct sentry {
    std::vector<std::string>* seen;
    void on(const look& l) { rondo::watch(l.at); }
    void on(const look_away& l) { rondo::unwatch(l.at); }
    void on(const rondo::down& d) { seen->push_back(d.name); }
    void on(boom) { throw std::runtime_error("boom"); }
};

}  // namespace

TEST_CASE("a watch ends with the life that asked for it", "[actor][supervisor]") {
    std::vector<std::string> seen;
    rondo::channel<int> gate;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto boss = world.run([&] { return rondo::supervise({.backoff = 1s}, rondo::child<sentry>("s", &seen)); });
    auto s = world.run([&] { return boss.ref<sentry>("s"); });
    auto a = rondo::start_on<patient>(world.in(), rondo::actor_options{.name = "a"}, gate);
    auto b = rondo::start_on<patient>(world.in(), rondo::actor_options{.name = "b"}, gate);
    s.tell(look{a});
    s.tell(look{b});
    s.tell(boom{});
    world.settle();
    const auto when = GENERATE(0, 1, 2);
    CAPTURE(when);
    if (when == 0) a.stop();                              // between two lives
    world.advance(10s);
    if (when != 0) a.stop();
    if (when == 2) s.tell(look{a});                       // the new life asks for itself
    s.tell(look{b});
    world.settle();
    CHECK(seen == (when == 2 ? std::vector<std::string>{"a"} : std::vector<std::string>{}));
    b.stop();
    world.settle();
    CHECK(std::count(seen.begin(), seen.end(), "b") == 1);
}

TEST_CASE("after unwatch no down arrives, not even one that was on its way", "[actor]") {
    std::vector<std::string> seen;
    rondo::channel<int> gate;
    rondo::testing::world world;
    auto s = rondo::start_on<sentry>(world.in(), &seen);
    auto a = rondo::start_on<patient>(world.in(), rondo::actor_options{.name = "a"}, gate);
    s.tell(look{a});
    s.tell(look{a});
    s.tell(look_away{a});
    world.settle();
    a.stop();
    world.settle();
    CHECK(seen == std::vector<std::string>{"a"});
    s.tell(look{a});
    s.tell(look_away{a});
    s.tell(look_away{a});
    world.settle();
    CHECK(seen.size() == 2);                              // it has ended: that down came before the unwatch
}

TEST_CASE("neither watchers nor watched that have ended stay in memory", "[actor]") {
    struct passer_by {
        rondo::actor_ref<patient> at;
        void on(rondo::started) { rondo::watch(at); }
        void on(const rondo::down&) {}
    };
    struct doorman {
        int downs = 0;
        void on(const look& l) { rondo::watch(l.at); }
        void on(const rondo::down&) { ++downs; }
        int on(std::string) const { return downs; }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        const rondo::channel<int> gate;
        auto old = rondo::start<patient>(gate);
        auto door = rondo::start<doorman>();
        constexpr int many = 20'000;
        std::size_t before = 0;
        for (int i = 0; i < many; ++i) {
            if (i == many / 10) before = support::resident_bytes();
            auto p = rondo::start<passer_by>(old);
            auto q = rondo::start<patient>(gate);
            door.ask(look{q});
            p.stop();
            q.stop();
            p.join();
            q.join();
        }
        while (door.ask(std::string()) != many) rondo::yield();           // the last comes a moment after join()
        if (!support::sanitized) CHECK(support::resident_bytes() < before + many * 100);
    });
}

TEST_CASE("who is killed between two lives lives again, who is stopped does not", "[actor][supervisor]") {
    rondo::testing::world world;
    rondo::channel<int> gate;
    const bool is_stopped = GENERATE(false, true);
    auto boss = world.run([&] { return rondo::supervise({.backoff = 50ms}, rondo::child<patient>("p", gate)); });
    auto p = world.run([&] { return boss.ref<patient>("p"); });
    p.tell(boom{});
    world.advance(10ms);
    if (is_stopped) p.stop();
    else p.kill();
    world.advance(1s);
    CHECK(p.has_ended() == is_stopped);
    CHECK(world.run([&] { return boss.children().size(); }) == (is_stopped ? 0 : 1));
    if (!is_stopped) CHECK(world.run([&] { return p.ask(std::string("four")); }) == 4);
}

TEST_CASE("a supervisor that is told to end while it backs off does not wait for that", "[actor][supervisor]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> gate;
    rondo::actor_ref<patient> p;
    const auto slow = rondo::supervise_options{.backoff = 1h, .longest_backoff = 1h, .name = "slow"};
    SECTION("by stop()") {
        auto boss = world.run([&] { return rondo::supervise(slow, rondo::child<patient>("p", gate)); });
        p = world.run([&] { return boss.ref<patient>("p"); });
        p.tell(boom{});
        world.settle();
        boss.stop();
        world.settle();
        REQUIRE(boss.has_ended());
        CHECK(world.run([&] { return boss.join().kind; }) == rondo::exit_kind::stopped);
        CHECK(world.run([&] { return p.join().kind; }) == rondo::exit_kind::shutdown);
    }
    SECTION("by its last handle, which goes") {
        auto boss = world.run([&] { return rondo::supervise(slow, rondo::child<patient>("p", gate)); });
        p = world.run([&] { return boss.ref<patient>("p"); });
        p.tell(boom{});
        world.settle();
        boss = {};
        world.settle();
        REQUIRE(p.has_ended());
        CHECK(rondo::live_actors(world.in()) == 0);
    }
    struct registered : patient {
        void on(rondo::started) { rondo::registry().add("p", rondo::this_actor::ref<registered>()); }
        using patient::on;
    };
    const auto find = [&] { return *rondo::registry(world.in()).find<registered>("p"); };
    SECTION("by its own supervisor, which ends") {
        auto top = world.run([&] {
            return rondo::supervise({}, rondo::subtree(slow, rondo::child<registered>("p", patient{gate})));
        });
        find().tell(boom{});
        world.settle();
        top.stop();
        world.settle();
        CHECK(top.has_ended());
        CHECK(rondo::live_actors(world.in()) == 0);
    }
    SECTION("by its own supervisor, which takes it down with others and makes it anew") {
        auto top = world.run([&] {
            return rondo::supervise({.strategy = rondo::restart::one_for_all},
                                    rondo::subtree(slow, rondo::child<registered>("p", patient{gate})),
                                    rondo::child<patient>("q", gate));
        });
        const auto before = find();
        before.tell(boom{});
        world.settle();
        world.run([&] { top.ref<patient>("q").tell(boom{}); });
        world.settle();
        CHECK(before.has_ended());
        CHECK(world.run([&] { return find().ask(std::string("four")); }) == 4);
        CHECK(world.run([&] { return top.children().at(0).restarts; }) == 1);
    }
}

TEST_CASE("a subtree that is to be restarted when it is stopped is so in its back-off, too", "[actor][supervisor]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    struct named : patient {
        void on(rondo::started) { rondo::registry().add("p", rondo::this_actor::ref<named>()); }
        using patient::on;
    };
    const bool in_backoff = GENERATE(false, true);
    rondo::detail::any_actor inner;
    auto spec = rondo::subtree({.backoff = 1h, .longest_backoff = 1h, .name = "sub"},
                               rondo::child<named>("p", patient{rondo::channel<int>()}));
    spec.options.when = rondo::restart_when::ended;
    spec.start = [&, start = spec.start](auto& in, auto under, const auto& o) {
        return inner = start(in, std::move(under), o);
    };
    auto top = world.run([&] { return rondo::supervise({}, std::move(spec)); });
    if (in_backoff) (*rondo::registry(world.in()).find<named>("p")).tell(boom{});
    world.settle();
    inner.stop();
    world.settle();
    const auto all = world.run([&] { return top.children(); });
    REQUIRE(all.size() == 1);
    CHECK(all[0].restarts == 1);
    top.stop();
    inner = {};
}

TEST_CASE("neither run nor shutdown waits for a supervisor that backs off", "[actor][supervisor]") {
    const auto slow = rondo::supervise_options{.backoff = 10s, .longest_backoff = 10s};
    const auto workers = GENERATE(1u, 2u);
    rondo::supervisor boss;
    const auto begin = [&] {
        boss = rondo::supervise(slow, rondo::child<patient>("p", rondo::channel<int>()));
        boss.ref<patient>("p").tell(boom{});
    };
    CHECK(time_of([&] { rondo::run({.workers = workers}, begin); }) < 5s);
    CHECK(boss.has_ended());
    CHECK(time_of([&] {
              rondo::runtime rt{{.workers = workers}};
              rt.spawn(begin).join();
              rt.run_until_idle();                        // nobody does anything but back off
              CHECK(rt.shutdown(5s).empty());
          }) < 4s);
    CHECK(boss.has_ended());
}

TEST_CASE("whoever is owed an answer by an actor that ends is told so, and why", "[actor][reply]") {
    struct question {
        int where;
    };
    struct debt {
        rondo::reply<int> owed;
    };
    struct pledge {
        rondo::reply<int> owed;
    };
    struct debtor {
        std::vector<rondo::reply<int>> kept;
        void on(question q, rondo::reply<int> r) {
            if (q.where == 0) kept.push_back(std::move(r));
            if (q.where == 1) rondo::this_actor::after(1h, debt{std::move(r)});
            if (q.where == 2) rondo::this_actor::ref<debtor>().tell(debt{std::move(r)});
            if (q.where == 3) rondo::this_actor::ref<debtor>().tell(pledge{std::move(r)});
            if (q.where == 4)
                rondo::this_actor::become([r = std::make_shared<rondo::reply<int>>(std::move(r))](std::string) {});
        }
        void on(debt) { rondo::channel<int>().receive(); }
        void on(const pledge&) { rondo::channel<int>().receive(); }
        void on(boom) { throw std::runtime_error("boom"); }
        void on(std::string) {}
    };
    const auto where = GENERATE(0, 1, 2, 3, 4);
    const auto how = GENERATE(0, 1, 2, 3);
    CAPTURE(where, how);
    if ((where == 2 || where == 3) && how % 2 == 0) return;           // it stands in a handler: only a kill ends that
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::supervisor boss;
    rondo::actor_ref<debtor> d;
    if (how < 2) {
        d = rondo::start_on<debtor>(world.in(), rondo::actor_options{.name = "d"});
    } else {
        boss = world.run([] { return rondo::supervise({}, rondo::child<debtor>("d")); });
        d = world.run([&] { return boss.ref<debtor>("d"); });
    }
    auto first = world.spawn([&] { d.ask(question{where}); });
    world.settle();
    auto second = world.spawn([&] { d.ask(question{where}); });
    world.settle();
    switch (how) {
        case 0: d.stop(); break;
        case 1: d.kill(); break;
        case 2: d.tell(boom{}); break;
        default:
            d.kill();
            world.settle();                               // the next life has got what waited
            d.kill();
    }
    world.settle();
    const auto why = how == 0 ? "stopped" : how == 2 ? "crashed: boom" : "killed";
    for (auto* asker : {&first, &second}) {
        if (where == 4 && asker == &first) {              // the second become() replaced it, and the actor went on
            CHECK_THROWS_AS(asker->join(), rondo::no_answer);
            continue;
        }
        const auto said = end_of([&] { asker->join(); });
        CHECK(said.find("\"d\"") != std::string::npos);
        CHECK(said.find(std::string("cannot answer: it has ended (") + why + ")") != std::string::npos);
    }
}

TEST_CASE("whoever is owed an answer by a handler that fails hears what it failed of", "[actor][reply]") {
    struct question {
        int how;
    };
    struct debt {
        rondo::reply<int> owed;
        int how;
    };
    struct collect {
        bool fails;
    };
    struct debtor {
        std::vector<rondo::reply<int>> kept;
        void on(question q, rondo::reply<int> r) {
            if (q.how < 4) rondo::this_actor::ref<debtor>().tell(debt{std::move(r), q.how});
            else if (q.how == 4) kept.push_back(std::move(r));
            else                                          // the failure of the one ends the other before it has begun
                rondo::scope([&](rondo::group& g) {
                    g.spawn([] { throw std::runtime_error("boom"); });
                    g.spawn([r = std::move(r)]() mutable { r.send(1); });
                });
        }
        void on(debt d) {
            if (d.how == 0) throw std::runtime_error("boom");
            if (d.how == 1) {
                const debt mine = std::move(d);
                throw std::runtime_error("boom");
            }
            if (d.how == 2) throw rondo::refused("not today");
            try {
                const debt mine = std::move(d);
                throw std::runtime_error("boom");
            } catch (const std::runtime_error&) {}
        }
        bool on(collect c) {
            const auto mine = std::move(kept);
            if (c.fails) throw std::runtime_error("boom");
            return !mine.empty();
        }
    };
    const auto how = GENERATE(0, 1, 2, 3, 4, 5);
    const bool has_boss = GENERATE(false, true);
    CAPTURE(how, has_boss);
    rondo::testing::world world{{.workers = 1}};
    rondo::supervisor boss;
    rondo::actor_ref<debtor> d;
    if (has_boss) {
        boss = world.run([] { return rondo::supervise({}, rondo::child<debtor>("d")); });
        d = world.run([&] { return boss.ref<debtor>("d"); });
    } else {
        d = rondo::start_on<debtor>(world.in(), rondo::actor_options{.name = "d"});
    }
    auto end = world.spawn([d] { return d.join(); });     // else an unseen crash would come out of the world
    auto asker = world.spawn([=] { return d.ask(question{how}); });
    const auto settle = [&] {
        try {
            world.settle();
        } catch (const std::runtime_error&) {}            // the crash, of which nobody else was told
    };
    settle();
    if (how == 4) {
        auto other = world.spawn([=] { return d.ask(collect{true}); });
        settle();
        CHECK(end_of([&] { other.join(); }) == "boom");
    }
    const auto said = end_of([&] { asker.join(); });
    if (how == 2 || how == 3) CHECK(said == rondo::no_answer().what());
    else if (how == 5) CHECK(said == "boom");
    else CHECK(said.find("debtor) cannot answer: it has ended (crashed: boom)") != std::string::npos);
    if (has_boss || how == 2 || how == 3) d.kill();
    boss = {};
    d = {};
    settle();
    (void)end.join();
}

namespace {

struct loses_question {
    bool passes_on;
};
struct lost_debt {
    rondo::reply<int> owed;
};
struct loser {
    rondo::event* told;
    static void lose(rondo::reply<int> r) {
        try {
            const auto mine = std::move(r);
            throw 1;
        } catch (int) {}
    }
    void on(loses_question q, rondo::reply<int> r) {
        if (q.passes_on) return rondo::this_actor::ref<loser>().tell(lost_debt{std::move(r)});
        lose(std::move(r));
        told->wait();
    }
    void on(lost_debt d) {
        lose(std::move(d.owed));
        told->wait();
    }
};
struct reentrant_loser : loser {
    static constexpr bool reentrant = true;
    using loser::on;
    void on(loses_question q, rondo::reply<int> r) {
        if (q.passes_on) return rondo::this_actor::ref<reentrant_loser>().tell(lost_debt{std::move(r)});
        lose(std::move(r));
        told->wait();
    }
};

}  // namespace

// It may wait for the one that it owes the answer to.
TEST_CASE("a handler that loses an answer, stays and waits has its asker told first", "[actor][reply]") {
    const bool passes_on = GENERATE(false, true), is_reentrant = GENERATE(false, true);
    CAPTURE(passes_on, is_reentrant);
    rondo::testing::world world{{.workers = 1}};
    world.run([&] {
        rondo::event told;
        const auto ask = [&](const auto& d) {
            for (int round = 0; round < 2; ++round) {
                CHECK_THROWS_AS(d.ask(loses_question{passes_on}), rondo::no_answer);
                told.set();
                rondo::yield();
            }
            d.stop();
            d.join();
        };
        if (is_reentrant) ask(rondo::start<reentrant_loser>(reentrant_loser{{&told}}));
        else ask(rondo::start<loser>(loser{&told}));
    });
}

TEST_CASE("an answer that was handed to somebody who is killed before his turn is owed by that one", "[actor][reply]") {
    struct question {};
    struct debt {
        rondo::reply<int> owed;
    };
    struct broker {
        rondo::channel<int> gate;
        void on(debt d) { d.owed.send(gate.receive()); }
    };
    struct clerk {
        rondo::actor_ref<broker> to;
        void on(question, rondo::reply<int> r) { to.tell(debt{std::move(r)}); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> gate;
    auto b = rondo::start_on<broker>(world.in(), gate);   // without a name: nothing but its kind of end is kept
    auto c = rondo::start_on<clerk>(world.in(), b);
    auto in_hand = world.spawn([&] { return c.ask(question{}); });
    world.settle();
    auto waiting = world.spawn([&] { return c.ask(question{}); });
    world.settle();
    b.kill();
    world.settle();
    CHECK(end_of([&] { in_hand.join(); }).find("broker) cannot answer: it has ended (killed)") != std::string::npos);
    CHECK(end_of([&] { waiting.join(); }).find("broker) cannot answer: it has ended (killed)") != std::string::npos);
}

TEST_CASE("many kills close together lose no child", "[actor][supervisor]") {
    rondo::run({.workers = 2}, [] {
        rondo::channel<int> gate;
        auto boss = rondo::supervise({.max_restarts = 1'000'000}, rondo::child<patient>("p", gate));
        auto p = boss.ref<patient>("p");
        for (int i = 0; i < 500; ++i) {
            for (int k = 0; k < 3; ++k) {
                p.kill();
                if (i % 2) rondo::yield();
            }
            while (boss.children().size() != 1) rondo::yield();
            CHECK(p.ask(std::string("abc")) == 3);
        }
    });
}

TEST_CASE("who was told to stop ends, though its last message fails", "[actor][supervisor]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        struct mortal {
            rondo::channel<int> gate;
            void on(work) {
                gate.receive();
                throw std::runtime_error("after all");
            }
        };
        rondo::channel<int> gate;
        auto boss = rondo::supervise({}, rondo::child<mortal>("m", gate));
        auto m = boss.ref<mortal>("m");
        m.tell(work{1});
        while (gate.balance() == 0) rondo::yield();
        m.stop();
        gate.send(1);
        const auto why = m.join_for(10s);
        REQUIRE(why);
        CHECK(why->kind == rondo::exit_kind::crashed);
    });
}

TEST_CASE("what a period brings to a full mailbox is a dead letter", "[actor][timers][dead letters]") {
    struct clock {
        rondo::channel<int> gate;
        int ticks = 0;
        void on(rondo::started) { rondo::this_actor::every(1ms, work{1}); }
        void on(work) { ++ticks; }
        void on(boom) { gate.receive(); }
        int on(int) const { return ticks; }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> gate;
    auto c = rondo::start_on<clock>(world.in(), rondo::actor_options{.mailbox_slots = 2}, gate);
    c.tell(boom{});
    world.settle();
    for (int i = 0; i < 10; ++i) world.advance(1ms);
    world.run([gate] { gate.send(0); });
    CHECK(world.run([c] { return c.ask(0); }) == 2);
    CHECK(rondo::dead_letters(world.in()).dropped_newest == 8);
    c.stop();
    world.settle();
}

TEST_CASE("a period shorter than a round leaves room for others", "[actor][timers]") {
    struct ticker {
        struct tick {};
        std::atomic<long>* ticks;
        void on(tick) { ++*ticks; }
        void on(work) { rondo::this_actor::every(1ns, tick{}); }
    };
    std::atomic<long> ticks{0};
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        std::vector<rondo::actor_ref<ticker>> all;
        for (int i = 0; i < 4; ++i) {
            all.push_back(rondo::start<ticker>(rondo::actor_options{}, &ticks));
            all.back().tell(work{0});
        }
        while (ticks < 100) rondo::yield();
        for (auto& t : all) t.stop();
    });
    CHECK(ticks >= 100);
}

TEST_CASE("an observer of dead letters may tell the dead", "[actor][dead letters]") {
    struct logger {
        void on(std::string) {}
    };
    int seen = 0;
    rondo::run({.workers = 1}, [&] {
        auto log = rondo::start<logger>();
        log.stop();
        log.join();
        rondo::observe_dead_letters([&, log](const rondo::dead_letter&) {
            ++seen;
            log.tell(std::string("a letter was lost"));
        });
        log.tell(std::string("hello"));
        log.tell(std::string("again"));
        rondo::observe_dead_letters({});
        CHECK(rondo::dead_letters().ended == 4);
    });
    CHECK(seen == 2);
}

TEST_CASE("a restart limit may hold for ever", "[actor][supervisor]") {
    rondo::run({.workers = 1}, [] {
        rondo::channel<int> gate;
        auto boss = rondo::supervise({.max_restarts = 3, .within = std::chrono::steady_clock::duration::max()},
                                     rondo::child<patient>("p", gate));
        auto p = boss.ref<patient>("p");
        for (int i = 0; i < 3; ++i) {
            p.tell(boom{});
            CHECK(p.ask(std::string("a")) == 1);
        }
        CHECK(boss.children().at(0).restarts == 3);
    });
}

TEST_CASE("a pool passes over members that have ended", "[actor][pool]") {
    rondo::run({.workers = 1}, [] {
        rondo::channel<int> gate;
        const rondo::pool<patient> team(3, GENERATE(rondo::routing::round_robin, rondo::routing::least_loaded), gate);
        team.members()[1].stop();
        team.members()[1].join();
        for (int i = 0; i < 12; ++i) CHECK(team.ask(std::string("ab")) == 2);
        CHECK(rondo::dead_letters().ended == 0);
    });
}

TEST_CASE("somebody else's stop that reaches a handler is a failure like any other", "[actor][supervisor]") {
    struct joiner {
        int lives = 0;
        void on(work) {
            rondo::channel<int> never;
            auto t = rondo::spawn([never] { never.receive(); });
            rondo::yield();
            t.stop();
            t.join();
        }
        int on(std::string) { return ++lives; }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto boss = rondo::supervise({}, rondo::child<joiner>("j"));
        auto j = boss.ref<joiner>("j");
        CHECK(j.ask(std::string()) == 1);
        j.tell(work{0});
        CHECK(j.ask(std::string()) == 1);                 // the next life
        CHECK(boss.children().at(0).restarts == 1);
    });
}

TEST_CASE("a name needs an actor", "[actor][registry]") {
    rondo::run({.workers = 1}, [] {
        CHECK(end_of([] { rondo::registry().add("nobody", rondo::actor_ref<patient>()); }) == "usage_error");
        CHECK_FALSE(rondo::registry().find<patient>("nobody"));
    });
}
