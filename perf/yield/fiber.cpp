#include <atomic>

#include "../common/fiber.hpp"

static void yield() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    std::atomic<peer::u64> total{0};
    std::vector<fibers::fiber> yielders;

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < tasks; ++i)
        yielders.push_back(fibers::post([&] {
            peer::u64 k = 0;
            for (; k < n; ++k) boost::this_fiber::yield();
            total += k;
        }));
    fibers::join_all(yielders);
    const double ns = watch.ns();

    peer::expect(total, tasks * n);
    peer::report("time", ns / static_cast<double>(tasks * n), "ns/yield");
}
static peer::program<> entry{"yield", yield};
