#include <atomic>

#include "../common/thread.hpp"

static void yield() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    std::atomic<peer::u64> total{0};

    const peer::stopwatch watch;
    auto threads = plain::launch(tasks, [&](peer::u64) {
        return [&] {
            peer::u64 k = 0;
            for (; k < n; ++k) sched_yield();
            total += k;
        };
    });
    plain::join_all(threads);
    const double ns = watch.ns();

    peer::expect(total, tasks * n);
    peer::report("time", ns / static_cast<double>(tasks * n), "ns/yield");
}
static peer::program<> entry{"yield", yield};
