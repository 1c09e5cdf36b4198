// What does a call cost when every call is a tasklet? No cut-off below which it would be sequential.
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static peer::u64 fib(peer::u64 n) {
    if (n < 2) return n;
    auto child = rondo::spawn([n] { return fib(n - 1); });
    const peer::u64 b = fib(n - 2);
    return child.join() + b;
}

static void run() {
    const auto n = peer::size("n");
    peer::u64 result = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        result = fib(n);
        return watch.ns();
    });

    peer::expect(result, peer::fib_value(n));
    peer::report("time", ns / peer::fib_tasks(n), "ns/task", result);
}
static peer::program<> entry{"fib", run};
