// The scheduler: a tasklet that yields goes to the tail of the run queue, so the three take turns.
#include <fmt/format.h>

#include <rondo/rondo.hpp>

void print_three_times(const char* name) {
    for (int round = 1; round <= 3; ++round) {
        fmt::print("{}: {}\n", round, name);
        rondo::yield();
    }
}

int main() {
    rondo::run({.workers = 1}, [] {
        for (const char* name : {"first", "second", "third"}) rondo::spawn(print_three_times, name);
    });
}
