// Spawning, joining, stopping: what the templates in tasklet.hpp rest on.
#include <rondo/scope.hpp>
#include <rondo/tasklet.hpp>

#include <mutex>
#include <new>

#include "begin_task.hpp"
#include "memory_errors.hpp"
#include "run_body.hpp"
#include "scheduler.hpp"

namespace rondo::detail {

namespace {

// To the pool, from a thread that is no worker of its runtime, or after its runtime has gone.
void give_back(task& t) noexcept {
    std::lock_guard hold(t.guard);
    precise::delete_extra(t.extra.exchange(nullptr, relaxed));
    t.error = nullptr;
    t.deadline_ns = INT64_MAX;
    t.id.store(0, release);                           // these two: see detail::task
    t.state.store(task::phase::free, release);
    if (t.home) t.home->tasks.put_batch(&t, &t);
}

// It has ended, and its descriptor is ours alone.
void dispose(task& t) noexcept {
    if (t.ops->needs_destroy) t.ops->destroy(t);
    if (worker* w = worker::here(); w && w->is_home_of(t)) [[likely]] return w->recycle(t);
    give_back(t);
}

// Not for a tasklet of `home`, or its worker has to fetch descriptors or ids first.
[[gnu::noinline]] new_task allocate_slowly(scheduler* home, std::source_location where) {
    if (worker* w = worker::here(); w && w->running && (!home || home == &w->home)) {
        if (!w->prepare_spawn()) throw_out_of_memory(no_memory_for::a_tasklet);
        return {&begin_here(*w, where), w};
    }
    if (!home)
        throw usage_error("rondo::spawn outside any runtime: call it from a tasklet, or use rondo::run or "
                          "rondo::runtime::spawn");
    if (home->closing.load(relaxed))
        throw usage_error("runtime::spawn after shutdown: this runtime takes no more tasklets");
    task* t = home->tasks.get_batch(1);
    if (!t) throw_out_of_memory(no_memory_for::a_tasklet);
    begin_elsewhere(*t, where);
    return {t, nullptr};
}

}  // namespace

new_task allocate_task(scheduler* home, std::source_location where) {
    worker* w = worker::here();
    if (!w || !w->running || (home && home != &w->home) || !w->can_spawn_at_once()) [[unlikely]]
        return allocate_slowly(home, where);
    return {&begin_here(*w, where), w};
}

// Not submitted: nobody but the caller knows it.
void abandon_task(task& t) noexcept {
    if (stack* s = t.on.load(relaxed)) [[unlikely]] {
        t.on.store(nullptr, relaxed);
        t.home->stacks.put(s);
    }
    if (worker* w = worker::here(); w && w->is_home_of(t)) [[likely]] {
        ++w->counters.finished;                       // its id has counted it among the spawned
        return w->recycle(t);
    }
    give_back(t);
}

void name_task(task& t, std::string_view name, std::size_t stack_bytes) {
    try {
        auto extra = std::make_unique<task_extra>();
        extra->name = name;
        extra->stack_bytes = stack_bytes;
        if (stack_bytes > t.home->stacks.default_bytes()) {
            if (stack_bytes > stack_arena::largest_bytes) throw usage_error("spawn_options::stack_bytes: at most 1 GiB");
            stack* s = t.home->stacks.get(stack_bytes);
            t.on.store(s, relaxed);
            if (!s) throw_out_of_memory(no_memory_for::a_wanted_stack);
        }
        t.extra.store(extra.release(), release);      // pairs with the acquire of those who list tasklets
    } catch (...) {
        t.ops->discard(t);
        abandon_task(t);
        throw;
    }
}

namespace {

[[gnu::noinline]] void submit_slowly(task& t, scheduler* home) noexcept {
    worker* w = worker::here();
    if (w && w->running && (!home || home == &w->home)) return w->push_fresh(t);
    home->injected.fetch_add(1, relaxed);
    home->inject(t);
}

}  // namespace

void submit_task(new_task made, scheduler* home) noexcept {
    precise::from_here(*made.t);
    const precise::on_loop from_here_on;
    if (!made.by) [[unlikely]] return submit_slowly(*made.t, home);
    made.by->push_fresh(*made.t);
}

namespace {

[[noreturn]] void throw_joined_by_another() {
    throw usage_error("tasklet::join: somebody else is joining this tasklet already; join once");
}

// The end of a join: the result, or the error, goes to the joiner, and the descriptor back.
bool collect(held_task& held, void* into) {
    task* const ours = held.claim();
    if (!ours) [[unlikely]] throw_joined_by_another();        // he came just as it ended
    task& t = *ours;
    precise::to_here(t);
    if (t.error) [[unlikely]] {
        auto error = std::exchange(t.error, nullptr);
        dispose(t);
        std::rethrow_exception(std::move(error));
    }
    struct releaser {                             // also when the move throws
        task& t;
        ~releaser() { dispose(t); }
    } guard{t};
    if (t.ops->keeps) t.ops->take(t, into);
    return true;
}

void expect_something_to_join(task_ref r) {
    if (!r.t)
        throw usage_error("tasklet::join: there is nothing to join (already joined, or the handle was moved from); "
                          "join once, and keep the result");
}

// True: `node` is the joiner's now. False: it has ended, or, `gone`, its descriptor is no longer its own. t.guard is held
// on return only if true.
bool become_joiner(task_ref r, lowlevel::wait_node& node, bool& gone) {
    task& t = *r.t;
    t.guard.lock();
    gone = t.id.load(relaxed) != r.id;
    if (gone || t.state.load(relaxed) == task::phase::finished) {
        t.guard.unlock();
        return false;
    }
    if (node.who == &t || t.joiner || t.joiner_below()) {
        t.guard.unlock();
        if (node.who == &t) throw usage_error("tasklet::join: a tasklet cannot join itself");
        throw_joined_by_another();
    }
    t.joiner = &node;
    return true;
}

[[gnu::noinline]] bool join_failing(held_task& held, void* into);

// The tasklet has begun, or lies somewhere else, or the caller is a plain thread.
[[gnu::noinline]] bool wait_for_task(held_task& held, lowlevel::time_point until, void* into) {
    const task_ref r = held.get();
    expect_something_to_join(r);
    task& t = *r.t;
    const auto gone = [&] {                       // it ended and left nothing behind, or somebody else has that
        if (!held.claim()) throw_joined_by_another();
        precise::to_here(r.id);
        return true;
    };
    // acquire: pairs with the release at the end of the tasklet; what it did is then seen.
    if (t.id.load(acquire) != r.id) return gone();
    if (t.state.load(acquire) == task::phase::finished && t.id.load(acquire) == r.id) return collect(held, into);
    if (until == lowlevel::time_point::min()) return false;

    lowlevel::waiter* self = nullptr;
    try {
        self = &lowlevel::enter();
    } catch (const stopped&) {
        if (!has_failed(r)) throw;
    }
    if (!self) return join_failing(held, into);
    lowlevel::wait_node node(*self);
    bool is_gone;
    if (!become_joiner(r, node, is_gone)) return is_gone ? gone() : collect(held, into);
    const auto outcome = lowlevel::suspend(*self, {lowlevel::wait_kind::join, &t}, &t.guard, until);
    if (outcome == lowlevel::wake::ready) return collect(held, into);
    withdraw_from(r, node);
    if (outcome == lowlevel::wake::stopped && has_failed(r)) return join_failing(held, into);
    lowlevel::raise(outcome);
    return false;
}

// It is at its very end: that is what the joiner came for, and the stop stays for its next wait.
bool join_failing(held_task& held, void* into) {
    const lowlevel::shield until_it_has_ended;
    return wait_for_task(held, lowlevel::no_deadline, into);
}

// It lies deeper in a queue, or somebody else runs it, or it has ended.
[[gnu::noinline]] void detach_slowly(task_ref r) noexcept {
    task& t = *r.t;
    t.guard.lock();
    if (t.id.load(relaxed) != r.id) return t.guard.unlock();
    const bool finished = t.state.load(acquire) == task::phase::finished;
    if (!finished) t.detached.store(true, release);           // pairs with the acquire in run_fresh()
    t.guard.unlock();
    if (!finished) return;
    precise::to_here(t);
    if (t.error && !t.flags.was_stopped && !t.flags.joined_error && t.home) t.home->report_unhandled(t, r.id);
    dispose(t);
}

// It has failed, or belongs to a group, or leaves something behind.
[[gnu::noinline]] void end_inline(task& t) {
    if (group* const g = t.in_group.load(relaxed)) {
        g->note_end(t);
        t.in_group.store(nullptr, relaxed);
        g->count_out(1);
    }
    auto error = std::exchange(t.error, nullptr);
    worker::current()->recycle(t);
    if (error) std::rethrow_exception(std::move(error));
}

// On top of the joiner, which cannot go on before it ends. Until then the handle refers to it, so that it may be stopped.
[[gnu::always_inline]] inline bool run_inline(worker& w, task& t, held_task& held, void* into) {
    task& me = *w.running;
    t.below.store(&me, relaxed);
    t.special.store(lowlevel::waiter::on_joiner, relaxed);
    t.state.store(task::phase::started, relaxed);
    // release suffices: our next suspension up there opens its wait with a full barrier before it looks for a stop.
    me.above.store(&t, release);
    w.running = &t;
    precise::from_here(static_cast<const void*>(into));
    bool ended_well;
    {
        const precise::as_tasklet until_the_end(t, w.standing_on(), precise::on_top_of::joiner);
        ended_well = run_body(t, [&] { t.ops->run_into(t, into); });
    }
    precise::to_here(t);

    held.let_go();
    worker& now = *worker::current();                 // may be another one
    ++now.counters.inline_joins;
    now.running = &me;
    me.above.store(nullptr, relaxed);
    t.special.store(0, relaxed);
    if (!ended_well || t.in_group.load(relaxed) || t.extra.load(relaxed)) [[unlikely]] end_inline(t);
    else now.recycle_plain(t);
    if (now.joins_are_due()) [[unlikely]] lowlevel::pass_turn_after_joins();
    return true;
}

[[gnu::noinline]] bool join_slowly(held_task& held, lowlevel::time_point until, void* into) {
    worker* w = worker::here();
    const task_ref r = held.get();
    if (!w || !r.t || until != lowlevel::no_deadline || !w->take_own_from_top(*r.t, r.id, __builtin_frame_address(0)))
        return wait_for_task(held, until, into);
    return run_inline(*w, *r.t, held, into);
}

}  // namespace

bool has_failed(task_ref r) noexcept {
    if (!r.t) return false;
    // acquire: pairs with the release in claim_joiner_of_failing(); the stop that we have seen came after it.
    const auto state = r.t->state.load(acquire);
    return (state == task::phase::failing || state == task::phase::finished) && r.t->id.load(acquire) == r.id;
}

bool join_task(held_task& held, lowlevel::time_point until, void* into) {
    // An unstarted child that lies in our own deque is run here and now. (If it has ended and somebody else lives in
    // its descriptor now, then that one is not at either end of our deque under the same address, or the id differs.)
    worker* w = worker::here();
    const task_ref r = held.get();
    if (!w || !r.t || until != lowlevel::no_deadline || !w->take_own(*r.t, r.id, __builtin_frame_address(0))) [[unlikely]]
        return join_slowly(held, until, into);
    return run_inline(*w, *r.t, held, into);
}

bool ended_or_enlist(task_ref r, lowlevel::wait_node& node) {
    expect_something_to_join(r);
    if (task_done(r)) return true;
    bool gone;
    if (!become_joiner(r, node, gone)) {
        precise::to_here(r.id);
        return true;
    }
    r.t->guard.unlock();
    return false;
}

void withdraw_from(task_ref r, lowlevel::wait_node& node) noexcept {
    task& t = *r.t;
    t.guard.lock();
    if (t.joiner == &node) t.joiner = nullptr;
    t.guard.unlock();
}

namespace {

[[gnu::always_inline]] inline bool has_ended(task_ref r) noexcept {
    // acquire: pairs with the release at the end of the tasklet.
    if (r.t->id.load(acquire) != r.id) return true;
    const bool finished = r.t->state.load(acquire) == task::phase::finished;
    return finished || r.t->id.load(acquire) != r.id;
}

}  // namespace

bool task_done(task_ref r) noexcept {
    const bool yes = has_ended(r);
    if (yes) precise::to_here(r.id);
    return yes;
}

void stop_task(task_ref r) noexcept {
    task& t = *r.t;
    bool ends_wait = false;
    for (;;) {
        precise::from_here(r.id);
        std::stop_source source{std::nostopstate};
        {
            // With the guard: a token that is made later sees that the tasklet has been asked, and what we find stays.
            std::lock_guard hold(t.guard);
            // The word first, the id second: if the id is still ours then the word was, and any later tasklet here has
            // another generation, so that the compare-and-swap fails.
            auto w = t.word.load(acquire);
            if (auto* extra = t.extra.load(acquire)) source = extra->stop_source;
            if (t.id.load(acquire) != r.id || t.state.load(relaxed) == task::phase::finished) return;
            if (w & lowlevel::waiter::asked_flag) return;
            if (!source.stop_possible() || source.stop_requested()) {
                const auto next = lowlevel::stopped_word(w | lowlevel::waiter::asked_flag, ends_wait);
                if (t.word.compare_exchange_strong(w, next, seq_cst, acquire)) break;
                continue;
            }
        }
        // Callbacks run here, without our lock, and before the tasklet can see the stop: those in its own frames are there.
        precise::request_stop(source);
    }
    if (ends_wait) lowlevel::resume(t, lowlevel::placement::tail);
    else lowlevel::pass_stop_on(t, r.id);
}

bool is_own_token(const std::stop_token& token) noexcept {
    worker* const w = worker::current();
    task* const t = w ? w->running : nullptr;
    if (!t || !token.stop_possible()) return false;
    std::lock_guard hold(t->guard);
    auto* extra = t->extra.load(relaxed);
    return extra && extra->stop_source.get_token() == token;
}

void detach_task(task_ref r) noexcept {
    if (r.t->id.load(acquire) != r.id) return;
    // A thief that has it since may have seen that it is detached, or not: then we meet under its guard.
    worker* const w = worker::here();
    if (!w || !w->detach_own(*r.t)) [[unlikely]] detach_slowly(r);
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

bool stop_requested() noexcept {
    const lowlevel::waiter& me = lowlevel::self();
    const bool yes = me.stop_requested();
    if (yes) detail::precise::to_here_from_stop(me);
    return yes;
}

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
        late = t->stop_asked();
    }
    if (late) detail::precise::request_stop(source);
    return source.get_token();
}

}  // namespace rondo::this_tasklet
