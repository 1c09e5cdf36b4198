// The lock-free channel without slots: a typed shell around rendezvous, whose waits are in channels/src/rendezvous.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/detail/cell_store.hpp>
#include <rondo/detail/channel_core.hpp>
#include <rondo/error.hpp>

namespace rondo::detail {

/// Two frames meet: where a value is, and where it shall go.
class rendezvous {
public:
    enum class end : std::uint8_t { met, passed, closed, timed_out };

    /// met: the partner, claimed: move the value, then part(). passed: a partner has done all that while we waited.
    struct outcome {
        lowlevel::wait_node* partner = nullptr;
        lowlevel::waiter::hold how = lowlevel::waiter::hold::none;
        end what = end::met;
    };

    /// `slot` and `tag`: those of our node. Suspends; throws stopped. Inline: who finds its partner stands on one frame less.
    template <side Mine>
    [[gnu::always_inline]] outcome pass(counted_core& core, void* slot, std::uint8_t tag, lowlevel::time_point until) {
        const lowlevel::entry who = lowlevel::enter_here();
        cell* empty = nullptr;                      // where its ticket is, if we are alone with the channel
        if (who.alone) {
            const lowlevel::turn ours(core.whose, *who.alone);
            if (ours) {
                const auto next = cells_.look_alone(Mine);
                if (const meeting m = cells_.meet_alone(next, Mine); m.is_met()) return {&m.node(), m.how, end::met};
                if (next.is_empty()) empty = next.at;
            }
        }
        if (until == lowlevel::no_deadline && who.me.deadline_ns == INT64_MAX) [[likely]]
            return empty ? wait_alone(who, core, slot, {tag, Mine}, *empty) : wait(who, core, slot, {tag, Mine});
        return wait_until(who, core, slot, {tag, Mine}, until);
    }
    /// The same for a select that enlists: met, waits (until withdraw()), closed.
    meeting enlist(lowlevel::bias& whose, side mine, lowlevel::wait_node& node) {
        whose.open();
        return cells_.arrive(mine, *node.who, node);
    }
    meeting try_pass(lowlevel::bias& whose, side mine) noexcept {
        whose.open();
        return cells_.try_arrive(mine);
    }
    void withdraw(side mine, lowlevel::wait_node& node, void* place) noexcept;

    /// Lets the partner go on: it takes over the worker, or goes to the tail, or (to nobody in particular) near.
    static void part(lowlevel::waiter& who, lowlevel::waiter::hold how, unsigned hand_to, unsigned partner) noexcept {
        if (hand_to & partner) lowlevel::settle_now(who, how);
        else lowlevel::settle(who, how, hand_to ? lowlevel::placement::tail : lowlevel::placement::near);
    }

    void close(lowlevel::bias& whose) noexcept {
        whose.open();
        cells_.close();
    }
    [[nodiscard]] bool is_closed() const noexcept { return cells_.is_closed(); }
    [[nodiscard]] std::ptrdiff_t balance() noexcept { return cells_.balance(); }

private:
    struct shown {                                  // what our node shows
        std::uint8_t tag;
        side mine;
    };
    static outcome without_waiting(const meeting& m) noexcept;
    template <class Suspend, class GiveUp>
    static outcome wait_shown(lowlevel::wait_node& node, Suspend&& suspend, GiveUp&& give_up);
    outcome wait_alone(lowlevel::entry who, counted_core& core, void* slot, shown what, cell& empty);
    outcome wait(lowlevel::entry who, counted_core& core, void* slot, shown what);
    outcome wait_until(lowlevel::entry who, counted_core& core, void* slot, shown what, lowlevel::time_point until);

    cell_queue<cell_store> cells_;
};

template <class T>
class rendezvous_channel final : public channel_core<T> {
    using channel_core<T>::whose;
    using progress = lowlevel::progress;
    using kind = meeting::kind;
    using end = rendezvous::end;

public:
    explicit rendezvous_channel(unsigned hand_to) noexcept
        : channel_core<T>(lowlevel::soloist_here()), hand_to_(hand_to) {}

    bool send(offer<T> value, lowlevel::time_point until) override {
        const auto m = meet_.template pass<side::send>(*this, value.slot(), value.tag(), until);
        switch (m.what) {
            case end::met:
                value.take(packet_at(*m.partner));
                rendezvous::part(*m.partner->who, m.how, hand_to_, to_receiver);
                return true;
            case end::passed: return true;
            case end::closed: throw closed();
            default: return false;
        }
    }
    sent try_send(offer<T> value) override {
        const meeting m = meet_.try_pass(whose, side::send);
        if (m.what == kind::closed) return sent::closed;
        if (m.what == kind::waits) return sent::full;
        value.take(packet_at(m.node()));
        rendezvous::part(*m.node().who, m.how, hand_to_, 0);
        return sent::done;
    }
    received receive(packet<T>& into, lowlevel::time_point until) override {
        const auto m = meet_.template pass<side::receive>(*this, &into, slot_is_packet, until);
        switch (m.what) {
            case end::met:
                offer<T>(*m.partner).take(into);
                rendezvous::part(*m.partner->who, m.how, hand_to_, to_sender);
                return received::value;
            case end::passed: return received::value;
            case end::closed: return received::closed;
            default: return received::timed_out;
        }
    }
    received try_receive(packet<T>& into) noexcept override {
        const meeting m = meet_.try_pass(whose, side::receive);
        if (m.what == kind::closed) return received::closed;
        if (m.what == kind::waits) return received::empty;
        offer<T>(m.node()).take(into);
        rendezvous::part(*m.node().who, m.how, hand_to_, 0);
        return received::value;
    }

    progress select_receive(packet<T>& into, lowlevel::partner& met) noexcept override {
        return receive_from(meet_.try_pass(whose, side::receive), into, met);
    }
    progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*& place, lowlevel::partner& met) override {
        node.slot = &into;
        const meeting m = meet_.enlist(whose, side::receive, node);
        place = m.at();
        return receive_from(m, into, met);
    }
    void withdraw_receive(lowlevel::wait_node& node, void* place) noexcept override {
        meet_.withdraw(side::receive, node, place);
    }
    progress select_send(offer<T> value, lowlevel::partner& met) override {
        return send_to(meet_.try_pass(whose, side::send), value, met);
    }
    progress select_send(offer<T> value, lowlevel::wait_node& node, void*& place, lowlevel::partner& met) override {
        value.show_in(node);
        const meeting m = meet_.enlist(whose, side::send, node);
        place = m.at();
        return send_to(m, value, met);
    }
    void withdraw_send(lowlevel::wait_node& node, void* place) noexcept override {
        meet_.withdraw(side::send, node, place);
    }

    void close() noexcept override { meet_.close(whose); }
    bool is_closed() noexcept override { return meet_.is_closed(); }
    std::ptrdiff_t balance() noexcept override { return meet_.balance(); }
    std::size_t size() noexcept override { return 0; }
    std::size_t capacity() const noexcept override { return 0; }

private:
    static packet<T>& packet_at(const lowlevel::wait_node& n) noexcept { return *static_cast<packet<T>*>(n.slot); }
    progress send_to(const meeting& m, offer<T> value, lowlevel::partner& met) const noexcept {
        if (m.is_met()) value.take(packet_at(m.node()));
        return progress_of(m, met, to_receiver);
    }
    progress receive_from(const meeting& m, packet<T>& into, lowlevel::partner& met) noexcept {
        if (m.is_met()) offer<T>(m.node()).take(into);
        return progress_of(m, met, to_sender);
    }
    progress progress_of(const meeting& m, lowlevel::partner& met, unsigned runs_now) const noexcept {
        if (m.what == kind::closed) return progress::closed;
        if (m.what == kind::waits) return progress::waits;
        met = {m.node().who, (hand_to_ & runs_now) != 0, m.how};
        return progress::done;
    }

    const unsigned hand_to_;                        // in the line of the handles
    rendezvous meet_;
};

}  // namespace rondo::detail
