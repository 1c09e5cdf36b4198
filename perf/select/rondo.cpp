// What does it cost to wait for the first of four channels?
#include <rondo/rondo.hpp>

#include <array>

#include "../common/channels.hpp"
#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

static void select() {
    const auto n = peer::size("n");
    const bool spin = peer::flag("spin");
    u64 total = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        std::array<rondo::channel<u64>, 4> lines;
        std::array<rondo::tasklet<void>, 4> producers;
        for (u64 i = 0; i < lines.size(); ++i) {
            lines[i] = peer::rendezvous(spin);
            producers[i] = rondo::spawn([line = lines[i], i, n] {
                for (u64 v = n * i / 4; v < n * (i + 1) / 4; ++v) line.send(v);
            });
        }
        auto consumer = rondo::spawn([&lines, n] {
            u64 sum = 0;
            const auto add = [&sum](u64 v) { sum += v; };
            for (u64 i = 0; i < n; ++i)
                rondo::select(rondo::from(lines[0], add), rondo::from(lines[1], add), rondo::from(lines[2], add),
                              rondo::from(lines[3], add));
            return sum;
        });
        total = consumer.join();
        const double taken = watch.ns();
        for (auto& p : producers) p.join();
        return taken;
    });

    peer::expect(total, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/message", total);
}
static peer::program<> entry{"select", select};
