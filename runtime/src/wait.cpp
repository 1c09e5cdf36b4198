// How a tasklet, or a plain thread, waits: see lowlevel/wait.hpp for the protocol.
#include <rondo/lowlevel/wait.hpp>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <rondo/tasklet.hpp>
#include <rondo/time.hpp>

#include "futex.hpp"
#include "leave.hpp"
#include "memory_errors.hpp"
#include "scheduler.hpp"
#include "simulation.hpp"

namespace rondo::lowlevel {

namespace precise = rondo::detail::precise;
using rondo::detail::acq_rel;
using rondo::detail::acquire;
using rondo::detail::relaxed;
using rondo::detail::release;
using rondo::detail::seq_cst;
using rondo::detail::steady_now_ns;
using rondo::detail::scheduler;
using rondo::detail::task;
using rondo::detail::timer_entry;
using rondo::detail::timer_wheel;
using rondo::detail::worker;

void detail::spin_wait(unsigned round) noexcept {
    if (round < 100) rondo::detail::cpu_relax();
    else std::this_thread::yield();        // the holder has lost its core
}

namespace {

// Never negative: on a machine that was started less than an hour ago "an hour ago" lies before the clock's epoch, and
// the kernel refuses such a time.
std::int64_t to_ns(time_point tp) noexcept {
    if (tp == no_deadline) return timer_wheel::never;
    return std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::nanoseconds>(tp.time_since_epoch()).count());
}

// A plain thread's record. Type-stable, as a tasklet's descriptor is: a thread that ends leaves it to the next one, and
// it is never freed. So a stale reference may try to claim it, and a futex may be woken after its thread has gone on.
struct alignas(64) plain_thread : waiter {
    rondo::detail::atomic<std::uint32_t> signal{0};
    bool counted = false;               // among blocked_foreign_threads(); the waker takes it out before it signals
    plain_thread* next = nullptr;
};
struct thread_records {
    std::mutex lock;
    plain_thread* free = nullptr;
    std::vector<plain_thread*> all;     // so that leak checkers see them
};
thread_records& records() noexcept {
    static thread_records* const r = new thread_records;      // outlives every thread
    return *r;
}
struct thread_record {
    plain_thread* mine;
    thread_record() {
        const precise::unseen under_a_lock;
        auto& r = records();
        std::lock_guard hold(r.lock);
        if ((mine = r.free)) {
            r.free = mine->next;
        } else {
            r.all.push_back(mine = new plain_thread);
        }
        mine->deadline_ns = INT64_MAX;
        mine->shield = 0;
    }
    ~thread_record() {
        const precise::unseen under_a_lock;
        auto& r = records();
        std::lock_guard hold(r.lock);
        mine->next = r.free;
        r.free = mine;
    }
};
[[gnu::noinline]] plain_thread& this_thread_record() noexcept {
    static thread_local thread_record record;
    return *record.mine;
}

task* running_tasklet(worker*& w) noexcept {
    w = worker::current();
    return w ? w->running : nullptr;
}

// While an exception is on its way a wait (in a destructor) must not throw another one: neither a stop nor a deadline
// around it ends it.
bool is_unwinding(worker& w) noexcept { return worker::state_of(&w).exceptions->uncaught != 0; }

// To be called where a stop may be noticed.
[[gnu::always_inline]] inline void look_for_stop(worker& w, const task& me) {
    if (me.stop_requested() && !me.shield && !is_unwinding(w)) [[unlikely]] {
        precise::to_here_from_stop(me);
        throw stopped();
    }
}

[[gnu::always_inline]] inline void note(waiter& me, const wait_site& site, std::int64_t since_ns) noexcept {
    me.wait_object.store(site.object, relaxed);
    me.wait_since_ns.store(since_ns, relaxed);
    me.kind.store(site.kind, relaxed);
}

// Its wait is over: who has ended it comes before it.
[[gnu::always_inline]] inline wake over(const waiter& me, std::uint64_t word) noexcept {
    const wake how = waiter::outcome_of(word);
    if (how == wake::stopped) precise::to_here_from_stop(me);
    else precise::to_here(me);
    return how;
}

// Who has left its stack, and may go on.
[[gnu::always_inline]] inline void push_to_tail(worker& w, task& me) noexcept {
    if (w.migrates()) [[unlikely]] w.home.migrate(me);
    else w.push_ready(me);
}

// What runs on the stack arrived at, once the waiting tasklet has left its own.
struct plain_suspension : rondo::detail::departure {
    task* me;
    std::uint32_t generation;
    bool is_shielded;
};
struct suspension : plain_suspension {
    spin_lock* lock;
    timer_entry* timer;
};

// Suspension: with a lock and a timer (either may be null), or without.
template <class Suspension>
void publish(rondo::detail::departure& d, void* left) noexcept {
    auto& s = static_cast<Suspension&>(d);
    task& me = *s.me;
    worker& w = *s.by;
    spin_lock* lock = nullptr;                    // once the word is open, `s` may be gone
    timer_entry* timer = nullptr;
    if constexpr (std::is_same_v<Suspension, suspension>) {
        lock = s.lock;
        timer = s.timer;
    }
    task* const below = me.joiner_below();
    const bool is_shielded = s.is_shielded;
    me.context.store(left, relaxed);
    if (w.is_alone()) me.order.store(w.switches(), relaxed);       // for push_warm()
    if (timer) {
        w.wheel.lock();
        w.wheel.insert_locked(*timer);
    }
    const auto generation = s.generation;
    const published how = publish_word(me, generation, is_shielded);
    if (timer) w.wheel.unlock();
    if (lock) lock->unlock();
    if (how == published::early) {
        if (sign_left(me)) push_to_tail(w, me);   // else `me` may have gone on by now
        return;
    }
    if (how == published::refused) return push_to_tail(w, me);
    // Joiners that run us as a plain call cannot be resumed before us: their stop is ours. The claim finds our wait
    // still open, or does nothing. A shield holds against theirs, too.
    for (task* b = is_shielded ? nullptr : below; b; b = b->joiner_below())
        // seq_cst: keeps it apart from the opening of our word above (the stop: b's word, then ours, in pass_stop_on()).
        if (b->word.load(seq_cst) & waiter::stop_flag) {
            if (me.claim(generation, wake::stopped)) push_to_tail(w, me);
            break;
        }
}

std::uint32_t next_generation(const waiter& me) noexcept { return waiter::generation_of(me.word.load(relaxed)) + 1; }

[[gnu::always_inline]] inline wake leave_open(worker& w, task& me, std::uint32_t generation, task* into, spin_lock* lock,
                                              timer_entry* timer, bool is_shielded) noexcept {
    if (lock) precise::from_here(static_cast<const void*>(lock));
    suspension d;
    d.after = &publish<suspension>;
    d.me = &me;
    d.lock = lock;
    d.timer = timer;
    d.generation = generation;
    d.is_shielded = is_shielded;
    worker::leave(w, d, into);
    if (timer) timer_wheel::cancel(*timer);
    me.kind.store(wait_kind::none, relaxed);
    // relaxed: whoever resumed us handed us over through a run queue, which orders it.
    return over(me, me.word.load(relaxed));
}

// The same for who waits with neither lock nor limit.
[[gnu::always_inline]] inline wake leave_plainly(worker& w, task& me, std::uint32_t generation, bool is_shielded) noexcept {
    plain_suspension d;
    d.after = &publish<plain_suspension>;
    d.me = &me;
    d.generation = generation;
    d.is_shielded = is_shielded;
    worker::leave(w, d);
    me.kind.store(wait_kind::none, relaxed);
    return over(me, me.word.load(relaxed));                 // relaxed: as in leave_open()
}

// Out of line: the frames of those who wait without a limit are smaller by the timer.
[[gnu::noinline]] wake leave_with_limit(worker& w, task& me, std::uint32_t generation, task* into, spin_lock* lock,
                                        std::int64_t limit_ns, wake outcome, bool is_shielded) noexcept {
    timer_entry timer;
    timer.deadline_ns = limit_ns;
    timer.who = &me;
    timer.generation = generation;
    timer.outcome = outcome;
    return leave_open(w, me, generation, into, lock, &timer, is_shielded);
}

[[gnu::always_inline]] inline wake suspend_tasklet(worker& w, task& me, std::uint32_t generation, task* into,
                                                   const wait_site& site, spin_lock* lock, time_point until) noexcept {
    note(me, site, w.coarse_now_ns());
    const bool unwinds = is_unwinding(w), is_shielded = me.shield != 0 || unwinds;
    const auto until_ns = to_ns(until), deadline_ns = unwinds ? timer_wheel::never : me.deadline_ns;
    if (const auto first = std::min(until_ns, deadline_ns); first != timer_wheel::never) [[unlikely]]
        return leave_with_limit(w, me, generation, into, lock, first,
                                deadline_ns <= until_ns ? wake::deadline : wake::timed_out, is_shielded);
    return leave_open(w, me, generation, into, lock, nullptr, is_shielded);
}

wake block_thread(plain_thread& me, std::uint32_t generation, const wait_site& site, spin_lock* lock,
                  time_point until) noexcept {
    note(me, site, steady_now_ns());
    const auto until_ns = to_ns(until), deadline_ns = std::uncaught_exceptions() ? timer_wheel::never : me.deadline_ns;
    const auto first = std::min(until_ns, deadline_ns);
    me.signal.store(0, relaxed);
    const bool unlimited = first == timer_wheel::never;
    me.counted = unlimited;
    if (unlimited) rondo::detail::blocked_foreign_threads().fetch_add(1, seq_cst);
    const auto go_on = [&] {                      // without having waited
        if (unlimited) rondo::detail::blocked_foreign_threads().fetch_sub(1, seq_cst);
        me.kind.store(wait_kind::none, relaxed);
        return over(me, me.word.load(relaxed));
    };
    const published how = publish_thread_word(me, generation);
    if (how == published::refused || (how == published::early && sign_left(me))) return go_on();
    if (lock) {
        precise::from_here(static_cast<const void*>(lock));
        lock->unlock();
    }
    bool limited = !unlimited && how != published::early;
    while (me.signal.load(acquire) == 0) {        // acquire: pairs with the release in resume()
        rondo::detail::futex_wait_until(me.signal, 0, limited ? first : rondo::detail::no_limit_ns);
        if (limited && me.signal.load(acquire) == 0 && steady_now_ns() >= first) {
            if (me.claim(generation, deadline_ns <= until_ns ? wake::deadline : wake::timed_out)) break;
            limited = false;                      // somebody has claimed us and will signal
        }
    }
    me.kind.store(wait_kind::none, relaxed);
    return over(me, me.word.load(acquire));                   // pairs with the release in claim()
}

// Leaves without a wait: the tasklet goes straight to the tail of the run queue.
struct requeue : rondo::detail::departure {
    task* me;
};
void publish_ready(rondo::detail::departure& d, void* left) noexcept {
    auto& r = static_cast<requeue&>(d);
    task& me = *r.me;
    worker& w = *r.by;
    me.context.store(left, relaxed);
    push_to_tail(w, me);
}
[[gnu::always_inline]] inline void requeue_current(worker& w, task& me, task* into) noexcept {
    requeue d;
    d.after = &publish_ready;
    d.me = &me;
    worker::leave(w, d, into);
}

// The same for who has been put at the tail already.
void note_left(rondo::detail::departure& d, void* left) noexcept {
    static_cast<requeue&>(d).me->context.store(left, relaxed);
}

// Under testing::explore: who goes on, the running tasklet or another one?
[[gnu::noinline]] void simulated_point(worker& w, task& me, bool yields) noexcept {
    const precise::on_loop simulation;
    if (!w.has_spare_stack()) return;
    task* const other = w.home.simulated->at_point(w, me, yields);
    if (!other) return;
    me.kind.store(wait_kind::yield, relaxed);
    requeue_current(w, me, other);
    me.kind.store(wait_kind::none, relaxed);
}

enum class because : std::uint8_t { asked, slice_is_over };
[[gnu::always_inline]] inline void yield_tasklet(worker& w, task& me, because why) noexcept {
    w.budget = w.slice_length;
    if (w.slice_length == 0) [[unlikely]] return simulated_point(w, me, why == because::asked);
    if (task* const next = w.pass_turn(me)) [[likely]] {
        requeue d;
        d.after = &note_left;
        d.me = &me;
        me.kind.store(wait_kind::yield, relaxed);
        worker::leave_to(w, d, *next);
        me.kind.store(wait_kind::none, relaxed);
        return;
    }
    if (!w.has_spare_stack()) return;             // cannot leave; later, then
    task* const next = w.next_ready_in_line();
    if (!next && !w.others_are_ready() && !w.migrates()) return w.begin_slice();
    me.kind.store(wait_kind::yield, relaxed);
    requeue_current(w, me, next);
    me.kind.store(wait_kind::none, relaxed);
}

// The budget is used up, or the first part of it.
[[gnu::noinline]] void spend_or_yield(worker& w, task& me) noexcept {
    if (w.slice_goes_on()) --w.budget;
    else yield_tasklet(w, me, because::slice_is_over);
}

void publish_before_fresh(rondo::detail::departure& d, void* left) noexcept {
    auto& r = static_cast<requeue&>(d);
    r.me->context.store(left, relaxed);
    if (r.by->migrates()) r.by->home.migrate(*r.me);
    else r.by->push_ready_before_fresh(*r.me);
}

[[gnu::noinline]] void compare_with_deadline(const waiter& me) {
    worker* w = worker::current();
    const bool passed = (w ? w->home.now_ns() : steady_now_ns()) >= me.deadline_ns;
    if (passed && std::uncaught_exceptions() == 0) throw rondo::detail::deadline_passed();
}
void look_at_deadline(const waiter& me) {
    if (me.deadline_ns != timer_wheel::never) [[unlikely]] compare_with_deadline(me);
}

[[gnu::noinline]] waiter& enter_slowly() {
    worker* w;
    task* t = running_tasklet(w);
    if (!t) {
        plain_thread& me = this_thread_record();
        look_at_deadline(me);
        return me;
    }
    look_for_stop(*w, *t);
    look_at_deadline(*t);
    if (--w->budget < 0) [[unlikely]] {
        spend_or_yield(*w, *t);
        w = worker::current();
    }
    if (!w->has_spare_stack()) [[unlikely]]
        rondo::detail::throw_out_of_memory(rondo::detail::no_memory_for::a_stack_to_go_on);
    return *t;
}

// nullptr: it needs enter_slowly().
[[gnu::always_inline]] inline task* enter_at_once(worker* w) noexcept {
    task* const t = w ? w->running : nullptr;
    if (!t || t->stop_requested() || t->deadline_ns != timer_wheel::never || w->budget <= 0 || !w->has_stack_at_hand())
        [[unlikely]] return nullptr;
    --w->budget;
    return t;
}

}  // namespace

// Their own frames are empty: all that calls something is left to enter_slowly(), which begins anew.
entry enter_here() {
    worker* const w = worker::here();
    if (task* const t = enter_at_once(w)) [[likely]] return {*t, w->solo};
    return {enter_slowly(), soloist_here()};
}
waiter& enter() {
    if (task* const t = enter_at_once(worker::here())) [[likely]] return *t;
    return enter_slowly();
}

[[gnu::noinline]] soloist* soloist_here() noexcept {
    worker* const w = worker::here();
    return w ? w->solo : nullptr;
}

bool stop_is_due(const waiter& me) noexcept {
    const bool yes = me.is_tasklet && me.stop_requested() && !me.shield && !is_unwinding(*worker::current());
    if (yes) precise::to_here_from_stop(me);
    return yes;
}

waiter& enter_though_stopped() {
    waiter& me = self();
    if (!me.is_tasklet) return enter();
    if (!stop_is_due(me)) look_at_deadline(me);
    const shield from_both;                       // a stop may come now, too
    return enter();
}

void ensure_stack() noexcept {
    for (unsigned round = 0;; ++round) {
        worker* w = worker::current();
        if (!w || !w->running || w->has_spare_stack()) return;
        // Who stands on a stack already needs none from us, and may give his back.
        if (task* other = w->take_started()) requeue_current(*w, *w->running, other);
        else detail::spin_wait(round);
    }
}

time_point now() noexcept {
    worker* w = worker::current();
    return w ? time_point(std::chrono::nanoseconds(w->home.now_ns())) : std::chrono::steady_clock::now();
}

waiter& self() noexcept {
    worker* w;
    if (task* t = running_tasklet(w)) return *t;
    return this_thread_record();
}

namespace {

template <class F>
[[gnu::noinline]] wake suspend_watched(waiter& me, F&& suspend_it) noexcept {
    watched_wait w{};
    watch_wait(static_cast<task&>(me), true, w);
    const wake how = suspend_it();
    watch_wait(static_cast<task&>(me), false, w);
    return how;
}

}  // namespace

wake suspend(waiter& me, const wait_site& site, spin_lock* lock, time_point until) noexcept {
    const auto generation = next_generation(me);
    if (!me.is_tasklet) return block_thread(static_cast<plain_thread&>(me), generation, site, lock, until);
    if (me.is_watched()) [[unlikely]] return suspend_watched(me, [&] { return suspend(me, site, lock, until); });
    return suspend_tasklet(*worker::current(), static_cast<task&>(me), generation, nullptr, site, lock, until);
}

wake suspend_published(waiter& me, std::uint32_t generation, const wait_site& site, time_point until) noexcept {
    if (!me.is_tasklet) return block_thread(static_cast<plain_thread&>(me), generation, site, nullptr, until);
    if (me.is_watched()) [[unlikely]]
        return suspend_watched(me, [&] { return suspend_published(me, generation, site, until); });
    return suspend_tasklet(*worker::current(), static_cast<task&>(me), generation, nullptr, site, nullptr, until);
}

wake suspend_published(waiter& me, std::uint32_t generation, wait_kind kind, const void* object) noexcept {
    if (me.is_tasklet == 0 || me.is_watched() || me.deadline_ns != timer_wheel::never) [[unlikely]]
        return suspend_published(me, generation, {kind, object}, no_deadline);
    worker& w = *worker::here();
    note(me, {kind, object}, w.coarse_now_ns());
    return leave_plainly(w, static_cast<task&>(me), generation, me.shield != 0 || is_unwinding(w));
}

wake suspend_into(waiter& me, waiter& other, const wait_site& site, spin_lock* lock, time_point until) noexcept {
    worker* w = worker::current();
    if (!me.is_tasklet || !other.is_tasklet || static_cast<task&>(other).home != &w->home ||
        (w->budget <= 0 && !w->slice_goes_on()) || w->migrates() || me.is_watched()) {
        resume(other, placement::tail);
        return suspend(me, site, lock, until);
    }
    precise::from_here(other);
    return suspend_tasklet(*w, static_cast<task&>(me), next_generation(me), &static_cast<task&>(other), site, lock, until);
}

void point(waiter& me) noexcept { simulated_point(*worker::current(), static_cast<task&>(me), false); }

void begin_enlisting(waiter& me) noexcept {
    // relaxed: whoever meets a node of ours has it from its list's lock.
    me.word.fetch_or(waiter::enlisting_flag, relaxed);
}

bool missed(const waiter& me) noexcept { return me.word.load(relaxed) & waiter::missed_flag; }

void end_enlisting(waiter& me) noexcept { end_enlisting_word(me); }

bool others_may_run() noexcept {
    const worker* w = worker::current();
    return !w || !w->is_alone();
}

std::uint32_t random() noexcept {
    if (worker* w = worker::current()) return w->random();
    static thread_local std::uint32_t state = static_cast<std::uint32_t>(steady_now_ns()) | 1;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void pause(unsigned round) noexcept {
    for (auto n = random() % (16u << std::min(round, 8u)); n > 0; --n) rondo::detail::cpu_relax();
    if (round > 8) std::this_thread::yield();
}

void raise(wake outcome) {
    if (outcome == wake::stopped) throw stopped();
    if (outcome == wake::deadline) throw rondo::detail::deadline_passed();
}

namespace {

[[gnu::noinline]] void wake_thread(plain_thread& who) noexcept {
    // release: pairs with the acquire in block_thread(). After this store `who` may be gone.
    rondo::detail::atomic<std::uint32_t>* signal = &who.signal;
    if (who.counted) rondo::detail::blocked_foreign_threads().fetch_sub(1, seq_cst);
    signal->store(1, release);
    rondo::detail::futex_wake(signal);
}
[[gnu::noinline]] void resume_elsewhere(worker* w, task& t) noexcept {
    if (!w || !w->is_home_of(t)) t.home->inject(t);
    else w->home.migrate(t);
}

}  // namespace

[[gnu::noinline]] void resume(waiter& who, placement where) noexcept {
    precise::from_here(who);
    const precise::on_loop from_here_on;
    if (!who.is_tasklet) [[unlikely]] return wake_thread(static_cast<plain_thread&>(who));
    auto& t = static_cast<task&>(who);
    worker* const w = worker::here();
    if (!w || !w->is_home_of(t) || w->migrates()) [[unlikely]] {
        resume_elsewhere(w, t);
    } else if (where == placement::next) {
        w->push_next(t);
    } else if (where == placement::near) {
        w->push_near(t);
    } else if (where == placement::warm) {
        w->push_warm(t);
    } else {
        w->push_ready(t);
    }
}

void pass_turn_after_joins() noexcept {
    worker& w = *worker::current();
    task* const next = w.turn_after_joins();
    if (!next) return;
    requeue d;
    d.after = &publish_before_fresh;
    d.me = w.running;
    worker::leave(w, d, next);
}

void resume_now(waiter& who) noexcept {
    worker* w;
    task* me = running_tasklet(w);
    if (!me || !who.is_tasklet || static_cast<task&>(who).home != &w->home ||
        (w->budget <= 0 && !w->slice_goes_on()) || w->migrates() || !w->has_spare_stack())
        return resume(who, placement::tail);
    precise::from_here(who);
    requeue_current(*w, *me, &static_cast<task&>(who));
}

void settle(waiter& who, waiter::hold how, placement where) noexcept {
    if (how == waiter::hold::early) precise::from_here(who);
    if (how == waiter::hold::early && !sign_settled(who)) return;
    resume(who, where);
}

void settle_now(waiter& who, waiter::hold how) noexcept {
    if (how == waiter::hold::early) precise::from_here(who);
    if (how == waiter::hold::early && !sign_settled(who)) return;
    resume_now(who);
}

void interrupt(waiter& who) noexcept {
    precise::from_here(who);
    if (interrupt_word(who)) return resume(who, placement::tail);
    if (who.is_tasklet) pass_stop_on(static_cast<task&>(who), static_cast<task&>(who).id.load(relaxed));
}
void forgive(waiter& who) noexcept { forgive_word(who); }

namespace {

task& top_of(task& t) noexcept {                  // who really runs or waits on t's stack
    task* top = &t;
    // seq_cst: keeps it apart from the stop in t's word (publish(): its own word, then t's); as do those in pass_stop_on().
    while (task* above = top->above.load(seq_cst)) top = above;
    return *top;
}

}  // namespace

void pass_stop_on(task& t, std::uint64_t id) noexcept {
    // It runs a child as a plain call, and that one another: the topmost is what waits, so its wait ends (its own flag
    // stays clear). Found again after its word was read, it is in that wait, or the claim fails; and while it waits,
    // nobody below it ends.
    for (;;) {
        task& top = top_of(t);
        if (&top == &t) return;
        const auto seen = top.word.load(seq_cst);
        const bool still = &top_of(t) == &top;
        if (t.id.load(seq_cst) != id) return;
        if (!still) continue;
        if ((seen & waiter::open_flag) && !(seen & waiter::shield_flag) &&
            top.claim(waiter::generation_of(seen), wake::stopped))
            resume(top, placement::tail);
        return;
    }
}

}  // namespace rondo::lowlevel

namespace rondo {

using detail::task;
using detail::worker;

void yield() {
    worker* w = worker::here();
    task* t = w ? w->running : nullptr;
    if (!t) [[unlikely]] {
        lowlevel::look_at_deadline(lowlevel::this_thread_record());
        return std::this_thread::yield();
    }
    lowlevel::look_for_stop(*w, *t);
    lowlevel::look_at_deadline(*t);
    lowlevel::yield_tasklet(*w, *t, lowlevel::because::asked);
}

void checkpoint() {
    worker* w = worker::current();
    task* t = w ? w->running : nullptr;
    if (!t) return lowlevel::look_at_deadline(lowlevel::this_thread_record());
    lowlevel::look_for_stop(*w, *t);
    lowlevel::look_at_deadline(*t);
    if (--w->budget < 0) [[unlikely]] lowlevel::spend_or_yield(*w, *t);
}

void sleep_until(lowlevel::time_point tp) {
    lowlevel::waiter& me = lowlevel::enter();
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::sleep, nullptr}, nullptr, tp);
    lowlevel::raise(outcome);
}

namespace detail {

void worker::yield_for_backlog() noexcept {
    worker* w = current();
    if (w->home.simulated && w->running) return lowlevel::simulated_point(*w, *w->running, false);
    if (w->running && w->has_spare_stack()) lowlevel::requeue_current(*w, *w->running, nullptr);
}

deadline_scope::deadline_scope(lowlevel::time_point until) noexcept
    : me_(lowlevel::self()), outer_(me_.deadline_ns), mine_(std::min(outer_, lowlevel::to_ns(until))) {
    me_.deadline_ns = mine_;
}
deadline_scope::~deadline_scope() { me_.deadline_ns = outer_; }
bool deadline_scope::is_mine() const noexcept { return mine_ < outer_; }

lowlevel::time_point deadline_after(std::chrono::steady_clock::duration d) noexcept {
    const auto now = lowlevel::now();
    if (d > lowlevel::time_point::max() - now) return lowlevel::no_deadline;
    return now + std::max(d, std::chrono::steady_clock::duration::zero());
}

}  // namespace detail
}  // namespace rondo
