#include "futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <ctime>

namespace rondo::detail {

std::int64_t steady_now_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void futex_wait_until(atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t until_ns) noexcept {
    const timespec t{static_cast<time_t>(until_ns / 1'000'000'000), static_cast<long>(until_ns % 1'000'000'000)};
    ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, until_ns != no_limit_ns ? &t : nullptr, nullptr,
              FUTEX_BITSET_MATCH_ANY);
}

void futex_wake(const atomic<std::uint32_t>* word) noexcept {
    ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace rondo::detail
