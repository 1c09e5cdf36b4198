#include "../common/fiber.hpp"
#include "../common/workloads.hpp"

using line = boost::fibers::buffered_channel<peer::u64>;

static void node(line& out, peer::u64 number, peer::u64 size) {
    if (size == 1) {
        out.push(number);
        return;
    }
    line in(16);    // holds all ten sums, so a child never waits
    fibers::fiber children[10];
    for (peer::u64 i = 0; i < 10; ++i)
        children[i] = fibers::dispatch([&in, number, size, i] { node(in, number + i * (size / 10), size / 10); });
    peer::u64 sum = 0, value = 0;
    for (int i = 0; i < 10; ++i) {
        in.pop(value);
        sum += value;
    }
    for (auto& child : children) child.join();    // the channel lives on this stack
    out.push(sum);
}

static void skynet() {
    const auto n = peer::size("n");
    peer::u64 result = 0;
    line out(2);

    const peer::stopwatch watch;
    auto root = fibers::dispatch([&] { node(out, 0, n); });
    out.pop(result);
    const double ns = watch.ns();

    root.join();
    peer::expect(result, peer::sum_below(n));
    peer::report("time", ns / 1e6, "ms", result);
}
static peer::program<> entry{"skynet", skynet};
