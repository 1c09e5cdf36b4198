#include "../common/fiber_parked.hpp"

static void idle_cpu() {
    const auto n = peer::size("n"), ms = peer::size("ms");
    fibers::parked parked(n);
    const auto before = peer::usage::now();
    boost::this_fiber::sleep_for(std::chrono::milliseconds(ms));
    const auto used = peer::usage::now() - before;
    parked.release();
    peer::report_idle(used, ms);
}
static peer::program<> entry{"idle_cpu", idle_cpu};
