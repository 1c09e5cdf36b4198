// What does a message cost when many producers and consumers share one channel?
#include <rondo/rondo.hpp>

#include "../common/channels.hpp"
#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

static void mpmc() {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), n = peer::size("n");
    const bool spin = peer::flag("spin");
    u64 total = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        auto line = peer::rendezvous(spin, slots);
        std::vector<rondo::tasklet<void>> producers;
        std::vector<rondo::tasklet<u64>> consumers;
        for (u64 i = 0; i < p; ++i)
            producers.push_back(
                rondo::spawn([=] { for (u64 v = n * i / p; v < n * (i + 1) / p; ++v) line.send(v); }));
        for (u64 i = 0; i < c; ++i)
            consumers.push_back(rondo::spawn([=] {
                u64 sum = 0;
                for (u64 v : line) sum += v;
                return sum;
            }));
        for (auto& t : producers) t.join();
        line.close();
        for (auto& t : consumers) total += t.join();
        return watch.ns();
    });

    peer::expect(total, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/message", total);
}
static peer::program<> entry{"mpmc", mpmc};
