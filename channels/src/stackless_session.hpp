// rondo::stackless: Stackless Python's scheduler and channels. This is what its parts share: the lock, the session, the
// moves of a context from one queue to another, the callbacks, who is calling.
//
//   stackless_session.cpp    a session's beginning and end, and finding the one that a caller belongs to
//   stackless_wait.cpp       waiting for one's turn, and the deadlock report
//   stackless_life.cpp       a tasklet from setup to its end: run, insert, remove, kill
//   stackless_channel.cpp    send, receive, close
//   stackless.cpp            the public functions
//
// One spin lock (`lock`) guards everything here, for all threads: rings, queues, phases. It reproduces what one thread of
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
//     a timer and, of a guest (one of Rondo's own tasklets), a stop, whose claims mean nothing until the woken one has
//     looked under the lock. While its value is moved, without the lock, it is `handed`: then only the partner makes it ready,
//     and who is woken, or wants it to run, waits for that.
// I3  A waiter publishes itself with the lock held (lowlevel::suspend lets it go once the stack is left).
// I4  When nobody can go on the innermost run() does; without one the main context gets the deadlock error or, while other
//     threads of the process could still help, sleeps and looks again now and then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/run.hpp>
#include <rondo/stackless.hpp>

namespace rondo::stackless::detail {

using rondo::detail::acquire;
using rondo::detail::relaxed;
using rondo::detail::release;

extern lowlevel::spin_lock lock;

struct hold_lock {
    hold_lock() noexcept { lock.lock(); }
    ~hold_lock() { lock.unlock(); }
    hold_lock(const hold_lock&) = delete;
    hold_lock& operator=(const hold_lock&) = delete;
};

// ---------------------------------------------------------------------------------------------- callbacks

template <class F>
struct observer {                                        // what set_..._callback has set
    std::shared_ptr<const F> f;
    rondo::detail::atomic<bool> is_set{false};
};

// Atomic, though it is one thread's: its tasklets would seem to race for it (runtime/src/precise.hpp).
extern constinit thread_local rondo::detail::atomic<bool> is_in_callback;

template <class F, class... Args>
void call_observer(observer<F>& o, const Args&... args) noexcept {
    std::shared_ptr<const F> f;
    {
        const hold_lock hold;
        f = o.f;
    }
    if (!f) return;
    is_in_callback.store(true, relaxed);                 // it cannot switch, so this is the same thread's all along
    try {
        (*f)(args...);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rondo::stackless: a callback has thrown: %s\n", e.what());
    } catch (...) {
        std::fprintf(stderr, "rondo::stackless: a callback has thrown\n");
    }
    is_in_callback.store(false, relaxed);
}

template <class F>
F exchange_observer(observer<F>& o, F f) {
    auto next = f ? std::make_shared<const F>(std::move(f)) : nullptr;
    {
        const hold_lock hold;
        o.is_set.store(next != nullptr, relaxed);
        std::swap(o.f, next);
    }
    return next ? *next : F();
}

// ---------------------------------------------------------------------------------------------- the session

struct session_core {
    explicit session_core(unsigned n) : workers(n), is_ring(n == 1) {}

    const unsigned workers;
    const bool is_ring;
    rondo::detail::atomic<bool> ended{false};            // written with the lock held
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

    // run(timeout). Written with the lock held; limit_runner is looked at without it, too: is there a limit at all?
    rondo::detail::atomic<context*> limit_runner{nullptr};
    std::uint64_t limit = 0, ticks = 0, limited_runs = 0;
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

/// Everything that works on contexts with the lock held.
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
    /// Out of the ring, in no queue. Whoever has asked for that (remove) has got it.
    static void pause(session_core& s, context& c) noexcept {
        leave_ring(s, c);
        c.at = phase::paused;
        c.remove_wanted.store(false, relaxed);
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
        if (s.limit_runner.load(relaxed) == &c) s.limit_runner.store(nullptr, relaxed);
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

    // ---- run(timeout)
    static void count_tick(session_core& s, context& c) noexcept {
        if (std::exchange(c.limited_run, s.limited_runs) != s.limited_runs) c.ticks = 0;
        ++(s.is_total ? s.ticks : c.ticks);
    }
    static bool has_used_up(const session_core& s, const context& c) noexcept {
        if (s.is_total) return s.ticks >= s.limit;
        return c.limited_run == s.limited_runs && c.ticks >= s.limit;
    }
    static void end_limited_run(session_core& s) noexcept {
        context& c = *s.limit_runner.load(relaxed);
        withdraw_from_run(s, c);
        enter_ring(s, c);
        if (s.is_ring) s.set_current(&c);
        else go(c);
    }
    /// run({.soft}): is its time up, now that `c` switches?
    static void look_at_soft_limit(session_core& s, const context& c) noexcept {
        if (s.limit_runner.load(relaxed) && s.is_soft && has_used_up(s, c)) end_limited_run(s);
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
        c.has_pending.store(true, release);              // pairs with the acquire of who goes on: stackless_wait.cpp
    }
};

// ---------------------------------------------------------------------------------------------- stackless_session.cpp

[[nodiscard]] std::uint64_t new_id() noexcept;
/// For a session's tasklets.
[[nodiscard]] std::unique_ptr<runtime> new_runtime(unsigned workers);

/// All sessions: who could still help whom. With the lock held.
[[nodiscard]] std::vector<session_core*>& all_sessions();
/// is_ring: the only worker's thread is this session's.
void set_worker_session(session_core& s) noexcept;
/// Several workers: so that caller finds it by its waiter. With the lock held.
void remember_waiter(context& c);
void forget_waiter(const context& c) noexcept;
/// For on_switch: who ran before on this worker.
[[nodiscard]] context_ptr& last_of(session_core& s) noexcept;

/// Who is calling.
class caller {
public:
    caller();
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

// ---------------------------------------------------------------------------------------------- stackless_wait.cpp

/// Throws what others have put into `me`, or tasklet_exit if it has been killed.
void throw_pending(context& me);

/// Every call that may switch begins with this.
inline void look(context& me) {
    if (is_in_callback.load(relaxed)) throw usage_error("rondo::stackless: a callback must not switch to another tasklet");
    throw_pending(me);
}

inline void look_at_trap(const session_core& s) {
    if (s.traps.load(relaxed) > 0) throw usage_error("switch_trap: this thread must not switch tasklets now");
}

/// The first thing that a context does when its turn has come.
void arrive(context& me);
/// Several workers: the caller has been away without leaving the ring. Whoever wanted to remove it meanwhile has his way now.
void come_back(context& me);
/// The same: others on this worker go first.
void let_others_go_first(context& me);
/// Could somebody else still wake this session's main context? Lets go of the lock and takes it again.
[[nodiscard]] bool somebody_may_help(const session_core& s, const context& asking);
/// `me` has left the ring, or moved in it; whoever is current now goes on. With the lock held; returns without it.
void switch_away(context& me, const lowlevel::wait_site& site);
/// The site of whoever waits in the ring, and nowhere else.
constexpr lowlevel::wait_site in_ring{lowlevel::wait_kind::yield, nullptr};

/// All that live, main not among them. Without the lock, like the two that follow.
[[nodiscard]] std::vector<context_ptr> live_ones(session_core& s);
/// Those of them that are blocked, paused or inside run(), the oldest first.
[[nodiscard]] std::vector<tasklet_info> waiting_ones(session_core& s);
[[nodiscard]] deadlock make_deadlock(session_core& s, const char* what);

}  // namespace rondo::stackless::detail
