// What does a message to an idle actor cost, to and fro?
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct ping;
struct serve {
    u64 value;
    rondo::actor_ref<ping> from;
};
struct answer {
    u64 value;
};
struct begin {
    rondo::actor_ref<ping> me;
};
struct pong {
    void on(const serve& s);
};
struct ping {
    rondo::actor_ref<pong> other;
    u64 n;
    rondo::channel<u64> done;
    rondo::actor_ref<ping> me = {};
    void on(const begin& b) {
        me = b.me;
        other.tell(serve{0, me});
    }
    void on(answer a) {
        if (a.value < n) return other.tell(serve{a.value, me});
        done.send(a.value);
        me = {};
    }
};
void pong::on(const serve& s) { s.from.tell(answer{s.value + 1}); }

}  // namespace

static void actor_pingpong() {
    const auto n = peer::size("n");
    u64 last = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        rondo::channel<u64> done;
        auto a = rondo::start<ping>(ping{rondo::start<pong>(), n, done});
        const peer::stopwatch watch;
        a.tell(begin{a});
        last = done.receive();
        return watch.ns();
    });
    peer::expect(last, n);
    peer::report("time", ns / static_cast<double>(n), "ns/roundtrip", last);
}
static peer::program<> entry{"actor_pingpong", actor_pingpong};
