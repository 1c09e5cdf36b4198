// The life of a tasklet: made, bound to a function, inserted, run, removed, thrown into, killed, ended.
#include "stackless_session.hpp"

#include <thread>

namespace rondo::stackless::detail {

namespace {

// An error that nobody in the tasklet caught: to the innermost run(), else to main. With the lock held.
void deliver(session_core& s, std::exception_ptr& e) {
    context* to = s.runners.empty() ? s.main.get() : s.runners.back();
    if (to->has_pending.load(relaxed)) {
        s.more_errors.push_back(std::move(e));
        // release: as in put_pending().
        if (!to->is_main && !s.main->has_pending.load(relaxed)) s.main->has_pending.store(true, release);
        return;
    }
    access::put_pending(*to, e);
    if (to->at == phase::running || to->at == phase::handed) return;      // several workers: at its next call
    if (to->at != phase::ready) {
        if (to->at == phase::blocked) access::withdraw(*to);
        if (to->at == phase::watching) access::withdraw_from_run(s, *to);
        access::enter_ring(s, *to);
        if (!s.is_ring) return access::go(*to);
    }
    access::make_current(s, *to);
}

void finish(context& c, std::exception_ptr e) noexcept {
    context_ptr keep;
    const std::shared_ptr<session_core> home = c.home;
    session_core& s = *home;
    lowlevel::waiter* next = nullptr;
    lock.lock();
    if (!s.is_ring) forget_waiter(c);
    access::leave_ring(s, c);
    access::unlist(s, c);
    c.at = phase::done;
    c.started = c.granted = false;
    c.killed.store(false, relaxed);
    c.remove_wanted.store(false, relaxed);
    c.has_pending.store(false, relaxed);
    std::exception_ptr unseen = std::move(c.pending);
    c.pending = nullptr;
    c.who = nullptr;
    keep = std::move(c.self);
    ++s.finished;
    if (e) deliver(s, e);
    access::choose_when_idle(s);
    access::look_at_soft_limit(s, c);
    if (s.is_ring && s.current && !s.current->granted) next = access::grant(*s.current);
    lock.unlock();
    if (next) lowlevel::resume(*next, lowlevel::placement::tail);
}

void live(context& c) noexcept {
    session_core& s = *c.home;
    if (s.is_ring) set_worker_session(s);
    std::exception_ptr error;
    {
        const hold_lock hold;                            // whoever launched us has left its stack
        c.who = &lowlevel::self();
        if (s.is_ring) {
            s.set_current(&c);
        } else {
            remember_waiter(c);
        }
    }
    std::unique_ptr<callable> body = std::move(c.body);
    try {
        if (s.is_ring) arrive(c);
        else come_back(c);
        body->call();
    } catch (const stopped&) {
    } catch (...) {
        error = std::current_exception();
    }
    body.reset();
    if (error && s.on_error.is_set.load(relaxed)) {
        std::shared_ptr<const stackless::error_handler> handler;
        {
            const hold_lock hold;
            handler = s.on_error.f;
        }
        if (handler) {
            try {
                (*handler)(std::exchange(error, nullptr));
            } catch (const stopped&) {
            } catch (...) {
                error = std::current_exception();
            }
        }
    }
    finish(c, std::move(error));
}

void make_runtime(session_core& s) {
    {
        const hold_lock hold;
        if (s.rt) return;
    }
    auto rt = new_runtime(s.workers);
    const hold_lock hold;
    if (!s.rt) s.rt = std::move(rt);
}

session_core& home_of(const context& c) {
    if (!c.home || c.home->ended.load(relaxed)) throw usage_error("the tasklet has no thread any more: its thread, or session, has ended");
    return *c.home;
}

}  // namespace

void access::launch(context& c) noexcept {
    c.started = true;
    for (;;) {
        try {
            c.home->rt->spawn(spawn_options{.name = c.name}, [who = &c]() noexcept { live(*who); });
            return;
        } catch (const out_of_memory&) {
            std::this_thread::yield();                   // until somebody ends
        } catch (const std::bad_alloc&) {
            std::this_thread::yield();
        }
    }
}

context_ptr make_context() {
    const caller me;
    session_core& s = me.ring();
    make_runtime(s);
    auto c = std::make_shared<context>();
    c->home = me->home;
    c->id = new_id();
    return c;
}

void bind(context& c, std::unique_ptr<callable> body, bool has_arguments) {
    session_core& s = home_of(c);
    std::unique_ptr<callable> before;
    lock.lock();
    const bool has_ended = s.ended.load(relaxed);        // since: another thread's
    const bool may = !has_ended && (c.at == phase::unbound || c.at == phase::bound || c.at == phase::done);
    if (may) {
        before = std::exchange(c.body, std::move(body));
        c.at = has_arguments ? phase::paused : phase::bound;
        if (has_arguments) access::list(s, c);
    }
    lock.unlock();
    if (has_ended) home_of(c);                           // throws
    if (!may) throw usage_error("the tasklet is alive: bind() is for one that has not begun, or has ended");
}

void unbind(context& c) {
    session_core& s = home_of(c);
    std::unique_ptr<callable> before;
    lock.lock();
    const bool may = !c.started && (c.at == phase::unbound || c.at == phase::bound || c.at == phase::paused ||
                                    c.at == phase::done);
    if (may) {
        before = std::move(c.body);
        c.at = phase::unbound;
        access::unlist(s, c);
    }
    lock.unlock();
    if (!may) throw usage_error("the tasklet is scheduled, or has begun: remove() it, or kill() it, instead");
}

void setup(context& c, std::unique_ptr<callable> body) {
    bind(c, std::move(body), true);
    insert(c);
}

namespace {

// One that is to run lives until it ends; its session sees to the main one. Lock held.
void keep_alive(context& c, context_ptr self) noexcept {
    if (!c.is_main) c.self = std::move(self);
}

}  // namespace

void insert(context& c) {
    session_core& s = home_of(c);
    const char* wrong = nullptr;
    auto self = c.shared_from_this();
    lock.lock();
    switch (c.at) {
        case phase::ready:
        case phase::running:
        case phase::handed: c.remove_wanted.store(false, relaxed); break;
        case phase::paused:
            keep_alive(c, std::move(self));
            access::make_ready(c);
            break;
        case phase::watching:                            // Stackless: ends its run()
            access::withdraw_from_run(s, c);
            access::make_ready(c);
            break;
        case phase::blocked: wrong = "the tasklet is blocked on a channel: it cannot be inserted"; break;
        default: wrong = "the tasklet is not alive: give it arguments first"; break;
    }
    lock.unlock();
    if (wrong) throw usage_error(wrong);
}

void remove(context& c) {
    const caller me;
    session_core& s = home_of(c);
    const char* wrong = nullptr;
    context_ptr drop;
    lock.lock();
    switch (c.at) {
        case phase::ready:
            access::pause(s, c);
            if (!c.started) drop = std::move(c.self);
            break;
        case phase::running:
        case phase::handed:
            if (&c == &*me || s.is_ring) wrong = "the current tasklet cannot be removed: schedule_remove() pauses it";
            else if (c.is_main) wrong = "the main tasklet of a session with several workers cannot be removed";
            else c.remove_wanted.store(true, relaxed);
            break;
        case phase::paused:
        case phase::watching: break;
        case phase::blocked: wrong = "the tasklet is blocked on a channel: it cannot be removed"; break;
        default: wrong = "the tasklet is not alive: there is nothing to remove"; break;
    }
    lock.unlock();
    if (wrong) throw usage_error(wrong);
}

namespace {

// While a partner on another thread moves a value between its frame and c's, nobody may make c go on: its turn comes right
// after that. With the lock held, but for the time it waits.
void wait_for_value(const context& c) noexcept {
    for (unsigned round = 0; c.at == phase::handed; ++round) {
        lock.unlock();
        lowlevel::detail::spin_wait(round);
        lock.lock();
    }
}

// c becomes current, the caller has been put where it belongs. Lock held; returns without it.
void switch_into(context& me, context& c, const lowlevel::wait_site& site) {
    access::make_current(*me.home, c);
    switch_away(me, site);
}

const char* why_not_run(const context& c) {
    switch (c.at) {
        case phase::blocked: return "the tasklet is blocked on a channel: it cannot be run";
        case phase::unbound:
        case phase::bound:
        case phase::done: return "the tasklet is not alive: give it something to run first";
        default: return nullptr;
    }
}

// Into the ring if it is not there.
void bring_in(session_core& s, context& c, context_ptr self) {
    if (c.at == phase::paused || c.at == phase::watching || c.at == phase::handed) {
        if (c.at == phase::watching) access::withdraw_from_run(s, c);
        if (c.at == phase::paused) keep_alive(c, std::move(self));
        access::enter_ring(s, c);
    }
}

}  // namespace

void run_now(context& c) {
    lowlevel::enter();
    const caller me;
    look(*me);
    session_core& s = home_of(c);
    if (&c == &*me) return;
    const bool same = me->home.get() == &s;
    if (same) look_at_trap(s);
    auto self = c.shared_from_this();
    lock.lock();
    if (same && s.is_ring) wait_for_value(c);
    if (const char* wrong = why_not_run(c)) {
        lock.unlock();
        throw usage_error(wrong);
    }
    if (same && s.is_ring) {
        bring_in(s, c, std::move(self));
        me->at = phase::ready;
        return switch_into(*me, c, in_ring);
    }
    if (c.at == phase::paused) {
        keep_alive(c, std::move(self));
        access::make_ready(c);
    }
    lock.unlock();
    if (same) schedule();
}

void switch_to(context& c) {
    lowlevel::enter();
    const caller me;
    look(*me);
    session_core& s = home_of(c);
    if (me->home.get() != &s) throw usage_error("can't switch to a tasklet of a different thread: insert() it there");
    if (&c == &*me) return;
    look_at_trap(s);
    auto self = c.shared_from_this();
    lock.lock();
    if (s.is_ring) wait_for_value(c);
    if (const char* wrong = why_not_run(c)) {
        lock.unlock();
        throw usage_error(wrong);
    }
    if (s.is_ring) {
        bring_in(s, c, std::move(self));
        access::pause(s, *me);
        return switch_into(*me, c, {lowlevel::wait_kind::other, &*me});
    }
    if (c.at == phase::paused) {
        keep_alive(c, std::move(self));
        access::make_ready(c);
    }
    access::pause(s, *me);
    switch_away(*me, {lowlevel::wait_kind::other, &*me});
}

namespace {

bool is_exit(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const stopped&) {
        return true;
    } catch (...) {
        return false;
    }
}

void interrupt(context& c, std::exception_ptr e, bool pending, bool is_kill) {
    const caller me;
    if (!c.home || c.home->ended.load(relaxed)) {
        if (is_kill) return;
        home_of(c);
    }
    session_core& s = *c.home;
    const bool exits = is_kill || is_exit(e);
    auto self = c.shared_from_this();
    std::unique_ptr<callable> unborn;
    context_ptr drop;
    if (&c == &*me && !pending) {
        if (is_kill) c.killed.store(true, relaxed);
        std::rethrow_exception(std::move(e));
    }
    const bool direct = !pending && me->home.get() == &s && s.is_ring;
    if (direct) {
        lowlevel::enter();
        look(*me);
    }
    lock.lock();
    if (direct) wait_for_value(c);
    if (c.at == phase::unbound || c.at == phase::bound || c.at == phase::done) {
        lock.unlock();
        if (!exits) throw usage_error("the tasklet is dead: nothing can be thrown into it");
        return;
    }
    if (exits && !c.started) {                           // it never begins
        if (c.at == phase::ready) access::leave_ring(s, c);
        access::unlist(s, c);
        c.at = phase::done;
        unborn = std::move(c.body);
        drop = std::move(c.self);
        lock.unlock();
        return;
    }
    if (direct && s.traps.load(relaxed) > 0) {
        lock.unlock();
        look_at_trap(s);
        return;
    }
    if (is_kill) c.killed.store(true, relaxed);
    access::put_pending(c, e);
    if (c.at == phase::blocked) access::withdraw(c);
    else if (c.at == phase::ready || c.at == phase::running || (c.at == phase::handed && !direct)) self.reset();
    if (direct) {
        if (self) bring_in(s, c, std::move(self));
        me->at = phase::ready;
        return switch_into(*me, c, in_ring);
    }
    if (self) {
        if (c.at == phase::watching) access::withdraw_from_run(s, c);
        keep_alive(c, std::move(self));
        access::make_ready(c);
    }
    lock.unlock();
}

}  // namespace

void throw_into(context& c, std::exception_ptr e, bool pending) {
    if (!e) throw usage_error("there is no exception to throw");
    interrupt(c, std::move(e), pending, false);
}
void kill(context& c, bool pending) { interrupt(c, std::make_exception_ptr(tasklet_exit()), pending, true); }

phase phase_of(const context& c) noexcept {
    const hold_lock hold;
    return c.at;
}
bool is_current(const context& c) noexcept {
    try {
        const caller me;
        return &*me == &c;
    } catch (...) {
        return false;
    }
}
void set_name(context& c, std::string name) {
    const hold_lock hold;
    c.name.swap(name);
}

}  // namespace rondo::stackless::detail
