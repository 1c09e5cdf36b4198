// What the locks and counts share.
//
// Waiters that have been claimed under a spin lock and go on once it is free. In between the object they waited for may
// not be touched any more: the first of them to go on may destroy it.
#pragma once

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

class woken_waiters {
public:
    void add(lowlevel::wait_node& claimed) noexcept {
        claimed.next = nullptr;
        (last_ ? last_->next : first_) = &claimed;
        last_ = &claimed;
    }
    /// Those whose wait a timer or a stop has ended are taken off the list as well.
    void take_all(lowlevel::wait_list& list) noexcept {
        while (lowlevel::wait_node* n = list.claim_front(lowlevel::wake::ready)) add(*n);
    }
    void resume_all() noexcept {
        while (lowlevel::wait_node* n = first_) {
            first_ = n->next;                          // once its owner goes on the node is gone
            lowlevel::resume(*n->who, lowlevel::placement::tail);
        }
    }

private:
    lowlevel::wait_node* first_ = nullptr;
    lowlevel::wait_node* last_ = nullptr;
};

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
