#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/task_group.h>

#include "../common/peer.hpp"

static void mutex() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    tbb::mutex guard;
    peer::u64 counter = 0;

    const peer::stopwatch watch;
    tbb::task_group group;
    for (peer::u64 i = 0; i < tasks; ++i)
        group.run([&] {
            for (peer::u64 k = 0; k < n / tasks; ++k) {
                tbb::mutex::scoped_lock lock(guard);
                ++counter;
            }
        });
    group.wait();
    const double ns = watch.ns();

    peer::expect(counter, n / tasks * tasks);
    peer::report("time", ns / static_cast<double>(counter), "ns/op");
}
static peer::program<> entry{"mutex", mutex};
