#include <rondo/wait_group.hpp>

#include <limits>

#include "locks.hpp"

namespace rondo {

using detail::acq_rel;
using detail::relaxed;

wait_group::wait_group(std::ptrdiff_t jobs) : jobs_(jobs) {
    if (jobs < 0) throw usage_error("wait_group: the number of jobs must not be negative");
}
wait_group::~wait_group() {
    detail::expect_nobody_waits(lock_, waiters_, "a wait_group must not be destroyed while somebody waits for it");
}

std::ptrdiff_t wait_group::sum(std::ptrdiff_t now, std::ptrdiff_t jobs) const {
    if (jobs < -now)
        throw usage_error("wait_group: more jobs are done than were added; call add() before the job is started");
    if (jobs > std::numeric_limits<std::ptrdiff_t>::max() - now)
        throw usage_error("wait_group::add: more jobs than a ptrdiff_t can count");
    return now + jobs;
}

void wait_group::add(std::ptrdiff_t jobs) {
    if (jobs == 0) return;
    auto now = jobs_.load(relaxed);
    // acq_rel: what each job did is handed from one done() to the next, and by the last one to the waiters.
    for (std::ptrdiff_t next; (next = sum(now, jobs)) != 0;)
        if (jobs_.compare_exchange_weak(now, next, acq_rel, relaxed)) return;

    // The last one. Under the lock, so that a waiter that sees 0 and destroys us waits until we are out.
    lowlevel::claimed_waiters woken;
    lock_.lock();
    now = jobs_.load(relaxed);
    try {
        // acq_rel: as above.
        while (!jobs_.compare_exchange_weak(now, sum(now, jobs), acq_rel, relaxed)) {}
    } catch (...) {
        lock_.unlock();
        throw;
    }
    if (now + jobs == 0) woken.take_all(waiters_);
    lock_.unlock();
    woken.resume_all();
}

bool wait_group::wait_by(lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    if (try_wait()) return true;
    if (until == detail::at_once) return false;
    lowlevel::wait_node node(me);
    lock_.lock();
    if (try_wait()) {
        lock_.unlock();
        return true;
    }
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::wait_group, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lowlevel::unlink(lock_, waiters_, node);
    lowlevel::raise(outcome);
    return false;
}

bool wait_group::done_or_enlist(lowlevel::waiter&, lowlevel::wait_node* node) noexcept {
    return detail::done_or_link(lock_, waiters_, node, [this] { return try_wait(); });
}

}  // namespace rondo
