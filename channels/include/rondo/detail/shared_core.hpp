// What oneshot, broadcast, latest and work_queue share: cheap handles, and what their clauses of select have.
//
// None of the four is lock-free: all they have lies behind one spin lock each, and they have no atomics of their own. What
// they stand on is walked through in tests/model/wait_word_test.cpp: the lock, the list of waiters behind it, the claim
// that ends a wait under the lock, and the frame of the claimed waiter, which its claimer fills without the lock, before
// resume(). Themselves they are checked by tests/stress/further_channels_test.cpp, and by rows of
// tests/channels/matrix_channels.cpp.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/detail/offer.hpp>
#include <rondo/detail/received.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/claimed_waiters.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

class hold_spin_lock {
public:
    explicit hold_spin_lock(lowlevel::spin_lock& l) noexcept : lock_(l) { lock_.lock(); }
    ~hold_spin_lock() { lock_.unlock(); }
    hold_spin_lock(const hold_spin_lock&) = delete;
    hold_spin_lock& operator=(const hold_spin_lock&) = delete;

private:
    lowlevel::spin_lock& lock_;
};

/// Copies name the same core. When the last copy goes, the core is closed, so that whoever still waits on it goes on;
/// waiters hold the core itself (pin), so that it lives until they are out.
template <class Core>
class shared_handle {
public:
    template <class... Args>
    explicit shared_handle(std::in_place_t, Args&&... args)
        : owner_(std::make_shared<owner>(std::make_shared<Core>(std::forward<Args>(args)...))) {}

    explicit operator bool() const noexcept { return owner_ != nullptr; }      ///< false: moved from
    [[nodiscard]] Core& operator*() const { return *look().core; }
    [[nodiscard]] Core* operator->() const { return look().core.get(); }
    [[nodiscard]] std::shared_ptr<Core> pin() const { return look().core; }
    friend bool operator==(const shared_handle& a, const shared_handle& b) noexcept { return a.owner_ == b.owner_; }

private:
    struct owner {
        explicit owner(std::shared_ptr<Core> c) noexcept : core(std::move(c)) {}
        owner(const owner&) = delete;
        owner& operator=(const owner&) = delete;
        ~owner() { core->abandon(); }
        std::shared_ptr<Core> core;
    };
    owner& look() const {
        if (!owner_) [[unlikely]] throw_moved_from("handle");
        return *owner_;
    }
    std::shared_ptr<owner> owner_;
};

/// A receive of a channel whose waiters all wait for the same (broadcast, latest): whoever is woken looks again.
/// take(): with `lock` held; what is there, or empty. Suspends until it is something else, or `until`; throws stopped.
template <class Take>
received take_or_wait(lowlevel::spin_lock& lock, lowlevel::wait_list& waiting, const void* channel,
                      lowlevel::time_point until, Take take) {
    lowlevel::waiter& me = lowlevel::enter();
    for (;;) {
        lowlevel::wait_node node(me);
        lock.lock();
        const auto now = take();
        if (now != received::empty || until == at_once) {
            lock.unlock();
            return now;
        }
        waiting.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::receive, channel}, &lock, until);
        if (outcome == lowlevel::wake::ready || outcome == lowlevel::wake::closed) continue;
        lowlevel::unlink(lock, waiting, node);
        lowlevel::raise(outcome);
        return received::timed_out;
    }
}

/// A value that many will share (broadcast, latest), made before any lock is held, since nothing of the user's is moved or
/// copied under one. Until it has been taken over it can go back to its sender's variable: it is moved only if it can be
/// moved back for sure, else copied.
template <class T>
class shared_offer {
    static_assert(std::copy_constructible<T>, "each subscriber, or reader, gets a copy: it must be possible to make one");

public:
    using item = std::shared_ptr<const T>;

    explicit shared_offer(T& value) : from_(value), made_(std::make_shared<T>(static_cast<source>(value))) {}
    ~shared_offer() {
        if constexpr (is_moved)
            if (made_) detail::give_back(from_, std::move(*made_));
    }
    shared_offer(const shared_offer&) = delete;
    shared_offer& operator=(const shared_offer&) = delete;
    [[nodiscard]] item take() noexcept { return std::move(made_); }

private:
    static constexpr bool is_moved = comes_back<T>;
    using source = std::conditional_t<is_moved, T&&, const T&>;
    T& from_;
    std::shared_ptr<T> made_;
};

/// A clause of select on such a core, which it keeps, with the function that is called once it has gone ahead.
template <class Core, class F>
class shared_clause : public lowlevel::select_clause {
public:
    shared_clause(lowlevel::wait_kind kind, std::shared_ptr<Core> core, F f)
        : select_clause({kind, core.get()}), core_(std::move(core)), f_(std::move(f)) {
        can_close = true;
    }

protected:
    ~shared_clause() = default;
    /// The node to be linked, if any; what arrives through it goes to `into`.
    lowlevel::wait_node* node_for(lowlevel::waiter& me, bool enlists, void* into = nullptr) noexcept {
        if (!enlists) return nullptr;
        lowlevel::wait_node& n = fresh_node(me);
        n.slot = into;
        return &n;
    }
    std::shared_ptr<Core> core_;
    F f_;
};

}  // namespace rondo::detail
