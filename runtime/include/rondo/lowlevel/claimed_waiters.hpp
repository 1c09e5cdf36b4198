// For whoever wakes several: those whose waits have been ended under a lock, to go on once it is free.
#pragma once

#include <rondo/lowlevel/wait.hpp>

namespace rondo::lowlevel {

/// Waiters that have been claimed under a spin lock and go on once it is free, in order of arrival. Once the lock has been let
/// go the object they waited for may not be touched any more: the first of them to go on may destroy it. Their nodes are what
/// links them, so it needs no memory.
class claimed_waiters {
public:
    /// One that has been claimed, and is in no list any more.
    void add(wait_node& claimed) noexcept {
        claimed.next = nullptr;
        (last_ ? last_->next : first_) = &claimed;
        last_ = &claimed;
    }
    /// Claims all that wait there. Those whose wait a timer or a stop has ended are taken off the list as well.
    void take_all(wait_list& list, wake outcome = wake::ready) noexcept {
        while (wait_node* n = list.claim_front(outcome)) add(*n);
    }
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    /// Without the lock. All must go on in this way, once.
    void resume_all() noexcept {
        while (wait_node* n = first_) {
            first_ = n->next;                          // once its owner goes on the node is gone
            resume(*n->who, placement::tail);
        }
    }

private:
    wait_node* first_ = nullptr;
    wait_node* last_ = nullptr;
};

}  // namespace rondo::lowlevel
