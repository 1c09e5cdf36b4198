// Channels: a send and a receive meet under the lock, and the channel's preference says which of the two goes on at once.
// Who meets nobody waits in the channel's queue.
#include "stackless_session.hpp"

namespace rondo::stackless::detail {

void channel_core::drop_handle() noexcept {
    // acq_rel: the last one sees what the others did before they let go.
    if (handles_.fetch_sub(1, rondo::detail::acq_rel) != 1) return;
    {
        const hold_lock hold;
        while (context* c = first_) {                    // whoever still waits here gets `closed`
            access::withdraw(*c);
            c->found_closed = true;
            access::make_ready(*c);
        }
    }
    delete this;
}

void channel_core::close() noexcept {
    const hold_lock hold;
    closing_ = true;
    while (first_ && !first_->is_sending) {
        context& c = *first_;
        access::withdraw(c);
        c.found_closed = true;
        access::make_ready(c);
    }
}
bool channel_core::closing() const noexcept {
    const hold_lock hold;
    return closing_;
}
std::ptrdiff_t channel_core::balance() const noexcept {
    const hold_lock hold;
    return balance_;
}
context_ptr channel_core::first() const noexcept {
    const hold_lock hold;
    return first_ ? first_->shared_from_this() : nullptr;
}

void channel_core::send(void* from) { transfer(from, true); }
void channel_core::receive(void* to) { transfer(to, false); }

void channel_core::transfer(void* mine, bool sending) {
    if (is_in_callback.load(relaxed)) throw usage_error("Recursive channel call due to callbacks!");
    lowlevel::enter();
    const caller me;
    look(*me);
    me->slot = mine;
    if (me->home && me->home->on_channel.is_set.load(relaxed)) [[unlikely]] {
        lock.lock();
        const bool will_block = !first_ || first_->is_sending == sending;
        lock.unlock();
        add_handle();
        call_observer(me->home->on_channel, stackless::channel_base(this), stackless::tasklet_ref(me->shared_from_this()),
                      sending, will_block);
    }
    lock.lock();
    if (first_ && first_->is_sending != sending) return meet(*me, *first_, sending);
    wait(*me, mine, sending);
    // The channel may be gone. Nothing of it is touched any more.
}

namespace {

// The ring: right behind the caller, and it is the partner's turn. Lock held.
void put_first(session_core& s, context& me, context& partner) noexcept {
    access::enter_ring(s, partner);
    if (me.next != &partner) {
        partner.prev->next = partner.next;
        partner.next->prev = partner.prev;
        access::link_before(partner, *me.next);
    }
    access::make_current(s, partner);
}
// Several workers: it takes over this one, and the caller goes to the tail. Lock held; returns without it.
void hand_over_worker(session_core& s, context& me, context& partner) {
    access::enter_ring(s, partner);
    lowlevel::waiter* const w = access::grant(partner);
    lock.unlock();
    if (w) lowlevel::resume_now(*w);
    come_back(me);
}

}  // namespace

// A partner waits. Lock held; returns without it.
void channel_core::meet(context& me, context& partner, bool sending) {
    session_core* const s = me.home.get();
    const bool same = s && partner.home.get() == s;
    const int favours = preference();
    const bool all = same && schedule_all();
    const bool to_partner = same && !all && (sending ? favours < 0 : favours > 0);
    if ((all || to_partner) && s->traps.load(relaxed) > 0) {
        lock.unlock();
        return look_at_trap(*s);
    }
    access::withdraw(partner);
    void* const theirs = partner.slot;
    const mover move = move_;
    lock.unlock();
    void* const mine = me.slot;
    if (sending) move(theirs, mine);
    else move(mine, theirs);
    lock.lock();
    if (to_partner && !s->is_ring) return hand_over_worker(*s, me, partner);
    if (to_partner) put_first(*s, me, partner);
    else access::make_ready(partner);
    if (!to_partner && (!all || !s->is_ring)) {
        lock.unlock();
        if (all) let_others_go_first(me);
        return;
    }
    if (all) access::make_current(*s, *me.next);
    me.at = phase::ready;
    switch_away(me, in_ring);
}

// Nobody to meet. Lock held; returns without it.
void channel_core::wait(context& me, void* mine, bool sending) {
    session_core* const s = me.home.get();
    const char* wrong = nullptr;
    if (closing_) {
        lock.unlock();
        throw rondo::closed();
    }
    if (me.block_trap) wrong = "this tasklet does not like to be blocked.";
    else if (s && s->traps.load(relaxed) > 0) wrong = "switch_trap: this thread must not switch tasklets now";
    if (wrong) {
        lock.unlock();
        throw usage_error(wrong);
    }
    // The last one that could run, while main waits: it gets the error, if nobody else could help.
    if (s && !me.is_main && s->active == 1 && s->runners.empty() && s->main->at == phase::blocked) {
        const bool help = somebody_may_help(*s, me);
        if (!help && s->active == 1 && s->runners.empty() && s->main->at == phase::blocked &&
            !(first_ && first_->is_sending != sending)) {
            lock.unlock();
            throw make_deadlock(*s, "the last runnable tasklet cannot be blocked");
        }
        if (first_ && first_->is_sending != sending) return meet(me, *first_, sending);
        if (closing_) {
            lock.unlock();
            throw rondo::closed();
        }
    }
    if (s) access::leave_ring(*s, me);
    access::push(*this, me, sending, mine);
    switch_away(me, {sending ? lowlevel::wait_kind::send : lowlevel::wait_kind::receive, this});
    if (std::exchange(me.found_closed, false)) throw rondo::closed();
}

}  // namespace rondo::stackless::detail
