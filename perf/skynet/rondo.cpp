// How fast do a million tasklets come to life and send a number each up a tree of rendezvous channels? Whoever sends goes on
// (handoff::none), to its end: so its stack is free for the next one.
#include <rondo/rondo.hpp>
#include <tuple>

#include "../common/channels.hpp"
#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

static void node(rondo::channel<u64> out, bool spin, u64 number, u64 size) {
    if (size == 1) return out.send(number);
    auto in = peer::rendezvous(spin);
    const u64 part = size / 10;
    for (u64 i = 0; i < 10; ++i) std::ignore = rondo::spawn(node, in, spin, number + i * part, part);
    u64 sum = 0;
    for (int i = 0; i < 10; ++i) sum += in.receive();
    out.send(sum);
}

static void skynet() {
    const auto n = peer::size("n");
    const bool spin = peer::flag("spin");
    u64 result = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        auto out = peer::rendezvous(spin);
        const auto root = rondo::spawn(node, out, spin, 0, n);
        result = out.receive();
        return watch.ns();
    });

    peer::expect(result, peer::sum_below(n));
    peer::report("time", ns / 1e6, "ms", result);
}
static peer::program<> entry{"skynet", skynet};
