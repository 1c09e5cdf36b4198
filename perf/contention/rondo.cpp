// What does it cost the others that a worker is preempted in the middle of a channel operation?
#include <signal.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <set>

#include <rondo/rondo.hpp>

#include "../common/channels.hpp"
#include "../common/peer.hpp"

namespace {

using peer::u64;

timespec stall_time;
std::atomic<u64> stalls_begun, stalls_ended;

void stall(int) {
    const int kept = errno;
    ++stalls_begun;
    timespec left = stall_time;
    while (nanosleep(&left, &left) != 0) {}
    ++stalls_ended;
    errno = kept;
}

std::set<pid_t> threads_of_this_process() {
    std::set<pid_t> found;
    for (auto& one : std::filesystem::directory_iterator("/proc/self/task")) found.insert(std::stoi(one.path().filename()));
    return found;
}

struct alignas(64) counter {
    std::atomic<u64> n{0};
};

void contention() {
    const auto p = peer::size("p"), c = peer::size("c"), slots = peer::capacity("cap"), stalls = peer::size("stalls");
    const auto stall_us = static_cast<useconds_t>(peer::size("stall_us")), gap_us = static_cast<useconds_t>(peer::size("gap_us"));
    const bool spin = peer::flag("spin");
    stall_time = {stall_us / 1'000'000, stall_us % 1'000'000 * 1000};
    struct sigaction action = {};
    action.sa_handler = stall;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);

    const auto others = threads_of_this_process();
    rondo::runtime runtime{{.workers = peer::workers}};
    std::vector<pid_t> workers;
    for (pid_t t : threads_of_this_process())
        if (!others.contains(t)) workers.push_back(t);

    auto line = peer::rendezvous(spin, slots);
    std::atomic<bool> over{false};
    std::vector<counter> received(c);
    std::vector<rondo::tasklet<u64>> producers, consumers;
    for (u64 i = 0; i < p; ++i)
        producers.push_back(runtime.spawn([&] {
            u64 sent = 0;
            for (; !over.load(std::memory_order_relaxed); ++sent) line.send(sent);
            return sent;
        }));
    for (u64 i = 0; i < c; ++i)
        consumers.push_back(runtime.spawn([&, i] {
            u64 got = 0;
            for ([[maybe_unused]] u64 v : line) received[i].n.store(++got, std::memory_order_relaxed);
            return got;
        }));
    const auto so_far = [&] {
        u64 n = 0;
        for (auto& r : received) n += r.n.load(std::memory_order_relaxed);
        return n;
    };
    struct {
        double messages = 0, ns = 0;
    } calm, stalled;
    u64 stuck = 0;
    usleep(10 * gap_us);

    for (u64 i = 0; i < stalls; ++i) {
        auto before = so_far();
        auto begun = peer::now_ns();
        usleep(gap_us);
        calm.ns += static_cast<double>(peer::now_ns() - begun);
        calm.messages += static_cast<double>(so_far() - before);

        syscall(SYS_tgkill, getpid(), workers[i % workers.size()], SIGUSR1);
        while (stalls_begun.load() <= i) usleep(1);
        usleep(stall_us / 8);
        before = so_far();
        begun = peer::now_ns();
        usleep(stall_us / 2);
        const auto moved = so_far() - before;
        const auto ns = static_cast<double>(peer::now_ns() - begun);
        if (stalls_ended.load() <= i) {               // else we have overslept ourselves, and know nothing
            stalled.ns += ns;
            stalled.messages += static_cast<double>(moved);
            stuck += moved == 0;
        }
        while (stalls_ended.load() <= i) usleep(100);
    }

    over = true;
    u64 sent = 0, got = 0;
    for (auto& t : producers) sent += t.join();
    line.close();
    for (auto& t : consumers) got += t.join();
    peer::expect(got, sent);
    peer::report("stuck", 100 * static_cast<double>(stuck) / static_cast<double>(stalls), "%", got);
    peer::report("kept", 100 * (stalled.messages / stalled.ns) / (calm.messages / calm.ns), "%", got);
    peer::report("time", calm.ns / calm.messages, "ns/message", got);
}
peer::program<> entry{"contention", contention};

}  // namespace
