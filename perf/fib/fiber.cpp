#include "../common/fiber.hpp"
#include "../common/workloads.hpp"

static peer::u64 fib(peer::u64 n) {
    if (n < 2) return n;
    peer::u64 a = 0;
    auto child = fibers::dispatch([&a, n] { a = fib(n - 1); });
    const peer::u64 b = fib(n - 2);
    child.join();
    return a + b;
}

static void run() {
    const auto n = peer::size("n");
    peer::u64 result = 0;

    const peer::stopwatch watch;
    fibers::dispatch([&] { result = fib(n); }).join();
    const double ns = watch.ns();

    peer::expect(result, peer::fib_value(n));
    peer::report("time", ns / peer::fib_tasks(n), "ns/task", result);
}
static peer::program<> entry{"fib", run};
