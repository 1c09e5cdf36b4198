#include "simulation.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <rondo/lowlevel/wait.hpp>

#include "precise.hpp"
#include "scheduler.hpp"
#include "splitmix.hpp"

namespace rondo::detail {

std::uint64_t simulation::random() noexcept { return next_random(random_state_); }

std::vector<deviation> deviations(const std::vector<std::uint32_t>& choices) {
    std::vector<deviation> out;
    for (std::size_t i = 0; i < choices.size(); ++i)
        if (choices[i] != 0) out.push_back({i, choices[i]});
    return out;
}

std::string replay_text(std::uint64_t seed, const std::vector<deviation>& what) {
    std::string text = fmt::format("{}/", seed);
    std::size_t at = 0;
    for (auto& d : what) {
        text += fmt::format("{}{}:{}", at == 0 ? "" : ",", d.at - at, d.index);
        at = d.at + 1;
    }
    return text;
}

// ---------------------------------------------------------------------------------------------- the driver's side

simulation::end simulation::run_schedule(const plan& p) noexcept {
    worker& w = *worker::current();
    plan_ = p;
    failed_ = false;
    choices.clear();
    trace.clear();
    tasklets.clear();
    numbers_.clear();
    objects.clear();
    objects_.clear();
    steps = 0;
    hash = 0xcbf29ce484222325ull;
    random_state_ = p.seed;
    current_ = nobody;
    now_ns_ = start_ns;
    w.now_ns_ = start_ns;
    w.wheel.restart(start_ns);
    mode_ = mode::schedule;
    suspend_driver();
    return end_;
}

void simulation::run_rest(task_ref this_one, bool time_moves) noexcept {
    rest_until_ = this_one;
    rest_time_moves_ = time_moves;
    rest_steps_ = 0;
    in_a_row_ = 0;
    mode_ = mode::rest;
    suspend_driver();
}

bool simulation::abandon(task_ref one) noexcept {
    worker& w = *worker::current();
    if (w.wheel.size() != 0) return false;
    task& t = *one.t;
    std::erase_if(ready_, [&](auto& r) { return r.t == &t; });
    // Nobody finds its wait open, should its object outlive the schedule.
    t.claim(lowlevel::waiter::generation_of(t.word.load(relaxed)), lowlevel::wake::none);
    // The descriptor is used no more: objects in those frames may still refer to it.
    t.state.store(task::phase::finished, release);    // these two: see detail::task
    t.id.store(0, release);
    ++w.counters.finished;
    ++abandoned_;
    return true;
}

void simulation::suspend_driver() noexcept {
    const lowlevel::shield no_stop;
    lowlevel::waiter& me = lowlevel::self();
    lowlevel::ensure_stack();
    lowlevel::wait_node node(me);
    driver_ = &node;
    lowlevel::suspend(me, {lowlevel::wait_kind::other, nullptr}, nullptr);
    precise::to_here(static_cast<const void*>(&worker::current()->home));
}

task* simulation::back_to_driver(end how) noexcept {
    end_ = failed_ ? end::failed : how;
    mode_ = mode::off;
    lowlevel::wait_node& node = *std::exchange(driver_, nullptr);
    node.claim(lowlevel::wake::ready);            // nobody else knows of it
    return static_cast<task*>(node.who);
}

// ---------------------------------------------------------------------------------------------- the worker's side

// Takes over everybody whom the worker's own queues hold, in the order in which it would run them.
void simulation::collect(worker& w) {
    if (w.wheel.size() != 0) w.poll_timers();
    if (!w.inbox.empty()) w.accept_inbox(w);
    if (task* const t = w.next_.take()) w.push_ready(*t);
    while (task* t = w.pick_local()) ready_.push_back({t, mode_ == mode::schedule ? number_of(*t) : nobody});
}

task* simulation::take(std::size_t i) noexcept {
    task* const t = ready_[i].t;
    current_ = ready_[i].number;
    in_a_row_ = 0;
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(i));
    mix(current_);
    return t;
}

bool simulation::over() noexcept { return failed_ || steps >= plan_.steps_max; }

task* simulation::pick(worker& w) noexcept {
    collect(w);
    if (mode_ == mode::off) return ready_.empty() ? nullptr : take(0);
    const task* const leaving = w.running;
    if (current_ != nobody) {
        if (leaving) note(step::waits, leaving->kind.load(relaxed), leaving->wait_object.load(relaxed));
        else note(step::ended);
        current_ = nobody;
    }
    if (mode_ == mode::schedule && over()) return back_to_driver(end::too_long);
    if (mode_ == mode::rest && rest_steps_ > 0 && rest_is_over()) return back_to_driver(end::stuck);
    while (ready_.empty()) {
        if (leaving) return nullptr;              // its wait, with its timer, is not open yet
        if (end_actors(w)) continue;
        const auto next = w.wheel.next_deadline();
        if (next == timer_wheel::never || (mode_ == mode::rest && !rest_time_moves_))
            return back_to_driver(w.home.live() == 1 ? end::all_ended : end::stuck);
        now_ns_ = std::max(now_ns_, next);
        note(step::time);
        collect(w);
    }
    ++(mode_ == mode::rest ? rest_steps_ : steps);
    if (mode_ == mode::rest) return take(0);
    return take(ask(chooser::running::none));
}

// Once only the driver is left, and tasklets that wait in the background for a layer's timers: what lives in the layer ends,
// as it does when rondo::run returns. True: there is something to run again.
bool simulation::end_actors(worker& w) {
    auto* layer = w.home.above.load(acquire);
    if (!layer || w.home.live() > 1 + layer->background() || layer->live() == 0) return false;
    layer->end();
    collect(w);
    return !ready_.empty();
}

task* simulation::at_point(worker& w, task& me, bool yields) noexcept {
    if (mode_ == mode::off) return nullptr;       // the driver
    if (mode_ == mode::schedule) {
        ++steps;
        if (over()) {
            note(step::interrupted);
            return back_to_driver(end::too_long);
        }
    }
    collect(w);
    if (++in_a_row_ >= longest_run) yields = true;
    if (mode_ == mode::rest) {
        if (++rest_steps_ > most_rest_steps) return back_to_driver(end::stuck);
        return yields && !ready_.empty() ? take(0) : nullptr;
    }
    if (ready_.empty()) return nullptr;
    // The running tasklet was the last to be asked, so it is not among the ready ones; it keeps its number.
    if (current_ == nobody) current_ = number_of(me);
    const auto i = ask(yields ? chooser::running::last : chooser::running::first);
    const auto others = yields ? i : i - 1;       // wraps where i names the running one
    if (others >= ready_.size()) {
        mix(current_);
        return nullptr;
    }
    note(yields ? step::yielded : step::interrupted);
    return take(others);
}

std::size_t simulation::ask(chooser::running where) noexcept {
    offered_.clear();
    if (where == chooser::running::first) offered_.push_back(current_);
    for (auto& r : ready_) offered_.push_back(r.number);
    if (where == chooser::running::last) offered_.push_back(current_);
    if (offered_.size() == 1) return 0;
    const auto i = std::min(plan_.by->choose(offered_, where), offered_.size() - 1);
    choices.push_back(static_cast<std::uint32_t>(i));
    return i;
}

// ---------------------------------------------------------------------------------------------- the trace

std::uint32_t simulation::number_of(task& t) {
    const auto id = t.id.load(relaxed);
    const auto [at, is_new] = numbers_.try_emplace(id, static_cast<std::uint32_t>(numbers_.size()));
    if (is_new && plan_.keep_trace) {
        tasklet_info& info = tasklets.emplace_back();
        info.id = id;
        if (const auto* extra = t.extra.load(relaxed)) info.name = extra->name;
        if (t.where.line() != 0) info.spawn_site = fmt::format("{}:{}", t.where.file_name(), t.where.line());
        lowlevel::describe_job(t, info);
    }
    return at->second;
}

// The place of something in memory may have been another's before.
std::uint32_t simulation::number_of(const void* object, lowlevel::wait_kind kind) {
    std::string name;
    if (is_layers_own(kind))
        if (auto* layer = worker::current()->home.above.load(acquire)) name = layer->name_of(object);
    const auto next = static_cast<std::uint32_t>(objects.size());
    const auto [at, is_new] = objects_.try_emplace(object, next);
    if (!is_new && objects[at->second] == (name.empty() ? fmt::format("{}", at->second) : name)) return at->second;
    objects.push_back(name.empty() ? fmt::format("{}", next) : std::move(name));
    return at->second = next;
}

void simulation::note(step what, lowlevel::wait_kind kind, const void* object) {
    if (mode_ != mode::schedule) return;
    mix(static_cast<std::uint64_t>(what) << 8 | static_cast<std::uint64_t>(kind));
    if (what == step::time) mix(static_cast<std::uint64_t>(now_ns_ - start_ns));
    if (!plan_.keep_trace) return;
    std::uint32_t number = nobody;
    if (object && kind == lowlevel::wait_kind::join) number = number_of(*const_cast<task*>(static_cast<const task*>(object)));
    else if (object) number = number_of(object, kind);
    trace.push_back({what, kind, current_, number, in_a_row_, now_ns_ - start_ns});
}

}  // namespace rondo::detail
