// What a worker puts into its queues, and what it takes next.
#include <algorithm>
#include <new>

#include "scheduler.hpp"
#include "simulation.hpp"
#include "stamp.hpp"

namespace rondo::detail {

namespace {

constexpr std::uint64_t wake_cost_stamps = 50'000;   // a wake-up costs some 25 us all in all
constexpr std::uint64_t look_stamps = 2'600'000;     // about a millisecond: who is busy looks after those who are stuck
constexpr std::uint64_t row_stamps = 1'300'000;      // half a millisecond: so long one wakes the next, while others are ready
constexpr std::uint32_t long_list = 64;              // so many in a row from one spawner

// False: no memory to grow.
bool try_push(work_deque<task>& queue, task& t) noexcept {
    try {
        queue.push(&t);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

}  // namespace

// ---------------------------------------------------------------------------------------------- putting in

bool worker::put_fresh(task& t) noexcept { return try_push(fresh_, t); }

bool worker::put_ready(task& t) noexcept {
    set_order(t);
    return try_push(ready_, t);
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

// No fence keeps the push apart from the look at who is parked (lookout): so we may miss somebody who parks just now and who misses
// our push. He looks a second time a moment later, and if that were too early as well, then whoever looks after stalled
// workers finds it within milliseconds.
void worker::wake_for_fresh() noexcept {
    lookout::after_push(wakes_lightly_);
    if (home.idle.would_wake()) [[unlikely]] wake_if_worth();
}

void worker::push_job(task& t) noexcept {
    if (fresh_.length_seen() >= fresh_.capacity()) [[unlikely]] return push_job_and_grow(t);
    if (alone_) return fresh_.push_alone(&t);
    fresh_.push_in_room(&t);
    note_spawner();
    wake_for_fresh();
}

// The ring is full, as far as we know.
[[gnu::noinline]] void worker::push_job_and_grow(task& t) noexcept {
    push_unstarted(t);
    if (!alone_) wake_for_fresh();
}

void worker::push_ready(task& t) noexcept {
    if (ready_.length_seen() >= ready_.capacity()) [[unlikely]] return push_ready_and_grow(t);
    set_order(t);
    if (alone_) return ready_.push_alone(&t);
    ready_.push_in_room(&t);
    wake_for_ready();
}

void worker::push_ready_before_fresh(task& t) noexcept {
    if (ready_.length_seen() >= ready_.capacity()) [[unlikely]] return push_ready_and_grow(t);
    t.order.store(fresh_.taken(), relaxed);
    in_line_until_ = std::min(in_line_until_, fresh_.top());
    if (alone_) return ready_.push_alone(&t);
    ready_.push_in_room(&t);
    wake_for_ready();
}

// The same.
[[gnu::noinline]] void worker::push_ready_and_grow(task& t) noexcept {
    if (put_ready(t)) wake_for_ready();
    else inbox.push(&t);
}

inline void worker::wake_for_ready() noexcept {
    if (alone_) return;
    lookout::after_push(wakes_lightly_);              // as in wake_for_fresh()
    if (home.idle.would_wake()) [[unlikely]] wake_if_worth();
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
    if (!home.look.somebody_looks()) return true;
    const auto slice = slice_cost_.load(relaxed);
    if (ready_.size() * slice >= std::max(wake_cost_stamps, home.worth_a_theft.load(relaxed))) return true;
    if (streak_.load(relaxed) < long_list) return !fresh_.empty();
    return slice >= tiny_stamps && fresh_.size() * slice >= wake_cost_stamps;
}

void worker::wake_another() noexcept {
    const auto before = stamp();
    home.wake_for_work();
    polls_.leave_out(stamp() - before);               // the system call is no part of anybody's slice
}

// ---------------------------------------------------------------------------------------------- looking round

bool worker::others_are_ready() noexcept {
    if (yield_looks_.is_due(++yields_)) [[unlikely]] look_round();        // else a loop of yields would starve sleepers, and others
    if (!inbox.empty()) [[unlikely]] accept_inbox(*this);
    return next_.peek() || !ahead_.empty() || !ready_.empty() || !fresh_.empty();
}
[[gnu::noinline]] void worker::look_round() noexcept {
    yield_looks_.look(yields_, stamp());
    if (is_spare_) [[unlikely]] mind_duty();
    if (wheel.size()) poll_timers();
    if (!alone_) look_after_stuck();
}

// How long has the slice been going on, at least? If that is not known from its beginning then from the first time that we asked.
bool worker::slice_is_long(std::uint64_t now) noexcept {
    if (slice_ != tick_) {
        slice_ = tick_;
        slice_began_ = polls_.looked_at();
        slice_begin_is_exact_ = polls_.since(tick_) == 0;
        slice_left_ = slice_operations - slice_length;
        slice_done_ = static_cast<unsigned>(slice_length);
    }
    if (now - slice_began_ < slice_stamps) return false;
    if (slice_begin_is_exact_) return true;
    slice_begin_is_exact_ = true;
    slice_began_ = now;
    slice_done_ = 0;
    return false;
}

// The next part of the budget: so many that the slice ends in time, if they take no longer than those before.
[[gnu::noinline]] bool worker::slice_goes_on() noexcept {
    if (!is_looked_after_) return false;
    const auto now = stamp();
    if (slice_is_long(now) || slice_left_ <= 0) return false;
    budget = static_cast<int>(operations_in_time(now, static_cast<unsigned>(slice_left_)));
    slice_left_ -= budget;
    return true;
}
unsigned worker::operations_in_time(unsigned most) noexcept {
    if (!is_looked_after_) return most;
    const auto now = stamp();
    return slice_is_long(now) ? 0 : operations_in_time(now, most);
}
unsigned worker::operations_in_time(std::uint64_t now, unsigned most) noexcept {
    const auto so_far = now - slice_began_;
    const auto in_time = so_far == 0 ? 1 : slice_done_ * (slice_stamps - so_far) / so_far;
    const auto n = static_cast<unsigned>(std::clamp<std::uint64_t>(in_time, 1, most));
    slice_done_ += n;
    return n;
}

// Joins cost no operations: of a program that forks and joins most of what has not started is its own, and had better be started
// by those joins. So the oldest ready one is next, and now and then the oldest unstarted one. What has come from outside counts as
// ready: behind the newest unstarted one it would keep the next join from finding its child there.
[[gnu::noinline]] task* worker::turn_after_joins() noexcept {
    const auto now = stamp();
    join_looks_.look(counters.inline_joins.get(), now);
    if (!is_looked_after_ || !slice_is_long(now)) return nullptr;
    begin_slice();
    if (is_spare_) [[unlikely]] mind_duty();
    if (!alone_) look_after_stuck();
    if (!has_spare_stack()) return nullptr;
    if (!inbox.empty()) accept_inbox(*this, true);
    if (wheel.size()) poll_timers();
    const bool has_few_stacks = home.stacks_out() < home.deep_above / 4;       // each unstarted one may need another
    const bool is_for_fresh = ++turns_after_joins_ % (has_few_stacks ? 4 : 32) == 0;
    task* t = is_for_fresh ? fresh_.take_top(alone_) : nullptr;
    if (!t) t = next_.take();
    if (const task* const first = ahead_.peek(); !t && first && first->context.load(relaxed)) t = ahead_.take();
    if (!t) t = ready_.take_top(alone_);
    if (!t) return nullptr;
    ++tick_;
    budget = slice_length;
    return t;
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

// The average of the last slices; of few only if they are long.
void worker::measure_slices() noexcept {
    const auto now = stamp();
    const auto n = polls_.since(tick_);
    const auto average = polls_.look(tick_, now);
    if (n >= 8 || average >= wake_cost_stamps) slice_cost_.store(average, relaxed);
    if (is_looked_after_ && slice_length != 0) slice_length = average >= slice_stamps / 2 ? 1 : first_operations;
}

// Of a spare worker. Once it is not needed any more, what lies here, and who is resumed or yields here, is for those that stay.
[[gnu::noinline]] void worker::mind_duty() noexcept {
    migrates_ = home.options.force_migration || is_dismissed();
    if (!is_dismissed()) return;
    const auto all_of = [this](auto take) {
        while (task* const t = take()) home.inject(*t);
    };
    all_of([this] { return next_.take(); });
    all_of([this] { return ahead_.take(); });
    all_of([this] { return ready_.take_top(alone_); });
    all_of([this] { return fresh_.take_top(alone_); });
    // What it has taken out of its inbox, if memory was short.
    for (task* t = inbox.take_all(); t;) home.inject(*std::exchange(t, t->next));
}

[[gnu::noinline]] void worker::poll() noexcept {
    measure_slices();
    if (is_spare_) [[unlikely]] mind_duty();
    if (!alone_ && polls_.looked_at() - looked_stamp_ >= look_stamps) [[unlikely]] look_after_stuck();
    if (deep_.is_on() && home.stacks_out() < home.deep_above / 2) deep_.end();
    // Who comes by a timer or from outside stands behind all that are ready. If each of those began a long row it would take
    // a multiple of the time that a row may: so until its turn has come they are short.
    const auto before = ready_.bottom() + fresh_.bottom();
    if (!inbox.empty()) accept_inbox(*this);
    if (wheel.size()) poll_timers();
    if (ready_.bottom() + fresh_.bottom() != before) hurried_until_ = ready_.bottom();
}

// ---------------------------------------------------------------------------------------------- taking out

// If its turn at the tail is far, then what it works on is in the caches now. But some that wake each other all the time, for
// nothing perhaps but to ask again, let others come between.
[[gnu::always_inline]] inline bool worker::row_may_go_on() const noexcept {
    if (row_ <= shortest_row) return true;
    if (deep_.is_on() && !fresh_.empty()) return false;      // they wait until many ready ones have gone, or such rows
    const bool is_short = row_ * slice_cost_.load(relaxed) <= row_stamps && is_looked_after_;
    return is_short && is_far() && ready_.top() >= hurried_until_;
}

// Its frame is empty, and the simplest case on a runtime's only worker inline: the oldest ready one is next.
task* worker::pick() noexcept {
    const auto tick = tick_ + 1;
    const auto queue = ready_.now();
    if (!alone_ || next_.peek() || fresh_.top() != fresh_.bottom() || queue.top >= queue.bottom || polls_.is_due(tick) ||
        slice_length == 0)
        return pick_slowly();
    fetch_ahead_alone(queue, 8);
    tick_ = tick;
    row_ = 0;
    budget = slice_length;
    return ready_.take_alone(queue);
}

[[gnu::noinline]] task* worker::pick_slowly() noexcept {
    if (polls_.is_due(++tick_)) [[unlikely]] poll();
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

// First in, first out over both queues: a ready tasklet remembers how many fresh ones were before it.
task* worker::pick_local() noexcept {
    if (!alone_)
        if (task* const t = ahead_.take()) return t;
    if (fresh_.empty()) {
        if (!alone_) fetch_ahead(ready_.now(), 8);
        return ready_.take_top(alone_);
    }
    if (deep_.is_on()) [[unlikely]] return deep_.pick(fresh_, ready_, alone_);
    const task* const ready = ready_.empty() ? nullptr : ready_.peek_top();      // nullptr too if a thief was faster
    const auto until = ready ? ready->order.load(relaxed) : fresh_.pushed();
    if (const auto n = static_cast<std::int32_t>(until - fresh_.taken()); n > 0) {
        in_line_until_ = fresh_.top() + n;
        if (task* t = fresh_.take_top(alone_)) return t;
    }
    if (task* t = ready_.take_top(alone_)) return t;
    return fresh_.take_top(alone_);
}

void worker::accept_inbox(worker& from, bool all_as_ready) noexcept {
    std::size_t n = 0;
    bool any_started = false;
    for (task* t = from.inbox.take_all(); t;) {
        task* after = t->next;
        const bool has_started = t->context.load(relaxed) != nullptr;
        if (!(has_started || all_as_ready ? put_ready(*t) : put_fresh(*t))) {        // the rest waits until there is room
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

// ---------------------------------------------------------------------------------------------- what others may take

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

}  // namespace rondo::detail
