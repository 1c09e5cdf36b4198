// The lock-free channels with slots, and without a limit: values lie in slots, and slots go round between two queues.
//
// A slot holds a packet. `values_` keeps the slots that are full, oldest first; `free_` is where senders wait for those
// that are empty. Both are cell queues that keep (cell_queue.hpp), so that posting a slot never waits, and taking one
// waits, in order of arrival, until there is one. A send takes an empty slot, fills it, posts it to values_ (unless a receiver
// waits: I4). A receive takes a full one, empties it, posts it to free_. (Two queues of indices: R. Nikolaev, "A scalable,
// portable, and memory-efficient lock-free FIFO queue", 2019.) While no sender waits empty slots lie in the pool, a stack,
// which is cheaper. Without a limit the pool grows, and no sender ever waits.
//
//   slot        whose it is                                     becomes
//   unused      the pool's                                      a sender's, by take()
//   empty       the pool's, or free_'s                          a sender's, by take() or found; or whose who posts it: I2
//   in hand     whoever has taken it: a sender, a receiver      full, empty: by post()
//   full        values_'                                        a receiver's, by found; or whose who posts it: I2
//
// I1  Each slot is in exactly one of these places. So if a sender waits, all slots are full or in somebody's hands, who
//     will post them without waiting; if a receiver waits, all that was sent has been taken.
//     For that no sender may wait beside a slot in the pool. Who puts one there looks afterwards whether free_ is
//     wanted; who has taken a ticket of free_ looks afterwards into the pool (Dekker's pattern, all four seq_cst).
//     (While the note says no_sender_yet, which ends before the first ticket is taken, nobody looks at free_ itself.)
//     Whoever sees both feeds free_ from the pool; too much is no harm, for what lies in free_ is found there.
// I2  Who posts a slot and meets a waiter does that waiter's work, too: a full slot's value goes into the frame of the
//     receiver, and the slot is empty at once; into an empty slot goes the value of the sender that waited, and the slot is
//     full at once. Then the next post. Each round ends one wait for good.
// I3  A value is in exactly one place: a sender's frame, a slot, a receiver's frame. If the channel is closed before the
//     slot is posted that it has been moved into, it goes back, and the sender gets closed: its node says so (value_is_back),
//     for its wait has ended as ready.
// I4  Values come out in the order in which their sends took tickets of values_. A sender that has waited gets its ticket
//     from who made room for it: if it is not the only one, a sender that comes just then may get ahead of it. One that finds
//     a receiver waiting, and no sender, takes its ticket together with that one (try_arrive) and hands its value over past
//     the slots: fewer steps, and of a channel that nobody has touched for long half the cache lines. Not past a single
//     slot: there nobody gets ahead.
// I5  After its wait nobody touches the channel, unless it gives up: then it needs a pin to trim (cell_queue.hpp, I5).
// I6  A channel that was made on a worker without others is that worker's until somebody else comes (lowlevel/solo.hpp).
//     Until then its sends and receives need no locked instructions, unless a sender waits. Whatever changes the queues or
//     the pool is in a turn, or has claimed the channel or opened it; but for balance(), whose words nobody changes alone.
// Progress: lock-free, as the queues are, but for the first who comes from outside (I6); whoever stalls holds up one slot,
//           and those whose values it carries.
//           A try that finds neither a value nor an empty slot may say so while a slot is in somebody's hands.
//           One that says "full" has seen free_ empty while the pool was.
// Dropped: one array of cells and a third counter, the end of the buffer (Kotlin's): two read-modify-writes less for each
//          message, but a third visitor in each cell, and whoever gives up has to wait for it. A counter of empty slots
//          beside a queue of waiters: who is stalled between the two holds up all that wait behind it.
//          Room told by the tickets of values_ (a send takes one only while receives are fewer than n behind; small values in
//          the cells, a line of senders that whoever makes room serves): three read-modify-writes a message instead of five,
//          and a seventh less time on two workers. But who serves has to take somebody out of the line before he can be sure
//          of the room: the oldest may have to go to the end. One server at a time would be a lock.
// Checked: tests/model/slots_test.cpp, tests/stress/channel_stress_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <rondo/detail/cell_store.hpp>
#include <rondo/detail/channel_core.hpp>
#include <rondo/detail/slot_pool.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/solo.hpp>

namespace rondo::detail {

/// How a wait for a slot ends. passed: somebody has done the whole work while we waited.
enum class slot_end : std::uint8_t { passed, closed, timed_out };

/// Waits, enlisted in `from` at `at`. Throws stopped. Without a pin `from` may be gone by now.
template <class Queue>
slot_end wait_for_slot(Queue& from, const pinned& pin, lowlevel::waiter& me, lowlevel::wait_node& node, cell& at,
                       const lowlevel::wait_site& site, lowlevel::time_point until) {
    const auto outcome = lowlevel::suspend_published(me, node.generation, site, until);
    if (outcome == lowlevel::wake::ready) return node.tag == value_is_back ? slot_end::closed : slot_end::passed;
    if (outcome == lowlevel::wake::closed) return slot_end::closed;
    from.withdraw(at, node);                        // touches the cell only
    if (pin) from.trim(side::receive);
    lowlevel::raise(outcome);
    return slot_end::timed_out;
}
extern template slot_end wait_for_slot(cell_queue<cell_store, true>&, const pinned&, lowlevel::waiter&,
                                       lowlevel::wait_node&, cell&, const lowlevel::wait_site&, lowlevel::time_point);

template <class T, class Store = cell_store>
class slots_channel final : public channel_core<T> {
    using channel_core<T>::whose;
    using progress = lowlevel::progress;
    using kind = meeting::kind;
    using slot = typename slot_pool<packet<T>>::slot;
    static_assert(alignof(slot) > cell::item);

public:
    /// slots: no_limit, or at least one.
    explicit slots_channel(std::size_t slots, Store store = {})
        : channel_core<T>(lowlevel::soloist_here()), values_(store), free_(store), pool_(slots) {
        if (slots == 1) note.store(single_slot, relaxed);
    }

    bool send(offer<T> value, lowlevel::time_point until) override {
        const auto [me, here] = lowlevel::enter_here();
        if (here && send_alone(*here, value)) [[likely]] return true;
        return send_openly(me, here, value, until);
    }

    sent try_send(offer<T> value) override {
        lowlevel::partner met;
        switch (select_send(value, met)) {
            case progress::done: return sent::done;
            case progress::closed: return sent::closed;
            default: return sent::full;
        }
    }

    received receive(packet<T>& into, lowlevel::time_point until) override {
        const auto [me, here] = lowlevel::enter_here();
        if (here && receive_alone(*here, into)) [[likely]] return received::value;
        if (here && whose.claim(here)) return receive_slowly<true>(me, here, into, until);
        return receive_slowly<false>(me, here, into, until);
    }

    received try_receive(packet<T>& into) noexcept override {
        whose.open();
        const meeting m = values_.try_arrive(side::receive);
        if (m.what == kind::closed) return received::closed;
        if (m.what != kind::found) return received::empty;
        empty(m.item<slot>(), into);
        return received::value;
    }

    progress select_receive(packet<T>& into, lowlevel::partner&) noexcept override {
        whose.open();
        return received_in(values_.try_arrive(side::receive), into);
    }
    progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*& place, lowlevel::partner&) override {
        node.slot = &into;
        whose.open();
        const meeting m = values_.arrive(side::receive, *node.who, node);
        place = m.at();
        return received_in(m, into);
    }
    void withdraw_receive(lowlevel::wait_node& node, void* place) noexcept override { withdraw(values_, node, place); }

    progress select_send(offer<T> value, lowlevel::partner&) override {
        whose.open();
        if (hand_over(value)) return progress::done;
        for (;;) {
            const auto before = pool_.count();
            if (slot* s = take_empty()) return sent_in(*s, value);
            const meeting m = free_.try_arrive(side::receive);
            if (m.what == kind::found) return sent_in(m.item<slot>(), value);
            if (m.what == kind::closed || before == pool_.count()) return progress_of(m);
        }
    }
    progress select_send(offer<T> value, lowlevel::wait_node& node, void*& place, lowlevel::partner&) override {
        whose.open();
        if (hand_over(value)) return progress::done;
        if (slot* s = take_empty()) return sent_in(*s, value);
        value.show_in(node);
        note_sender();
        const meeting m = free_.arrive(side::receive, *node.who, node);
        place = m.at();
        if (m.what == kind::found) return sent_in(m.item<slot>(), value);
        if (m.what == kind::waits) feed();
        return progress_of(m);
    }
    void withdraw_send(lowlevel::wait_node& node, void* place) noexcept override { withdraw(free_, node, place); }

    void close() noexcept override {
        whose.open();
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
    using channel_core<T>::note;
    static constexpr std::uint8_t no_sender_yet = 0, senders_have_waited = 1, single_slot = 2;
    using slot_queue = cell_queue<Store, true>;

    static void withdraw(slot_queue& from, lowlevel::wait_node& node, void* place) noexcept {
        if (node.claimed) return;
        from.withdraw(*static_cast<cell*>(place), node);
        from.trim(side::receive);
    }
    static packet<T>& packet_at(const meeting& m) noexcept { return *static_cast<packet<T>*>(m.node().slot); }
    static void go_on(const meeting& m) noexcept {
        lowlevel::settle(*m.node().who, m.how, lowlevel::placement::warm);
    }

    // here: soloist_here().
    [[gnu::noinline]] bool send_openly(lowlevel::waiter& me, lowlevel::soloist* here, offer<T> value,
                                       lowlevel::time_point until) {
        whose.claim(here);
        if (hand_over(value)) return true;
        slot* s = take_empty();
        if (!s) {
            const pinned pin(*this, true);          // for feed(), and for trim()
            lowlevel::wait_node node(me);
            value.show_in(node);
            note_sender();
            const meeting m = free_.arrive(side::receive, me, node);
            if (m.what == kind::closed) throw closed();
            if (m.what == kind::waits) {
                feed();
                switch (wait_for_slot(free_, pin, me, node, *m.at(), {lowlevel::wait_kind::send, this}, until)) {
                    case slot_end::passed: return true;
                    case slot_end::closed: throw closed();
                    case slot_end::timed_out: return false;
                }
            }
            s = &m.item<slot>();
        }
        if (sent_in(*s, value) == progress::closed) throw closed();
        return true;
    }
    // Alone: with the channel, just now.
    template <bool Alone>
    [[gnu::noinline]] received receive_slowly(lowlevel::waiter& me, lowlevel::soloist* here, packet<T>& into,
                                              lowlevel::time_point until) {
        // Who may give up often holds a pin: then it tidies up behind itself (cell_queue.hpp, I5 and I6). A stop comes once.
        const pinned pin(*this, until != lowlevel::no_deadline || me.deadline_ns != INT64_MAX);
        lowlevel::wait_node node(me);
        node.slot = &into;
        auto* const alone = whose.claim(Alone ? here : nullptr);
        const meeting m = Alone ? values_.arrive_in_turn(whose, alone, side::receive, me, node)
                                : values_.arrive(side::receive, me, node);
        if (m.what == kind::closed) return received::closed;
        if (m.what == kind::found) {
            empty(m.item<slot>(), into);
            return received::value;
        }
        // From here on `this` may be gone, unless there is a pin.
        switch (wait_for_slot(values_, pin, me, node, *m.at(), {lowlevel::wait_kind::receive, this}, until)) {
            case slot_end::passed: return received::value;
            case slot_end::closed: return received::closed;
            default: return received::timed_out;
        }
    }
    // To a receiver that waits: past the slots. Not if senders wait, which are earlier: I4.
    [[nodiscard]] bool hand_over(offer<T> value) noexcept {
        if (!values_.is_awaited(side::send) || note.load(relaxed) == single_slot || is_awaited_by_senders()) return false;
        const meeting m = values_.try_arrive(side::send);
        if (m.what != kind::met) return false;
        hand_to(m, value);
        return true;
    }
    static void hand_to(const meeting& receiver, offer<T> value) noexcept {
        value.take(packet_at(receiver));
        go_on(receiver);
    }

    // What a worker does that is alone in its runtime, and with the channel (lowlevel/solo.hpp): the usual cases without locked
    // instructions. False: it has to be done as others do it. Values that the user's code moves are moved between two turns.
    // Inline, so that those who wait stand on no frame of this.
    static constexpr bool moves_in_turn =
        std::is_trivially_move_constructible_v<T> && std::is_trivially_destructible_v<T> && sizeof(T) <= 256;

    [[gnu::always_inline]] bool send_alone(lowlevel::soloist& alone, offer<T> value) {
        slot* s = nullptr;
        meeting m;
        {
            const lowlevel::turn mine(whose, alone);
            if (!mine) return false;
            const auto next = values_.look_alone(side::send);
            if (next.is_node()) {
                m = values_.meet_alone(next, side::send);
                if (!m.is_met()) return false;
            } else {
                s = nobody_waits_to_send() ? pool_.take_used_alone() : nullptr;
                if (!s) return false;
                if constexpr (moves_in_turn) {
                    value.take(s->value);
                    if (values_.post_alone(next, s)) return true;
                }
            }
        }
        if (m.is_met()) {
            hand_to(m, value);
            return true;
        }
        if constexpr (!moves_in_turn) {
            value.take(s->value);
            const lowlevel::turn mine(whose, alone);
            if (mine && values_.post_alone(s)) return true;
        }
        if (posted(*s, value) == progress::closed) throw closed();
        return true;
    }
    [[gnu::always_inline]] bool receive_alone(lowlevel::soloist& alone, packet<T>& into) noexcept {
        slot* s = nullptr;
        {
            const lowlevel::turn mine(whose, alone);
            if (mine) s = static_cast<slot*>(values_.take_alone());
            if (!s) return false;
            if constexpr (moves_in_turn) {
                into = std::move(s->value);
                if (put_back_alone(*s)) return true;
            }
        }
        if constexpr (!moves_in_turn) {
            into = std::move(s->value);
            const lowlevel::turn mine(whose, alone);
            if (mine && put_back_alone(*s)) return true;
        }
        post_empty(*s);
        return true;
    }
    bool put_back_alone(slot& s) noexcept {
        if (!nobody_waits_to_send()) return false;
        pool_.put_alone(s);
        return true;
    }
    [[nodiscard]] bool nobody_waits_to_send() const noexcept {
        return note.load(relaxed) == no_sender_yet || free_.is_unused_alone();
    }

    // Most channels have no use for free_: then nobody looks at it. seq_cst, all, the first load, too: they are part of Dekker's
    // pattern in I1.
    void note_sender() noexcept {
        if (note.load(seq_cst) == no_sender_yet) note.store(senders_have_waited, seq_cst);
    }
    [[nodiscard, gnu::always_inline]] bool is_awaited_by_senders() noexcept {
        return note.load(seq_cst) != no_sender_yet && free_.is_wanted();
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
    // An empty slot that is not free_'s; senders that wait already come first. nullptr: there is none.
    slot* take_empty() {
        if (is_awaited_by_senders()) {
            feed();
            if (free_.is_wanted()) return nullptr;
        }
        return pool_.take();
    }
    // For whoever has taken a ticket of free_, or put a slot into the pool: see I1.
    [[gnu::noinline]] void feed() noexcept {
        while (is_awaited_by_senders()) {
            slot* const s = pool_.take_used();
            if (!s) return;
            post_to_senders(*s);
        }
    }
    void post_empty(slot& s) noexcept {
        if (is_awaited_by_senders()) return post_to_senders(s);
        pool_.put(s);
        if (is_awaited_by_senders()) [[unlikely]] feed();
    }
    void post_to_senders(slot& s) noexcept {
        for (;;) {
            const meeting sender = free_.post(&s);
            if (sender.what != kind::met) return;               // there it lies; or all is closed, and it is not needed
            offer<T>(sender.node()).take(s.value);
            const meeting m = values_.post(&s);
            if (m.what == kind::closed) give_back(sender.node(), s.value);
            if (m.what == kind::met) {
                packet_at(m) = std::move(s.value);
                go_on(m);
            }
            go_on(sender);
            if (m.what == kind::left) return;
        }
    }
    static void give_back(lowlevel::wait_node& sender, packet<T>& value) noexcept {
        offer<T>(sender).put_back(std::move(value));
        sender.tag = value_is_back;
    }
    void empty(slot& s, packet<T>& into) noexcept {
        into = std::move(s.value);
        post_empty(s);
    }
    progress received_in(const meeting& m, packet<T>& into) noexcept {
        if (m.what != kind::found) return progress_of(m);
        empty(m.item<slot>(), into);
        return progress::done;
    }
    [[gnu::always_inline]] progress sent_in(slot& s, offer<T> value) noexcept {
        value.take(s.value);
        return posted(s, value);
    }
    [[gnu::always_inline]] progress posted(slot& s, offer<T>& value) noexcept {      // taken from there
        if (post(s)) return progress::done;
        value.put_back(std::move(s.value));
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
