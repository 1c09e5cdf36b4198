// What the locks and counts share.
#pragma once

#include <rondo/lowlevel/claimed_waiters.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

/// For a select over what is over once is_done() says so, and says so to who holds `lock`: see lowlevel::clause_on.
template <class Done>
[[nodiscard]] bool done_or_link(lowlevel::spin_lock& lock, lowlevel::wait_list& list, lowlevel::wait_node* node,
                                Done is_done) noexcept {
    if (is_done()) return true;
    if (!node) return false;
    lock.lock();
    const bool yes = is_done();
    if (!yes) list.push_back(*node);
    lock.unlock();
    return yes;
}

/// For destructors: waits until whoever has just let us go on is out of the object, and looks for waiters.
inline void expect_nobody_waits(lowlevel::spin_lock& lock, const lowlevel::wait_list& list, const char* what) noexcept {
    lock.lock();
    expect(list.empty(), what);
    lock.unlock();
}

}  // namespace rondo::detail
