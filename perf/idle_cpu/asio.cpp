#include "../common/asio_parked.hpp"

static void idle_cpu(asios::pool& pool) {
    const auto n = peer::size("n"), ms = peer::size("ms");
    asios::with_channel([&]<class Channel>() {
        asios::parked<Channel> parked(pool, n);
        const auto before = peer::usage::now();
        usleep(static_cast<useconds_t>(ms * 1000));
        const auto used = peer::usage::now() - before;
        parked.release();
        peer::report_idle(used, ms);
    });
}
static asios::program entry{"idle_cpu", idle_cpu};
