// A coroutine each; with raw=1 (peer asio-post) a bare posted handler.
#include "../common/asio.hpp"

static void spawn_join(asios::pool& pool) {
    const auto n = peer::size("n");
    const bool raw = peer::flag("raw");
    if (raw) peer::name = "asio-post";
    std::vector<char> done(n);
    const auto where = pool.get_executor();

    const peer::stopwatch watch;
    boost::asio::post(where, [&done, where, n, raw] {
        for (peer::u64 i = 0; i < n; ++i) {
            if (raw)
                boost::asio::post(where, [&done, i] { done[i] = 1; });
            else
                asios::spawn(where, [&done, i]() -> asios::awaitable<void> {
                    done[i] = 1;
                    co_return;
                });
        }
    });
    pool.join();
    const double ns = watch.ns();

    peer::expect(static_cast<peer::u64>(std::count(done.begin(), done.end(), 1)), n);
    peer::report("time", ns / static_cast<double>(n), "ns/task");
}
static asios::program entry{"spawn_join", spawn_join};
