// A task put into the arena from outside; the waker sleeps before and after.
#include <oneapi/tbb/task_arena.h>

#include <atomic>

#include "../common/peer.hpp"

static void cold_wake() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    std::vector<std::int64_t> late_ns(n);
    std::atomic<peer::u64> received{0};
    tbb::task_arena arena(static_cast<int>(peer::workers), 0);
    arena.initialize();

    usleep(10'000);
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        const auto sent = peer::now_ns();
        arena.enqueue([&late_ns, &received, i, sent] {
            late_ns[i] = peer::now_ns() - sent;
            received.fetch_add(1);
        });
    }
    while (received.load() != n) usleep(1'000);
    peer::report_latency(std::move(late_ns));
}
static peer::program<> entry{"cold_wake", cold_wake};
