// Tasklets: functions that can wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <source_location>
#include <stop_token>
#include <string_view>
#include <utility>

#include <rondo/detail/task.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/tasklet_info.hpp>

namespace rondo {
/// What may be said about a tasklet when it is spawned. `where` fills itself in with the place of the call.
struct spawn_options {
    std::string_view name = {};            ///< for dumps and reports; copied
    std::size_t stack_bytes = 0;           ///< address space for its stack, as in runtime_options; 0: the runtime's default
    std::source_location where = std::source_location::current();
};

/// The handle of a spawned tasklet. Move-only. Dropping it loses nothing: the tasklet goes on, `run` waits for it, and
/// an exception that nobody joined comes out of `run`. Thread-safe in that stop() and done() may be called while
/// another tasklet or thread joins. Stays safe after its runtime has gone.
template <class R>
class tasklet {
public:
    using result_type = R;

    tasklet() noexcept = default;
    tasklet(tasklet&& other) noexcept : held_(other.held_.take()) {}
    tasklet& operator=(tasklet&& other) noexcept {
        if (this != &other) {
            drop();
            held_ = other.held_.take();
        }
        return *this;
    }
    ~tasklet() { drop(); }

    /// Waits for the end of the tasklet and gives its result, or throws what it ended with (`stopped` if it was
    /// stopped). An unstarted child that still lies in this worker's queue is run here and now, as a plain call; a stop
    /// that then reaches the joiner is passed on to that child.
    ///
    /// Suspends: until the tasklet has ended. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the tasklet goes on and can be joined again. One that has ended gives its result.
    /// Throws:   usage_error when there is nothing to join (joined before, moved from).
    /// Cost:     O(1), no allocation. Measured in perf/spawn_join and perf/fib.
    R join() {
        detail::joined_result<R> result;
        (void)detail::join_task(held_, lowlevel::no_deadline, result.address());
        if constexpr (!std::is_void_v<R>) return result.take();
    }

    /// As join(), but gives up after a while: nullopt (false for tasklet<void>); the tasklet goes on. A reference comes as a
    /// std::reference_wrapper.
    template <class Rep, class Period>
    auto join_for(std::chrono::duration<Rep, Period> d) {
        return join_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    auto join_until(std::chrono::time_point<Clock, Duration> tp) {
        return join_by(detail::limit_at(tp));
    }
    /// join() if it has ended already, else nullopt (false). Suspends: never.
    auto try_join() { return join_by(detail::at_once); }

    /// Asks the tasklet to stop: its next call that may suspend, or the one it is in, throws `stopped`. Sticky. Nothing
    /// happens if it has ended. Suspends: never. Thread-safe.
    void stop() noexcept {
        if (const auto r = ref(); r.t) detail::stop_task(r);
    }
    /// Has it ended? Suspends: never. Thread-safe. False for an empty handle.
    [[nodiscard]] bool done() const noexcept {
        const auto r = ref();
        return r.t && detail::task_done(r);
    }
    /// Unique in the process; 0 for an empty handle.
    [[nodiscard]] std::uint64_t id() const noexcept {
        const auto r = ref();
        return r.t ? r.id : 0;
    }
    /// Is there something to join?
    [[nodiscard]] bool joinable() const noexcept { return ref().t != nullptr; }
    explicit operator bool() const noexcept { return joinable(); }

    /// For the library.
    explicit tasklet(detail::task_ref ref) noexcept : held_(ref) {}
    [[nodiscard]] detail::task_ref ref() const noexcept { return held_.get(); }

private:
    auto join_by(lowlevel::time_point limit) {
        detail::joined_result<R> result;
        const bool ended = detail::join_task(held_, limit, result.address());
        if constexpr (std::is_void_v<R>) return ended;
        else return ended ? detail::result_or_none_t<R>(result.take()) : detail::result_or_none_t<R>();
    }
    void drop() noexcept {
        if (const auto r = held_.take(); r.t) detail::detach_task(r);
    }
    detail::held_task held_;
};

namespace detail {
template <class F, class... Args>
auto spawn_in(scheduler* home, const spawn_options& o, F&& f, Args&&... args) {
    const new_task made = detail::make_task(home, o.where, std::forward<F>(f), std::forward<Args>(args)...);
    if (!o.name.empty() || o.stack_bytes) name_task(*made.t, o.name, o.stack_bytes);
    tasklet<result_of_call<F, Args...>> handle(task_ref{made.t, made.t->id.load(relaxed)});
    submit_task(made, home);
    return handle;
}
template <class F, class... Args>
auto spawn_plain(scheduler* home, std::source_location where, F&& f, Args&&... args) {
    const new_task made = detail::make_task(home, where, std::forward<F>(f), std::forward<Args>(args)...);
    tasklet<result_of_call<F, Args...>> handle(task_ref{made.t, made.t->id.load(relaxed)});
    submit_task(made, home);
    return handle;
}
}  // namespace detail

using call_site = std::source_location;
namespace detail {
/// For what is spawned by templates that cannot tell where they were called: better than a place in a header.
inline constexpr call_site somewhere{};
}  // namespace detail

/// Makes a tasklet that runs f(args...) on any worker of the calling tasklet's runtime; copies are made as std::thread
/// does. It starts at the earliest when the caller suspends (one worker: in order of creation), or at once on another
/// worker.
///
/// Suspends: yields while very many tasklets of this worker have not started yet (runtime option spawn_backlog).
/// Throws:   usage_error outside any runtime (use rondo::run or runtime::spawn) and for a stack that is too large,
///           out_of_memory.
/// Cost:     O(1); no stack, no allocation up to 64 bytes of callable and arguments. Measured in perf/spawn_join.
template <class F>
    requires detail::callable<F>
auto spawn(F&& f, call_site w = call_site::current()) {
    return detail::spawn_plain(nullptr, w, std::forward<F>(f));
}
template <class F, class A>
    requires detail::callable<F, A>
auto spawn(F&& f, A&& a, call_site w = call_site::current()) {
    return detail::spawn_plain(nullptr, w, std::forward<F>(f), std::forward<A>(a));
}
template <class F, class A, class B>
    requires detail::callable<F, A, B>
auto spawn(F&& f, A&& a, B&& b, call_site w = call_site::current()) {
    return detail::spawn_plain(nullptr, w, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
}
template <class F, class A, class B, class C>
    requires detail::callable<F, A, B, C>
auto spawn(F&& f, A&& a, B&& b, C&& c, call_site w = call_site::current()) {
    return detail::spawn_plain(nullptr, w, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                               std::forward<C>(c));
}
template <class F, class A, class B, class C, class D, class... More>
    requires detail::callable<F, A, B, C, D, More...>
auto spawn(F&& f, A&& a, B&& b, C&& c, D&& d, More&&... more) {
    return detail::spawn_plain(nullptr, detail::somewhere, std::forward<F>(f), std::forward<A>(a),
                               std::forward<B>(b), std::forward<C>(c), std::forward<D>(d),
                               std::forward<More>(more)...);
}
template <class F, class... Args>
    requires detail::callable<F, Args...>
auto spawn(const spawn_options& options, F&& f, Args&&... args) {
    return detail::spawn_in(nullptr, options, std::forward<F>(f), std::forward<Args>(args)...);
}

/// To the tail of the run queue: everybody who became ready on this worker before now runs first. On a plain thread:
/// std::this_thread::yield (the first such call in Rondo makes a record of the thread). Suspends: yes. Throws: stopped.
void yield();

/// For long computations: throws `stopped` if a stop was requested or a deadline has passed, and yields if the time
/// slice is over (128 operations, or about a millisecond). Costs some nanoseconds when there is nothing to do. On a plain
/// thread: looks for a deadline, no more.
void checkpoint();

/// Suspends the calling tasklet (blocks a plain thread) for a time. Never returns early. Throws: stopped.
void sleep_until(lowlevel::time_point tp);
template <class Clock, class Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> tp) {
    sleep_until(detail::limit_at(tp));
}
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> d) {
    const auto until = detail::limit_after(d);
    if (until == detail::at_once) return yield();
    sleep_until(until);
}

namespace this_tasklet {

/// The calling tasklet's id; 0 on a plain thread. Use it instead of std::this_thread::get_id(), which changes when
/// the tasklet resumes on another worker.
[[nodiscard]] std::uint64_t id() noexcept;
/// Its name; empty if none was given. Valid while the tasklet lives.
[[nodiscard]] std::string_view name() noexcept;
/// Fires when the tasklet is asked to stop: for code that waits elsewhere. Made on first use. Its callbacks run in whoever asks,
/// before the tasklet itself hears of it, and must not suspend (std::stop_callback knows its thread by the id, which a tasklet
/// may change).
[[nodiscard]] std::stop_token stop_token();
/// Has it been asked to stop?
[[nodiscard]] bool stop_requested() noexcept;

}  // namespace this_tasklet
}  // namespace rondo
