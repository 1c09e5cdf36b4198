#include "../common/thread.hpp"

static void latency() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    plain::channel<std::int64_t> line(64);
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);

    plain::thread receiver([&] { while (auto sent = line.receive()) late_ns.push_back(peer::now_ns() - *sent); });
    usleep(10'000);
    for (peer::u64 i = 0; i < n; ++i) {
        peer::spin_us(gap_us);
        line.send(peer::now_ns());
    }
    line.close();
    receiver.join();

    peer::expect(late_ns.size(), n);
    peer::report_latency(std::move(late_ns));
}
static peer::program<> entry{"latency", latency};
