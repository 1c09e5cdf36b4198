// Waiting for one's turn: what every call that may switch does before it, while it waits, and when its turn has come. And
// whether anybody could still end the wait: the deadlock report.
#include "stackless_session.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <rondo/lowlevel/threads.hpp>

namespace rondo::stackless::detail {

void throw_pending(context& me) {
    if (me.has_pending.load(acquire)) {                  // acquire: pairs with the release in put_pending()
        std::exception_ptr e;
        {
            const hold_lock hold;
            std::swap(e, me.pending);
            bool more = false;
            if (me.is_main && !me.home->more_errors.empty()) {
                me.pending = std::move(me.home->more_errors.front());
                me.home->more_errors.erase(me.home->more_errors.begin());
                more = true;
            }
            me.has_pending.store(more, relaxed);
        }
        if (e) std::rethrow_exception(std::move(e));
    }
    if (me.killed.load(relaxed)) throw tasklet_exit();
}

void arrive(context& me) {
    if (!me.home) return throw_pending(me);
    session_core& s = *me.home;
    me.ticks = 0;                                        // a new slice
    if (s.on_switch.is_set.load(relaxed)) [[unlikely]] {
        context_ptr& last = last_of(s);
        context_ptr before = last ? last : s.main;
        last = me.shared_from_this();
        if (before != last) call_observer(s.on_switch, stackless::tasklet_ref(std::move(before)), stackless::tasklet_ref(last));
    }
    throw_pending(me);
    if (me.expired) {
        me.expired = false;
        lowlevel::raise(lowlevel::wake::deadline);
    }
}

bool somebody_may_help(const session_core& s, const context& asking) {
    std::size_t known = 1 + (s.rt ? s.workers : 0);      // our main thread, asleep or asking, and our workers
    bool others_run = false;
    for (const session_core* other : all_sessions()) {
        if (other == &s) continue;
        if (!other->is_idle()) others_run = true;
        known += (other->rt ? other->workers : 0) + (other->main_polls ? 1 : 0);
    }
    // Is our main thread counted as blocked already? It is if a tasklet asks while it sleeps without a limit.
    if (!asking.is_main && !s.main_polls) --known;
    const bool has_limit = s.main->who->deadline_ns != std::numeric_limits<std::int64_t>::max();
    lock.unlock();
    const bool yes = others_run || has_limit || lowlevel::threads_that_may_wake(known) != 0;
    lock.lock();
    return yes;
}

namespace {

// Waits for its turn. With the lock held, and `me` where it wants to be; returns without it. Only one of Rondo's own tasklets
// can be stopped meanwhile: those of a session end as Stackless's do.
lowlevel::wake park(context& me, const lowlevel::wait_site& site) {
    session_core* const s = me.home.get();
    const auto deadline_ns = me.who->deadline_ns;
    auto deadline = deadline_ns == std::numeric_limits<std::int64_t>::max()
                        ? lowlevel::no_deadline
                        : lowlevel::time_point(std::chrono::nanoseconds(deadline_ns));
    std::optional<lowlevel::shield> only_we_end_it;
    if (s) only_we_end_it.emplace();
    auto how = lowlevel::wake::ready;
    lowlevel::waiter* into = nullptr;
    if (s && s->is_ring && s->current && !s->current->granted) into = access::grant(*s->current);
    for (auto pause = std::chrono::milliseconds(20);; pause = std::min(pause * 2, std::chrono::milliseconds(1000))) {
        auto until = deadline;
        if (me.is_main && !me.granted && s->is_idle() && deadline == lowlevel::no_deadline) {
            const bool help = somebody_may_help(*s, me);
            if (me.granted) break;
            if (s->is_idle()) {
                if (!help) {
                    const char* what = me.is_sending ? "the main tasklet is sending without a receiver available"
                                                     : "the main tasklet is receiving without a sender available";
                    access::withdraw(me);
                    access::enter_ring(*s, me);
                    if (s->is_ring) s->set_current(&me);
                    me.at = phase::running;
                    me.granted = true;
                    lock.unlock();
                    throw make_deadlock(*s, what);
                }
                until = lowlevel::now() + pause;
                s->main_polls = true;
            }
        }
        if (me.granted) break;
        lowlevel::wait_node node(*me.who);
        me.node = &node;
        me.waits = true;
        lowlevel::wake outcome;
        if (into && into->is_tasklet && me.who->is_tasklet) {
            outcome = lowlevel::suspend_into(*me.who, *into, site, &lock, until);
        } else {
            if (into) lowlevel::resume(*into, lowlevel::placement::tail);
            outcome = lowlevel::suspend(*me.who, site, &lock, until);
        }
        into = nullptr;
        if (outcome == lowlevel::wake::ready) return how;    // granted, and only granting ends a wait like this
        lock.lock();
        me.waits = false;
        if (me.is_main) s->main_polls = false;
        if (me.granted) break;
        if (me.at == phase::handed) {                    // its value comes, into our frame, and then its turn
            deadline = lowlevel::no_deadline;
            if (!s) only_we_end_it.emplace();
            continue;
        }
        if (outcome == lowlevel::wake::stopped) {
            if (me.at == phase::blocked) access::withdraw(me);
            me.at = phase::running;
            me.granted = true;
            how = outcome;
            break;
        }
        if (deadline != lowlevel::no_deadline && lowlevel::now() >= deadline) {
            deadline = lowlevel::no_deadline;
            if (me.at == phase::ready) continue;         // its turn comes anyway
            if (me.at == phase::blocked) access::withdraw(me);
            if (me.at == phase::watching) access::withdraw_from_run(*s, me);
            if (!s) {                                    // a guest has no turn to wait for
                me.at = phase::running;
                me.granted = true;
                how = lowlevel::wake::deadline;
                break;
            }
            me.expired = true;
            access::make_ready(me);
        }
    }
    if (into) lowlevel::resume(*into, lowlevel::placement::tail);
    lock.unlock();
    return how;
}

}  // namespace

void switch_away(context& me, const lowlevel::wait_site& site) {
    if (!me.home) {
        me.granted = false;
        lowlevel::raise(park(me, site));
        return arrive(me);
    }
    session_core& s = *me.home;
    const bool waits = me.at == phase::blocked || me.at == phase::watching || me.at == phase::paused;
    // It came after the look at the beginning of this call.
    if (!s.is_ring && waits && (me.has_pending.load(relaxed) || me.killed.load(relaxed))) {
        if (me.at == phase::blocked) access::withdraw(me);
        if (me.at == phase::watching) access::withdraw_from_run(s, me);
        access::enter_ring(s, me);
        me.at = phase::running;
        me.granted = true;
        lock.unlock();
        return throw_pending(me);
    }
    me.granted = false;
    access::choose_when_idle(s);
    access::look_at_soft_limit(s, me);
    if (s.is_ring && s.current == &me) {
        me.granted = true;
        me.at = phase::running;
        lock.unlock();
        return throw_pending(me);
    }
    if (me.granted) {                                    // several workers: chosen at once
        lock.unlock();
        return throw_pending(me);
    }
    park(me, site);
    if (s.is_ring) arrive(me);
    else come_back(me);
}

void come_back(context& me) {
    if (me.remove_wanted.load(relaxed)) {
        lowlevel::ensure_stack();                        // one that has just begun has none to leave this one for
        lock.lock();
        if (me.remove_wanted.load(relaxed)) {
            access::pause(*me.home, me);
            return switch_away(me, {lowlevel::wait_kind::other, &me});
        }
        lock.unlock();
    }
    arrive(me);
}

void let_others_go_first(context& me) {
    session_core& s = *me.home;
    if (s.limit_runner.load(relaxed)) {
        const hold_lock hold;
        access::look_at_soft_limit(s, me);
    }
    if (me.is_main) std::this_thread::yield();
    else rondo::yield();
    come_back(me);
}

namespace {

// Of one that is blocked, paused or inside run(); nullopt: it goes on.
std::optional<tasklet_info> info_of(const context& c) {
    tasklet_info info;
    info.id = c.id;
    phase at;
    bool is_sending;
    for (std::size_t room = 0;;) {
        info.name.reserve(room);                         // without the lock
        const hold_lock hold;
        room = c.name.size();
        if (room > info.name.capacity()) continue;
        info.name = c.name;
        info.state = c.started ? tasklet_state::suspended : tasklet_state::fresh;
        at = c.at;
        is_sending = c.is_sending;
        break;
    }
    if (at == phase::blocked) info.waits_for = is_sending ? "send on a stackless channel" : "receive on a stackless channel";
    else if (at == phase::paused) info.waits_for = "paused: nobody has inserted it";
    else if (at == phase::watching) info.waits_for = "run()";
    else return std::nullopt;
    return info;
}

}  // namespace

std::vector<context_ptr> live_ones(session_core& s) {
    std::vector<context_ptr> all;
    for (;;) {
        std::size_t n;
        {
            const hold_lock hold;
            n = s.live;
        }
        all.reserve(n);
        const hold_lock hold;
        if (s.live > all.capacity()) continue;           // more since
        for (context* c = s.first_live; c; c = c->next_live)
            if (auto owned = c->weak_from_this().lock()) all.push_back(std::move(owned));     // else it is just going
        return all;
    }
}

std::vector<tasklet_info> waiting_ones(session_core& s) {
    std::vector<tasklet_info> infos;
    auto all = live_ones(s);
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a->id < b->id; });
    for (auto& c : all)
        if (auto info = info_of(*c)) infos.push_back(std::move(*info));
    return infos;
}

deadlock make_deadlock(session_core& s, const char* what) {
    auto stuck = waiting_ones(s);
    std::string report = std::string("Deadlock: ") + what + ".";
    std::size_t shown = 0;
    for (auto& info : stuck) {
        if (++shown > 100) {
            report += "\n  ... and " + std::to_string(stuck.size() - 100) + " more";
            break;
        }
        report += "\n  " + describe(info);
    }
    return {report, std::move(stuck)};
}

}  // namespace rondo::stackless::detail
