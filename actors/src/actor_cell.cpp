// Handles on an actor, when it runs, and what an activation does with its messages: see detail/actor_cell.hpp.
#include "actor_system.hpp"

#include <mutex>

#include <fmt/format.h>

#include <rondo/lowlevel/claimed_waiters.hpp>

namespace rondo::detail {

using lowlevel::wake;

namespace {

constexpr std::source_location activation_site = std::source_location::current();

// All messages that stay in the mailbox's hands after they were handled have one line's worth or more; their size must
// survive their payload.
struct free_spent {
    void operator()(message_node* m) const noexcept { give_block(m, reinterpret_cast<std::uintptr_t>(m->reply)); }
};

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

bool actor_cell::handle_one(message_node& m) { return handle(m); }

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
    unsigned turn = first_of_batch;
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
                const unsigned more = n < batch ? lowlevel::operations_in_time(batch - n) : 0;
                if (more == 0 && (!relieves || n >= messages.slots())) return hand_over();
                // Those who waited stand behind us. If we went there now each of them would find a full mailbox again.
                if (more == 0 && lowlevel::now() >= relief_ends) return hand_over();
                turn += more ? more : batch;
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
    system.dead.add(*this, *m, dead_letter_reason::dropped_oldest);
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
        e.idle_timer = system.timers.start(*this, early ? left : e.idle_after, m, nullptr, actor_timers::kind::idle);
    } catch (...) {                                       // no memory: no idle timeouts any more
        if (m) destroy_message(*m);
    }
    return early;
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

// ---------------------------------------------------------------------------------------------- what is left

[[gnu::noinline]] void actor_cell::bury_left(message_node& m, dead_letter_reason why, const exit_reason& end) noexcept {
    system.dead.add(*this, m, why);
    if (m.reply) std::exchange(m.reply, nullptr)->fail_with([&] { return actor_ended(label(), end); });
    discard(m);
}

void actor_cell::empty_mailbox(dead_letter_reason why, const exit_reason& end) noexcept {
    while (message_node* m = take()) bury_left(*m, why, end);
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

actor_cell* actor_here_or_null() noexcept {
    return static_cast<actor_cell*>(lowlevel::running_job(&actor_cell::run));
}
bool holds_up(const actor_cell& c) noexcept {
    return actor_here_or_null() == &c || lowlevel::blocking_job(&actor_cell::run) == &c;
}

}  // namespace rondo::detail
