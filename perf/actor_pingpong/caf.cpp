#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

static void actor_pingpong(cafs::actor_system& sys) {
    peer::u64 n = peer::size("n"), last = 0;
    cafs::latch l(1);
    auto pong = sys.spawn([](cafs::event_based_actor*) -> cafs::behavior { return {[](peer::u64 v) { return v + 1; }}; });
    auto ping = sys.spawn([&, pong](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&, self](cafs::go) { self->send(pong, peer::u64(0)); },
                [&, self](peer::u64 v) { if (v < n) self->send(pong, v); else { last = v; l.down(); self->quit(); } }};
    });
    const peer::stopwatch t; caf::anon_send(ping, cafs::go::value); l.wait(); const double d = t.ns();
    caf::anon_send_exit(pong, caf::exit_reason::user_shutdown);
    peer::expect(last, n);
    peer::report("time", d / n, "ns/roundtrip", last);
}
static cafs::program entry{"actor_pingpong", actor_pingpong};
