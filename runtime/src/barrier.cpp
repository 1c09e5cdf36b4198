#include <rondo/barrier.hpp>

#include "locks.hpp"

namespace rondo {

barrier::barrier(std::ptrdiff_t participants) : participants_(participants), missing_(participants) {
    if (participants <= 0) throw usage_error("barrier: there must be at least one participant");
}
barrier::~barrier() {
    detail::expect_nobody_waits(lock_, waiters_, "a barrier must not be destroyed while somebody waits at it");
}

void barrier::check_participants() {
    if (missing_ > 0) return;
    lock_.unlock();
    throw usage_error("barrier: all participants have dropped out");
}

void barrier::arrive_now(bool for_the_last_time) {
    lowlevel::claimed_waiters woken;
    lock_.lock();
    check_participants();
    if (for_the_last_time) --participants_;
    if (--missing_ == 0) {
        missing_ = participants_;
        woken.take_all(waiters_);
    }
    lock_.unlock();
    woken.resume_all();
}

bool barrier::arrive_and_wait_by(lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    lowlevel::claimed_waiters woken;
    lowlevel::wait_node node(me);
    lock_.lock();
    check_participants();
    if (missing_ == 1) {
        missing_ = participants_;
        woken.take_all(waiters_);
        lock_.unlock();
        woken.resume_all();
        return true;
    }
    if (until == detail::at_once) {
        lock_.unlock();
        return false;
    }
    --missing_;
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::barrier, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lock_.lock();
    const bool complete = !node.linked;                 // with our arrival, just after the timer or the stop
    if (!complete) {
        waiters_.erase(node);
        ++missing_;
    }
    lock_.unlock();
    if (complete) return true;
    lowlevel::raise(outcome);
    return false;
}

}  // namespace rondo
