#include <oneapi/tbb/task_group.h>

#include "../common/peer.hpp"

static void spawn_join() {
    const auto n = peer::size("n");
    std::vector<char> done(n);

    const peer::stopwatch watch;
    tbb::task_group group;
    for (peer::u64 i = 0; i < n; ++i) group.run([&done, i] { done[i] = 1; });
    group.wait();
    const double ns = watch.ns();

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static peer::program<> entry{"spawn_join", spawn_join};
