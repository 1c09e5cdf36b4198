#include "../common/caf.hpp"
#include "../common/workloads.hpp"

static void sleep_many(cafs::actor_system& system) {
    const auto n = peer::size("n");
    cafs::latch awake(n);
    peer::sleep_times times;

    const auto before = peer::usage::now();
    const peer::stopwatch watch;
    for (peer::u64 i = 0; i < n; ++i)
        system.spawn([&awake, ms = times.next_ms()](cafs::event_based_actor* self) -> cafs::behavior {
            self->delayed_send(self, std::chrono::milliseconds(ms), cafs::go::value);
            return {[self, &awake](cafs::go) {
                awake.down();
                self->quit();
            }};
        });
    awake.wait();
    const double ns = watch.ns();
    const auto used = peer::usage::now() - before;

    peer::report("over_ideal", ns / 1e6 - 1000, "ms");
    peer::report("cpu", used.cpu_ms / 1e3, "s");
}
static cafs::program entry{"sleep", sleep_many};
