// Counts what the process holds; the kernel's own stack of every thread (16 KiB) is not in it.
#include "../common/thread_parked.hpp"

static void parked_memory() {
    const auto n = peer::size("n");
    const double before = peer::resident_bytes();
    plain::parked parked(n);
    const double after = peer::resident_bytes();
    parked.release();
    peer::report("rss", (after - before) / static_cast<double>(n), "bytes/task");
}
static peer::program<> entry{"parked_memory", parked_memory};
