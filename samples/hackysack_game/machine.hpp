// What this machine has and allows, as the kernel tells it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include "numbers.hpp"

namespace hackysack {

/// The cores that this process may use.
[[nodiscard]] inline unsigned usable_cores() { return std::max(1u, std::thread::hardware_concurrency()); }

/// What this process occupies in memory now, without what malloc keeps for later.
[[nodiscard]] inline double resident_bytes() {
    malloc_trim(0);
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

namespace detail {
[[nodiscard]] inline std::optional<std::uint64_t> number_in(const std::string& file) {
    std::uint64_t n = 0;
    if (std::ifstream(file) >> n) return n;
    return {};
}
/// All threads of the machine: the fourth field of /proc/loadavg is "running/all".
[[nodiscard]] inline std::uint64_t threads_alive() {
    std::ifstream loadavg("/proc/loadavg");
    std::string field;
    for (int i = 0; i < 4; ++i) loadavg >> field;
    std::uint64_t running = 0, all = 0;
    char slash = 0;
    std::istringstream(field) >> running >> slash >> all;
    return all;
}
}  // namespace detail

/// Why the operating system has no room for so many threads; empty if it has, as far as can be told beforehand.
///
/// Threads are not simply made until one is refused: that would take the process ids from everybody else on the
/// machine, for whom even `ls` could not start any more.
[[nodiscard]] inline std::string refuses_threads(std::size_t wanted) {
    constexpr std::uint64_t left_to_others = 512;
    const auto check = [&](std::optional<std::uint64_t> limit, std::uint64_t used, const char* what) -> std::string {
        if (!limit || wanted + used + left_to_others <= *limit) return {};
        return fmt::format("{} is {}", what, grouped(*limit));
    };
    std::string why = check(detail::number_in("/proc/sys/kernel/pid_max"), detail::threads_alive(), "kernel.pid_max");
    if (why.empty())
        why = check(detail::number_in("/proc/sys/kernel/threads-max"), detail::threads_alive(), "kernel.threads-max");
    if (why.empty()) {
        auto maps = detail::number_in("/proc/sys/vm/max_map_count");
        if (maps && wanted * 2 + left_to_others > *maps)     // a stack and its guard page
            why = fmt::format("vm.max_map_count is {}, and each thread takes two", grouped(*maps));
    }
    if (why.empty()) {
        rlimit own{};
        if (getrlimit(RLIMIT_NPROC, &own) == 0 && own.rlim_cur != RLIM_INFINITY && geteuid() != 0)
            why = check(own.rlim_cur, 0, "the limit `ulimit -u`");
    }
    for (const char* file : {"/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"})
        if (why.empty()) why = check(detail::number_in(file), 0, "the control group's pids.max");
    return why;
}

/// Keeps the threads made during its life on so many of the cores that this thread may use.
class confined_to {
public:
    explicit confined_to(unsigned cores) {
        if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
        cpu_set_t some;
        CPU_ZERO(&some);
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE && cores > 0; ++cpu)
            if (CPU_ISSET(cpu, &before_)) {
                CPU_SET(cpu, &some);
                --cores;
            }
        is_confined_ = sched_setaffinity(0, sizeof some, &some) == 0;
    }
    ~confined_to() {
        if (is_confined_) sched_setaffinity(0, sizeof before_, &before_);
    }
    confined_to(const confined_to&) = delete;
    confined_to& operator=(const confined_to&) = delete;

private:
    cpu_set_t before_{};
    bool is_confined_ = false;
};

}  // namespace hackysack
