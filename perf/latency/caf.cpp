// The sender is an actor that keeps its worker busy; with ext=1 the main thread.
#include "../common/caf.hpp"

static void latency(cafs::actor_system& system) {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    const bool from_outside = peer::flag("ext");
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
    usleep(10'000);
    const auto sender = [=] {
        for (peer::u64 i = 0; i < n; ++i) {
            peer::spin_us(gap_us);
            caf::anon_send(receiver, peer::now_ns());
        }
    };
    if (from_outside) sender();
    else system.spawn([=](cafs::event_based_actor*) { sender(); });
    received.wait();

    peer::report_latency(std::move(late_ns));
}
static cafs::program entry{"latency", latency};
