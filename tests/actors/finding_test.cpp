// Registry, topics, pools.
#include <atomic>
#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

namespace {

struct note {
    int n;
};
struct seen {};
struct who {};
struct fail {};
struct listener {
    std::vector<int> notes;
    void on(note m) { notes.push_back(m.n); }
    std::vector<int> on(seen) const { return notes; }
    std::uint64_t on(who) const { return rondo::this_actor::id(); }
    void on(fail) { throw std::runtime_error("failed"); }
};
struct other {
    void on(note) {}
};

}  // namespace

TEST_CASE("a name and a class name one living actor", "[registry]") {
    rondo::run({.workers = 2}, [] {
        auto names = rondo::registry();
        auto a = rondo::start<listener>();
        CHECK_FALSE(names.find<listener>("a"));
        CHECK(names.add("a", a));
        CHECK(names.add("a", a));
        CHECK_FALSE(names.add("a", rondo::start<listener>()));
        CHECK(names.add("a", rondo::start<other>()));     // another class
        CHECK(*names.find<listener>("a") == a);
        a.stop();
        a.join();
        CHECK_FALSE(names.find<listener>("a"));
        auto b = rondo::start<listener>();
        CHECK(names.add("a", b));
        b = {};                                           // the registry keeps it
        CHECK(names.find<listener>("a")->ask(seen{}).empty());
        CHECK(names.remove<listener>("a"));
        CHECK_FALSE(names.remove<listener>("a"));
    });
    CHECK_THROWS_AS(rondo::registry(), rondo::usage_error);
}

TEST_CASE("one that has ended gets no name, and takes none from the living", "[registry]") {
    rondo::runtime elsewhere{{.workers = 1}};
    auto foreign = rondo::start_on<listener>(elsewhere);
    foreign.stop();
    foreign.join();
    rondo::run([&] {
        auto names = rondo::registry();
        auto dead = rondo::start<listener>(), alive = rondo::start<listener>();
        dead.stop();
        dead.join();
        CHECK_FALSE(names.add("n", dead));
        CHECK_FALSE(names.add("n", foreign));
        CHECK(names.size() == 0);
        CHECK_FALSE(names.find<listener>("n"));
        CHECK(names.add("n", alive));
        CHECK_FALSE(names.add("n", dead));
        CHECK(names.find<listener>("n") == alive);
    });
}

TEST_CASE("the registry keeps no names of those that have ended", "[registry]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto names = rondo::registry();
        auto stays = rondo::start<listener>();
        CHECK(names.add("stays", stays));
        for (int i = 0; i < 1000; ++i) {
            auto a = rondo::start<listener>();
            CHECK(names.add("a", a));
            CHECK(names.add("a " + std::to_string(i), a));
            if (i % 2) CHECK(names.remove<listener>("a"));
            a.stop();
            a.join();
            if (i % 3 == 0) CHECK_FALSE(names.add("too late", a));          // it has ended: nothing is kept
        }
        CHECK(names.size() == 1);
        CHECK(*names.find<listener>("stays") == stays);
    });
}

TEST_CASE("a subtree that gives up is restarted by the supervisor above", "[supervisor]") {
    struct named {
        void on(rondo::started) {
            if (!rondo::registry().add("leaf", rondo::this_actor::ref<named>())) {
                rondo::registry().remove<named>("leaf");
                rondo::registry().add("leaf", rondo::this_actor::ref<named>());
            }
        }
        void on(fail) { throw std::runtime_error("failed"); }
        std::uint64_t on(who) const { return rondo::this_actor::id(); }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto top = rondo::supervise({.name = "top"},
                                    rondo::subtree({.max_restarts = 1, .name = "sub"}, rondo::child<named>("leaf")));
        const auto leaf = [] {
            for (;;) {
                if (auto found = rondo::registry().find<named>("leaf")) return *found;
                rondo::yield();
            }
        };
        auto first = leaf();
        const auto id = first.ask(who{});
        first.tell(fail{});
        CHECK(first.ask(who{}) == id);                    // restarted in its place
        first.tell(fail{});                               // one too many: the subtree gives up and is made anew
        CHECK(first.join().kind == rondo::exit_kind::shutdown);
        CHECK(leaf().ask(who{}) != id);
        CHECK(top.children()[0].restarts == 1);
    });
}

TEST_CASE("a topic tells all who subscribed, in order, those that ended are forgotten", "[topic]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::topic<note> news;
        auto a = rondo::start<listener>(), b = rondo::start<listener>();
        auto c = rondo::start<other>();
        news.subscribe(a);
        news.subscribe(a);
        news.subscribe(b);
        news.subscribe(c);
        CHECK(news.publish(note{1}) == 3);
        news.unsubscribe(b);
        c.stop();
        c.join();
        CHECK(news.publish(note{2}) == 1);
        CHECK(news.size() == 1);
        CHECK(a.ask(seen{}) == std::vector<int>{1, 2});
        CHECK(b.ask(seen{}) == std::vector<int>{1});
    });
}

TEST_CASE("publish does not count who ends while it waits for room, nor who drops the message", "[topic]") {
    struct stuck {
        rondo::channel<int> key;
        void on(note) { key.receive(); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const rondo::channel<int> key;
    rondo::topic<note> news;
    std::vector<rondo::actor_ref<stuck>> all;
    for (const auto policy : {rondo::when_full::wait, rondo::when_full::drop_newest, rondo::when_full::drop_oldest}) {
        const rondo::actor_options inbox{.mailbox_slots = 1, .full = policy};
        all.push_back(rondo::start_on<stuck>(world.in(), inbox, key));
        news.subscribe(all.back());
    }
    CHECK(world.run([&] { return news.publish(note{0}); }) == 3);
    CHECK(world.run([&] { return news.publish(note{1}); }) == 3);        // all mailboxes are full now
    auto third = world.spawn([&] { return news.publish(note{2}); });
    world.settle();
    CHECK_FALSE(third.done());
    all[0].kill();
    world.settle();
    CHECK(third.join() == 1);                             // the one that drops the oldest
    CHECK(news.size() == 2);
    for (auto& a : all) a.kill();
}

TEST_CASE("tell_for says what has become of the message", "[actor]") {
    struct stuck {
        rondo::channel<int> key;
        void on(note) { key.receive(); }
    };
    rondo::testing::world world;
    const rondo::channel<int> key;
    auto waits = rondo::start_on<stuck>(world.in(), rondo::actor_options{.mailbox_slots = 1}, key);
    auto drops = rondo::start_on<stuck>(
        world.in(), rondo::actor_options{.mailbox_slots = 1, .full = rondo::when_full::drop_newest}, key);
    const auto tell = [&](auto& to) {
        return world.run([&] { return to.tell_for(note{1}, std::chrono::seconds(1)); });
    };
    for (auto* a : {&waits, &drops}) {
        CHECK(tell(*a) == rondo::send_status::done);
        CHECK(tell(*a) == rondo::send_status::done);
    }
    CHECK(tell(waits) == rondo::send_status::timed_out);
    CHECK(tell(drops) == rondo::send_status::full);
    waits.kill();
    drops.kill();
    world.settle();
    CHECK(tell(waits) == rondo::send_status::closed);
    CHECK(rondo::dead_letters(world.in()).ended == 3);
    CHECK(rondo::dead_letters(world.in()).dropped_newest == 1);
}

TEST_CASE("try_publish passes over who is full", "[topic]") {
    struct stuck {
        rondo::channel<int> key;
        void on(note) { key.receive(); }
    };
    rondo::run({.workers = 1}, [] {
        rondo::channel<int> key;
        auto s = rondo::start<stuck>(rondo::actor_options{.mailbox_slots = 1}, key);
        rondo::topic<note> news;
        news.subscribe(s);
        CHECK(news.publish(note{0}) == 1);
        while (key.balance() == 0) rondo::yield();
        CHECK(news.try_publish(note{1}) == 1);
        CHECK(news.try_publish(note{2}) == 0);
        key.send(1);
        key.send(1);
    });
}

TEST_CASE("a pool routes: in turn, to the least loaded, by key, to all", "[pool]") {
    struct keyed {
        std::string key;
        std::string routing_key() const { return key; }
    };
    struct worker {
        int notes = 0;
        void on(note) { ++notes; }
        int on(seen) const { return notes; }
        std::uint64_t on(who) const { return rondo::this_actor::id(); }
        std::uint64_t on(const keyed&) const { return rondo::this_actor::id(); }
        void on(fail) { throw std::runtime_error("failed"); }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::pool<worker> in_turn(4);
        std::set<std::uint64_t> ids;
        for (int i = 0; i < 4; ++i) ids.insert(in_turn.ask(who{}));
        CHECK(ids.size() == 4);
        CHECK_THROWS_AS(in_turn.ask(fail{}), std::runtime_error);
        for (int i = 0; i < 8; ++i) CHECK(ids.contains(in_turn.ask(who{})));     // the one that failed is back

        rondo::pool<worker> least(3, rondo::routing::least_loaded);
        for (int i = 0; i < 30; ++i) least.tell(note{i});
        int total = 0;
        for (auto& m : least.members()) total += m.ask(seen{});
        CHECK(total == 30);

        rondo::pool<worker> by_key(8, rondo::routing::consistent_hash);
        std::set<std::uint64_t> used;
        for (int i = 0; i < 64; ++i) {
            const keyed k{"key " + std::to_string(i)};
            const auto id = by_key.ask(k);
            CHECK(by_key.ask(k) == id);
            used.insert(id);
        }
        CHECK(used.size() > 4);
        CHECK_THROWS_AS(by_key.tell(note{1}), rondo::usage_error);

        rondo::pool<worker> all(3, rondo::routing::broadcast);
        all.tell(note{1});
        for (auto& m : all.members()) CHECK(m.ask(seen{}) == 1);
        CHECK_THROWS_AS(all.ask(who{}), rondo::usage_error);
        CHECK_THROWS_AS(rondo::pool<worker>(0), rondo::usage_error);
    });
}

TEST_CASE("a group tells all its members, of any class, and forgets those that have ended", "[group]") {
    struct hello {
        int n;
    };
    struct bye {};
    struct loud {
        int* heard;
        void on(hello h) { *heard += h.n; }
        void on(bye) { rondo::this_actor::stop(); }
    };
    struct quiet {
        int* heard;
        void on(const hello& h) { *heard += 100 * h.n; }
        void on(bye) {}
        void on(int) {}
    };
    int first = 0, second = 0, third = 0;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::actor_group<hello, bye> choir;
    CHECK(world.run([&] { return choir.tell(hello{1}); }) == 0);
    auto a = rondo::start_on<loud>(world.in(), &first);
    auto b = rondo::start_on<loud>(world.in(), &second);
    auto c = rondo::start_on<quiet>(world.in(), &third);
    choir.join(a);
    choir.join(b);
    choir.join(c);
    choir.join(b);                                        // twice is once
    CHECK(choir.size() == 3);
    CHECK(world.run([&] { return choir.tell(hello{1}); }) == 3);
    choir.leave(b);
    CHECK(choir.try_tell(hello{1}) == 2);
    world.settle();
    CHECK(first == 2);
    CHECK(second == 1);
    CHECK(third == 200);
    world.run([&] { choir.tell(bye{}); });
    CHECK(choir.size() == 1);                             // a has ended
    CHECK(world.run([&] { return choir.tell(hello{1}); }) == 1);
    choir.join(a);
    CHECK(choir.size() == 1);
    choir.stop();
    world.settle();
    CHECK(choir.members().empty());
    CHECK(b.has_ended() == false);
}

TEST_CASE("the last handle of a member may be its group's", "[group]") {
    struct hello {};
    struct one {
        int* gone;
        void on(hello) {}
        ~one() { ++*gone; }
    };
    int gone = 0;
    rondo::testing::world world{{.workers = 1}};
    rondo::actor_group<hello> g;
    g.join(rondo::start_on<one>(world.in(), &gone));
    world.settle();
    CHECK(gone == 0);
    g.leave(g.members()[0]);
    world.settle();
    CHECK(gone == 1);
}

TEST_CASE("a limit is one for all who are told, and passes over those without room", "[group][topic][pool]") {
    struct stuck {
        rondo::channel<int> key;
        void on(note) { key.receive(); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const rondo::channel<int> key(100);
    const rondo::actor_options small{.mailbox_slots = 1};
    std::vector<rondo::actor_ref<stuck>> all;
    for (int i = 0; i < 3; ++i) all.push_back(rondo::start_on<stuck>(world.in(), small, key));
    rondo::topic<note> news;
    for (auto& a : all) news.subscribe(a);
    world.run([&] {                                       // the first and the last are full
        for (int i = 0; i < 2; ++i) {
            all[0].tell(note{i});
            all[2].tell(note{i});
        }
    });
    const auto before = world.run([] { return rondo::now(); });
    CHECK(world.run([&] { return news.publish_for(note{2}, std::chrono::seconds(1)); }) == 1);
    const auto after = world.run([] { return rondo::now(); });
    CHECK(after - before >= std::chrono::seconds(1));
    CHECK(after - before < std::chrono::milliseconds(1500));
    CHECK(world.run([&] { return news.publish_until(note{3}, after); }) == 1);      // the passed limit of those who wait
    for (auto& a : all) a.kill();
}

TEST_CASE("a broadcasting pool says what the first who have not got a message came to", "[pool]") {
    struct stuck {
        rondo::channel<int> key;
        void on(std::string) { key.receive(); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const rondo::channel<int> key;
    std::string text = "to all";
    world.run([&] {
        const rondo::child_options small{.mailbox_slots = 1};
        const rondo::pool<stuck> p(2, rondo::routing::broadcast, {}, rondo::child<stuck>(small, key));
        CHECK(p.tell_for("as text", std::chrono::seconds(1)));
        while (p.members()[0].mailbox_size() + p.members()[1].mailbox_size() != 0) rondo::yield();
        CHECK(p.members()[1].try_tell(std::string("one more")));
        CHECK(p.try_tell(text) == rondo::send_status::full);
        CHECK(text == "to all");                          // it is copied
        CHECK(p.members()[0].mailbox_size() == 1);        // who had room has it
        CHECK(p.tell_until("late", rondo::now() + std::chrono::seconds(1)) == rondo::send_status::timed_out);
        CHECK_THROWS_AS(p.members()[0].try_join().value(), std::bad_optional_access);
        for (const auto& a : p.members()) a.kill();
        p.stop();
        CHECK(p.supervisor().join_until(rondo::now() + std::chrono::seconds(10)));
    });
}

TEST_CASE("the end of an actor is a clause of select, and a loser leaves no trace", "[actor][select]") {
    struct quiet {
        void on(note) {}
        std::string on(seen) {
            const auto self = rondo::this_actor::ref<quiet>();
            try {
                rondo::select(rondo::joined(self, [](const rondo::exit_reason&) {}));
            } catch (const rondo::usage_error&) {
                return "usage_error";
            }
            return "?";
        }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto a = rondo::start_on<quiet>(world.in()), b = rondo::start_on<quiet>(world.in());
    const rondo::channel<int> line;
    std::string log;
    const auto ends = [&](const char* who) {
        return [&log, who](const rondo::exit_reason& why) { log += who + why.text() + ";"; };
    };
    auto t = world.spawn([&] {
        rondo::select(rondo::joined(a, ends("a ")), rondo::joined(b, ends("b ")), rondo::from(line, [](int) {}));
        rondo::select(rondo::joined(a, ends("a ")), rondo::joined(rondo::address<note>(b), ends("b ")));
        rondo::select(rondo::joined(a, ends("a ")), rondo::otherwise([&] { log += "a lives"; }));
    });
    world.settle();
    CHECK(log.empty());
    b.kill();
    world.settle();
    CHECK(log == "b killed;b killed;a lives");
    CHECK(line.balance() == 0);
    CHECK(world.run([&] { return a.ask(seen{}); }) == "usage_error");
    CHECK_FALSE(a.try_join());
    a.stop();
    world.settle();
    CHECK(a.try_join()->kind == rondo::exit_kind::stopped);
}

TEST_CASE("a message may carry the topic that it is published on", "[topic]") {
    struct invitation {
        int n;
        rondo::topic<invitation> answers;
    };
    struct guest {
        int& sum;
        void on(invitation i) { sum += i.n; }
    };
    int sum = 0;
    rondo::run([&] {
        const rondo::topic<invitation> parties;
        const auto ann = rondo::start<guest>(sum);
        parties.subscribe(ann);
        CHECK(parties.publish({2, parties}) == 1);
    });
    CHECK(sum == 2);
}

TEST_CASE("a group of many, of whom some leave and some end", "[group]") {
    rondo::runtime rt({.workers = 2});
    struct member {
        std::atomic<int>& told;
        void on(int) { ++told; }
    };
    rt.run([&] {
        std::atomic<int> told{0};
        rondo::actor_group<int> all;
        std::vector<rondo::actor_ref<member>> members;
        for (int i = 0; i < 2000; ++i) {
            members.push_back(rondo::start<member>(told));
            all.join(members.back());
        }
        all.join(members[5]);                             // again: it is the last now
        CHECK(all.size() == 2000);
        CHECK(all.members().back() == rondo::address<int>(members[5]));
        for (std::size_t i = 0; i < 500; ++i) all.leave(members[i * 4]);
        for (std::size_t i = 0; i < 500; ++i) members[i * 4 + 1].kill();
        for (std::size_t i = 0; i < 500; ++i) members[i * 4 + 1].join();
        CHECK(all.tell(1) == 1000);
        CHECK(all.size() == 1000);
        for (auto& m : members) m.stop();
    });
}

TEST_CASE("a group, topic or pool that was moved from says so", "[group][topic][pool]") {
    rondo::run({.workers = 1}, [] {
        struct member {
            void on(int) {}
        };
        const auto text = Catch::Contains("moved from");
        rondo::actor_group<int> g;
        auto other = std::move(g);
        CHECK_THROWS_WITH(g.tell(1), text);
        CHECK_THROWS_WITH(g.size(), text);
        CHECK(other.size() == 0);
        rondo::topic<int> t;
        auto other_topic = std::move(t);
        CHECK_THROWS_WITH(t.publish(1), text);
        rondo::pool<member> p(2);
        auto other_pool = std::move(p);
        CHECK_THROWS_WITH(p.tell(1), text);
        CHECK_THROWS_WITH(p.members(), text);
        CHECK_THROWS_WITH(p.stop(), text);
        other_pool.stop();
    });
}
