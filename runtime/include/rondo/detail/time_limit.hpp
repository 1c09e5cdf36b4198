// What calls and options make of any std::chrono time: ticks and points of the steady clock. Nothing overflows on the way:
// what is too long to be told, hours::max() say, is the longest that can.
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <type_traits>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

using ticks = std::chrono::steady_clock::duration;

/// Rounded up, so that nobody is woken early. Not a number counts as the longest.
template <class Rep, class Period>
constexpr ticks in_ticks(std::chrono::duration<Rep, Period> d) noexcept {
    if constexpr (std::is_same_v<decltype(d), ticks>) {
        return d;
    } else {
        // In floating point, because the comparison itself could overflow.
        const std::chrono::duration<double> seconds(d);
        if (!(seconds < std::chrono::duration<double>(ticks::max()))) return ticks::max();
        if (seconds <= std::chrono::duration<double>(ticks::min())) return ticks::min();
        return std::chrono::ceil<ticks>(d);
    }
}

/// A length of time in options and parameters: made from any std::chrono duration.
class time_span {
public:
    template <class Rep, class Period>
    constexpr time_span(std::chrono::duration<Rep, Period> d) noexcept : length_(in_ticks(d)) {}
    constexpr time_span() noexcept = default;
    constexpr operator ticks() const noexcept { return length_; }
    friend constexpr auto operator<=>(time_span a, time_span b) noexcept = default;

    /// For lengths that are not negative; at most the longest.
    friend constexpr time_span operator+(time_span a, time_span b) noexcept {
        return a.length_ > ticks::max() - b.length_ ? ticks::max() : a.length_ + b.length_;
    }

private:
    ticks length_{};
};

/// The limit of a call that must not wait at all: what a _for form with no time left, or less, passes on.
inline constexpr auto at_once = lowlevel::time_point::min();

/// So long from now on; now if `d` is negative.
lowlevel::time_point deadline_after(ticks d) noexcept;

inline lowlevel::time_point limit_after(time_span d) noexcept {
    return d <= time_span() ? at_once : deadline_after(d);
}

/// Other clocks are looked at once, now: a clock that is set afterwards does not move the limit.
template <class Clock, class Duration>
lowlevel::time_point limit_at(std::chrono::time_point<Clock, Duration> tp) noexcept {
    const ticks at = in_ticks(tp.time_since_epoch());
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
        return at <= ticks::zero() ? at_once : lowlevel::time_point(at);
    } else {
        const ticks now = in_ticks(Clock::now().time_since_epoch());       // negative where the epoch is still to come
        if (at <= now) return at_once;
        return at >= ticks::max() + std::min(now, ticks::zero()) ? lowlevel::no_deadline : limit_after(at - now);
    }
}

}  // namespace rondo::detail
