// The public functions of rondo::stackless: run, schedule and their kin, the state of the ring, the callbacks.
#include "stackless_session.hpp"

#include <algorithm>
#include <any>

namespace rondo::stackless {

using detail::access;
using detail::caller;
using detail::hold_lock;
using detail::lock;
using detail::phase;
using detail::session_core;
using rondo::detail::relaxed;

namespace {

// Lock held, the caller in the ring.
std::size_t count_parked(const session_core& s) {
    std::size_t watching = 0;
    for (auto* r : s.runners) watching += !r->is_main;
    const std::size_t in_ring = s.active - (s.main->at == phase::running || s.main->at == phase::ready ? 1 : 0);
    return s.live - std::min(s.live, in_ring + watching);
}

// Unless a run further out has set one. Lock held.
void set_limit(session_core& s, detail::context& runner, const run_options& options) {
    if (!options.timeout || s.limit_runner.load(relaxed)) return;
    s.limit_runner.store(&runner, relaxed);
    s.limit = options.timeout;
    s.ticks = 0;
    ++s.limited_runs;
    s.is_total = options.total;
    s.is_soft = options.soft;
}

}  // namespace

run_result run(const run_options& options) {
    lowlevel::enter();
    const caller me;
    detail::look(*me);
    session_core& s = me.ring();
    lock.lock();
    const auto before = s.finished;
    const bool others = s.active > 1;
    if (!others || me->interrupted) {                    // an error came out of the last run in its place
        auto interrupted = std::exchange(me->interrupted, nullptr);
        const auto parked = count_parked(s);
        lock.unlock();
        return {.finished = 0, .parked = parked, .interrupted = tasklet_ref(std::move(interrupted))};
    }
    if (s.traps.load(relaxed) > 0) {
        lock.unlock();
        detail::look_at_trap(s);
    }
    access::leave_ring(s, *me);
    me->at = phase::watching;
    if (s.runners.capacity() == s.runners.size()) s.runners.reserve(2 * s.runners.size() + 8);
    s.runners.push_back(&*me);
    set_limit(s, *me, options);
    detail::switch_away(*me, {lowlevel::wait_kind::other, &s});
    run_result result;
    result.interrupted = tasklet_ref(std::exchange(me->interrupted, nullptr));
    const hold_lock hold;
    result.finished = s.finished - before;
    result.parked = count_parked(s);
    return result;
}

void schedule() {
    lowlevel::enter();
    const caller me;
    detail::look(*me);
    session_core& s = me.ring();
    lock.lock();
    if (s.active > 1 && s.traps.load(relaxed) > 0) {
        lock.unlock();
        detail::look_at_trap(s);
    }
    if (!s.is_ring) {
        lock.unlock();
        return detail::let_others_go_first(*me);
    }
    if (s.active > 1) {
        access::make_current(s, *me->next);
    } else {
        access::look_at_soft_limit(s, *me);
        if (s.current == &*me) {
            lock.unlock();
            return detail::throw_pending(*me);
        }
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
    access::pause(s, *me);
    detail::switch_away(*me, {lowlevel::wait_kind::other, &*me});
    return std::exchange(me->tempval, std::any());
}

namespace {

// Is this the tick at which `me` is interrupted? Lock held.
bool is_over_limit(session_core& s, detail::context& me) {
    if (!s.limit_runner.load(relaxed)) return false;
    access::count_tick(s, me);
    if (!access::has_used_up(s, me) || s.is_soft || me.atomic_depth > 0 || s.traps.load(relaxed) > 0) return false;
    return !me.has_pending.load(relaxed) && !me.killed.load(relaxed);      // since we looked: that comes first
}

}  // namespace

void checkpoint() {
    const caller me;
    detail::look(*me);
    session_core* const s = me->home.get();
    if (s && s->limit_runner.load(relaxed)) {
        lowlevel::enter();
        lock.lock();
        if (is_over_limit(*s, *me)) {
            s->limit_runner.load(relaxed)->interrupted = me->shared_from_this();
            access::pause(*s, *me);
            access::end_limited_run(*s);
            return detail::switch_away(*me, {lowlevel::wait_kind::other, &*me});
        }
        lock.unlock();
    }
    if (!s || !s->is_ring) rondo::checkpoint();
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
    detail::last_of(s) = me->shared_from_this();
    return exchange_observer(s.on_switch, std::move(f));
}
schedule_callback get_schedule_callback() { return current_observer(caller().ring().on_switch); }
channel_callback set_channel_callback(channel_callback f) {
    return exchange_observer(caller().ring().on_channel, std::move(f));
}
channel_callback get_channel_callback() { return current_observer(caller().ring().on_channel); }
error_handler set_error_handler(error_handler f) { return exchange_observer(caller().ring().on_error, std::move(f)); }

}  // namespace rondo::stackless
