// What a dump shows of actors: their tree, their mailboxes, their restarts, and what their handlers wait for.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/helpers.hpp"
#include "support/last_words.hpp"

using support::has;

namespace {

// Is it JSON? A recogniser, no more: nothing may be left behind the value.
class recogniser {
public:
    explicit recogniser(std::string_view text) : rest_(text) {}
    bool is_json() { return value() && (skip(), rest_.empty()); }

private:
    void skip() {
        while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0]))) rest_.remove_prefix(1);
    }
    bool eat(std::string_view what) {
        skip();
        if (!rest_.starts_with(what)) return false;
        rest_.remove_prefix(what.size());
        return true;
    }
    bool string() {
        if (!eat("\"")) return false;
        while (!rest_.empty()) {
            const char c = rest_[0];
            rest_.remove_prefix(1);
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\') continue;
            if (rest_.empty()) return false;
            const char escaped = rest_[0];
            rest_.remove_prefix(1);
            if (escaped == 'u') {
                const auto is_digit = [](unsigned char d) { return std::isxdigit(d) != 0; };
                if (rest_.size() < 4 || !std::all_of(rest_.begin(), rest_.begin() + 4, is_digit)) return false;
                rest_.remove_prefix(4);
            } else if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
                return false;
            }
        }
        return false;
    }
    template <class Element>
    bool list(std::string_view end, Element&& element) {
        if (eat(end)) return true;
        do
            if (!element()) return false;
        while (eat(","));
        return eat(end);
    }
    bool value() {
        if (eat("{")) return list("}", [this] { return string() && eat(":") && value(); });
        if (eat("[")) return list("]", [this] { return value(); });
        if (eat("true") || eat("false") || eat("null")) return true;
        skip();
        if (rest_.starts_with('"')) return string();
        const auto digits = std::min(rest_.find_first_not_of("0123456789-+.eE"), rest_.size());
        rest_.remove_prefix(digits);
        return digits > 0;
    }
    std::string_view rest_;
};

struct open {};
struct gate {
    rondo::channel<int> key;
    void on(open) { key.receive(); }
};
struct start_a_gate {};
struct opener {
    rondo::channel<int> key;
    rondo::actor_ref<gate> mine = {};
    void on(start_a_gate) { mine = rondo::start<gate>(rondo::actor_options{.name = "left \"wing\"\n\xff \xc3\xa9"}, key); }
};

std::string dumped(const rondo::testing::world& w, rondo::dump_format how) {
    std::ostringstream out;
    w.dump(out, how);
    return out.str();
}

}  // namespace

namespace {

struct miser {
    void on(int) { rondo::this_actor::stash(); }
};

}  // namespace

TEST_CASE("a dump shows how many messages an actor has stashed, whose askers wait", "[actor][dump]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto keeps = world.run([] { return rondo::start<miser>(); });
    world.spawn([keeps] { CHECK_THROWS_AS(keeps.ask(1), rondo::actor_ended); });
    keeps.tell(2);
    world.settle();
    CHECK(has(dumped(world, rondo::dump_format::text), "miser), idle, 0 messages wait, 2 stashed"));
    const auto json = dumped(world, rondo::dump_format::json);
    CHECK(recogniser(json).is_json());
    CHECK(has(json, R"("restarts": 0, "stashed": 2)"));
    keeps.stop();
    world.settle();
}

TEST_CASE("a dump shows the tree of actors, their mailboxes, restarts, and what their handlers wait for", "[actor][dump]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> key;
    auto top = world.run([&] {
        return rondo::supervise({.name = "top"},
                                rondo::subtree({.name = "branch"}, rondo::child<gate>("inner", key)),
                                rondo::child<gate>(rondo::child_options{.name = "door", .mailbox_slots = 8}, key), rondo::child<opener>("wing", key));
    });
    auto door = world.run([&] { return top.ref<gate>("door"); });
    auto wing = world.run([&] { return top.ref<opener>("wing"); });
    rondo::testing::crash(door, std::runtime_error("stuck"));
    world.settle();
    wing.tell(start_a_gate{});
    for (int i = 0; i < 3; ++i) door.tell(open{});
    world.settle();

    const auto all = dumped(world, rondo::dump_format::text);
    INFO(all);
    CHECK(has(all, "handler of actor"));
    const auto text = all.substr(std::min(all.find("6 actors\n"), all.size()));
    CHECK_FALSE(has(text, "actors/src/"));
    CHECK_FALSE(has(text, "rondo/supervisor.hpp"));
    const auto line_with = [&](std::string_view part) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            if (has(line, part)) return line;
        return std::string();
    };
    CHECK(has(text, "6 actors\n"));
    CHECK(line_with("\"top\"").starts_with("actor "));
    CHECK(line_with("\"branch\"").starts_with("  actor "));
    CHECK(line_with("\"inner\"").starts_with("    actor "));
    CHECK(line_with("\"inner\"").ends_with("gate), idle, 0 messages wait"));
    CHECK(has(line_with("\"top\""), "(rondo::supervisor), idle, 0 messages wait; started at " __FILE__));
    CHECK(has(line_with("\"branch\""), "(rondo::supervisor), idle, 0 messages wait; started at " __FILE__));
    CHECK(line_with("\"door\"").starts_with("  actor "));
    CHECK(has(line_with("\"door\""), "active, 2 messages wait, 1 restart;"));
    CHECK(line_with("left").starts_with("    actor "));
    CHECK(has(line_with("its handler, tasklet"), "is suspended, waits for a sender on channel 0x"));
    CHECK(text.find("\"branch\"") < text.find("\"inner\""));
    CHECK(text.find("\"inner\"") < text.find("\"door\""));

    const auto json = dumped(world, rondo::dump_format::json);
    INFO(json);
    CHECK(recogniser(json).is_json());
#ifdef __clang__
    const std::string ours = "(anonymous namespace)";     // the compilers' word for it
#else
    const std::string ours = "{anonymous}";
#endif
    CHECK(has(json, R"("name": "door", "class": ")" + ours +
                        R"(::gate", "state": "active", "mailbox": 2, "slots": 8, "restarts": 1)"));
    CHECK(has(json, R"(left \"wing\"\u000a\ufffd é)"));
    CHECK(has(json, "\"supervised\": true, \"name\": \"inner\""));
    CHECK(has(json, "\"supervised\": false, \"name\": \"left"));
    CHECK(has(json, R"("state": "suspended", "waits_for": "a sender on channel 0x)"));

    for (int i = 0; i < 3; ++i) world.run([&] { key.send(1); });
}

TEST_CASE("a dump in JSON without tasklets, without actors, and with a deep row of starters", "[actor][dump]") {
    struct row {
        rondo::actor_ref<row> next;
        void on(int left) {
            if (left == 0) return;
            next = rondo::start<row>(rondo::actor_options{});
            next.tell(left - 1);
        }
    };
    rondo::testing::world world;
    CHECK(dumped(world, rondo::dump_format::json) ==
          "{\"workers\": " + std::to_string(world.in().workers()) + ", \"tasklets\": [\n]}\n");
    auto first = rondo::start_on<row>(world.in());
    first.tell(5000);
    world.settle();
    const auto json = dumped(world, rondo::dump_format::json);
    CHECK(recogniser(json).is_json());
    CHECK(std::count(json.begin(), json.end(), '\n') > 5000);
    const auto text = dumped(world, rondo::dump_format::text);
    CHECK(has(text, "5001 actors\n"));
    CHECK(has(text, "... and 4001 more\n"));
}

TEST_CASE("a dump may be taken while actors run, crash and end", "[actor][dump]") {
    struct node {
        void on(int n) {
            if (n % 50 == 0) throw std::runtime_error("unlucky");
            if (n % 7 == 0) rondo::yield();
        }
    };
    rondo::runtime rt{{.workers = 2}};
    rondo::supervisor boss;
    auto team = rt.spawn([&] {
        boss = rondo::supervise({.max_restarts = 1'000'000}, rondo::child<node>("a"), rondo::child<node>("b"));
    });
    team.join();
    auto feeder = rt.spawn([&] {
        auto a = boss.ref<node>("a"), b = boss.ref<node>("b");
        for (int i = 0; i < 2000; ++i) {
            a.tell(i);
            b.tell(i);
            rondo::start<node>(rondo::actor_options{.name = "short"}).tell(1);
        }
    });
    bool all_json = true;
    do {
        std::ostringstream out;
        rt.dump(out, rondo::dump_format::json);
        all_json = all_json && recogniser(out.str()).is_json();
        rt.dump(out);
    } while (!feeder.done());
    feeder.join();
    CHECK(all_json);
    boss.stop();
    boss.join();
}

namespace {

struct stuck {
    rondo::channel<int> never;
    void on(int) { never.receive(); }
    void on(char) { throw std::runtime_error("boom"); }
};
struct juggler {
    static constexpr bool reentrant = true;
    rondo::channel<int> key;
    void on(int) { key.receive(); }
    void on(char) { rondo::this_actor::every(std::chrono::hours(1), 'x'); }
};

}  // namespace

TEST_CASE("reports name a handler after its actor, and say where that was started", "[actor][dump]") {
    std::string report;
    try {
        rondo::run({.workers = 1}, [] {                   // whose number the actors' ids depend on
            auto a = rondo::start<stuck>({.name = "bob"}), b = rondo::start<stuck>();
            a.tell(1);
            b.tell(1);
        });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    CHECK(has(report, ", handler of actor 1 \"bob\" ("));
    CHECK(has(report, "::stuck), suspended, waits for a sender on channel"));
    CHECK(has(report, "; started at " __FILE__ ":"));
    CHECK(has(report, ", handler of actor 17 ("));
    CHECK_FALSE(has(report, "actors/src"));

    rondo::runtime rt{{.workers = 1}};
    const auto a = rondo::start_on<stuck>(rt, rondo::actor_options{.name = "bob"});
    a.tell(1);
    const auto idle = rt.run_until_idle();
    REQUIRE(idle.parked.size() == 1);
    CHECK(idle.parked[0].role == "handler of " + a.label());
    CHECK(idle.parked[0].name.empty());
    std::ostringstream text, json;
    rt.dump(text);
    rt.dump(json, rondo::dump_format::json);
    CHECK(has(text.str(), "1 actor\n"));
    CHECK(has(json.str(), R"("role": "handler of actor 1 \"bob\")"));
    CHECK(recogniser(json.str()).is_json());
    a.kill();
}

TEST_CASE("reports name the actors that are waited for", "[actor][dump]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto a = rondo::start_on<stuck>(world.in(), rondo::actor_options{.name = "bob"});
    auto selects = world.spawn([a] { rondo::select(rondo::joined(a, [](const rondo::exit_reason&) {})); });
    auto joins = world.spawn([a] { a.join(); });
    world.settle();
    REQUIRE(world.tasklets().size() == 2);
    CHECK(world.tasklets()[0].waits_for == "select of the end of " + a.label());
    CHECK(world.tasklets()[1].waits_for == "the end of " + a.label());
    a.stop();
    selects.join();
    joins.join();
}

TEST_CASE("reports name a reentrant actor's handlers, and the timers' tasklet", "[actor][dump][reentrant]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto a = rondo::start_on<juggler>(world.in());
    for (int i = 0; i < 3; ++i) a.tell(i);
    a.tell('x');
    world.settle();
    std::vector<std::string> roles;
    for (const auto& t : world.tasklets()) roles.push_back(t.role);
    std::sort(roles.begin(), roles.end());
    const auto handler = "handler of " + a.label();
    CHECK(roles == std::vector<std::string>{handler, handler, handler, "the timers of all actors"});
    a.kill();
}

TEST_CASE("on_unhandled is told whose handler it was", "[actor][dump]") {
    std::vector<rondo::tasklet_info> seen;
    std::string label;
    const auto note = [&](const std::exception_ptr&, const rondo::tasklet_info& who) { seen.push_back(who); };
    rondo::run({.on_unhandled = note}, [&] {
        auto a = rondo::start<stuck>({.name = "bob"});
        label = a.label();
        a.tell('x');
        while (!a.has_ended()) rondo::yield();
    });
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].role == "handler of " + label);
    CHECK(has(seen[0].spawn_site, "dump_test.cpp:"));
    CHECK(seen[0].id != 0);
}

#if !defined(RONDO_ASAN) && !defined(RONDO_TSAN)
TEST_CASE("a stack overflow names the actor whose handler it was, and the option that helps", "[actor][dump]") {
    struct thinker {
        int on(int n) {                                   // on and on
            volatile char frame[512];
            frame[0] = static_cast<char>(n);
            return n < 0 ? 0 : on(n + 1) + frame[0];
        }
    };
    const auto said = support::last_words([] {
        rondo::run({.workers = 1}, [] { rondo::start<thinker>({.name = "deep"}).ask(0); });
    });
    CHECK(has(said, "handler of actor 1 \"deep\" ("));
    CHECK(has(said, "thinker), started at "));
    CHECK(has(said, "dump_test.cpp:"));
    CHECK(has(said, "give it more with runtime_options::stack_bytes"));
}
#endif

TEST_CASE("what the end of a runtime does to those who ask is not reported", "[actor]") {
    std::vector<std::string> seen;
    const auto note = [&](const std::exception_ptr& error, const rondo::tasklet_info&) {
        seen.push_back(rondo::exit_reason{rondo::exit_kind::crashed, error}.text());
    };
    struct asks {
        rondo::actor_ref<stuck> whom;
        void on(int) { whom.ask(1); }
    };
    const auto workers = GENERATE(1u, 2u);
    CHECK_THROWS_AS(rondo::run({.workers = workers, .on_unhandled = note}, [] { rondo::start<stuck>().ask(1); }),
                    rondo::deadlock);
    CHECK_THROWS_AS(rondo::run({.workers = workers, .on_unhandled = note},
                               [] { rondo::start<asks>(rondo::start<stuck>()).ask(1); }),
                    rondo::deadlock);
    struct joins {                                        // a tasklet that waits for this handler
        void on(int) { rondo::spawn([me = rondo::this_actor::ref<joins>()] { me.ask(1); }).join(); }
    };
    CHECK_THROWS_AS(rondo::run({.workers = workers, .on_unhandled = note}, [] { rondo::start<joins>().ask(1); }),
                    rondo::deadlock);
    {
        rondo::runtime rt{{.workers = workers, .on_unhandled = note}};
        rt.spawn([] { rondo::start<stuck>().ask(1); });
        (void)rt.run_until_idle();
        CHECK(rt.shutdown(std::chrono::seconds(5)).empty());
    }
    CHECK(seen == std::vector<std::string>());
}
