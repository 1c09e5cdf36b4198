// What gdb_test.sh looks at: some tasklets with names that wait, and a place to stop at once they do.
#include <cstdint>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

std::uint64_t husband_id = 0;

[[gnu::noinline]] int stuck_in_traffic(const rondo::channel<int>& road) { return road.receive() + 1; }

/// The breakpoint.
extern "C" [[gnu::noinline]] void everybody_waits() { asm volatile("" ::: "memory"); }

int main() {
    rondo::runtime rt{{.workers = 2}};
    const rondo::channel<int> road;
    auto husband = rt.spawn({.name = "husband"}, [=] { return stuck_in_traffic(road); });
    rt.spawn({.name = "wife"}, [=] { road.receive(); });
    rt.spawn({.name = "a \"long\"\n\xff name \\"}, [=] { road.receive(); });
    rt.run_until_idle();
    husband_id = husband.id();
    everybody_waits();
    for (int i = 0; i < 3; ++i) road.send(i);
    fmt::print("{}\n", husband.join());
}
