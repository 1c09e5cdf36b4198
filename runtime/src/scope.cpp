// Scopes. How many children there are, whether they stop and whether the scope waits for them is in one word, whose protocol
// is in detail/child_count.hpp. Here:
//
// I1  A child is found by a stop through in_group in its descriptor: that of the first eight whom the scope's own tasklet spawns
//     through first_children_, others only by a walk through all descriptors. Each is shown (written, then known_, release, or
//     has_hidden_) before the spawner looks whether the group stops; who stops looks (acquire) after it has said so.
// I2  The owner is alive while a child may interrupt it, since the scope waits for all.
// I3  The last child, when the scope waits, takes lock_ once more; the scope does not end before that (its wait has been
//     claimed, or last_has_left_ is set). So nobody touches a group that is gone.
// I4  A worker counts the children of one group that end one after the other on it all at once (worker::count_out()): before
//     it runs anything else, searches or parks. What runs meanwhile is a child too, so the scope could not end anyway.
#include <rondo/scope.hpp>

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "precise.hpp"
#include "scheduler.hpp"

namespace rondo {

using detail::acquire;
using detail::relaxed;

namespace {

constexpr std::uint32_t counted_in_advance = 64;

}  // namespace

group::group() noexcept : live_(detail::has_asymmetric_fences() ? counted_in_advance : 0) {
    if (const auto* w = detail::worker::current()) {
        home_ = &w->home;
        owner_ = w->running;
    }
}

detail::scheduler* group::throw_no_home() {
    throw usage_error("group::spawn in a scope on a plain thread, which has no runtime: call rondo::scope in a tasklet "
                      "(rondo::run, runtime::run)");
}

inline void group::show(detail::task& t) noexcept {
    t.in_group.store(this, relaxed);
    const auto n = known_.load(relaxed);
    if (n > most_known) return;
    if (n < most_known) first_children_[n] = {&t, t.id.load(relaxed)};
    known_.store(n + 1, detail::release);
}
inline void group::show_hidden(detail::task& t) noexcept {
    t.in_group.store(this, relaxed);
    has_hidden_.store(true, relaxed);
}

void group::submit(detail::new_task made) noexcept {
    auto* const w = made.by ? made.by : detail::worker::here();
    if (!w || w->running != owner_ || !live_.has_spare()) [[unlikely]] return submit_slowly(made);
    if (live_.enter_spare([&] { show(*made.t); })) [[unlikely]] return submit_stopped(made);
    detail::precise::from_here(*made.t);
    const detail::precise::on_loop from_here_on;
    w->push_fresh(*made.t);
}

[[gnu::noinline]] void group::submit_slowly(detail::new_task made) noexcept {
    const auto* w = detail::worker::here();
    const bool by_the_scope = w && w->running == owner_;       // there is an owner, or home() has thrown
    if (live_.enter(by_the_scope, [&] { by_the_scope ? show(*made.t) : show_hidden(*made.t); })) return submit_stopped(made);
    detail::submit_task(made, home_);
}

[[gnu::noinline]] void group::submit_stopped(detail::new_task made) noexcept {
    detail::stop_task({made.t, made.t->id.load(relaxed)});     // may call back
    detail::submit_task({made.t, nullptr}, home_);
}

void group::note_end(detail::task& t) noexcept {
    if (t.error && !t.flags.was_stopped) {
        if (fail(t.error)) {                      // the first: the scope's own function stops too
            interrupted_ = true;
            lowlevel::interrupt(*owner_);
        }
        t.flags.joined_error = true;              // the group has it: no need to report it again if nobody joins
    }
}

void group::count_out(std::uint64_t children) noexcept {
    if (!live_.leave(children)) return;           // others are left, or it is open
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
    if (is_first) stop();                         // which finds all others, and those that come
    return is_first;
}

namespace {

// The oldest first: the schedules of testing::explore must not depend on where the descriptors lie. Without a list, for which
// there may be no memory.
void stop_in_order(const group& of, detail::task_pool& tasks) {
    for (detail::task_ref next{nullptr, 0};; detail::stop_task(next)) {
        const auto last = next.id;
        next = {nullptr, UINT64_MAX};
        tasks.for_each([&](detail::task& t) {
            const auto id = t.id.load(acquire);
            if (id > last && id < next.id && t.in_group.load(relaxed) == &of) next = {&t, id};
        });
        if (!next.t) return;
    }
}

}  // namespace

void group::stop() {
    live_.stop();
    if (!home_) return;
    // acquire: pairs with the release in show(). relaxed: who shows itself as hidden is counted in after that.
    if (const auto n = known_.load(acquire); n <= most_known && !has_hidden_.load(relaxed)) {
        for (unsigned i = 0; i < n; ++i) {
            const auto [t, id] = first_children_[i];
            if (t->id.load(acquire) == id && t->in_group.load(relaxed) == this) detail::stop_task({t, id});
        }
        return;
    }
    if (home_->simulated) return stop_in_order(*this, home_->tasks);
    home_->tasks.for_each([this](detail::task& t) {
        // The id first: if it is still there when stop_task() looks, then in_group was that tasklet's.
        const auto id = t.id.load(acquire);
        if (id != 0 && t.in_group.load(relaxed) == this) detail::stop_task({&t, id});
    });
}

bool group::stop_requested() const noexcept { return live_.is_stopping(); }

std::size_t group::size() const noexcept {
    auto n = live_.size();
    if (home_)
        for (const auto& w : home_->workers) n -= std::min(n, w->ended_of(*this));
    return static_cast<std::size_t>(n);
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
    if (!live_.close()) {
        waiting_.erase(node);
        lock_.unlock();
        return wake::ready;
    }
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::scope, this}, &lock_);
    if (outcome == wake::ready) return wake::ready;
    lock_.lock();
    if (node.linked) waiting_.erase(node);
    const bool are_left = live_.reopen();
    lock_.unlock();
    if (are_left) return outcome;
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
    detail::precise::to_here(static_cast<const void*>(this));
    if (interrupted_) lowlevel::forgive(*owner_);
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
    if (outcome == wake::stopped) throw stopped();
    if (own_deadline_passed || outcome == wake::deadline) {
        if (own_deadline && own_deadline->is_mine()) throw deadline_exceeded();
        throw detail::deadline_passed();
    }
}

}  // namespace rondo
