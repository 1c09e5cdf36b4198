// A condition variable; with event=1 a bare futex, which is the floor for everybody.
#include <atomic>

#include "../common/thread.hpp"

static std::vector<std::int64_t> over_channel(peer::u64 n, peer::u64 gap_us) {
    plain::channel<std::int64_t> line(64);
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);
    plain::thread receiver([&] { while (auto sent = line.receive()) late_ns.push_back(peer::now_ns() - *sent); });
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        line.send(peer::now_ns());
    }
    line.close();
    receiver.join();
    return late_ns;
}

static std::vector<std::int64_t> over_futex(peer::u64 n, peer::u64 gap_us) {
    std::atomic<int> rung{0};
    std::atomic<std::int64_t> sent{0};
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);
    plain::thread sleeper([&] {
        while (late_ns.size() < n) {
            rung.wait(0);
            late_ns.push_back(peer::now_ns() - sent);
            rung = 0;
        }
    });
    for (peer::u64 i = 0; i < n; ++i) {
        do usleep(static_cast<useconds_t>(gap_us));
        while (rung != 0);    // the last one was late: a second ring would get lost
        sent = peer::now_ns();
        rung = 1;
        rung.notify_one();
    }
    sleeper.join();
    return late_ns;
}

static void cold_wake() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    auto late_ns = peer::flag("event") ? over_futex(n, gap_us) : over_channel(n, gap_us);
    peer::expect(late_ns.size(), n);
    peer::report_latency(std::move(late_ns));
}
static peer::program<> entry{"cold_wake", cold_wake};
