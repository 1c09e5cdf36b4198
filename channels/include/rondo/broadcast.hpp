// A channel from which every subscriber receives every value.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/detail/receiving_iterator.hpp>
#include <rondo/detail/shared_core.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// A subscriber was too slow: the oldest values it had not received yet have been overwritten. Thrown once; the next
/// receive goes on with the oldest value that is still there.
class lagged : public error {
public:
    explicit lagged(std::uint64_t n)
        : error("a slow subscriber has lost " + std::to_string(n) +
                (n == 1 ? " value" : " values") + " of a broadcast; more slots, or a faster loop, would help"),
          count_(n) {}
    /// How many values.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
    std::uint64_t count_;
};

namespace detail {

// One spin lock guards everything. Values are numbered from 0; the ring keeps the last `slots` of them, as pointers, so that
// nothing of the user's is copied or destroyed under the lock. A subscription is a position: the number it receives next.
//
//   a value    its number n                  left by
//   to come    n >= end_                     send(): end_ goes on
//   kept       end_ - slots <= n < end_      send(): its place is another's; whoever still holds it keeps it alive
//   lost       n < end_ - slots              nobody; who has not received it is told (lagged)
//
// I1  Somebody waits only while its position is end_: there is nothing for it. So a send wakes everybody who waits.
// I2  Only its owner moves a position, under the lock, and only forward.
template <class T>
class broadcast_core {
public:
    using item = std::shared_ptr<const T>;

    explicit broadcast_core(std::size_t slots) : ring_(slots) {}

    /// The number of subscribers; throws closed, and has not taken it then.
    std::size_t send(shared_offer<T>& offered) {
        lowlevel::claimed_waiters woken;
        std::size_t subscribers;
        item value;
        {
            const hold_spin_lock hold(lock_);
            if (closed_) throw closed();
            value = offered.take();
            ring_[static_cast<std::size_t>(end_ % ring_.size())].swap(value);       // the old one dies without the lock
            ++end_;
            subscribers = subscribers_;
            woken.take_all(waiting_);
        }
        woken.resume_all();
        return subscribers;
    }

    /// What is there for a subscriber at `position`, which moves on. With `missed` != 0 nothing was taken.
    received take_or_enlist(std::uint64_t& position, item& into, std::uint64_t& missed, lowlevel::wait_node* node) noexcept {
        const hold_spin_lock hold(lock_);
        const auto now = take(position, into, missed);
        if (now == received::empty && node) waiting_.push_back(*node);
        return now;
    }
    received receive(std::uint64_t& position, item& into, std::uint64_t& missed, lowlevel::time_point until) {
        return detail::take_or_wait(lock_, waiting_, this, until, [&] { return take(position, into, missed); });
    }
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiting_, node); }

    void close() noexcept {
        lowlevel::claimed_waiters woken;
        {
            const hold_spin_lock hold(lock_);
            closed_ = true;
            woken.take_all(waiting_, lowlevel::wake::closed);
        }
        woken.resume_all();
    }
    void abandon() noexcept { close(); }

    std::uint64_t subscribe() noexcept {
        const hold_spin_lock hold(lock_);
        ++subscribers_;
        return end_;
    }
    void add_subscriber() noexcept {
        const hold_spin_lock hold(lock_);
        ++subscribers_;
    }
    void unsubscribe() noexcept {
        const hold_spin_lock hold(lock_);
        --subscribers_;
    }
    [[nodiscard]] std::size_t subscribers() noexcept {
        const hold_spin_lock hold(lock_);
        return subscribers_;
    }
    [[nodiscard]] bool is_closed() noexcept {
        const hold_spin_lock hold(lock_);
        return closed_;
    }
    [[nodiscard]] std::uint64_t behind(std::uint64_t position) noexcept {
        const hold_spin_lock hold(lock_);
        return end_ - position;
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return ring_.size(); }

private:
    received take(std::uint64_t& position, item& into, std::uint64_t& missed) noexcept {       // with the lock held
        const std::uint64_t begin = end_ > ring_.size() ? end_ - ring_.size() : 0;
        if (position < begin) {
            missed = begin - position;
            position = begin;
            return received::value;
        }
        if (position == end_) return closed_ ? received::closed : received::empty;
        into = ring_[static_cast<std::size_t>(position % ring_.size())];
        ++position;
        return received::value;
    }

    lowlevel::spin_lock lock_;
    std::vector<item> ring_;
    std::uint64_t end_ = 0;
    std::size_t subscribers_ = 0;
    bool closed_ = false;
    lowlevel::wait_list waiting_;
};

}  // namespace detail

/// What may be broadcast: each subscriber gets a copy.
template <class T>
concept broadcastable = std::copy_constructible<T>;

template <class T>
class subscription;

/// The sending side of a channel from which every subscriber receives every value that was sent since it subscribed.
///
/// A send never waits for slow subscribers: the channel keeps the last `slots` values, and whoever falls further behind
/// is told so by `lagged` and goes on with the oldest value kept. A handle: copies name the same channel; when the last copy
/// goes, it is closed: subscribers receive what is kept, then get `closed`. Safe from any tasklet and any thread.
///
/// Example: tests/channels/broadcast_test.cpp.
template <class T>
class broadcast {
    using core = detail::broadcast_core<T>;

public:
    using value_type = T;

    /// Allocates its slots. Throws usage_error for 0, and for more than there is address space for; std::bad_alloc.
    explicit broadcast(std::size_t slots) : core_(std::in_place, checked(slots)) {}

    /// Sends to all who subscribe now; gives their number (0: nobody will receive it). A variable that is given away,
    /// send(std::move(v)), is moved from if and only if it is sent. Suspends: never.
    /// Throws: `closed`, std::bad_alloc, what T throws when it is copied. Cost: one allocation, and O(subscribers that
    ///         wait); a copy of a T that cannot be moved back without fail.
    std::size_t send(T&& value) const {
        detail::shared_offer<T> offered(value);
        return core_->send(offered);
    }
    std::size_t send(const T& value) const { return send(T(value)); }

    /// Receives what is sent from now on.
    [[nodiscard]] subscription<T> subscribe() const { return subscription<T>(core_.pin()); }

    /// From now on nobody can send. Subscribers receive what is kept, then get `closed`. Suspends: never.
    void close() const { core_->close(); }
    [[nodiscard]] bool is_closed() const { return core_->is_closed(); }
    /// A snapshot.
    [[nodiscard]] std::size_t subscribers() const { return core_->subscribers(); }
    [[nodiscard]] std::size_t capacity() const { return core_->capacity(); }

    friend bool operator==(const broadcast& a, const broadcast& b) noexcept { return a.core_ == b.core_; }

private:
    static std::size_t checked(std::size_t slots) {
        if (slots == 0) throw usage_error("a broadcast needs at least one slot");
        if (slots > std::vector<std::shared_ptr<const T>>().max_size()) throw usage_error("a broadcast cannot have so many slots");
        return slots;
    }
    detail::shared_handle<core> core_;
};

/// One subscriber's place in a broadcast. A copy is a subscriber of its own that begins at the same place. Used by one
/// tasklet or thread at a time.
template <class T>
class subscription {
    using core = detail::broadcast_core<T>;

public:
    using value_type = T;

    subscription(const subscription& other) : core_(other.core_), position_(other.position_) {
        if (core_) core_->add_subscriber();
    }
    subscription(subscription&& other) noexcept : core_(std::move(other.core_)), position_(other.position_) {}
    subscription& operator=(subscription other) noexcept {
        std::swap(core_, other.core_);
        std::swap(position_, other.position_);
        return *this;
    }
    ~subscription() {
        if (core_) core_->unsubscribe();
    }

    /// Gives the next value.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no value has been received.
    /// Throws:   `lagged` if values have been lost; `closed` once it is closed and all has been received; what the copy of
    ///           T throws, which has then been received.
    /// Cost:     O(1); a copy of T.
    T receive() {
        auto value = receive_by(lowlevel::no_deadline, true);
        return std::move(*value);
    }
    /// As receive(), but nullopt in place of `closed`.
    std::optional<T> next() { return receive_by(lowlevel::no_deadline, false); }
    /// The next value if there is one now, else nullopt; throws `lagged`. Suspends: never. Never throws `closed`.
    std::optional<T> try_receive() {
        item value;
        std::uint64_t missed = 0;
        if (look().take_or_enlist(position_, value, missed, nullptr) != detail::received::value) return std::nullopt;
        return copy_of(value, missed);
    }
    /// As receive(), but nullopt when the time is up.
    template <class Rep, class Period>
    std::optional<T> receive_for(std::chrono::duration<Rep, Period> d) {
        return receive_by(detail::limit_after(d), true);
    }
    template <class Clock, class Duration>
    std::optional<T> receive_until(std::chrono::time_point<Clock, Duration> tp) {
        return receive_by(detail::limit_at(tp), true);
    }
    /// How many values it has not received yet, lost ones included. A snapshot.
    [[nodiscard]] std::uint64_t behind() const { return look().behind(position_); }
    /// Has the channel been closed? Values may be left.
    [[nodiscard]] bool is_closed() const { return look().is_closed(); }

    /// for (T v : s): receives until it is closed. Throws `lagged`.
    using iterator = detail::receiving_iterator<subscription>;
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// For select: see from().
    template <class F>
    class receive_clause final : public detail::shared_clause<core, F> {
    public:
        receive_clause(subscription& s, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::receive, s.pin(), std::move(f)), from_(s) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
            return attempt_with(this->node_for(me, enlists));
        }
        void withdraw() noexcept override { this->core_->withdraw(this->node()); }
        // Woken: the value is still to be taken. Nobody else receives for this subscription.
        lowlevel::wake ended(lowlevel::wake outcome) noexcept override {
            const auto how = lowlevel::select_clause::ended(outcome);
            if (how == lowlevel::wake::ready) attempt_with(nullptr);
            return how;
        }
        void run() { std::invoke(this->f_, copy_of(value_, missed_)); }

    private:
        lowlevel::progress attempt_with(lowlevel::wait_node* node) noexcept {
            return detail::progress_of(this->core_->take_or_enlist(from_.position_, value_, missed_, node));
        }
        subscription& from_;
        typename core::item value_;
        std::uint64_t missed_ = 0;
    };

private:
    using item = typename core::item;
    friend class broadcast<T>;

    explicit subscription(std::shared_ptr<core> c) : core_(std::move(c)), position_(core_->subscribe()) {}

    std::shared_ptr<core> pin() const {
        look();
        return core_;
    }
    core& look() const {
        if (!core_) [[unlikely]] detail::throw_moved_from("subscription");
        return *core_;
    }
    static T copy_of(const item& value, std::uint64_t missed) {
        if (missed != 0) throw lagged(missed);
        return *value;
    }
    std::optional<T> receive_by(lowlevel::time_point until, bool throws_closed) {
        const auto keep = pin();
        item value;
        std::uint64_t missed = 0;
        switch (keep->receive(position_, value, missed, until)) {
            case detail::received::value: return copy_of(value, missed);
            case detail::received::closed:
                if (throws_closed) throw closed();
                return std::nullopt;
            default: return std::nullopt;
        }
    }

    std::shared_ptr<core> core_;
    std::uint64_t position_;
};

/// A clause of select: receives from `s` and calls f(value). `lagged` comes out of select.
template <broadcastable T, std::invocable<T> F>
[[nodiscard]] auto from(subscription<T>& s, F f) {
    return typename subscription<T>::template receive_clause<F>(s, std::move(f));
}

}  // namespace rondo
