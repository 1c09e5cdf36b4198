// A task put into the arena from outside: a sleeping worker has to wake up for it.
#include <oneapi/tbb/task_arena.h>

#include <atomic>

#include "../common/peer.hpp"

static void latency() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    peer::flag("ext");
    std::vector<std::int64_t> late_ns(n);
    std::atomic<peer::u64> received{0};
    tbb::task_arena arena(static_cast<int>(peer::workers), 0);
    arena.initialize();

    usleep(10'000);
    for (peer::u64 i = 0; i < n; ++i) {
        peer::spin_us(gap_us);
        const auto sent = peer::now_ns();
        arena.enqueue([&late_ns, &received, i, sent] {
            late_ns[i] = peer::now_ns() - sent;
            received.fetch_add(1);
        });
        while (received.load() != i + 1) {}
    }
    peer::report_latency(std::move(late_ns));
}
static peer::program<> entry{"latency", latency};
