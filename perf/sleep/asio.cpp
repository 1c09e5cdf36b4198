#include <atomic>

#include "../common/asio.hpp"
#include "../common/workloads.hpp"

static void sleep_many(asios::pool& pool) {
    const auto n = peer::size("n");
    const auto where = pool.get_executor();
    std::atomic<peer::u64> count{0};

    const auto before = peer::usage::now();
    const peer::stopwatch watch;
    boost::asio::post(where, [&] {
        peer::sleep_times times;
        for (peer::u64 i = 0; i < n; ++i)
            asios::spawn(where, [&, ms = times.next_ms()]() -> asios::awaitable<void> {
                boost::asio::steady_timer timer(where, std::chrono::milliseconds(ms));
                co_await timer.async_wait(asios::use_awaitable);
                ++count;
            });
    });
    pool.join();
    const double ns = watch.ns();
    const auto used = peer::usage::now() - before;

    peer::expect(count, n);
    peer::report("over_ideal", ns / 1e6 - 1000, "ms");
    peer::report("cpu", used.cpu_ms / 1e3, "s");
}
static asios::program entry{"sleep", sleep_many};
