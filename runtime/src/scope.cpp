#include <rondo/scope.hpp>

#include <mutex>

#include "scheduler.hpp"

namespace rondo {

group::child* group::enroll() {
    auto* c = new child;
    std::lock_guard hold(lock_);
    c->next = children_;
    if (children_) children_->prev = c;
    children_ = c;
    ++live_;
    return c;
}

bool group::is_stopping(child& c, detail::task_ref ref) noexcept {
    std::lock_guard hold(lock_);
    c.ref = ref;
    return stopping_;
}

void group::leave(child* c) noexcept {
    lock_.lock();
    (c->prev ? c->prev->next : children_) = c->next;
    if (c->next) c->next->prev = c->prev;
    lowlevel::wait_node* n = --live_ == 0 ? waiting_.claim_front(lowlevel::wake::ready) : nullptr;
    lowlevel::waiter* who = n ? n->who : nullptr;
    lock_.unlock();                               // the group may be gone from here on
    delete c;
    if (who) lowlevel::resume(*who, lowlevel::placement::tail);
}

void group::child_failed() {
    fail(std::current_exception());
    // The group has it: it need not be reported again if nobody joins this child.
    if (auto* w = detail::worker::current(); w && w->running) w->running->flags.joined_error = true;
}

void group::fail(std::exception_ptr error) {
    {
        std::lock_guard hold(lock_);
        if (!first_) first_ = std::move(error);
    }
    stop();
}

void group::stop() {
    std::vector<detail::task_ref> all;
    {
        std::lock_guard hold(lock_);
        stopping_ = true;
        all.reserve(live_);
        for (child* c = children_; c; c = c->next)
            if (c->ref.t) all.push_back(c->ref);
    }
    for (auto& ref : all) detail::stop_task(ref);     // one that has ended meanwhile is left alone
}

bool group::stop_requested() const noexcept {
    std::lock_guard hold(lock_);
    return stopping_;
}

std::size_t group::size() const noexcept {
    std::lock_guard hold(lock_);
    return live_;
}

void group::finish(bool own_deadline_passed, const detail::deadline_scope* own_deadline) {
    using lowlevel::wake;
    const auto wait = [this]() -> wake {
        lowlevel::waiter& me = lowlevel::self();
        // The children's end cannot be given up: if there is no stack to go on with, wait for the memory.
        lowlevel::ensure_stack();
        lowlevel::wait_node node(me);
        lock_.lock();
        if (live_ == 0) {
            lock_.unlock();
            return wake::ready;
        }
        waiting_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::scope, this, nullptr}, &lock_);
        if (outcome != wake::ready) lowlevel::unlink(lock_, waiting_, node);
        return outcome;
    };
    wake outcome = wake::ready;
    if (!own_deadline_passed) outcome = wait();
    if (outcome != wake::ready || own_deadline_passed) {
        stop();
        const lowlevel::shield until_they_end;
        while (wait() != wake::ready) {}
    }
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
    if (outcome == wake::stopped) throw stopped();
    if (own_deadline_passed || outcome == wake::deadline) {
        if (own_deadline && own_deadline->is_mine()) throw deadline_exceeded();
        throw detail::deadline_passed();
    }
}

}  // namespace rondo
