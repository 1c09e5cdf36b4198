// What does a message cost when many senders want one actor?
#include <rondo/rondo.hpp>
#include <vector>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct number {
    u64 value;
};
struct total {};
struct sink {
    u64 sum = 0;
    void on(number n) { sum += n.value; }
    u64 on(total) const { return sum; }
};
struct go {};
struct go_on {};
struct sender {
    rondo::actor_ref<sink> to;
    u64 per;
    void on(go) {
        for (u64 i = 0; i < per; ++i) to.tell(number{i});
    }
    void on(go_on) {}
};

}  // namespace

static void actor_many_to_one() {
    const auto senders = peer::size("senders"), per = peer::size("per");
    u64 sum = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        const auto to = rondo::start<sink>();
        std::vector<rondo::actor_ref<sender>> all;
        for (u64 i = 0; i < senders; ++i) {
            all.push_back(rondo::start<sender>(sender{to, per}));
            all.back().tell(go{});
        }
        for (auto& a : all) a.ask(go_on{});                        // it has sent all
        sum = to.ask(total{});
        return watch.ns();
    });
    peer::expect(sum, senders * peer::sum_below(per));
    peer::report("time", ns / static_cast<double>(senders * per), "ns/message", sum);
}
static peer::program<> entry{"actor_many_to_one", actor_many_to_one};
