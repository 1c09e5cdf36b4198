#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

using leave = caf::atom_constant<caf::atom("leave")>;
static void actor_counting(cafs::actor_system& sys) {
    peer::u64 n = peer::size("n"), r = 0;
    cafs::latch l(1);
    const peer::stopwatch t;
    auto counter = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&](peer::u64 v) { r += v; }, [&, self](leave) { l.down(); self->quit(); }};
    });
    sys.spawn([=](cafs::event_based_actor* self) {
        for (peer::u64 i = 0; i < n; ++i) self->send(counter, peer::u64(1));
        self->send(counter, leave::value);
    });
    l.wait();
    const double d = t.ns();
    peer::expect(r, n);
    peer::report("time", d / n, "ns/message", r);
}
static cafs::program entry{"actor_counting", actor_counting};
