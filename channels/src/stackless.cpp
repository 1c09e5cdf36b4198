// rondo::stackless: Stackless Python's scheduler and channels.
//
// One spin lock (`lock`) guards everything below, for all threads: rings, queues, phases. It reproduces what one thread of
// Stackless did; who wants to scale uses rondo::channel. No code of the user's runs under it: values are moved, and
// destroyed, and callbacks called, without it.
//
// A session is a thread's ring of contexts. With one worker (is_ring) exactly one of them runs: `current`, the head of the
// circular list; the tail is the one before it. The others wait in park(). Whoever leaves (blocks, yields, ends) chooses
// the new head under the lock, grants it the turn and resumes it; so the order is the ring's, whatever Rondo's own queues
// do. With several workers there is no list: who is made ready is resumed at once, and `active` counts the ring.
//
// I1  is_ring: a context is in the list if and only if it is ready or running; `current` is the running one; current is
//     nullptr only while the main context, blocked, sleeps in the system and everybody else is blocked or paused.
// I2  A context leaves a channel's queue under the lock, by its partner, a kill, a close or its deadline; whoever takes it
//     out makes it ready. So each wait has one end, and only this layer claims the waits (they are shielded), but for
//     a timer, whose claim means nothing until the woken one has looked under the lock.
// I3  A waiter publishes itself with the lock held (lowlevel::suspend lets it go once the stack is left).
// I4  When nobody can go on the innermost run() does; without one the main context gets the deadlock error or, while other
//     threads of the process could still help, sleeps and looks again now and then.
#include <rondo/stackless.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>
#include <unordered_map>

#include <rondo/lowlevel/threads.hpp>
#include <rondo/run.hpp>

namespace rondo::stackless::detail {

using rondo::detail::acquire;
using rondo::detail::relaxed;
using rondo::detail::release;

namespace {

lowlevel::spin_lock lock;
rondo::detail::atomic<std::uint64_t> last_id{0};

struct hold_lock {
    hold_lock() noexcept { lock.lock(); }
    ~hold_lock() { lock.unlock(); }
    hold_lock(const hold_lock&) = delete;
    hold_lock& operator=(const hold_lock&) = delete;
};

template <class F>
struct observer {                                        // what set_..._callback has set
    std::shared_ptr<const F> f;
    rondo::detail::atomic<bool> is_set{false};
};

}  // namespace

struct session_core {
    explicit session_core(unsigned n) : workers(n), is_ring(n == 1) {}

    const unsigned workers;
    const bool is_ring;
    bool ended = false;
    context_ptr main;
    std::thread::id thread = std::this_thread::get_id();
    std::unique_ptr<runtime> rt;                         // made with the first tasklet

    context* current = nullptr;
    rondo::detail::atomic<lowlevel::waiter*> current_who{nullptr};      // for is it me?, without the lock
    std::size_t active = 0;                              // contexts in the ring
    std::vector<context*> runners;                       // inside run(), the innermost last
    context* first_live = nullptr;                           // all live ones, but for main
    std::size_t live = 0, finished = 0;
    std::vector<std::exception_ptr> more_errors;         // that main has not been thrown yet
    bool main_polls = false;                             // main sleeps, and looks now and then for a deadlock

    context* limit_runner = nullptr;                     // run(timeout)
    std::uint64_t limit = 0, ticks = 0;
    bool is_total = false, is_soft = false;

    rondo::detail::atomic<int> traps{0};
    observer<stackless::schedule_callback> on_switch;
    observer<stackless::channel_callback> on_channel;
    observer<stackless::error_handler> on_error;
    context_ptr last;                                    // is_ring: who ran before, for on_switch

    void set_current(context* c) noexcept {
        current = c;
        current_who.store(c ? c->who : nullptr, relaxed);
    }
    [[nodiscard]] bool is_idle() const noexcept { return active == 0; }
};

// Everything that works on contexts with the lock held.
struct access {
    // ---- the ring
    static void link_before(context& c, context& at) noexcept {
        c.next = &at;
        c.prev = at.prev;
        at.prev->next = &c;
        at.prev = &c;
    }
    static void enter_ring(session_core& s, context& c) noexcept {       // at the tail
        ++s.active;
        c.at = phase::ready;
        if (!s.is_ring) return;
        if (s.current) return link_before(c, *s.current);
        c.next = c.prev = &c;
    }
    static void leave_ring(session_core& s, context& c) noexcept {
        --s.active;
        if (!s.is_ring) return;
        if (s.current == &c) s.set_current(c.next == &c ? nullptr : c.next);
        c.prev->next = c.next;
        c.next->prev = c.prev;
        c.prev = c.next = nullptr;
    }

    // ---- channel queues
    static void push(channel_core& ch, context& c, bool sending, void* slot) noexcept {
        c.at = phase::blocked;
        c.channel = &ch;
        c.is_sending = sending;
        c.slot = slot;
        c.next = nullptr;
        c.prev = ch.last_;
        (ch.last_ ? ch.last_->next : ch.first_) = &c;
        ch.last_ = &c;
        ch.balance_ += sending ? 1 : -1;
    }
    static void withdraw(context& c) noexcept {
        channel_core& ch = *c.channel;
        (c.prev ? c.prev->next : ch.first_) = c.next;
        (c.next ? c.next->prev : ch.last_) = c.prev;
        c.prev = c.next = nullptr;
        c.channel = nullptr;
        ch.balance_ -= c.is_sending ? 1 : -1;
        c.at = phase::handed;
    }
    static void withdraw_from_run(session_core& s, context& c) noexcept {
        std::erase(s.runners, &c);
        if (s.limit_runner == &c) s.limit_runner = nullptr;
    }

    // ---- giving the turn
    // The waiter to be resumed; nullptr: it has been resumed, or is awake.
    static lowlevel::waiter* grant(context& c) noexcept {
        c.granted = true;
        c.at = phase::running;
        if (!c.started) {
            launch(c);
            return nullptr;
        }
        if (!c.waits) return nullptr;
        c.waits = false;
        return c.node->claim(lowlevel::wake::ready) ? c.who : nullptr;    // a timer was faster: it is waking anyway
    }
    static void go(context& c) noexcept {
        if (lowlevel::waiter* w = grant(c)) lowlevel::resume(*w, lowlevel::placement::tail);
    }
    static void launch(context& c) noexcept;
    /// To the tail of its ring, wherever it was. It must be in no queue.
    static void make_ready(context& c) noexcept {
        if (!c.home) return go(c);                       // a guest
        session_core& s = *c.home;
        enter_ring(s, c);
        if (!s.is_ring) return go(c);
        if (s.current) return;
        s.set_current(&c);
        go(c);
    }
    static void make_current(session_core& s, context& c) noexcept {      // c is in the ring
        if (s.is_ring) s.set_current(&c);
    }
    /// Nobody can go on: the innermost runner does, or main.
    static void choose_when_idle(session_core& s) noexcept {
        if (!s.is_idle()) return;
        context* c = nullptr;
        if (!s.runners.empty()) {
            c = s.runners.back();
            withdraw_from_run(s, *c);
        } else if (s.main->at == phase::paused) {
            c = s.main.get();
        } else {
            // It is blocked: it looks for a deadlock itself.
            context& m = *s.main;
            if (m.waits && m.node->claim(lowlevel::wake::closed)) {
                m.waits = false;
                lowlevel::resume(*m.who, lowlevel::placement::tail);
            }
            return;
        }
        enter_ring(s, *c);
        if (s.is_ring) s.set_current(c);
        else go(*c);
    }
    /// run({.soft}): its time is up.
    static void look_at_soft_limit(session_core& s) noexcept {
        context* c = s.limit_runner;
        if (!c || !s.is_soft || s.ticks < s.limit) return;
        withdraw_from_run(s, *c);
        enter_ring(s, *c);
        s.set_current(c);
    }

    // ---- life
    static void list(session_core& s, context& c) {
        if (c.listed || c.is_main) return;
        c.listed = true;
        c.prev_live = nullptr;
        c.next_live = s.first_live;
        if (s.first_live) s.first_live->prev_live = &c;
        s.first_live = &c;
        ++s.live;
    }
    static void unlist(session_core& s, context& c) noexcept {
        if (!c.listed) return;
        c.listed = false;
        (c.prev_live ? c.prev_live->next_live : s.first_live) = c.next_live;
        if (c.next_live) c.next_live->prev_live = c.prev_live;
        c.prev_live = c.next_live = nullptr;
        --s.live;
    }
    static void put_pending(context& c, std::exception_ptr& e) noexcept {
        std::swap(c.pending, e);                         // the one before is destroyed by the caller, without the lock
        c.has_pending.store(true, release);
    }
};

context::~context() {                                    // never with the lock held
    if (!home) return;
    const hold_lock hold;
    access::unlist(*home, *this);
}

namespace {

thread_local std::shared_ptr<session_core> session_of_thread;            // of a plain thread
thread_local session_core* session_of_worker = nullptr;                  // is_ring: of its only worker
thread_local context_ptr last_on_worker;                                 // several workers: for on_switch
thread_local bool is_in_callback = false;

[[gnu::noinline]] session_core* worker_session() noexcept {
    asm volatile("" ::: "memory");
    return session_of_worker;
}

// Several workers: a tasklet may go on on any of them, so it is found by its waiter.
std::unordered_map<const lowlevel::waiter*, context*>& context_of_waiter() {
    static std::unordered_map<const lowlevel::waiter*, context*> all;
    return all;
}
rondo::detail::atomic<std::size_t> contexts_of_waiters{0};

// All sessions: who could still help whom.
std::vector<session_core*>& all_sessions() {
    static std::vector<session_core*> all;
    return all;
}

std::shared_ptr<session_core> new_session(unsigned workers) {
    if (workers == 0) workers = std::max(1u, std::thread::hardware_concurrency());
    auto s = std::make_shared<session_core>(workers);
    s->main = std::make_shared<context>();
    context& m = *s->main;
    m.home = s;
    m.id = last_id.fetch_add(1, relaxed) + 1;
    m.name = "main";
    m.is_main = m.started = m.granted = true;
    m.who = &lowlevel::self();
    const hold_lock hold;
    all_sessions().reserve(all_sessions().size() + 1);      // so that nothing below fails halfway
    access::enter_ring(*s, m);
    m.at = phase::running;
    if (s->is_ring) s->set_current(&m);
    all_sessions().push_back(s.get());
    return s;
}

void end_session(session_core& s) noexcept;

// A thread's own session, ended with the thread.
struct own_session {
    std::shared_ptr<session_core> core = new_session(1);
    ~own_session() {
        end_session(*core);
        if (session_of_thread == core) session_of_thread.reset();
    }
};
session_core& thread_session() {
    if (!session_of_thread) {
        static thread_local own_session own;
        session_of_thread = own.core;
    }
    return *session_of_thread;
}

/// Who is calling.
class caller {
public:
    caller() {
        lowlevel::waiter& w = lowlevel::self();
        if (!w.is_tasklet) {
            me_ = thread_session().main.get();
            return;
        }
        if (session_core* s = worker_session()) {
            if (s->current_who.load(relaxed) == &w) me_ = s->current;
        } else if (contexts_of_waiters.load(relaxed) != 0) {
            const hold_lock hold;
            if (auto it = context_of_waiter().find(&w); it != context_of_waiter().end()) me_ = it->second;
        }
        if (me_) return;
        guest_ = std::make_shared<context>();            // one of Rondo's own tasklets
        guest_->started = guest_->granted = true;
        guest_->at = phase::running;
        guest_->who = &w;
        me_ = guest_.get();
    }
    context& operator*() const noexcept { return *me_; }
    context* operator->() const noexcept { return me_; }
    /// For calls that need a ring.
    session_core& ring() const {
        if (!me_->home)
            throw usage_error("rondo::stackless: a Rondo tasklet is in no ring; it can only use channels. Call this from "
                              "a thread, or from a tasklet made with rondo::stackless::tasklet(f)(args...)");
        return *me_->home;
    }

private:
    context* me_ = nullptr;
    context_ptr guest_;
};

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

// Every call that may switch begins with this.
void look(context& me) {
    if (is_in_callback) throw usage_error("rondo::stackless: a callback must not switch to another tasklet");
    throw_pending(me);
}

void look_at_trap(const session_core& s) {
    if (s.traps.load(relaxed) > 0) throw usage_error("switch_trap: this thread must not switch tasklets now");
}

template <class F, class... Args>
void call_observer(observer<F>& o, const Args&... args) noexcept {
    std::shared_ptr<const F> f;
    {
        const hold_lock hold;
        f = o.f;
    }
    if (!f) return;
    is_in_callback = true;                               // it cannot switch, so this is the same thread's all along
    try {
        (*f)(args...);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rondo::stackless: a callback has thrown: %s\n", e.what());
    } catch (...) {
        std::fprintf(stderr, "rondo::stackless: a callback has thrown\n");
    }
    is_in_callback = false;
}

// The first thing that a context does when its turn has come.
void arrive(context& me) {
    if (!me.home) return throw_pending(me);
    session_core& s = *me.home;
    if (s.is_ring && !s.is_total) s.ticks = 0;
    if (s.on_switch.is_set.load(relaxed)) [[unlikely]] {
        context_ptr& last = s.is_ring ? s.last : last_on_worker;
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

// ---------------------------------------------------------------------------------------------- waiting

// Could somebody else still wake this session's main context? Lets go of the lock and takes it again.
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

deadlock make_deadlock(session_core& s, const char* what);

// Waits for its turn. With the lock held, and `me` where it wants to be; returns without it.
void park(context& me, const lowlevel::wait_site& site) {
    session_core* const s = me.home.get();
    const auto deadline_ns = me.who->deadline_ns;
    auto deadline = deadline_ns == std::numeric_limits<std::int64_t>::max()
                        ? lowlevel::no_deadline
                        : lowlevel::time_point(std::chrono::nanoseconds(deadline_ns));
    const lowlevel::shield only_we_end_it;
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
        if (outcome == lowlevel::wake::ready) return;    // granted, and only granting ends a wait like this
        lock.lock();
        me.waits = false;
        if (me.is_main) s->main_polls = false;
        if (me.granted) break;
        if (deadline != lowlevel::no_deadline && lowlevel::now() >= deadline) {
            deadline = lowlevel::no_deadline;
            if (me.at == phase::ready) continue;         // its turn comes anyway
            if (me.at == phase::blocked) access::withdraw(me);
            if (me.at == phase::watching) access::withdraw_from_run(*s, me);
            me.expired = true;
            if (!s) {
                me.at = phase::running;
                me.granted = true;
                break;
            }
            access::make_ready(me);
        }
    }
    if (into) lowlevel::resume(*into, lowlevel::placement::tail);
    lock.unlock();
}

// `me` has left the ring, or moved in it; whoever is current now goes on. With the lock held; returns without it.
void switch_away(context& me, const lowlevel::wait_site& site) {
    if (!me.home) {
        me.granted = false;
        park(me, site);
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
    if (s.is_ring) {
        access::look_at_soft_limit(s);
        if (s.current == &me) {
            me.granted = true;
            me.at = phase::running;
            lock.unlock();
            return throw_pending(me);
        }
    }
    if (me.granted) {                                    // several workers: chosen at once
        lock.unlock();
        return throw_pending(me);
    }
    park(me, site);
    while (me.remove_wanted.load(relaxed)) {
        lock.lock();
        const bool still = me.remove_wanted.exchange(false, relaxed);
        if (!still) {
            lock.unlock();
            break;
        }
        access::leave_ring(s, me);
        me.at = phase::paused;
        me.granted = false;
        access::choose_when_idle(s);
        park(me, {lowlevel::wait_kind::other, &me, nullptr});
    }
    arrive(me);
}

tasklet_info info_of(const context& c) {
    tasklet_info info;
    info.id = c.id;
    info.name = c.name;
    switch (c.at) {
        case phase::running: info.state = tasklet_state::running; break;
        case phase::ready: info.state = tasklet_state::ready; break;
        case phase::done: info.state = tasklet_state::done; break;
        default: info.state = c.started ? tasklet_state::suspended : tasklet_state::fresh;
    }
    if (c.at == phase::blocked) info.waits_for = c.is_sending ? "send on a stackless channel" : "receive on a stackless channel";
    else if (c.at == phase::paused) info.waits_for = "paused: nobody has inserted it";
    else if (c.at == phase::watching) info.waits_for = "run()";
    return info;
}

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
    for (auto& c : all) {
        phase at;
        {
            const hold_lock hold;
            at = c->at;
        }
        if (at == phase::blocked || at == phase::paused || at == phase::watching) infos.push_back(info_of(*c));
    }
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

// ---------------------------------------------------------------------------------------------- life of a tasklet

// An error that nobody in the tasklet caught: to the innermost run(), else to main. With the lock held.
void deliver(session_core& s, std::exception_ptr& e) {
    context* to = s.runners.empty() ? s.main.get() : s.runners.back();
    if (to->has_pending.load(relaxed)) {
        s.more_errors.push_back(std::move(e));
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
    if (!s.is_ring) {
        context_of_waiter().erase(c.who);
        contexts_of_waiters.fetch_sub(1, relaxed);
    }
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
    if (s.is_ring) {
        access::look_at_soft_limit(s);
        if (s.current && !s.current->granted) next = access::grant(*s.current);
    }
    lock.unlock();
    if (next) lowlevel::resume(*next, lowlevel::placement::tail);
}

void live(context& c) noexcept {
    session_core& s = *c.home;
    if (s.is_ring) session_of_worker = &s;
    std::exception_ptr error;
    {
        const hold_lock hold;                            // whoever launched us has left its stack
        c.who = &lowlevel::self();
        if (s.is_ring) {
            s.set_current(&c);
        } else {
            context_of_waiter().emplace(c.who, &c);
            contexts_of_waiters.fetch_add(1, relaxed);
        }
    }
    std::unique_ptr<callable> body = std::move(c.body);
    try {
        if (c.remove_wanted.load(relaxed)) {             // several workers
            lock.lock();
            if (c.remove_wanted.exchange(false, relaxed)) {
                access::leave_ring(s, c);
                c.at = phase::paused;
                switch_away(c, {lowlevel::wait_kind::other, &c, nullptr});
            } else {
                lock.unlock();
                arrive(c);
            }
        } else {
            arrive(c);
        }
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
    if (s.rt) return;
    // No backlog: a spawn under the lock must not yield.
    auto rt = std::make_unique<runtime>(
        runtime_options{.workers = s.workers, .spawn_backlog = std::numeric_limits<std::size_t>::max()});
    const hold_lock hold;
    if (!s.rt) s.rt = std::move(rt);
}

session_core& home_of(const context& c) {
    if (!c.home || c.home->ended) throw usage_error("the tasklet has no thread any more: its thread, or session, has ended");
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
    c->id = last_id.fetch_add(1, relaxed) + 1;
    return c;
}

void bind(context& c, std::unique_ptr<callable> body, bool has_arguments) {
    session_core& s = home_of(c);
    std::unique_ptr<callable> before;
    lock.lock();
    const bool may = c.at == phase::unbound || c.at == phase::bound || c.at == phase::done;
    if (may) {
        before = std::exchange(c.body, std::move(body));
        c.at = has_arguments ? phase::paused : phase::bound;
        if (has_arguments) access::list(s, c);
    }
    lock.unlock();
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

void insert(context& c) {
    session_core& s = home_of(c);
    make_runtime(s);
    const char* wrong = nullptr;
    auto self = c.shared_from_this();
    lock.lock();
    switch (c.at) {
        case phase::ready:
        case phase::running:
        case phase::handed: c.remove_wanted.store(false, relaxed); break;
        case phase::paused:
            c.self = std::move(self);
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
            access::leave_ring(s, c);
            c.at = phase::paused;
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
        if (c.at == phase::paused && !c.is_main) c.self = std::move(self);
        access::enter_ring(s, c);
    }
}

const lowlevel::wait_site in_ring{lowlevel::wait_kind::yield, nullptr, nullptr};

}  // namespace

void run_now(context& c) {
    lowlevel::enter();
    const caller me;
    look(*me);
    session_core& s = home_of(c);
    make_runtime(s);
    if (&c == &*me) return;
    const bool same = me->home.get() == &s;
    if (same && s.is_ring) look_at_trap(s);
    auto self = c.shared_from_this();
    lock.lock();
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
        c.self = std::move(self);
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
    make_runtime(s);
    if (me->home.get() != &s) throw usage_error("can't switch to a tasklet of a different thread: insert() it there");
    if (&c == &*me) return;
    look_at_trap(s);
    auto self = c.shared_from_this();
    lock.lock();
    if (const char* wrong = why_not_run(c)) {
        lock.unlock();
        throw usage_error(wrong);
    }
    if (s.is_ring) {
        bring_in(s, c, std::move(self));
        access::leave_ring(s, *me);
        me->at = phase::paused;
        return switch_into(*me, c, {lowlevel::wait_kind::other, &*me, nullptr});
    }
    if (c.at == phase::paused) {
        c.self = std::move(self);
        access::make_ready(c);
    }
    access::leave_ring(s, *me);
    me->at = phase::paused;
    switch_away(*me, {lowlevel::wait_kind::other, &*me, nullptr});
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
    if (!c.home || c.home->ended) {
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
        if (!c.is_main) c.self = std::move(self);
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

// ---------------------------------------------------------------------------------------------- channels

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
    if (is_in_callback) throw usage_error("Recursive channel call due to callbacks!");
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

// A partner waits. Lock held; returns without it.
void channel_core::meet(context& me, context& partner, bool sending) {
    session_core* const s = me.home.get();
    const bool same_ring = s && s->is_ring && partner.home.get() == s;
    const int favours = preference();
    const bool all = schedule_all();
    const bool to_partner = !all && (sending ? favours < 0 : favours > 0);
    if (same_ring && (all || to_partner) && s->traps.load(relaxed) > 0) {
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
    if (!same_ring || !to_partner) {
        access::make_ready(partner);
        if (!same_ring || !all) {
            lock.unlock();
            return;
        }
        access::make_current(*s, *me.next);
    } else {                                             // right behind us, and it is its turn
        access::enter_ring(*s, partner);
        if (me.next != &partner) {
            partner.prev->next = partner.next;
            partner.next->prev = partner.prev;
            access::link_before(partner, *me.next);
        }
        access::make_current(*s, partner);
    }
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
    switch_away(me, {sending ? lowlevel::wait_kind::send : lowlevel::wait_kind::receive, this, nullptr});
    if (std::exchange(me.found_closed, false)) throw rondo::closed();
}

}  // namespace rondo::stackless::detail

// ------------------------------------------------------------------------------------------------ the public functions

namespace rondo::stackless {

using detail::access;
using detail::caller;
using detail::hold_lock;
using detail::lock;
using detail::phase;
using detail::session_core;
using rondo::detail::relaxed;

run_result run(const run_options& options) {
    lowlevel::enter();
    const caller me;
    detail::look(*me);
    session_core& s = me.ring();
    const auto count_parked = [&] {                      // lock held, the caller in the ring
        std::size_t watching = 0;
        for (auto* r : s.runners) watching += !r->is_main;
        const std::size_t in_ring = s.active - (s.main->at == phase::running || s.main->at == phase::ready ? 1 : 0);
        return s.live - std::min(s.live, in_ring + watching);
    };
    lock.lock();
    const auto before = s.finished;
    const bool others = s.active > 1;
    if (!others) {
        const run_result result{.finished = 0, .parked = count_parked(), .interrupted = {}};
        lock.unlock();
        return result;
    }
    if (s.traps.load(relaxed) > 0) {
        lock.unlock();
        detail::look_at_trap(s);
    }
    access::leave_ring(s, *me);
    me->at = phase::watching;
    if (s.runners.capacity() == s.runners.size()) s.runners.reserve(2 * s.runners.size() + 8);
    s.runners.push_back(&*me);
    if (options.timeout && s.is_ring && !s.limit_runner) {
        s.limit_runner = &*me;
        s.limit = options.timeout;
        s.ticks = 0;
        s.is_total = options.total;
        s.is_soft = options.soft;
    }
    detail::switch_away(*me, {lowlevel::wait_kind::other, &s, nullptr});
    run_result result;
    result.interrupted = tasklet_ref(std::exchange(me->interrupted, nullptr));
    const hold_lock hold;
    result.finished = s.finished - before;
    result.parked = count_parked();
    return result;
}

void schedule() {
    lowlevel::enter();
    const caller me;
    detail::look(*me);
    session_core& s = me.ring();
    if (!s.is_ring) {
        if (me->is_main) std::this_thread::yield();
        else rondo::yield();
        lock.lock();
        if (me->remove_wanted.exchange(false, relaxed)) {
            access::leave_ring(s, *me);
            me->at = phase::paused;
            return detail::switch_away(*me, {lowlevel::wait_kind::other, &*me, nullptr});
        }
        lock.unlock();
        return detail::throw_pending(*me);
    }
    lock.lock();
    if (me->next == &*me) {
        access::look_at_soft_limit(s);
        if (s.current == &*me) {
            lock.unlock();
            return detail::throw_pending(*me);
        }
    } else {
        if (s.traps.load(relaxed) > 0) {
            lock.unlock();
            detail::look_at_trap(s);
        }
        access::make_current(s, *me->next);
    }
    me->at = phase::ready;
    detail::switch_away(*me, detail::in_ring);
}

std::any schedule_value(std::any value) {
    const caller me;
    me.ring();
    me->tempval = std::move(value);
    schedule();
    return std::exchange(me->tempval, std::any());
}

std::any schedule_remove(std::any value) {
    lowlevel::enter();
    const caller me;
    detail::look(*me);
    session_core& s = me.ring();
    detail::look_at_trap(s);
    me->tempval = std::move(value);
    lock.lock();
    if (!me->is_main && s.active == 1 && s.runners.empty() && s.main->at == phase::blocked) {
        const bool help = detail::somebody_may_help(s, *me);
        if (!help && s.active == 1) {
            lock.unlock();
            throw detail::make_deadlock(s, "the last runnable tasklet cannot be paused while main waits");
        }
    }
    access::leave_ring(s, *me);
    me->at = phase::paused;
    detail::switch_away(*me, {lowlevel::wait_kind::other, &*me, nullptr});
    return std::exchange(me->tempval, std::any());
}

void checkpoint() {
    const caller me;
    detail::look(*me);
    if (!me->home || !me->home->is_ring) return rondo::checkpoint();
    session_core& s = *me->home;
    if (!s.limit_runner || ++s.ticks < s.limit || s.is_soft || me->atomic_depth > 0 || s.traps.load(relaxed) > 0) return;
    lowlevel::enter();
    auto self = me->shared_from_this();
    lock.lock();
    detail::context& runner = *s.limit_runner;
    access::withdraw_from_run(s, runner);
    access::leave_ring(s, *me);
    me->at = phase::paused;
    runner.interrupted = std::move(self);
    access::enter_ring(s, runner);
    access::make_current(s, runner);
    detail::switch_away(*me, {lowlevel::wait_kind::other, &*me, nullptr});
}

tasklet_ref getcurrent() {
    const caller me;
    me.ring();
    return tasklet_ref(me->shared_from_this());
}
tasklet_ref getmain() { return tasklet_ref(caller().ring().main); }
std::size_t getruncount() {
    const caller me;
    session_core& s = me.ring();
    const hold_lock hold;
    return s.active;
}
std::uint64_t getcurrentid() { return caller()->id; }
std::size_t getthreadcount() {
    const caller me;
    const hold_lock hold;
    return detail::all_sessions().size();
}
std::vector<tasklet_info> parked_tasklets() {
    const caller me;
    return detail::waiting_ones(me.ring());
}

atomic::atomic() : me_(getcurrent().is_current() ? caller()->shared_from_this() : nullptr) {
    if (me_) ++me_->atomic_depth;
}
atomic::~atomic() {
    if (me_) --me_->atomic_depth;
}

int switch_trap(int add) { return caller().ring().traps.fetch_add(add, relaxed); }

namespace {

template <class F>
F exchange_observer(detail::observer<F>& o, F f) {
    auto next = f ? std::make_shared<const F>(std::move(f)) : nullptr;
    {
        const hold_lock hold;
        o.is_set.store(next != nullptr, relaxed);
        std::swap(o.f, next);
    }
    return next ? *next : F();
}
template <class F>
F current_observer(detail::observer<F>& o) {
    std::shared_ptr<const F> f;
    {
        const hold_lock hold;
        f = o.f;
    }
    return f ? *f : F();
}

}  // namespace

schedule_callback set_schedule_callback(schedule_callback f) {
    const caller me;
    session_core& s = me.ring();
    (s.is_ring ? s.last : detail::last_on_worker) = me->shared_from_this();
    return exchange_observer(s.on_switch, std::move(f));
}
schedule_callback get_schedule_callback() { return current_observer(caller().ring().on_switch); }
channel_callback set_channel_callback(channel_callback f) {
    return exchange_observer(caller().ring().on_channel, std::move(f));
}
channel_callback get_channel_callback() { return current_observer(caller().ring().on_channel); }
error_handler set_error_handler(error_handler f) { return exchange_observer(caller().ring().on_error, std::move(f)); }

// ------------------------------------------------------------------------------------------------ the end of a session

namespace detail {
namespace {

void print_unseen(const std::exception_ptr& e) noexcept {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        std::fprintf(stderr, "rondo::stackless: nobody took the error that a tasklet ended with: %s\n", x.what());
    } catch (...) {
        std::fprintf(stderr, "rondo::stackless: nobody took the exception that a tasklet ended with\n");
    }
}

void end_session(session_core& s) noexcept {
    const auto outer = std::exchange(session_of_thread, s.main->home);
    s.traps.store(0, relaxed);
    exchange_observer(s.on_switch, {});
    exchange_observer(s.on_channel, {});
    for (int round = 0;; ++round) {
        const auto all = live_ones(s);
        if (all.empty()) break;
        expect(round < 1000, "a stackless tasklet must end when it is killed: one of this thread swallows tasklet_exit");
        for (auto& c : all) kill(*c, true);
        try {
            stackless::run();
        } catch (const stopped&) {
        } catch (const closed&) {                        // its channel went before it: the usual end of a service
        } catch (...) {
            print_unseen(std::current_exception());
        }
    }
    std::unique_ptr<runtime> rt;
    std::vector<std::exception_ptr> unseen;
    context_ptr last, main;
    std::shared_ptr<session_core> self;
    {
        const hold_lock hold;
        s.ended = true;
        std::erase(all_sessions(), &s);
        rt = std::move(s.rt);
        unseen = std::move(s.more_errors);
        if (s.main->pending) unseen.push_back(std::move(s.main->pending));
        s.main->pending = nullptr;
        s.main->at = phase::done;
        last = std::move(s.last);
        self = std::move(s.main->home);                  // it held itself
    }
    for (auto& e : unseen) print_unseen(e);
    rt.reset();
    session_of_thread = outer == self ? nullptr : outer;
}

}  // namespace
}  // namespace detail

session::session(session_options options) {
    if (lowlevel::self().is_tasklet)
        throw usage_error("a stackless::session belongs to a thread: make it outside of all tasklets");
    core_ = detail::new_session(options.workers);
    before_ = std::exchange(detail::session_of_thread, core_);
}
session::~session() {
    detail::end_session(*core_);
    detail::session_of_thread = before_;
}

}  // namespace rondo::stackless
