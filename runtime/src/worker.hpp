// One worker: an OS thread that runs tasklets, with its queues, its caches and its timers.
//
// Stacks on demand. The loop below keeps nothing in its frame that outlives a call, so any stack can host it. A fresh
// tasklet is a plain call from the loop. If it suspends, the stack that it stands on goes with it, loop frame and all,
// and the worker goes on with a started tasklet, or with a loop on another stack from its cache. When that tasklet is
// resumed, on whichever worker, and ends, it returns into the old loop frame, which then is the loop of the worker that
// it is on. So nothing in the loop may be kept over a call: not the worker, not a counter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rondo/run.hpp>

#include "context.hpp"
#include "depth_first.hpp"
#include "injection_queue.hpp"
#include "local_cache.hpp"
#include "next_slot.hpp"
#include "pacer.hpp"
#include "spare_duty.hpp"
#include "stack_arena.hpp"
#include "taken_ahead.hpp"
#include "task_pool.hpp"
#include "theft_ledger.hpp"
#include "timer_wheel.hpp"
#include "wake_token.hpp"
#include "work_deque.hpp"

namespace rondo::detail {

class scheduler;
class worker;

/// The worker of this OS thread. Read it through worker::current(), or worker::here() (see there).
extern thread_local constinit worker* this_worker;

/// A counter that one thread writes and others read.
class owned_counter {
public:
    void operator++() noexcept { n_.store(n_.load(relaxed) + 1, relaxed); }
    std::uint64_t operator++(int) noexcept {
        const auto n = n_.load(relaxed);
        n_.store(n + 1, relaxed);
        return n;
    }
    void add(std::uint64_t n) noexcept { n_.store(n_.load(relaxed) + n, relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return n_.load(relaxed); }

private:
    atomic<std::uint64_t> n_{0};
};

class alignas(64) worker {
public:
    static constexpr int slice_operations = 128;          // fairness: runtime operations before a tasklet must yield
    static constexpr int first_operations = 16;           // of a slice, before the first look at how long it has been going on
    static constexpr std::uint64_t slice_stamps = 2'600'000;       // a millisecond: nor must it go on for longer than that
    static constexpr std::uint64_t poll_interval = 64;    // dispatches between looks at timers and the inbox, if slices are short
    static constexpr std::uint64_t soon_stamps = 10'000;  // what its worker will reach within that stays with it
    static constexpr std::uint64_t tiny_stamps = 1'500;   // less than that: taking it over costs more than running it
    static constexpr std::size_t inline_stack_bytes = 24 * 1024;   // left for a child that join runs as a plain call

    worker(scheduler& home, unsigned index);
    ~worker();

    /// The worker of this thread; nullptr on a plain thread. Out of line, with a barrier, so that no compiler keeps the
    /// address of the thread-local over a switch.
    [[gnu::noinline]] static worker* current() noexcept;
    /// The same, inline: only for functions that are called out of line and use the result before anything can switch.
    static worker* here() noexcept {
        worker* w = this_worker;
        asm volatile("" : "+r"(w));
        return w;
    }
    static thread_state state_of(worker* w) noexcept { return w->here_; }

    void thread_main();                                   // the body of the OS thread

    // ---- for the tasklet that runs on this worker
    task* running = nullptr;
    int budget = slice_operations;
    int slice_length;                                     // what a budget begins with; 0: the simulation decides
    lowlevel::soloist* const solo;                        // nullptr: there are others

    /// An unstarted child of the running tasklet. Yields when very many have not started.
    void push_fresh(task& t) noexcept {
        if (fresh_.length_seen() >= backlog_) [[unlikely]] return push_to_backlog(t);
        if (alone_) return fresh_.push_alone(&t);
        fresh_.push_in_room(&t);
        note_spawner();
        wake_for_fresh();
    }
    /// Children of g that have ended here and are not counted out yet. For others: a snapshot.
    [[nodiscard]] std::uint64_t ended_of(const group& g) const noexcept {
        return ended_in_.load(relaxed) == &g ? ended_.load(relaxed) : 0;
    }
    void push_job(task& t) noexcept;                      // as push_fresh, but never yields
    void push_ready(task& t) noexcept;                    // to the tail
    void push_next(task& t) noexcept;                     // to the next slot; while slices are long into a queue
    void push_near(task& t) noexcept;                     // to either: placement::near
    void push_warm(task& t) noexcept;                     // the same: placement::warm
    /// Counts up; so the difference to an earlier one tells how long ago that was.
    [[nodiscard]] std::uint32_t switches() const noexcept { return static_cast<std::uint32_t>(counters.switches.get()); }
    /// Leaves the running tasklet's stack; d.after publishes it. Goes on with `into`, or with whoever is next.
    /// Returns when it is resumed.
    static void leave(worker& w, departure& d, task* into = nullptr) noexcept;     // leave.hpp
    [[nodiscard]] bool has_stack_at_hand() const noexcept { return spare_context_ || !stacks_.empty(); }
    [[nodiscard]] bool has_spare_stack() noexcept {       // false: no memory for one
        return has_stack_at_hand() || fetch_stacks();
    }
    static void leave_to(worker& w, departure& d, task& next) noexcept;            // the same file
    [[nodiscard]] bool others_are_ready() noexcept;
    /// The budget is used up: was that but a first part of it, and is the slice still short? Then there is a new one.
    [[nodiscard]] bool slice_goes_on() noexcept;
    /// Of a job that does many things in a run, a few of them before it asks: how many more, `most` at most, may it do before it
    /// asks again? 0: its time is over.
    [[nodiscard]] unsigned operations_in_time(unsigned most) noexcept;
    void begin_slice() noexcept { slice_ = 0; }           // whoever has yielded for want of anybody else
    /// Of one who joins again and again, each child a plain call: is it time for somebody else? nullptr: no.
    [[nodiscard]] bool joins_are_due() const noexcept { return join_looks_.is_due(counters.inline_joins.get()); }
    [[nodiscard]] task* turn_after_joins() noexcept;
    /// As push_ready(), but none of the unstarted ones comes first.
    void push_ready_before_fresh(task& t) noexcept;
    /// For a tasklet that yields on a runtime's only worker, in the simplest case: puts it at the tail, since nobody can take it
    /// before it has left, and says who runs instead. nullptr: pick() has to look, and nothing has changed.
    [[nodiscard, gnu::always_inline]] task* pass_turn(task& me) noexcept {
        const auto tick = tick_ + 1;
        if (!alone_ || next_.peek() || fresh_.top() != fresh_.bottom() || polls_.is_due(tick) || ended_in_.load(relaxed))
            return nullptr;
        const auto queue = ready_.now();
        if (queue.top == queue.bottom) return nullptr;
        task* const t = ready_.at(queue.top);
        if (!t->context.load(relaxed)) return nullptr;
        fetch_ahead_alone(queue, 4);
        set_order(me);
        ready_.exchange_alone(queue, &me);
        tick_ = tick;
        row_ = 0;
        return t;
    }
    /// For a tasklet that yields beside other workers, in the simplest case: the oldest ready one. nullptr: pick() has to look.
    [[nodiscard, gnu::always_inline]] task* next_ready_in_line() noexcept {
        const auto tick = tick_ + 1;
        if (alone_ || migrates_ || next_.peek() || fresh_.top() < fresh_.bottom() || polls_.is_due(tick)) return nullptr;
        const auto queue = ready_.now();
        fetch_ahead(queue, 4);
        task* const t = take_in_line(ready_, queue.bottom - queue.top);
        if (!t) return nullptr;
        tick_ = tick;
        row_ = 0;
        return t;
    }
    task* take_started() noexcept;                        // of our own; nullptr: none is ready
    [[nodiscard]] std::size_t stack_left(const void* frame) const noexcept {
        return static_cast<std::size_t>(static_cast<const char*>(frame) - on_->limit);
    }
    [[nodiscard]] stack& standing_on() noexcept { return *on_; }
    /// From the loop: runs a fresh tasklet as a plain call. Afterwards the caller may be on another worker: the one returned.
    template <bool has_canary>                            // the stack that the loop stands on
    static worker* run_fresh(worker& w, task& t) noexcept;
    /// From join(): is `t` the newest unstarted child, may it run as a plain call on top of the running tasklet, and is there
    /// room for that above `frame`? Then it is taken.
    [[nodiscard]] bool take_own(const task& t, std::uint64_t id, const void* frame) noexcept {
        return running && fresh_.is_at_bottom(&t) && may_run_inline(t, id, frame) && fresh_.drop_bottom(alone_);
    }
    /// The same for the oldest.
    [[nodiscard]] bool take_own_from_top(task& t, std::uint64_t id, const void* frame) noexcept;
    /// A tasklet whose handle has gone. False: somebody else may have it by now, or it has ended.
    [[nodiscard]] bool detach_own(task& t) noexcept {
        if (alone_ && is_home_of(t)) {                    // it runs on this thread, if at all
            if (t.state.load(relaxed) == task::phase::finished) return false;
            t.detached.store(true, relaxed);
            return true;
        }
        return fresh_.with_private_bottom(&t, [&] { t.detached.store(true, relaxed); });
    }
    /// Has it a descriptor and an id for a tasklet? If not, prepare_spawn() fetches them; false: no memory.
    [[nodiscard]] bool can_spawn_at_once() const noexcept { return !tasks_.empty() && counters.spawned.get() % id_batch != 0; }
    [[nodiscard]] bool prepare_spawn() noexcept {
        if (tasks_.empty() && !tasks_.fetch()) return false;
        if (counters.spawned.get() % id_batch == 0) fetch_ids();
        return true;
    }
    [[nodiscard]] task& take_free() noexcept { return tasks_.take(); }       // only after one of these
    [[nodiscard]] std::uint64_t take_id() noexcept {      // the same
        return id_base_ + counters.spawned++;
    }
    void recycle(task& t) noexcept {
        if (t.error || t.extra.load(relaxed)) [[unlikely]] drop_extras(t);
        recycle_plain(t);
    }
    void recycle_plain(task& t) noexcept {                // the same for one that has no error and nothing extra
        // release: whoever reads the word or the id of the next one here sees that this one is gone.
        t.id.store(0, release);
        t.state.store(task::phase::free, release);
        tasks_.put(t);
    }
    [[nodiscard]] bool is_alone() const noexcept { return alone_; }
    [[nodiscard]] bool migrates() const noexcept { return migrates_; }       // resumed ones go elsewhere
    [[nodiscard]] bool is_home_of(const task& t) const noexcept { return t.home == &home; }

    // ---- for others
    void unpark() noexcept;
    [[nodiscard]] std::uint64_t moves_and_parks() const noexcept { return counters.moves() + counters.parks.get(); }
    [[nodiscard]] bool maybe_has_work() const noexcept;
    [[nodiscard]] bool offers_fresh(const worker& thief) const noexcept;
    [[nodiscard]] bool offers_ready() const noexcept;
    task* steal_from(worker& victim, bool whatever) noexcept;
    void poll_timers() noexcept;
    static void resume_expired(timer_entry* due) noexcept;        // those that a wheel's expire() has given
    [[nodiscard]] std::int64_t coarse_now_ns() const noexcept { return now_ns_; }
    std::uint32_t random() noexcept;

    scheduler& home;
    const unsigned index;
    injection_queue<task> inbox;
    timer_wheel wheel;
    struct {
        // finished: by the loop; those that a join ran are in inline_joins. resumed: started ones.
        owned_counter spawned, finished, inline_joins, resumed, steals, switches, parks;

        [[nodiscard]] std::uint64_t ended() const noexcept { return finished.get() + inline_joins.get(); }
        [[nodiscard]] std::uint64_t moves() const noexcept { return finished.get() + resumed.get() + spawned.get(); }
    } counters;
    // Taken along by a tasklet that suspended; come back. Their difference, over all workers, is how many are out.
    owned_counter stacks_taken, stacks_kept;
    spare_duty duty;                                      // of a spare one

private:
    friend class lookout;
    friend class scheduler;
    friend class simulation;
    friend class watchdog;
    struct loop_departure;

    template <bool has_canary>
    [[noreturn]] static void loop_entry(transfer_t from) noexcept;
    static fcontext begin_loop_on(stack& s) noexcept;     // leave.hpp
    template <bool has_canary>
    [[noreturn]] static void loop(worker* w) noexcept;
    static worker* enter_started(worker& w, task& t) noexcept;
    static worker* move_loop(worker& w, task& t) noexcept;
    [[noreturn]] static void leave_for_good(worker& w) noexcept;

    task* pick() noexcept;                                // from our own queues
    task* pick_slowly() noexcept;
    // The oldest, of which `most` are next in line, with thieves about. Each one costs a locked operation: if they are over soon,
    // which no thief wants anyway, take some at once.
    [[gnu::always_inline]] task* take_in_line(work_deque<task>& queue, std::int64_t most) noexcept {
        if (task* const t = ahead_.take()) return t;
        if (most <= 0) return nullptr;
        if (!takes_ahead_ || most < 2 * static_cast<std::int64_t>(ahead_.room) || slice_cost_.load(relaxed) >= tiny_stamps)
            return queue.take_top(false);
        return take_ahead(queue);
    }
    task* take_ahead(work_deque<task>& queue) noexcept;
    [[nodiscard]] bool row_may_go_on() const noexcept;
    [[nodiscard]] bool is_far() const noexcept { return ready_.bottom() - ready_.top() >= far_turn; }
    task* next_in_line() noexcept;                        // pick() in the simplest case; nullptr: it is not that
    void run_next(task& t) noexcept {                     // one that has started
        on_ = t.on.load(relaxed);
        running = &t;
        ++counters.resumed;
    }
    void set_order(task& t) noexcept {                    // t becomes ready after all that are unstarted now
        const auto started = fresh_.bottom();
        t.order.store(static_cast<std::uint32_t>(started), relaxed);
        if (in_line_until_ > started) [[unlikely]] in_line_until_ = started;
    }
    void count_in(group& g) noexcept;                     // a child of g has ended here
    static worker* end_slowly(task& t) noexcept;
    static lowlevel::waiter* claim_joiner_of_failing(task& t) noexcept;
    void poll() noexcept;                                 // timers, the inbox
    void look_round() noexcept;                           // seldom, for who yields again and again
    void look_after_stuck() noexcept;
    [[nodiscard]] bool slice_is_long(std::uint64_t now) noexcept;
    [[nodiscard]] unsigned operations_in_time(std::uint64_t now, unsigned most) noexcept;
    // Of a long queue each one's descriptor and stack are cold. Their lines are asked for in time: the third one's
    // descriptor, and through that of the second one, which has come by now, its stack. lines: so many of the stack. Who yields has
    // few frames, and each line that is not needed costs, too.
    [[gnu::always_inline]] void fetch_ahead(const work_deque<task>::ends& queue, std::size_t lines) noexcept {
        if (queue.bottom - queue.top < long_queue) return;
        const auto n = static_cast<std::int64_t>(ahead_.size());      // hints: thieves may have been there
        const task* const second = n > 1 ? ahead_.peek(1) : ready_.at(queue.top + 1 - n);
        const task* const third = n > 2 ? ahead_.peek(2) : ready_.at(queue.top + 2 - n);
        if (!second || !third) return;
        __builtin_prefetch(third);
        fetch_stack(*second, lines);
    }
    [[gnu::always_inline]] void fetch_ahead_alone(const work_deque<task>::ends& queue, std::size_t lines) noexcept {
        if (queue.bottom - queue.top < long_queue) return;
        __builtin_prefetch(ready_.at(queue.top + 2));
        fetch_stack(*ready_.at(queue.top + 1), lines);
    }
    [[gnu::always_inline]] static void fetch_stack(const task& t, std::size_t lines) noexcept {
        constexpr std::size_t order[] = {0, 1, 3, 4, 5, 6, 7, 8};      // registers, then the red zone (see jump()), then frames
        const char* const left = static_cast<const char*>(t.context.load(relaxed));
#pragma GCC unroll 8
        for (std::size_t i = 0; i < lines; ++i) __builtin_prefetch(left + order[i] * 64);
    }
    task* pick_local() noexcept;
    task* find_work() noexcept;                           // searches, parks; nullptr: the runtime ends
    task* search() noexcept;
    void found_while_searching() noexcept;
    [[nodiscard]] bool timers_need_a_look() const noexcept;
    void count_out() noexcept;
    [[nodiscard]] bool is_dismissed() const noexcept { return is_spare_ && !duty.is_wanted(); }
    void sit_down(bool searching) noexcept;
    void mind_duty() noexcept;
    bool park(bool searching) noexcept;                   // from here to until_woken(): see lookout.hpp
    [[nodiscard]] bool sees_work() noexcept;
    [[nodiscard]] bool sees_work_later() noexcept;
    void all_parked() noexcept;
    void tidy_up() noexcept;
    void sleep(bool looks) noexcept;
    void until_woken() noexcept;
    void measure_slices() noexcept;
    void accept_inbox(worker& from, bool all_as_ready = false) noexcept;
    [[nodiscard]] bool is_worth_a_wake() const noexcept;
    void wake_another() noexcept;
    void keep_stack(stack& s) noexcept;
    bool fetch_stacks() noexcept;
    void drop_extras(task& t) noexcept;
    void fetch_ids() noexcept;
    [[nodiscard]] bool put_fresh(task& t) noexcept;       // false: no memory to grow
    [[nodiscard]] bool put_ready(task& t) noexcept;       // the same
    void push_unstarted(task& t) noexcept;
    void push_job_and_grow(task& t) noexcept;
    void push_ready_and_grow(task& t) noexcept;
    void wake_for_ready() noexcept;
    void wake_if_worth() noexcept;
    void push_to_backlog(task& t) noexcept;
    void yield_for_backlog() noexcept;                    // lets the unstarted ones run first
    [[nodiscard]] bool may_run_inline(const task& t, std::uint64_t id, const void* frame) const noexcept {
        return t.id.load(relaxed) == id && running->deadline_ns == INT64_MAX && !running->stop_requested() &&
               !t.on.load(relaxed) && stack_left(frame) > inline_stack_bytes;
    }
    void wake_for_fresh() noexcept;
    void note_spawner() noexcept {
        streak_.store(running == spawner_ ? streak_.load(relaxed) + 1 : 0, relaxed);
        spawner_ = running;
    }

    static constexpr std::int64_t long_queue = 32;          // their stacks together are more than the nearest cache holds
    static constexpr std::int64_t far_turn = 24;            // so many stacks, and what each works on, fill the nearest cache
    static constexpr std::uint32_t warm_for = 256;          // switches: so long ago, and it lies in the second cache yet
    static constexpr std::uint64_t id_batch = 64;
    static constexpr std::uint64_t shortest_row = 8;
    static constexpr std::int64_t first_look_ns = 2'000'000, longest_look_ns = 4'000'000;

    std::size_t backlog_;                                 // from so many unstarted on push_fresh() takes the slow way
    const bool alone_;                                    // the only worker: no thieves, so no fences
    bool migrates_;                                       // always, or of a spare one that is dismissed
    const bool is_spare_;
    const bool is_looked_after_;                          // under a virtual clock nobody looks, neither round nor at it (lookout.hpp)
    const bool wakes_lightly_;                            // no push has a fence (the same)
    thread_state here_{};
    stack* on_ = nullptr;
    std::uint64_t row_ = 0;                               // how many came from next_ in a row
    std::int64_t hurried_until_ = 0;                      // of ready_: up to there rows are short
    task* handoff_ = nullptr;                             // what the loop that is being entered shall run
    fcontext spare_context_ = nullptr;                    // a suspended loop of this worker
    stack* spare_stack_ = nullptr;
    local_cache<stack, stack_arena, 16, 32> stacks_;      // of the default size
    local_cache<task, task_pool, 128, 512> tasks_;
    std::uint64_t tick_ = 0, yields_ = 0, id_base_ = 0;    // tick: dispatches; yields: those for which nobody was in line
    pacer polls_, yield_looks_, join_looks_;              // by tick_, yields_ and inline_joins
    std::uint64_t slice_ = 0, slice_began_ = 0;           // the one looked at last, by tick_; at the latest
    bool slice_begin_is_exact_ = false;
    int slice_left_ = 0;                                  // operations
    std::uint64_t slice_done_ = 0;                        // since slice_began_
    std::uint64_t turns_after_joins_ = 0;
    std::uint64_t random_state_;
    std::int64_t now_ns_ = 0;
    std::vector<std::uint64_t> seen_moves_;               // of the others, when the search began
    std::vector<std::uint64_t> stuck_moves_;              // of the others, when we last looked after them
    std::uint64_t looked_stamp_ = 0;
    std::int64_t look_pause_ns_ = first_look_ns;          // sleep(): how long until the next look at the others
    theft_ledger thefts_;
    std::int64_t in_line_until_ = 0;                      // unstarted ones up to here come before all ready ones
    depth_first deep_;
    const task* spawner_ = nullptr;                       // of the newest unstarted one
    atomic<group*> ended_in_{nullptr};                    // children of this scope have ended here, one after the other:
    atomic<std::uint64_t> ended_{0};                      // so many, which the scope still counts
    stack native_;
    fcontext native_context_ = nullptr;
    atomic<int> tid_{0};                                  // as the kernel calls its thread
    wake_token token_;
    atomic<std::uint64_t> slice_cost_{1'000'000};         // in stamp units; nothing known: assume long ones
    atomic<std::uint32_t> streak_{0};                     // how many came from spawner_ in a row, before the newest
    const bool fences_lightly_;                           // whoever looks at us afterwards pays for the full fence
    const bool takes_ahead_;
    alignas(64) taken_ahead<task> ahead_;                 // before those in the queues; not while alone
    next_slot<task> next_;                                // before all others
    alignas(64) work_deque<task> fresh_;
    work_deque<task> ready_;
};

}  // namespace rondo::detail
