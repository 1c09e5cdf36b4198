#include "worker.hpp"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cxxabi.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <new>

#include <rondo/scope.hpp>

#include "run_body.hpp"
#include "scheduler.hpp"
#include "simulation.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace rondo::detail {
thread_local constinit worker* this_worker = nullptr;

namespace {

constexpr std::size_t cached_stacks = 32, stack_batch = 16;
constexpr std::size_t task_batch = 128;
constexpr unsigned search_rounds = 160;              // about 20 us
constexpr std::uint64_t wake_cost_stamps = 50'000;   // a wake-up costs some 25 us all in all
constexpr std::uint64_t move_stamps = 10'000;        // what moving a started tasklet costs all in all, both ways
constexpr std::uint64_t most_soon_stamps = 640'000;
constexpr std::uint64_t look_stamps = 2'600'000;     // about a millisecond: who is busy looks after those who are stuck
constexpr unsigned stuck_rounds = 40;                // of a search, about 5 us: who has not moved in that time is stuck
constexpr std::uint64_t row_stamps = 1'300'000;      // half a millisecond: so long one wakes the next, while others are ready
constexpr std::int64_t most_private = 32;            // of the newest unstarted ones; about the depth of a recursion
constexpr std::uint32_t long_list = 64;              // so many in a row from one spawner
constexpr std::int64_t first_look_ns = 2'000'000, longest_look_ns = 4'000'000;

// A cheap clock for averages; no unit.
std::uint64_t stamp() noexcept {
#if defined(__x86_64__)
    return __rdtsc();
#else
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 2'600'000'000ull + static_cast<std::uint64_t>(t.tv_nsec) * 26 / 10;
#endif
}

[[gnu::noinline]] thread_state state_of_this_thread() noexcept {
    return {reinterpret_cast<exception_globals*>(abi::__cxa_get_globals()), &errno};
}

void futex_wait_until(atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t until_ns) noexcept {
    timespec t{};
    const bool limited = until_ns != timer_wheel::never;
    if (limited) {
        t.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
        t.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
    }
    ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, limited ? &t : nullptr, nullptr,
              FUTEX_BITSET_MATCH_ANY);
}
void futex_wake(atomic<std::uint32_t>& word) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

worker* worker::current() noexcept {
    worker* w = this_worker;
    asm volatile("" : "+r"(w));        // so that it is neither inlined as a constant nor deduced to be pure
    return w;
}

worker::worker(scheduler& s, unsigned i)
    : slice_length(s.simulated ? 0 : slice_operations), solo(s.soloist.get()), home(s), index(i), wheel(s.now_ns()),
      alone_(s.alone), migrates_(s.options.force_migration && !s.alone), is_looked_after_(!s.options.world),
      random_state_(0x9e3779b97f4a7c15ull * (i + 1)), now_ns_(s.now_ns()),
      fences_lightly_(has_asymmetric_fences()), takes_ahead_(fences_lightly_ && is_looked_after_ && !s.alone && !s.simulated && !migrates_),
      fresh_(fences_lightly_ ? most_private : 0) {
    backlog_ = std::min(home.options.spawn_backlog, fresh_.capacity());
    seen_moves_.resize(s.options.workers);
    stuck_moves_.resize(s.options.workers);
    cached_ = home.stacks.get_batch(2);
    if (!cached_) throw out_of_memory("no memory for a worker's first stack; a larger runtime_options::stack_memory_bytes or a larger "
                                     "limit (ulimit -v) would help");
    cached_count_ = cached_->next ? 2 : 1;
}

worker::~worker() = default;           // its stacks and descriptors belong to the arena and the pool

// ---------------------------------------------------------------------------------------------- the OS thread

void worker::thread_main() {
    this_worker = this;
    here_ = state_of_this_thread();
    pthread_attr_t attributes;
    void* base = nullptr;
    std::size_t size = 0;
    if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
        ::pthread_attr_getstack(&attributes, &base, &size);
        ::pthread_attr_destroy(&attributes);
    }
    native_.base = static_cast<char*>(base);
    native_.size = size;
    native_.limit = native_.base;
    native_.native = true;
#ifdef RONDO_TSAN
    native_.tsan_fiber = __tsan_get_current_fiber();
#endif
    void* signal_stack = alternate_signal_stack_begin();

    stack* s = cached_;
    cached_ = s->next;
    --cached_count_;
    on_ = s;
    departure d{[](departure& self, void* left) noexcept { self.by->native_context_ = left; }, this};
    switch_stacks(here_, boost::context::detail::make_fcontext(s->top, static_cast<std::size_t>(s->top - s->base),
                                                               &worker::loop_entry),
                  *s, d, false, &worker::state_of);

    alternate_signal_stack_end(signal_stack);
    this_worker = nullptr;
}

// A loop leaves its stack. For good: then that stack is free; else the loop stays as its worker's spare. (Hidden: so that the
// addresses of the two actions are at hand, and not in a table of the linker's.)
struct worker::loop_departure : departure {
    stack* old;

    loop_departure(worker& w, bool for_good) noexcept : old(w.on_) {
        by = &w;
        if (for_good) after = &free_stack;
        else after = &keep_as_spare;
    }
    [[gnu::visibility("hidden")]] static void free_stack(departure& self, void*) noexcept {
        self.by->keep_stack(*static_cast<loop_departure&>(self).old);
    }
    [[gnu::visibility("hidden")]] static void keep_as_spare(departure& self, void* left) noexcept {
        self.by->spare_context_ = left;
        self.by->spare_stack_ = static_cast<loop_departure&>(self).old;
    }
};

void worker::leave_for_good(worker& w) noexcept {
    loop_departure d(w, true);
    w.on_ = &w.native_;
    switch_stacks(w.here_, w.native_context_, w.native_, d, true, &worker::state_of);
    __builtin_unreachable();
}

// ---------------------------------------------------------------------------------------------- the loop

void worker::loop_entry(transfer_t from) noexcept {
#ifdef RONDO_ASAN
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    worker* w = static_cast<departure*>(from.data)->by;
    arrive(from);
    *w->here_.exceptions = {nullptr, 0};
    loop(w);
}

[[gnu::always_inline]] inline worker* worker::run_fresh(worker& w, task& t) noexcept {
    t.state.store(task::phase::started, relaxed);
    w.running = &t;
    const bool ended_well = run_body(t, [&] { t.ops->run(t); });

    worker& now = *current();                         // may be another one
    group* const g = t.in_group.load(relaxed);
    // acquire: pairs with the release in detach_task(). Once detached there is nobody who joins, now or later.
    if (!ended_well || !t.detached.load(acquire) || (g && now.ended_in_.load(relaxed) != g) || t.ops->needs_destroy ||
        t.extra.load(relaxed)) [[unlikely]] {
        return end_slowly(t);
    }
    ++now.counters.finished;
    if (g) {
        t.in_group.store(nullptr, relaxed);
        now.ended_.store(now.ended_.load(relaxed) + 1, relaxed);
    }
    now.running = nullptr;
    now.recycle_plain(t);
    return &now;
}

[[gnu::noinline]] task* worker::take_ahead(work_deque<task>& queue) noexcept {
    std::array<task*, taken_ahead<task>::room + 1> oldest;
    const auto n = queue.take_top_many(oldest.data(), oldest.size());
    if (n > 1) ahead_.fill(oldest.data() + 1, n - 1);
    return n ? oldest[0] : nullptr;
}

// For a row of unstarted ones, or of such as come from the next slot. What find_work() does beyond that is not needed then.
[[gnu::always_inline]] inline task* worker::next_in_line() noexcept {
    const auto tick = tick_ + 1;
    if (tick % poll_interval == 0) return nullptr;
    std::uint64_t row = 0;
    task* t;
    if (next_.peek()) [[unlikely]] {
        if ((row = row_ + 1) > shortest_row || slice_length == 0) return nullptr;
        t = next_.take();
    } else if (alone_) {
        const auto queue = fresh_.now();
        if (std::min(in_line_until_, queue.bottom) <= queue.top) return nullptr;
        t = fresh_.take_alone(queue);
    } else {
        t = take_in_line(fresh_, in_line_until_ - fresh_.top());
    }
    if (!t) return nullptr;
    tick_ = tick;
    row_ = row;
    budget = slice_length;
    return t;
}

void worker::loop(worker* w) noexcept {
    for (;;) {
        task* t = std::exchange(w->handoff_, nullptr);
        if (!t && !(t = w->find_work())) leave_for_good(*w);
        do {
            const bool has_started = t->context.load(relaxed) != nullptr;
            group* const g = w->ended_in_.load(relaxed);
            if (g && (has_started || t->in_group.load(relaxed) != g)) [[unlikely]] w->count_out();
            if (has_started) {
                w = enter_started(*w, *t);
                break;
            }
            if (stack* const wanted = t->on.load(relaxed); wanted && wanted != w->on_) [[unlikely]] {
                w = move_loop(*w, *t);
                break;
            }
            w = run_fresh(*w, *t);
        } while ((t = w->next_in_line()));
    }
}

// From a loop to a suspended tasklet. The loop stays as this worker's spare if it has none.
worker* worker::enter_started(worker& w, task& t) noexcept {
    const bool for_good = w.spare_context_ != nullptr;
    loop_departure d(w, for_good);
    w.on_ = t.on.load(relaxed);
    w.running = &t;
    ++w.counters.resumed;
    ++w.counters.switches;
    return switch_stacks(w.here_, t.context.load(relaxed), *w.on_, d, for_good, &worker::state_of);
}

// A tasklet that wants a larger stack: the loop goes on there, with that tasklet to run first.
worker* worker::move_loop(worker& w, task& t) noexcept {
    const bool for_good = w.spare_context_ != nullptr;
    loop_departure d(w, for_good);
    stack& s = *t.on.load(relaxed);
    w.handoff_ = &t;
    w.on_ = &s;
    ++w.counters.switches;
#ifdef RONDO_ASAN
    __asan_unpoison_memory_region(s.limit, static_cast<std::size_t>(s.base + s.size - s.limit));
#endif
    const auto to = boost::context::detail::make_fcontext(s.top, static_cast<std::size_t>(s.top - s.base),
                                                          &worker::loop_entry);
    return switch_stacks(w.here_, to, s, d, for_good, &worker::state_of);
}

// Its joiner is to get the error, not the stop that the error brings upon the scope, whose owner it may be. Whoever joins
// later sees the phase: join_failing(). Once claimed the joiner stays where it is until it is resumed, its node with it.
lowlevel::waiter* worker::claim_joiner_of_failing(task& t) noexcept {
    std::lock_guard hold(t.guard);
    // release: pairs with the acquire in has_failed(), as does what follows it, the group's stop and interrupt().
    t.state.store(task::phase::failing, release);
    return t.joiner && t.joiner->claim(lowlevel::wake::ready) ? t.joiner->who : nullptr;
}

// Somebody may join it, or has to hear of its error, or it is the first of its group to end here, or it leaves something behind.
[[gnu::noinline]] worker* worker::end_slowly(task& t) noexcept {
    group* const g = t.in_group.load(relaxed);
    lowlevel::waiter* wakee = nullptr;
    if (g && t.error) wakee = claim_joiner_of_failing(t);
    if (g) g->note_end(t);
    worker& w = *current();
    ++w.counters.finished;
    if (g) w.count_in(*g);
    const auto id = t.id.load(relaxed);
    bool held = false;
    if (!t.detached.load(acquire)) {                  // acquire: as above
        t.guard.lock();
        lowlevel::wait_node* joiner = std::exchange(t.joiner, nullptr);
        if (joiner && !wakee && joiner->claim(lowlevel::wake::ready)) wakee = joiner->who;
        held = joiner || (!t.detached.load(relaxed) && (t.ops->keeps || t.error));
        // release: pairs with the acquire in join_task() and task_done().
        if (held) t.state.store(task::phase::finished, release);
        else t.id.store(0, release);
        t.guard.unlock();
    }
    if (!held) {
        if (t.error && !t.flags.was_stopped && !t.flags.joined_error) w.home.report_unhandled(t, id);
        w.running = nullptr;
        if (t.ops->needs_destroy) t.ops->destroy(t);
        w.recycle(t);
    }
    w.running = nullptr;
    if (wakee) lowlevel::resume(*wakee, lowlevel::placement::next);
    return &w;
}

// scope.cpp, I4.
void worker::count_in(group& g) noexcept {
    if (home.simulated) return g.count_out(1);        // whoever that wakes may be the next to run
    if (ended_in_.load(relaxed) != &g) {
        if (ended_in_.load(relaxed)) count_out();
        ended_in_.store(&g, relaxed);
    }
    ended_.store(ended_.load(relaxed) + 1, relaxed);
}
[[gnu::noinline]] void worker::count_out() noexcept {
    group* const g = ended_in_.load(relaxed);
    const auto n = ended_.load(relaxed);
    ended_.store(0, relaxed);
    ended_in_.store(nullptr, relaxed);
    g->count_out(n);
}

bool worker::take_own_from_top(task& t, std::uint64_t id, const void* frame) noexcept {
    return running && t.state.load(relaxed) == task::phase::fresh && may_run_inline(t, id, frame) &&
           (ahead_.peek() == &t ? ahead_.take() != nullptr : fresh_.take_top_if(&t, alone_));
}

// ---------------------------------------------------------------------------------------------- stacks, descriptors

bool worker::fetch_stacks() noexcept {
    cached_ = home.stacks.get_batch(stack_batch);
    if (!goes_deep_ && home.stacks_out() > home.deep_above) {
        goes_deep_ = true;
        in_line_until_ = 0;
        group_ = fresh_.top();
    }
    for (stack* s = cached_; s; s = s->next) ++cached_count_;
    return cached_ != nullptr;
}

void worker::keep_stack(stack& s) noexcept {
    if (s.size != home.stacks.default_bytes() || s.canary) {
        stacks_kept.add(1);
        return home.stacks.put(&s);
    }
    if (cached_count_ >= cached_stacks) {             // give the older half back
        stack* last = cached_;
        for (std::size_t i = 1; i < stack_batch; ++i) last = last->next;
        stack* rest = std::exchange(last->next, nullptr);
        home.stacks.put_batch(cached_, last);
        cached_ = rest;
        cached_count_ -= stack_batch;
    }
    s.next = cached_;
    cached_ = &s;
    ++cached_count_;
    stacks_kept.add(1);
}

bool worker::fetch_tasks() noexcept {
    free_ = home.tasks.take(task_batch);
    for (task* t = free_; t; t = t->next) ++free_count_;
    return free_ != nullptr;
}

void worker::give_tasks_back() noexcept {
    task* last = free_;
    for (std::size_t i = 1; i < task_batch; ++i) last = last->next;
    task* rest = std::exchange(last->next, nullptr);
    home.tasks.give(free_, last);
    free_ = rest;
    free_count_ -= task_batch;
}

void worker::drop_extras(task& t) noexcept {
    t.error = nullptr;
    std::lock_guard hold(t.guard);
    delete t.extra.exchange(nullptr, relaxed);
}

std::uint64_t new_ids(std::uint64_t n) noexcept {
    static std::atomic<std::uint64_t> last{1};
    return last.fetch_add(n, relaxed);
}

void worker::fetch_ids() noexcept { id_base_ = new_ids(id_batch) - counters.spawned.get(); }

// ---------------------------------------------------------------------------------------------- queues

bool worker::put_fresh(task& t) noexcept {
    try {
        fresh_.push(&t);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool worker::put_ready(task& t) noexcept {
    set_order(t);
    try {
        ready_.push(&t);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void worker::push_unstarted(task& t) noexcept {
    if (!put_fresh(t)) inbox.push(&t);                // links need no memory
}

// Many have not started, or the ring is full as far as we know.
[[gnu::noinline]] void worker::push_to_backlog(task& t) noexcept {
    fresh_.look_at_top();
    push_unstarted(t);
    backlog_ = std::min(home.options.spawn_backlog, fresh_.capacity());
    if (!alone_) wake_for_fresh();
    if (fresh_.size() > home.options.spawn_backlog) yield_for_backlog();
}

// No fence keeps the push apart from the first look at who is parked: it would cost a spawn more than all the rest. So we may
// miss somebody who parks just now and who misses our push. He looks a second time a moment later (park()), and if that
// were too early as well, then whoever looks after stalled workers finds it within milliseconds. For that the light fence
// below has its partner in found_while_searching(): if nobody looks, then either we see that or the last looker sees our push.
void worker::wake_for_fresh() noexcept {
    if (!is_looked_after_) [[unlikely]] fence_seq_cst();
    if (!home.idle.would_wake()) [[likely]] return;
    if (fences_lightly_) fence_light();
    else fence_seq_cst();
    if (is_worth_a_wake()) wake_another();
}

void worker::push_job(task& t) noexcept {
    push_unstarted(t);
    if (alone_) return;
    note_spawner();
    wake_for_fresh();
}

void worker::push_ready(task& t) noexcept {
    if (ready_.length_seen() >= ready_.capacity()) [[unlikely]] return push_ready_and_grow(t);
    set_order(t);
    if (alone_) return ready_.push_alone(&t);
    ready_.push_in_room(&t);
    wake_for_ready();
}

// The ring is full, as far as we know.
[[gnu::noinline]] void worker::push_ready_and_grow(task& t) noexcept {
    if (put_ready(t)) wake_for_ready();
    else inbox.push(&t);
}

inline void worker::wake_for_ready() noexcept {
    fence_light();                                    // as in wake_for_fresh()
    if (!alone_ && home.idle.would_wake()) [[unlikely]] wake_if_worth();
}
[[gnu::noinline]] void worker::wake_if_worth() noexcept {
    if (is_worth_a_wake()) wake_another();
}

void worker::push_next(task& t) noexcept {
    // Who has been woken by a slice that is long may as well run elsewhere meanwhile.
    if (!alone_ && (!takes_ahead_ || slice_cost_.load(relaxed) >= soon_stamps))
        return t.context.load(relaxed) ? push_ready(t) : push_job(t);
    if (task* const before = next_.take()) push_ready(*before);
    next_.put(t);
    wake_for_ready();                                 // if nobody looks after us
}

// If nobody is ready the slot is the same as the tail, but costs no locked operation.
void worker::push_near(task& t) noexcept {
    const bool is_next = !alone_ && ready_.bottom() <= ready_.top() && ahead_.empty();
    if (!next_.empty() || !(is_next || is_far())) return push_ready(t);
    if (!is_next) fetch_stack(t, 8);                  // while its waker goes on
    push_next(t);
}

void worker::push_warm(task& t) noexcept {
    const auto left = t.order.load(relaxed);          // see publish() in wait.cpp
    if (alone_ && switches() - left < warm_for && is_far() && next_.empty()) push_next(t);
    else push_ready(t);
}

// A wake-up costs some 25 us: worth it only if what a thief would take (steal_from()) keeps us busy for longer than that.
// We may be wrong, the average says nothing about the next slice: so somebody must be there who looks after us in some
// milliseconds.
bool worker::is_worth_a_wake() const noexcept {
    if (!home.somebody_looks.load(relaxed)) return true;
    const auto slice = slice_cost_.load(relaxed);
    if (ready_.size() * slice >= std::max(wake_cost_stamps, home.worth_a_theft.load(relaxed))) return true;
    if (streak_.load(relaxed) < long_list) return !fresh_.empty();
    return slice >= tiny_stamps && fresh_.size() * slice >= wake_cost_stamps;
}

void worker::wake_another() noexcept {
    const auto before = stamp();
    home.wake_for_work();
    slice_stamp_ += stamp() - before;                 // the system call is no part of anybody's slice
}

bool worker::others_are_ready() noexcept {
    if (++yields_ % 16 == 0) [[unlikely]] look_round();      // else a loop of yields would starve sleepers, and others
    return next_.peek() || !ahead_.empty() || !ready_.empty() || !fresh_.empty() || !inbox.empty() || wheel.next_hint() <= now_ns_;
}
[[gnu::noinline]] void worker::look_at_clock() noexcept { now_ns_ = home.now_ns(); }
[[gnu::noinline]] void worker::look_round() noexcept {
    if (wheel.size()) look_at_clock();
    if (!alone_ && yields_ % 1024 == 0) look_after_stuck();
}

// What waits behind a tasklet that holds its worker is taken by whoever is out of work. If nobody ever is, since all that is
// left are tasklets that yield, then by one of those workers, now and then.
[[gnu::noinline]] void worker::look_after_stuck() noexcept {
    const auto now = stamp();
    if (now - looked_stamp_ < look_stamps) return;
    looked_stamp_ = now;
    for (std::size_t i = 0; i < home.workers.size(); ++i) {
        worker& other = *home.workers[i];
        const auto before = std::exchange(stuck_moves_[i], other.counters.moves());
        if (&other == this || before != stuck_moves_[i] || !other.maybe_has_work()) continue;
        task* const t = steal_from(other, true);
        if (t && !(t->context.load(relaxed) ? put_ready(*t) : put_fresh(*t))) inbox.push(t);
    }
}

task* worker::take_started() noexcept {
    if (!inbox.empty()) accept_inbox(*this);
    if (wheel.size()) poll_timers();
    // Actors' jobs, which have not started, may lie in all three.
    const auto has_started = [](const task* t) { return t && t->context.load(relaxed); };
    if (has_started(next_.peek()))
        if (task* const t = next_.take()) return t;
    if (has_started(ahead_.peek()))
        if (task* const t = ahead_.take()) return t;
    for (auto n = ready_.size(); n > 0; --n) {
        task* const t = ready_.take_top(alone_);
        if (!t || has_started(t)) return t;
        push_unstarted(*t);
    }
    return nullptr;
}

// The average of the last n slices.
void worker::measure_slices(std::uint64_t n) noexcept {
    const auto now = stamp();
    slice_cost_.store((now - slice_stamp_) / n + 1, relaxed);
    slice_stamp_ = now;
    tick_ = 0;
}

[[gnu::noinline]] void worker::poll() noexcept {
    measure_slices(poll_interval);
    if (!alone_ && slice_stamp_ - looked_stamp_ >= look_stamps) [[unlikely]] look_after_stuck();
    if (goes_deep_ && home.stacks_out() < home.deep_above / 2) goes_deep_ = false;
    // Who comes by a timer or from outside stands behind all that are ready. If each of those began a long row it would take
    // a multiple of the time that a row may: so until its turn has come they are short.
    const auto before = ready_.bottom() + fresh_.bottom();
    if (!inbox.empty()) accept_inbox(*this);
    if (wheel.size()) poll_timers();
    if (ready_.bottom() + fresh_.bottom() != before) hurried_until_ = ready_.bottom();
}

// If its turn at the tail is far, then what it works on is in the caches now. But some that wake each other all the time, for
// nothing perhaps but to ask again, let others come between.
[[gnu::always_inline]] inline bool worker::row_may_go_on() const noexcept {
    if (row_ <= shortest_row) return true;
    const bool is_short = row_ * slice_cost_.load(relaxed) <= row_stamps && is_looked_after_;
    return is_short && is_far() && ready_.top() >= hurried_until_;
}

// Its frame is empty, and the simplest case on a runtime's only worker inline: the oldest ready one is next.
task* worker::pick() noexcept {
    const auto tick = tick_ + 1;
    const auto queue = ready_.now();
    if (!alone_ || next_.peek() || fresh_.top() != fresh_.bottom() || queue.top >= queue.bottom || tick % poll_interval == 0 ||
        slice_length == 0)
        return pick_slowly();
    fetch_ahead_alone(queue, 8);
    tick_ = tick;
    row_ = 0;
    budget = slice_length;
    return ready_.take_alone(queue);
}

[[gnu::noinline]] task* worker::pick_slowly() noexcept {
    if (++tick_ % poll_interval == 0) [[unlikely]] poll();
    if (home.simulated) [[unlikely]] return home.simulated->pick(*this);
    budget = slice_length;
    if (task* const t = next_.take()) {
        ++row_;
        if (row_may_go_on()) return t;
        push_ready(*t);
    }
    row_ = 0;
    return pick_local();
}

// While very many tasklets are suspended (runtime_options::breadth_limit): depth first, so that a tree of tasklets needs
// stacks for its depth and not for its breadth. Ready ones first, since they need no stack and may end; then the newest group of unstarted
// siblings, in order. A tasklet that yields lets as many others start first as were waiting to when its turn had come; and while
// ready ones keep each other going for ever, now and then the oldest unstarted one has its turn.
task* worker::pick_deep() noexcept {
    if (!ready_.empty()) {
        const task* const ready = ready_.peek_top();
        const bool yields = ready && ready->kind.load(relaxed) == lowlevel::wait_kind::yield;
        if (yields && ready != yielder_) {
            yielder_ = ready;
            go_first_ = fresh_.size();
        }
        if (++ready_in_row_ > most_ready_in_row) {
            ready_in_row_ = 0;
            if (task* t = fresh_.take_top(alone_)) return t;
        }
        if (!yields || go_first_ == 0) {
            yielder_ = nullptr;
            if (task* t = ready_.take_top(alone_)) return t;
        } else {
            --go_first_;
        }
    }
    // What has been pushed since the last time is one group, the newest at the bottom; turn it round.
    const auto end = fresh_.bottom();
    if (end - std::max(group_, fresh_.top()) > 1) {
        std::size_t n = 0;
        while (n < newest_first_.size() && fresh_.bottom() > group_) {
            task* const t = fresh_.take_bottom(alone_);
            if (!t) break;
            newest_first_[n++] = t;
        }
        for (std::size_t i = 0; i < n; ++i) fresh_.push(newest_first_[i]);      // there is room
    }
    group_ = fresh_.bottom();
    ready_in_row_ = 0;
    task* const t = fresh_.take_bottom(alone_);
    group_ = std::min(group_, fresh_.bottom());
    return t ? t : ready_.take_top(alone_);
}

// First in, first out over both queues: a ready tasklet remembers how many fresh ones were before it.
task* worker::pick_local() noexcept {
    if (!alone_)
        if (task* const t = ahead_.take()) return t;
    if (fresh_.empty()) {
        if (!alone_) fetch_ahead(ready_.now(), 8);
        return ready_.take_top(alone_);
    }
    if (goes_deep_) [[unlikely]] return pick_deep();
    const task* const ready = ready_.empty() ? nullptr : ready_.peek_top();      // nullptr too if a thief was faster
    const auto until = ready ? ready->order.load(relaxed) : fresh_.pushed();
    if (const auto n = static_cast<std::int32_t>(until - fresh_.taken()); n > 0) {
        in_line_until_ = fresh_.top() + n;
        if (task* t = fresh_.take_top(alone_)) return t;
    }
    if (task* t = ready_.take_top(alone_)) return t;
    return fresh_.take_top(alone_);
}

void worker::accept_inbox(worker& from) noexcept {
    std::size_t n = 0;
    bool any_started = false;
    for (task* t = from.inbox.take_all(); t;) {
        task* after = t->next;
        const bool has_started = t->context.load(relaxed) != nullptr;
        if (!(has_started ? put_ready(*t) : put_fresh(*t))) {        // the rest waits until there is room
            for (; t; t = after) {
                after = t->next;
                inbox.push(t);
            }
            break;
        }
        any_started |= has_started;
        t = after;
        ++n;
    }
    if (&from != this) counters.steals.add(n);
    if (n > 1 && !alone_) home.wake_for_work();
    else if (any_started) wake_for_ready();
}

bool worker::maybe_has_work() const noexcept {
    return !next_.empty() || !ahead_.empty() || !fresh_.empty() || !ready_.empty() || !inbox.empty();
}

// Tiny ones in a long list are not worth their cache lines, however long the list.
bool worker::offers_fresh(const worker& thief) const noexcept {
    if (fresh_.empty()) return false;
    if (streak_.load(relaxed) < long_list) return true;
    return std::min(slice_cost_.load(relaxed), thief.slice_cost_.load(relaxed)) >= tiny_stamps;
}
// What its worker will reach before a thief could have made a start is left to it.
bool worker::offers_ready() const noexcept {
    return ready_.size() * slice_cost_.load(relaxed) >= home.worth_a_theft.load(relaxed);
}

// A ready tasklet leaves its stack behind in the caches of its worker. If those we took have kept us busy for less than it
// takes to move them, then it was not worth it: a ball that goes round leaves many ready ones behind it, but what each has to
// do is to wait again. Out of work again, we know. Unless their worker is still busy with what it was busy with then, after a
// search that found nothing: they would be waiting for it yet.
void worker::judge_thefts(bool after_search) noexcept {
    if (ready_stolen_ == 0) return;
    const auto paid = stamp() - theft_stamp_ >= ready_stolen_ * move_stamps;
    const auto waits_yet = robbed_->moves_and_parks() == robbed_moves_;
    if (!paid && waits_yet && !after_search) return;      // that can only be said later
    ready_stolen_ = 0;
    const auto bar = home.worth_a_theft.load(relaxed);
    expect_of_a_theft(paid || waits_yet ? bar / 2 : bar * 2);
}

void worker::expect_of_a_theft(std::uint64_t stamps) noexcept {
    home.worth_a_theft.store(std::clamp(stamps, soon_stamps, most_soon_stamps), relaxed);
}

// We may be wrong about what runs there now, so from one who does not move for a while a thief takes `whatever` there is.
task* worker::steal_from(worker& victim, bool whatever) noexcept {
    if (whatever) {
        task* t = victim.next_.raid();
        if (!t) t = victim.ahead_.raid();
        if (t) {
            ++counters.steals;
            return t;
        }
    }
    // Fresh ones first: nothing of them is in a cache, and no stack moves. The oldest is the largest part of a
    // divide-and-conquer; of a long flat list take more at once.
    if (whatever ? !victim.fresh_.empty() : victim.offers_fresh(*this)) {
        const auto n = victim.fresh_.offered();
        task* first = n ? victim.fresh_.steal() : nullptr;
        if (!first && whatever) first = victim.fresh_.steal_private();
        if (first) {
            ++counters.steals;
            for (auto more = std::min<std::size_t>(n / 8, 31); more > 0; --more) {
                task* t = victim.fresh_.steal();
                if (!t) break;
                ++counters.steals;
                if (!put_fresh(*t)) {
                    inbox.push(t);
                    break;
                }
            }
            return first;
        }
    }
    if (home.options.force_migration) return nullptr;     // what has been sent elsewhere stays there
    if (const auto n = whatever || victim.offers_ready() ? victim.ready_.size() : 0) {
        if (task* first = victim.ready_.steal()) {
            ++counters.steals;
            if (ready_stolen_++ == 0) {
                theft_stamp_ = stamp();
                robbed_ = &victim;
                robbed_moves_ = victim.moves_and_parks();
            }
            for (auto more = std::min<std::size_t>(n / 2, 16); more > 1; --more) {
                task* t = victim.ready_.steal();
                if (!t) break;
                ++counters.steals;
                ++ready_stolen_;
                if (!put_ready(*t)) {
                    inbox.push(t);
                    break;
                }
            }
            return first;
        }
    }
    if (!victim.inbox.empty()) {
        accept_inbox(victim);
        return pick_local();
    }
    return nullptr;
}

// ---------------------------------------------------------------------------------------------- search and park

std::uint32_t worker::random() noexcept {
    if (home.options.world) return static_cast<std::uint32_t>(home.options.world->random());
    random_state_ ^= random_state_ << 13;
    random_state_ ^= random_state_ >> 7;
    random_state_ ^= random_state_ << 17;
    return static_cast<std::uint32_t>(random_state_ >> 16);
}

task* worker::find_work() noexcept {
    bool searching = false;
    for (;;) {
        task* t = pick();
        if (!t) {
            if (ended_in_.load(relaxed)) count_out();
            if (!inbox.empty()) accept_inbox(*this);
            if (wheel.size()) poll_timers();
            t = pick();
        }
        if (!t) {
            if (const auto n = tick_ % poll_interval; n >= 8) measure_slices(n);
            judge_thefts(false);
            if (!searching) searching = home.idle.begin_search();
            if (searching) t = search();
            if (!t) judge_thefts(true);
        }
        if (t) {
            if (searching) found_while_searching();
            look_pause_ns_ = first_look_ns;
            budget = slice_length;
            return t;
        }
        if (home.terminating.load(acquire)) {
            if (searching) home.idle.end_search();
            return nullptr;
        }
        searching = park(searching);
        now_ns_ = home.now_ns();
        slice_stamp_ = stamp();
        tick_ = 0;
    }
}

task* worker::search() noexcept {
    const auto n = static_cast<std::uint32_t>(home.workers.size());
    for (unsigned round = 0; round < search_rounds; ++round) {
        for (std::uint32_t i = 0, at = random() % n; i < n; ++i, at = at + 1 == n ? 0 : at + 1) {
            worker& victim = *home.workers[at];
            if (&victim == this) continue;
            const auto moves = victim.counters.moves();
            const bool is_stuck = round >= stuck_rounds && moves == seen_moves_[at];
            if (round == 0) seen_moves_[at] = moves;
            if (task* t = steal_from(victim, is_stuck)) return t;
            if (victim.wheel.next_hint() <= now_ns_ && victim.wheel.size()) {
                resume_expired(victim.wheel.expire(home.now_ns()));       // it is busy: its timers are ours
                if (task* t = pick()) return t;
            }
        }
        if (!inbox.empty()) {
            accept_inbox(*this);
            if (task* t = pick()) return t;
        }
        if (home.terminating.load(relaxed)) return nullptr;
        for (unsigned i = 0; i < 1 + std::min(round, 6u); ++i) cpu_relax();
        if (round % 16 == 15) now_ns_ = home.now_ns();
    }
    return nullptr;
}

void worker::found_while_searching() noexcept {
    if (!home.idle.end_search() || alone_ || !home.idle.somebody_parked()) return;
    // The last searcher wakes the next one, if there is more; also for little, if nobody looks after us any more (park()).
    const bool anything = !home.somebody_looks.load(relaxed);
    if (anything && fences_lightly_ && home.idle.others_run()) fence_heavy();     // pairs with the light one in wake_for_fresh()
    for (auto& w : home.workers)
        if (w->offers_fresh(*this) || w->offers_ready() || !w->inbox.empty() || (anything && w->maybe_has_work()))
            return home.wake_for_work();
}

// Called after home.idle.park(). Under forced migration nobody takes from another's inbox.
bool worker::sees_work() noexcept {
    if (home.terminating.load(relaxed) || wheel.next_hint() <= home.now_ns()) return true;
    for (auto& w : home.workers) {
        if (w.get() == this ? w->maybe_has_work()
            : home.options.force_migration ? !w->fresh_.empty() || !w->ready_.empty()
                                           : w->offers_fresh(*this) || w->offers_ready() || !w->inbox.empty())
            return true;
    }
    return false;
}

bool worker::park(bool searching) noexcept {
    ++counters.parks;
    // While others run, one of the parked looks now and then whether somebody keeps its worker busy for so long that what
    // waits behind it, or its timers, had better move. Known before we count as parked, so that nobody wakes us for want of
    // it. Once all are parked nobody looks: an idle runtime is idle.
    bool looks = is_looked_after_ && !home.somebody_looks.exchange(true, acq_rel);
    home.idle.park(index, searching);
    bool work = sees_work();
    if (!work && is_looked_after_ && !idle_workers::all_parked(home.idle.snapshot())) {
        for (int i = 0; i < 30; ++i) cpu_relax();     // about a microsecond: what was pushed before is visible then
        work = sees_work();
    }
    if (work) {
        if (looks) home.somebody_looks.store(false, release);
        if (!home.idle.take_back(index)) wait_for_token(timer_wheel::never);
        return true;
    }
    if (idle_workers::all_parked(home.idle.snapshot())) home.all_parked();
    // Nothing to do: give back the depth of idle stacks, a few at a time.
    while (token_.load(relaxed) == static_cast<std::uint32_t>(token::empty) && home.stacks.trim(4)) {}
    auto until = home.options.world ? timer_wheel::never : wheel.next_deadline();
    if (looks && idle_workers::all_parked(home.idle.snapshot())) {
        home.somebody_looks.store(false, seq_cst);
        fence_seq_cst();                              // keeps that apart from the second look: somebody may have been woken since
        looks = !idle_workers::all_parked(home.idle.snapshot()) && !home.somebody_looks.exchange(true, acq_rel);
    }
    if (looks) {
        until = std::min(until, home.now_ns() + look_pause_ns_);
        look_pause_ns_ = std::min(look_pause_ns_ * 2, longest_look_ns);
    }
    wait_for_token(until);
    if (looks) {
        home.somebody_looks.store(false, release);
        const auto bar = home.worth_a_theft.load(relaxed);
        expect_of_a_theft(bar - bar / 8);             // things may have changed: try again in some looks
    }
    return true;
}

// Returns when the token has come, or when `until` has and nobody else had begun to wake us.
void worker::wait_for_token(std::int64_t until_ns) noexcept {
    constexpr auto empty = static_cast<std::uint32_t>(token::empty), parked = static_cast<std::uint32_t>(token::parked);
    auto expected = empty;
    // acquire: pairs with the release in unpark().
    if (token_.compare_exchange_strong(expected, parked, acq_rel, acquire)) {
        while (token_.load(acquire) == parked) {
            futex_wait_until(token_, parked, until_ns);
            if (until_ns != timer_wheel::never && token_.load(acquire) == parked && home.now_ns() >= until_ns) {
                if (home.idle.take_back(index)) break;
                until_ns = timer_wheel::never;        // somebody is waking us
            }
        }
    }
    token_.store(empty, relaxed);
}

void worker::unpark() noexcept {
    // release: what the waker published before is seen by the one woken.
    if (token_.exchange(static_cast<std::uint32_t>(token::notified), acq_rel) ==
        static_cast<std::uint32_t>(token::parked))
        futex_wake(token_);
}

// ---------------------------------------------------------------------------------------------- timers

void worker::poll_timers() noexcept {
    now_ns_ = home.now_ns();
    if (wheel.next_hint() <= now_ns_) resume_expired(wheel.expire(now_ns_));
}

void worker::resume_expired(timer_entry* due) noexcept {
    while (due) {
        timer_entry* after = due->next;               // once resumed, its frame may be gone
        lowlevel::resume(*due->who, lowlevel::placement::tail);
        due = after;
    }
}

}  // namespace rondo::detail
