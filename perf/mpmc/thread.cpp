#include <atomic>

#include "../common/thread.hpp"
#include "../common/workloads.hpp"

static void mpmc() {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), n = peer::size("n");
    plain::channel<peer::u64> line(slots);
    std::atomic<peer::u64> total{0};

    const peer::stopwatch watch;
    auto producers = plain::launch(p, [&](peer::u64 i) {
        return [&, i] { for (peer::u64 v = n * i / p; v < n * (i + 1) / p; ++v) line.send(v); };
    });
    auto consumers = plain::launch(c, [&](peer::u64) {
        return [&] {
            peer::u64 sum = 0;
            while (auto v = line.receive()) sum += *v;
            total += sum;
        };
    });
    plain::join_all(producers);
    line.close();
    plain::join_all(consumers);
    const double ns = watch.ns();

    peer::expect(total, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/message", total);
}
static peer::program<> entry{"mpmc", mpmc};
