// Family taco night. The real world is concurrent: when the husband is stuck in traffic, the others can eat. A serial
// program cannot say that; there everybody waits for him, and nobody is even told.
#include <chrono>
#include <string>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

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

int main() {
    fmt::print("Dinner, one after the other:\n");
    one_after_the_other();
    fmt::print("Dinner, everybody at once:\n");
    everybody_at_once();
}
