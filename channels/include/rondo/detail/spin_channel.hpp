// A channel behind one spin lock: the baseline that a lock-free one has to beat.
//
// The lock guards everything. Who arrives second at a waiting partner claims it (lowlevel/wait.hpp: a timer or a stop
// may be faster), moves the value between the two frames, unlocks, and only then resumes it. A waiter holds the lock
// until it has left its stack, so nobody meets a half-suspended one.
//
// I1  Senders wait only while no receiver waits and all slots are full; receivers only while nothing can be had.
// I2  A value is in exactly one place: a sender's frame, a slot, a receiver's frame. Close, stop and timeout only ever
//     end waits; they touch no value. So nothing is lost and nothing arrives twice.
// I3  A waiter holds a pin (channel_core.hpp), so that the core is there when it takes its node out.
#pragma once

#include <cstddef>
#include <utility>

#include <rondo/detail/channel_core.hpp>
#include <rondo/detail/packet_store.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/claimed_waiters.hpp>

namespace rondo::detail {

template <class T>
class spin_channel final : public channel_core<T> {
public:
    spin_channel(std::size_t slots, unsigned hand_to) : store_(slots), hand_to_(hand_to) {}

    bool send(offer<T> value, lowlevel::time_point until) override {
        lowlevel::waiter& me = lowlevel::enter();
        lock_.lock();
        if (closed_) {
            lock_.unlock();
            throw closed();
        }
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *r->who;
            lock_.unlock();
            value.take(*static_cast<packet<T>*>(r->slot));          // it waits for our resume
            part(who, to_receiver);
            return true;
        }
        if (!store_.full()) {
            keep(value);
            lock_.unlock();
            return true;
        }
        lowlevel::wait_node node(me);
        value.show_in(node);
        senders_.push_back(node);
        const pinned pin(*this, true);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::send, this}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return true;
        if (outcome == lowlevel::wake::closed) throw closed();
        lowlevel::unlink(lock_, senders_, node);
        lowlevel::raise(outcome);
        return false;
    }

    sent try_send(offer<T> value) override {
        lock_.lock();
        if (closed_) {
            lock_.unlock();
            return sent::closed;
        }
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *r->who;
            lock_.unlock();
            value.take(*static_cast<packet<T>*>(r->slot));
            part(who, 0);
            return sent::done;
        }
        if (store_.full()) {
            lock_.unlock();
            return sent::full;
        }
        keep(value);
        lock_.unlock();
        return sent::done;
    }

    received receive(packet<T>& into, lowlevel::time_point until) override {
        lowlevel::waiter& me = lowlevel::enter();
        lock_.lock();
        if (store_.size() != 0) {
            into = store_.pop();
            // A slot is free: the oldest waiting sender's value moves up.
            lowlevel::waiter* who = nullptr;
            if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
                store_.push(offer<T>(*s).take());
                who = s->who;
            }
            lock_.unlock();
            if (who) lowlevel::resume(*who, lowlevel::placement::tail);
            return received::value;
        }
        if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
            lowlevel::waiter& who = *s->who;
            lock_.unlock();
            offer<T>(*s).take(into);
            part(who, to_sender);
            return received::value;
        }
        if (closed_) {
            lock_.unlock();
            return received::closed;
        }
        lowlevel::wait_node node(me);
        node.slot = &into;
        receivers_.push_back(node);
        const pinned pin(*this, true);
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::receive, this}, &lock_, until);
        if (outcome == lowlevel::wake::ready) return received::value;
        if (outcome == lowlevel::wake::closed) return received::closed;
        lowlevel::unlink(lock_, receivers_, node);
        lowlevel::raise(outcome);
        return received::timed_out;
    }

    received try_receive(packet<T>& into) noexcept override {
        lowlevel::partner met;
        const auto result = select_receive(into, met);
        if (met.who) lowlevel::resume(*met.who, lowlevel::placement::tail);
        switch (result) {
            case lowlevel::progress::done: return received::value;
            case lowlevel::progress::closed: return received::closed;
            default: return received::empty;
        }
    }

    lowlevel::progress select_receive(packet<T>& into, lowlevel::partner& met) noexcept override {
        lock_.lock();
        const auto result = take(into, met);
        lock_.unlock();
        return result;
    }
    lowlevel::progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*&,
                                      lowlevel::partner& met) override {
        lock_.lock();
        const auto result = take(into, met);
        if (result == lowlevel::progress::waits) {
            node.slot = &into;
            receivers_.push_back(node);
        }
        lock_.unlock();
        return result;
    }
    void withdraw_receive(lowlevel::wait_node& node, void*) noexcept override {
        lowlevel::unlink(lock_, receivers_, node);
    }
    lowlevel::progress select_send(offer<T> value, lowlevel::partner& met) override {
        lock_.lock();
        const auto result = give(value, met);
        lock_.unlock();
        return result;
    }
    lowlevel::progress select_send(offer<T> value, lowlevel::wait_node& node, void*&, lowlevel::partner& met) override {
        lock_.lock();
        const auto result = give(value, met);
        if (result == lowlevel::progress::waits) {
            value.show_in(node);
            senders_.push_back(node);
        }
        lock_.unlock();
        return result;
    }
    void withdraw_send(lowlevel::wait_node& node, void*) noexcept override { lowlevel::unlink(lock_, senders_, node); }

    void close() noexcept override {
        lowlevel::claimed_waiters woken;
        lock_.lock();
        closed_ = true;
        woken.take_all(senders_, lowlevel::wake::closed);
        woken.take_all(receivers_, lowlevel::wake::closed);
        lock_.unlock();
        woken.resume_all();
    }

    bool is_closed() noexcept override { return locked([&] { return closed_; }); }
    std::ptrdiff_t balance() noexcept override {
        return locked([&] {
            return static_cast<std::ptrdiff_t>(senders_.size()) - static_cast<std::ptrdiff_t>(receivers_.size());
        });
    }
    std::size_t size() noexcept override { return locked([&] { return store_.size(); }); }
    std::size_t capacity() const noexcept override { return store_.slots(); }

private:
    // The partner goes on, as on the lock-free channels.
    void part(lowlevel::waiter& who, unsigned partner) const noexcept {
        if (hand_to_ & partner) lowlevel::resume_now(who);
        else lowlevel::resume(who, hand_to_ || capacity() ? lowlevel::placement::tail : lowlevel::placement::near);
    }
    // With the lock held: the oldest value, if there is one.
    lowlevel::progress take(packet<T>& into, lowlevel::partner& met) noexcept {
        if (store_.size() != 0) {
            into = store_.pop();
            if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
                store_.push(offer<T>(*s).take());
                met = {s->who, false};
            }
            return lowlevel::progress::done;
        }
        if (lowlevel::wait_node* s = senders_.claim_front(lowlevel::wake::ready)) {
            offer<T>(*s).take(into);
            met = {s->who, (hand_to_ & to_sender) != 0};
            return lowlevel::progress::done;
        }
        return closed_ ? lowlevel::progress::closed : lowlevel::progress::waits;
    }
    // With the lock held: hands the value over, or puts it into a slot, if that can be done at once. Throws without it.
    lowlevel::progress give(offer<T> value, lowlevel::partner& met) {
        if (closed_) return lowlevel::progress::closed;
        if (lowlevel::wait_node* r = receivers_.claim_front(lowlevel::wake::ready)) {
            value.take(*static_cast<packet<T>*>(r->slot));
            met = {r->who, (hand_to_ & to_receiver) != 0};
            return lowlevel::progress::done;
        }
        if (store_.full()) return lowlevel::progress::waits;
        keep(value);
        return lowlevel::progress::done;
    }
    // Called with the lock held; a channel without a limit may be out of memory: then the lock is let go.
    void keep(offer<T> value) {
        packet<T> p = value.take();
        try {
            store_.push(std::move(p));
        } catch (...) {
            value.put_back(std::move(p));
            lock_.unlock();
            throw;
        }
    }
    template <class F>
    auto locked(F f) noexcept {
        lock_.lock();
        auto result = f();
        lock_.unlock();
        return result;
    }

    lowlevel::spin_lock lock_;
    bool closed_ = false;
    lowlevel::wait_list senders_, receivers_;
    packet_store<T> store_;
    const unsigned hand_to_;
};

}  // namespace rondo::detail
