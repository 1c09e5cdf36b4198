#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

static void actor_ring(cafs::actor_system& sys) {
    long tasks = peer::size("tasks"); peer::u64 hops = peer::size("hops");
    std::vector<cafs::actor> v(tasks); long where = -1;
    cafs::latch l(1);
    for (long i = 0; i < tasks; ++i)
        v[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            return {[&, i, self](peer::u64 m) { if (m == 0) { where = i; l.down(); } else self->send(v[(i + 1) % tasks], m - 1); }};
        });
    const peer::stopwatch t; caf::anon_send(v[0], hops); l.wait(); const double d = t.ns();
    for (auto& a : v) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    peer::expect(where, hops % tasks);
    peer::report("time", d / hops, "ns/hop", where);
}
static cafs::program entry{"actor_ring", actor_ring};
