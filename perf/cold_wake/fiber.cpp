// The receiver is the fiber of a second thread, which has a round_robin scheduler of its own.
#include <thread>

#include "../common/fiber.hpp"

static void cold_wake() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    boost::fibers::buffered_channel<std::int64_t> line(64);
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);

    std::thread receiver([&] {
        std::int64_t sent = 0;
        while (fibers::receive(line, sent)) late_ns.push_back(peer::now_ns() - sent);
    });
    usleep(10'000);
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        line.push(peer::now_ns());
    }
    line.close();
    receiver.join();

    peer::expect(late_ns.size(), n);
    peer::report_latency(std::move(late_ns));
}
static peer::program<> entry{"cold_wake", cold_wake};
