// What does a message cost from tell to handler, from one producer?
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct increment {};
struct count {};
struct counter {
    u64 n = 0;
    void on(increment) { ++n; }
    u64 on(count) const { return n; }
};
struct produce {
    u64 n;
};
struct producer {
    rondo::actor_ref<counter> to;
    u64 on(produce p) {
        for (u64 i = 0; i < p.n; ++i) to.tell(increment{});
        return to.ask(count{});
    }
};

}  // namespace

static void actor_counting() {
    const auto n = peer::size("n");
    u64 result = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        result = rondo::start<producer>(producer{rondo::start<counter>()}).ask(produce{n});
        return watch.ns();
    });
    peer::expect(result, n);
    peer::report("time", ns / static_cast<double>(n), "ns/message", result);
}
static peer::program<> entry{"actor_counting", actor_counting};
