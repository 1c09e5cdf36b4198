// A cheap clock for averages and rough limits: about 2.6 stamps a nanosecond, more or less, as the processor counts.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace rondo::detail {

inline std::uint64_t stamp() noexcept {
#if defined(__x86_64__)
    return __rdtsc();
#else
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 2'600'000'000ull + static_cast<std::uint64_t>(t.tv_nsec) * 26 / 10;
#endif
}

}  // namespace rondo::detail
