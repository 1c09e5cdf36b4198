// What reports say about who holds a lock. It costs the lock's holder something to keep that up to date, so only the
// waiters at the front of a list are told.
#pragma once

#include <cstddef>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

inline constexpr std::size_t informed_waiters = 4;

/// Stands for a plain thread that holds a lock: its own record may be gone before a report reads it. (A tasklet's
/// descriptor stays readable, see detail/task.hpp.)
inline constinit const lowlevel::waiter some_plain_thread;

/// The holder as reports may see it. Call it where the holder's record is known to be there.
inline const lowlevel::waiter* reportable(const lowlevel::waiter* holder) noexcept {
    return holder && !holder->is_tasklet ? &some_plain_thread : holder;
}

/// For those who wait on when the lock changes hands. Under the lock of the list.
inline void tell_waiters(const lowlevel::wait_list& list, const lowlevel::waiter* shown) noexcept {
    std::size_t told = 0;
    for (auto* n = list.front(); n && told < informed_waiters; n = n->next, ++told)
        n->who->wait_holder.store(shown, relaxed);
}

}  // namespace rondo::detail
