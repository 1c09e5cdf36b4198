// What the runner of an actor does, and how others reach it: see detail/actor_cell.hpp.
#include "actor_system.hpp"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include <rondo/lowlevel/claimed_waiters.hpp>

namespace rondo::detail {

using lowlevel::wake;

namespace {

constexpr std::source_location activation_site = std::source_location::current();

[[gnu::noinline]] actor_extra* make_ended_extras() noexcept {
    auto* made = new std::array<actor_extra, 8>;          // never destroyed
    for (std::size_t i = 0; i < made->size(); ++i) {
        (*made)[i].has_ended = true;
        (*made)[i].why.kind = static_cast<exit_kind>(i);
    }
    return made->data();
}

// What an actor has as its extra once it has ended, if it had none and there is no error to keep.
[[gnu::always_inline]] inline actor_extra* ended_extra(exit_kind kind) noexcept {
    static auto* const all = make_ended_extras();
    return all + static_cast<std::size_t>(kind);
}

// All messages that stay in the mailbox's hands after they were handled have one line's worth or more; their size must
// survive their payload.
struct free_spent {
    void operator()(message_node* m) const noexcept { give_block(m, reinterpret_cast<std::uintptr_t>(m->reply)); }
};

void append(message_node*& list, message_node* more) noexcept {
    message_node** end_of = &list;
    while (*end_of) end_of = &(*end_of)->next;
    *end_of = more;
}

}  // namespace

// ---------------------------------------------------------------------------------------------- handles

void actor_cell::drop_ref() noexcept {
    // acq_rel: what other handles told comes before the look at the mailbox.
    if (strong.fetch_sub(1, acq_rel) != 1) return;
    bool late = false;
    if (messages.nudge(&late)) schedule();
    else if (of.ends_at_once && !late) interrupt();
    drop_weak();
}

void actor_cell::free_memory() noexcept {
    actor_system& in = system;
    const unsigned at = shard;
    destroy();
    in.memory_is_freed(at);
}

void actor_cell::destroy() noexcept {
    const auto lines = of.lines;
    if (auto* e = extra.load(relaxed); e && e != ended_extra(end_kind)) {
        for (actor_cell* l : e->links) l->drop_weak();
        delete e;
    }
    std::destroy_at(this);
    give_block(this, lines);
}

actor_extra& actor_cell::need_extra() {
    // acquire: pairs with the release below.
    if (auto* e = extra.load(acquire)) return *e;
    auto fresh = std::make_unique<actor_extra>();
    actor_extra* other = nullptr;
    if (extra.compare_exchange_strong(other, fresh.get(), acq_rel, acquire)) return *fresh.release();
    return *other;
}

std::string actor_cell::label() const {
    auto* e = extra.load(acquire);                        // pairs with the release in need_extra()
    return !e || e->name.empty() ? fmt::format("actor {} ({})", id, of.type->name())
                                 : fmt::format("actor {} {} ({})", id, lowlevel::quoted(e->name), of.type->name());
}

std::string actor_cell::started_at() const {
    auto* e = extra.load(acquire);
    return e && e->where.line() != 0 ? fmt::format("{}:{}", e->where.file_name(), e->where.line()) : "";
}

void actor_cell::give_order(order o) noexcept {
    bool late = false;
    orders.fetch_or(o, release);                          // pairs with the acquire in look_round()
    if (messages.nudge(&late)) schedule();
}

void actor_cell::tell_to_end(order o) noexcept {
    give_order(o);
    if (of.ends_at_once) interrupt();
}

void actor_cell::kill_now() noexcept {
    give_order(kill);
    interrupt();
}

// After an order. The handler that is under way must be found. While the mailbox is neither idle nor held there is a
// runner, or whoever made it so is about to write down which job it is.
void actor_cell::interrupt() noexcept {
    fence_seq_cst();       // keeps the order apart from the look at who runs, as the exchange in hand_over() does
    if (of.is_reentrant) stop_flights();
    for (unsigned round = 0;; ++round) {
        if (messages.is_idle() || messages.is_closed()) return;
        // acquire: pairs with the release in start_job(); the id is that one's or a later one's.
        if (task* t = runner.t.load(acquire)) return lowlevel::stop_job({t, runner.id.load(relaxed)});
        lowlevel::detail::spin_wait(round);
    }
}

void actor_cell::post_system(message_node* m) noexcept {
    bool late = false;
    if (messages.signal(m, &late)) return schedule();
    if (late) destroy_messages(messages.take_system());
}

// ---------------------------------------------------------------------------------------------- scheduling

// From a handler: as soon as it is done, on this worker, where the message is warm. From others: anybody may take it. The
// record's release pairs with the acquire in interrupt().
void actor_cell::schedule() noexcept {
    lowlevel::start_job(system.home, &actor_cell::run, this, activation_site, runner);
}

void actor_cell::hand_over() noexcept {
    const auto j = lowlevel::make_job(system.home, &actor_cell::run, this, activation_site);
    runner.id.store(j.id, relaxed);
    runner.t.exchange(j.t, seq_cst);     // keeps it apart from the new activation's look at its orders: kill_now()
    lowlevel::submit_job(system.home, j, lowlevel::placement::tail);
}

void actor_cell::run(void* cell, bool stopped) {
    static_cast<actor_cell*>(cell)->activate(stopped);
}

// Once for each message, so without a lock object for those that need no lock.
inline message_node* actor_cell::take() noexcept {
    if (full_policy != when_full::drop_oldest) [[likely]] return messages.take(free_spent{});
    return take_under_lock();
}
message_node* actor_cell::take_under_lock() noexcept {
    const auto hold = lock_mailbox();
    return messages.take(free_spent{});
}
inline bool actor_cell::rest() noexcept {
    if (full_policy != when_full::drop_oldest) [[likely]] return messages.rest(free_spent{});
    return rest_under_lock();
}
// The next runner takes the lock before it can come to free it with the actor.
bool actor_cell::rest_under_lock() noexcept {
    const auto hold = lock_mailbox();
    return messages.rest(free_spent{});
}

inline void actor_cell::free_handled(message_node& m, std::uintptr_t lines) noexcept {
    if (!messages.is_kept(&m)) return give_block(&m, lines);
    m.reply = reinterpret_cast<reply_cell*>(lines);       // for free_spent
    m.ops = nullptr;
}
inline void actor_cell::discard(message_node& m) noexcept {
    const std::uintptr_t lines = m.ops->lines;
    destroy_payload(m);
    if (full_policy == when_full::drop_oldest) [[unlikely]] return free_under_lock(m, lines);
    free_handled(m, lines);
}

// Also once for each message.
[[gnu::always_inline]] inline bool actor_cell::handle(message_node& m) {
    current = &m;
    if (flags & has_idle) [[unlikely]] {
        if (m.ops == of.on_idle) {
            if (is_idle_too_early()) {
                discard(m);
                current = nullptr;
                return true;
            }
        } else {
            extra.load(relaxed)->last_message = lowlevel::now();
        }
    }
    const bool is_watched = flags & is_reentrant;
    if (is_watched) lowlevel::watch_waits(true);
    try {
        m.ops->deliver(*this, m);
    } catch (...) {
        if (is_watched) lowlevel::watch_waits(false);
        return fail(m, std::current_exception());
    }
    if (is_watched) lowlevel::watch_waits(false);
    if (current == &m) discard(m);                        // else it was stashed
    current = nullptr;
    if (flags & puts_aside) [[unlikely]] {
        settle_lost(nullptr);
        let_out_of_hand(m);
    }
    return true;
}

// What has been signalled is that the last handle has gone, and nothing else: that has time until the mailbox is empty.
inline bool actor_cell::is_only_dropped() const noexcept {
    // acquire: as in activate().
    return strong.load(acquire) == 0 && !messages.has_system() && orders.load(relaxed) == 0 &&
           now.load(relaxed) == phase::alive && !(flags & is_reentrant);
}

void actor_cell::activate(bool was_stopped) {
    if (was_stopped) [[unlikely]] {                       // the job was, before it began: there is nothing to wait for
        if (!(orders.load(relaxed) & (stop | kill | linked | halt | shutdown))) {
            if (is_dropped()) return end({exit_kind::unreferenced}, false);
            if (is_stray_stop()) return hand_over();
            orders.fetch_or(shutdown, relaxed);
        }
        if (!look_round()) return;
        return hand_over();                               // a new life, which is no business of that stop
    }
    bool looked_again = false;
    bool relieves = false;
    unsigned turn = batch;
    auto relief_ends = lowlevel::no_deadline;
    for (unsigned n = 0;;) {
        bool nobody_tells = false;
        if (messages.is_urgent() || ((flags & is_reentrant) && orders.load(relaxed))) [[unlikely]] {
            while (!(nobody_tells = is_only_dropped())) {
                if (!look_round()) return;
                if (!messages.is_urgent()) break;
            }
        }
        if (message_node* m = take()) {
            if (full_policy == when_full::wait && messages.has_published() && messages.has_waiting()) [[unlikely]] {
                admit_waiting();
                if (!std::exchange(relieves, true)) relief_ends = lowlevel::now() + longest_relief;
            }
            if (!handle(*m)) return;
            if (++n >= turn) {
                if (!relieves || n >= messages.slots()) return hand_over();
                // Those who waited stand behind us. If we went there now each of them would find a full mailbox again.
                if (lowlevel::now() >= relief_ends) return hand_over();
                turn += batch;
            }
            looked_again = false;
            continue;
        }
        if (messages.has_waiting()) {
            admit_waiting();
            continue;
        }
        // What the last handles told was in the mailbox before the look into it: see is_only_dropped().
        if (nobody_tells) return end({exit_kind::unreferenced}, false);
        if (messages.is_signalled() && !is_only_dropped()) {
            if (!look_round()) return;
            continue;
        }
        // acquire: pairs with the release in drop_ref(): what the last handles told is in the mailbox.
        if (strong.load(acquire) == 0 && !has_flights()) {
            if (!std::exchange(looked_again, true)) continue;
            return end({exit_kind::unreferenced}, false);
        }
        task* const me = runner.t.load(relaxed);
        runner.t.store(nullptr, relaxed);                 // ordered by rest()
        if (rest()) return;
        runner.t.store(me, release);
    }
}

std::unique_lock<lowlevel::spin_lock> actor_cell::lock_mailbox() noexcept {
    return std::unique_lock(extra.load(acquire)->mailbox_guard);      // pairs with the release in need_extra()
}

void actor_cell::admit_waiting() noexcept {
    auto* e = extra.load(acquire);
    lowlevel::claimed_waiters admitted;
    e->guard.lock();
    while (messages.has_room()) {
        lowlevel::wait_node* n = e->senders.claim_front(wake::ready);
        if (!n) break;
        (void)messages.push(static_cast<message_node*>(n->slot), true);      // we run: nothing to schedule
        admitted.add(*n);
    }
    if (e->senders.empty()) messages.end_waiting();
    e->guard.unlock();
    admitted.resume_all();
}

// ---------------------------------------------------------------------------------------------- handling

void actor_cell::free_under_lock(message_node& m, std::uintptr_t lines) noexcept {
    const auto hold = lock_mailbox();
    free_handled(m, lines);
}

// From whoever tells, of one that drops its oldest messages.
void actor_cell::make_room() noexcept {
    message_node* m;
    {
        const auto hold = hold_mailbox();
        if (messages.is_closed()) return;
        m = messages.take_if_full(free_spent{});
    }
    if (!m) return;
    system.count(*this, *m, dead_letter_reason::dropped_oldest);
    if (m->reply)
        std::exchange(m->reply, nullptr)->fail_with([this] {
            return error("the mailbox of " + label() + " was full; an older message than others, this one was dropped");
        });
    discard(*m);
}

bool actor_cell::is_idle_too_early() noexcept {
    auto& e = *extra.load(relaxed);
    if (e.idle_after <= e.idle_after.zero()) return true;
    const auto left = e.last_message + e.idle_after - lowlevel::now();
    const bool early = left > left.zero();
    message_node* m = nullptr;
    try {
        m = make_message<idle>(*of.on_idle, idle{});
        e.idle_timer = system.start_timer(*this, early ? left : e.idle_after, m, nullptr, true);
    } catch (...) {                                       // no memory: no idle timeouts any more
        if (m) destroy_message(*m);
    }
    return early;
}

bool actor_cell::keep_lost(reply_cell& r) noexcept {
    try {
        need_extra().lost.push_back({&lowlevel::self(), &r});
    } catch (...) {
        return false;
    }
    notice_loss();
    return true;
}
void actor_cell::notice_loss() noexcept {
    flags |= puts_aside;                                  // so that handle() looks, if the exception stays in the handler
    lowlevel::watch_waits(true);                          // and own_up(), if it waits first
}
void actor_cell::own_up() noexcept {
    if (std::uncaught_exceptions() > 0) return;
    settle_lost(nullptr);
    if (current && current->reply) current->reply->own_up();
}
void actor_cell::settle_lost(const exit_reason* why) noexcept {
    if (!of.is_reentrant) lowlevel::watch_waits(false);
    auto* e = extra.load(relaxed);
    if (!e || e->lost.empty()) return;
    const auto* const me = &lowlevel::self();
    const auto mine = std::partition(e->lost.begin(), e->lost.end(), [me](const auto& l) { return l.by != me; });
    for (auto at = mine; at != e->lost.end(); ++at)
        if (why) at->what->fail_with([&] { return actor_ended(label(), *why); });
        else at->what->fail_with([] { return no_answer(); });
    e->lost.erase(mine, e->lost.end());
}

void actor_cell::put_back_stash(actor_extra& e, std::size_t n, bool held_too) noexcept {
    message_node *back = nullptr, *stay = nullptr;
    message_node **end_of_back = &back, **end_of_stay = &stay;
    message_node *last_back = nullptr, *last_stay = nullptr;
    std::size_t count = 0;
    if (held_too && n == e.stashed) {                     // all, as is
        back = e.stash_first;
        last_back = e.stash_last;
        count = n;
    } else {
        const auto is_held = [&](const message_node* m) {
            return std::any_of(e.held.begin(), e.held.end(), [m](const auto& h) { return h.m == m; });
        };
        for (message_node* m = e.stash_first; m; m = m->next) {
            if (n > 0 && (held_too || !is_held(m))) {
                *end_of_back = last_back = m;
                end_of_back = &m->next;
                ++count;
            } else {
                *end_of_stay = last_stay = m;
                end_of_stay = &m->next;
            }
            if (n > 0) --n;
        }
        *end_of_back = *end_of_stay = nullptr;
    }
    e.stash_first = stay;
    e.stash_last = last_stay;
    e.stashed -= count;
    if (count == 0) return;
    const auto hold = hold_mailbox();
    messages.put_back(back, last_back, count);
}

void actor_cell::let_out_of_hand(const message_node& m) noexcept {
    auto* const x = extra.load(relaxed);                  // none: it has lost its answer, no more
    if (!of.is_reentrant) {
        flags &= static_cast<std::uint8_t>(~puts_aside);
        if (const auto n = x ? std::exchange(x->stash_due, 0) : 0) put_back_stash(*x, n, true);
        return;
    }
    auto& e = *x;                                         // see enroll()
    const auto found = std::find_if(e.held.begin(), e.held.end(), [&](const auto& h) { return h.m == &m; });
    const bool is_held = found != e.held.end(), is_due = is_held && found->is_due;
    if (is_held) e.held.erase(found);
    if (e.held.empty() && e.lost.empty()) flags &= static_cast<std::uint8_t>(~puts_aside);
    if (!is_due) return;
    message_node *before = nullptr, *mine = e.stash_first;
    while (mine != &m) before = std::exchange(mine, mine->next);
    (before ? before->next : e.stash_first) = mine->next;
    if (e.stash_last == mine) e.stash_last = before;
    --e.stashed;
    const auto hold = hold_mailbox();
    messages.put_back(mine, mine, 1);
}

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

bool actor_cell::fail(message_node& m, std::exception_ptr error) {
    enum { refusal, stop_of_tasklet, crash, defeat } what = crash;
    bool is_misuse = false;
    try {
        std::rethrow_exception(error);
    } catch (const refused&) {
        what = refusal;
    } catch (const rondo::stopped&) {
        what = stop_of_tasklet;
    } catch (const too_many_restarts&) {
        what = defeat;
    } catch (const usage_error&) {
        is_misuse = true;
    } catch (...) {}

    const bool was_stashed = current != &m;
    current = nullptr;
    if (flags & puts_aside) let_out_of_hand(m);
    const bool was_asked = !was_stashed && m.reply;
    exit_reason why{what == defeat ? exit_kind::gave_up : exit_kind::crashed, error};
    if (what == stop_of_tasklet) {
        // Without an order to us, nor a stop of this tasklet (by a runtime that ends): somebody else's, as a join throws it.
        if (!orders.load(acquire) && !lowlevel::self().stop_requested()) {
            what = crash;
            why.error = error = std::make_exception_ptr(foreign_stop());
        } else {
            why = why_stopped();
        }
    }
    bool is_seen = false;
    if (was_asked) {
        reply_cell& r = *std::exchange(m.reply, nullptr);
        if (what == stop_of_tasklet) r.fail_with([&] { return actor_ended(label(), why); });
        else is_seen = what == refusal || is_heard() ? r.fail(error) : r.fail_by_crash(error);
    }
    // A restart mends no program, and the supervisor would say nothing of it.
    if (is_misuse && !is_seen && is_supervised()) report(error);
    if (what != refusal) let_go(why);
    settle_lost(what != refusal ? &why : nullptr);
    if (!was_stashed) discard(m);
    if (what == refusal) return true;
    return end_life(std::move(why), is_seen);
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

// Orders and the system lane. False: this activation is over.
bool actor_cell::look_round() {
    messages.see_signal();
    if ((flags & is_reentrant) && give_way()) return false;
    auto o = orders.load(acquire);                        // pairs with the release in give_order()
    constexpr std::uint8_t any_end = stop | kill | shutdown | linked | failed | halt;
    if ((flags & is_reentrant) && (o & any_end)) {
        if (has_flights()) {
            if (o & (kill | linked | failed)) stop_flights();
            return stay_down();                           // the last of them comes by here
        }
        if (o & failed) return end_life({}, false);
    }
    message_node* list = messages.take_system();
    bool go_on = true;
    while (go_on) {
        if (o & (stop | kill | shutdown | linked)) {
            // Between two lives a failure is nothing new; who shall stay stopped ends.
            if (now.load(relaxed) == phase::down && may_live_again(o)) {
                orders.fetch_and(static_cast<std::uint8_t>(~(stop | kill | linked)), relaxed);
                o = orders.load(acquire);
                continue;
            }
            const exit_reason why = ordered_end(o);
            if (now.load(relaxed) == phase::alive && may_live_again(o) && (o & stop || why.is_failure())) {
                go_on = go_down(why);                     // a supervisor decides
            } else {
                end(why, false);
                go_on = false;
            }
            break;
        }
        if (o & halt) {
            go_on = go_down({exit_kind::shutdown});
            break;
        }
        if (now.load(relaxed) == phase::down) {
            if (!(o & restart)) {
                go_on = stay_down();
                break;
            }
            if (!(go_on = start_over())) break;
            // on(started) comes before what is there already.
            message_node* fresh = messages.take_system();
            append(fresh, list);
            list = fresh;
        }
        if (!list) break;
        message_node* m = std::exchange(list, list->next);
        if (m->ops == of.on_down && !is_awaited(*m)) destroy_message(*m);
        else go_on = handle(*m);
        if (!go_on) break;
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
    // `this` may be gone now if it has ended.
    destroy_messages(list);
    return go_on;
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
        now.store(phase::down, release);
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
        now.store(phase::alive, release);
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
        system.cancel_timers(*this, e->timers.data(), e->timers.size());
        system.cancel_timers(*this, &e->idle_timer, 1);
        e->timers.clear();
        e->idle_timer = 0;
        flags &= static_cast<std::uint8_t>(~has_timers);
    }
    if (e->stash_first) put_back_stash(*e, e->stashed, true);    // what was put aside is still to be handled
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

void actor_cell::empty_mailbox(dead_letter_reason why, const exit_reason& end) noexcept {
    while (message_node* m = take()) {
        system.count(*this, *m, why);
        if (m->reply) std::exchange(m->reply, nullptr)->fail_with([&] { return actor_ended(label(), end); });
        discard(*m);
    }
}

void actor_cell::report(const std::exception_ptr& error) const noexcept {
    tasklet_info me;
    try {
        me.id = runner.id.load(relaxed);
        me.role = "handler of " + label();
        me.state = tasklet_state::done;
        me.spawn_site = started_at();
    } catch (...) {}                                      // no memory for that
    lowlevel::report_unhandled(system.home, error, me);
}

// The mailbox of one that has ended.
void actor_cell::empty_for_good(const exit_reason& why) noexcept {
    empty_mailbox(dead_letter_reason::ended, why);
    {
        const auto hold = hold_mailbox();
        messages.forget_kept(free_spent{});
    }
    destroy_messages(messages.take_system());
}

// Whoever waits for its end, or wants to know of it. True: there was somebody, so that a crash need not be reported.
bool actor_cell::tell_of_end(actor_extra& e, const exit_reason& why) noexcept {
    cell_set watchers;
    std::vector<std::string> names;
    lowlevel::claimed_waiters senders, joiners;
    bool is_told = false;
    {
        std::lock_guard hold(e.guard);
        e.has_ended = true;
        e.why = why;
        std::swap(watchers, e.watchers);
        names.swap(e.names);
        senders.take_all(e.senders, wake::closed);
        joiners.take_all(e.joiners);
        is_told = !joiners.empty() || !watchers.empty();
    }
    now.store(phase::ended, release);
    if (!names.empty()) system.forget(*this, std::move(names));
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
    messages.close();
    actor_extra* e = extra.load(acquire);
    // Most have nothing that others could wait for, or be told by: nobody made them an extra, and now nobody will.
    const auto take_shared_extra = [&] {
        auto* const shared = ended_extra(why.kind);
        if (!has_one_weak()) return extra.compare_exchange_strong(e, shared, acq_rel, acquire);
        extra.store(shared, release);                     // nobody else refers to it
        return true;
    };
    if (!e && !why.error && take_shared_extra()) {
        now.store(phase::ended, release);
        empty_for_good(why);
    } else {
        is_reported |= tell_of_end(e ? *e : need_extra(), why);      // no memory: terminates, rather than lose a crash
    }
    if (!is_reported && (why.kind == exit_kind::crashed || why.kind == exit_kind::gave_up)) report(why.error);
    why = {};
    if (system.strike_off(*this)) destroy();
    else drop_weak();                                     // the living actor's
}

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

actor_cell* actor_here_or_null() noexcept {
    return static_cast<actor_cell*>(lowlevel::running_job(&actor_cell::run));
}
bool holds_up(const actor_cell& c) noexcept {
    return actor_here_or_null() == &c || lowlevel::blocking_job(&actor_cell::run) == &c;
}

}  // namespace rondo::detail
