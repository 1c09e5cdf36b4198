// What does an actor cost that gets one message and ends?
#include <rondo/rondo.hpp>
#include <atomic>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct number {
    u64 value;
};
struct adder {
    std::atomic<u64>& sum;
    rondo::wait_group& all;
    explicit adder(std::atomic<u64>& s, rondo::wait_group& a) : sum(s), all(a) {}
    ~adder() { all.done(); }
    void on(number n) { sum += n.value; }
};

}  // namespace

static void actor_create() {
    const auto n = peer::size("n");
    std::atomic<u64> sum{0};
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        rondo::wait_group all;
        const peer::stopwatch watch;
        all.add(static_cast<std::ptrdiff_t>(n));
        for (u64 i = 0; i < n; ++i) rondo::start<adder>(sum, all).tell(number{i});      // the last handle goes: it ends
        all.wait();
        return watch.ns();
    });
    peer::expect(sum, peer::sum_below(n));
    peer::report("time", ns / static_cast<double>(n), "ns/actor", sum.load());
}
static peer::program<> entry{"actor_create", actor_create};
