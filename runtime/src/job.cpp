// Jobs and attachments: see lowlevel/job.hpp.
#include <rondo/lowlevel/job.hpp>

#include <new>

#include "begin_task.hpp"
#include "blocking_threads.hpp"
#include "scheduler.hpp"

namespace rondo::lowlevel {

namespace precise = rondo::detail::precise;
using rondo::detail::acq_rel;
using rondo::detail::acquire;
using rondo::detail::relaxed;
using rondo::detail::release;
using rondo::detail::scheduler;
using rondo::detail::task;
using rondo::detail::worker;

namespace {

struct job_body {
    job_function run;
    void* what;
};

job_body body_of_job(task& t) noexcept { return *std::launder(reinterpret_cast<job_body*>(t.body)); }

void run_job(task& t) {
    const auto body = body_of_job(t);
    body.run(body.what, false);
}
void run_stopped_job(task& t) {                       // its work must be done all the same
    struct shielded {
        task& t;
        explicit shielded(task& u) noexcept : t(u) { ++t.shield; }
        ~shielded() { --t.shield; }
    } until_it_ends(t);
    const auto body = body_of_job(t);
    body.run(body.what, true);
}
constexpr task::operations job_operations{&run_job, [](task& t, void*) { run_job(t); }, &run_stopped_job,
                                          [](task&, void*) {}, [](task&) noexcept {}, false, false};

[[gnu::always_inline]] inline job with_body(task& t, job_function run, void* what) noexcept {
    t.detached.store(true, relaxed);
    t.ops = &job_operations;
    ::new (static_cast<void*>(t.body)) job_body{run, what};
    return {&t, t.id.load(relaxed)};
}
// Nullptr: it is none of these.
[[gnu::always_inline]] inline void* what_runs(task* t, job_function run) noexcept {
    if (!t || t->ops != &job_operations) return nullptr;
    const auto body = body_of_job(*t);
    return body.run == run ? body.what : nullptr;
}
[[gnu::always_inline]] inline void* what_runs(const worker* w, job_function run) noexcept {
    return w ? what_runs(w->running, run) : nullptr;
}
[[gnu::always_inline]] inline void write_down(job_record& in, job j) noexcept {
    in.id.store(j.id, relaxed);
    in.t.store(j.t, release);                             // pairs with the acquire of who stops it: he sees the id
}
[[gnu::noinline]] void start_slowly(home& at, job_function run, void* what, std::source_location where, job_record& in) noexcept {
    const job j = make_job(at, run, what, where);
    write_down(in, j);
    submit_job(at, j, running_job(run) ? placement::next : placement::tail);
}

}  // namespace

job make_job(home& at, job_function run, void* what, std::source_location where) noexcept {
    worker* w = worker::here();
    const bool here = w && &w->home == &at;
    task* t = nullptr;
    for (unsigned round = 0;; ++round) {              // until there is memory
        if (here ? w->prepare_spawn() : (t = at.tasks.get_batch(1)) != nullptr) break;
        detail::spin_wait(round);
    }
    if (here) return with_body(rondo::detail::begin_here(*w, where), run, what);
    rondo::detail::begin_elsewhere(*t, where);
    return with_body(*t, run, what);
}

void start_job(home& at, job_function run, void* what, std::source_location where, job_record& in) noexcept {
    worker* const w = worker::here();
    if (!w || &w->home != &at || !w->can_spawn_at_once()) [[unlikely]] return start_slowly(at, run, what, where, in);
    const job j = with_body(rondo::detail::begin_here(*w, where), run, what);
    write_down(in, j);
    precise::from_here(*j.t);
    const precise::on_loop from_here_on;
    if (what_runs(w, run)) w->push_next(*j.t);
    else w->push_job(*j.t);
}

void submit_job(home& at, job j, placement where) noexcept {
    worker* w = worker::here();
    task& t = *j.t;
    precise::from_here(t);
    const precise::on_loop from_here_on;
    if (!w || &w->home != &at) {
        at.injected.fetch_add(1, relaxed);
        return at.inject(t);
    }
    if (where == placement::next) return w->push_next(t);
    w->push_job(t);
}

unsigned operations_in_time(unsigned most) noexcept { return worker::here()->operations_in_time(most); }

void stop_job(job j) noexcept { rondo::detail::stop_task(j); }

void watch_waits(bool yes) noexcept { self().special.store(yes ? waiter::watched : std::uint8_t{0}, relaxed); }

void watch_wait(task& t, bool begins, watched_wait& w) noexcept {
    auto& layer = *t.home->above.load(acquire);       // pairs with the release in attach()
    if (!begins) {
        layer.wait_has_ended(w);
        t.special.store(waiter::watched, relaxed);
        return;
    }
    t.special.store(0, relaxed);
    w.who = {&t, t.id.load(relaxed)};
    w.what = body_of_job(t).what;
    layer.wait_begins(w);
}

void describe_job(task& t, tasklet_info& info) {
    auto* layer = t.home->above.load(acquire);        // pairs with the release in attach()
    if (!layer || t.ops != &job_operations) return;
    const auto body = body_of_job(t);
    layer->describe_job(body.run, body.what, info);
}

void* running_job(job_function run) noexcept { return what_runs(worker::here(), run); }

void* blocking_job(job_function run) noexcept { return what_runs(rondo::detail::blocking_threads::serves_task, run); }

home* home_here() noexcept {
    worker* w = worker::here();
    return w && w->running ? &w->home : nullptr;
}

unsigned worker_here() noexcept {
    worker* w = worker::here();
    return w ? w->index : 0;
}

attachment& attach(home& at, attachment* (*make)(home&)) {
    // acquire: pairs with the release below; we see what `make` made.
    if (auto* a = precise::seen(at.above)) return *a;
    attachment* fresh = make(at);
    precise::from_here(static_cast<const void*>(&at.above));
    attachment* other = nullptr;
    // acquire, if somebody was faster: as above.
    if (at.above.compare_exchange_strong(other, fresh, acq_rel, acquire)) return *fresh;
    fresh->home_is_gone();
    precise::to_here(static_cast<const void*>(&at.above));
    return *other;
}

void report_unhandled(home& at, std::exception_ptr error, const tasklet_info& who) noexcept {
    at.report_unhandled(std::move(error), who);
}

bool is_closing(const home& at) noexcept { return at.closing.load(relaxed); }

time_point now_at(home& at) noexcept { return time_point(std::chrono::nanoseconds(at.now_ns())); }

}  // namespace rondo::lowlevel
