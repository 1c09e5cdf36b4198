// The sender is a handler that keeps its worker busy; with ext=1 the main thread.
#include "../common/asio.hpp"

static void latency(asios::pool& pool) {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    const bool from_outside = peer::flag("ext");
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
    usleep(10'000);
    const auto sender = [&] {
        for (peer::u64 i = 0; i < n; ++i) {
            peer::spin_us(gap_us);
            while (!line.try_send(asios::error_code{}, peer::now_ns())) {}
        }
    };
    if (from_outside) sender();
    else boost::asio::post(pool, sender);
    finished.wait();

    peer::report_latency(std::move(late_ns));
}
static asios::program entry{"latency", latency};
