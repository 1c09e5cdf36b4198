// Family taco night. The real world is concurrent: when the husband is stuck in traffic, the others can eat. A serial
// program cannot say that; there everybody waits for him, and nobody is even told.
//
//     family_dinner             the evening on tasklets
//     family_dinner --actors    the next one: everybody is an actor, and their mother is their supervisor
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <rondo/rondo.hpp>

#include "command_line.hpp"

using namespace std::chrono_literals;
const char* const family[] = {"husband", "wife", "son", "daughter"};

/// The road home. Nobody will ever send on it: that is the traffic jam.
const rondo::channel<int> road;

void eat(const std::string& who) {
    if (who == "husband") road.receive();
    fmt::print("  the {} eats\n", who);
}

/// Lets the dinner go on for as long as anybody can do anything, then tells who still waits.
void serve(rondo::runtime& dinner) {
    const rondo::idle_report report = dinner.run_until_idle();
    for (const rondo::tasklet_info& waiting : report.parked)
        fmt::print("  {} finished; the {} is still waiting\n", report.finished, waiting.name);
    dinner.shutdown(10ms);    // drains, then stops who is left: he goes to bed hungry, but he is not forgotten
}

void one_after_the_other() {
    rondo::runtime dinner{{.workers = 1}};
    auto all = dinner.spawn({.name = "whole family"}, [] {
        for (const char* who : family) eat(who);
    });
    serve(dinner);
}

void everybody_at_once() {
    rondo::runtime dinner{{.workers = 1}};
    for (const char* who : family) dinner.spawn({.name = who}, eat, std::string(who));
    serve(dinner);
}

struct taco { int number; };
struct count {};

/// Somebody at the table. The third taco that the son gets is a hot one: he chokes, leaves the table, and comes back.
struct eater {
    std::string who;
    int eaten = 0;
    void on(taco t) {
        if (who == "son" && t.number == 2) throw std::runtime_error("too hot");
        rondo::sleep_for(1ms);                           // holds up nobody else
        ++eaten;
    }
    int on(count) const { return eaten; }
};

int dinner_with_actors() {
    return rondo::run([] {
        fmt::print("Dinner, everybody an actor:\n");
        std::vector<rondo::child_spec> seats;
        for (const char* who : family) seats.push_back(rondo::child<eater>(who, std::string(who)));
        const auto mother = rondo::supervise({.strategy = rondo::restart::one_for_one, .name = "table"}, seats);
        for (int n = 0; n < 6; ++n)                      // food arrives, for everybody
            for (const char* who : family) mother.ref<eater>(who).tell(taco{n});
        int total = 0;
        for (const char* who : family) {
            const int eaten = mother.ref<eater>(who).ask(count{});
            fmt::print("  the {} has eaten {}\n", who, eaten);
            total += eaten;
        }
        for (const auto& seat : mother.children())
            if (seat.restarts) fmt::print("  the {} left the table {} time; nobody else noticed\n", seat.name, seat.restarts);
        // Of the son's six one was too hot, and the two before it went with his first sitting's count.
        return total == 4 * 6 - 3 ? 0 : 1;
    });
}

int main(int argc, char** argv) {
    return samples::run_main("family_dinner", [&] {
        const char* const usage = "usage: family_dinner [--actors]";
        const std::string_view wanted = argc == 1 ? "" : argc == 2 ? argv[1] : "too much";
        if (wanted == "--help" || wanted == "-h") throw samples::help_wanted(usage);
        if (wanted == "--actors") return dinner_with_actors();
        if (argc > 1) throw samples::bad_argument(usage);
        fmt::print("Dinner, one after the other:\n");
        one_after_the_other();
        fmt::print("Dinner, everybody at once:\n");
        everybody_at_once();
        return 0;
    });
}
