// Channels: hand a value from tasklet to tasklet. Without slots, send and receive wait for each other; when they meet,
// the receiver goes on at once and the sender goes to the tail of the run queue.
#include <string>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

using line = rondo::channel<std::string>;

void receiving(line from) {
    fmt::print("receiving tasklet started\n");
    fmt::print("{}\n", from.receive());
    fmt::print("receiving tasklet finished\n");
}

void sending(line to) {
    fmt::print("sending tasklet started\n");
    to.send("sent from the sending tasklet");
    fmt::print("sending tasklet finished\n");
}

void another() {
    fmt::print("just another tasklet\n");
}

/// The receiver waits already when the sender comes, and overtakes the third tasklet.
void receiver_first() {
    rondo::run({.workers = 1}, [] {
        const line c;
        rondo::spawn(receiving, c);
        rondo::spawn(sending, c);
        rondo::spawn(another);
    });
}

/// Nobody receives: the sender waits, the others do not, and the runtime says so instead of hanging.
void sender_first() {
    rondo::runtime rt{{.workers = 1}};
    const line c;
    const auto run_until_idle = [&] {
        const auto waiting = rt.run_until_idle().parked.size();
        fmt::print("    -- idle; {} waiting, balance {}\n", waiting, c.balance());
    };

    rt.spawn(sending, c);
    rt.spawn(another);
    run_until_idle();

    rt.spawn(another);
    run_until_idle();

    rt.spawn(receiving, c);
    run_until_idle();
}

int main() {
    fmt::print("The receiver comes first:\n");
    receiver_first();
    fmt::print("\nThe sender comes first:\n");
    sender_first();
}
