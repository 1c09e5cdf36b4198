#include "../common/fiber.hpp"

static void mutex() {
    const auto tasks = peer::size("tasks"), n = peer::size("n");
    boost::fibers::mutex guard;
    peer::u64 counter = 0;
    std::vector<fibers::fiber> adders;

    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < tasks; ++i)
        adders.push_back(fibers::post([&] {
            for (peer::u64 k = 0; k < n / tasks; ++k) {
                std::lock_guard lock(guard);
                ++counter;
            }
        }));
    fibers::join_all(adders);
    const double ns = watch.ns();

    peer::expect(counter, n / tasks * tasks);
    peer::report("time", ns / static_cast<double>(counter), "ns/op");
}
static peer::program<> entry{"mutex", mutex};
