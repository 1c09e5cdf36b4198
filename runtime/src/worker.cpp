#include "worker.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cxxabi.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include <rondo/scope.hpp>

#include "leave.hpp"
#include "run_body.hpp"
#include "scheduler.hpp"

namespace rondo::detail {
thread_local constinit worker* this_worker = nullptr;

namespace {

constexpr std::int64_t most_private = 32;            // of the newest unstarted ones; about the depth of a recursion

[[gnu::noinline]] thread_state state_of_this_thread() noexcept {
    return {reinterpret_cast<exception_globals*>(abi::__cxa_get_globals()), &errno};
}

}  // namespace

worker* worker::current() noexcept {
    worker* w = this_worker;
    asm volatile("" : "+r"(w));        // so that it is neither inlined as a constant nor deduced to be pure
    return w;
}

worker::worker(scheduler& s, unsigned i)
    : slice_length(s.simulated ? 0 : s.options.world ? slice_operations : first_operations), solo(s.soloist.get()), home(s),
      index(i), wheel(s.now_ns()), alone_(s.alone), migrates_(s.options.force_migration && !s.alone),
      is_spare_(i >= s.options.workers), is_looked_after_(!s.options.world),
      wakes_lightly_(is_looked_after_ && has_asymmetric_fences()), stacks_(s.stacks), tasks_(s.tasks),
      polls_(poll_interval, is_looked_after_), yield_looks_(64, is_looked_after_), join_looks_(slice_operations, is_looked_after_),
      random_state_(0x9e3779b97f4a7c15ull * (i + 1)), now_ns_(s.now_ns()),
      thefts_(s.worth_a_theft), fences_lightly_(has_asymmetric_fences()),
      takes_ahead_(fences_lightly_ && is_looked_after_ && !s.alone && !s.simulated && !migrates_),
      fresh_(fences_lightly_ ? most_private : 0) {
    backlog_ = std::min(home.options.spawn_backlog, fresh_.capacity());
    seen_moves_.resize(s.workers_and_spares());
    stuck_moves_.resize(s.workers_and_spares());
    if (!stacks_.fetch(2))
        throw out_of_memory("no memory for a worker's first stack; a larger runtime_options::stack_memory_bytes or a larger "
                            "limit (ulimit -v) would help");
}

worker::~worker() = default;           // its stacks and descriptors belong to the arena and the pool

// ---------------------------------------------------------------------------------------------- the OS thread

void worker::thread_main() {
    this_worker = this;
    here_ = state_of_this_thread();
    tid_.store(::gettid(), relaxed);
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
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
    native_.tsan_fiber = __tsan_get_current_fiber();
#endif
    void* signal_stack = alternate_signal_stack_begin();
    if (is_spare_) token_.wait();                     // on its bench
    precise::begin_loop(*this);

    on_ = &stacks_.take();
    departure d{[](departure& self, void* left) noexcept { self.by->native_context_ = left; }, this};
    switch_stacks(here_, begin_loop_on(*on_), *on_, d, false, &worker::state_of);

    precise::end_loop();
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

// The caller of a loop's first frame, for whoever goes up by frame pointers (perf, gdb, dumps): nobody. Boost.Context leaves
// the address of some code there, which would be taken for one more frame.
[[gnu::always_inline]] inline void end_row_of_frames(void* frame) noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
    *static_cast<void* volatile*>(frame) = nullptr;
#else
    (void)frame;
#endif
}

template <bool has_canary>
void worker::loop_entry(transfer_t from) noexcept {
#ifdef RONDO_ASAN
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    end_row_of_frames(__builtin_frame_address(0));
    worker* w = static_cast<departure*>(from.data)->by;
    arrive(from);
    *w->here_.exceptions = {nullptr, 0};
    loop<has_canary>(w);
}
template void worker::loop_entry<false>(transfer_t) noexcept;
template void worker::loop_entry<true>(transfer_t) noexcept;

template <bool has_canary>
[[gnu::always_inline]] inline worker* worker::run_fresh(worker& w, task& t) noexcept {
    t.state.store(task::phase::started, relaxed);
    w.running = &t;
    const precise::as_tasklet until_the_end(t, *w.on_, precise::on_top_of::loop);
    const bool ended_well = run_body(t, [&] { t.ops->run(t); });

    worker& now = *current();                         // may be another one
    // At the end of each tasklet, so that we can say whose fault it is (a child that join has run counts as its joiner).
    // Each suspension would be earlier, but costs those too who have a true guard: the record of their stack is cold.
    if constexpr (has_canary)
        if (stack_arena::is_overrun(*now.on_)) end_for_overflow(now, t);
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
    if (polls_.is_due(tick)) return nullptr;
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

template <bool has_canary>
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
            w = run_fresh<has_canary>(*w, *t);
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
    return switch_stacks(w.here_, begin_loop_on(s), s, d, for_good, &worker::state_of);
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
// What it leaves to nobody is ours: a handler for its error and its result's destructor are the user's code, and may do what a tasklet
// may, so it is still one meanwhile, counted and in its group, and afterwards the worker may be another one.
[[gnu::noinline]] worker* worker::end_slowly(task& t) noexcept {
    group* const g = t.in_group.load(relaxed);
    lowlevel::waiter* wakee = nullptr;
    if (g && t.error) wakee = claim_joiner_of_failing(t);
    if (g) g->note_end(t);
    const auto id = t.id.load(relaxed);
    bool held = false, has_ended = false;
    if (!t.detached.load(acquire)) {                  // acquire: as above
        std::lock_guard hold(t.guard);
        if (!t.detached.load(relaxed)) {
            lowlevel::wait_node* joiner = std::exchange(t.joiner, nullptr);
            if (joiner && !wakee && joiner->claim(lowlevel::wake::ready)) wakee = joiner->who;
            held = joiner || t.ops->keeps || t.error;
            has_ended = true;
            t.in_group.store(nullptr, relaxed);
            ++current()->counters.finished;
            // release: pairs with the acquire in join_task() and task_done().
            if (held) t.state.store(task::phase::finished, release);
            else t.id.store(0, release);
        }
    }
    if (!has_ended) {
        const lowlevel::shield from_stop;             // which came for the function, and has ended it
        if (t.error && !t.flags.was_stopped && !t.flags.joined_error) current()->home.report_unhandled(t, id);
        t.error = nullptr;
        if (t.ops->needs_destroy) t.ops->destroy(t);
        t.in_group.store(nullptr, relaxed);
        ++current()->counters.finished;
    }
    worker& w = *current();
    w.running = nullptr;
    if (!held) {
        if (has_ended && t.ops->needs_destroy) t.ops->destroy(t);      // its memory: there is no result
        w.recycle(t);
    }
    if (g) w.count_in(*g);
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

// ---------------------------------------------------------------------------------------------- what it has at hand

bool worker::fetch_stacks() noexcept {
    const precise::on_loop not_its_own_doing;
    const bool any = stacks_.fetch();
    if (!deep_.is_on() && home.stacks_out() > home.deep_above) {
        deep_.begin(fresh_);
        in_line_until_ = 0;
    }
    return any;
}

void worker::keep_stack(stack& s) noexcept {
    stacks_kept.add(1);
    if (s.size != home.stacks.default_bytes()) home.stacks.put(&s);
    else stacks_.put(s);
}

void worker::drop_extras(task& t) noexcept {
    t.error = nullptr;
    std::lock_guard hold(t.guard);
    precise::delete_extra(t.extra.exchange(nullptr, relaxed));
}

std::uint64_t new_ids(std::uint64_t n) noexcept {
    static std::atomic<std::uint64_t> last{1};
    return last.fetch_add(n, relaxed);
}

void worker::fetch_ids() noexcept { id_base_ = new_ids(id_batch) - counters.spawned.get(); }

std::uint32_t worker::random() noexcept {
    if (home.options.world) return static_cast<std::uint32_t>(home.options.world->random());
    random_state_ ^= random_state_ << 13;
    random_state_ ^= random_state_ >> 7;
    random_state_ ^= random_state_ << 17;
    return static_cast<std::uint32_t>(random_state_ >> 16);
}

// ---------------------------------------------------------------------------------------------- timers

void worker::poll_timers() noexcept {
    now_ns_ = home.now_ns();
    if (wheel.next_hint() <= now_ns_) resume_expired(wheel.expire(now_ns_));
}

void worker::resume_expired(timer_entry* due) noexcept {
    const precise::on_loop nobody_does_it;
    while (due) {
        timer_entry* after = due->next;               // once resumed, its frame may be gone
        lowlevel::resume(*due->who, lowlevel::placement::tail);
        due = after;
    }
}

}  // namespace rondo::detail
