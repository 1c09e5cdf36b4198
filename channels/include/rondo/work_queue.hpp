// A queue of work whose end can be waited for.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/offer.hpp>
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

[[noreturn]] inline void throw_queue_closed() {
    throw closed("the work_queue is closed: nobody can put anything into it any more, and nothing is left to get");
}

enum class put_result : std::uint8_t { done, full, closed, timed_out };

// One spin lock guards everything.
//
//   an item    is in                        left by
//   offered    its putter's own variable    accept(), or the take() of another item, which makes room
//   queued     items_                       take()
//   got        its getter's frame           task_done(): any one
//   done       nowhere
//
// I1  Somebody waits to get only while the queue is empty, to put only while it is full, to join only while an item is
//     queued or got.
// I2  An item is in exactly one of these places. Close, stop and timeout touch none: what is offered stays so.
// I3  unfinished_ counts the items that have been accepted and not reported done; it rises in the critical section in which
//     an item leaves its putter's frame, so join() cannot slip through between a put and the get that it meets.
template <class T>
class work_queue_core {
public:
    using put_result = detail::put_result;

    explicit work_queue_core(std::size_t slots) : items_(slots) {}

    put_result put(offer<T> item, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lowlevel::wait_node node(me);
        item.show_in(node);
        lock_.lock();
        const auto now = accept(item);                     // lets go of the lock unless the answer is full
        if (now != put_result::full) return now;
        if (until == at_once) {
            lock_.unlock();
            return put_result::timed_out;
        }
        putters_.push_back(node);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return put_result::done;
        if (outcome == lowlevel::wake::closed) return put_result::closed;
        lowlevel::unlink(lock_, putters_, node);
        lowlevel::raise(outcome);
        return put_result::timed_out;
    }
    /// For try_put and select: links the node (if any) when there is no room.
    put_result put_or_enlist(offer<T> item, lowlevel::wait_node* node) {
        lock_.lock();
        const auto now = accept(item);
        if (now != put_result::full) return now;
        if (node) {
            item.show_in(*node);
            putters_.push_back(*node);
        }
        lock_.unlock();
        return now;
    }
    void withdraw_putter(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, putters_, node); }

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
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this}, &lock_, until);
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
    void withdraw_getter(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, getters_, node); }

    void task_done() {
        lowlevel::claimed_waiters woken;
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
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::work_queue, this}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return true;
        if (outcome == lowlevel::wake::closed) throw closed("the work queue is gone: nobody is left to do its work");
        lowlevel::unlink(lock_, joiners_, node);
        lowlevel::raise(outcome);
        return false;
    }

    /// For select: true if all is done, else links the node (if any).
    bool done_or_enlist(lowlevel::wait_node* node) noexcept {
        const hold_spin_lock hold(lock_);
        if (unfinished_ != 0 && node) joiners_.push_back(*node);
        return unfinished_ == 0;
    }
    void withdraw_joiner(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, joiners_, node); }

    void close() noexcept { end(false); }
    void abandon() noexcept { end(true); }

    [[nodiscard]] bool is_closed() noexcept { return locked([&] { return closed_; }); }
    [[nodiscard]] std::size_t size() noexcept { return locked([&] { return items_.size(); }); }
    [[nodiscard]] std::size_t unfinished() noexcept { return locked([&] { return unfinished_; }); }
    [[nodiscard]] std::size_t capacity() const noexcept { return items_.slots(); }

private:
    // With the lock held; lets go of it unless the answer is full.
    put_result accept(offer<T> item) {
        if (closed_) {
            lock_.unlock();
            return put_result::closed;
        }
        if (lowlevel::wait_node* g = getters_.claim_front(lowlevel::wake::ready)) {
            ++unfinished_;
            lock_.unlock();
            item.take(*static_cast<packet<T>*>(g->slot));             // it waits for our resume
            lowlevel::resume(*g->who, lowlevel::placement::tail);
            return put_result::done;
        }
        if (items_.full()) return put_result::full;
        packet<T> p = item.take();
        try {
            items_.push(std::move(p));
        } catch (...) {                                    // no memory
            item.put_back(std::move(p));
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
            items_.push(offer<T>(*p).take());              // into the slot that has become free
            ++unfinished_;
            putter = p->who;
        }
        return received::value;
    }
    void end(bool for_joiners_too) noexcept {
        lowlevel::claimed_waiters woken;
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
template <class T>
class work_queue {
    using core = detail::work_queue_core<T>;

public:
    using value_type = T;

    /// Without a limit put() never waits. With n slots it waits while n items lie in the queue. Throws usage_error for 0 and
    /// for std::size_t(-1).
    work_queue() : core_(std::in_place, detail::no_limit) {}
    explicit work_queue(std::size_t slots) : core_(std::in_place, checked(slots)) {}

    /// Puts an item in, or hands it to whoever waits in get(); it counts as unfinished from now on. A variable that is
    /// given away, put(std::move(v)), is moved from if and only if it is put: whatever this throws, it is as it was. So in
    /// all that follows.
    ///
    /// Suspends: while the queue is full; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; the item has not been put.
    /// Throws:   `closed`.
    /// Cost:     O(1); no allocation but for an unlimited queue's storage.
    void put(T&& item) const { (void)put_by(item, lowlevel::no_deadline); }
    void put(const T& item) const
        requires std::copy_constructible<T>
    {
        put(T(item));
    }
    /// Takes `item` only if it can be put at once; on failure what was given away, or cannot be copied, is left as it was.
    /// Never throws `closed`. Suspends: never.
    send_status try_put(T&& item) const { return status(core_->put_or_enlist(item, nullptr)); }
    send_status try_put(T& item) const
        requires(!std::copy_constructible<T>)
    {
        return try_put(std::move(item));
    }
    send_status try_put(const T& item) const
        requires std::copy_constructible<T>
    {
        return try_put(T(item));
    }
    /// As put(), but gives up after a while: send_status::timed_out.
    template <class Rep, class Period>
    send_status put_for(T&& item, std::chrono::duration<Rep, Period> d) const {
        return put_by(item, detail::limit_after(d));
    }
    template <class Rep, class Period>
        requires std::copy_constructible<T>
    send_status put_for(const T& item, std::chrono::duration<Rep, Period> d) const {
        return put_for(T(item), d);
    }
    template <class Clock, class Duration>
    send_status put_until(T&& item, std::chrono::time_point<Clock, Duration> tp) const {
        return put_by(item, detail::limit_at(tp));
    }
    template <class Clock, class Duration>
        requires std::copy_constructible<T>
    send_status put_until(const T& item, std::chrono::time_point<Clock, Duration> tp) const {
        return put_until(T(item), tp);
    }

    /// Gives the oldest item. Follow it with task_done() once the work is done, or has failed.
    ///
    /// Suspends: until there is one; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`; no item has been taken.
    /// Throws:   `closed` once the queue is closed and empty.
    /// Cost:     O(1), no allocation.
    T get() const {
        detail::packet<T> p;
        if (core_.pin()->get(p, lowlevel::no_deadline) == detail::received::closed) detail::throw_queue_closed();
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
    class get_clause final : public detail::shared_clause<core, F> {
    public:
        get_clause(const work_queue& q, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::work_queue, q.core_.pin(), std::move(f)) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner& met) override {
            return detail::progress_of(this->core_->take_or_enlist(into_, this->node_for(me, enlists, &into_), met.who));
        }
        void withdraw() noexcept override { this->core_->withdraw_getter(this->node()); }
        void run() { std::invoke(this->f_, into_.take()); }

    private:
        detail::packet<T> into_;
    };

    /// For select: see to(). Source is T& or T, as in a channel's.
    template <class Source, class F>
    class put_clause final : public detail::shared_clause<core, F> {
    public:
        put_clause(const work_queue& q, Source item, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::work_queue, q.core_.pin(), std::move(f)),
              item_(std::forward<Source>(item)) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
            switch (this->core_->put_or_enlist(item_, this->node_for(me, enlists))) {
                case core::put_result::done: return lowlevel::progress::done;
                case core::put_result::closed: return lowlevel::progress::closed;
                default: return lowlevel::progress::waits;
            }
        }
        void withdraw() noexcept override { this->core_->withdraw_putter(this->node()); }
        void run() { std::invoke(this->f_); }

    private:
        Source item_;
    };
    /// For select: see joined().
    template <class F>
    class join_clause final : public detail::shared_clause<core, F> {
    public:
        join_clause(const work_queue& q, F f)
            : detail::shared_clause<core, F>(lowlevel::wait_kind::work_queue, q.core_.pin(), std::move(f)) {}
        lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
            return this->core_->done_or_enlist(this->node_for(me, enlists)) ? lowlevel::progress::done
                                                                            : lowlevel::progress::waits;
        }
        void withdraw() noexcept override { this->core_->withdraw_joiner(this->node()); }
        void run() { std::invoke(this->f_); }
    };

private:
    static std::size_t checked(std::size_t slots) {
        if (slots == 0 || slots == detail::no_limit)
            throw usage_error("a work_queue needs at least one slot, and less than std::size_t(-1); without a number it has no limit");
        return slots;
    }
    static send_status status(detail::put_result r) noexcept {
        switch (r) {
            case core::put_result::done: return send_status::done;
            case core::put_result::full: return send_status::full;
            case core::put_result::closed: return send_status::closed;
            default: return send_status::timed_out;
        }
    }
    send_status put_by(detail::offer<T> item, lowlevel::time_point until) const {
        const auto result = core_.pin()->put(item, until);
        if (result == core::put_result::closed) detail::throw_queue_closed();
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

/// A clause of select: puts `item` into `q` and calls f(). What becomes of `item` is as for a channel's to().
template <message T, class V = T, std::invocable<> F>
    requires(detail::stays_with_sender<V, T> || std::constructible_from<T, V &&>)
[[nodiscard]] auto to(const work_queue<T>& q, V&& item, F f) {
    using source = std::conditional_t<detail::stays_with_sender<V, T>, T&, T>;
    using clause = typename work_queue<T>::template put_clause<source, F>;
    return clause(q, static_cast<source>(std::forward<V>(item)), std::move(f));
}

/// A clause of select: calls f() once everything that was put into `q` has been reported done.
template <message T, std::invocable<> F>
[[nodiscard]] auto joined(const work_queue<T>& q, F f) {
    return typename work_queue<T>::template join_clause<F>(q, std::move(f));
}

}  // namespace rondo
