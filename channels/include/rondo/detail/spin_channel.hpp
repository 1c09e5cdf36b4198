// A channel behind one spin lock: the baseline that a lock-free one has to beat.
//
// The lock guards everything. Who arrives second at a waiting partner claims it (lowlevel/wait.hpp: a timer or a stop
// may be faster), moves the value between the two frames, unlocks, and only then resumes it. A waiter holds the lock
// until it has left its stack, so nobody meets a half-suspended one.
//
// I1  Senders wait only while no receiver waits and all slots are full; receivers only while nothing can be had.
// I2  A value is in exactly one place: a sender's frame, a slot, a receiver's frame. Close, stop and timeout only ever
//     end waits; they touch no value. So nothing is lost and nothing arrives twice.
// I3  handles_ counts the copies of the channel; pins_ (under the lock) the waiters. The core dies with the last of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <utility>

#include <rondo/detail/packet.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();
inline constexpr unsigned to_receiver = 1, to_sender = 2;

enum class sent : std::uint8_t { done, full, closed };
enum class received : std::uint8_t { value, empty, closed, timed_out };

/// A ring of packets that allocates once, or, without a limit, as it grows.
template <class T>
class packet_store {
public:
    explicit packet_store(std::size_t slots) : slots_(slots) {
        if (slots_ != 0 && slots_ != no_limit) ring_ = std::make_unique<packet<T>[]>(slots_);
    }
    [[nodiscard]] std::size_t slots() const noexcept { return slots_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool full() const noexcept { return size_ == slots_; }
    void push(packet<T>&& p) {
        if (slots_ == no_limit) {
            queue_.push_back(std::move(p));
        } else {
            ring_[at_ + size_ < slots_ ? at_ + size_ : at_ + size_ - slots_] = std::move(p);
        }
        ++size_;
    }
    packet<T> pop() noexcept {
        --size_;
        if (slots_ == no_limit) {
            packet<T> p(std::move(queue_.front()));
            queue_.pop_front();
            return p;
        }
        packet<T> p(std::move(ring_[at_]));
        at_ = at_ + 1 == slots_ ? 0 : at_ + 1;
        return p;
    }

private:
    std::size_t slots_, size_ = 0, at_ = 0;
    std::unique_ptr<packet<T>[]> ring_;
    std::deque<packet<T>> queue_;
};

/// The value of `p` goes back to where it came from.
template <class T>
void put_back(T& value, packet<T>& p) noexcept {
    std::destroy_at(&value);
    std::construct_at(&value, p.take());
}

template <class T>
class spin_channel {
public:
    spin_channel(std::size_t slots, unsigned hand_to) : store_(slots), hand_to_(hand_to) {}

    /// True: sent. False: `until` has passed. Throws closed, stopped.
    bool send(packet<T> value, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lock_.lock();
        if (closed_) {
            lock_.unlock();
            throw closed();
        }
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *r->who;
            lock_.unlock();
            *static_cast<packet<T>*>(r->slot) = std::move(value);      // it waits for our resume
            if (hand_to_ & to_receiver) lowlevel::resume_now(who);
            else lowlevel::resume(who, lowlevel::placement::tail);
            return true;
        }
        if (!store_.full()) {
            keep(std::move(value));
            lock_.unlock();
            return true;
        }
        lowlevel::wait_node node(me);
        node.slot = &value;
        senders_.push_back(node);
        ++pins_;
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::send, this, nullptr}, &lock_, until);
        unpin(senders_, node);
        if (outcome == lowlevel::wake::ready) return true;
        if (outcome == lowlevel::wake::closed) throw closed();
        lowlevel::raise(outcome);
        return false;
    }

    sent try_send(T& value) {
        lock_.lock();
        if (closed_) {
            lock_.unlock();
            return sent::closed;
        }
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *r->who;
            lock_.unlock();
            *static_cast<packet<T>*>(r->slot) = packet<T>(std::move(value));
            lowlevel::resume(who, lowlevel::placement::tail);
            return sent::done;
        }
        if (store_.full()) {
            lock_.unlock();
            return sent::full;
        }
        keep(packet<T>(std::move(value)));
        lock_.unlock();
        return sent::done;
    }

    received receive(packet<T>& into, lowlevel::time_point until) {
        lowlevel::waiter& me = lowlevel::enter();
        lock_.lock();
        if (store_.size() != 0) {
            into = store_.pop();
            // A slot is free: the oldest waiting sender's value moves up.
            lowlevel::waiter* who = nullptr;
            if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
                store_.push(std::move(*static_cast<packet<T>*>(s->slot)));
                who = s->who;
            }
            lock_.unlock();
            if (who) lowlevel::resume(*who, lowlevel::placement::tail);
            return received::value;
        }
        if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *s->who;
            lock_.unlock();
            into = std::move(*static_cast<packet<T>*>(s->slot));
            if (hand_to_ & to_sender) lowlevel::resume_now(who);
            else lowlevel::resume(who, lowlevel::placement::tail);
            return received::value;
        }
        if (closed_) {
            lock_.unlock();
            return received::closed;
        }
        lowlevel::wait_node node(me);
        node.slot = &into;
        receivers_.push_back(node);
        ++pins_;
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::receive, this, nullptr}, &lock_, until);
        unpin(receivers_, node);
        if (outcome == lowlevel::wake::ready) return received::value;
        if (outcome == lowlevel::wake::closed) return received::closed;
        lowlevel::raise(outcome);
        return received::timed_out;
    }

    received try_receive(packet<T>& into) noexcept {
        lock_.lock();
        lowlevel::waiter* who = nullptr;
        auto result = received::value;
        lowlevel::wait_node* s = nullptr;
        if (store_.size() != 0) {
            into = store_.pop();
            if ((s = senders_.claim_front(lowlevel::wake::ready))) {
                store_.push(std::move(*static_cast<packet<T>*>(s->slot)));
                who = s->who;
            }
        } else if ((s = senders_.claim_front(lowlevel::wake::ready))) {
            into = std::move(*static_cast<packet<T>*>(s->slot));
            who = s->who;
        } else {
            result = closed_ ? received::closed : received::empty;
        }
        lock_.unlock();
        if (who) lowlevel::resume(*who, lowlevel::placement::tail);
        return result;
    }

    // ---- for select; `pins`: see I3

    lowlevel::progress select_receive(packet<T>& into, lowlevel::wait_node* node, bool pins,
                                      lowlevel::partner& met) noexcept {
        lock_.lock();
        if (pins) ++pins_;
        auto result = lowlevel::progress::done;
        if (store_.size() != 0) {
            into = store_.pop();
            if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
                store_.push(std::move(*static_cast<packet<T>*>(s->slot)));
                met = {s->who, false};
            }
        } else if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
            into = std::move(*static_cast<packet<T>*>(s->slot));
            met = {s->who, (hand_to_ & to_sender) != 0};
        } else if (closed_) {
            result = lowlevel::progress::closed;
        } else {
            if (node) {
                node->slot = &into;
                receivers_.push_back(*node);
            }
            result = lowlevel::progress::waits;
        }
        lock_.unlock();
        return result;
    }
    lowlevel::progress select_send(packet<T>& value, lowlevel::wait_node& node, bool pins, lowlevel::partner& met) {
        lock_.lock();
        if (pins) ++pins_;
        const auto result = offer(value, met);
        if (result == lowlevel::progress::waits) {
            node.slot = &value;
            senders_.push_back(node);
        }
        lock_.unlock();
        return result;
    }
    lowlevel::progress select_send(T& value, lowlevel::partner& met) {
        lock_.lock();
        lowlevel::progress result;
        if (!closed_ && receivers_.empty() && store_.full()) {
            result = lowlevel::progress::waits;
        } else {
            packet<T> p(std::move(value));
            try {
                result = offer(p, met);
            } catch (...) {                          // no memory; the lock has been let go
                put_back(value, p);
                throw;
            }
            if (result != lowlevel::progress::done) put_back(value, p);
        }
        lock_.unlock();
        return result;
    }
    void withdraw_receive(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, receivers_, node); }
    void withdraw_send(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, senders_, node); }
    void unpin() noexcept {
        lock_.lock();
        const bool last = --pins_ == 0 && orphan_;
        lock_.unlock();
        if (last) delete this;
    }

    void close() noexcept {
        lock_.lock();
        closed_ = true;
        // Claimed waiters are chained, so that they are resumed without the lock; a resumed one's node is gone.
        lowlevel::wait_node* claimed = nullptr;
        for (auto* list : {&senders_, &receivers_})
            while (lowlevel::wait_node* n = list->claim_front(lowlevel::wake::closed)) {
                n->prev = claimed;
                claimed = n;
            }
        lock_.unlock();
        lowlevel::wait_node* first = nullptr;                     // in order of arrival
        while (claimed) {
            lowlevel::wait_node* after = claimed->prev;
            claimed->prev = first;
            first = claimed;
            claimed = after;
        }
        while (first) {
            lowlevel::wait_node* after = first->prev;
            lowlevel::resume(*first->who, lowlevel::placement::tail);
            first = after;
        }
    }

    [[nodiscard]] bool is_closed() noexcept { return locked([&] { return closed_; }); }
    [[nodiscard]] std::ptrdiff_t balance() noexcept {
        return locked([&] {
            return static_cast<std::ptrdiff_t>(senders_.size()) - static_cast<std::ptrdiff_t>(receivers_.size());
        });
    }
    [[nodiscard]] std::size_t size() noexcept { return locked([&] { return store_.size(); }); }
    [[nodiscard]] std::size_t capacity() const noexcept { return store_.slots(); }

    void add_handle() noexcept { handles_.fetch_add(1, relaxed); }
    void drop_handle() noexcept {
        // acq_rel: the last one sees what the others did before they let go.
        if (handles_.fetch_sub(1, acq_rel) != 1) return;
        close();                                                  // whoever waits on it still gets `closed`
        lock_.lock();
        orphan_ = true;
        const bool last = pins_ == 0;
        lock_.unlock();
        if (last) delete this;
    }

private:
    // With the lock held: hands the value over, or puts it into a slot, if that can be done at once.
    lowlevel::progress offer(packet<T>& value, lowlevel::partner& met) {
        if (closed_) return lowlevel::progress::closed;
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            *static_cast<packet<T>*>(r->slot) = std::move(value);
            met = {r->who, (hand_to_ & to_receiver) != 0};
            return lowlevel::progress::done;
        }
        if (store_.full()) return lowlevel::progress::waits;
        keep(std::move(value));
        return lowlevel::progress::done;
    }
    // Called with the lock held; a channel without a limit may be out of memory: then the lock is let go.
    void keep(packet<T>&& p) {
        try {
            store_.push(std::move(p));
        } catch (...) {
            lock_.unlock();
            throw;
        }
    }
    void unpin(lowlevel::wait_list& list, lowlevel::wait_node& node) noexcept {
        lock_.lock();
        if (node.linked) list.erase(node);
        const bool last = --pins_ == 0 && orphan_;
        lock_.unlock();
        if (last) delete this;
    }
    template <class F>
    auto locked(F f) noexcept {
        lock_.lock();
        auto result = f();
        lock_.unlock();
        return result;
    }

    lowlevel::spin_lock lock_;
    bool closed_ = false, orphan_ = false;
    lowlevel::wait_list senders_, receivers_;
    packet_store<T> store_;
    std::size_t pins_ = 0;
    const unsigned hand_to_;
    atomic<std::size_t> handles_{1};
};

}  // namespace rondo::detail
