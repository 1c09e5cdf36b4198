#include <atomic>

#include "../common/fiber.hpp"
#include "../common/workloads.hpp"

static void sleep_many() {
    const auto n = peer::size("n");
    std::atomic<peer::u64> count{0};
    peer::sleep_times times;
    std::vector<fibers::fiber> sleepers;
    sleepers.reserve(n);

    const auto before = peer::usage::now();
    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < n; ++i)
        sleepers.push_back(fibers::dispatch([&count, ms = times.next_ms()] {
            boost::this_fiber::sleep_for(std::chrono::milliseconds(ms));
            ++count;
        }));
    fibers::join_all(sleepers);
    const double ns = watch.ns();
    const auto used = peer::usage::now() - before;

    peer::expect(count, n);
    peer::report("over_ideal", ns / 1e6 - 1000, "ms");
    peer::report("cpu", used.cpu_ms / 1e3, "s");
}
static peer::program<> entry{"sleep", sleep_many};
