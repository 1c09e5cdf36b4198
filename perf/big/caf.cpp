#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

using leave = caf::atom_constant<caf::atom("leave")>;
using pong = caf::atom_constant<caf::atom("pong")>;
static void big(cafs::actor_system& sys) {
    long actors = peer::size("actors"), pings = peer::size("pings");
    struct State { peer::u64 rng; long left, served; };
    std::vector<cafs::actor> v(actors); std::vector<State> st(actors);
    cafs::latch finished(actors);
    const peer::stopwatch t;
    for (long i = 0; i < actors; ++i) {
        st[i] = {peer::u64(i + 1), pings, 0};
        v[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            auto next = [&, i, self] {
                peer::u64 j = peer::xorshift64(st[i].rng) % (actors - 1);
                if (j >= peer::u64(i)) ++j;
                self->send(v[j], i);
            };
            return {[=](cafs::go) { next(); },
                    [&, i, self](long from) { ++st[i].served; self->send(v[from], pong::value); },
                    [&, i, next](pong) { if (--st[i].left == 0) finished.down(); else next(); },
                    [self](leave) { self->quit(); }};
        });
    }
    for (auto& a : v) caf::anon_send(a, cafs::go::value);
    finished.wait();
    for (auto& a : v) caf::anon_send(a, leave::value);
    sys.await_all_actors_done();
    const double d = t.ns();
    peer::u64 served = 0; for (auto& s : st) served += s.served;
    peer::expect(served, actors * pings);
    peer::report("time", d / (2.0 * actors * pings), "ns/message", served);
}
static cafs::program entry{"big", big};
