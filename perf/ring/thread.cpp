#include "../common/thread.hpp"

static void ring() {
    const auto tasks = peer::size("tasks"), hops = peer::size("hops");
    std::deque<plain::channel<peer::u64>> circle(tasks);
    plain::channel<peer::u64> finished(1);

    const peer::stopwatch watch;
    auto threads = plain::launch(tasks, [&](peer::u64 me) {
        return [&, me] {
            while (auto left = circle[me].receive()) {
                if (*left == 0) return finished.send(me);
                circle[(me + 1) % tasks].send(*left - 1);
            }
        };
    });
    circle[0].send(hops);
    const peer::u64 where = *finished.receive();
    const double ns = watch.ns();

    for (auto& c : circle) c.close();
    plain::join_all(threads);
    peer::expect(where, hops % tasks);
    peer::report("time", ns / static_cast<double>(hops), "ns/hop", where);
}
static peer::program<> entry{"ring", ring};
