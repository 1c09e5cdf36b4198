// What the _for and _until forms make of any std::chrono time: a point on the steady clock.
#pragma once

#include <chrono>
#include <type_traits>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

/// The limit of a call that must not wait at all: what a _for form with no time left, or less, passes on.
inline constexpr auto at_once = lowlevel::time_point::min();

lowlevel::time_point deadline_after(std::chrono::steady_clock::duration d) noexcept;

template <class Rep, class Period>
lowlevel::time_point limit_after(std::chrono::duration<Rep, Period> d) noexcept {
    using steady = std::chrono::steady_clock::duration;
    if (d <= d.zero()) return at_once;
    // In floating point, because the comparison itself could overflow (hours::max()).
    if (std::chrono::duration<double>(d) >= std::chrono::duration<double>(steady::max())) return lowlevel::no_deadline;
    return deadline_after(std::chrono::ceil<steady>(d));
}

/// Other clocks are looked at once, now: a clock that is set afterwards does not move the limit.
template <class Clock, class Duration>
lowlevel::time_point limit_at(std::chrono::time_point<Clock, Duration> tp) noexcept {
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
        using steady = std::chrono::steady_clock::duration;
        const auto since = tp.time_since_epoch();
        if (since <= since.zero()) return at_once;
        if (std::chrono::duration<double>(since) >= std::chrono::duration<double>(steady::max()))
            return lowlevel::no_deadline;
        return lowlevel::time_point(std::chrono::ceil<steady>(since));
    } else {
        // In floating point, as above (time_point::min()).
        const auto since = tp.time_since_epoch();
        const auto now = Clock::now().time_since_epoch();
        const auto left = std::chrono::duration<double>(since) - std::chrono::duration<double>(now);
        if (left <= left.zero()) return at_once;
        if (left >= std::chrono::duration<double>(std::chrono::steady_clock::duration::max())) return lowlevel::no_deadline;
        return limit_after(since - now);
    }
}

}  // namespace rondo::detail
