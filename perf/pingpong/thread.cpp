#include "../common/thread.hpp"

static void pingpong() {
    const auto n = peer::size("n");
    plain::channel<peer::u64> there, back;
    peer::u64 last = 0;

    const peer::stopwatch watch;
    plain::thread pong([&] { while (auto v = there.receive()) back.send(*v + 1); });
    plain::thread ping([&] {
        for (peer::u64 i = 0; i < n; ++i) {
            there.send(last);
            last = *back.receive();
        }
        there.close();
    });
    ping.join();
    pong.join();
    const double ns = watch.ns();

    peer::expect(last, n);
    peer::report("time", ns / static_cast<double>(n), "ns/roundtrip", last);
}
static peer::program<> entry{"pingpong", pingpong};
