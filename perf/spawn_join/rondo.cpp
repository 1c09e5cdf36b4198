// What does it cost to make a tasklet that does next to nothing, and to wait for it?
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"

static void spawn_join() {
    const auto n = peer::size("n");
    std::vector<char> done(n);

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        rondo::scope([&](rondo::group& g) {
            for (peer::u64 i = 0; i < n; ++i) g.spawn([&done, i] { done[i] = 1; });
        });
        return watch.ns();
    });

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static peer::program<> entry{"spawn_join", spawn_join};
