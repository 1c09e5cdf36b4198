#include <rondo/semaphore.hpp>

#include <limits>

#include "locks.hpp"

namespace rondo {

semaphore::semaphore(std::ptrdiff_t permits) : free_(permits) {
    if (permits < 0) throw usage_error("semaphore: the number of permits must not be negative");
}
semaphore::~semaphore() {
    detail::expect_nobody_waits(lock_, waiters_, "a semaphore must not be destroyed while somebody waits for it");
}

bool semaphore::take_one() noexcept {
    if (free_ == 0) return false;
    --free_;
    return true;
}

bool semaphore::try_acquire() noexcept {
    lock_.lock();
    const bool yes = take_one();
    lock_.unlock();
    return yes;
}

bool semaphore::acquire_by(lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    lowlevel::wait_node node(me);
    lock_.lock();
    const bool yes = take_one();
    if (yes || until == detail::at_once) {
        lock_.unlock();
        return yes;
    }
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::semaphore, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lowlevel::unlink(lock_, waiters_, node);
    lowlevel::raise(outcome);
    return false;
}

bool semaphore::done_or_enlist(lowlevel::waiter&, lowlevel::wait_node* node) noexcept {
    lock_.lock();
    const bool yes = take_one();
    if (!yes && node) waiters_.push_back(*node);
    lock_.unlock();
    return yes;
}

void semaphore::release(std::ptrdiff_t permits) {
    if (permits < 0) throw usage_error("semaphore::release: the number of permits must not be negative");
    lowlevel::claimed_waiters woken;
    lock_.lock();
    if (free_ > std::numeric_limits<std::ptrdiff_t>::max() - permits) {
        lock_.unlock();
        throw usage_error("semaphore::release: more permits than a ptrdiff_t can count");
    }
    while (permits > 0) {
        lowlevel::wait_node* n = waiters_.claim_front(lowlevel::wake::ready);
        if (!n) break;
        woken.add(*n);
        --permits;
    }
    free_ += permits;
    lock_.unlock();
    woken.resume_all();
}

}  // namespace rondo
