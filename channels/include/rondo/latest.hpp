// The latest of a value that changes. (Elsewhere such a channel is called watch; here rondo::watch is about actors.)
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/receiving_iterator.hpp>
#include <rondo/detail/shared_core.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {
namespace detail {

// One spin lock guards everything. The value is a pointer, so that nothing of the user's is copied or destroyed under the
// lock; version_ counts the sets.
//
// I1  Somebody waits only while it has seen version_. So a set wakes everybody who waits.
// I2  version_ and value_ change together, and version_ only grows: no reader sees a value twice, or an older one later.
template <class T>
class latest_core {
public:
    using item = std::shared_ptr<const T>;

    explicit latest_core(item first) noexcept : value_(std::move(first)) {}

    /// Throws closed, and has not taken it then.
    void set(shared_offer<T>& offered) {
        lowlevel::claimed_waiters woken;
        item value;
        {
            const hold_spin_lock hold(lock_);
            if (closed_) throw closed();
            value = offered.take();
            value_.swap(value);                            // the old one dies without the lock
            ++version_;
            woken.take_all(waiting_);
        }
        woken.resume_all();
    }
    /// Sets it if it is still `expected`.
    bool replace(const item& expected, item value) {
        lowlevel::claimed_waiters woken;
        {
            const hold_spin_lock hold(lock_);
            if (closed_) throw closed();
            if (value_ != expected) return false;
            value_.swap(value);
            ++version_;
            woken.take_all(waiting_);
        }
        woken.resume_all();
        return true;
    }
    [[nodiscard]] item get() noexcept {
        const hold_spin_lock hold(lock_);
        return value_;
    }

    received take_or_enlist(std::uint64_t& seen, item& into, lowlevel::wait_node* node) noexcept {
        const hold_spin_lock hold(lock_);
        const auto now = take(seen, into);
        if (now == received::empty && node) waiting_.push_back(*node);
        return now;
    }
    received receive(std::uint64_t& seen, item& into, lowlevel::time_point until) {
        return detail::take_or_wait(lock_, waiting_, this, until, [&] { return take(seen, into); });
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
    [[nodiscard]] bool is_closed() noexcept {
        const hold_spin_lock hold(lock_);
        return closed_;
    }
    [[nodiscard]] std::uint64_t version() noexcept {
        const hold_spin_lock hold(lock_);
        return version_;
    }

private:
    received take(std::uint64_t& seen, item& into) noexcept {                 // with the lock held
        if (seen == version_) return closed_ ? received::closed : received::empty;
        into = value_;
        seen = version_;
        return received::value;
    }

    lowlevel::spin_lock lock_;
    item value_;
    std::uint64_t version_ = 1;
    bool closed_ = false;
    lowlevel::wait_list waiting_;
};

}  // namespace detail

template <class T>
class latest_reader;

/// A value that changes, of which only the latest counts: a configuration, a position, a state of health. Setting it never
/// waits; readers see the newest value, perhaps not those in between. A handle: copies name the same value; when the last
/// copy goes, it is closed: readers receive a value they have not seen yet, then get `closed`. Safe from any tasklet and
/// any thread.
///
/// Example: tests/channels/latest_test.cpp.
template <class T>
class latest {
    using core = detail::latest_core<T>;

public:
    using value_type = T;

    explicit latest(T first) : core_(std::in_place, std::make_shared<const T>(std::move(first))) {}

    /// A variable that is given away, set(std::move(v)), is moved from if and only if it is set. Suspends: never.
    /// Throws: `closed`, std::bad_alloc, what T throws when it is copied. Cost: one allocation, and O(readers that wait);
    ///         a copy of a T that cannot be moved back without fail.
    void set(T&& value) const {
        detail::shared_offer<T> offered(value);
        core_->set(offered);
    }
    void set(const T& value) const { set(T(value)); }
    /// Sets it to f(value), where nobody else has set it in between; f may be called several times. Suspends: never itself.
    template <class F>
        requires std::convertible_to<std::invoke_result_t<F&, const T&>, T>
    void update(F f) const {
        for (;;) {
            auto now = core_->get();
            if (core_->replace(now, std::make_shared<const T>(f(*now)))) return;
        }
    }
    /// A copy of the newest value, also once it is closed. Suspends: never.
    [[nodiscard]] T get() const { return *core_->get(); }

    /// A reader that has seen nothing yet: its first receive gives the value of now.
    [[nodiscard]] latest_reader<T> reader() const { return latest_reader<T>(core_.pin()); }

    /// From now on nobody can set it. Suspends: never.
    void close() const { core_->close(); }
    [[nodiscard]] bool is_closed() const { return core_->is_closed(); }

    friend bool operator==(const latest& a, const latest& b) noexcept { return a.core_ == b.core_; }

private:
    detail::shared_handle<core> core_;
};

/// One reader of a latest: remembers which value it has seen. Used by one tasklet or thread at a time.
template <class T>
class latest_reader {
    using core = detail::latest_core<T>;
    using item = typename core::item;

public:
    using value_type = T;

    /// Gives the newest value once it is one that this reader has not received yet.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no value has been received.
    /// Throws:   `closed` once it is closed and the last value has been received.
    /// Cost:     O(1); a copy of T.
    T receive() {
        auto value = receive_by(lowlevel::no_deadline, true);
        return std::move(*value);
    }
    /// As receive(), but nullopt in place of `closed`.
    std::optional<T> next() { return receive_by(lowlevel::no_deadline, false); }
    /// The newest value if this reader has not received it yet, else nullopt. Suspends: never. Never throws `closed`.
    std::optional<T> try_receive() {
        item value;
        if (look().take_or_enlist(seen_, value, nullptr) != detail::received::value) return std::nullopt;
        return *value;
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
    /// A copy of the newest value, received or not; changes nothing. Suspends: never.
    [[nodiscard]] T get() const { return *look().get(); }
    /// Is there a value that this reader has not received yet? A snapshot.
    [[nodiscard]] bool has_changed() const { return look().version() != seen_; }

    /// for (T v : reader): the newest value, whenever it has changed, until it is closed.
    using iterator = detail::receiving_iterator<latest_reader>;
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// For select: see from().
    template <class F>
    class receive_clause final : public detail::shared_clause<core, F> {
    public:
        receive_clause(latest_reader& r, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::receive, r.pin(), std::move(f)), from_(r) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
            return attempt_with(this->node_for(me, enlists));
        }
        void withdraw() noexcept override { this->core_->withdraw(this->node()); }
        // Woken: the value is still to be taken. Nobody else receives for this reader.
        lowlevel::wake ended(lowlevel::wake outcome) noexcept override {
            const auto how = lowlevel::select_clause::ended(outcome);
            if (how == lowlevel::wake::ready) attempt_with(nullptr);
            return how;
        }
        void run() { std::invoke(this->f_, T(*value_)); }

    private:
        lowlevel::progress attempt_with(lowlevel::wait_node* node) noexcept {
            return detail::progress_of(this->core_->take_or_enlist(from_.seen_, value_, node));
        }
        latest_reader& from_;
        item value_;
    };

private:
    friend class latest<T>;
    explicit latest_reader(std::shared_ptr<core> c) noexcept : core_(std::move(c)) {}

    std::shared_ptr<core> pin() const {
        look();
        return core_;
    }
    core& look() const {
        if (!core_) [[unlikely]] detail::throw_moved_from("reader");
        return *core_;
    }

    std::optional<T> receive_by(lowlevel::time_point until, bool throws_closed) {
        const auto keep = pin();
        item value;
        switch (keep->receive(seen_, value, until)) {
            case detail::received::value: return *value;
            case detail::received::closed:
                if (throws_closed) throw closed();
                return std::nullopt;
            default: return std::nullopt;
        }
    }

    std::shared_ptr<core> core_;
    std::uint64_t seen_ = 0;
};

/// A clause of select: receives from `r` and calls f(value).
template <std::copy_constructible T, std::invocable<T> F>
[[nodiscard]] auto from(latest_reader<T>& r, F f) {
    return typename latest_reader<T>::template receive_clause<F>(r, std::move(f));
}

}  // namespace rondo
