// How a message gets into a mailbox: at once, after a wait for room, or not at all.
#include <cstdint>
#include <exception>
#include <utility>

#include "actor_system.hpp"

namespace rondo::detail {

using lowlevel::wake;

fresh_block begin_tell(std::size_t lines) {
    (void)lowlevel::enter();
    return take_next_block(lines);
}

namespace {

// Of one whose mailbox the caller has found closed: what close() comes after is seen (mailbox::push).
exit_reason end_of(const actor_cell& c) noexcept {
    if (auto* e = c.extra.load(acquire)) {
        std::lock_guard hold(e->guard);
        if (e->has_ended) return e->why;
    }
    return {c.end_kind};
}

}  // namespace

// Counted before its asker hears of it, who may look.
void bury(actor_cell& to, message_node* m, dead_letter_reason why) noexcept {
    to.system.dead.add(to, *m, why);
    if (auto* const r = std::exchange(m->reply, nullptr)) {
        if (why == dead_letter_reason::ended) r->fail_with([&] { return actor_ended(to.label(), end_of(to)); });
        else r->fail_with([&] { return error("the mailbox of " + to.label() + " is full; the message was dropped"); });
    }
    destroy_message(*m);
}

namespace {

/// taken: the runner has put it in.
enum class wait_end : std::uint8_t { taken, try_again, too_late };

wait_end wait_for_room(actor_cell& to, message_node* m, lowlevel::time_point until) {
    auto& e = to.need_extra();
    lowlevel::waiter& me = lowlevel::self();
    if (lowlevel::stop_is_due(me)) throw rondo::stopped();
    lowlevel::ensure_stack();
    lowlevel::wait_node node(me);
    node.slot = m;
    e.guard.lock();
    if (!to.messages.begin_waiting(e.senders.empty())) {
        e.guard.unlock();
        return wait_end::try_again;
    }
    e.senders.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::mailbox, &to}, &e.guard, until);
    if (outcome == wake::ready) return wait_end::taken;
    if (outcome == wake::closed) return wait_end::try_again;      // push says so
    lowlevel::unlink(e.guard, e.senders, node);
    lowlevel::raise(outcome);
    return wait_end::too_late;
}

void drop_unsent(message_node* m) noexcept {
    if (m->reply) std::exchange(m->reply, nullptr)->fail_with([] { return error("not sent"); });
    destroy_message(*m);
}

}  // namespace

told finish_tell(actor_cell& to, message_node* m, lowlevel::time_point until) {
    const bool drops_oldest = to.full_policy == when_full::drop_oldest;
    const bool own = !drops_oldest && actor_here_or_null() == &to;        // it would wait for itself
    for (;;) {
        switch (to.messages.push(m, own)) {
            case actor_cell::box::pushed::queued: return told::taken;
            case actor_cell::box::pushed::scheduled: to.schedule(); return told::taken;
            case actor_cell::box::pushed::closed: bury(to, m, dead_letter_reason::ended); return told::ended;
            case actor_cell::box::pushed::full: break;
        }
        if (to.full_policy == when_full::drop_newest) {
            bury(to, m, dead_letter_reason::dropped_newest);
            return told::dropped;
        }
        if (drops_oldest) {
            to.make_room();
            continue;
        }
        if (until == at_once) {
            drop_unsent(m);
            return told::late;
        }
        try {
            const auto end = wait_for_room(to, m, until);
            if (end == wait_end::taken) return told::taken;
            if (end == wait_end::try_again) continue;
        } catch (...) {
            drop_unsent(m);
            throw;
        }
        drop_unsent(m);
        return told::late;
    }
}

actor_cell::box::pushed try_push(actor_cell& to, message_node* m) noexcept {
    const auto result = to.messages.push(m);
    if (result == actor_cell::box::pushed::scheduled) to.schedule();
    return result;
}

void push_past_bound(actor_cell& to, message_node* m) noexcept {
    const bool drops_oldest = to.full_policy == when_full::drop_oldest;       // then there is always room within it
    for (;;) {
        switch (to.messages.push(m, !drops_oldest)) {
            case actor_cell::box::pushed::queued: return;
            case actor_cell::box::pushed::scheduled: return to.schedule();
            case actor_cell::box::pushed::closed: return bury(to, m, dead_letter_reason::ended);
            case actor_cell::box::pushed::full: to.make_room();
        }
    }
}

void check_ask(const actor_cell& to) {
    if (!to.of.is_reentrant && holds_up(to))
        throw usage_error("ask from the actor's own handler would wait for itself: call the member function, or tell");
}

}  // namespace rondo::detail
