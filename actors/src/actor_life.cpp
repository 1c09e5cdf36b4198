// An actor's life: orders, a failure, down and up again, the end; and who waits for that. See detail/actor_cell.hpp.
#include "actor_system.hpp"

#include <algorithm>
#include <mutex>

#include <rondo/lowlevel/claimed_waiters.hpp>

namespace rondo::detail {

using lowlevel::wake;

namespace {

void append(message_node*& list, message_node* more) noexcept {
    message_node** end_of = &list;
    while (*end_of) end_of = &(*end_of)->next;
    *end_of = more;
}

[[gnu::noinline]] actor_extra* make_ended_extras() noexcept {
    auto* made = new std::array<actor_extra, 8>;          // never destroyed
    for (std::size_t i = 0; i < made->size(); ++i) {
        (*made)[i].has_ended = true;
        (*made)[i].why.kind = static_cast<exit_kind>(i);
    }
    return made->data();
}

}  // namespace

actor_extra* ended_extra(exit_kind kind) noexcept {
    static auto* const all = make_ended_extras();
    return all + static_cast<std::size_t>(kind);
}

// ---------------------------------------------------------------------------------------------- orders

// Of a tasklet that has been stopped without an order: kill_now() gives the order first, and may find a later life's activation
// to stop, when that one has obeyed already. Else the runtime ends.
bool actor_cell::is_stray_stop() const noexcept {
    auto* e = extra.load(acquire);
    return e && e->under && !system.is_ending();
}

// Of one that ends at once: drop_ref() has interrupted it. acquire: as in activate().
bool actor_cell::is_dropped() const noexcept { return of.ends_at_once && strong.load(acquire) == 0; }

// After the end of this life, by these orders or another failure.
bool actor_cell::may_live_again(std::uint8_t o) const noexcept {
    auto* e = extra.load(acquire);
    return e && e->under && !(o & shutdown) && (!(o & stop) || e->under->even_if_stopped);
}

exit_reason actor_cell::ordered_end(std::uint8_t o) const noexcept {
    if (o & linked) {
        auto& e = *extra.load(acquire);
        std::lock_guard hold(e.guard);
        return e.linked_why;
    }
    if (o & kill) return {exit_kind::killed};
    if (o & shutdown) return {exit_kind::shutdown};
    return {exit_kind::stopped};
}

// For a handler whose tasklet has been stopped.
exit_reason actor_cell::why_stopped() const noexcept {
    const auto o = orders.load(acquire);
    if (!o) return {is_dropped() ? exit_kind::unreferenced : is_stray_stop() ? exit_kind::killed : exit_kind::shutdown};
    return o & failed ? extra.load(relaxed)->first_failure : ordered_end(o);
}

bool actor_cell::is_supervised() const noexcept {
    auto* e = extra.load(acquire);
    return e && e->under;
}

// Will somebody be told of the end, however it comes about?
bool actor_cell::is_heard() const noexcept {
    auto* e = extra.load(acquire);
    if (!e) return false;
    std::lock_guard hold(e->guard);
    return e->under || !e->watchers.empty();
}

// Orders and the system lane. False: this activation is over.
bool actor_cell::look_round() {
    messages.see_signal();
    if ((flags & is_reentrant) && give_way()) return false;
    const auto o = orders.load(acquire);                  // pairs with the release in give_order()
    constexpr std::uint8_t any_end = stop | kill | shutdown | linked | failed | halt;
    if ((flags & is_reentrant) && (o & any_end)) {
        if (has_flights()) {
            if (o & (kill | linked | failed)) stop_flights();
            return stay_down();                           // the last of them comes by here
        }
        if (o & failed) return end_life({}, false);
    }
    message_node* list = messages.take_system();
    const bool go_on = obey(o, list);
    destroy_messages(list);                               // `this` may be gone now if it has ended
    return go_on;
}

// Before each message of the system lane, and after the last one: orders. False: this activation is over. What is left in
// the list then is nobody's.
bool actor_cell::obey(std::uint8_t o, message_node*& list) {
    for (;;) {
        if (o & (stop | kill | shutdown | linked)) {
            if (now.load(relaxed) != phase::down || !may_live_again(o)) return end_as_ordered(o);
            // Between two lives a failure is nothing new.
            orders.fetch_and(static_cast<std::uint8_t>(~(stop | kill | linked)), relaxed);
            o = orders.load(acquire);
            continue;
        }
        if (o & halt) return go_down({exit_kind::shutdown});
        if (now.load(relaxed) == phase::down) {
            if (!(o & restart)) return stay_down();
            if (!start_over()) return false;
            // on(started) comes before what is there already.
            message_node* fresh = messages.take_system();
            append(fresh, list);
            list = fresh;
        }
        if (!list) return true;
        message_node* m = std::exchange(list, list->next);
        if (m->ops == of.on_down && !is_awaited(*m)) destroy_message(*m);
        else if (!handle_one(*m)) return false;
        o = orders.load(acquire);
        if (flags & is_reentrant) {
            // It may have waited, and others come in. So from the beginning: who wants to go on goes first, and nothing ends
            // before those who wait. What is left goes back, before it is looked at again.
            if (!o && !messages.is_urgent()) continue;
            while (list) post_system(std::exchange(list, list->next));
            return true;
        }
        if (messages.is_urgent()) {                       // what comes meanwhile goes behind, but orders go first
            messages.see_signal();
            append(list, messages.take_system());
            o = orders.load(acquire);
        }
    }
}

// By stop, kill, shutdown or linked. False: this activation is over.
bool actor_cell::end_as_ordered(std::uint8_t o) noexcept {
    const exit_reason why = ordered_end(o);
    if (now.load(relaxed) == phase::alive && may_live_again(o) && (o & stop || why.is_failure()))
        return go_down(why);                              // a supervisor decides
    end(why, false);
    return false;
}

// ---------------------------------------------------------------------------------------------- a failure

// Of a failure. Other handlers of a reentrant actor come to their ends first. False: this activation is over.
bool actor_cell::end_life(exit_reason why, bool is_reported) noexcept {
    auto* e = extra.load(acquire);
    auto o = orders.load(acquire);
    if (flags & is_reentrant) {
        if (o & failed) {
            why = e->first_failure;
            is_reported = e->is_failure_reported;
        }
        if (has_flights()) {
            e->first_failure = std::move(why);
            e->is_failure_reported = is_reported;
            orders.fetch_or(failed, relaxed);
            stop_flights();
            return stay_down();
        }
        o = orders.fetch_and(static_cast<std::uint8_t>(~failed), relaxed);
    }
    if (o & halt && !(o & shutdown)) return go_down(why);
    if ((why.is_failure() || o & stop) && may_live_again(o)) return go_down(why);
    end(std::move(why), is_reported);
    return false;
}

// ---------------------------------------------------------------------------------------------- down, and up again

bool actor_cell::go_down(const exit_reason& why) noexcept {
    auto& e = *extra.load(acquire);
    const auto under = e.under;
    const bool is_ordered = orders.load(acquire) & halt;
    if (now.load(relaxed) == phase::alive) {
        const lowlevel::shield whatever_comes;
        const auto refuse = [&](bool begins) {
            under->refuses.store(begins, relaxed);
            // Dekker's pattern with the asker: what he put there before he saw it refuse is taken out here, at the
            // beginning or, if he did not wait for it, at the end.
            fence_seq_cst();
            empty_mailbox(dead_letter_reason::restarted, why);
        };
        if (of.ends_at_once) refuse(true);                // as in end()
        end_object(why);
        if (of.ends_at_once) refuse(false);
        else if (!under->keep_messages) empty_mailbox(dead_letter_reason::restarted, why);
        now.store(phase::down, relaxed);
        orders.fetch_and(static_cast<std::uint8_t>(~(stop | kill | linked)), relaxed);     // that was for this life
        if (why.is_failure() && !is_ordered) tell_links(why);
    }
    if (is_ordered) {
        orders.fetch_and(static_cast<std::uint8_t>(~(halt | kill | linked)), relaxed);
        under->obeyed.set();
    } else {
        std::unique_lock hold(under->guard);
        actor_cell* boss = under->boss;
        if (boss) boss->add_weak();
        hold.unlock();
        if (boss) {
            under->tell_boss(*boss, *this, why, e.restarts, false);
            boss->drop_weak();
        }
    }
    return stay_down();
}

// Nobody runs it until an order comes. Another activation takes over if one has come already: this one's tasklet may
// have been stopped.
bool actor_cell::stay_down() noexcept {
    task* const me = runner.t.load(relaxed);
    const auto id_of_me = runner.id.load(relaxed);
    runner.t.store(nullptr, relaxed);
    {
        const auto hold = hold_mailbox();                 // as in rest()
        if (messages.hold()) return false;
    }
    runner.id.store(id_of_me, relaxed);
    runner.t.store(me, release);
    hand_over();
    return false;
}

bool actor_cell::start_over() noexcept {
    auto& e = *extra.load(acquire);
    const auto under = e.under;
    orders.fetch_and(static_cast<std::uint8_t>(~restart), relaxed);
    under->failure = nullptr;
    if (!under->keep_messages) empty_mailbox(dead_letter_reason::restarted, e.why);    // what came between the lives
    flags &= static_cast<std::uint8_t>(~lets_go);
    message_node* first = nullptr;
    try {
        if (of.on_started) first = make_message<started>(*of.on_started, started{});
        const making object(*this);
        under->make(*this);
    } catch (...) {
        under->failure = std::current_exception();
        if (first) destroy_message(*first);
        settle_lost(nullptr);
    }
    const bool is_up = !under->failure;
    if (is_up) {
        e.why = {};
        now.store(phase::alive, relaxed);
        e.restarts.fetch_add(1, relaxed);
        if (first) post_system(first);
    }
    under->obeyed.set();
    return is_up || stay_down();
}

// ---------------------------------------------------------------------------------------------- the end

// From now on what it owes is owed by one that has ended: reply_cell::drop() says so.
void actor_cell::let_go(const exit_reason& why) noexcept {
    flags |= lets_go;
    if (end_kind != why.kind) end_kind = why.kind;        // once the mailbox is closed others may read it
    if (why.error || extra.load(acquire)) need_extra().why = why;    // no memory: terminates, as in end()
}

std::optional<exit_reason> actor_cell::end_of_owing() const noexcept {
    if (flags & lets_go) {
        auto* e = extra.load(acquire);
        return e ? e->why : exit_reason{end_kind};
    }
    if (std::uncaught_exceptions() > 0 && lowlevel::self().stop_requested()) return why_stopped();
    return std::nullopt;
}

// The object and what belongs to this life of it.
void actor_cell::end_object(const exit_reason& why) noexcept {
    let_go(why);
    if (now.load(relaxed) == phase::alive) of.destroy_state(*this);
    auto* e = extra.load(acquire);
    if (!e) return;
    flags &= static_cast<std::uint8_t>(~(has_behaviour | has_idle));
    stop_watching();
    e->now = nullptr;
    e->idle_after = {};
    if (flags & has_timers) {
        system.timers.cancel(*this, e->timers.data(), e->timers.size());
        system.timers.cancel(*this, &e->idle_timer, 1);
        e->timers.clear();
        e->idle_timer = 0;
        flags &= static_cast<std::uint8_t>(~has_timers);
    }
    if (e->stash_first) put_back_stash(*e, e->stashed.load(relaxed), true);    // what was put aside is still to be handled
}

void actor_cell::tell_links(const exit_reason& why) noexcept {
    auto* e = extra.load(acquire);
    if (!e) return;
    std::vector<actor_cell*> links;
    {
        std::lock_guard hold(e->guard);
        links.swap(e->links);
    }
    for (actor_cell* other : links) {
        auto* theirs = other->extra.load(acquire);        // links are mutual, so it has one
        {
            std::lock_guard hold(theirs->guard);
            if (auto at = std::find(theirs->links.begin(), theirs->links.end(), this); at != theirs->links.end()) {
                theirs->links.erase(at);
                drop_weak();
            }
            if (why.is_failure()) theirs->linked_why = {exit_kind::linked, why.error};
        }
        if (why.is_failure()) {
            other->give_order(linked);
            other->kill_now();
        }
        other->drop_weak();
    }
}

// Whoever waits for its end, or wants to know of it. True: there was somebody, so that a crash need not be reported.
bool actor_cell::tell_of_end(actor_extra& e, const exit_reason& why) noexcept {
    cell_set watchers;
    lowlevel::claimed_waiters senders, joiners;
    bool is_told = false;
    {
        std::unique_lock hold(e.guard);
        while (!e.names.empty()) {                        // whoever finds that it has ended finds no name of it
            auto names = std::exchange(e.names, {});
            hold.unlock();
            system.forget(*this, std::move(names));
            hold.lock();
        }
        e.has_ended = true;
        e.why = why;
        std::swap(watchers, e.watchers);
        senders.take_all(e.senders, wake::closed);
        joiners.take_all(e.joiners);
        is_told = !joiners.empty() || !watchers.empty();
    }
    now.store(phase::ended, relaxed);
    empty_for_good(why);
    senders.resume_all();
    joiners.resume_all();
    watchers.for_each([&](actor_cell& w) {
        try {
            if (!w.has_ended()) w.post_system(make_down(w, *this, why));
        } catch (...) {}
        w.drop_weak();
    });
    tell_links(why);
    std::shared_ptr<supervised> under;
    {
        std::lock_guard hold(e.guard);                    // a dump may be looking
        under = std::exchange(e.under, nullptr);
    }
    if (!under) return is_told;
    std::unique_lock hold(under->guard);
    actor_cell* boss = std::exchange(under->boss, nullptr);
    hold.unlock();
    if (boss) {
        under->tell_boss(*boss, *this, why, e.restarts, true);
        boss->drop_weak();
    }
    under->obeyed.set();
    return true;
}

void actor_cell::end(exit_reason why, bool is_reported) noexcept {
    const lowlevel::shield whatever_comes;
    const bool was_alive = now.load(relaxed) == phase::alive;
    if (of.ends_at_once) {                                // its object waits for others, who may ask it meanwhile
        let_go(why);
        messages.close();
        empty_mailbox(dead_letter_reason::ended, why);
    }
    end_object(why);
    if (was_alive) now.store(phase::down, relaxed);
    // Most have nothing that others could wait for, or be told by, and nobody refers to them any more: nobody will know.
    actor_extra* e = extra.load(acquire);
    if (!e && !why.error && has_one_weak()) {
        empty_mailbox(dead_letter_reason::ended, why);    // who finds it living no more finds its letters counted
        if (system.strike_off(*this, true)) {
            empty_for_good(why);
            return destroy();
        }
    }
    messages.close();
    empty_mailbox(dead_letter_reason::ended, why);        // before it is said to have ended, too
    // Or else nobody has made them an extra, and now nobody will.
    if (!e && !why.error && extra.compare_exchange_strong(e, ended_extra(why.kind), acq_rel, acquire)) {
        now.store(phase::ended, relaxed);
        empty_for_good(why);
    } else {
        is_reported |= tell_of_end(e ? *e : need_extra(), why);      // no memory: terminates, rather than lose a crash
    }
    if (!is_reported && (why.kind == exit_kind::crashed || why.kind == exit_kind::gave_up)) report(why.error);
    why = {};
    if (system.strike_off(*this, false)) destroy();
    else drop_weak();                                     // the living actor's
}

// ---------------------------------------------------------------------------------------------- who waits for it

namespace {

void check_join(const actor_cell& c) {
    if (holds_up(c))
        throw usage_error("actor_ref::join from the actor's own handler would wait for itself");
}

}  // namespace

std::optional<exit_reason> end_or_enlist(actor_cell& c, lowlevel::wait_node* node) {
    if (node) check_join(c);
    actor_extra* e = node ? &c.need_extra() : c.extra.load(acquire);      // pairs with the release in need_extra()
    if (!e) return std::nullopt;
    std::lock_guard hold(e->guard);
    if (e->has_ended) return e->why;
    if (node) e->joiners.push_back(*node);
    return std::nullopt;
}

void withdraw_joiner(actor_cell& c, lowlevel::wait_node& node) noexcept {
    auto& e = *c.extra.load(acquire);
    lowlevel::unlink(e.guard, e.joiners, node);
}

std::optional<exit_reason> wait_for_end(actor_cell& c, lowlevel::time_point until) {
    check_join(c);
    auto& e = c.need_extra();
    lowlevel::waiter& me = lowlevel::enter();
    lowlevel::wait_node node(me);
    e.guard.lock();
    if (e.has_ended) {
        auto why = e.why;
        e.guard.unlock();
        return why;
    }
    if (until == at_once) {
        e.guard.unlock();
        return std::nullopt;
    }
    e.joiners.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::ending, &c}, &e.guard, until);
    if (outcome != wake::ready) {
        lowlevel::unlink(e.guard, e.joiners, node);
        lowlevel::raise(outcome);
        return std::nullopt;
    }
    std::lock_guard hold(e.guard);
    return e.why;
}

}  // namespace rondo::detail
