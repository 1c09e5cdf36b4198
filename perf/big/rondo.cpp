// What does a message cost among actors that all send to all?
#include <rondo/rondo.hpp>
#include <vector>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct ping {
    u64 from;
};
struct pong {};
struct go {};
struct served {};
struct player {
    const std::vector<rondo::actor_ref<player>>& all;
    u64 me, left;
    rondo::wait_group& finished;
    u64 state = me + 1, seen = 0;
    player(const std::vector<rondo::actor_ref<player>>& a, u64 i, u64 pings, rondo::wait_group& f)
        : all(a), me(i), left(pings), finished(f) {}

    void next() {
        u64 to = peer::xorshift64(state) % (all.size() - 1);
        if (to >= me) ++to;
        all[to].tell(ping{me});
    }
    void on(go) { next(); }
    void on(ping p) {
        ++seen;
        all[p.from].tell(pong{});
    }
    void on(pong) {
        if (--left == 0) finished.done();
        else next();
    }
    u64 on(served) const { return seen; }
};

}  // namespace

static void big() {
    const auto actors = peer::size("actors"), pings = peer::size("pings");
    u64 sum = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::actor_ref<player>> all;
        all.reserve(actors);
        rondo::wait_group finished;
        const peer::stopwatch watch;
        finished.add(static_cast<std::ptrdiff_t>(actors));
        for (u64 i = 0; i < actors; ++i) all.push_back(rondo::start<player>(all, i, pings, finished));
        for (auto& a : all) a.tell(go{});
        finished.wait();
        for (auto& a : all) sum += a.ask(served{});
        for (auto& a : all) a.stop();
        for (auto& a : all) a.join();
        return watch.ns();
    });
    peer::expect(sum, actors * pings);
    peer::report("time", ns / static_cast<double>(2 * actors * pings), "ns/message", sum);
}
static peer::program<> entry{"big", big};
