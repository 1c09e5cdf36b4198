// Do a million sleepers wake in time, and what does keeping their time cost?
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static void sleep_many() {
    const auto n = peer::size("n");
    peer::u64 count = 0;
    peer::usage used{};

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        peer::sleep_times times;
        const auto before = peer::usage::now();
        const peer::stopwatch watch;
        std::vector<rondo::tasklet<peer::u64>> sleepers;
        sleepers.reserve(n);
        for (peer::u64 i = 0; i < n; ++i)
            sleepers.push_back(rondo::spawn([ms = times.next_ms()] {
                rondo::sleep_for(std::chrono::milliseconds(ms));
                return peer::u64{1};
            }));
        for (auto& s : sleepers) count += s.join();
        const double taken = watch.ns();
        used = peer::usage::now() - before;
        return taken;
    });

    peer::expect(count, n);
    peer::report("over_ideal", ns / 1e6 - 1000, "ms");
    peer::report("cpu", used.cpu_ms / 1e3, "s");
}
static peer::program<> entry{"sleep", sleep_many};
