#include "scheduler.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <system_error>

#include <fmt/format.h>

#include <rondo/lowlevel/wait.hpp>

#include "blocking_threads.hpp"
#include "memory_errors.hpp"
#include "precise.hpp"

namespace rondo::detail {
namespace {

std::size_t default_stack_bytes(const runtime_options& o) {
    if (o.stack_bytes) {
        if (o.stack_bytes > stack_arena::largest_bytes) throw usage_error("runtime_options::stack_bytes: at most 1 GiB");
        return o.stack_bytes;
    }
#if defined(RONDO_ASAN) || defined(RONDO_TSAN)
    return 256 * 1024;
#else
    return 64 * 1024;
#endif
}

std::size_t times(std::size_t a, std::size_t b) { return a > SIZE_MAX / b ? SIZE_MAX : a * b; }

// Those that could wake each other's tasklets. Never destroyed: a runtime may be a static object.
struct all_runtimes {
    std::mutex lock;
    std::vector<const scheduler*> list;
    static all_runtimes& get() {
        static auto* all = new all_runtimes;
        return *all;
    }
};

runtime_options with_workers(runtime_options o) {
    o.workers = workers_wanted(o);
    o.stall_limit = stall_limit_wanted(o);
    o.spare_workers = spare_workers_wanted(o);
    return o;
}

}  // namespace

scheduler::scheduler(runtime_options o)
    : options(with_workers(std::move(o))), simulated(options.world ? options.world->simulated() : nullptr),
      deep_above(times(options.breadth_limit, options.workers)), alone(workers_and_spares() == 1),
      soloist(alone && !precise::is_on ? take_soloist() : nullptr),
      stacks(default_stack_bytes(options), options.stack_memory_bytes), tasks(*this), idle(options.workers, *options.spare_workers),
      look(idle, !options.world), blocking(std::make_unique<blocking_threads>(*this)),
      dog(options.stall_limit.count() ? std::make_unique<watchdog>(*this, options.stall_limit) : nullptr) {
    install_overflow_handler();
    errors_.reserve(most_errors);
    make_memory_errors();
    const auto n = static_cast<unsigned>(workers_and_spares());
    for (unsigned i = 0; i < n; ++i) workers.push_back(std::make_unique<worker>(*this, i));
    try {
        for (unsigned i = 0; i < n; ++i) start_thread(i);
        if (dog) dog->begin();
    } catch (...) {
        // Those that never started count as parked, so that the others can leave.
        terminating.store(true, release);         // pairs with the acquire in find_work()
        for (auto& w : workers) w->unpark();
        for (auto& t : threads_) t.join();
        throw;
    }
    const precise::unseen under_a_lock;
    auto& all = all_runtimes::get();
    std::lock_guard hold(all.lock);
    all.list.push_back(this);
}

void scheduler::start_thread(unsigned i) {
    try {
        threads_.emplace_back([this, i] {
            if (options.pin && i < options.workers) pin_to_core(i);
            workers[i]->thread_main();
        });
    } catch (const std::system_error& e) {
        throw std::system_error(e.code(), fmt::format("rondo: no thread for worker {} of {}; fewer workers, or larger limits "
                                                      "(ulimit -u, -v), would help", i + 1, workers.size()));
    }
}

scheduler::~scheduler() {
    {
        const precise::unseen under_a_lock;
        auto& all = all_runtimes::get();
        std::lock_guard hold(all.lock);
        std::erase(all.list, this);
    }
    closing.store(true, relaxed);
    if (!drained_) wait_until_quiet(std::chrono::steady_clock::now() + std::chrono::seconds(5), is_virtual());
    is_ending.store(true, relaxed);
    const auto patience_ends = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    bool is_first = true, is_said = false;
    for (; !nothing_left() || live() > 0; is_first = false) {
        const auto before = idle.snapshot();
        auto* layer = precise::seen(above);
        // Tasklets that nothing can wake are stopped first; what only needs to be told to end is not stopped.
        if (!is_first || (live() > 0 && !only_background_left())) stop_everything();
        if (layer) layer->end();
        const auto now = std::chrono::steady_clock::now();
        const bool is_late = now >= patience_ends;
        const auto until = now + std::chrono::milliseconds(is_late ? 1000 : 10);
        // Whoever has not gone on at all waits for somebody outside, shielded from our stops.
        if (wait_until_quiet(until, is_virtual())) wait_while_still(before, until);
        if (is_late && !std::exchange(is_said, true)) print_left();
    }
    print_errors();
    blocking.reset();
    if (dog) dog->end();
    end_workers();
    // acquire: pairs with the release in inject().
    while (visitors_.load(acquire) != 0) std::this_thread::yield();
    if (auto* layer = precise::seen(above)) layer->home_is_gone();
}

void scheduler::print_left() const noexcept {
    std::fputs("rondo: a runtime's destructor waits for tasklets that do not stop:\n", stderr);
    try {
        for (auto& info : list(true)) std::fputs(("  " + describe(info) + "\n").c_str(), stderr);
    } catch (...) {
        std::fputs("  (no memory for their list)\n", stderr);
    }
}

void scheduler::print_errors() noexcept {
    std::lock_guard hold(lock_);
    print_further_errors();
    for (auto& error : errors_) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "rondo: a tasklet ended with an exception that nobody joined: %s\n", e.what());
        } catch (...) {
            std::fputs("rondo: a tasklet ended with an exception that nobody joined\n", stderr);
        }
    }
    errors_.clear();
}

// Those that were not kept. Under the lock.
void scheduler::print_further_errors() noexcept {
    if (const auto n = std::exchange(further_errors_, 0))
        std::fprintf(stderr, "rondo: %zu more tasklets ended with exceptions that nobody joined (the first %zu are kept)\n", n,
                     errors_.size());
}

std::int64_t scheduler::now_ns() noexcept {
    const auto now = options.world ? options.world->now() : std::chrono::steady_clock::now();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

// ---------------------------------------------------------------------------------------------- work from outside

void scheduler::end_workers() noexcept {
    terminating.store(true, release);             // pairs with the acquire in find_work()
    fence_seq_cst();                              // keeps that apart from the look at who is parked
    for (int w; (w = idle.take_parked()) >= 0;) workers[static_cast<std::size_t>(w)]->unpark();
    for (auto i = options.workers; i < workers.size(); ++i) call_in(*workers[i]);
    for (auto& t : threads_) t.join();
    precise::to_here(static_cast<const void*>(this));
}

void scheduler::inject(task& t) noexcept {
    // Once it lies in an inbox the tasklet may run and end, and this runtime with it, before we have woken anybody.
    visitors_.fetch_add(1, relaxed);
    if (options.force_migration && t.state.load(relaxed) == task::phase::started) migrate(t);
    else inject_to(next_inbox_.fetch_add(1, relaxed) % options.workers, t);
    visitors_.fetch_sub(1, release);              // pairs with the acquire in the destructor; we are gone after it
}

void scheduler::inject_to(unsigned i, task& t) noexcept {
    workers[i]->inbox.push(&t);
    if (options.force_migration) {                // nobody else may take it from there
        fence_seq_cst();                          // keeps the push apart from the look at who is parked
        if (idle.take_back(i)) workers[i]->unpark();
        return;
    }
    wake_for_work();
}

void scheduler::migrate(task& t) noexcept {
    inject_to((t.order.load(relaxed) + 1) % options.workers, t);
}

void scheduler::wake_for_work() noexcept {
    const int w = idle.to_wake();
    if (w < 0) return;
    wakes.fetch_add(1, relaxed);
    workers[static_cast<std::size_t>(w)]->unpark();
}

bool scheduler::call_in(worker& spare) noexcept {
    if (!spare.duty.call_in()) return false;
    idle.leave_bench();
    spare.unpark();
    return true;
}

bool scheduler::comes_of_the_end(const std::exception_ptr& error) noexcept {
    if (!is_ending.load(relaxed)) return false;
    auto* layer = precise::seen(above);                // pairs with the release in attach()
    return layer && layer->comes_of_the_end(error);
}

void scheduler::report_unhandled(task& t, std::uint64_t id) noexcept {
    tasklet_info who;
    who.id = id;
    who.parent = t.parent;
    who.state = tasklet_state::done;
    if (options.on_unhandled) {
        try {
            if (auto* extra = t.extra.load(relaxed)) who.name = extra->name;
            who.spawn_site = site_text(t.where);
        } catch (...) {}                          // no memory: the error is worth more than what is said about it
    }
    report_unhandled(t.error, who);
}

void scheduler::report_unhandled(std::exception_ptr error, const tasklet_info& who) noexcept {
    if (comes_of_the_end(error)) return;
    if (options.on_unhandled) {
        try {
            options.on_unhandled(error, who);
            return;
        } catch (...) {                           // the handler's own error takes its place
            error = std::current_exception();
        }
    }
    keep(std::move(error));
}
void scheduler::keep(std::exception_ptr error) noexcept {
    std::lock_guard hold(lock_);
    if (errors_.size() < errors_.capacity()) errors_.push_back(std::move(error));
    else ++further_errors_;
}

std::vector<std::exception_ptr> scheduler::take_errors() {
    std::lock_guard hold(lock_);
    std::vector<std::exception_ptr> taken(errors_.begin(), errors_.end());
    print_further_errors();
    errors_.clear();                              // keeps the room
    return taken;
}

// ---------------------------------------------------------------------------------------------- quiet

std::size_t scheduler::live() const noexcept {
    std::uint64_t ended = 0, begun = 0;
    for (auto& w : workers) ended += w->counters.ended();       // first, so that the difference never wraps
    for (auto& w : workers) begun += w->counters.spawned.get();
    begun += injected.load(seq_cst);
    return begun > ended ? static_cast<std::size_t>(begun - ended) : 0;
}

std::size_t scheduler::stacks_out() const noexcept {
    std::uint64_t kept = 0, taken = 0;
    for (auto& w : workers) kept += w->stacks_kept.get();              // first, so that the difference never wraps
    for (auto& w : workers) taken += w->stacks_taken.get();
    return taken > kept ? static_cast<std::size_t>(taken - kept) : 0;
}

bool scheduler::only_background_left() const noexcept {
    auto* layer = precise::seen(above);
    const auto n = layer ? layer->background() : 0;
    return n > 0 && live() == n;
}

bool scheduler::nothing_left() const noexcept {
    auto* layer = precise::seen(above);
    if (!closing.load(relaxed)) return live() == 0 || only_background_left();
    return live() == 0 && (!layer || layer->live() == 0);
}

bool scheduler::is_quiet(bool ignore_timers) const noexcept {
    const auto c = idle.snapshot();
    ignore_timers = ignore_timers || only_background_left();
    if (!idle.is_at_rest(c)) return false;
    if (outside_operations.load(seq_cst) != 0) return false;
    for (auto& w : workers)
        if (!w->inbox.empty() || (!ignore_timers && w->wheel.size() != 0)) return false;
    return idle.snapshot() == c;
}

void scheduler::all_parked() noexcept {
    idle.note_rest();
    tell_watchers();
}

void scheduler::operation_ends() noexcept {
    outside_operations.fetch_sub(1, seq_cst);
    tell_watchers();
}

// seq_cst: keeps what the caller has just written apart from the look at who watches (wait_until_quiet(): the other way). The
// lock: whoever has looked and not found it quiet waits by the time that we notify.
void scheduler::tell_watchers() noexcept {
    if (watchers_.load(seq_cst) == 0) return;
    const precise::unseen orders_nobody;
    { std::lock_guard hold(lock_); }
    quiet_changed_.notify_all();
}

bool scheduler::wait_until_quiet(lowlevel::time_point until, bool ignore_timers) {
    std::unique_lock hold(lock_);
    watchers_.fetch_add(1, seq_cst);
    bool quiet;
    while (!(quiet = is_quiet(ignore_timers))) {
        if (until == lowlevel::no_deadline) quiet_changed_.wait(hold);
        else if (quiet_changed_.wait_until(hold, until) == std::cv_status::timeout) {
            quiet = is_quiet(ignore_timers);
            break;
        }
    }
    watchers_.fetch_sub(1, seq_cst);
    precise::to_here(static_cast<const void*>(this));
    return quiet;
}

// It was quiet as `seen` says, and still is: until it has been otherwise and is so again, or the time is up.
void scheduler::wait_while_still(std::uint64_t seen, lowlevel::time_point until) {
    std::unique_lock hold(lock_);
    watchers_.fetch_add(1, seq_cst);
    while (idle.snapshot() == seen && quiet_changed_.wait_until(hold, until) != std::cv_status::timeout) {}
    watchers_.fetch_sub(1, seq_cst);
}

namespace {

struct blocked_here {                             // this thread cannot wake anybody
    blocked_here() { blocked_foreign_threads().fetch_add(1, relaxed); }
    ~blocked_here() { blocked_foreign_threads().fetch_sub(1, relaxed); }
};

}  // namespace

bool scheduler::is_cut_off() const {
    struct standing {
        const scheduler* who;
        std::uint64_t counts;
    };
    const precise::unseen under_a_lock;
    auto& all = all_runtimes::get();
    std::lock_guard hold(all.lock);                // they cannot begin or end meanwhile
    std::vector<standing> still;
    std::size_t known = 0;
    for (auto* s : all.list) {
        const auto counts = s->idle.snapshot();
        if (!s->is_quiet(s->is_virtual())) continue;
        still.push_back({s, counts});
        known += s->threads_.size() + s->blocking->size() + (s->dog ? 1 : 0);
    }
    if (foreign_threads(known) != 0) return false;
    // Seen twice with the same version, so they were quiet all the time between: at one moment nobody ran anywhere.
    bool here = false;
    for (auto& [s, counts] : still) {
        if (!s->is_quiet(s->is_virtual()) || s->idle.snapshot() != counts) return false;
        here = here || s == this;
    }
    return here;
}

bool scheduler::wait_for_others() {
    const blocked_here mark;
    if (is_cut_off()) return false;
    {
        std::unique_lock hold(lock_);
        quiet_changed_.wait_for(hold, std::chrono::milliseconds(20));
    }
    wait_until_quiet(lowlevel::no_deadline, is_virtual());
    return true;
}

namespace {

bool ended_badly(task_ref main) {
    return task_done(main) && main.t->id.load(acquire) == main.id && main.t->error;
}

}  // namespace

bool scheduler::has_failed(task_ref main) const {
    if (ended_badly(main)) return true;
    std::lock_guard hold(lock_);
    return !errors_.empty();
}

void scheduler::wait_for_end(task_ref main) {
    const blocked_here mark;
    auto pause = std::chrono::milliseconds(20);
    for (;;) {
        wait_until_quiet(lowlevel::no_deadline, false);
        const auto before = idle.snapshot();
        const bool all_ended = nothing_left();
        if (all_ended) {
            if (!is_quiet(false) || idle.snapshot() != before) continue;
        } else if (!has_failed(main) && !is_cut_off()) {
            // Everybody waits, but there are threads that may yet send, close or stop. Look again now and then. (Once
            // something has failed that nobody joined, the run is over as soon as everybody waits.)
            wait_while_still(before, std::chrono::steady_clock::now() + pause);
            pause = std::min(pause * 2, std::chrono::milliseconds(1000));
            continue;
        }
        if (ended_badly(main)) return;            // run() joins it
        if (auto errors = take_errors(); !errors.empty()) std::rethrow_exception(errors.front());
        if (all_ended) return;
        throw make_deadlock();
    }
}

deadlock scheduler::make_deadlock() const {
    auto stuck = list(true);
    std::string report = fmt::format("deadlock: {} tasklet{} can never go on, since nobody is left to wake {}:",
                                     stuck.size(), stuck.size() == 1 ? "" : "s", stuck.size() == 1 ? "it" : "them");
    std::size_t shown = 0;
    for (auto& info : stuck) {
        if (++shown > 100) {
            report += fmt::format("\n  ... and {} more", stuck.size() - 100);
            break;
        }
        report += "\n  " + describe(info);
    }
    return {report, std::move(stuck)};
}

idle_report scheduler::run_until_idle() {
    const blocked_here mark;
    wait_until_quiet(lowlevel::no_deadline, is_virtual());
    idle_report report;
    std::uint64_t finished = 0;
    for (auto& w : workers) finished += w->counters.ended();
    {
        std::lock_guard hold(lock_);
        report.finished = static_cast<std::size_t>(finished - finished_before_);
        finished_before_ = finished;
    }
    report.parked = list(false);
    report.errors = take_errors();
    return report;
}

namespace {

bool is_joined(task& t) {
    if (t.joiner_below()) return true;                // on the stack of whoever joins it
    std::lock_guard hold(t.guard);
    return t.joiner != nullptr;
}

}  // namespace

// A tasklet may refer to the frame of the one that has spawned it, up to its last destructor. So who has living children is
// stopped after them. And whom somebody joins is stopped after those whom nobody joins: its end makes a parent go on that
// would rather have waited for them all.
void scheduler::stop_everything() noexcept {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    try {
        stop_in_order(limit);
    } catch (...) {                                   // no memory for the lists
        stop_one_by_one(limit);
    }
}

void scheduler::stop_in_order(lowlevel::time_point limit) {
    for (std::size_t before = SIZE_MAX;;) {
        const auto all = living();                    // the youngest first
        std::vector<std::uint64_t> parents;
        for (auto& ref : all) parents.push_back(parent_of(*ref.t));
        std::sort(parents.begin(), parents.end());
        std::vector<task_ref> childless, now;
        for (auto& ref : all)
            if (!std::binary_search(parents.begin(), parents.end(), ref.id)) childless.push_back(ref);
        for (auto& ref : childless)
            if (!is_joined(*ref.t)) now.push_back(ref);
        if (now.empty()) now = childless;
        // Those that are told to stop and do not end have had their chance.
        const bool is_stuck = all.size() >= before || std::chrono::steady_clock::now() > limit;
        if (is_stuck) now = all;
        for (auto& ref : now) stop_task(ref);
        if (is_stuck || now.size() == all.size()) return;
        before = all.size();
        wait_until_quiet(limit, is_virtual());
    }
}

// Children before their parents, without a list.
void scheduler::stop_one_by_one(lowlevel::time_point limit) noexcept {
    const auto find = [this](auto is_wanted) {
        task_ref found{};
        for_each_living([&](task_ref one) {
            if (!found.t && !one.t->stop_requested() && is_wanted(one)) found = one;
        });
        return found;
    };
    while (std::chrono::steady_clock::now() < limit) {
        task_ref next = find([](task_ref) { return true; });
        if (!next.t) return;
        for (task_ref child = next; child.t; child = find([&](task_ref one) { return parent_of(*one.t) == next.id; }))
            next = child;
        stop_task(next);
        // It must have ended before its parent hears of it, also on a busy machine; but who swallows the stop has had his chance.
        const auto patience = std::min(limit, std::chrono::steady_clock::now() + std::chrono::milliseconds(200));
        while (!wait_until_quiet(std::chrono::steady_clock::now() + std::chrono::milliseconds(10), is_virtual()))
            if (task_done(next) || std::chrono::steady_clock::now() > patience) break;
    }
}

template <class F>
void scheduler::for_each_living(F&& f) const {
    tasks.for_each([&](task& t) {
        const auto id = t.id.load(acquire);
        const auto state = t.state.load(acquire);
        if (id != 0 && state != task::phase::free && state != task::phase::finished) f(task_ref{&t, id});
    });
}

std::vector<task_ref> scheduler::living() const {
    std::vector<task_ref> all;
    for_each_living([&](task_ref one) { all.push_back(one); });
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.id > b.id; });
    return all;
}

std::vector<tasklet_info> scheduler::shutdown(std::chrono::steady_clock::duration drain) {
    using clock = std::chrono::steady_clock;
    const blocked_here mark;
    drained_ = true;
    closing.store(true, relaxed);
    const auto ended = [this](lowlevel::time_point until) {
        for (;;) {
            const bool quiet = wait_until_quiet(until, is_virtual());
            const auto before = idle.snapshot();
            if (live() == 0 || only_background_left()) return true;
            if (quiet && is_cut_off()) return false;                          // nobody will help
            if (clock::now() >= until) return false;
            wait_while_still(before, std::min(until, clock::now() + std::chrono::milliseconds(5)));
        }
    };
    const bool drained = ended(deadline_after(drain));
    if (drained && nothing_left()) return {};
    const auto limit = deadline_after(std::max<clock::duration>(drain, std::chrono::milliseconds(100)));
    is_ending.store(true, relaxed);
    bool gently = drained;                        // what is left only needs to be told
    do {
        if (auto* layer = precise::seen(above)) layer->end();
        if (!std::exchange(gently, false)) stop_everything();     // again and again: those that end may spawn others
        if (ended(std::min(limit, clock::now() + std::chrono::milliseconds(20))) && nothing_left()) return {};
    } while (clock::now() < limit);
    return list(true);
}

runtime_stats scheduler::stats() const {
    runtime_stats s;
    s.workers = options.workers;
    for (auto& w : workers) {
        auto& c = w->counters;
        worker_stats one{c.spawned.get(), c.ended(), c.ended() + c.resumed.get(), c.steals.get(),
                         c.switches.get(), c.parks.get(), c.inline_joins.get()};
        s.spawned += one.spawned;
        s.finished += one.finished;
        s.dispatched += one.dispatched;
        s.steals += one.steals;
        s.switches += one.switches;
        s.parks += one.parks;
        s.inline_joins += one.inline_joins;
        s.per_worker.push_back(one);
    }
    s.spawned += injected.load(relaxed);
    s.wakes = wakes.load(relaxed);
    s.stalls = stalls.load(relaxed);
    s.spares_called = spares_called.load(relaxed);
    s.live = live();
    s.stacks = stacks.made();
    return s;
}

}  // namespace rondo::detail
