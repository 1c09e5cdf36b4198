#include "watchdog.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "futex.hpp"
#include "scheduler.hpp"
#include "unwatched.hpp"

namespace rondo {

lowlevel::watch lowlevel::watch_over(runtime& rt) noexcept {
    const auto& dog = rt.impl().dog;
    return dog ? dog->state() : watch{};
}

std::string describe(const stall& s) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(s.held).count();
    const auto time = ms < 1000 ? fmt::format("{} ms", ms) : fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
    std::string text = fmt::format("{}, has kept worker {} for {} without a call that lets others go on{}", describe(s.who),
                                   s.worker, time, s.is_relieved ? "; a spare worker takes its place" : "");
    for (auto& frame : s.who.backtrace) text += "\n    " + frame;
    return text;
}

namespace detail {
namespace {

constexpr std::int64_t looks_in_a_limit = 4;

// volatile, and no atomic: clang's sanitizer watches those everywhere.
template <class T>
RONDO_UNWATCHED T glance_at(const T& word) noexcept {
    return *static_cast<const volatile T*>(&word);
}

// Does the thread wait inside the kernel? Yes, if that cannot be told.
bool is_in_kernel(int tid) noexcept {
    char text[256];
    std::snprintf(text, sizeof text, "/proc/self/task/%d/stat", tid);
    const int file = ::open(text, O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    const auto n = ::read(file, text, sizeof text - 1);
    ::close(file);
    if (n <= 0) return true;
    text[n] = 0;
    const char* const name_ends = std::strrchr(text, ')');        // pid (name) state ...
    return !name_ends || name_ends[1] == 0 || name_ends[2] != 'R';
}

void print(const stall& s) {
    std::fprintf(stderr, "rondo: %s\n  (rondo::checkpoint() in a long computation lets others go on; rondo::blocking() is for "
                         "calls that wait)\n", describe(s).c_str());
}

}  // namespace

watchdog::watchdog(scheduler& home, std::chrono::milliseconds limit) noexcept
    : home_(home), limit_ns_(std::chrono::nanoseconds(limit).count()) {}

void watchdog::end() noexcept {
    if (!thread_.joinable()) return;
    state_.exchange(ending, seq_cst);
    futex_wake(&state_);
    thread_.join();
}

void watchdog::begin() {
    marks_.resize(home_.workers.size());
    try {
        thread_ = std::thread([this] { thread_main(); });
    } catch (const std::system_error& e) {
        throw std::system_error(e.code(), "rondo: no thread to look for stalls (runtime_options::stall_limit); larger limits "
                                          "(ulimit -u, -v) would help");
    }
}

lowlevel::watch watchdog::state() const noexcept {
    const bool sleeps = state_.load(acquire) == asleep;      // then all its looks are counted
    const auto spares = std::count_if(home_.workers.begin() + home_.options.workers, home_.workers.end(),
                                      [](auto& w) { return !w->duty.is_seated(); });
    return {looks_.load(relaxed), sleeps, static_cast<std::size_t>(spares)};
}

void watchdog::wake() noexcept {
    std::uint32_t expected = asleep;
    if (state_.compare_exchange_strong(expected, watching, seq_cst)) futex_wake(&state_);
}

void watchdog::thread_main() noexcept {
    for (;;) {
        futex_wait_until(state_, watching, steady_now_ns() + limit_ns_ / looks_in_a_limit);
        auto seen = state_.load(seq_cst);
        if (seen == ending) return;
        look_round();
        if (!idle_workers::all_parked(home_.idle.snapshot())) continue;
        seen = watching;
        if (!state_.compare_exchange_strong(seen, asleep, seq_cst)) return;
        if (!idle_workers::all_parked(home_.idle.snapshot())) {       // I1
            seen = asleep;
            state_.compare_exchange_strong(seen, watching, seq_cst);
        }
        while (state_.load(seq_cst) == asleep) futex_wait_until(state_, asleep, no_limit_ns);
    }
}

watchdog::signs watchdog::signs_of(const worker& w) noexcept {
    return {running_on(w), w.counters.moves() + w.counters.switches.get(), glance_at(w.yields_), glance_at(w.budget)};
}

std::int64_t watchdog::cpu_ns_of(const worker& w) const noexcept {
    clockid_t clock;
    timespec t{};
    if (::pthread_getcpuclockid(home_.thread_of(w), &clock) != 0 || ::clock_gettime(clock, &t) != 0) return 0;
    return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

bool watchdog::is_to_blame(const worker& w, const mark& last) const noexcept {
    return cpu_ns_of(w) - last.cpu_ns >= limit_ns_ / 2 || is_in_kernel(w.tid_.load(relaxed));
}

void watchdog::look_round() {
    looks_.fetch_add(1, relaxed);
    for (auto& w : home_.workers) {
        auto& last = marks_[w->index];
        const auto now = steady_now_ns();
        const auto seen = signs_of(*w);
        if (seen.tasklet == 0 || seen != last.seen) {
            last = {seen, now, now + limit_ns_, cpu_ns_of(*w)};
        } else if (now >= last.due_ns && is_to_blame(*w, last)) {
            const std::chrono::nanoseconds held(now - last.since_ns);
            last.due_ns = now + held.count();
            last.is_kept = true;
            report(*w, seen, held, bring_in_spares());
        }
    }
    if (*home_.options.spare_workers) bring_in_spares();
}

// As many as workers are kept: first those that are kept themselves, then those that work, then from the bench. True: there were
// enough.
bool watchdog::bring_in_spares() noexcept {
    auto wanted = std::count_if(marks_.begin(), marks_.end(), [](auto& m) { return m.is_kept; });
    enum { kept, working, seated };
    for (const int kind : {kept, working, seated})
        for (auto i = home_.options.workers; i < home_.workers.size(); ++i) {
            worker& spare = *home_.workers[i];
            if (kind != (spare.duty.is_seated() ? seated : marks_[i].is_kept ? kept : working)) continue;
            if (wanted > 0) {
                --wanted;
                if (home_.call_in(spare)) home_.spares_called.fetch_add(1, relaxed);
            } else if (kind == working) {
                spare.duty.dismiss();
                // It may have parked before. With timers it stays there until they are over.
                if (spare.wheel.size() == 0 && home_.idle.take_back(i)) spare.unpark();
            }
        }
    return wanted == 0;
}

void watchdog::report(const worker& w, const signs& seen, std::chrono::nanoseconds held, bool is_relieved) {
    try {
        stall s;
        s.worker = w.index;
        s.held = held;
        s.is_relieved = is_relieved;
        if (!home_.look_at_running(w, seen.tasklet, s.who) || signs_of(w) != seen) return;       // it has gone on
        home_.stalls.fetch_add(1, relaxed);
        if (home_.options.on_stall) home_.options.on_stall(s);
        else print(s);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rondo: a tasklet keeps its worker, and its report ended with an exception: %s\n", e.what());
    } catch (...) {
        std::fputs("rondo: a tasklet keeps its worker, and its report ended with an exception\n", stderr);
    }
}

std::chrono::milliseconds stall_limit_wanted(const runtime_options& o) {
    constexpr std::int64_t most_ms = 24 * 60 * 60 * 1000;
    std::int64_t ms = o.stall_limit.count();
    if (ms < 0 || ms > most_ms)
        throw usage_error(fmt::format("runtime_options::stall_limit is {} ms: give 1 ms to a day, or 0", ms));
    if (const char* text = std::getenv("RONDO_STALL_MS"); ms == 0 && text && *text) {
        const char* const end = text + std::strlen(text);
        const auto [last, problem] = std::from_chars(text, end, ms);
        if (problem != std::errc() || last != end || ms < 0 || ms > most_ms)
            throw usage_error(fmt::format("RONDO_STALL_MS is \"{}\": give a number of milliseconds, up to a day's, or unset it", text));
    }
    return std::chrono::milliseconds(o.world ? 0 : ms);
}

unsigned spare_workers_wanted(const runtime_options& o) {
    constexpr unsigned most = 1024;
    const bool is_looked = o.stall_limit.count() != 0;
    if (!o.spare_workers || o.world) return is_looked && o.workers > 1 ? 1 : 0;
    if (*o.spare_workers > most)
        throw usage_error(fmt::format("runtime_options::spare_workers is {}: at most {}", *o.spare_workers, most));
    if (*o.spare_workers && !is_looked)
        throw usage_error("runtime_options::spare_workers needs a stall_limit: they begin when a tasklet has kept its worker for so "
                          "long");
    return *o.spare_workers;
}

}  // namespace detail
}  // namespace rondo
