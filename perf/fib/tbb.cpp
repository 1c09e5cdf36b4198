#include <oneapi/tbb/task_group.h>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static peer::u64 fib(peer::u64 n) {
    if (n < 2) return n;
    peer::u64 a = 0;
    tbb::task_group group;
    group.run([&a, n] { a = fib(n - 1); });
    const peer::u64 b = fib(n - 2);
    group.wait();
    return a + b;
}

static void run() {
    const auto n = peer::size("n");

    const peer::stopwatch watch;
    const peer::u64 result = fib(n);
    const double ns = watch.ns();

    peer::expect(result, peer::fib_value(n));
    peer::report("time", ns / peer::fib_tasks(n), "ns/task", result);
}
static peer::program<> entry{"fib", run};
