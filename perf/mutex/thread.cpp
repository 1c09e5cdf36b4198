#include "../common/thread.hpp"

static void mutex() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    std::mutex guard;
    peer::u64 counter = 0;

    const peer::stopwatch watch;
    auto threads = plain::launch(tasks, [&](peer::u64) {
        return [&] {
            for (peer::u64 k = 0; k < n / tasks; ++k) {
                std::lock_guard lock(guard);
                ++counter;
            }
        };
    });
    plain::join_all(threads);
    const double ns = watch.ns();

    peer::expect(counter, n / tasks * tasks);
    peer::report("time", ns / static_cast<double>(counter), "ns/op");
}
static peer::program<> entry{"mutex", mutex};
