// An actor spawns the others, into its worker's own queue; with ext=1 the main thread does, round all workers.
#include "../common/caf.hpp"

static void spawn_join(cafs::actor_system& system) {
    const auto n = peer::size("n");
    const bool from_outside = peer::flag("ext");
    std::vector<char> done(n);
    char* const slots = done.data();

    const peer::stopwatch watch;
    if (from_outside) {
        for (peer::u64 i = 0; i < n; ++i) system.spawn([slots, i](cafs::event_based_actor*) { slots[i] = 1; });
    } else {
        system.spawn([slots, n](cafs::event_based_actor* self) {
            for (peer::u64 i = 0; i < n; ++i) self->spawn([slots, i](cafs::event_based_actor*) { slots[i] = 1; });
        });
    }
    system.await_all_actors_done();
    const double ns = watch.ns();

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static cafs::program entry{"spawn_join", spawn_join};
