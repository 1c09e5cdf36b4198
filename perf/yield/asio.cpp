#include <atomic>

#include "../common/asio.hpp"

static void yield(asios::pool& pool) {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    const auto where = pool.get_executor();
    std::atomic<peer::u64> total{0};

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < tasks; ++i)
        asios::spawn(where, [&]() -> asios::awaitable<void> {
            peer::u64 k = 0;
            for (; k < n; ++k) co_await boost::asio::post(where, asios::use_awaitable);
            total += k;
        });
    pool.join();
    const double ns = watch.ns();

    peer::expect(total, tasks * n);
    peer::report("time", ns / static_cast<double>(tasks * n), "ns/yield");
}
static asios::program entry{"yield", yield};
