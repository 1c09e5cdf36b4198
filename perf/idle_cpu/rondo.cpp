// What does a runtime use while all its tasklets are suspended?
#include "../common/rondo_parked.hpp"

static void idle_cpu() {
    const auto n = peer::size("n"), ms = peer::size("ms");
    const auto used = rondo::run({.workers = peer::workers}, [&] {
        peer::parked parked(n);
        const auto before = peer::usage::now();
        rondo::sleep_for(std::chrono::milliseconds(ms));
        const auto idle = peer::usage::now() - before;
        parked.release();
        return idle;
    });
    peer::report_idle(used, ms);
}
static peer::program<> entry{"idle_cpu", idle_cpu};
