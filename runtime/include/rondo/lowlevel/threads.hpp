// Who could still help: what a wait without any visible partner may hope for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rondo {
class runtime;
}

namespace rondo::lowlevel {

/// Threads of this process that may yet wake somebody: all but `known` ones of the caller's, and those that are blocked
/// inside Rondo without a limit of time. A snapshot; reads /proc (some 10 us). Suspends: never.
[[nodiscard]] std::size_t threads_that_may_wake(std::size_t known);

/// Of the thread that looks for tasklets that keep their workers (runtime_options::stall_limit): how often it has looked, and
/// whether it sleeps now until a worker goes on; and how many spare workers are not on their bench. For tests.
struct watch {
    std::uint64_t looks = 0;
    bool sleeps = true;
    std::size_t spares = 0;
};
[[nodiscard]] watch watch_over(runtime& rt) noexcept;

}  // namespace rondo::lowlevel
