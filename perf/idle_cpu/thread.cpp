#include "../common/thread_parked.hpp"

static void idle_cpu() {
    const auto n = peer::size("n"), ms = peer::size("ms");
    plain::parked parked(n);
    const auto before = peer::usage::now();
    usleep(static_cast<useconds_t>(ms * 1000));
    const auto used = peer::usage::now() - before;
    parked.release();
    peer::report_idle(used, ms);
}
static peer::program<> entry{"idle_cpu", idle_cpu};
