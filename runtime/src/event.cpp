#include <rondo/event.hpp>

#include "locks.hpp"

namespace rondo {

event::~event() {
    detail::expect_nobody_waits(lock_, waiters_, "an event must not be destroyed while somebody waits for it");
}

void event::set() noexcept {
    lowlevel::claimed_waiters woken;
    lock_.lock();
    set_.store(true, detail::release);                  // pairs with the acquire in is_set()
    woken.take_all(waiters_);
    lock_.unlock();
    woken.resume_all();
}

void event::reset() noexcept {
    lock_.lock();
    set_.store(false, detail::relaxed);
    lock_.unlock();
}

bool event::wait_by(lowlevel::time_point until) {
    lowlevel::waiter& me = lowlevel::enter();
    if (is_set()) return true;
    if (until == detail::at_once) return false;
    lowlevel::wait_node node(me);
    lock_.lock();
    if (set_.load(detail::relaxed)) {
        lock_.unlock();
        return true;
    }
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::event, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lowlevel::unlink(lock_, waiters_, node);
    lowlevel::raise(outcome);
    return false;
}

bool event::done_or_enlist(lowlevel::waiter&, lowlevel::wait_node* node) noexcept {
    return detail::done_or_link(lock_, waiters_, node, [this] { return is_set(); });
}

}  // namespace rondo
