// Who could still help: what a wait without any visible partner may hope for.
#pragma once

#include <cstddef>

namespace rondo::lowlevel {

/// Threads of this process that may yet wake somebody: all but `known` ones of the caller's, and those that are blocked
/// inside Rondo without a limit of time. A snapshot; reads /proc (some 10 us). Suspends: never.
[[nodiscard]] std::size_t threads_that_may_wake(std::size_t known);

}  // namespace rondo::lowlevel
