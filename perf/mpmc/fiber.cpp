#include <atomic>

#include "../common/fiber.hpp"
#include "../common/workloads.hpp"

template <class Channel>
static void mpmc_on(Channel& line, peer::u64 p, peer::u64 c, peer::u64 n) {
    std::atomic<peer::u64> total{0};
    std::vector<fibers::fiber> producers, consumers;

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < p; ++i)
        producers.push_back(
            fibers::post([&, i] { for (peer::u64 v = n * i / p; v < n * (i + 1) / p; ++v) line.push(v); }));
    for (peer::u64 i = 0; i < c; ++i)
        consumers.push_back(fibers::post([&] {
            peer::u64 sum = 0, v = 0;
            while (fibers::receive(line, v)) sum += v;
            total += sum;
        }));
    fibers::join_all(producers);
    line.close();
    fibers::join_all(consumers);
    const double ns = watch.ns();

    peer::expect(total, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/message", total);
}

static void mpmc() {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), n = peer::size("n");
    if (slots == 0) {
        fibers::rendezvous line;
        mpmc_on(line, p, c, n);
    } else {
        boost::fibers::buffered_channel<peer::u64> line(slots);    // holds one less
        mpmc_on(line, p, c, n);
    }
}
static peer::program<> entry{"mpmc", mpmc};
