// What does a cache line cost right now? Two threads on two cores hand one line to and fro for about 30 ms; prints the
// round trip in ns. On virtual machines it drifts by a factor of six within a day, with the cores the hypervisor gives,
// and every two-worker figure with it.
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct alignas(128) line {
    std::atomic<int> turn{0};
} shared;
std::atomic<bool> over{false};
std::atomic<int> present{0};

std::vector<int> usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> cores;
    for (int c = 0; c < CPU_SETSIZE; ++c)
        if (CPU_ISSET(c, &set)) cores.push_back(c);
    return cores;
}

// Gives the round trips made. Player 0 looks at the clock now and then and ends the game.
long play(int me, int core, clock_type::duration length) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    present.fetch_add(1);
    while (present.load() < 2) {}
    const auto end = clock_type::now() + length;
    long trips = 0;
    while (!over.load(std::memory_order_relaxed)) {
        while (shared.turn.load(std::memory_order_acquire) != me)
            if (over.load(std::memory_order_relaxed)) return trips;
        shared.turn.store(1 - me, std::memory_order_release);
        if (++trips % 1024 == 0 && me == 0 && clock_type::now() >= end) over = true;
    }
    return trips;
}

}  // namespace

int main() {
    const auto cores = usable_cores();
    if (cores.size() < 2) return std::puts("-"), 0;
    const auto length = std::chrono::milliseconds(30);
    std::thread other([&] { play(1, cores[1], length); });
    const auto begun = clock_type::now();
    const long trips = play(0, cores[0], length);
    const std::chrono::duration<double, std::nano> taken = clock_type::now() - begun;
    other.join();
    std::printf("%.0f\n", taken.count() / static_cast<double>(trips));
}
