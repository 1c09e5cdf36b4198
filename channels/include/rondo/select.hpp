// select: waits for the first of several things: a receive, a send, the end of a tasklet, a lock, a count, a stop, a time.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/clauses.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/wait_group.hpp>

namespace rondo {

// What follows makes clauses. A clause stands for a call that may wait: it goes ahead when that call could, from a tasklet or
// from a plain thread, and then its function is called. Making one never suspends and allocates nothing; the object it names
// must be there until select returns. Its cost is what it adds to select's: O(1).

/// A clause of select: receives from `c` and calls f(value). An exception sent in the value's place comes out of select.
template <message T, std::invocable<T> F>
[[nodiscard]] auto from(const channel<T>& c, F f) {
    return lowlevel::receive_clause<T, F>(c, std::move(f));
}

/// A clause of select: sends `value` on `c` and calls f(). It is copied, moved or converted into the clause, which may
/// outlive the call that made it, and dies with it if it has not been sent. But a variable of a type that cannot be copied
/// stays the caller's: it is moved from if and only if this clause is the one that goes ahead, as with try_send; several
/// clauses may offer the same one.
template <message T, class V = T, std::invocable<> F>
    requires(detail::stays_with_sender<V, T> || std::constructible_from<T, V &&>)
[[nodiscard]] auto to(const channel<T>& c, V&& value, F f) {
    using source = std::conditional_t<detail::stays_with_sender<V, T>, T&, T>;
    return lowlevel::send_clause<T, source, F>(c, static_cast<source>(std::forward<V>(value)), std::move(f));
}

/// A clause of select: sends an exception on `c` in a value's place, as send_error() does, and calls f(). Throws
/// usage_error if there is none.
template <message T, std::invocable<> F>
[[nodiscard]] auto error_to(const channel<T>& c, std::exception_ptr error, F f) {
    using source = detail::packet<T>;
    return lowlevel::send_clause<T, source, F>(c, source(detail::as_error{std::move(error)}), std::move(f));
}

/// A clause of select: joins `t` once it has ended and calls f(result), or f() for tasklet<void>. What it ended with comes
/// out of select as out of join(). Throws usage_error where join() would.
template <class R, class F>
    requires(std::is_void_v<R> ? std::invocable<F> : std::invocable<F, R>)
[[nodiscard]] auto joined(tasklet<R>& t, F f) {
    return lowlevel::join_clause<R, F>(t, std::move(f));
}

/// A clause of select: locks `m`, a mutex or a shared_mutex (alone), and calls f(guard), a std::unique_lock<M>& that unlocks
/// it after f, unless f has moved from it. It stands in line for `m` as lock() does: readers of a shared_mutex that come later
/// wait behind it, until another clause goes ahead. Throws usage_error out of select if the caller holds `m` alone already
/// and would wait for it.
template <class M, class F>
    requires lowlevel::lock_for_select<M> && std::invocable<F, std::unique_lock<M>&>
[[nodiscard]] auto locked(M& m, F f) {
    if constexpr (std::same_as<M, mutex>)
        return lowlevel::lock_clause<std::unique_lock<M>, F, M>(lowlevel::wait_kind::mutex, m, std::move(f));
    else
        return lowlevel::lock_clause<std::unique_lock<M>, F, M, false>(lowlevel::wait_kind::shared_mutex, m, std::move(f));
}
/// A clause of select: the same for a shared_mutex as one of its readers; f gets a std::shared_lock<shared_mutex>&.
template <std::invocable<std::shared_lock<shared_mutex>&> F>
[[nodiscard]] auto locked_shared(shared_mutex& m, F f) {
    using clause = lowlevel::lock_clause<std::shared_lock<shared_mutex>, F, shared_mutex, true>;
    return clause(lowlevel::wait_kind::shared_mutex, m, std::move(f));
}

/// A clause of select: takes a permit, as acquire() does, and calls f(). The permit is the caller's now, also if f throws:
/// release() gives it back. A clause that does not go ahead takes none.
template <std::invocable<> F>
[[nodiscard]] auto acquired(semaphore& s, F f) {
    return lowlevel::done_clause<F, semaphore>(lowlevel::wait_kind::semaphore, s, std::move(f));
}

/// A clause of select: goes ahead when wait() would return, and calls f(). As from wait(), whoever was found waiting by
/// set() goes on even if reset() follows at once, and may destroy the event.
template <std::invocable<> F>
[[nodiscard]] auto waited(event& e, F f) {
    return lowlevel::done_clause<F, event>(lowlevel::wait_kind::event, e, std::move(f));
}
template <std::invocable<> F>
[[nodiscard]] auto waited(latch& l, F f) {
    return lowlevel::done_clause<F, latch>(lowlevel::wait_kind::latch, l, std::move(f));
}
template <std::invocable<> F>
[[nodiscard]] auto waited(wait_group& g, F f) {
    return lowlevel::done_clause<F, wait_group>(lowlevel::wait_kind::wait_group, g, std::move(f));
}

/// A clause of select: does what o.call(g) does, then calls f(). It goes ahead when `o` has been done, and also when nobody is
/// at it: then g() is run here, once select has chosen this clause (not before, and not if another one goes ahead), and may
/// suspend. What g throws comes out of select, f is not called, and it does not count: whoever waits longest tries its own.
/// Throws usage_error out of select when called from inside o's function.
template <std::invocable<> G, std::invocable<> F>
[[nodiscard]] auto called(once& o, G g, F f) {
    return lowlevel::once_clause<G, F>(o, std::move(g), std::move(f));
}

/// A clause of select: where select would throw `stopped`, it calls f() instead and returns true. So the last words of a
/// tasklet that is stopped need no catch:
///
///     while (running && rondo::select(rondo::from(orders, cook), rondo::stopping([&] { running = false; }))) {}
///
/// A stop comes first, whatever else can go ahead; with in_order it has its place in the list, so that what lies before it
/// is still done. The stop stays: the next call that may suspend, in f or later, throws `stopped` (unless it is such a
/// select). A deadline (rondo::within) is no stop, and a plain thread is not stopped: there it never goes ahead.
template <std::invocable<> F>
[[nodiscard]] auto stopping(F f) {
    return lowlevel::stop_clause<F>(std::move(f));
}
/// A clause of select: calls f() once a stop has been requested of `token`'s source, by whatever thread. One among others:
/// of several that can go ahead, chance decides. The token of the calling tasklet itself is as stopping(). A token without
/// a source never goes ahead. The caller of request_stop() is held up by nothing but the making ready of who waits.
template <std::invocable<> F>
[[nodiscard]] auto stopped_by(std::stop_token token, F f) {
    return lowlevel::stopped_by_clause<F>(std::move(token), std::move(f));
}

/// A clause of select: calls f() if nothing else could go ahead for that long (from the making of the clause on).
template <class Rep, class Period, std::invocable<> F>
[[nodiscard]] auto after(std::chrono::duration<Rep, Period> d, F f) {
    return lowlevel::time_clause<F>{detail::limit_after(d), std::move(f)};
}
/// A clause of select: the same for a point in time.
template <class Clock, class Duration, std::invocable<> F>
[[nodiscard]] auto at(std::chrono::time_point<Clock, Duration> tp, F f) {
    return lowlevel::time_clause<F>{detail::limit_at(tp), std::move(f)};
}

/// A clause of select: calls f() if nothing can go ahead now. At most one.
template <std::invocable<> F>
[[nodiscard]] auto otherwise(F f) {
    return lowlevel::otherwise_clause<F>{std::move(f)};
}

/// select(in_order, ...): of the clauses that can go ahead, the first in the list is taken.
struct in_order_t {
    explicit in_order_t() = default;
};
inline constexpr in_order_t in_order{};

namespace detail {

template <class C>
constexpr lowlevel::time_point until_of(const C& c) noexcept {
    if constexpr (lowlevel::is_time_clause<C>) return c.until;
    else return lowlevel::no_deadline;
}

// A send and a receive of one select would meet each other.
template <class A, class B>
bool meet(const A& a, const B& b) noexcept {
    if constexpr (lowlevel::is_send_clause<A> && lowlevel::is_receive_clause<B>) return a.object() == b.object();
    else return false;
}
template <class A, class... All>
bool meets_any(const A& a, const All&... all) noexcept {
    return (detail::meet(a, all) || ...);
}

template <class... Clauses>
bool select(bool is_in_order, Clauses&... clauses) {
    constexpr auto waiting = (std::size_t{lowlevel::waiting_clause<Clauses>} + ... + 0);
    static_assert(waiting <= lowlevel::most_clauses, "rondo::select takes at most 64 clauses");
    static_assert((std::size_t{lowlevel::is_otherwise_clause<Clauses>} + ... + 0) <= 1,
                  "rondo::select takes at most one otherwise()");
    static_assert(sizeof...(Clauses) > 0, "rondo::select without clauses would wait for ever");

    if constexpr ((lowlevel::is_send_clause<Clauses> || ...) && (lowlevel::is_receive_clause<Clauses> || ...))
        if ((detail::meets_any(clauses, clauses...) || ...)) [[unlikely]]
            throw usage_error("rondo::select: a send and a receive on the same channel would wait for each other; use two "
                              "channels, or two tasklets");

    std::array<lowlevel::select_clause*, waiting> all;
    std::size_t n = 0;
    (
        [&] {
            if constexpr (lowlevel::waiting_clause<Clauses>) all[n++] = &clauses;
        }(),
        ...);
    const auto until = std::min({detail::until_of(clauses)...});
    const int chosen = lowlevel::select(all, {.in_order = is_in_order,
                                              .otherwise = (lowlevel::is_otherwise_clause<Clauses> || ...) ||
                                                           until == at_once,
                                              .until = until});
    if (chosen == lowlevel::select_closed) return false;

    bool timed_out = chosen == lowlevel::select_timed_out;
    bool otherwise = chosen == lowlevel::select_otherwise;
    if (otherwise && !(lowlevel::is_otherwise_clause<Clauses> || ...)) otherwise = !(timed_out = true);
    int index = 0;
    const auto run = [&]<class C>(C& c) {
        if constexpr (lowlevel::waiting_clause<C>) {
            if (index++ == chosen) c.run();
        } else if constexpr (lowlevel::is_time_clause<C>) {
            if (timed_out && c.until == until) {
                timed_out = false;                      // of equal ones the first
                c.run();
            }
        } else {
            if (otherwise) c.run();
        }
    };
    (run(clauses), ...);
    return true;
}

template <class... Clauses>
constexpr void made_for_this_call() {
    static_assert((!std::is_lvalue_reference_v<Clauses> && ...),
                  "a clause is for one call: make it there, as in rondo::select(rondo::from(c, f), ...), or give it away by "
                  "std::move");
}

}  // namespace detail

/// Waits until the first of its clauses can go ahead, does that one and no other, calls its function, returns true. False
/// once it has clauses on channels and all these channels are closed (and, to receive from, empty); what can go ahead
/// still goes ahead before that. Of several that can, chance decides. The others leave no trace.
///
///     while (rondo::select(rondo::from(orders, [](order o) { note(o); }),
///                          rondo::from(plates, [](plate p) { serve(p); }),
///                          rondo::after(5s, [] { fmt::print("quiet tonight\n"); }))) {}
///
/// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread. With otherwise(): yields at
///           most.
/// Stop:     throws `stopped`; no clause has gone ahead. With stopping(): that one goes ahead.
/// Throws:   what the chosen function throws; usage_error for a send and a receive on the same channel.
/// Cost:     O(number of clauses), no allocation. Measured in perf/select.
template <class... Clauses>
    requires(lowlevel::clause<std::remove_cvref_t<Clauses>> && ...)
bool select(Clauses&&... clauses) {
    detail::made_for_this_call<Clauses...>();
    return detail::select(false, clauses...);
}
template <class... Clauses>
    requires(lowlevel::clause<std::remove_cvref_t<Clauses>> && ...)
bool select(in_order_t, Clauses&&... clauses) {
    detail::made_for_this_call<Clauses...>();
    return detail::select(true, clauses...);
}

}  // namespace rondo
