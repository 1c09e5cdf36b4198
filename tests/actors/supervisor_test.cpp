// Supervisors: who is restarted, how often, what survives, how it all ends.
#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <rondo/rondo.hpp>
#include <rondo/testing.hpp>

#include "support/sanitized.hpp"

using namespace std::chrono_literals;

namespace {

struct journal {                                          // what happened, in order
    std::mutex lock;
    std::vector<std::string> lines;
    void add(std::string line) {
        std::lock_guard hold(lock);
        lines.push_back(std::move(line));
    }
    std::vector<std::string> take() {
        std::lock_guard hold(lock);
        return std::exchange(lines, {});
    }
};

struct fail {};
struct touch {};
struct pass {};
struct worker {
    journal* log;
    std::string name;
    rondo::channel<int> key;
    int touched = 0;
    worker(journal* l, std::string n, rondo::channel<int> k = rondo::channel<int>()) : log(l), name(std::move(n)), key(k) {
        log->add("+" + name);
    }
    ~worker() { log->add("-" + name); }
    void on(fail) { throw std::runtime_error(name + " failed"); }
    int on(touch) { return ++touched; }
    void on(pass) { key.receive(); }
};

using lines = std::vector<std::string>;

template <class F>
void until(F&& f) {
    while (!f()) rondo::yield();
}

}  // namespace

TEST_CASE("one_for_one restarts the one that failed, its handle and its waiting messages stay", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        auto branch = rondo::supervise({.strategy = rondo::restart::one_for_one, .max_restarts = 3, .within = 5s},
                                       rondo::child<worker>("ann", &log, "ann"), rondo::child<worker>("bob", &log, "bob"));
        auto ann = branch.ref<worker>("ann");
        auto bob = branch.ref<worker>("bob");
        CHECK(ann.ask(touch{}) == 1);
        CHECK(bob.ask(touch{}) == 1);
        ann.tell(fail{});
        CHECK(ann.ask(touch{}) == 1);                     // it waited over the restart: a new life
        CHECK(bob.ask(touch{}) == 2);                     // bob never noticed
        auto children = branch.children();
        REQUIRE(children.size() == 2);
        CHECK(children[0].restarts == 1);
        CHECK(children[1].restarts == 0);
        CHECK(log.take() == lines{"+ann", "+bob", "-ann", "+ann"});
    });
    CHECK(log.take().size() == 2);                        // both are gone after run
}

TEST_CASE("one_for_all takes the others down in reverse order, and makes all again in order", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto s = rondo::supervise({.strategy = rondo::restart::one_for_all}, rondo::child<worker>("a", &log, "a"),
                                  rondo::child<worker>("b", &log, "b"), rondo::child<worker>("c", &log, "c"));
        log.take();
        s.ref<worker>("b").tell(fail{});
        until([&] { return s.children()[2].restarts == 1; });
        CHECK(log.take() == lines{"-b", "-c", "-a", "+a", "+b", "+c"});
        s.stop();
        s.join();
        CHECK(log.take() == lines{"-c", "-b", "-a"});
    });
}

TEST_CASE("rest_for_one restarts the one that failed and those after it", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto s = rondo::supervise({.strategy = rondo::restart::rest_for_one}, rondo::child<worker>("a", &log, "a"),
                                  rondo::child<worker>("b", &log, "b"), rondo::child<worker>("c", &log, "c"));
        log.take();
        s.ref<worker>("b").tell(fail{});
        until([&] { return s.children()[2].restarts == 1; });
        CHECK(log.take() == lines{"-b", "-c", "+b", "+c"});
    });
}

TEST_CASE("the asker of what failed gets the error, and the next ask is answered by the next life", "[supervisor]") {
    journal log;
    rondo::run({.workers = 2}, [&] {
        auto s = rondo::supervise({}, rondo::child<worker>("a", &log, "a"));
        auto a = s.ref<worker>("a");
        CHECK_THROWS_AS(a.ask(fail{}), std::runtime_error);
        CHECK(a.ask(touch{}) == 1);
    });
}

TEST_CASE("waiting messages are dropped by policy, with their askers told", "[supervisor]") {
    journal log;
    rondo::run({.workers = 1}, [&] {
        rondo::channel<int> key;
        auto s = rondo::supervise({}, rondo::child<worker>(rondo::child_options{.name = "a", .keep_messages = false}, &log,
                                                           "a", key));
        auto a = s.ref<worker>("a");
        a.tell(pass{});
        until([&] { return key.balance() < 0; });
        a.tell(fail{});
        auto asker = rondo::spawn([a] { return a.ask(touch{}); });
        until([&] { return a.mailbox_size() == 2; });
        key.send(1);
        CHECK_THROWS_AS(asker.join(), rondo::actor_ended);
        CHECK(a.ask(touch{}) == 1);
        CHECK(rondo::dead_letters().restarted == 1);
    });
}

TEST_CASE("too many restarts: it gives up, ends its children, and says so", "[supervisor]") {
    journal log;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const bool is_joined = GENERATE(true, false), has_name = GENERATE(true, false);
    auto s = world.run([&] {
        return rondo::supervise({.max_restarts = has_name ? 2u : 1u, .within = 60s, .name = has_name ? "boss" : ""},
                                rondo::child<worker>("a", &log, "a"), rondo::child<worker>("b", &log, "b"));
    });
    auto a = world.run([&] { return s.ref<worker>("a"); });
    rondo::exit_reason why;
    auto joins = world.spawn([&] {
        if (is_joined) why = s.join();
    });
    world.settle();
    for (int i = 0; i < 3; ++i) a.tell(fail{});
    std::string said;
    try {
        world.settle();
        said = why.text();
        CHECK(is_joined);
        CHECK(why.kind == rondo::exit_kind::gave_up);
    } catch (const rondo::too_many_restarts& e) {
        CHECK_FALSE(is_joined);
        said = e.what();
    }
    joins.join();
    CHECK(a.join().kind == rondo::exit_kind::shutdown);
    CHECK(said.find(has_name ? "supervisor \"boss\": 2 restarts in 60.0 s" : "supervisor without a name: 1 restart in") !=
          std::string::npos);
    CHECK(said.find("a failed") != std::string::npos);
    CHECK(s.label().ends_with(has_name ? "\"boss\" (rondo::supervisor)" : " (rondo::supervisor)"));
}

TEST_CASE("what a subtree gives up goes to the supervisor above", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto top = rondo::supervise(
            {.name = "top"}, rondo::subtree({.max_restarts = 0, .name = "sub"}, rondo::child<worker>("a", &log, "a")),
            rondo::child<worker>("b", &log, "b"));
        until([&] { return log.lines.size() >= 2; });
        log.take();
        CHECK_THROWS_AS(top.ref<worker>("sub"), rondo::usage_error);
        // There is no handle to a from outside but by its own trouble: fail it through its supervisor's restart.
        CHECK(top.children().size() == 2);
    });
}

TEST_CASE("restart_when: never and ended", "[supervisor]") {
    journal log;
    rondo::run({.workers = 2}, [&] {
        auto s = rondo::supervise(
            {}, rondo::child<worker>(rondo::child_options{.name = "once", .when = rondo::restart_when::never}, &log, "once"),
            rondo::child<worker>(rondo::child_options{.name = "always", .when = rondo::restart_when::ended}, &log, "always"),
            rondo::child<worker>("usual", &log, "usual"));
        auto once = s.ref<worker>("once"), always = s.ref<worker>("always"), usual = s.ref<worker>("usual");
        once.tell(fail{});
        once.join();
        CHECK(s.children().size() == 2);
        always.stop();
        CHECK(always.ask(touch{}) == 1);
        usual.stop();
        CHECK(usual.join().kind == rondo::exit_kind::stopped);
        until([&] { return s.children().size() == 1; });
        CHECK(s.children()[0].restarts == 1);
    });
}

TEST_CASE("who is never restarted goes with the others, and does not come back", "[supervisor]") {
    journal log;
    const auto strategy = GENERATE(rondo::restart::one_for_all, rondo::restart::rest_for_one);
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        const auto once = [&](const char* name) {
            const rondo::child_options o{.name = name, .when = rondo::restart_when::never};
            return rondo::child<worker>(o, &log, name);
        };
        auto s = rondo::supervise({.strategy = strategy}, once("first"), rondo::child<worker>("a", &log, "a"),
                                  once("second"), rondo::child<worker>("b", &log, "b"), once("last"));
        auto first = s.ref<worker>("first"), second = s.ref<worker>("second"), last = s.ref<worker>("last");
        log.take();
        s.ref<worker>("a").tell(fail{});
        until([&] { return s.children().back().restarts == 1; });
        CHECK(last.join().kind == rondo::exit_kind::shutdown);
        CHECK(second.join().kind == rondo::exit_kind::shutdown);
        if (strategy == rondo::restart::one_for_all) {
            CHECK(first.join().kind == rondo::exit_kind::shutdown);
            CHECK(log.take() == lines{"-a", "-last", "-b", "-second", "-first", "+a", "+b"});
        } else {
            CHECK(first.ask(touch{}) == 1);
            CHECK(log.take() == lines{"-a", "-last", "-b", "-second", "+a", "+b"});
        }
        CHECK(s.children().size() == (strategy == rondo::restart::one_for_all ? 2 : 3));
    });
}

TEST_CASE("a child that is killed in the middle of a message is restarted", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        rondo::channel<int> key;
        auto s = rondo::supervise({}, rondo::child<worker>("a", &log, "a", key));
        auto a = s.ref<worker>("a");
        auto asker = rondo::spawn([a] { a.ask(pass{}); });
        until([&] { return key.balance() < 0; });
        a.kill();
        CHECK_THROWS_AS(asker.join(), rondo::actor_ended);
        CHECK(a.ask(touch{}) == 1);
        CHECK(s.children()[0].restarts == 1);
    });
}

TEST_CASE("a child that does not end its message in its shutdown time is killed", "[supervisor]") {
    journal log;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        rondo::channel<int> key;
        auto s = rondo::supervise({.strategy = rondo::restart::one_for_all},
                                  rondo::child<worker>(rondo::child_options{.name = "slow", .shutdown = 1ms}, &log, "slow", key),
                                  rondo::child<worker>("b", &log, "b"));
        auto slow = s.ref<worker>("slow");
        slow.tell(pass{});
        until([&] { return key.balance() < 0; });
        s.ref<worker>("b").tell(fail{});
        CHECK(slow.ask(touch{}) == 1);
        slow.tell(pass{});
        until([&] { return key.balance() < 0; });
        s.stop();
        CHECK(s.join().kind == rondo::exit_kind::stopped);
        CHECK(slow.has_ended());
    });
}

TEST_CASE("a child that asks its supervisor while that ends is told so at once", "[supervisor]") {
    struct asker {
        rondo::supervisor* boss;
        rondo::channel<int> key;
        std::string* answer;
        asker(rondo::supervisor* b, rondo::channel<int> k, std::string* a) : boss(b), key(std::move(k)), answer(a) {}
        void on(pass) {
            key.receive();
            try {
                (void)boss->children();
            } catch (const rondo::actor_ended& e) {
                *answer = to_string(e.why().kind);
            }
        }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const bool asks_before = GENERATE(false, true);
    rondo::channel<int> key{1};
    std::string answer;
    rondo::supervisor boss;
    boss = world.run([&] {
        return rondo::supervise({}, rondo::child<asker>(rondo::child_options{.name = "a", .shutdown = 1h}, &boss, key, &answer));
    });
    auto a = world.run([&] { return boss.ref<asker>("a"); });
    a.tell(pass{});
    world.settle();
    if (asks_before) {
        world.run([&] {
            boss.stop();
            key.send(0);
        });
    } else {
        boss.stop();
        world.settle();
        world.run([&] { key.send(0); });
    }
    world.settle();
    CHECK(answer == "stopped");
    CHECK(rondo::live_actors(world.in()) == 0);
}

TEST_CASE("a child that asks its supervisor while that is taken down to be made again is told so at once", "[supervisor]") {
    struct asker {
        rondo::detail::any_actor* boss;
        rondo::channel<int> key;
        std::string* answer;
        asker(rondo::detail::any_actor* b, rondo::channel<int> k, std::string* a) : boss(b), key(std::move(k)), answer(a) {}
        void on(rondo::started) { rondo::this_actor::ref<asker>().tell(pass{}); }
        void on(pass) {
            if (!answer->empty()) return;                 // another life
            key.receive();
            try {
                (void)rondo::supervisor(*boss).children();
                *answer = "answered";
            } catch (const rondo::actor_ended& e) {
                *answer = to_string(e.why().kind);
            }
            if (*answer == "answered") return;
            for (int i = 0; i < 1500; ++i)                // more than there is room for in its mailbox
                CHECK_THROWS_AS(rondo::supervisor(*boss).children(), rondo::actor_ended);
        }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const bool at_once = GENERATE(false, true);
    rondo::channel<int> key{1};
    std::string answer;
    rondo::detail::any_actor inner;
    auto spec = rondo::subtree({.name = "inner"},
                               rondo::child<asker>(rondo::child_options{.name = "a", .shutdown = 1h}, &inner, key, &answer));
    spec.start = [&, start = spec.start](auto& in, auto under, const auto& o) {
        return inner = start(in, std::move(under), o);
    };
    journal log;
    auto top = world.run([&] {
        return rondo::supervise({.strategy = rondo::restart::one_for_all}, std::move(spec),
                                rondo::child<worker>("b", &log, "b"));
    });
    world.settle();
    auto b = world.run([&] { return top.ref<worker>("b"); });
    b.tell(fail{});
    if (at_once) {
        world.run([&] { key.send(0); });
    } else {
        world.settle();
        CHECK(answer.empty());
        world.run([&] { key.send(0); });
    }
    world.settle();
    if (at_once) CHECK((answer == "shut down" || answer == "answered"));
    else CHECK(answer == "shut down");
    const auto all = world.run([&] { return top.children(); });
    REQUIRE(all.size() == 2);
    CHECK(all[0].restarts == 1);
    CHECK(all[1].restarts == 1);
    CHECK(world.run([&] { return rondo::supervisor(inner).children().size(); }) == 1);
    top.stop();
    inner = {};
    world.settle();
}

TEST_CASE("children come and go while it runs, names are unique", "[supervisor]") {
    journal log;
    rondo::run({.workers = 2}, [&] {
        auto s = rondo::supervise({});
        for (int i = 0; i < 10; ++i) s.start(rondo::child<worker>("w" + std::to_string(i), &log, "w"));
        CHECK(s.children().size() == 10);
        CHECK_THROWS_AS(s.start(rondo::child<worker>("w3", &log, "w")), rondo::usage_error);
        CHECK_THROWS_AS(s.ref<worker>("w10"), rondo::usage_error);
        CHECK(s.stop_child("w3"));
        CHECK_FALSE(s.stop_child("w3"));
        CHECK(s.children().size() == 9);
    });
}

TEST_CASE("a subtree is found by its name, and its children come and go, too", "[supervisor]") {
    journal log;
    rondo::run({.workers = 2}, [&] {
        const auto worker_of = [&](const char* name) { return rondo::child<worker>(name, &log, name); };
        auto top = rondo::supervise({.max_restarts = 1}, rondo::subtree({.max_restarts = 0, .name = "left"}, worker_of("a")),
                                    worker_of("b"));
        rondo::supervisor left = top.ref<rondo::supervisor>("left");
        left.start(worker_of("c"));
        CHECK(left.children().size() == 2);
        CHECK(left.ref<worker>("c").ask(touch{}) == 1);
        CHECK_THROWS_AS(top.ref<rondo::supervisor>("b"), rondo::usage_error);
        CHECK_THROWS_AS(top.ref<worker>("left"), rondo::usage_error);
        CHECK_THROWS_WITH(top.ref<worker>("no\nbody"), Catch::Contains("no child is called \"no\\x0abody\""));

        left.ref<worker>("a").tell(fail{});               // the subtree gives up, and is made again as it was first
        until([&] { return top.children().front().restarts == 1; });
        until([&] { return left.children().size() == 1; });
        CHECK(left == top.ref<rondo::supervisor>("left"));
        CHECK(left.ref<worker>("a").ask(touch{}) == 1);
    });
}

TEST_CASE("of many children each costs the same: fifty thousand come, crash, are found, stop and go", "[supervisor]") {
    struct guest {
        void on(fail) { throw std::runtime_error("left early"); }
        int on(touch) { return 1; }
    };
    constexpr int many = support::sanitized ? 2'000 : 50'000;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto s = rondo::supervise({.max_restarts = many});
        for (int i = 0; i < many; ++i) s.start(rondo::child<guest>(std::to_string(i)));
        for (int i = 0; i < many; ++i) {
            auto g = s.ref<guest>(std::to_string(i));
            if (i % 4 == 0) g.tell(fail{});
            if (g.ask(touch{}) != 1) throw std::logic_error("nobody is there");
            if (i % 4 == 1) g.stop();
            if (i % 4 == 2) s.stop_child(std::to_string(i));
        }
        until([&] { return rondo::live_actors() == many / 2 + 1; });
        CHECK(s.children().size() == many / 2);
    });
}

TEST_CASE("a constructor that throws: at first it is the caller's, at a restart it counts as one more", "[supervisor]") {
    struct moody {
        explicit moody(std::atomic<int>* tries) {
            if (const int n = tries->fetch_add(1); n == 0 || n == 2) throw std::runtime_error("not today");
        }
        void on(fail) { throw std::runtime_error("failed"); }
        int on(touch) { return 1; }
    };
    std::atomic<int> tries{0};
    rondo::run({.workers = 2}, [&] {
        CHECK_THROWS_WITH(rondo::supervise({}, rondo::child<moody>("m", &tries)), "not today");
        auto s = rondo::supervise({}, rondo::child<moody>("m", &tries));
        auto m = s.ref<moody>("m");
        m.tell(fail{});
        CHECK(m.ask(touch{}) == 1);
        CHECK(tries.load() == 4);
    });
}

TEST_CASE("a constructor speaks for nobody: neither for its supervisor nor, at a restart, for its actor", "[supervisor]") {
    struct hasty {
        explicit hasty(lines* said) {
            if (rondo::this_actor::exists()) said->push_back("there is one");
            try {
                rondo::this_actor::stop();
                said->push_back("stopped");
            } catch (const rondo::usage_error& e) {
                said->push_back(std::string(e.what()).substr(0, 33));
            }
        }
        void on(fail) { throw std::runtime_error("failed"); }
        int on(touch) { return rondo::this_actor::exists(); }
    };
    lines said;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto s = rondo::supervise({}, rondo::child<hasty>("h", &said));
        auto h = s.ref<hasty>("h");
        CHECK(h.ask(touch{}) == 1);
        h.tell(fail{});
        CHECK(h.ask(touch{}) == 1);
        CHECK(s.children().size() == 1);
    });
    CHECK(said == lines(2, "this_actor::stop outside a handle"));
}

TEST_CASE("a restart waits for the back-off, longer each time", "[supervisor]") {
    journal log;
    rondo::run({.workers = 1}, [&] {
        auto s = rondo::supervise({.max_restarts = 5, .backoff = 4ms}, rondo::child<worker>("a", &log, "a"));
        auto a = s.ref<worker>("a");
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < 3; ++i) a.tell(fail{});
        CHECK(a.ask(touch{}) == 1);
        CHECK(std::chrono::steady_clock::now() - begin >= 28ms);
    });
}

TEST_CASE("options that mean nothing are refused before anybody is started", "[supervisor]") {
    journal log;
    const auto refused = [&](const rondo::supervise_options& o, auto... specs) {
        std::string what;
        rondo::run([&] {
            for (const bool below : {false, true}) try {
                    if (below) (void)rondo::subtree(o, specs...);
                    else (void)rondo::supervise(o, specs...);
                    what += "taken ";
                } catch (const rondo::usage_error& e) {
                    what += std::string(e.what()) + "; ";
                }
        });
        return what;
    };
    const auto a = rondo::child<worker>("a", &log, "a");
    const auto twice = [](const std::string& s) { return s + "; " + s + "; "; };
    CHECK(refused({.within = -1s}, a) == twice("supervise_options::within must not be negative"));
    CHECK(refused({.backoff = -1ns}, a) == twice("supervise_options::backoff must not be negative"));
    CHECK(refused({.longest_backoff = -1h}, a) == twice("supervise_options::longest_backoff must not be negative"));
    CHECK(refused({}, rondo::child<worker>(rondo::child_options{.shutdown = -1s}, &log, "b")) ==
          twice("child_options::shutdown must not be negative"));
    CHECK(refused({}, rondo::child<worker>(rondo::child_options{.mailbox_slots = 1 << 20}, &log, "b"))
              .find("1048576 is too many") != std::string::npos);
    CHECK(refused({}, a, a) == twice("a child is called \"a\" already"));
    CHECK(refused({}, rondo::child_spec()).find("make it by rondo::child") != std::string::npos);
    CHECK(log.take().empty());
    rondo::run([&] {
        auto s = rondo::supervise({.max_restarts = 0, .within = 0s}, a);
        CHECK_THROWS_AS(s.start(rondo::child<worker>(rondo::child_options{.shutdown = -1s}, &log, "b")), rondo::usage_error);
    });
}

TEST_CASE("a child that stops as soon as it has been made again is forgotten", "[supervisor]") {
    struct brief {
        int* made;
        explicit brief(int* n) : made(n) { ++*made; }
        void on(rondo::started) {
            if (*made == 2) rondo::this_actor::stop();
        }
        void on(fail) { throw std::runtime_error("failed"); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    int made = 0;
    auto boss = world.run([&] { return rondo::supervise({}, rondo::child<brief>("b", &made)); });
    auto b = world.run([&] { return boss.ref<brief>("b"); });
    b.tell(fail{});
    world.settle();
    REQUIRE(b.has_ended());
    CHECK(world.run([&] { return boss.children().size(); }) == 0);
    world.run([&] { boss.start(rondo::child<brief>("b", &made)); });
    CHECK(world.run([&] { return boss.children().size(); }) == 1);
}

TEST_CASE("who watches a supervised actor is told only of its end for good", "[supervisor]") {
    struct look {
        rondo::actor_ref<worker> at;
    };
    struct watcher {
        rondo::channel<std::string> out;
        void on(const look& l) { rondo::watch(l.at); }
        void on(const rondo::down& d) { out.send(d.name + " " + d.why.text()); }
    };
    journal log;
    rondo::run({.workers = 2}, [&] {
        rondo::channel<std::string> out{8};
        auto s = rondo::supervise({}, rondo::child<worker>("a", &log, "a"));
        auto a = s.ref<worker>("a");
        auto w = rondo::start<watcher>(out);
        w.ask(look{a});
        a.tell(fail{});
        CHECK(a.ask(touch{}) == 1);
        CHECK(out.size() == 0);
        a.stop();
        CHECK(out.receive() == "a stopped");
    });
}
