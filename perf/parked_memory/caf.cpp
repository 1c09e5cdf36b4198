#include "../common/caf_parked.hpp"

static void parked_memory(cafs::actor_system& system) {
    const auto n = peer::size("n");
    const double before = peer::resident_bytes();
    cafs::parked parked(system, n);
    const double after = peer::resident_bytes();
    parked.release();
    peer::report("rss", (after - before) / static_cast<double>(n), "bytes/task");
}
static cafs::program entry{"parked_memory", parked_memory};
