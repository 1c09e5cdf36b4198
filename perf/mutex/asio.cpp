// Asio has no mutex: the critical section is a hop onto a strand and back.
#include "../common/asio.hpp"

static void mutex(asios::pool& pool) {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    const auto where = pool.get_executor();
    asios::strand guard(where);
    peer::u64 counter = 0;

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < tasks; ++i)
        asios::spawn(where, [&]() -> asios::awaitable<void> {
            for (peer::u64 k = 0; k < n / tasks; ++k) {
                co_await boost::asio::dispatch(boost::asio::bind_executor(guard, asios::use_awaitable));
                ++counter;
                co_await boost::asio::dispatch(boost::asio::bind_executor(where, asios::use_awaitable));
            }
        });
    pool.join();
    const double ns = watch.ns();

    peer::expect(counter, n / tasks * tasks);
    peer::report("time", ns / static_cast<double>(counter), "ns/op");
}
static asios::program entry{"mutex", mutex};
