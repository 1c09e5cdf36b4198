// A channel for one value: an answer, a result, a signal that carries something.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/offer.hpp>
#include <rondo/detail/packet.hpp>
#include <rondo/detail/shared_core.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {
namespace detail {

enum class oneshot_sent : std::uint8_t { done, closed, again };

// One spin lock guards everything. The value goes from the sender to the oldest waiting receiver, or lies in kept_ until
// one comes; the wait of everybody else is over then, because nothing more will come.
//
//   state      left by                    next
//   empty      a send; close              full, or spent if a receiver waited; closed
//   full       a receive; (not close)     spent
//   spent      nobody
//   closed     nobody
//
// I1  Somebody waits only while it is empty.
// I2  The value is in exactly one place: its sender's own variable, kept_, a receiver's frame.
template <class T>
class oneshot_core {
public:
    using sent = oneshot_sent;
    enum class phase : std::uint8_t { empty, full, spent, closed };

    sent send(offer<T> value) noexcept {
        lowlevel::claimed_waiters rest;
        lowlevel::wait_node* first = nullptr;
        {
            const hold_spin_lock hold(lock_);
            if (phase_ == phase::closed) return sent::closed;
            if (phase_ != phase::empty) return sent::again;
            first = receivers_.claim_front(lowlevel::wake::ready);
            phase_ = first ? phase::spent : phase::full;
            if (!first) value.take(kept_);
            else rest.take_all(receivers_, lowlevel::wake::closed);
        }
        if (first) {
            value.take(*static_cast<packet<T>*>(first->slot));    // it waits for our resume
            lowlevel::resume(*first->who, lowlevel::placement::tail);
        }
        rest.resume_all();
        return sent::done;
    }

    /// received::timed_out if `until` has passed, empty if it is at_once.
    received receive(packet<T>& into, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lowlevel::wait_node node(me);
        node.slot = &into;
        lock_.lock();
        const auto now = take(into);
        if (now != received::empty || until == at_once) {
            lock_.unlock();
            return now;
        }
        receivers_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::receive, this}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return received::value;
        if (outcome == lowlevel::wake::closed) return received::closed;
        lowlevel::unlink(lock_, receivers_, node);
        lowlevel::raise(outcome);
        return received::timed_out;
    }
    received try_receive(packet<T>& into) noexcept {
        const hold_spin_lock hold(lock_);
        return take(into);
    }
    /// For select: as try_receive, and links the node (if any) when there is nothing yet.
    received take_or_enlist(packet<T>& into, lowlevel::wait_node* node) noexcept {
        const hold_spin_lock hold(lock_);
        const auto now = take(into);
        if (now == received::empty && node) receivers_.push_back(*node);
        return now;
    }
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, receivers_, node); }

    void close() noexcept {
        lowlevel::claimed_waiters woken;
        {
            const hold_spin_lock hold(lock_);
            if (phase_ != phase::empty) return;            // what has been sent can still be taken
            phase_ = phase::closed;
            woken.take_all(receivers_, lowlevel::wake::closed);
        }
        woken.resume_all();
    }
    void abandon() noexcept { close(); }
    [[nodiscard]] phase now() noexcept {
        const hold_spin_lock hold(lock_);
        return phase_;
    }

private:
    received take(packet<T>& into) noexcept {              // with the lock held
        if (phase_ == phase::empty) return received::empty;
        if (phase_ != phase::full) return received::closed;
        into = std::move(kept_);
        phase_ = phase::spent;
        return received::value;
    }

    lowlevel::spin_lock lock_;
    phase phase_ = phase::empty;
    packet<T> kept_;
    lowlevel::wait_list receivers_;
};

}  // namespace detail

/// A channel for one value. The first send puts it in without waiting; the first receive takes it out. Then it is spent:
/// whoever else receives, or waits already, gets `closed`. A handle: copies name the same oneshot; when the last copy goes,
/// or a sender() goes without having sent, those that wait get `closed`. Safe from any tasklet and any thread, of any
/// runtime or none.
///
/// Example: tests/channels/oneshot_test.cpp.
template <class T>
class oneshot {
    using core = detail::oneshot_core<T>;

public:
    using value_type = T;
    class sender_end;

    /// Allocates twice. Throws std::bad_alloc.
    oneshot() : core_(std::in_place) {}

    /// Puts the value in. A variable that is given away, send(std::move(v)), is moved from if and only if it is sent.
    /// Suspends: never.
    /// Throws: `closed` if it has been closed; usage_error if something has been sent before.
    /// Cost:   O(receivers that wait), no allocation.
    void send(T&& value) const { put(value); }
    void send(const T& value) const
        requires std::copy_constructible<T>
    {
        send(T(value));
    }
    /// Puts an exception in: the receive throws it. Throws as send(), and usage_error if there is none.
    void send_error(std::exception_ptr error) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        put(p);
    }
    /// As send() and send_error(), but they say so instead of throwing: closed, or full if something has been sent
    /// before; then `value` is as it was, if it was given away or cannot be copied. Suspends: never.
    send_status try_send(T&& value) const { return status(core_->send(value)); }
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
    send_status try_send_error(std::exception_ptr error) const {
        detail::packet<T> p(detail::as_error{std::move(error)});
        return status(core_->send(p));
    }

    /// Takes the value; throws the exception that was sent in its place.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the value has not been taken.
    /// Throws:   `closed` if it is closed, or has been taken by somebody else.
    /// Cost:     O(1), no allocation.
    T receive() const {
        detail::packet<T> p;
        if (core_.pin()->receive(p, lowlevel::no_deadline) == detail::received::closed) throw closed();
        return p.take();
    }
    /// As receive(), but nullopt in place of `closed`.
    std::optional<T> next() const {
        detail::packet<T> p;
        return detail::value_or_none(core_.pin()->receive(p, lowlevel::no_deadline), p);
    }
    /// The value if it is there, else nullopt. Suspends: never. Never throws `closed`.
    std::optional<T> try_receive() const {
        detail::packet<T> p;
        return detail::value_or_none(core_->try_receive(p), p);
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

    /// Nothing can be sent any more: those who wait get `closed`. A value that has been sent can still be taken.
    /// Suspends: never.
    void close() const { core_->close(); }
    /// Can nothing come out of it any more? A snapshot.
    [[nodiscard]] bool is_closed() const {
        const auto p = core_->now();
        return p == core::phase::closed || p == core::phase::spent;
    }
    /// Has a value been sent that nobody has taken? A snapshot.
    [[nodiscard]] bool is_ready() const { return core_->now() == core::phase::full; }

    /// The right to send, move-only: if it goes without having sent, the oneshot is closed. So whoever waits for the answer
    /// of a tasklet that ends early, by an exception say, does not wait for ever.
    [[nodiscard]] sender_end sender() const { return sender_end(*this); }

    friend bool operator==(const oneshot& a, const oneshot& b) noexcept { return a.core_ == b.core_; }

    /// For select: see from().
    template <class F>
    class receive_clause final : public detail::shared_clause<core, F> {
    public:
        receive_clause(const oneshot& o, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::receive, o.core_.pin(), std::move(f)) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
            return detail::progress_of(this->core_->take_or_enlist(into_, this->node_for(me, enlists, &into_)));
        }
        void withdraw() noexcept override { this->core_->withdraw(this->node()); }
        void run() { std::invoke(this->f_, into_.take()); }

    private:
        detail::packet<T> into_;
    };

private:
    static send_status status(detail::oneshot_sent s) noexcept {
        return s == core::sent::done ? send_status::done
                                     : s == core::sent::closed ? send_status::closed : send_status::full;
    }
    void put(detail::offer<T> value) const {
        switch (core_->send(value)) {
            case core::sent::done: return;
            case core::sent::closed: throw closed();
            default: throw usage_error("a oneshot takes one value: something has been sent before");
        }
    }
    std::optional<T> receive_by(lowlevel::time_point until) const {
        detail::packet<T> p;
        return detail::value_in_time(core_.pin()->receive(p, until), p);
    }
    detail::shared_handle<core> core_;
};

/// See oneshot::sender().
template <class T>
class oneshot<T>::sender_end {
public:
    explicit sender_end(oneshot to) noexcept : to_(std::move(to)) {}
    sender_end(sender_end&&) noexcept = default;
    sender_end& operator=(sender_end&& other) noexcept {
        if (this != &other) {
            let_go();
            to_ = std::move(other.to_);
        }
        return *this;
    }
    ~sender_end() { let_go(); }

    /// As oneshot::send, once. Throws usage_error if it was moved from.
    void send(T&& value) { to_.send(std::move(value)); }
    void send(const T& value)
        requires std::copy_constructible<T>
    {
        to_.send(value);
    }
    void send_error(std::exception_ptr error) { to_.send_error(std::move(error)); }

private:
    void let_go() noexcept {
        if (to_.core_) to_.close();
    }
    oneshot to_;
};

/// A clause of select: receives from `o` and calls f(value).
template <message T, std::invocable<T> F>
[[nodiscard]] auto from(const oneshot<T>& o, F f) {
    return typename oneshot<T>::template receive_clause<F>(o, std::move(f));
}

}  // namespace rondo
