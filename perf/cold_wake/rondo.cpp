// How soon does a tasklet run when a thread outside wakes it and all workers have been parked for long? Woken by a
// channel, with event=1 by an event. The waker sleeps before and after: one that spins keeps the core that the kernel
// would like to wake the worker on, and measures that instead.
#include <atomic>
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"

namespace {

using times = std::vector<std::int64_t>;

times over_channel(rondo::runtime& runtime, peer::u64 n, peer::u64 gap_us) {
    rondo::channel<std::int64_t> line{64};
    auto receiver = runtime.spawn([line, n] {
        times late_ns;
        late_ns.reserve(n);
        for (std::int64_t sent : line) late_ns.push_back(peer::now_ns() - sent);
        return late_ns;
    });
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        line.send(peer::now_ns());
    }
    line.close();
    return receiver.join();
}

times over_event(rondo::runtime& runtime, peer::u64 n, peer::u64 gap_us) {
    rondo::event ring;
    std::atomic<std::int64_t> sent{0};
    std::atomic<peer::u64> received{0};
    auto sleeper = runtime.spawn([&] {
        times late_ns;
        late_ns.reserve(n);
        while (late_ns.size() < n) {
            ring.wait();
            late_ns.push_back(peer::now_ns() - sent);
            ring.reset();
            received = late_ns.size();
        }
        return late_ns;
    });
    for (peer::u64 i = 0; i < n; ++i) {
        do usleep(static_cast<useconds_t>(gap_us));
        while (received != i);    // the last one was late: a second set() would get lost
        sent = peer::now_ns();
        ring.set();
    }
    return sleeper.join();
}

void cold_wake() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    const bool by_event = peer::flag("event");
    rondo::runtime runtime{{.workers = peer::workers}};
    auto late_ns = by_event ? over_event(runtime, n, gap_us) : over_channel(runtime, n, gap_us);
    peer::expect(late_ns.size(), n);
    peer::report_latency(std::move(late_ns));
}
peer::program<> entry{"cold_wake", cold_wake};

}  // namespace
