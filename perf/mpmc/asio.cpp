// A closed channel would drop what is in it, so consumers receive an agreed share instead.
#include <atomic>

#include "../common/asio.hpp"
#include "../common/workloads.hpp"

static void mpmc(asios::pool& pool) {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), n = peer::size("n");
    const auto where = pool.get_executor();
    asios::with_channel([&]<class Channel>() {
        Channel line(where, slots);
        std::atomic<peer::u64> total{0};

        const peer::stopwatch watch;
        for (peer::u64 i = 0; i < p; ++i)
            asios::spawn(where, [&, i]() -> asios::awaitable<void> {
                for (peer::u64 v = n * i / p; v < n * (i + 1) / p; ++v) co_await asios::send(line, v);
            });
        for (peer::u64 i = 0; i < c; ++i)
            asios::spawn(where, [&, i]() -> asios::awaitable<void> {
                peer::u64 sum = 0;
                for (peer::u64 k = n * i / c; k < n * (i + 1) / c; ++k) sum += co_await asios::receive(line);
                total += sum;
            });
        pool.join();
        const double ns = watch.ns();

        peer::expect(total, peer::sum_below(n));
        peer::report("time", ns / static_cast<double>(n), "ns/message", total);
    });
}
static asios::program entry{"mpmc", mpmc};
