#include "../common/thread.hpp"

static void spawn_join() {
    const auto n = peer::size("n"), at_a_time = peer::size("window");    // the kernel does not hold a million
    std::vector<char> done(n);

    const peer::stopwatch watch;
    for (peer::u64 first = 0; first < n; first += at_a_time) {
        auto threads = plain::launch(std::min(at_a_time, n - first), [&](peer::u64 i) {
            return [&done, k = first + i] { done[k] = 1; };
        });
        plain::join_all(threads);
    }
    const double ns = watch.ns();

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static peer::program<> entry{"spawn_join", spawn_join};
