// The lock-free channels with slots, and without a limit: values lie in slots, and slots go round between two queues.
//
// A slot holds a packet. `values_` keeps the slots that are full, oldest first; `free_` keeps those that are empty. Both
// are cell queues that keep (cell_queue.hpp), so that posting a slot never waits, and taking one waits, in order of
// arrival, until there is one. A send takes an empty slot, fills it, posts it to values_. A receive takes a full one,
// empties it, posts it to free_. (Two queues of indices: R. Nikolaev, "A scalable, portable, and memory-efficient
// lock-free FIFO queue", 2019.) Without a limit empty slots lie in a pool that grows, and nobody waits for one.
//
//   slot        whose it is                                     becomes
//   unused      the pool's                                      a sender's, by slot_pool::fresh()
//   empty       free_'s (the pool's, without a limit)           a sender's, by found; or who posts it: see I2
//   in hand     whoever has taken it: a sender, a receiver      full, empty: by post()
//   full        values_'                                        a receiver's, by found; or who posts it: see I2
//
// I1  Each slot is in exactly one of these places. So if a sender waits, all slots are full or in somebody's hands, who
//     will post them without waiting; if a receiver waits, all that was sent has been taken.
// I2  Who posts a slot and meets a waiter does that waiter's work, too: a full slot's value goes into the frame of the
//     receiver, and the slot is empty at once; into an empty slot goes the value of the sender that waited, and the slot is
//     full at once. Then the next post. Each round ends one wait for good.
// I3  A value is in exactly one place: a sender's frame, a slot, a receiver's frame. If the channel is closed before the
//     slot is posted that it has been moved into, it goes back, and the sender gets closed: its node says so (value_is_back),
//     for its wait has ended as ready.
// I4  Values come out in the order in which their sends took tickets of values_. A sender that has waited gets its ticket
//     from who made room for it.
// I5  After its wait nobody touches the channel, unless it gives up: then it needs a pin to trim (cell_queue.hpp, I5).
// Progress: lock-free, as the queues are; whoever stalls holds up one slot, and those whose values it carries.
//           A try that finds neither a value nor an empty slot may say so while a slot is in somebody's hands.
// Dropped: one array of cells and a third counter, the end of the buffer (Kotlin's): two read-modify-writes less for each
//          message, but a third visitor in each cell, and whoever gives up has to wait for it. A counter of empty slots
//          beside a queue of waiters: who is stalled between the two holds up all that wait behind it.
// Checked: tests/model/slots_test.cpp, tests/stress/channel_stress_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <rondo/detail/cell_store.hpp>
#include <rondo/detail/channel_core.hpp>
#include <rondo/detail/slot_pool.hpp>
#include <rondo/error.hpp>

namespace rondo::detail {

/// How taking a slot ends. passed: somebody has done the whole work while we waited. Else as meeting::kind.
enum class slot_end : std::uint8_t { found, passed, closed, timed_out };

/// Takes a slot from `from`; waits for one. `frame` is where the value comes from or goes to. Throws stopped.
template <class Queue>
slot_end take_slot(Queue& from, counted_core& core, lowlevel::waiter& me, lowlevel::wait_kind kind, void* frame,
                   lowlevel::time_point until, void*& slot) {
    // Who may give up often holds a pin: then it tidies up behind itself (cell_queue.hpp, I5 and I6). A stop comes once.
    const pinned pin(core, until != lowlevel::no_deadline || me.deadline_ns != INT64_MAX);
    lowlevel::wait_node node(me);
    node.slot = frame;
    const meeting m = from.arrive(side::receive, me, node);
    slot = m.item;
    if (m.what == meeting::kind::found) return slot_end::found;
    if (m.what == meeting::kind::closed) return slot_end::closed;
    // From here on `from` may be gone, unless there is a pin.
    const auto outcome = lowlevel::suspend_published(me, node.generation, {kind, &core, nullptr}, until);
    if (outcome == lowlevel::wake::ready) return node.tag == value_is_back ? slot_end::closed : slot_end::passed;
    if (outcome == lowlevel::wake::closed) return slot_end::closed;
    from.withdraw(*m.at, node);                     // touches the cell only
    if (pin) from.trim(side::receive);
    lowlevel::raise(outcome);
    return slot_end::timed_out;
}
extern template slot_end take_slot(cell_queue<cell_store>&, counted_core&, lowlevel::waiter&, lowlevel::wait_kind, void*,
                                   lowlevel::time_point, void*&);

template <class T, class Store = cell_store>
class slots_channel final : public channel_core<T> {
    using progress = lowlevel::progress;
    using kind = meeting::kind;
    using slot = typename slot_pool<packet<T>>::slot;
    static_assert(alignof(slot) > cell::item);

public:
    /// slots: no_limit, or at least one.
    explicit slots_channel(std::size_t slots, Store store = {}) : values_(true, store), free_(true, store), pool_(slots) {}

    bool send(packet<T>&& value, lowlevel::time_point until) override {
        lowlevel::waiter& me = lowlevel::enter();
        slot* s = pool_.take();
        if (!s) {
            void* taken = nullptr;
            switch (take_slot(free_, *this, me, lowlevel::wait_kind::send, &value, until, taken)) {
                case slot_end::found: s = static_cast<slot*>(taken); break;
                case slot_end::passed: return true;
                case slot_end::closed: throw closed();
                case slot_end::timed_out: return false;
            }
        }
        s->value = std::move(value);
        if (post(*s)) return true;
        empty(*s, value);
        throw closed();
    }

    sent try_send(T& value) override {
        lowlevel::partner met;
        switch (select_send(value, met)) {
            case progress::done: return sent::done;
            case progress::closed: return sent::closed;
            default: return sent::full;
        }
    }

    received receive(packet<T>& into, lowlevel::time_point until) override {
        lowlevel::waiter& me = lowlevel::enter();
        void* taken = nullptr;
        switch (take_slot(values_, *this, me, lowlevel::wait_kind::receive, &into, until, taken)) {
            case slot_end::found: empty(*static_cast<slot*>(taken), into); return received::value;
            case slot_end::passed: return received::value;
            case slot_end::closed: return received::closed;
            default: return received::timed_out;
        }
    }

    received try_receive(packet<T>& into) noexcept override {
        const meeting m = values_.try_arrive(side::receive);
        if (m.what == kind::closed) return received::closed;
        if (m.what != kind::found) return received::empty;
        empty(*static_cast<slot*>(m.item), into);
        return received::value;
    }

    progress select_receive(packet<T>& into, lowlevel::partner&) noexcept override {
        return received_in(values_.try_arrive(side::receive), into);
    }
    progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*& place, lowlevel::partner&) override {
        node.slot = &into;
        const meeting m = values_.arrive(side::receive, *node.who, node);
        place = m.at;
        return received_in(m, into);
    }
    void withdraw_receive(lowlevel::wait_node& node, void* place) noexcept override { withdraw(values_, node, place); }

    progress select_send(T& value, lowlevel::partner&) override {
        if (slot* s = pool_.take()) return sent_in(*s, value);
        const meeting m = free_.try_arrive(side::receive);
        return m.what == kind::found ? sent_in(*static_cast<slot*>(m.item), value) : progress_of(m);
    }
    progress select_send(T& value, lowlevel::wait_node& node, void*& place, lowlevel::partner&) override {
        if (slot* s = pool_.take()) return sent_in(*s, value);
        node.slot = &value;
        node.tag = slot_is_value;
        const meeting m = free_.arrive(side::receive, *node.who, node);
        place = m.at;
        return m.what == kind::found ? sent_in(*static_cast<slot*>(m.item), value) : progress_of(m);
    }
    void withdraw_send(lowlevel::wait_node& node, void* place) noexcept override { withdraw(free_, node, place); }

    void close() noexcept override {
        values_.close();
        free_.close();
    }
    bool is_closed() noexcept override { return values_.is_closed(); }
    std::ptrdiff_t balance() noexcept override {
        const auto senders = -free_.balance();
        return senders > 0 ? senders : values_.balance();
    }
    std::size_t size() noexcept override { return values_.size(); }
    std::size_t capacity() const noexcept override { return pool_.limit(); }

private:
    using slot_queue = cell_queue<Store>;

    static void withdraw(slot_queue& from, lowlevel::wait_node& node, void* place) noexcept {
        if (node.claimed) return;
        from.withdraw(*static_cast<cell*>(place), node);
        from.trim(side::receive);
    }
    static packet<T>& packet_at(const meeting& m) noexcept { return *static_cast<packet<T>*>(m.node->slot); }
    static void go_on(const meeting& m) noexcept {
        lowlevel::settle(*m.node->who, m.how, lowlevel::placement::tail);
    }

    // A full slot. False: closed, and the slot is still full; nobody needs it any more.
    bool post(slot& s) noexcept {
        const meeting m = values_.post(&s);
        if (m.what == kind::closed) return false;
        if (m.what == kind::met) {
            packet_at(m) = std::move(s.value);
            go_on(m);
            post_empty(s);
        }
        return true;
    }
    void post_empty(slot& s) noexcept {
        if (!pool_.is_limited()) return pool_.put(s);
        for (;;) {
            const meeting sender = free_.post(&s);
            if (sender.what != kind::met) return;               // there it lies; or all is closed, and it is not needed
            s.value = taken_from<T>(*sender.node);
            const meeting m = values_.post(&s);
            if (m.what == kind::closed) give_back(*sender.node, s.value);
            if (m.what == kind::met) {
                packet_at(m) = std::move(s.value);
                go_on(m);
            }
            go_on(sender);
            if (m.what == kind::left) return;
        }
    }
    static void give_back(lowlevel::wait_node& sender, packet<T>& value) noexcept {
        if (sender.tag == slot_is_value) put_back(*static_cast<T*>(sender.slot), value);
        else *static_cast<packet<T>*>(sender.slot) = std::move(value);
        sender.tag = value_is_back;
    }
    void empty(slot& s, packet<T>& into) noexcept {
        into = std::move(s.value);
        post_empty(s);
    }
    progress received_in(const meeting& m, packet<T>& into) noexcept {
        if (m.what != kind::found) return progress_of(m);
        empty(*static_cast<slot*>(m.item), into);
        return progress::done;
    }
    progress sent_in(slot& s, T& value) noexcept {
        s.value = packet<T>(std::move(value));
        if (post(s)) return progress::done;
        put_back(value, s.value);
        post_empty(s);
        return progress::closed;
    }
    static progress progress_of(const meeting& m) noexcept {
        return m.what == kind::closed ? progress::closed : progress::waits;
    }

    slot_queue values_, free_;
    slot_pool<packet<T>> pool_;
};

}  // namespace rondo::detail
