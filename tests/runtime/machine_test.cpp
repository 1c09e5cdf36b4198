// What the machine allows: cores, the quotas of containers, pinned workers; and what it keeps of a process that crashes.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>

#include "../../runtime/src/blocking_threads.hpp"
#include "../../runtime/src/cpu_quota.hpp"
#include "support/helpers.hpp"
#include "support/last_words.hpp"
#include "support/sanitized.hpp"

using namespace support;

namespace {

/// Empty at first, and gone afterwards.
class folder {
public:
    folder() {
        std::string name = std::filesystem::temp_directory_path() / "rondo_XXXXXX";
        REQUIRE(::mkdtemp(name.data()));
        path_ = name;
    }
    ~folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories((path_ / file).parent_path());
        std::ofstream(path_ / file) << text << '\n';
    }

private:
    std::filesystem::path path_;
};

/// A machine whose process is in these cgroups.
struct container : folder {
    explicit container(const std::string& own) { write("self", own); }
    [[nodiscard]] double quota() const { return rondo::detail::cpu_quota(path() / "self", path() / "fs"); }
};

constexpr double none = INFINITY;

}  // namespace

// ------------------------------------------------------------------------------------------------------------- cores

TEST_CASE("there are as many workers as cores that the process may use", "[runtime][options]") {
    cpu_set_t before, one;
    REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    const auto workers = rondo::runtime().stats().workers;
    ::sched_setaffinity(0, sizeof before, &before);
    CHECK(workers == 1);
}

TEST_CASE("each worker that is pinned has one core, and no two the same as long as there are enough", "[runtime][options]") {
    cpu_set_t mine;
    REQUIRE(::sched_getaffinity(0, sizeof mine, &mine) == 0);
    const auto cores = static_cast<std::size_t>(CPU_COUNT(&mine));
    const auto workers = GENERATE(1u, 2u, 3u);
    std::vector<int> cores_of_each;
    std::set<std::size_t> used;
    // Under forced migration a tasklet that yields goes from worker to worker, in a circle.
    rondo::run({.workers = workers, .pin = true, .force_migration = true}, [&] {
        for (unsigned i = 0; i < workers; ++i) {
            cpu_set_t its;
            CPU_ZERO(&its);
            ::sched_getaffinity(0, sizeof its, &its);
            cores_of_each.push_back(CPU_COUNT(&its));
            for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
                if (CPU_ISSET(core, &its) && CPU_ISSET(core, &mine)) used.insert(core);
            rondo::yield();
        }
    });
    CHECK(cores_of_each == std::vector<int>(workers, 1));
    CHECK(used.size() == std::min<std::size_t>(workers, cores));

    cpu_set_t afterwards;
    REQUIRE(::sched_getaffinity(0, sizeof afterwards, &afterwards) == 0);
    CHECK(CPU_EQUAL(&mine, &afterwards));
}

// ------------------------------------------------------------------------------------------------------------- quotas

TEST_CASE("the quota of a container is the tightest of its cgroup and all above it", "[runtime][quota]") {
    const container c("0::/pod/box/app");
    CHECK(c.quota() == none);
    c.write("fs/pod/box/app/cpu.max", "400000 100000");
    CHECK(c.quota() == 4);
    c.write("fs/pod/box/cpu.max", "max 100000");
    CHECK(c.quota() == 4);
    c.write("fs/pod/cpu.max", "150000 100000");
    CHECK(c.quota() == 1.5);
    c.write("fs/cpu.max", "250000 500000");               // of the root: a container sees its own there
    CHECK(c.quota() == 0.5);
    c.write("fs/pod/other/cpu.max", "1000 100000");       // not above it
    CHECK(c.quota() == 0.5);
}

TEST_CASE("a process in the root cgroup has the quota that is there", "[runtime][quota]") {
    const container c("0::/");
    CHECK(c.quota() == none);
    c.write("fs/cpu.max", "200000 100000");
    CHECK(c.quota() == 2);
}

TEST_CASE("the quota of cgroups version 1 is that of the cpu controller", "[runtime][quota]") {
    const container c("12:memory:/a/b\n5:cpu,cpuacct:/a/b\n4:cpuset:/a/b\n1:name=systemd:/a/b");
    c.write("fs/cpu/a/b/cpu.cfs_quota_us", "-1");
    c.write("fs/cpu/a/b/cpu.cfs_period_us", "100000");
    CHECK(c.quota() == none);
    c.write("fs/cpu/a/cpu.cfs_quota_us", "300000");
    CHECK(c.quota() == none);                             // without a period it says nothing
    c.write("fs/cpu/a/cpu.cfs_period_us", "100000");
    CHECK(c.quota() == 3);
    c.write("fs/cpu/a/b/cpu.cfs_quota_us", "50000");
    CHECK(c.quota() == 0.5);
}

TEST_CASE("of two versions of cgroups the tighter quota holds", "[runtime][quota]") {
    const container c("3:cpu:/old\n0::/new");
    c.write("fs/cpu/old/cpu.cfs_quota_us", "200000");
    c.write("fs/cpu/old/cpu.cfs_period_us", "100000");
    CHECK(c.quota() == 2);
    c.write("fs/new/cpu.max", "100000 100000");
    CHECK(c.quota() == 1);
}

TEST_CASE("files that are missing or make no sense are no quota", "[runtime][quota]") {
    CHECK(rondo::detail::cpu_quota("/nonexistent/self", "/nonexistent") == none);
    for (const char* own : {"", "nothing", "0:", "0::", ":::", "0::/..", "0::a", "cpu:cpu:/"}) {
        CAPTURE(own);
        CHECK(container(own).quota() == none);
    }
    const container c("0::/a");
    for (const char* text : {"", "max", "100000", "abc 100000", "100000 abc", "-1 100000", "100000 0", "0 100000", "nan nan", "{}"}) {
        CAPTURE(text);
        c.write("fs/a/cpu.max", text);
        CHECK(c.quota() == none);
    }
}

TEST_CASE("there is a worker for each core of the quota, one for what is left of it, and one at least", "[runtime][quota]") {
    using rondo::detail::workers_for;
    CHECK(workers_for(0.1) == 1);
    CHECK(workers_for(1) == 1);
    CHECK(workers_for(1.5) == 2);
    CHECK(workers_for(2) == 2);
    CHECK(workers_for(7.01) == 8);
    CHECK(workers_for(none) == none);
}

// ------------------------------------------------------------------------------------------------------------- crashes

namespace {

std::string first_line_of(const char* file) {
    std::string line;
    std::ifstream in(file);
    std::getline(in, line);
    return line;
}

[[gnu::noinline]] int for_ever(int n) {
    volatile char frame[512];
    frame[0] = static_cast<char>(n);
    return n < 0 ? 0 : for_ever(n + 1) + frame[0];
}

}  // namespace

TEST_CASE("a tasklet that crashes leaves a core", "[runtime][crash]") {
    if (sanitized) return;                                // it wants none: of its size
    rlimit core{};
    REQUIRE(::getrlimit(RLIMIT_CORE, &core) == 0);
    const auto pattern = first_line_of("/proc/sys/kernel/core_pattern");
    if (core.rlim_max == 0 || pattern.empty() || pattern[0] == '|' || pattern[0] == '/') {
        WARN("skipped: no core would be left here, or one where we cannot tidy up; hard limit " << core.rlim_max << ", pattern \""
                                                                                                << pattern << '"');
        return;
    }

    const auto why = GENERATE("overflow", "null", "bug");
    const folder here;
    const auto end = end_of_process([&] {
        if (::chdir(here.path().c_str()) != 0) return;
        rondo::run({.workers = 1}, [&] {
            auto t = rondo::spawn([&] {
                rondo::yield();
                if (why == std::string("overflow")) return for_ever(0);
                if (why == std::string("null")) return *static_cast<volatile int*>(nullptr);
                rondo::expect(false, "this is a test");
                return 0;
            });
            return t.join();
        });
    }, core.rlim_max);
    CAPTURE(why, end.said);
    REQUIRE(WIFSIGNALED(end.status));
    CHECK(WCOREDUMP(end.status));
    CHECK(std::distance(std::filesystem::directory_iterator(here.path()), std::filesystem::directory_iterator()) == 1);
    CHECK(has(end.said, "stack overflow") == (why == std::string("overflow")));
}

TEST_CASE("threads for blocking calls end when no more calls come, and new ones begin", "[blocking]") {
    using rondo::detail::blocking_threads;
    const auto threads = [] {
        const std::filesystem::directory_iterator all("/proc/self/task");
        return std::distance(begin(all), end(all));
    };
    const auto usual = std::exchange(blocking_threads::idle_limit, std::chrono::milliseconds(2));
    {
        rondo::runtime rt({.workers = 2});
        const auto before = threads();
        for (int round = 0; round < 3; ++round) {
            std::latch all_there(20);
            rt.run([&] {
                rondo::scope([&](rondo::group& g) {
                    for (int i = 0; i < 20; ++i)
                        g.spawn([&] { rondo::blocking([&] { all_there.arrive_and_wait(); }); });
                });
            });
            while (threads() > before) std::this_thread::yield();
        }
        CHECK_THROWS_AS(rt.run([] { rondo::event().wait(); }), rondo::deadlock);
    }
    blocking_threads::idle_limit = usual;
}
