#include <deque>

#include "../common/asio.hpp"

static void ring(asios::pool& pool) {
    const auto tasks = peer::size("tasks"), hops = peer::size("hops");
    const auto where = pool.get_executor();
    constexpr auto no_throw = boost::asio::as_tuple(asios::use_awaitable);
    asios::with_channel([&]<class Channel>() {
        std::deque<Channel> circle;
        for (peer::u64 i = 0; i < tasks; ++i) circle.emplace_back(where, 0);
        peer::u64 last = ~0ull;

        const peer::stopwatch watch;
        for (peer::u64 me = 0; me < tasks; ++me)
            asios::spawn(where, [&, me]() -> asios::awaitable<void> {
                for (;;) {
                    auto [error, left] = co_await circle[me].async_receive(no_throw);
                    if (error) co_return;
                    if (left == 0) {
                        last = me;
                        for (auto& c : circle) c.close();
                        co_return;
                    }
                    co_await asios::send(circle[(me + 1) % tasks], left - 1);
                }
            });
        asios::spawn(where, [&]() -> asios::awaitable<void> { co_await asios::send(circle[0], hops); });
        pool.join();
        const double ns = watch.ns();

        peer::expect(last, hops % tasks);
        peer::report("time", ns / static_cast<double>(hops), "ns/hop", last);
    });
}
static asios::program entry{"ring", ring};
