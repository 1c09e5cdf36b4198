// Joined in windows: finished fibers keep their stacks until the spawner waits, so one window of a million holds 9 GB.
#include "../common/fiber.hpp"

static void spawn_join() {
    const auto n = peer::size("n"), window = peer::size("window");
    std::vector<char> done(n);
    std::vector<fibers::fiber> running;
    running.reserve(window);

    const peer::stopwatch watch;
    for (peer::u64 first = 0; first < n; first += window) {
        for (peer::u64 i = first; i < std::min(n, first + window); ++i)
            running.push_back(fibers::dispatch([&done, i] { done[i] = 1; }));
        fibers::join_all(running);
        running.clear();
    }
    const double ns = watch.ns();

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static peer::program<> entry{"spawn_join", spawn_join};
