#include <atomic>

#include "../common/thread.hpp"
#include "../common/workloads.hpp"

static void sleep_many() {
    const auto n = peer::size("n");
    std::atomic<peer::u64> count{0};
    peer::sleep_times times;

    const auto before = peer::usage::now();
    const peer::stopwatch watch;
    auto threads = plain::launch(n, [&](peer::u64) {
        return [&count, ms = times.next_ms()] {
            usleep(static_cast<useconds_t>(ms * 1000));
            ++count;
        };
    });
    plain::join_all(threads);
    const double ns = watch.ns();
    const auto used = peer::usage::now() - before;

    peer::expect(count, n);
    peer::report("over_ideal", ns / 1e6 - 1000, "ms");
    peer::report("cpu", used.cpu_ms / 1e3, "s");
}
static peer::program<> entry{"sleep", sleep_many};
