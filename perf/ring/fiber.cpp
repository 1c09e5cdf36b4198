#include "../common/fiber.hpp"

static void ring() {
    const auto tasks = peer::size("tasks"), hops = peer::size("hops");
    std::deque<fibers::rendezvous> circle(tasks);
    std::vector<fibers::fiber> players;
    peer::u64 where = ~0ull;

    const peer::stopwatch watch;
    for (peer::u64 me = 0; me < tasks; ++me)
        players.push_back(fibers::dispatch([&, me] {
            peer::u64 left = 0;
            while (fibers::receive(circle[me], left)) {
                if (left == 0) {
                    where = me;
                    for (auto& c : circle) c.close();
                    return;
                }
                circle[(me + 1) % tasks].push(left - 1);
            }
        }));
    circle[0].push(hops);
    fibers::join_all(players);
    const double ns = watch.ns();

    peer::expect(where, hops % tasks);
    peer::report("time", ns / static_cast<double>(hops), "ns/hop", where);
}
static peer::program<> entry{"ring", ring};
