#include "../common/caf.hpp"

static void cold_wake(cafs::actor_system& system) {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);
    cafs::latch received(n);

    const auto receiver = system.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&, self](std::int64_t sent) {
            late_ns.push_back(peer::now_ns() - sent);
            if (late_ns.size() == n) self->quit();
            received.down();
        }};
    });
    for (peer::u64 i = 0; i < n; ++i) {
        usleep(static_cast<useconds_t>(gap_us));
        caf::anon_send(receiver, peer::now_ns());
    }
    received.wait();

    peer::report_latency(std::move(late_ns));
}
static cafs::program entry{"cold_wake", cold_wake};
