// Only in builds with RONDO_NOISE: see rondo/detail/noisy_atomic.hpp.
#ifdef RONDO_NOISE

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {
namespace {

std::uint64_t number_in(const char* name, std::uint64_t otherwise) noexcept {
    const char* const text = std::getenv(name);
    if (!text || !*text) return otherwise;
    std::uint64_t n = 0;
    const char* const end = text + std::strlen(text);
    if (const auto [last, problem] = std::from_chars(text, end, n); problem == std::errc() && last == end) return n;
    std::fprintf(stderr, "rondo: $%s is \"%s\": give a whole number, or unset it\n", name, text);
    std::_Exit(2);                                    // rather than be quiet, and let somebody take that for noise
}

constinit thread_local std::uint64_t state = 0;

}  // namespace

// Its own frame is the only one in which the thread does not change under it: nothing here suspends a tasklet.
[[gnu::noinline]] void make_noise() noexcept {
    static const auto level = std::min<std::uint64_t>(number_in("RONDO_NOISE", 5), 9);
    static const auto seed = number_in("RONDO_NOISE_SEED", static_cast<std::uint64_t>(::getpid()));
    if (level == 0) return;
    if (state == 0) state = (seed + 1) * 0x9E3779B97F4A7C15u ^ static_cast<std::uint64_t>(::gettid()) << 32;
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto r = static_cast<std::uint32_t>(state >> 38 >> level);      // 26 random bits and fewer
    if (r >= 1u << 15) return;                        // at level 1: one in 1024 goes on
    const int before = errno;
    if (r >= 1u << 9) ::sched_yield();                // 64 times as many as sleep
    else if (r >= 8) ::usleep(10 + r % 128);
    else ::usleep(1000 + 200 * r);                    // and 64 times fewer: for long
    errno = before;
}

}  // namespace rondo::detail

#endif
