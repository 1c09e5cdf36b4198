// The kernel's wait for a word (Linux, private to this process). Models bring their own.
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

inline constexpr std::int64_t no_limit_ns = INT64_MAX;
/// Now, on the clock that the waits below go by.
std::int64_t steady_now_ns() noexcept;

/// Sleeps while the word holds the value, until that time on CLOCK_MONOTONIC at most; may return early.
void futex_wait_until(atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t until_ns) noexcept;
/// Wakes one who sleeps there. The word may be gone already: only its address counts.
void futex_wake(const atomic<std::uint32_t>* word) noexcept;

}  // namespace rondo::detail
