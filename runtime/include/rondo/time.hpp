// The clock; deadlines that reach every wait inside a call. (sleep_for and sleep_until are in tasklet.hpp.)
#pragma once

#include <chrono>
#include <optional>
#include <type_traits>

#include <rondo/tasklet.hpp>

namespace rondo {
namespace detail {

/// Sets the calling waiter's deadline to the earlier of its own and `until`; restores it at the end.
class deadline_scope {
public:
    explicit deadline_scope(lowlevel::time_point until) noexcept;
    ~deadline_scope();
    deadline_scope(const deadline_scope&) = delete;
    deadline_scope& operator=(const deadline_scope&) = delete;
    /// Is it this scope's own deadline that has passed, rather than one further out?
    [[nodiscard]] bool is_mine() const noexcept;

private:
    lowlevel::waiter& me_;
    std::int64_t outer_, mine_;
};

}  // namespace detail

/// The time that every timeout is measured in: the steady clock; in a tasklet of a testing world that world's virtual
/// time. Programs that ask here instead of the clock can be tested without waiting.
[[nodiscard]] inline lowlevel::time_point now() noexcept { return lowlevel::now(); }

/// Calls f with a deadline that reaches every call inside it that waits, however deep: it throws something that no
/// catch (std::exception&) holds, and `within` returns nullopt (for a void f: false). f runs in the calling tasklet
/// or thread. Computing is not interrupted; see checkpoint(). Nested deadlines: the earliest counts. Waits in destructors that
/// run because of an exception are not ended (see rondo::stopped).
///
/// Suspends: as f does.
/// Stop:     as f's calls: a stop comes out of f, and of this.
/// Throws:   what f throws.
/// Cost:     two stores and a look at the clock; each wait in f arms a timer: O(1), no allocation.
template <class Clock, class Duration, class F>
    requires detail::callable<F>
auto within_until(std::chrono::time_point<Clock, Duration> until, F&& f) {
    using R = detail::result_of_call<F>;
    detail::deadline_scope scope(detail::limit_at(until));
    try {
        if constexpr (std::is_void_v<R>) {
            f();
            return true;
        } else {
            return std::optional<std::remove_cvref_t<R>>(f());
        }
    } catch (const detail::deadline_passed&) {
        if (!scope.is_mine()) throw;
    }
    if constexpr (std::is_void_v<R>) return false;
    else return std::optional<std::remove_cvref_t<R>>();
}
template <class Rep, class Period, class F>
    requires detail::callable<F>
auto within(std::chrono::duration<Rep, Period> d, F&& f) {
    return rondo::within_until(detail::limit_after(d), std::forward<F>(f));
}

}  // namespace rondo
