// One probe at a time. Who asks and the thread that is asked share the probe:
//
//   state     who may change it                         how                  next
//   idle      who asks, under the lock                  store seq_cst        wanted
//   wanted    the handler, on the thread that is meant  CAS acquire          answering
//             who asks, when the time is up             CAS                  idle
//   answering the handler                               store release        answered
//   answered  who asks, with acquire                    store                idle
//
// A signal that comes too late finds another state, or another worker's name, and does nothing.
// Checked: tests/runtime/watchdog_test.cpp.
#include "stack_probe.hpp"

#include <signal.h>
#include <ucontext.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <mutex>

#include "futex.hpp"
#include "unwatched.hpp"
#include "worker.hpp"

namespace rondo::detail {
namespace {

constexpr int probe_signal = SIGURG;                  // by default it does nothing, and hardly anybody uses it
constexpr std::size_t most_frames = 64;

enum : std::uint32_t { idle, wanted, answering, answered };
struct {
    atomic<std::uint32_t> state{idle};
    atomic<const worker*> of{nullptr};
    const void* frames[most_frames]{};
    std::size_t length = 0;
} constinit probe;

struct sigaction before;

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
// By unwind tables, since a system call is made by libc, which keeps no frame pointers. From 2.35 on the tables are found
// without a lock (_dl_find_object), so the unwinder may be called wherever a thread has been interrupted.
constexpr bool has_safe_unwinder = true;
#else
constexpr bool has_safe_unwinder = false;
#endif

struct unwinding {
    std::uintptr_t from;                              // where the thread was interrupted: frames before it are the handler's
    const void** frames;
    std::size_t length = 0;
};

_Unwind_Reason_Code note_frame(_Unwind_Context* at, void* to) {
    auto& u = *static_cast<unwinding*>(to);
    int is_exact = 0;                                 // not a return address: it is the instruction that was interrupted
    const auto pc = _Unwind_GetIPInfo(at, &is_exact);
    if (pc == 0) return _URC_END_OF_STACK;
    if (u.length == 0 && pc != u.from) return _URC_NO_REASON;
    u.frames[u.length++] = reinterpret_cast<const void*>(pc + (is_exact ? 1 : 0));       // as if it were one
    return u.length < most_frames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

std::size_t frames_of(const ucontext_t& at, const stack& on, const void** frames) noexcept {
#if defined(__x86_64__)
    const auto& registers = at.uc_mcontext.gregs;
    if constexpr (has_safe_unwinder) {
        unwinding u{static_cast<std::uintptr_t>(registers[REG_RIP]), frames};
        _Unwind_Backtrace(&note_frame, &u);
        if (u.length > 1) return u.length;
    }
    frames[0] = reinterpret_cast<const void*>(registers[REG_RIP] + 1);       // as if it were a return address
    auto* const lowest = std::max<const char*>(reinterpret_cast<const char*>(registers[REG_RSP]), on.limit);
    return follow_frames(on, lowest, reinterpret_cast<const char*>(registers[REG_RBP]), frames, most_frames);
#else
    (void)at, (void)on, (void)frames;
    return 0;
#endif
}

// On the alternate stack; calls nothing that may not be called in a handler.
void on_signal(int signal, siginfo_t* info, void* context) {
    const int error = errno;
    worker* const w = worker::current();
    auto expected = std::uint32_t{wanted};
    // acquire: pairs with the store in probe_stack(), so that `of` is the one who is wanted.
    if (w && probe.of.load(relaxed) == w && probe.state.compare_exchange_strong(expected, answering, acquire, relaxed)) {
        probe.length = frames_of(*static_cast<ucontext_t*>(context), w->standing_on(), probe.frames);
        probe.state.store(answered, release);
        futex_wake(&probe.state);
    } else if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    }
    errno = error;
}

void install_handler() noexcept {
    struct sigaction ours {};
    ours.sa_sigaction = &on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ::sigemptyset(&ours.sa_mask);
    ::sigaction(probe_signal, &ours, &before);
}

// False: the time is up, and nobody will answer any more.
bool wait_for_answer() noexcept {
    const auto until = steady_now_ns() + 100'000'000;
    for (;;) {
        auto seen = probe.state.load(acquire);        // pairs with the release of who answers
        if (seen == answered) return true;
        // Once it is answering it takes no time, and must be waited for.
        if (seen == wanted && steady_now_ns() >= until && probe.state.compare_exchange_strong(seen, idle, relaxed, relaxed)) return false;
        futex_wait_until(probe.state, seen, until);
    }
}

}  // namespace

RONDO_UNWATCHED std::size_t follow_frames(const stack& on, const char* lowest, const char* frame, const void** frames,
                                          std::size_t most) noexcept {
    const char* const highest = on.base + on.size - 2 * sizeof(void*);
    std::size_t n = 1;
    while (n < most && frame >= lowest && frame <= highest && reinterpret_cast<std::uintptr_t>(frame) % 8 == 0) {
        frames[n] = *reinterpret_cast<const void* const*>(frame + 8);
        if (!frames[n]) break;
        ++n;
        const char* const up = *reinterpret_cast<const char* const*>(frame);
        if (up <= frame) break;
        frame = up;
    }
    return n;
}

std::size_t probe_stack(const worker& w, pthread_t thread, const void** frames, std::size_t most) noexcept {
    static std::mutex one_at_a_time;
    const std::lock_guard hold(one_at_a_time);
    static const bool installed = (install_handler(), true);
    (void)installed;
    probe.of.store(&w, relaxed);
    probe.state.store(wanted, seq_cst);
    std::size_t n = 0;
    if (::pthread_kill(thread, probe_signal) == 0 && wait_for_answer()) {
        n = probe.length < most ? probe.length : most;
        for (std::size_t i = 0; i < n; ++i) frames[i] = probe.frames[i];
    }
    probe.state.store(idle, relaxed);
    return n;
}

}  // namespace rondo::detail
