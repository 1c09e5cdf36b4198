// Spawning, joining, stopping: what the templates in tasklet.hpp rest on.
#include <rondo/tasklet.hpp>

#include <mutex>
#include <new>

#include "scheduler.hpp"

namespace rondo::detail {

std::uint64_t new_ids(std::uint64_t n) noexcept;

task& allocate_task(scheduler* home, std::source_location where) {
    worker* w = worker::here();
    const bool here = w && w->running && (!home || home == &w->home);
    task* t;
    if (here) {
        t = w->allocate();
    } else {
        if (!home)
            throw usage_error("rondo::spawn outside any runtime: call it from a tasklet, or use rondo::run or "
                              "rondo::runtime::spawn");
        if (home->closing.load(relaxed))
            throw usage_error("runtime::spawn after shutdown: this runtime takes no more tasklets");
        t = home->tasks.take(1);
    }
    if (!t) throw out_of_memory("no memory for a tasklet");
    // A new generation, so that a stop meant for the one before fails; release: whoever sees it sees the id gone.
    const auto generation = static_cast<std::uint64_t>(lowlevel::waiter::generation_of(t->word.load(relaxed)) + 1);
    t->word.store(generation << 32, release);
    t->parent = w && w->running ? w->running->id.load(relaxed) : 0;
    t->where = where;
    t->flags = {};
    t->shield = 0;
    t->joiner = nullptr;
    t->below.store(nullptr, relaxed);
    t->on.store(nullptr, relaxed);
    t->deadline_ns = INT64_MAX;
    t->state.store(task::phase::fresh, relaxed);
    t->id.store(here ? w->next_id() : new_ids(1), release);
    return *t;
}

void abandon_task(task& t) noexcept {
    worker* w = worker::here();
    if (stack* s = t.on.load(relaxed)) [[unlikely]] {
        t.on.store(nullptr, relaxed);
        t.home->stacks.put(s);
    }
    if (w && w->is_home_of(t)) [[likely]] return w->recycle(t);
    std::lock_guard hold(t.guard);
    delete t.extra.exchange(nullptr, relaxed);
    t.error = nullptr;
    t.id.store(0, release);
    t.state.store(task::phase::free, release);
    if (t.home) t.home->tasks.give(&t, &t);
}

void name_task(task& t, std::string_view name, std::size_t stack_bytes) {
    try {
        auto extra = std::make_unique<task_extra>();
        extra->name = name;
        extra->stack_bytes = stack_bytes;
        if (stack_bytes > t.home->stacks.default_bytes()) {
            if (stack_bytes > (std::size_t{1} << 30))
                throw usage_error("spawn_options::stack_bytes: at most 1 GiB");
            stack* s = t.home->stacks.get(stack_bytes);
            t.on.store(s, relaxed);
            if (!s) throw out_of_memory("no memory for a stack of spawn_options::stack_bytes");
        }
        t.extra.store(extra.release(), release);      // pairs with the acquire of those who list tasklets
    } catch (...) {
        t.invoke(t, task::op::discard);
        if (t.heap_body) t.invoke(t, task::op::destroy);
        abandon_task(t);
        throw;
    }
}

void submit_task(task& t, scheduler* home) noexcept {
    worker* w = worker::here();
    if (w && w->running && (!home || home == &w->home)) {
        try {
            w->push_fresh(t);
        } catch (const std::bad_alloc&) {
            w->inbox.push(&t);                    // links need no memory
            ++w->counters.spawned;
        }
        if (w->backlog_is_full()) [[unlikely]] w->yield_for_backlog();
        return;
    }
    home->injected.fetch_add(1, relaxed);
    home->inject(t);
}

namespace {

// The tasklet has begun, or lies somewhere else, or the caller is a plain thread.
[[gnu::noinline]] join_result wait_for_task(task_ref r, lowlevel::time_point until) {
    if (!r.t)
        throw usage_error("tasklet::join: there is nothing to join (already joined, or the handle was moved from); "
                          "join once, and keep the result");
    task& t = *r.t;
    // acquire: pairs with the release at the end of the tasklet; what it did is then seen.
    if (t.id.load(acquire) != r.id) return join_result::finished_and_gone;
    if (t.state.load(acquire) == task::phase::finished && t.id.load(acquire) == r.id) return join_result::finished;
    if (until == lowlevel::time_point::min()) return join_result::timed_out;

    lowlevel::waiter& self = lowlevel::enter();
    if (&self == &t) throw usage_error("tasklet::join: a tasklet cannot join itself");
    lowlevel::wait_node node(self);
    t.guard.lock();
    if (t.id.load(relaxed) != r.id || t.state.load(relaxed) == task::phase::finished) {
        const bool gone = t.id.load(relaxed) != r.id;
        t.guard.unlock();
        return gone ? join_result::finished_and_gone : join_result::finished;
    }
    if (t.joiner) {
        t.guard.unlock();
        throw usage_error("tasklet::join: somebody else is joining this tasklet already; join once");
    }
    t.joiner = &node;
    const auto outcome = lowlevel::suspend(self, {lowlevel::wait_kind::join, &t, &t}, &t.guard, until);
    if (outcome == lowlevel::wake::ready) return join_result::finished;
    t.guard.lock();
    if (t.joiner == &node) t.joiner = nullptr;
    t.guard.unlock();
    lowlevel::raise(outcome);
    return join_result::timed_out;
}

}  // namespace

join_result join_task(task_ref r, lowlevel::time_point until) {
    // An unstarted child that lies in our own deque is run here and now. (If it has ended and somebody else lives in
    // its descriptor now, then that one is not at either end of our deque under the same address and unstarted, or the
    // id differs.)
    worker* w = worker::here();
    task* me = w ? w->running : nullptr;
    task* t = r.t;
    if (me && t && t->state.load(relaxed) == task::phase::fresh && t->id.load(relaxed) == r.id &&
        until == lowlevel::no_deadline && me->deadline_ns == INT64_MAX && !t->on.load(relaxed) && !me->stop_requested() &&
        w->stack_left(__builtin_frame_address(0)) > worker::inline_stack_bytes && w->take_own(*t)) {
        // release suffices: our next suspension up there opens its wait with a full barrier before it looks for a stop.
        me->above.store(t, release);
        worker::run_fresh(*w, *t);
        me->above.store(nullptr, relaxed);
        return join_result::finished;
    }
    return wait_for_task(r, until);
}

bool task_done(task_ref r) noexcept {
    // acquire: pairs with the release at the end of the tasklet.
    if (r.t->id.load(acquire) != r.id) return true;
    const bool finished = r.t->state.load(acquire) == task::phase::finished;
    return finished || r.t->id.load(acquire) != r.id;
}

void stop_task(task_ref r) noexcept {
    task& t = *r.t;
    // The word first, the id second: if the id is still ours then the word was, and any later tasklet here has
    // another generation, so that the compare-and-swap fails.
    auto w = t.word.load(acquire);
    for (;;) {
        if (t.id.load(acquire) != r.id || t.state.load(relaxed) == task::phase::finished) return;
        if (w & lowlevel::waiter::stop_flag) break;
        const bool ends_wait = (w & lowlevel::waiter::open_flag) && !(w & lowlevel::waiter::shield_flag);
        auto next = w | lowlevel::waiter::stop_flag;
        if (ends_wait)
            next = (next & ~(lowlevel::waiter::open_flag | std::uint64_t{0xff00})) |
                   (static_cast<std::uint64_t>(lowlevel::wake::stopped) << 8);
        if (t.word.compare_exchange_weak(w, next, seq_cst, acquire)) {
            if (ends_wait) lowlevel::resume(t, lowlevel::placement::tail);
            else lowlevel::pass_stop_on(t, r.id);
            break;
        }
    }
    std::stop_source source{std::nostopstate};
    {
        std::lock_guard hold(t.guard);
        if (t.id.load(relaxed) != r.id) return;
        if (auto* extra = t.extra.load(relaxed)) source = extra->stop_source;
    }
    source.request_stop();                        // callbacks run here, without our lock
}

void detach_task(task_ref r) noexcept {
    task& t = *r.t;
    if (t.id.load(acquire) != r.id) return;
    t.guard.lock();
    if (t.id.load(relaxed) != r.id) return t.guard.unlock();
    const bool finished = t.state.load(acquire) == task::phase::finished;
    if (!finished) t.flags.detached = true;
    t.guard.unlock();
    if (!finished) return;
    if (t.error && !t.flags.was_stopped && !t.flags.joined_error && t.home) t.home->report_unhandled(t, r.id);
    release_task(t);
}

void release_task(task& t) noexcept {
    if (t.flags.has_result || t.heap_body) [[unlikely]] t.invoke(t, task::op::destroy);
    t.on.store(nullptr, relaxed);
    if (worker* w = worker::here(); w && w->is_home_of(t)) [[likely]] return w->recycle(t);
    abandon_task(t);
}

void rethrow_and_release(task& t) {
    auto error = std::exchange(t.error, nullptr);
    release_task(t);
    std::rethrow_exception(std::move(error));
}

}  // namespace rondo::detail

namespace rondo::this_tasklet {
namespace {

detail::task* current() noexcept {
    detail::worker* w = detail::worker::current();
    return w ? w->running : nullptr;
}

}  // namespace

std::uint64_t id() noexcept {
    auto* t = current();
    return t ? t->id.load(detail::relaxed) : 0;
}

std::string_view name() noexcept {
    auto* t = current();
    auto* extra = t ? t->extra.load(detail::relaxed) : nullptr;
    return extra ? std::string_view(extra->name) : std::string_view();
}

bool stop_requested() noexcept { return lowlevel::self().stop_requested(); }

std::stop_token stop_token() {
    auto* t = current();
    if (!t) return {};
    std::stop_source source{std::nostopstate};
    bool late = false;
    {
        auto fresh = std::make_unique<detail::task_extra>();
        std::stop_source made;
        std::lock_guard hold(t->guard);
        auto* extra = t->extra.load(detail::relaxed);
        if (!extra) t->extra.store(extra = fresh.release(), detail::relaxed);
        if (!extra->stop_source.stop_possible()) extra->stop_source = made;
        source = extra->stop_source;
        late = t->stop_requested();
    }
    if (late) source.request_stop();
    return source.get_token();
}

}  // namespace rondo::this_tasklet
