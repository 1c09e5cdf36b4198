#include "../common/asio.hpp"

static void pingpong(asios::pool& pool) {
    const auto n = peer::size("n");
    asios::with_channel([&]<class Channel>() {
        Channel there(pool.get_executor(), 0), back(pool.get_executor(), 0);
        peer::u64 last = 0;

        const peer::stopwatch watch;
        asios::spawn(pool.get_executor(), [&]() -> asios::awaitable<void> {
            for (peer::u64 i = 0; i < n; ++i) {
                const peer::u64 v = co_await asios::receive(there);
                co_await asios::send(back, v + 1);
            }
        });
        asios::spawn(pool.get_executor(), [&]() -> asios::awaitable<void> {
            for (peer::u64 i = 0; i < n; ++i) {
                co_await asios::send(there, last);
                last = co_await asios::receive(back);
            }
        });
        pool.join();
        const double ns = watch.ns();

        peer::expect(last, n);
        peer::report("time", ns / static_cast<double>(n), "ns/roundtrip", last);
    });
}
static asios::program entry{"pingpong", pingpong};
