#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <atomic>
#include <vector>

static void actor_create(cafs::actor_system& sys) {
    const long n = (long)peer::size("n");
    std::atomic<peer::u64> sum{0};
    const peer::stopwatch t;
    sys.spawn([&sum, n](cafs::event_based_actor* self) {
        for (long i = 0; i < n; ++i) {
            auto a = self->spawn([&sum](cafs::event_based_actor* me) -> cafs::behavior { return {[&sum, me](peer::u64 v) { sum += v; me->quit(); }}; });
            self->send(a, peer::u64(i));
        }
    });
    sys.await_all_actors_done();
    const double d = t.ns();
    peer::expect(sum, peer::u64(n) * (n - 1) / 2);
    peer::report("time", d / n, "ns/actor", sum);
}
static cafs::program entry{"actor_create", actor_create};
