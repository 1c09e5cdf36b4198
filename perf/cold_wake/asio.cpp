#include "../common/asio.hpp"

static void cold_wake(asios::pool& pool) {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    asios::locked_channel<std::int64_t> line(pool.get_executor(), 64);
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);
    asios::latch finished;

    asios::spawn(pool.get_executor(), [&]() -> asios::awaitable<void> {
        while (late_ns.size() < n) {
            const auto sent = co_await asios::receive(line);
            late_ns.push_back(peer::now_ns() - sent);
        }
        finished.open();
    });
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        while (!line.try_send(asios::error_code{}, peer::now_ns())) {}
    }
    finished.wait();

    peer::report_latency(std::move(late_ns));
}
static asios::program entry{"cold_wake", cold_wake};
