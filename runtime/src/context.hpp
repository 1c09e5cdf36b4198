// The one place that switches stacks. It keeps what belongs to the code that leaves: registers (Boost.Context), the
// C++ exception state (__cxa_get_globals: without it a `throw;` after a switch inside a catch rethrows somebody else's
// exception), errno; and it tells AddressSanitizer and ThreadSanitizer.
//
// Who leaves gives a departure: an action that runs on the stack arrived at, once the stack left behind is quiet.
// Only that action may show the leaving tasklet to others (seam: post-switch action).
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include "stack_arena.hpp"

#ifdef RONDO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
#include <sanitizer/tsan_interface.h>
#endif

namespace rondo::detail {

class worker;

/// The layout of what __cxa_get_globals() points to (Itanium C++ ABI).
struct exception_globals {
    void* caught;
    unsigned uncaught;
};

/// What belongs to this thread and must not be looked up again by code that may have moved to another one.
struct thread_state {
    exception_globals* exceptions;
    int* error_number;
};

struct departure {
    void (*after)(departure&, void* left) noexcept = nullptr;
    worker* by = nullptr;                // the worker that switches: the arriving side learns from it where it is
};

using fcontext = boost::context::detail::fcontext_t;
using boost::context::detail::transfer_t;

inline void arrive(transfer_t from) noexcept {
    auto* d = static_cast<departure*>(from.data);
    if (d->after) d->after(*d, from.fctx);
}

/// jump_fcontext, but entered by a jump. It leaves by a jump, so a call would leave one entry too many in the processor's
/// return stack, and every return after the switch would be predicted wrongly (a yield among ten: 37 ns with a call, 20 with
/// this).
[[gnu::always_inline]] inline transfer_t jump(fcontext to, void* data) noexcept {
#if defined(__x86_64__) && !defined(RONDO_ASAN) && !defined(RONDO_TSAN) && !(defined(__CET__) && (__CET__ & 2))
    transfer_t from;
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n\t"                // the red zone is not ours
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "jmp jump_fcontext@PLT\n"
        "1:\n\t"
        "leaq 128(%%rsp), %%rsp"
        : "=a"(from.fctx), "=d"(from.data), "+D"(to), "+S"(data)
        :                                            // what a call may change
        : "rcx", "r8", "r9", "r10", "r11", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
          "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
          "xmm12", "xmm13", "xmm14", "xmm15"
#ifdef __AVX512F__
          , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
          "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
    );
    return from;
#else
    return boost::context::detail::jump_fcontext(to, data);
#endif
}

/// Goes to `to` on stack `dest`. Returns when somebody switches back, possibly on another worker: the one returned.
/// for_good: nobody will; then it does not return.
inline worker* switch_stacks(thread_state here, fcontext to, [[maybe_unused]] stack& dest, departure& d,
                             [[maybe_unused]] bool for_good, thread_state (*state_of)(worker*)) noexcept {
    const exception_globals exceptions = *here.exceptions;
    const int error_number = *here.error_number;
#ifdef RONDO_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, dest.base, dest.size);
#endif
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)        // precise.hpp: the loop's fiber stays while the stacks change
    __tsan_switch_to_fiber(dest.tsan_fiber, 0);
#endif
    const transfer_t from = jump(to, &d);
#ifdef RONDO_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    worker* now = static_cast<departure*>(from.data)->by;
    arrive(from);
    const thread_state there = state_of(now);
    *there.exceptions = exceptions;
    *there.error_number = error_number;
    return now;
}

}  // namespace rondo::detail
