// What does a trip to the tail of the run queue cost, alone and among a thousand?
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"

using peer::u64;

static void yield() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    u64 total = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        std::vector<rondo::tasklet<u64>> yielders;
        for (u64 i = 0; i < tasks; ++i)
            yielders.push_back(rondo::spawn([n] {
                u64 k = 0;
                for (; k < n; ++k) rondo::yield();
                return k;
            }));
        for (auto& t : yielders) total += t.join();
        return watch.ns();
    });

    peer::expect(total, tasks * n);
    peer::report("time", ns / static_cast<double>(tasks * n), "ns/yield");
}
static peer::program<> entry{"yield", yield};
