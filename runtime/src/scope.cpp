// Scopes. Who ends, who waits and who stops meet in one word:
//
//   live_      {children that have not ended : 62 | open: the scope does not wait for them : 1 | stopping : 1}
//   changed by                 how                           and then
//   enroll     spawn           += child, acq_rel             stopping was set: stops its own child
//   stop       anybody         |= stopping, acq_rel          stops every child that it finds in the registry
//   leave      the child       -= child, acq_rel             the last one, and not open: claims the scope's wait
//   finish     the scope       &= ~open, its wait is listed  no child is left: goes on; else suspends
//              and, woken by   |= open                       no child was left: the last one is on its way to the
//              a stop                                        lock, and is waited for
//
// I1  A child whose enroll comes before a stop in the order of live_ is found by the stop: the acquire there sees the
//     child's in_group, stored before the release here. One that comes after sees the bit.
// I2  The owner is alive while a child may interrupt it, since the scope waits for all; what they wrote before they left
//     is seen at the end (acquire in wait_for_children()).
// I3  The last child, when not open, takes lock_ once more; the scope does not end before that (its wait has been claimed, or
//     last_has_left_ is set). So nobody touches a group that is gone.
// Progress: enroll and leave are wait-free, but for the last child.
#include <rondo/scope.hpp>

#include <mutex>

#include "scheduler.hpp"

namespace rondo {

using detail::acq_rel;
using detail::acquire;
using detail::relaxed;

group::group() noexcept {
    if (const auto* w = detail::worker::current()) {
        home_ = &w->home;
        owner_ = w->running;
    }
}

detail::scheduler* group::home() const {
    if (home_) return home_;
    throw usage_error("group::spawn in a scope on a plain thread, which has no runtime: call rondo::scope in a tasklet "
                      "(rondo::run, runtime::run)");
}

void group::enroll(detail::task& t) noexcept {
    const detail::task_ref ref{&t, t.id.load(relaxed)};
    t.in_group.store(this, relaxed);              // published by the release below
    if (live_.fetch_add(child, acq_rel) & stopping) [[unlikely]] detail::stop_task(ref);
}

void group::leave(detail::task& t) noexcept {
    if (t.error && !t.flags.was_stopped) [[unlikely]] {
        if (fail(t.error)) {                      // the first: the scope's own function stops too
            interrupted_ = true;
            lowlevel::interrupt(*owner_);
        }
        t.flags.joined_error = true;              // the group has it: no need to report it again if nobody joins
    }
    t.in_group.store(nullptr, relaxed);
    if ((live_.fetch_sub(child, acq_rel) & ~stopping) != child) return;       // others are left, or it is open
    lock_.lock();
    last_has_left_ = true;
    lowlevel::wait_node* n = waiting_.claim_front(lowlevel::wake::ready);
    lowlevel::waiter* who = n ? n->who : nullptr;
    lock_.unlock();                               // the group may be gone from here on
    if (who) lowlevel::resume(*who, lowlevel::placement::tail);
}

bool group::fail(std::exception_ptr error) {
    bool is_first = false;
    {
        std::lock_guard hold(lock_);
        if ((is_first = !first_)) first_ = std::move(error);
    }
    stop();
    return is_first;
}

void group::stop() {
    live_.fetch_or(stopping, acq_rel);
    if (!home_) return;
    home_->tasks.for_each([this](detail::task& t) {
        // The id first: if it is still there when stop_task() looks, then in_group was that tasklet's.
        const auto id = t.id.load(acquire);
        if (id != 0 && t.in_group.load(relaxed) == this) detail::stop_task({&t, id});
    });
}

bool group::stop_requested() const noexcept { return live_.load(relaxed) & stopping; }

std::size_t group::size() const noexcept {
    return static_cast<std::size_t>(live_.load(relaxed) / child);
}

lowlevel::wake group::wait_for_children() noexcept {
    using lowlevel::wake;
    lowlevel::waiter& me = lowlevel::self();
    // The children's end cannot be given up: if there is no stack to go on with, wait for the memory.
    lowlevel::ensure_stack();
    lowlevel::wait_node node(me);
    lock_.lock();
    last_has_left_ = false;
    waiting_.push_back(node);
    // acquire: pairs with the release in leave(); what the children did is then seen.
    if (live_.fetch_and(~open, acq_rel) < child) {
        live_.fetch_or(open, relaxed);
        waiting_.erase(node);
        lock_.unlock();
        return wake::ready;
    }
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::scope, this, nullptr}, &lock_);
    if (outcome == wake::ready) return wake::ready;
    lock_.lock();
    if (node.linked) waiting_.erase(node);
    const bool had_ended = live_.fetch_or(open, acq_rel) < child;
    lock_.unlock();
    if (!had_ended) return outcome;
    for (unsigned round = 0;; ++round) {          // the last child is between its two steps
        lock_.lock();
        const bool gone = last_has_left_;
        lock_.unlock();
        if (gone) return outcome;
        lowlevel::detail::spin_wait(round);
    }
}

void group::finish(bool own_deadline_passed, const detail::deadline_scope* own_deadline) {
    using lowlevel::wake;
    wake outcome = wake::ready;
    if (!own_deadline_passed) outcome = wait_for_children();
    if (outcome != wake::ready || own_deadline_passed) {
        stop();
        const lowlevel::shield until_they_end;
        while (wait_for_children() != wake::ready) {}
    }
    if (interrupted_) lowlevel::forgive(*owner_);
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
    if (outcome == wake::stopped) throw stopped();
    if (own_deadline_passed || outcome == wake::deadline) {
        if (own_deadline && own_deadline->is_mine()) throw deadline_exceeded();
        throw detail::deadline_passed();
    }
}

}  // namespace rondo
