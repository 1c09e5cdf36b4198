#include "../common/caf_parked.hpp"

static void idle_cpu(cafs::actor_system& system) {
    const auto n = peer::size("n"), ms = peer::size("ms");
    cafs::parked parked(system, n);
    const auto before = peer::usage::now();
    usleep(static_cast<useconds_t>(ms * 1000));
    const auto used = peer::usage::now() - before;
    parked.release();
    peer::report_idle(used, ms);
}
static cafs::program entry{"idle_cpu", idle_cpu};
