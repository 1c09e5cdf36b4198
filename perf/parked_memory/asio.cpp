#include "../common/asio_parked.hpp"

static void parked_memory(asios::pool& pool) {
    const auto n = peer::size("n");
    asios::with_channel([&]<class Channel>() {
        const double before = peer::resident_bytes();
        asios::parked<Channel> parked(pool, n);
        const double after = peer::resident_bytes();
        parked.release();
        peer::report("rss", (after - before) / static_cast<double>(n), "bytes/task");
    });
}
static asios::program entry{"parked_memory", parked_memory};
