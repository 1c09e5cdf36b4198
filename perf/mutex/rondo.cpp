// What does a short critical section cost that a thousand tasklets want?
#include <mutex>
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"

using peer::u64;

static void mutex() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    u64 counter = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        const peer::stopwatch watch;
        rondo::mutex guard;
        std::vector<rondo::tasklet<void>> adders;
        for (u64 i = 0; i < tasks; ++i)
            adders.push_back(rondo::spawn([&] {
                for (u64 k = 0; k < n / tasks; ++k) {
                    std::lock_guard lock(guard);
                    ++counter;
                }
            }));
        for (auto& a : adders) a.join();
        return watch.ns();
    });

    peer::expect(counter, n / tasks * tasks);
    peer::report("time", ns / static_cast<double>(counter), "ns/op");
}
static peer::program<> entry{"mutex", mutex};
