// The atomics that lock-free code uses. Model tests define RONDO_MODEL_ATOMICS as the name of a header that
// provides the same names in rondo::detail, so that they can walk through every interleaving (tests/model/).
#pragma once

#ifdef RONDO_MODEL_ATOMICS
#include RONDO_MODEL_ATOMICS
#else

#include <atomic>
#include <cstdint>

#ifdef RONDO_NOISE
#include <rondo/detail/noisy_atomic.hpp>
#endif

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define RONDO_ASAN 1
#endif
#endif
#if (defined(__SANITIZE_THREAD__) || defined(RONDO_TSAN_PRECISE)) && !defined(RONDO_TSAN)
#define RONDO_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(RONDO_ASAN)
#define RONDO_ASAN 1
#endif

namespace rondo::detail {

template <class T>
#ifdef RONDO_NOISE
using atomic = noisy_atomic<T>;
#else
using atomic = std::atomic<T>;
#endif

inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;
inline constexpr auto seq_cst = std::memory_order_seq_cst;

/// A full fence between a store and a later load of another location (Dekker's pattern).
/// ThreadSanitizer does not model fences: there it is a read-modify-write of one shared word, which orders the same
/// pairs and shows the sanitizer an edge it understands. (Not in the precise mode: there it would order all who do so.)
inline void fence_seq_cst() noexcept {
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
    static std::atomic<std::uint32_t> word{0};
    word.fetch_add(1, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// One side of Dekker's pattern for nothing, the other one dear: fence_heavy() makes every other thread of this process
/// execute a full fence, so fence_light() need only hold the compiler back (P1202's asymmetric fences, on Linux
/// membarrier, 1 to 30 us). Only where has_asymmetric_fences(): an old kernel or a sandbox may lack the call.
inline void fence_light() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
void fence_heavy() noexcept;                       // runtime/src/machine.cpp
bool has_asymmetric_fences() noexcept;             // the first call makes it known to the kernel that we use them

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// Asks for a cache line that will be written soon, from whoever else has it; any address will do. (__builtin_prefetch asks
/// for a line to be read, if compiled for a processor of before 2014: then writing it has to ask once more.)
inline void fetch_to_write(const void* p) noexcept {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(p)));
#else
    __builtin_prefetch(p, 1);
#endif
}

}  // namespace rondo::detail
#endif
