// A queue of work whose end can be waited for.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/packet.hpp>
#include <rondo/detail/packet_store.hpp>
#include <rondo/detail/receiving_iterator.hpp>
#include <rondo/detail/shared_core.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {
namespace detail {

// One spin lock guards everything.
//
// I1  Somebody waits to get only while the queue is empty, to put only while it is full.
// I2  An item is in exactly one place: a putter's frame, the queue, a getter's frame. Close, stop and timeout touch none.
// I3  unfinished_ counts the items that have been accepted and not reported done; it rises in the critical section in which
//     an item leaves its putter's frame, so join() cannot slip through between a put and the get that it meets.
template <class T>
class work_queue_core {
public:
    enum class put_result : std::uint8_t { done, full, closed, timed_out };

    explicit work_queue_core(std::size_t slots) : items_(slots) {}

    put_result put(packet<T>& item, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lowlevel::wait_node node(me);
        node.slot = &item;
        lock_.lock();
        const auto now = accept(item);                     // lets go of the lock unless the answer is full
        if (now != put_result::full) return now;
        if (until == at_once) {
            lock_.unlock();
            return put_result::timed_out;
        }
        putters_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this, nullptr}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return put_result::done;
        if (outcome == lowlevel::wake::closed) return put_result::closed;
        lowlevel::unlink(lock_, putters_, node);
        lowlevel::raise(outcome);
        return put_result::timed_out;
    }
    put_result try_put(packet<T>& item) {
        lock_.lock();
        const auto now = accept(item);
        if (now == put_result::full) lock_.unlock();
        return now;
    }

    received get(packet<T>& into, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lowlevel::wait_node node(me);
        node.slot = &into;
        lock_.lock();
        lowlevel::waiter* putter = nullptr;
        const auto now = take(into, putter);
        if (now != received::empty || until == at_once) {
            lock_.unlock();
            if (putter) lowlevel::resume(*putter, lowlevel::placement::tail);
            return now;
        }
        getters_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this, nullptr}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return received::value;
        if (outcome == lowlevel::wake::closed) return received::closed;
        lowlevel::unlink(lock_, getters_, node);
        lowlevel::raise(outcome);
        return received::timed_out;
    }
    /// For try_get and select: links the node (if any) when there is nothing. `putter` is to be resumed by the caller.
    received take_or_enlist(packet<T>& into, lowlevel::wait_node* node, lowlevel::waiter*& putter) noexcept {
        const hold_spin_lock hold(lock_);
        const auto now = take(into, putter);
        if (now == received::empty && node) getters_.push_back(*node);
        return now;
    }
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, getters_, node); }

    void task_done() {
        claimed_waiters woken;
        lock_.lock();
        if (unfinished_ == 0) {
            lock_.unlock();
            throw usage_error("work_queue::task_done: more items are done than were put");
        }
        if (--unfinished_ == 0) woken.take_all(joiners_, lowlevel::wake::ready);
        lock_.unlock();
        woken.resume_all();
    }
    /// True: all done. False: time was up. Throws closed when the last handle goes.
    bool join(lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lowlevel::wait_node node(me);
        lock_.lock();
        if (unfinished_ == 0 || until == at_once) {
            const bool yes = unfinished_ == 0;
            lock_.unlock();
            return yes;
        }
        joiners_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this, nullptr}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return true;
        if (outcome == lowlevel::wake::closed) throw closed("the work queue is gone: nobody is left to do its work");
        lowlevel::unlink(lock_, joiners_, node);
        lowlevel::raise(outcome);
        return false;
    }

    void close() noexcept { end(false); }
    void abandon() noexcept { end(true); }

    [[nodiscard]] bool is_closed() noexcept { return locked([&] { return closed_; }); }
    [[nodiscard]] std::size_t size() noexcept { return locked([&] { return items_.size(); }); }
    [[nodiscard]] std::size_t unfinished() noexcept { return locked([&] { return unfinished_; }); }
    [[nodiscard]] std::size_t capacity() const noexcept { return items_.slots(); }

private:
    // With the lock held; lets go of it unless the answer is full.
    put_result accept(packet<T>& item) {
        if (closed_) {
            lock_.unlock();
            return put_result::closed;
        }
        if (lowlevel::wait_node* g = getters_.claim_front(lowlevel::wake::ready)) {
            ++unfinished_;
            lock_.unlock();
            *static_cast<packet<T>*>(g->slot) = std::move(item);         // it waits for our resume
            lowlevel::resume(*g->who, lowlevel::placement::tail);
            return put_result::done;
        }
        if (items_.full()) return put_result::full;
        try {
            items_.push(std::move(item));
        } catch (...) {                                    // no memory: the item is still where it was
            lock_.unlock();
            throw;
        }
        ++unfinished_;
        lock_.unlock();
        return put_result::done;
    }
    // With the lock held.
    received take(packet<T>& into, lowlevel::waiter*& putter) noexcept {
        if (items_.size() == 0) return closed_ ? received::closed : received::empty;
        into = items_.pop();
        if (lowlevel::wait_node* p = putters_.claim_front(lowlevel::wake::ready)) {
            items_.push(std::move(*static_cast<packet<T>*>(p->slot)));       // into the slot that has become free
            ++unfinished_;
            putter = p->who;
        }
        return received::value;
    }
    void end(bool for_joiners_too) noexcept {
        claimed_waiters woken;
        {
            const hold_spin_lock hold(lock_);
            closed_ = true;
            woken.take_all(putters_, lowlevel::wake::closed);
            woken.take_all(getters_, lowlevel::wake::closed);
            if (for_joiners_too) woken.take_all(joiners_, lowlevel::wake::closed);
        }
        woken.resume_all();
    }
    template <class F>
    auto locked(F f) noexcept {
        const hold_spin_lock hold(lock_);
        return f();
    }

    lowlevel::spin_lock lock_;
    std::size_t unfinished_ = 0;
    bool closed_ = false;
    packet_store<T> items_;
    lowlevel::wait_list putters_, getters_, joiners_;
};

}  // namespace detail

/// A queue of work: put() items in, get() them in order, report each with task_done(); join() waits until all that was put
/// has been done. (Python's JoinableQueue.) A handle: copies name the same queue; when the last copy goes, those that
/// still wait on it get `closed`. Safe from any tasklet and any thread, of any runtime or none.
///
/// Example: tests/channels/work_queue_test.cpp.
template <message T>
class work_queue {
    using core = detail::work_queue_core<T>;

public:
    using value_type = T;

    /// Without a limit put() never waits. With n slots it waits while n items lie in the queue. Throws usage_error for 0.
    work_queue() : core_(std::in_place, detail::no_limit) {}
    explicit work_queue(std::size_t slots) : core_(std::in_place, checked(slots)) {}

    /// Puts an item in, or hands it to whoever waits in get(); it counts as unfinished from now on.
    ///
    /// Suspends: while the queue is full; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the item has not been put.
    /// Throws:   `closed`.
    /// Cost:     O(1); no allocation but for an unlimited queue's storage.
    void put(T item) const {
        detail::packet<T> p(std::move(item));
        if (core_.pin()->put(p, lowlevel::no_deadline) == core::put_result::closed) throw closed();
    }
    /// Takes `item` only if it can be put at once; on failure leaves it as it was. Never throws `closed`. Suspends: never.
    send_status try_put(T& item) const {
        detail::packet<T> p(std::move(item));
        const auto result = core_->try_put(p);
        if (result != core::put_result::done) detail::put_back(item, p);
        return status(result);
    }
    send_status try_put(T&& item) const { return try_put(item); }
    /// As put(), but gives up after a while: send_status::timed_out; the item is destroyed.
    template <class Rep, class Period>
    send_status put_for(T item, std::chrono::duration<Rep, Period> d) const {
        return put_by(std::move(item), detail::limit_after(d));
    }
    template <class Clock, class Duration>
    send_status put_until(T item, std::chrono::time_point<Clock, Duration> tp) const {
        return put_by(std::move(item), detail::limit_at(tp));
    }

    /// Gives the oldest item. Follow it with task_done() once the work is done, or has failed.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no item has been taken.
    /// Throws:   `closed` once the queue is closed and empty.
    /// Cost:     O(1), no allocation.
    T get() const {
        detail::packet<T> p;
        if (core_.pin()->get(p, lowlevel::no_deadline) == detail::received::closed) throw closed();
        return p.take();
    }
    /// As get(), but nullopt once the queue is closed and empty.
    std::optional<T> next() const {
        detail::packet<T> p;
        return detail::value_or_none(core_.pin()->get(p, lowlevel::no_deadline), p);
    }
    /// The oldest item if there is one now, else nullopt. Suspends: never. Never throws `closed`.
    std::optional<T> try_get() const {
        detail::packet<T> p;
        lowlevel::waiter* putter = nullptr;
        const auto result = core_->take_or_enlist(p, nullptr, putter);
        if (putter) lowlevel::resume(*putter, lowlevel::placement::tail);
        return detail::value_or_none(result, p);
    }
    /// As get(), but nullopt when the time is up.
    template <class Rep, class Period>
    std::optional<T> get_for(std::chrono::duration<Rep, Period> d) const {
        return get_by(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    std::optional<T> get_until(std::chrono::time_point<Clock, Duration> tp) const {
        return get_by(detail::limit_at(tp));
    }

    /// One item that was got is done. Suspends: never. Throws usage_error if more are done than were put.
    void task_done() const { core_->task_done(); }
    /// Returns when every item that was put has been reported done. What was done for them is then seen. close() does not
    /// end it: what lies in the queue can still be done.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`.
    /// Throws:   `closed` if the last handle goes while it waits.
    void join() const { core_.pin()->join(lowlevel::no_deadline); }
    /// Is everything done? Suspends: never.
    [[nodiscard]] bool try_join() const { return core_->unfinished() == 0; }
    /// As join(), but gives up after a while: false.
    template <class Rep, class Period>
    [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> d) const {
        return core_.pin()->join(detail::limit_after(d));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool join_until(std::chrono::time_point<Clock, Duration> tp) const {
        return core_.pin()->join(detail::limit_at(tp));
    }

    /// From now on nothing can be put: those who wait to put, or to get, get `closed`; what lies in the queue can still be
    /// got. A second close does nothing. Suspends: never.
    void close() const { core_->close(); }
    [[nodiscard]] bool is_closed() const { return core_->is_closed(); }
    /// Items in the queue; those not reported done (at least as many). Snapshots.
    [[nodiscard]] std::size_t size() const { return core_->size(); }
    [[nodiscard]] std::size_t unfinished() const { return core_->unfinished(); }
    [[nodiscard]] std::size_t capacity() const { return core_->capacity(); }

    friend bool operator==(const work_queue& a, const work_queue& b) noexcept { return a.core_ == b.core_; }

    /// for (T item : q): gets until the queue is closed and empty; each item when it is asked for. The loop does not call
    /// task_done().
    using iterator = detail::receiving_iterator<const work_queue>;
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// For select: see from().
    template <class F>
    class get_clause final : public lowlevel::select_clause {
    public:
        get_clause(const work_queue& q, F f)
            : select_clause({lowlevel::wait_kind::work_queue, std::to_address(q.core_)}), core_(q.core_.pin()),
              f_(std::move(f)) {
            can_close = true;
        }
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner& met) override {
            lowlevel::wait_node* node = nullptr;
            if (enlists) {
                node = &fresh_node(me);
                node->slot = &into_;
            }
            return detail::progress_of(core_->take_or_enlist(into_, node, met.who));
        }
        void withdraw() noexcept override { core_->withdraw(node()); }
        void run() { std::invoke(f_, into_.take()); }

    private:
        std::shared_ptr<core> core_;
        F f_;
        detail::packet<T> into_;
    };

private:
    static std::size_t checked(std::size_t slots) {
        if (slots == 0) throw usage_error("a work_queue needs at least one slot; without a number it has no limit");
        return slots;
    }
    static send_status status(typename core::put_result r) noexcept {
        switch (r) {
            case core::put_result::done: return send_status::done;
            case core::put_result::full: return send_status::full;
            case core::put_result::closed: return send_status::closed;
            default: return send_status::timed_out;
        }
    }
    send_status put_by(T item, lowlevel::time_point until) const {
        detail::packet<T> p(std::move(item));
        const auto result = core_.pin()->put(p, until);
        if (result == core::put_result::closed) throw closed();
        return status(result);
    }
    std::optional<T> get_by(lowlevel::time_point until) const {
        detail::packet<T> p;
        return detail::value_in_time(core_.pin()->get(p, until), p);
    }
    detail::shared_handle<core> core_;
};

/// A clause of select: gets an item from `q` and calls f(item).
template <message T, std::invocable<T> F>
[[nodiscard]] auto from(const work_queue<T>& q, F f) {
    return typename work_queue<T>::template get_clause<F>(q, std::move(f));
}

}  // namespace rondo
