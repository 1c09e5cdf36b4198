// How long does a token take to the next of many tasklets in a circle of rendezvous channels?
#include <rondo/rondo.hpp>

#include "../common/channels.hpp"
#include "../common/peer.hpp"

using peer::u64;

static void ring() {
    const auto tasks = peer::size("tasks"), hops = peer::size("hops");
    const bool spin = peer::flag("spin");
    u64 where = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::channel<u64>> circle;
        for (u64 i = 0; i < tasks; ++i) circle.push_back(peer::rendezvous(spin));
        rondo::channel<u64> finished;

        const peer::stopwatch watch;
        std::vector<rondo::tasklet<void>> players;
        for (u64 me = 0; me < tasks; ++me)
            players.push_back(rondo::spawn([&, me] {
                const auto in = circle[me], out = circle[(me + 1) % tasks];
                for (u64 left : in) {
                    if (left == 0) return finished.send(me);
                    out.send(left - 1);
                }
            }));
        circle[0].send(hops);
        where = finished.receive();
        const double taken = watch.ns();

        for (auto& c : circle) c.close();
        for (auto& p : players) p.join();
        return taken;
    });

    peer::expect(where, hops % tasks);
    peer::report("time", ns / static_cast<double>(hops), "ns/hop", where);
}
static peer::program<> entry{"ring", ring};
