// What timers may tell, wherever the call is: see this_actor::after.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <string>

#include <rondo/rondo.hpp>
#include <rondo/testing.hpp>

using namespace std::chrono_literals;

namespace {

struct go {};
struct count {};

// What an A has counted an hour after it was told to go on.
template <class A>
int count_of() {
    rondo::testing::world world;
    const auto a = rondo::start_on<A>(world.in());
    a.tell(go{});
    world.advance(1h);
    return world.run([&] { return a.ask(count{}); });
}

struct below_tick {};
struct below {
    int n = 0;
    void on(go);
    void on(below_tick);
    int on(count) { return n; }
};

struct helped_tick {};
struct helped {
    int n = 0;
    void on(go);
    void on(helped_tick) { ++n; }
    int on(count) { return n; }
};

template <class T>
struct dependent_tick {
    T number;
};
template <class T>
struct dependent {
    T n = 0;
    void on(go) { rondo::this_actor::after(1s, dependent_tick<T>{3}); }
    void on(const dependent_tick<T>& t) { n += t.number; }
    int on(count) { return static_cast<int>(n); }
};

struct known {};
struct unhandled {};
struct forgetful {
    using timer_messages = rondo::timer_list<known>;  // as it is from the call below
    void on(go) {
        rondo::this_actor::after(2h, known{});
        rondo::this_actor::after(1s, unhandled{});
    }
    void on(known) {}
};

struct child_tick {};
struct child_below {
    std::atomic<int>* seen;                           // of two at once
    void on(go);
    void on(child_tick) { ++*seen; }
};

}  // namespace

TEST_CASE("a timer's message is found though its handlers come after the start, in the same file", "[actor][timers]") {
    CHECK(count_of<below>() == 1);
}

TEST_CASE("a timer's message is found through a template that sets the timer", "[actor][timers]") {
    CHECK(count_of<helped>() == 1);
}

TEST_CASE("a timer's message may depend on the parameter of its actor's class", "[actor][timers]") {
    CHECK(count_of<dependent<int>>() == 3);
    CHECK(count_of<dependent<long>>() == 3);
}

TEST_CASE("members of a pool and children tell themselves by timers what they handle", "[actor][timers][pool]") {
    std::atomic<int> seen{0};
    rondo::testing::world world;
    world.run([&] {
        rondo::pool<child_below> p(1, rondo::routing::round_robin, &seen);
        const auto boss = rondo::supervise({}, rondo::child<child_below>("c", &seen));
        p.tell(go{});
        boss.ref<child_below>("c").tell(go{});
        rondo::sleep_for(1h);
    });
    CHECK(seen == 2);
}

TEST_CASE("a timer's message that is not known says what to do, and is not lost in a pool", "[actor][timers][pool]") {
    const bool in_pool = GENERATE(true, false);
    rondo::testing::world world;
    std::string said;
    try {
        world.run([&] {
            rondo::pool<forgetful> p(1);
            const auto alone = rondo::start<forgetful>();
            if (in_pool) p.tell(go{});
            else alone.tell(go{});
            rondo::sleep_for(1h);
        });
        world.settle();
    } catch (const rondo::usage_error& e) {
        said = e.what();
    }
    CHECK(said.find("unhandled): actor ") != std::string::npos);
    CHECK(said.find("has no handler") == std::string::npos);
    CHECK(said.find("::unhandled>;` to the class") != std::string::npos);
    CHECK(said.find("add `using timer_messages = rondo::timer_list<") != std::string::npos);
}

namespace {

void below::on(go) { rondo::this_actor::after(1s, below_tick{}); }
void below::on(below_tick) { ++n; }

template <class M>
void later(M m) {
    rondo::this_actor::after(1s, std::move(m));
}
void helped::on(go) { later(helped_tick{}); }

void child_below::on(go) { rondo::this_actor::after(1s, child_tick{}); }

}  // namespace
