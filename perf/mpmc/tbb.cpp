// A queue with slots, used by plain threads: the queue has no rendezvous, and a TBB task must not wait for a message.
#include <oneapi/tbb/concurrent_queue.h>

#include <atomic>
#include <thread>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static void mpmc() {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), n = peer::size("n");
    if (slots == 0) peer::unsupported();
    constexpr peer::u64 end = ~0ull;
    tbb::concurrent_bounded_queue<peer::u64> line;
    line.set_capacity(static_cast<std::ptrdiff_t>(slots));
    std::atomic<peer::u64> total{0};
    std::vector<std::thread> producers, consumers;

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < p; ++i)
        producers.emplace_back([&, i] { for (peer::u64 v = n * i / p; v < n * (i + 1) / p; ++v) line.push(v); });
    for (peer::u64 i = 0; i < c; ++i)
        consumers.emplace_back([&] {
            peer::u64 sum = 0, v = 0;
            for (line.pop(v); v != end; line.pop(v)) sum += v;
            total += sum;
        });
    for (auto& t : producers) t.join();
    for (peer::u64 i = 0; i < c; ++i) line.push(end);
    for (auto& t : consumers) t.join();
    const double ns = watch.ns();

    peer::expect(total, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/message", total);
}
static peer::program<> entry{"mpmc", mpmc};
