// Channels: hand a value across.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include <rondo/error.hpp>
#include <rondo/lowlevel/wait.hpp>

#include <rondo/detail/rendezvous_channel.hpp>
#include <rondo/detail/slots_channel.hpp>
#include <rondo/detail/spin_channel.hpp>

namespace rondo {
namespace lowlevel {
template <class T, class F>
class receive_clause;
template <class T, class Source, class F>
class send_clause;
}  // namespace lowlevel

/// What may cross a channel. A move that throws halfway would lose the value, so it must not throw.
template <class T>
concept message = std::movable<T> && std::is_nothrow_move_constructible_v<T>;

/// Which side keeps the worker when both meet on it; the other goes to the tail of the run queue (from `none`: the
/// caller goes on, the partner to the tail). Stackless's channel preference -1, 1 and 0.
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

/// What became of a try_send or send_for. True in a condition if the value was sent.
struct send_status {
    enum code : std::uint8_t { done, full, closed, timed_out };
    code value = done;
    constexpr send_status(code c) noexcept : value(c) {}
    constexpr explicit operator bool() const noexcept { return value == done; }
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
/// Example: samples/ping_pong.cpp.   Algorithms: channels/include/rondo/detail/{cell_queue,slots_channel,spin_channel}.hpp.
template <message T>
class channel {
public:
    using value_type = T;

    /// Open from the start. Allocates once. Throws std::bad_alloc.
    explicit channel(std::size_t slots = 0) : channel(slots, slots == 0 ? handoff::receiver : handoff::none) {}
    explicit channel(unbounded_t) : core_(new detail::slots_channel<T>(detail::no_limit)) {}
    explicit channel(handoff who) : channel(0, who) {}
    channel(std::size_t slots, handoff who) : core_(make(slots, who)) {}
    explicit channel(spin_locked_t, std::size_t slots = 0, handoff who = handoff::receiver)
        : core_(new detail::spin_channel<T>(slots, slots == 0 ? handoff_code(who) : 0)) {}
    channel(const channel& other) noexcept : core_(other.core_) { core_->add_handle(); }
    channel(channel&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    channel& operator=(channel other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~channel() {
        if (core_) core_->drop_handle();
    }

    /// Returns when a receiver, or a slot, has the value.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the value has not been sent.
    /// Throws:   `closed` if the channel is closed before the value is taken.
    /// Cost:     O(1), no allocation (but for an unbounded channel's storage). Measured in perf/pingpong, perf/mpmc.
    void send(T value) const { core().send(detail::packet<T>(std::move(value)), lowlevel::no_deadline); }

    /// Takes `value` only if it can be handed over at once; on failure leaves it untouched. Never throws `closed`.
    /// Suspends: never.
    send_status try_send(T& value) const { return status(core().try_send(value)); }
    send_status try_send(T&& value) const { return try_send(value); }
    send_status try_send(const T& value) const
        requires std::copy_constructible<T>
    {
        T copy(value);
        return try_send(copy);
    }

    /// As send(), but gives up after a while: send_status::timed_out; then the value is destroyed unsent.
    send_status send_for(T value, std::chrono::steady_clock::duration d) const {
        return send_until(std::move(value), after(d));
    }
    send_status send_until(T value, lowlevel::time_point until) const {
        return core().send(detail::packet<T>(std::move(value)), until) ? send_status::done : send_status::timed_out;
    }

    /// Sends an exception: the receive that takes it throws it.
    void send_error(std::exception_ptr error) const {
        core().send(detail::packet<T>(detail::as_error{std::move(error)}), lowlevel::no_deadline);
    }

    /// Sends every element in order; gives their number.
    template <std::ranges::input_range Range>
        requires std::constructible_from<T, std::ranges::range_reference_t<Range>>
    std::size_t send_all(Range&& range) const {
        std::size_t n = 0;
        for (auto&& v : range) {
            send(T(std::forward<decltype(v)>(v)));
            ++n;
        }
        return n;
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
        if (core().receive(p, lowlevel::no_deadline) == detail::received::closed) return std::nullopt;
        return p.take();
    }
    /// The oldest value if there is one now, else nullopt. Suspends: never. Never throws `closed`.
    std::optional<T> try_receive() const {
        detail::packet<T> p;
        if (core().try_receive(p) != detail::received::value) return std::nullopt;
        return p.take();
    }
    /// As receive(), but nullopt when the time is up.
    std::optional<T> receive_for(std::chrono::steady_clock::duration d) const { return receive_until(after(d)); }
    std::optional<T> receive_until(lowlevel::time_point until) const {
        detail::packet<T> p;
        switch (core().receive(p, until)) {
            case detail::received::value: return p.take();
            case detail::received::closed: throw closed();
            default: return std::nullopt;
        }
    }

    /// From now on nobody can send: those who wait get `closed`; values in slots can still be received. A second close
    /// does nothing. Suspends: never.
    void close() const noexcept { core().close(); }
    /// Has it been closed? A snapshot; values may still lie in its slots.
    [[nodiscard]] bool is_closed() const noexcept { return core().is_closed(); }
    /// > 0: so many senders wait; < 0: so many receivers wait; never both. A snapshot.
    [[nodiscard]] std::ptrdiff_t balance() const noexcept { return core().balance(); }
    /// Values that lie in slots. A snapshot.
    [[nodiscard]] std::size_t size() const noexcept { return core().size(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return core().capacity(); }

    friend bool operator==(const channel& a, const channel& b) noexcept { return a.core_ == b.core_; }

    /// for (T v : c): receives until the channel is closed and empty.
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;
        explicit iterator(const channel& c) : from_(&c), value_(c.next()) {}
        T& operator*() const noexcept { return *value_; }
        iterator& operator++() {
            value_.reset();
            value_ = from_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return !i.value_; }

    private:
        const channel* from_;
        mutable std::optional<T> value_;
    };
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    template <class, class>
    friend class lowlevel::receive_clause;
    template <class, class, class>
    friend class lowlevel::send_clause;

    static constexpr unsigned handoff_code(handoff who) noexcept {
        return who == handoff::receiver ? detail::to_receiver : who == handoff::sender ? detail::to_sender : 0u;
    }
    static lowlevel::time_point after(std::chrono::steady_clock::duration d) noexcept {
        const auto now = lowlevel::now();
        return d > lowlevel::no_deadline - now ? lowlevel::no_deadline : now + d;
    }
    static send_status status(detail::sent s) noexcept {
        return s == detail::sent::done ? send_status::done
                                       : s == detail::sent::closed ? send_status::closed : send_status::full;
    }
    static detail::channel_core<T>* make(std::size_t slots, handoff who) {
        if (slots == 0) return new detail::rendezvous_channel<T>(handoff_code(who));
        return new detail::slots_channel<T>(slots);
    }
    detail::channel_core<T>& core() const {
        if (!core_) [[unlikely]] throw usage_error("this channel handle was moved from: it names no channel any more");
        return *core_;
    }
    detail::channel_core<T>* core_;
};

}  // namespace rondo
