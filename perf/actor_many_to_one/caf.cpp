#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

static void actor_many_to_one(cafs::actor_system& sys) {
    long senders = peer::size("senders"), per = peer::size("per");
    peer::u64 r = 0; long left = senders * per;
    cafs::latch l(1);
    const peer::stopwatch t;
    auto sink = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&, self](peer::u64 v) { r += v; if (--left == 0) { l.down(); self->quit(); } }};
    });
    for (long s = 0; s < senders; ++s)
        sys.spawn([=](cafs::event_based_actor* self) { for (long i = 0; i < per; ++i) self->send(sink, peer::u64(i)); });
    l.wait();
    const double d = t.ns();
    peer::expect(r, peer::u64(senders) * per * (per - 1) / 2);
    peer::report("time", d / (senders * per), "ns/message", r);
}
static cafs::program entry{"actor_many_to_one", actor_many_to_one};
