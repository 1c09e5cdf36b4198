#include <rondo/shared_mutex.hpp>

#include "locks.hpp"

namespace rondo {

using lowlevel::waiter;

shared_mutex::~shared_mutex() {
    detail::expect_nobody_waits(lock_, waiters_, "a shared_mutex must not be destroyed while somebody waits for it");
    expect(!writer_ && readers_ == 0, "a shared_mutex must not be destroyed while somebody holds it");
}

bool shared_mutex::is_free_for(as what) const noexcept { return !writer_ && (what == as::reader || readers_ == 0); }

void shared_mutex::give_to(as what, waiter& who) noexcept {
    if (what == as::writer) writer_ = &who;
    else ++readers_;
}

bool shared_mutex::try_acquire(as what) noexcept {
    waiter& me = lowlevel::self();
    lock_.lock();
    const bool yes = waiters_.empty() && is_free_for(what);
    if (yes) give_to(what, me);
    lock_.unlock();
    return yes;
}

// True: it is ours. False: somebody else's, and the spin lock is still held. Throws without it.
bool shared_mutex::take_and_unlock(as what, waiter& me) {
    lock_.lock();
    if (writer_ == &me) {
        lock_.unlock();
        throw usage_error("shared_mutex: the caller holds it alone already and would wait for itself for ever");
    }
    if (!waiters_.empty() || !is_free_for(what)) return false;
    give_to(what, me);
    lock_.unlock();
    return true;
}

bool shared_mutex::acquire(as what, lowlevel::time_point until) {
    waiter& me = lowlevel::enter();
    lowlevel::wait_node node(me);
    if (take_and_unlock(what, me)) return true;
    if (until == detail::at_once) {
        lock_.unlock();
        return false;
    }
    node.tag = static_cast<std::uint8_t>(what);
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::shared_mutex, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    withdraw(node);
    lowlevel::raise(outcome);
    return false;
}

bool shared_mutex::done_or_enlist(waiter& me, lowlevel::wait_node* node, bool as_reader) {
    const as what = as_reader ? as::reader : as::writer;
    if (!node) return try_acquire(what);
    if (take_and_unlock(what, me)) return true;
    node->tag = static_cast<std::uint8_t>(what);
    waiters_.push_back(*node);
    lock_.unlock();
    return false;
}

void shared_mutex::withdraw(lowlevel::wait_node& node) noexcept {
    lock_.lock();
    if (node.linked) waiters_.erase(node);
    admit_and_unlock();                                 // readers may have waited behind a writer that gives up
}

void shared_mutex::unlock() noexcept {
    waiter& me = lowlevel::self();
    lock_.lock();
    expect(writer_ == &me, "a shared_mutex must be unlocked by the tasklet (or plain thread) that holds it alone");
    writer_ = nullptr;
    admit_and_unlock();
    lowlevel::after_operation(me);
}

void shared_mutex::unlock_shared() noexcept {
    lock_.lock();
    expect(readers_ > 0, "a shared_mutex that is unlocked by a reader must be held by a reader");
    --readers_;
    admit_and_unlock();
    lowlevel::after_operation(lowlevel::self());
}

void shared_mutex::admit_and_unlock() noexcept {
    lowlevel::claimed_waiters woken;
    while (lowlevel::wait_node* n = waiters_.front()) {
        const auto what = static_cast<as>(n->tag);
        if (!is_free_for(what)) break;
        waiters_.erase(*n);
        if (!n->claim(lowlevel::wake::ready)) continue;    // a timer or a stop came first
        give_to(what, *n->who);
        woken.add(*n);
    }
    lock_.unlock();
    woken.resume_all();
}

}  // namespace rondo
