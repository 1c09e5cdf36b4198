// What does a hop between actors cost in a circle?
#include <rondo/rondo.hpp>
#include <vector>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct hop {
    u64 left;
};
struct member {
    const std::vector<rondo::actor_ref<member>>& circle;
    u64 me;
    rondo::channel<u64> finished;
    void on(hop h) {
        if (h.left == 0) return finished.send(me);
        circle[me + 1 == circle.size() ? 0 : me + 1].tell(hop{h.left - 1});
    }
};

}  // namespace

static void actor_ring() {
    const auto tasks = peer::size("tasks"), hops = peer::size("hops");
    u64 where = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::actor_ref<member>> circle;
        circle.reserve(tasks);
        rondo::channel<u64> finished;
        for (u64 i = 0; i < tasks; ++i) circle.push_back(rondo::start<member>(member{circle, i, finished}));
        const peer::stopwatch watch;
        circle[0].tell(hop{hops});
        where = finished.receive();
        const double took = watch.ns();
        for (const auto& a : circle) a.stop();
        for (const auto& a : circle) a.join();
        return took;
    });
    peer::expect(where, hops % tasks);
    peer::report("time", ns / static_cast<double>(hops), "ns/hop", where);
}
static peer::program<> entry{"actor_ring", actor_ring};
