// How soon does a suspended tasklet run after a message was sent to it? The sender keeps its worker busy, so another
// worker has to notice; with ext=1 the sender is a thread outside the runtime.
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"

namespace {

using line = rondo::channel<std::int64_t>;

std::vector<std::int64_t> receive_all(line in, std::size_t n) {
    std::vector<std::int64_t> late_ns;
    late_ns.reserve(n);
    for (std::int64_t sent : in) late_ns.push_back(peer::now_ns() - sent);
    return late_ns;
}

void send_all(line out, peer::u64 n, peer::u64 gap_us) {
    for (peer::u64 i = 0; i < n; ++i) {
        peer::spin_us(gap_us);
        out.send(peer::now_ns());
    }
    out.close();
}

void latency() {
    const auto n = peer::size("n"), gap_us = peer::size("gap_us");
    const bool from_outside = peer::flag("ext");
    rondo::runtime runtime{{.workers = peer::workers}};
    line messages{64};

    auto receiver = runtime.spawn(receive_all, messages, n);
    usleep(10'000);
    if (from_outside) send_all(messages, n, gap_us);
    else runtime.spawn(send_all, messages, n, gap_us).join();
    auto late_ns = receiver.join();

    peer::expect(late_ns.size(), n);
    peer::report_latency(std::move(late_ns));
}
peer::program<> entry{"latency", latency};

}  // namespace
