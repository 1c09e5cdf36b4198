// What a handler may ask of its own actor: behaviours, the stash, timers; and what it is told where it has none.
#include <algorithm>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "actor_system.hpp"

namespace rondo::detail {

// ---------------------------------------------------------------------------------------------- what goes wrong

namespace {

actor_cell* handling_actor_or_null() noexcept {
    auto* const c = actor_here_or_null();
    auto* const e = c ? c->extra.load(acquire) : nullptr;    // pairs with the release in need_extra()
    return e && e->makes_object ? nullptr : c;
}

}  // namespace

actor_cell& actor_here(const char* call) {
    if (auto* c = handling_actor_or_null()) return *c;
    throw usage_error(fmt::format("{} outside a handler: only the tasklet in which an actor's on(...) runs has one (not "
                                  "the constructor; use on(rondo::started) there)",
                                  call));
}
void wrong_class(const actor_cell& c, const type_tag& wanted, const char* call) {
    throw usage_error(fmt::format("{}<{}>: the calling handler is {}'s", call, wanted.name(), c.label()));
}
void wrong_answer(const message_ops& ops, const type_tag& wanted) {
    throw usage_error(fmt::format("{} is answered with {}, not with {}", ops.type->name(), ops.answer->name(), wanted.name()));
}
void no_such_actor() { throw usage_error("this actor handle is empty or was moved from: it names no actor"); }
any_actor one_actor(std::initializer_list<actor_cell*> parts) {
    actor_cell* const first = *parts.begin();
    for (actor_cell* other : parts) {
        if (!first || !other) no_such_actor();
        if (other != first)
            throw usage_error(fmt::format("an address names one actor, and these are two: {} and {}. To spread messages over "
                                          "several, start an actor that passes them on",
                                          first->label(), other->label()));
    }
    first->add_ref();
    return any_actor(first);
}
void throw_too_many_slots(std::size_t slots) {
    throw usage_error(fmt::format("actor_options::mailbox_slots: {} is too many; at most {}, or 0 for no bound", slots,
                                  actor_cell::box::most_slots));
}

// ---------------------------------------------------------------------------------------------- behaviours, stash, timers

bool behave(actor_cell& c, message_node& m, const message_ops& ops, void* payload) {
    auto& e = *c.extra.load(relaxed);
    const auto now = e.now;                               // it may be replaced by its own handler
    return now && now->try_handle(c, m, ops, payload);
}

void set_behaviour(std::unique_ptr<behaviour> b) {
    auto& c = actor_here("this_actor::become");
    auto& e = c.need_extra();
    e.now = std::move(b);
    if (e.now) c.flags |= actor_cell::has_behaviour;
    else c.flags &= static_cast<std::uint8_t>(~actor_cell::has_behaviour);
}

const message_ops& current_ops() {
    auto& c = actor_here("this_actor::stash");
    if (!c.current) throw usage_error("this_actor::stash: this message has been put aside already");
    return *c.current->ops;
}

namespace {

actor_extra& prepare_stash(actor_cell& c) {
    reply_cell* const r = c.current->reply;
    if (r && r->in_handler && c.of.is_reentrant)
        throw usage_error("this_actor::stash in a reentrant actor's handler that owes an answer: it can wait instead");
    return c.need_extra();
}

// From now on unstash() waits for the handler that calls.
void hold_in_hand(actor_cell& c, actor_extra& e, message_node* m) {
    if (c.of.is_reentrant) e.held.push_back({m, false});
    c.flags |= actor_cell::puts_aside;
}

void append_to_stash(actor_extra& e, message_node* m) noexcept {
    // The handler may hold the rondo::reply: it is decided at its end whose the asker is.
    if (reply_cell* const r = m->reply; r && r->in_handler) {
        std::lock_guard hold(r->lock);
        r->stashed_as = m;
    }
    m->next = nullptr;
    (e.stash_last ? e.stash_last->next : e.stash_first) = m;
    e.stash_last = m;
    e.stashed.store(e.stashed.load(relaxed) + 1, relaxed);
}

}  // namespace

void stash_current() {
    auto& c = actor_here("this_actor::stash");
    const auto& ops = current_ops();
    if (c.flags & actor_cell::by_behaviour ? c.flags & actor_cell::is_consumed : ops.consumes)
        throw usage_error("this_actor::stash: the handler has taken its " + ops.type->name() +
                          " by value; take it by const reference, or say stash(std::move(message))");
    auto& e = prepare_stash(c);
    hold_in_hand(c, e, c.current);
    append_to_stash(e, std::exchange(c.current, nullptr));
}

void stash_message(message_node* m) {
    auto& c = actor_here("this_actor::stash");
    try {
        auto& e = prepare_stash(c);
        // The end of its handler says whose the asker is (not of a reentrant actor: prepare_stash).
        if (reply_cell* const r = c.current->reply; r && r->in_handler) hold_in_hand(c, e, m);
        m->reply = std::exchange(c.current->reply, nullptr);
        append_to_stash(e, m);
    } catch (...) {
        destroy_message(*m);
        throw;
    }
}

timer start_timer(ticks d, message_node* m, message_node* (*copy)(message_node&)) {
    auto& c = actor_here("this_actor::after");
    try {
        auto& e = c.need_extra();
        if (e.timers.size() == e.timers.capacity()) {
            c.system.timers.forget_past(e.timers);
            e.timers.reserve(std::max<std::size_t>(16, 2 * e.timers.size()));
        }
        const auto number = c.system.timers.start(c, d, m, copy, actor_timers::kind::message);
        e.timers.push_back(number);
        c.flags |= actor_cell::has_timers;
        return timer(number);
    } catch (...) {
        destroy_message(*m);
        throw;
    }
}

void add_known(atomic<known_message*>& list, known_message& one) noexcept {
    known_message* head = list.load(relaxed);
    do one.next = head;
    while (!list.compare_exchange_weak(head, &one, acq_rel, relaxed));      // pairs with the acquire in known_ops()
}

const message_ops& known_ops(const actor_cell& c, const type_tag& message, const char* call) {
    for (auto* k = c.of.known->load(acquire); k; k = k->next)      // pairs with the release of who has put it there
        if (k->ops->type == &message) return *k->ops;
    throw usage_error(fmt::format("{0}({1}): {2} is not known to take it from timers. If its class has a handler for {1}: add "
                                  "`using timer_messages = rondo::timer_list<{1}>;` to the class, since this call and the one "
                                  "that starts it (rondo::start, child, pool) are in different source files",
                                  call, message.name(), c.label()));
}

}  // namespace rondo::detail

namespace rondo {

using detail::actor_cell;
using detail::actor_here;

void timer::cancel() noexcept {
    if (auto* c = detail::actor_here_or_null(); c && number_) c->system.timers.cancel(*c, &number_, 1);
}

namespace this_actor {

std::uint64_t id() { return actor_here("this_actor::id").id; }
bool exists() noexcept { return detail::handling_actor_or_null() != nullptr; }
void stop() { actor_here("this_actor::stop").give_order(actor_cell::stop); }

void unstash() {
    auto& c = actor_here("this_actor::unstash");
    auto* e = c.extra.load(detail::relaxed);
    if (!e || !e->stash_first) return;
    const auto stashed = e->stashed.load(detail::relaxed);
    if (!(c.flags & actor_cell::puts_aside)) return c.put_back_stash(*e, stashed, true);
    if (!c.of.is_reentrant) {
        e->stash_due = stashed;
        return;
    }
    for (auto& h : e->held) h.is_due = true;
    c.put_back_stash(*e, stashed, false);
}

void idle_timeout(detail::time_span span) {
    auto& c = actor_here("this_actor::idle_timeout");
    if (!c.of.on_idle)
        throw usage_error("this_actor::idle_timeout: " + c.label() + " has no on(rondo::idle)");
    auto& e = c.need_extra();
    c.system.timers.cancel(c, &e.idle_timer, 1);
    const detail::ticks d = span;
    e.idle_after = d;
    e.last_message = lowlevel::now();
    if (d <= d.zero()) return;
    c.flags |= actor_cell::has_idle | actor_cell::has_timers;
    auto* m = detail::make_message<idle>(*c.of.on_idle, idle{});
    try {
        e.idle_timer = c.system.timers.start(c, d, m, nullptr, detail::actor_timers::kind::idle);
    } catch (...) {
        destroy_message(*m);
        throw;
    }
}

}  // namespace this_actor
}  // namespace rondo
