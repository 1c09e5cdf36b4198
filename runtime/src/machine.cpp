// What the machine offers: fences, cores, threads; and the message when a tasklet overflows its stack.
#include <dirent.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <tbb/info.h>

#include <rondo/lowlevel/threads.hpp>

#include "cpu_quota.hpp"
#include "scheduler.hpp"

namespace rondo::detail {

bool has_asymmetric_fences() noexcept {
    static const bool known = ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    return known;
}
void fence_heavy() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

namespace {

cpu_set_t allowed_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
    return set;
}

}  // namespace

// The affinity mask of the caller is looked at each time; what the machine and the quota allow, once.
unsigned usable_cores() {
    static const double at_most = std::min(static_cast<double>(std::max(1, tbb::info::default_concurrency())),
                                           workers_for(cpu_quota()));
    const cpu_set_t set = allowed_cores();
    return static_cast<unsigned>(std::clamp(static_cast<double>(CPU_COUNT(&set)), 1.0, at_most));
}

unsigned workers_wanted(const runtime_options& o) {
    constexpr unsigned most = 1024;
    if (o.workers > most) throw usage_error(fmt::format("runtime_options::workers is {}: at most {}", o.workers, most));
    if (o.workers) return o.workers;
    if (const char* text = std::getenv("RONDO_WORKERS"); text && *text) {
        unsigned n = 0;
        const char* end = text + std::strlen(text);
        const auto [last, problem] = std::from_chars(text, end, n);
        if (problem != std::errc() || last != end || n == 0 || n > most)
            throw usage_error(fmt::format("RONDO_WORKERS is \"{}\": give a number from 1 to {}, or unset it", text, most));
        return n;
    }
    return usable_cores();
}

void pin_to_core(unsigned worker_index) {
    const cpu_set_t set = allowed_cores();
    auto nth = static_cast<int>(worker_index) % std::max(1, CPU_COUNT(&set));
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set) && nth-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
            return;
        }
}

atomic<int>& blocked_foreign_threads() noexcept {
    static atomic<int> n{0};
    return n;
}

std::size_t foreign_threads(std::size_t known) {
    std::size_t all = 0;
    DIR* const d = ::opendir("/proc/self/task");
    if (!d) return 1;                             // no descriptor free, or no /proc: there may be some
    while (const dirent* e = ::readdir(d)) all += e->d_name[0] != '.';
    ::closedir(d);
    known += static_cast<std::size_t>(std::max(0, blocked_foreign_threads().load(relaxed)));
#ifdef RONDO_TSAN
    known += 1;                                   // the sanitizer's own background thread
#endif
    return all > known ? all - known : 0;
}

}  // namespace rondo::detail

std::size_t rondo::lowlevel::threads_that_may_wake(std::size_t known) { return rondo::detail::foreign_threads(known); }

namespace rondo::detail {

// ---------------------------------------------------------------------------------------------- stack overflow

namespace {

struct sigaction previous_segv, previous_bus;

void put(const char* text) noexcept { (void)!::write(2, text, std::strlen(text)); }
void put_number(std::uint64_t n) noexcept {
    char digits[24];
    char* at = digits + sizeof digits;
    *--at = 0;
    do *--at = static_cast<char>('0' + n % 10);
    while (n /= 10);
    put(at);
}

// Only writes, since it may be in a signal handler.
void say_overflow(worker& w, task& t) noexcept {
    auto* extra = t.extra.load(relaxed);
    put("rondo: stack overflow in tasklet ");
    put_number(t.id.load(relaxed));
    if (extra && !extra->name.empty()) {
        put(" \"");
        put(extra->name.c_str());
        put("\"");
    }
    auto* layer = w.home.above.load(acquire);             // pairs with the release in attach()
    const bool is_job = layer && layer->put_running(&put);
    if (!is_job && t.where.line() != 0) {
        put(", spawned at ");
        put(t.where.file_name());
        put(":");
        put_number(t.where.line());
    }
    put(": its stack has ");
    put_number(w.standing_on().size);
    put(" bytes; give it more with ");
    if (!is_job) put("spawn({.stack_bytes = ...}, ...) or ");
    put("runtime_options::stack_bytes\n");
}

// On the alternate stack. Lets the fault happen again, so that the core shows the true place. What somebody has sent (kill
// -SEGV, for a core of a program that hangs) does not happen again by itself. Where a canary has gone any fault comes of that.
void on_fault(int signal, siginfo_t* info, void* context) {
    const bool is_sent = info->si_code <= 0;
    worker* w = worker::current();
    task* t = w ? w->running : nullptr;
    if (!is_sent && t && (stack_arena::in_guard(w->standing_on(), info->si_addr) || stack_arena::is_overrun(w->standing_on()))) {
        say_overflow(*w, *t);
        ::signal(signal, SIG_DFL);
        return;
    }
    const struct sigaction& before = signal == SIGSEGV ? previous_segv : previous_bus;
    if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    if (is_sent && before.sa_handler == SIG_IGN) return;
    ::signal(signal, SIG_DFL);
    if (is_sent) ::raise(signal);                         // it comes when we return
}

constexpr std::size_t signal_stack_bytes = 64 * 1024;

}  // namespace

void end_for_overflow(worker& w, task& t) noexcept {
    say_overflow(w, t);
    std::abort();
}

void install_overflow_handler() {
    static const bool once = [] {
        struct sigaction ours {};
        ours.sa_sigaction = &on_fault;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
        ::sigemptyset(&ours.sa_mask);
        ::sigaction(SIGSEGV, &ours, &previous_segv);
        ::sigaction(SIGBUS, &ours, &previous_bus);
        return true;
    }();
    (void)once;
}

void* alternate_signal_stack_begin() {
    stack_t before{};
    if (::sigaltstack(nullptr, &before) == 0 && !(before.ss_flags & SS_DISABLE)) return nullptr;   // a sanitizer's
    void* memory = ::mmap(nullptr, signal_stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    stack_t ours{};
    ours.ss_sp = memory;
    ours.ss_size = signal_stack_bytes;
    ::sigaltstack(&ours, nullptr);
    return memory;
}

void alternate_signal_stack_end(void* memory) noexcept {
    if (!memory) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    ::munmap(memory, signal_stack_bytes);
}

}  // namespace rondo::detail
