// The Stackless Python tutorial's programs (Grant T. Olson, "Introduction to Concurrent Programming with Stackless
// Python"), ported word for word to rondo::stackless; their outputs, line by line, on one worker.
#include <catch2/catch.hpp>

#include <functional>
#include <map>
#include <memory>

#include "stage.hpp"

using namespace conformance;

TEST_CASE("nothing runs before run, then three tasklets run in order of creation", "[tutorial][2.1]") {
    sl::session s;
    journal j;
    for (const char* x : {"one", "two", "three"}) sl::tasklet([&](const char* text) { j.say(text); })(x);
    CHECK(j.said().empty());
    CHECK(sl::getruncount() == 4);
    sl::run();
    CHECK(j.said() == lines{"one", "two", "three"});
}

TEST_CASE("three tasklets that schedule take turns", "[tutorial][2.2]") {
    sl::session s;
    journal j;
    const auto print_three_times = [&](std::string x) {
        for (const char* n : {"1: ", "2: ", "3: "}) {
            j.say(n + x);
            sl::schedule();
        }
    };
    sl::tasklet(print_three_times)(std::string("first"));
    sl::tasklet(print_three_times)(std::string("second"));
    sl::tasklet(print_three_times)(std::string("third"));
    sl::run();
    CHECK(j.said() == lines{"1: first", "1: second", "1: third", "2: first", "2: second", "2: third", "3: first",
                            "3: second", "3: third"});
}

namespace {

struct channel_program {
    journal j;
    sl::channel<std::string> channel;
    void receiving() {
        j.say("R-start");
        const auto value = channel.receive();
        j.say(value);
        j.say("R-end");
    }
    void sending() {
        j.say("S-start");
        channel.send("R-got");
        j.say("S-end");
    }
    void another() { j.say("A"); }
    void start(const char* which) {
        if (*which == 'R') sl::tasklet([this] { receiving(); })();
        if (*which == 'S') sl::tasklet([this] { sending(); })();
        if (*which == 'A') sl::tasklet([this] { another(); })();
    }
};

}  // namespace

TEST_CASE("a receiver that waits goes on at once, the sender goes to the tail", "[tutorial][2.3][P02]") {
    sl::session s;
    channel_program p;
    for (const char* which : {"R", "S", "A"}) p.start(which);
    sl::run();
    CHECK(p.j.said() == lines{"R-start", "S-start", "R-got", "R-end", "A", "S-end"});
}

TEST_CASE("preference 0 and 1 let the sender go on, schedule_all lets everybody else go first", "[tutorial][2.3]") {
    sl::session s;
    channel_program p;
    const bool all = GENERATE(false, true);
    if (all) p.channel.schedule_all(true);
    else p.channel.preference(GENERATE(0, 1));
    for (const char* which : {"R", "S", "A"}) p.start(which);
    sl::run();
    if (all) CHECK(p.j.said() == lines{"R-start", "S-start", "A", "R-got", "R-end", "S-end"});
    else CHECK(p.j.said() == lines{"R-start", "S-start", "S-end", "A", "R-got", "R-end"});
}

TEST_CASE("a sender without a receiver waits, and run returns nevertheless", "[tutorial][2.3][S03]") {
    sl::session s;
    channel_program p;
    const int preference = GENERATE(-1, 0, 1);
    p.channel.preference(preference);
    p.start("S");
    p.start("A");
    const auto first = sl::run();
    CHECK(p.j.said() == lines{"S-start", "A"});
    CHECK(first.parked == 1);
    CHECK(first.finished == 1);
    CHECK(p.channel.balance() == 1);
    p.j.clear();
    p.start("A");
    sl::run();
    CHECK(p.j.said() == lines{"A"});
    p.j.clear();
    p.start("R");
    CHECK(sl::run().parked == 0);
    if (preference == 1) CHECK(p.j.said() == lines{"R-start", "S-end", "R-got", "R-end"});
    else CHECK(p.j.said() == lines{"R-start", "R-got", "R-end", "S-end"});
}

TEST_CASE("ping and pong alternate without growing a stack", "[tutorial][3]") {
    sl::session s;
    const int rounds = 10'000;
    std::string log;
    sl::channel<int> ping_channel, pong_channel;
    sl::tasklet([&] {
        while (ping_channel.receive()) {
            log += 'i';
            pong_channel.send(1);
        }
    })();
    sl::tasklet([&] {
        for (int n = 0; pong_channel.receive() && n < rounds; ++n) {
            log += 'o';
            if (n + 1 < rounds) ping_channel.send(1);
        }
    })();
    sl::tasklet([&] { ping_channel.send(1); })();
    CHECK(sl::run().parked == 2);
    std::string expected;
    for (int n = 0; n < rounds; ++n) expected += "io";
    CHECK(log == expected);
}

TEST_CASE("the half adder's main tasklet drives everything by its sends", "[tutorial][5.6]") {
    sl::session s;
    journal j;
    struct part {
        sl::channel<std::pair<const void*, int>> channel;
        std::vector<part*> outputs;
        std::function<int(const void*, int)> process;            // what it tells its outputs
        void start() {
            sl::tasklet([this] {
                for (;;) {
                    const auto [from, value] = channel.receive();
                    const int out = process(from, value);
                    for (auto* o : outputs) o->channel.send({this, out});
                }
            })();
        }
        void operator()(int value) { channel.send({nullptr, value}); }
    };
    const auto gate = [](part& p, part& a, part& b, std::function<int(int, int)> f) {
        a.outputs.push_back(&p);
        b.outputs.push_back(&p);
        p.process = [f, seen = std::map<const void*, int>{{&a, 0}, {&b, 0}}, &a, &b](const void* from, int v) mutable {
            seen.at(from) = v;
            return f(seen[&a], seen[&b]);
        };
    };
    part in_a, in_b, carry, result, and1, or1, inverter, and2;
    in_a.process = in_b.process = [](const void*, int v) { return v; };
    carry.process = [&](const void*, int v) { j.say("Carry = " + std::to_string(v)); return v; };
    result.process = [&](const void*, int v) { j.say("Result = " + std::to_string(v)); return v; };
    gate(and1, in_a, in_b, [](int a, int b) { return a & b; });
    and1.outputs.push_back(&carry);
    gate(or1, in_a, in_b, [](int a, int b) { return a | b; });
    and1.outputs.push_back(&inverter);
    inverter.process = [](const void*, int v) { return v ? 0 : 1; };
    gate(and2, or1, inverter, [](int a, int b) { return a & b; });
    and2.outputs.push_back(&result);
    for (auto* p : {&in_a, &in_b, &carry, &result, &and1, &or1, &inverter, &and2}) p->start();

    SECTION("without a run it ends with work pending, as the original does") {
        in_a(1), in_b(1), in_b(0), in_a(0);
        CHECK(j.said() == lines{"Carry = 0", "Result = 0", "Result = 1", "Carry = 1", "Result = 1", "Result = 0",
                                "Carry = 0", "Result = 0"});
    }
    SECTION("with a run after each flip all twelve lines come") {
        for (const auto& [input, value] : {std::pair(&in_a, 1), {&in_b, 1}, {&in_b, 0}, {&in_a, 0}}) {
            (*input)(value);
            CHECK(sl::run().parked == 8);
        }
        CHECK(j.said() == lines{"Carry = 0", "Result = 0", "Result = 1", "Carry = 1", "Result = 1", "Result = 0",
                                "Carry = 0", "Result = 0", "Result = 1", "Carry = 0", "Result = 0", "Result = 0"});
    }
}
