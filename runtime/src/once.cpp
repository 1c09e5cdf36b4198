#include <rondo/once.hpp>

#include "locks.hpp"

namespace rondo {

using detail::relaxed;
using lowlevel::waiter;

once::~once() {
    detail::expect_nobody_waits(lock_, waiters_, "a once must not be destroyed while somebody waits for it");
    expect(state_.load(relaxed) != state::running, "a once must not be destroyed while its function runs");
}

// run, done: what there is to do, without the spin lock. timed_out: another one runs its function; it is still held.
once::turn once::begin_and_unlock(waiter& me) {
    lock_.lock();
    if (const auto now = state_.load(relaxed); now != state::running) {
        if (now == state::idle) {
            state_.store(state::running, relaxed);
            runner_ = &me;
        }
        lock_.unlock();
        return now == state::idle ? turn::run : turn::done;
    }
    if (runner_ == &me) {
        lock_.unlock();
        throw usage_error("once::call from inside the function that it runs would wait for itself for ever");
    }
    return turn::timed_out;
}

once::turn once::begin(lowlevel::time_point until) {
    waiter& me = lowlevel::enter();
    if (done()) return turn::done;
    lowlevel::wait_node node(me);
    if (const turn now = begin_and_unlock(me); now != turn::timed_out) return now;
    if (until == detail::at_once) {
        lock_.unlock();
        return turn::timed_out;
    }
    node.tag = static_cast<std::uint8_t>(turn::done);
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::once, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return static_cast<turn>(node.tag);
    lowlevel::unlink(lock_, waiters_, node);
    lowlevel::raise(outcome);
    return turn::timed_out;
}

bool once::done_or_enlist(waiter& me, lowlevel::wait_node* node) {
    if (done() || begin_and_unlock(me) != turn::timed_out) return true;
    if (node) waiters_.push_back(*node);
    lock_.unlock();
    return false;
}

void once::end(bool is_done) noexcept {
    lowlevel::claimed_waiters woken;
    lock_.lock();
    runner_ = nullptr;
    if (is_done) {
        state_.store(state::done, detail::release);     // pairs with the acquire in done()
        woken.take_all(waiters_);
    } else if (lowlevel::wait_node* heir = waiters_.claim_front(lowlevel::wake::ready)) {
        heir->tag = static_cast<std::uint8_t>(turn::run);
        runner_ = heir->who;
        woken.add(*heir);
    } else {
        state_.store(state::idle, relaxed);
    }
    lock_.unlock();
    woken.resume_all();
}

}  // namespace rondo
