// How much memory does a suspended tasklet hold?
#include "../common/rondo_parked.hpp"

static void parked_memory() {
    const auto n = peer::size("n");
    const double bytes = rondo::run({.workers = peer::workers}, [&] {
        const double before = peer::resident_bytes();
        peer::parked parked(n);
        const double after = peer::resident_bytes();
        parked.release();
        return after - before;
    });
    peer::report("rss", bytes / static_cast<double>(n), "bytes/task");
}
static peer::program<> entry{"parked_memory", parked_memory};
