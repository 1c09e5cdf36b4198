#include "../common/fiber.hpp"

static void pingpong() {
    const auto n = peer::size("n");
    fibers::rendezvous there, back;
    peer::u64 last = 0;

    const peer::stopwatch watch;
    auto pong = fibers::post([&] {
        peer::u64 v = 0;
        while (fibers::receive(there, v)) back.push(v + 1);
    });
    auto ping = fibers::post([&] {
        peer::u64 v = 0;
        for (peer::u64 i = 0; i < n; ++i) {
            there.push(v);
            back.pop(v);
        }
        there.close();
        last = v;
    });
    ping.join();
    pong.join();
    const double ns = watch.ns();

    peer::expect(last, n);
    peer::report("time", ns / static_cast<double>(n), "ns/roundtrip", last);
}
static peer::program<> entry{"pingpong", pingpong};
