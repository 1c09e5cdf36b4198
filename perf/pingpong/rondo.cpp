// How long is a round trip between two tasklets over two rendezvous channels?
#include <rondo/rondo.hpp>

#include "../common/channels.hpp"
#include "../common/peer.hpp"

using peer::u64;

static void pingpong() {
    const auto n = peer::size("n");
    const bool spin = peer::flag("spin");
    u64 last = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        auto there = peer::rendezvous(spin), back = peer::rendezvous(spin);
        auto pong = rondo::spawn([=] { for (u64 v : there) back.send(v + 1); });
        auto ping = rondo::spawn([=] {
            u64 v = 0;
            for (u64 i = 0; i < n; ++i) {
                there.send(v);
                v = back.receive();
            }
            there.close();
            return v;
        });
        last = ping.join();
        pong.join();
        return watch.ns();
    });

    peer::expect(last, n);
    peer::report("time", ns / static_cast<double>(n), "ns/roundtrip", last);
}
static peer::program<> entry{"pingpong", pingpong};
