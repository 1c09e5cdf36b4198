#include <rondo/latch.hpp>

#include "locks.hpp"

namespace rondo {

using detail::acq_rel;
using detail::relaxed;

latch::latch(std::ptrdiff_t count) : left_(count) {
    if (count < 0) throw usage_error("latch: the count must not be negative");
}
latch::~latch() {
    detail::expect_nobody_waits(lock_, waiters_, "a latch must not be destroyed while somebody waits for it");
}

std::ptrdiff_t latch::rest(std::ptrdiff_t now, std::ptrdiff_t by) const {
    if (by < 0) throw usage_error("latch: it cannot be counted up");
    if (by > now) throw usage_error("latch: counted down further than to zero");
    return now - by;
}

// What was left before. With the lock held; throws without it.
std::ptrdiff_t latch::count_under_lock(std::ptrdiff_t by) {
    auto now = left_.load(relaxed);
    try {
        // acq_rel: as in count_down().
        while (!left_.compare_exchange_weak(now, rest(now, by), acq_rel, relaxed)) {}
    } catch (...) {
        lock_.unlock();
        throw;
    }
    return now;
}

void latch::count_down(std::ptrdiff_t by) {
    auto now = left_.load(relaxed);
    // acq_rel: what each one did is handed from one count_down() to the next, and by the last one to the waiters.
    for (std::ptrdiff_t next; (next = rest(now, by)) != 0;)
        if (left_.compare_exchange_weak(now, next, acq_rel, relaxed)) return;
    if (by == 0) return;

    // The last one. Under the lock, so that a waiter that sees 0 and destroys us waits until we are out.
    lowlevel::claimed_waiters woken;
    lock_.lock();
    if (count_under_lock(by) == by) woken.take_all(waiters_);
    lock_.unlock();
    woken.resume_all();
}

bool latch::wait_by(lowlevel::time_point until) { return arrive_and_wait_by(0, until); }

bool latch::arrive_and_wait_by(std::ptrdiff_t by, lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    if (by == 0 && try_wait()) return true;
    lowlevel::claimed_waiters woken;
    lowlevel::wait_node node(me);
    lock_.lock();
    if (count_under_lock(by) == by) {
        woken.take_all(waiters_);
        lock_.unlock();
        woken.resume_all();
        return true;
    }
    if (until == detail::at_once) {
        left_.fetch_add(by, relaxed);
        lock_.unlock();
        return false;
    }
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::latch, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lock_.lock();
    const bool opened = !node.linked;                   // with our count, just after the timer or the stop
    if (!opened) {
        waiters_.erase(node);
        left_.fetch_add(by, relaxed);
    }
    lock_.unlock();
    if (opened) return true;
    lowlevel::raise(outcome);
    return false;
}

bool latch::done_or_enlist(lowlevel::waiter&, lowlevel::wait_node* node) noexcept {
    return detail::done_or_link(lock_, waiters_, node, [this] { return try_wait(); });
}

}  // namespace rondo
