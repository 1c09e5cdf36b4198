// No channels: each node writes its sum to its parent's slot.
#include <oneapi/tbb/task_group.h>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static peer::u64 node(peer::u64 number, peer::u64 size) {
    if (size == 1) return number;
    peer::u64 part[10];
    tbb::task_group group;
    for (peer::u64 i = 0; i < 10; ++i)
        group.run([&part, i, number, size] { part[i] = node(number + i * (size / 10), size / 10); });
    group.wait();
    peer::u64 sum = 0;
    for (peer::u64 p : part) sum += p;
    return sum;
}

static void skynet() {
    const auto n = peer::size("n");
    peer::u64 result = 0;

    const peer::stopwatch watch;
    tbb::task_group group;
    group.run_and_wait([&] { result = node(0, n); });
    const double ns = watch.ns();

    peer::expect(result, peer::sum_below(n));
    peer::report("time", ns / 1e6, "ms", result);
}
static peer::program<> entry{"skynet", skynet};
