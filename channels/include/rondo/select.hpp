// select: waits for the first of several things: a receive, a send, the end of a tasklet, a mutex, a time.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <type_traits>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/mutex.hpp>
#include <rondo/tasklet.hpp>

namespace rondo {
namespace lowlevel {

// ---- the clauses that come with the library; others: lowlevel/select_clause.hpp

template <class T, class F>
class receive_clause final : public select_clause {
public:
    receive_clause(const channel<T>& c, F f)
        : select_clause({wait_kind::receive, &c.core()}), core_(&c.core()), f_(std::move(f)) {
        can_close = true;
    }
    progress attempt(waiter& me, bool enlists, partner& met) override {
        if (!enlists) return core_->select_receive(into_, met);
        if (!std::exchange(pinned_, true)) core_->pin();
        return core_->select_receive(into_, fresh_node(me), place_, met);
    }
    void withdraw() noexcept override { core_->withdraw_receive(node(), place_); }
    void finish() noexcept override {
        if (std::exchange(pinned_, false)) core_->unpin();
    }
    void run() { std::invoke(f_, into_.take()); }
    [[nodiscard]] const void* object() const noexcept { return core_; }

private:
    rondo::detail::channel_core<T>* core_;
    F f_;
    rondo::detail::packet<T> into_;
    void* place_ = nullptr;
    bool pinned_ = false;
};

/// Source is T& (the caller's variable: moved from when the value is sent, untouched if not), T (a value of our own), or
/// a packet with an error in it.
template <class T, class Source, class F>
class send_clause final : public select_clause {
public:
    send_clause(const channel<T>& c, Source value, F f)
        : select_clause({wait_kind::send, &c.core()}), core_(&c.core()), value_(std::forward<Source>(value)), f_(std::move(f)) {
        can_close = true;
    }
    progress attempt(waiter& me, bool enlists, partner& met) override {
        if (!enlists) return core_->select_send(value_, met);
        if (!std::exchange(pinned_, true)) core_->pin();
        return core_->select_send(value_, fresh_node(me), place_, met);
    }
    void withdraw() noexcept override { core_->withdraw_send(node(), place_); }
    wake ended(wake outcome) noexcept override {
        const wake end = select_clause::ended(outcome);
        return end == wake::ready && node().tag == rondo::detail::value_is_back ? wake::closed : end;
    }
    void finish() noexcept override {
        if (std::exchange(pinned_, false)) core_->unpin();
    }
    void run() { std::invoke(f_); }
    [[nodiscard]] const void* object() const noexcept { return core_; }

private:
    rondo::detail::channel_core<T>* core_;
    Source value_;
    F f_;
    void* place_ = nullptr;
    bool pinned_ = false;
};

template <class R, class F>
class join_clause final : public select_clause {
public:
    join_clause(tasklet<R>& t, F f)
        : select_clause({wait_kind::join, t.ref().t, t.ref().t}), tasklet_(t), f_(std::move(f)) {}
    progress attempt(waiter& me, bool enlists, partner&) override {
        if (!enlists && tasklet_.joinable()) return tasklet_.done() ? progress::done : progress::waits;
        return rondo::detail::ended_or_enlist(tasklet_.ref(), fresh_node(me)) ? progress::done : progress::waits;
    }
    void withdraw() noexcept override { rondo::detail::withdraw_from(tasklet_.ref(), node()); }
    void run() {
        if constexpr (std::is_void_v<R>) {
            tasklet_.join();
            std::invoke(f_);
        } else {
            std::invoke(f_, tasklet_.join());
        }
    }

private:
    tasklet<R>& tasklet_;
    F f_;
};

class mutex_clause : public select_clause {
public:
    explicit mutex_clause(mutex& m) noexcept : select_clause({wait_kind::mutex, &m}), mutex_(m) {}
    progress attempt(waiter& me, bool enlists, partner&) override {
        if (mutex_.take(me)) return progress::done;
        return enlists && mutex_.lock_or_enlist(me, fresh_node(me)) ? progress::done : progress::waits;
    }
    void withdraw() noexcept override { mutex_.withdraw(node()); }

protected:
    ~mutex_clause() = default;
    mutex& mutex_;
};
template <class F>
class lock_clause final : public mutex_clause {
public:
    lock_clause(mutex& m, F f) : mutex_clause(m), f_(std::move(f)) {}
    void run() {
        std::unique_lock<mutex> guard(mutex_, std::adopt_lock);
        std::invoke(f_, guard);
    }

private:
    F f_;
};

template <class F>
struct time_clause {
    time_point until;
    F f;
    void run() { std::invoke(f); }
};
template <class F>
struct otherwise_clause {
    F f;
    void run() { std::invoke(f); }
};

template <class C>
inline constexpr bool is_time_clause = false;
template <class F>
inline constexpr bool is_time_clause<time_clause<F>> = true;
template <class C>
inline constexpr bool is_otherwise_clause = false;
template <class F>
inline constexpr bool is_otherwise_clause<otherwise_clause<F>> = true;
template <class C>
inline constexpr bool is_send_clause = false;
template <class T, class S, class F>
inline constexpr bool is_send_clause<send_clause<T, S, F>> = true;
template <class C>
inline constexpr bool is_receive_clause = false;
template <class T, class F>
inline constexpr bool is_receive_clause<receive_clause<T, F>> = true;

template <class C>
concept waiting_clause = std::derived_from<C, select_clause>;

/// What select takes: from, to, joined, locked, after, otherwise, or a class of your own.
template <class C>
concept clause = (waiting_clause<C> || is_time_clause<C> || is_otherwise_clause<C>) && requires(C& c) { c.run(); };

}  // namespace lowlevel

/// A clause of select: receives from `c` and calls f(value). An exception sent in the value's place comes out of select.
template <message T, std::invocable<T> F>
[[nodiscard]] auto from(const channel<T>& c, F f) {
    return lowlevel::receive_clause<T, F>(c, std::move(f));
}

/// A clause of select: sends `value` on `c` and calls f(). A variable (non-const lvalue of type T) stays the caller's: it
/// is moved from if and only if this clause is the one that goes ahead, as with try_send; several clauses may offer the
/// same one. Anything else is moved, copied or converted into the clause, which may outlive the call that made it, and
/// dies with it if it has not been sent.
template <message T, class V, std::invocable<> F>
    requires(std::is_same_v<V, T&> || std::constructible_from<T, V &&>)
[[nodiscard]] auto to(const channel<T>& c, V&& value, F f) {
    using source = std::conditional_t<std::is_same_v<V, T&>, T&, T>;
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

/// A clause of select: locks `m` and calls f(guard), a std::unique_lock<mutex>& that unlocks it after f.
template <std::invocable<std::unique_lock<mutex>&> F>
[[nodiscard]] auto locked(mutex& m, F f) {
    return lowlevel::lock_clause<F>(m, std::move(f));
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
    return (meet(a, all) || ...);
}

template <class... Clauses>
bool select(bool is_in_order, Clauses&... clauses) {
    constexpr auto waiting = (std::size_t{lowlevel::waiting_clause<Clauses>} + ... + 0);
    static_assert(waiting <= lowlevel::most_clauses, "rondo::select takes at most 64 clauses");
    static_assert((std::size_t{lowlevel::is_otherwise_clause<Clauses>} + ... + 0) <= 1,
                  "rondo::select takes at most one otherwise()");
    static_assert(sizeof...(Clauses) > 0, "rondo::select without clauses would wait for ever");

    if constexpr ((lowlevel::is_send_clause<Clauses> || ...) && (lowlevel::is_receive_clause<Clauses> || ...))
        if ((meets_any(clauses, clauses...) || ...)) [[unlikely]]
            throw usage_error("rondo::select: a send and a receive on the same channel would wait for each other; use two "
                              "channels, or two tasklets");

    std::array<lowlevel::select_clause*, waiting> all;
    std::size_t n = 0;
    (
        [&] {
            if constexpr (lowlevel::waiting_clause<Clauses>) all[n++] = &clauses;
        }(),
        ...);
    const auto until = std::min({until_of(clauses)...});
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
/// Stop:     throws `stopped`; no clause has gone ahead.
/// Throws:   what the chosen function throws; usage_error for a send and a receive on the same channel.
/// Cost:     O(number of clauses), no allocation. Measured in perf/select.
template <lowlevel::clause... Clauses>
bool select(Clauses&&... clauses) {
    return detail::select(false, clauses...);
}
template <lowlevel::clause... Clauses>
bool select(in_order_t, Clauses&&... clauses) {
    return detail::select(true, clauses...);
}

}  // namespace rondo
