// Channels: hand a value across.
#pragma once

#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include <rondo/error.hpp>
#include <rondo/lowlevel/wait.hpp>

#include <rondo/detail/receiving_iterator.hpp>
#include <rondo/detail/rendezvous_channel.hpp>
#include <rondo/detail/slots_channel.hpp>
#include <rondo/detail/spin_channel.hpp>
#include <rondo/detail/time_limit.hpp>

namespace rondo {
namespace lowlevel {
template <class T, class F>
class receive_clause;
template <class T, class Source, class F>
class send_clause;
}  // namespace lowlevel

/// Which side keeps the worker when both meet on it; the other goes to the tail of the run queue. `none`: the caller goes
/// on, the partner to the tail, too; or, while 24 are ready or more, it runs as soon as the caller waits, since both work
/// on the same things (for half a millisecond in a row at most, then the others; a select's partner always goes to the
/// tail). Stackless's channel preference -1, 1 and 0.
enum class handoff : std::uint8_t { receiver, sender, none };

/// A channel that never makes its senders wait: channel<T> c{rondo::unbounded}.
struct unbounded_t {
    explicit unbounded_t() = default;
};
inline constexpr unbounded_t unbounded{};

/// The baseline that the lock-free channels are measured against: everything under one spin lock. Behaves the same.
/// channel<T> c{rondo::spin_locked, slots, who}.
struct spin_locked_t {
    explicit spin_locked_t() = default;
};
inline constexpr spin_locked_t spin_locked{};

/// What became of a try_send or send_for. As a bool: was the value sent?
struct send_status {
    enum code : std::uint8_t { done, full, closed, timed_out };
    code value = done;
    constexpr send_status(code c) noexcept : value(c) {}
    /// To bool alone, not on to a number: a switch over it, or a sum, would mean something else.
    template <std::same_as<bool> B>
    constexpr operator B() const noexcept {
        return value == done;
    }
    friend constexpr bool operator==(send_status a, send_status b) noexcept = default;
    friend constexpr bool operator==(send_status a, code b) noexcept { return a.value == b; }
};

/// Hands values from any number of senders to any number of receivers.
///
/// Without slots (the default) a send meets a receive and the value goes straight from frame to frame; with n slots up
/// to n values wait in between. Waiters are served in order of arrival. A channel is a handle: copies name the same
/// channel; when the last copy goes, those that still wait get `closed`. Safe from any tasklet and any thread, of any
/// runtime or none.
///
/// T is a `message` (below: an object whose move does not throw). It may be incomplete where the channel is a member, so
/// that a message can carry a channel of its own kind: struct request { int what; rondo::channel<request> answer; };
///
/// Example: samples/ping_pong.cpp.   Algorithms: channels/include/rondo/detail/{cell_queue,slots_channel,spin_channel}.hpp.
template <class T>
    requires std::is_object_v<T>
class channel {
public:
    using value_type = T;

    /// Open from the start. Allocates once, all slots together (sizeof(T) and some 16 bytes each); without a limit a few at a
    /// time, and keeps what it has until it goes. Throws std::bad_alloc, usage_error for std::size_t(-1) slots.
    channel() : channel(std::size_t{0}) {}
    explicit channel(std::size_t slots) : channel(slots, slots == 0 ? handoff::receiver : handoff::none) {}
    explicit channel(unbounded_t) : core_(new detail::slots_channel<T>(detail::no_limit)) {}
    explicit channel(handoff who) : channel(0, who) {}
    /// With slots neither side waits for the other: `who` must be handoff::none then (usage_error).
    channel(std::size_t slots, handoff who) : core_(make(slots, who)) {}
    explicit channel(spin_locked_t, std::size_t slots = 0)
        : channel(spin_locked, slots, slots == 0 ? handoff::receiver : handoff::none) {}
    channel(spin_locked_t, std::size_t slots, handoff who)
        : core_(new detail::spin_channel<T>(slots, handoff_code(slots, who))) {}
    channel(const channel& other) noexcept : core_(other.core_) {
        if (core_) core_->add_handle();
    }
    channel(channel&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    channel& operator=(channel other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~channel() {
        if (core_) core_->drop_handle();
    }

    /// Returns when a receiver, or a slot, has the value. A variable that is given away, send(std::move(v)), is moved
    /// from if and only if it is sent: whatever this throws, it is as it was. So in all that follows.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the value has not been sent.
    /// Throws:   `closed` if the channel is closed before the value is taken.
    /// Cost:     O(1), no allocation (but for an unbounded channel's storage). Measured in perf/pingpong, perf/mpmc.
    void send(T&& value) const { core().send(value, lowlevel::no_deadline); }
    void send(const T& value) const
        requires std::copy_constructible<T>
    {
        send(T(value));
    }

    /// Takes `value` only if it can be handed over at once; on failure what was given away, or cannot be copied, is left
    /// untouched. Never throws `closed`. Suspends: never.
    send_status try_send(T&& value) const { return status(core().try_send(value)); }
    send_status try_send(T& value) const
        requires(!std::copy_constructible<T>)
    {
        return try_send(std::move(value));
    }
    send_status try_send(const T& value) const
        requires std::copy_constructible<T>
    {
        return try_send(T(value));
    }

    /// As send(), but gives up after a while: send_status::timed_out.
    template <class Rep, class Period>
    send_status send_for(T&& value, std::chrono::duration<Rep, Period> d) const {
        return send_by(value, detail::limit_after(d));
    }
    template <class Rep, class Period>
        requires std::copy_constructible<T>
    send_status send_for(const T& value, std::chrono::duration<Rep, Period> d) const {
        return send_for(T(value), d);
    }
    template <class Clock, class Duration>
    send_status send_until(T&& value, std::chrono::time_point<Clock, Duration> tp) const {
        return send_by(value, detail::limit_at(tp));
    }
    template <class Clock, class Duration>
        requires std::copy_constructible<T>
    send_status send_until(const T& value, std::chrono::time_point<Clock, Duration> tp) const {
        return send_until(T(value), tp);
    }

    /// Sends an exception: the receive that takes it throws it. Throws as send(), and usage_error if there is none. The
    /// other forms are as those of send(); for select there is error_to().
    void send_error(std::exception_ptr error) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        core().send(p, lowlevel::no_deadline);
    }
    send_status try_send_error(std::exception_ptr error) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        return status(core().try_send(p));
    }
    template <class Rep, class Period>
    send_status send_error_for(std::exception_ptr error, std::chrono::duration<Rep, Period> d) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        return send_by(p, detail::limit_after(d));
    }
    template <class Clock, class Duration>
    send_status send_error_until(std::exception_ptr error, std::chrono::time_point<Clock, Duration> tp) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        return send_by(p, detail::limit_at(tp));
    }

    /// Sends every element in order, those of a container that is given away moved; gives their number. Throws as
    /// send(); what has not been sent is still in its container, unless its elements are not T: then the one that was to be
    /// next has been converted, and is gone.
    template <std::ranges::input_range Range>
        requires std::constructible_from<T, detail::element_of<Range>>
    std::size_t send_all(Range&& range) const {
        using element = detail::element_of<Range>;
        std::size_t n = 0;
        for (auto&& v : range) {
            if constexpr (std::is_same_v<element, T&&>) send(static_cast<element>(v));
            else send(T(static_cast<element>(v)));
            ++n;
        }
        return n;
    }
    std::size_t send_all(std::initializer_list<T> values) const
        requires std::copy_constructible<T>
    {
        return send_all(std::span(values.begin(), values.size()));
    }

    /// Gives the oldest value; throws the exception that was sent in its place.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no value has been taken.
    /// Throws:   `closed` once the channel is closed and empty.
    /// Cost:     O(1), no allocation. Measured in perf/pingpong.
    T receive() const {
        detail::packet<T> p;
        if (core().receive(p, lowlevel::no_deadline) == detail::received::closed) throw closed();
        return p.take();
    }
    /// As receive(), but nullopt once the channel is closed and empty.
    std::optional<T> next() const {
        detail::packet<T> p;
        return detail::value_or_none(core().receive(p, lowlevel::no_deadline), p);
    }
    /// The oldest value if there is one now, else nullopt. Suspends: never. Never throws `closed`.
    std::optional<T> try_receive() const {
        detail::packet<T> p;
        return detail::value_or_none(core().try_receive(p), p);
    }
    /// As receive(), but nullopt when the time is up.
    template <class Rep, class Period>
    std::optional<T> receive_for(std::chrono::duration<Rep, Period> d) const {
        return receive_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    std::optional<T> receive_until(std::chrono::time_point<Clock, Duration> tp) const {
        return receive_by(detail::limit_at(tp));
    }

    /// From now on nobody can send: those who wait get `closed`; values in slots can still be received. A second close
    /// does nothing. Suspends: never.
    void close() const { core().close(); }
    /// Has it been closed? A snapshot; values may still lie in its slots.
    [[nodiscard]] bool is_closed() const { return core().is_closed(); }
    /// > 0: so many senders wait; < 0: so many receivers wait; never both. A snapshot.
    [[nodiscard]] std::ptrdiff_t balance() const { return core().balance(); }
    /// Values that lie in slots. A snapshot.
    [[nodiscard]] std::size_t size() const { return core().size(); }
    [[nodiscard]] std::size_t capacity() const { return core().capacity(); }

    friend bool operator==(const channel& a, const channel& b) noexcept { return a.core_ == b.core_; }
    /// Some order, which says nothing, and std::hash: a handle may be the key of a map.
    friend std::strong_ordering operator<=>(const channel& a, const channel& b) noexcept {
        return std::compare_three_way()(a.core_, b.core_);
    }

    /// for (T v : c): receives until the channel is closed and empty. Each value is received when it is asked for, so that
    /// c | std::views::take(3) takes three. for (auto& v : c) spares a copy; of what can only be moved: for (auto&& v : c).
    using iterator = detail::receiving_iterator<const channel>;
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    template <class, class>
    friend class lowlevel::receive_clause;
    template <class, class, class>
    friend class lowlevel::send_clause;
    friend struct std::hash<channel>;

    send_status send_by(detail::offer<T> value, lowlevel::time_point limit) const {
        return core().send(value, limit) ? send_status::done : send_status::timed_out;
    }
    std::optional<T> receive_by(lowlevel::time_point limit) const {
        detail::packet<T> p;
        return detail::value_in_time(core().receive(p, limit), p);
    }
    static unsigned handoff_code(std::size_t slots, handoff who) {
        if (slots != 0 && who != handoff::none)
            throw usage_error("a channel with slots hands no worker over: leave the handoff out, or say handoff::none");
        return who == handoff::receiver ? detail::to_receiver : who == handoff::sender ? detail::to_sender : 0u;
    }
    static send_status status(detail::sent s) noexcept {
        return s == detail::sent::done ? send_status::done
                                       : s == detail::sent::closed ? send_status::closed : send_status::full;
    }
    static detail::channel_core<T>* make(std::size_t slots, handoff who) {
        const auto code = handoff_code(slots, who);
        if (slots == 0) return new detail::rendezvous_channel<T>(code);
        if (slots == detail::no_limit)
            throw usage_error("a channel cannot have so many slots: use rondo::unbounded for one without a limit");
        return new detail::slots_channel<T>(slots);
    }
    detail::channel_core<T>& core() const {
        if (!core_) [[unlikely]] detail::throw_moved_from("channel handle");
        return *core_;
    }
    detail::channel_core<T>* core_;
};

}  // namespace rondo

template <class T>
struct std::hash<rondo::channel<T>> {
    std::size_t operator()(const rondo::channel<T>& c) const noexcept { return std::hash<const void*>()(c.core_); }
};
