#include <memory>

#include "../common/asio.hpp"
#include "../common/workloads.hpp"

template <class Channel>
static asios::awaitable<void> node(asios::executor where, Channel& out, peer::u64 number, peer::u64 size) {
    if (size == 1) {
        co_await asios::send(out, number);
        co_return;
    }
    auto in = std::make_shared<Channel>(where, 10);
    for (peer::u64 i = 0; i < 10; ++i)
        asios::spawn(where, [where, in, number, size, i]() -> asios::awaitable<void> {
            co_await node<Channel>(where, *in, number + i * (size / 10), size / 10);
        });
    peer::u64 sum = 0;
    for (int i = 0; i < 10; ++i) sum += co_await asios::receive(*in);
    co_await asios::send(out, sum);
}

static void skynet(asios::pool& pool) {
    const auto n = peer::size("n");
    const auto where = pool.get_executor();
    asios::with_channel([&]<class Channel>() {
        Channel out(where, 1);
        asios::latch finished;
        peer::u64 result = 0;

        const peer::stopwatch watch;
        asios::spawn(where, [&]() -> asios::awaitable<void> { co_await node<Channel>(where, out, 0, n); });
        asios::spawn(where, [&]() -> asios::awaitable<void> {
            result = co_await asios::receive(out);
            finished.open();
        });
        finished.wait();
        const double ns = watch.ns();

        pool.join();
        peer::expect(result, peer::sum_below(n));
        peer::report("time", ns / 1e6, "ms", result);
    });
}
static asios::program entry{"skynet", skynet};
