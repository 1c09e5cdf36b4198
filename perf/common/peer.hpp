// What every C++ program here shares, Rondo's and the rivals': command line, clock, the check, the result line.
//
//   <program> <workload> <workers> [key=value ...]
//   peer=<p> workload=<w> workers=<n> <sizes> metric=<name> value=<v> unit=<u> check=<checksum or ok>
//
// A workload is a function that puts itself on the program's list, so that a new file needs no other file changed:
//
//   static void ring() { ... }
//   static peer::program<> entry{"ring", ring};
#pragma once
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace peer {

using u64 = std::uint64_t;

inline const char* name = "?";                           ///< as it stands in the result line
inline std::string workload;
inline unsigned workers = 1;                             ///< threads that run tasks
inline std::map<std::string, u64> given;                 ///< key=value from the command line
inline std::vector<std::pair<std::string, u64>> used;    ///< those the workload asked for, in that order

[[noreturn]] inline void refuse(const std::string& why) {
    std::fprintf(stderr, "%s: %s\n", name, why.c_str());
    std::exit(2);
}

inline u64 number(const std::string& text, const std::string& argument) {
    char* end = nullptr;
    errno = 0;
    const u64 value = std::strtoull(text.c_str(), &end, 10);
    if (text.empty() || text[0] == '-' || *end != '\0' || errno != 0) refuse(argument + " is not a number");
    return value;
}

/// Reads the command line; ends the program with status 2 and one line if it makes no sense.
inline void start(const char* peer_name, int argc, char** argv) {
    name = peer_name;
    if (argc < 3) refuse("usage: workload workers [key=value ...]");
    workload = argv[1];
    workers = static_cast<unsigned>(number(argv[2], argv[2]));
    if (workers == 0 || workers > 1024) refuse("workers must be 1 to 1024");
    for (int i = 3; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto equals = argument.find('=');
        if (equals == std::string::npos) refuse(argument + " is not key=value");
        given[argument.substr(0, equals)] = number(argument.substr(equals + 1), argument);
    }
}

inline u64 given_size(const char* key) {
    const auto found = given.find(key);
    if (found == given.end()) refuse(workload + " needs " + key + "=<number>");
    used.emplace_back(*found);
    return found->second;
}

/// A size the workload needs, 1 at least: of nothing there is nothing to measure. It has no default here:
/// perf/<workload>/config.toml is where sizes are kept.
inline u64 size(const char* key) {
    const u64 value = given_size(key);
    if (value == 0) refuse(workload + " needs a " + key + " of 1 at least");
    return value;
}

/// How many values a channel has room for. 0: none, it is a rendezvous.
inline u64 capacity(const char* key) { return given_size(key); }

/// A variant of the workload, off unless given.
inline bool flag(const char* key) { return given.contains(key) && given_size(key) != 0; }

// ---- clocks and counters of this process ----

inline std::int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

struct stopwatch {
    std::int64_t begun = now_ns();
    double ns() const { return static_cast<double>(now_ns() - begun); }
};

inline void spin_us(u64 us) {
    const auto end = now_ns() + static_cast<std::int64_t>(us) * 1000;
    while (now_ns() < end) {}
}

/// CPU time and times a thread of this process went to sleep.
struct usage {
    double cpu_ms;
    double sleeps;
    static usage now() {
        rusage u;
        getrusage(RUSAGE_SELF, &u);
        return {static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
                    static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-3,
                static_cast<double>(u.ru_nvcsw)};
    }
    usage operator-(usage other) const { return {cpu_ms - other.cpu_ms, sleeps - other.sleeps}; }
};

inline double resident_bytes() {
    long total = 0, resident = 0;
    if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
        std::fclose(f);
    }
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// ---- the answer ----

inline void report(const char* metric, double value, const char* unit, const std::string& check = "ok") {
    std::string sizes;
    for (auto& [key, v] : used) sizes += key + "=" + std::to_string(v) + " ";
    std::printf("peer=%s workload=%s workers=%u %smetric=%s value=%.6g unit=%s check=%s\n", name, workload.c_str(),
                workers, sizes.c_str(), metric, value, unit, check.c_str());
    std::fflush(stdout);
}
inline void report(const char* metric, double value, const char* unit, u64 checksum) {
    report(metric, value, unit, std::to_string(checksum));
}

inline void report_latency(std::vector<std::int64_t> ns) {
    std::sort(ns.begin(), ns.end());
    report("p50", static_cast<double>(ns[ns.size() / 2]) / 1e3, "us");
    report("p99", static_cast<double>(ns[ns.size() * 99 / 100]) / 1e3, "us");
}

inline void report_idle(usage used_up, u64 ms) {
    report("cpu", used_up.cpu_ms, "ms");
    report("wakeups", used_up.sleeps * 1e3 / static_cast<double>(ms), "1/s");
}

/// A wrong result ends the program on the spot, with status 1.
inline void expect(u64 got, u64 want) {
    if (got == want) return;
    std::printf("peer=%s workload=%s workers=%u check=FAIL got=%llu want=%llu\n", name, workload.c_str(), workers,
                static_cast<unsigned long long>(got), static_cast<unsigned long long>(want));
    std::fflush(stdout);
    std::_Exit(1);
}

/// This peer has no means for the workload.
[[noreturn]] inline void unsupported() {
    std::printf("peer=%s workload=%s workers=%u check=unsupported\n", name, workload.c_str(), workers);
    std::fflush(stdout);
    std::_Exit(3);
}

/// One workload of a program; World is what its main hands to each of them (a pool, an actor system).
template <class... World>
class program {
public:
    using body = void (*)(World...);

    program(const char* workload_name, body run) { all()[workload_name] = run; }

    static void run_chosen(World... world) {
        const auto found = all().find(workload);
        if (found == all().end()) unsupported();
        found->second(world...);
    }

private:
    static std::map<std::string, body>& all() {
        static std::map<std::string, body> programs;
        return programs;
    }
};

}  // namespace peer
