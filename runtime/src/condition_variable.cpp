#include <rondo/condition_variable.hpp>

#include <algorithm>

#include "locks.hpp"

namespace rondo {

condition_variable::~condition_variable() {
    detail::expect_nobody_waits(lock_, waiters_,
                                "a condition_variable must not be destroyed while somebody waits for it");
}

bool condition_variable::wait_by(std::unique_lock<mutex>& lock, lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    mutex* const m = lock.mutex();
    if (!lock.owns_lock() || !m->held_by(me))
        throw usage_error("condition_variable::wait: the caller must hold the mutex through the lock it passes");
    lowlevel::wait_node node(me);
    lock_.lock();
    waiters_.push_back(node);
    // Under our spin lock, which is free only once this wait can be claimed: whoever locks the mutex now, changes
    // something and notifies, finds us waiting. (A mutex never reaches for a condition_variable's lock.)
    m->let_go(me);
    // Even without any time left others get a chance to lock the mutex.
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::condition, this}, &lock_,
                                           std::max(until, lowlevel::time_point{}));
    if (outcome != lowlevel::wake::ready) lowlevel::unlink(lock_, waiters_, node);
    // From here on this object may be gone: it was notified.
    m->lock_again(me);
    lowlevel::raise(outcome);
    return outcome == lowlevel::wake::ready;
}

void condition_variable::notify_one() noexcept {
    lock_.lock();
    lowlevel::wait_node* n = waiters_.claim_front(lowlevel::wake::ready);
    lock_.unlock();
    if (n) lowlevel::resume(*n->who, lowlevel::placement::tail);
}

void condition_variable::notify_all() noexcept {
    lowlevel::claimed_waiters woken;
    lock_.lock();
    woken.take_all(waiters_);
    lock_.unlock();
    woken.resume_all();
}

}  // namespace rondo
