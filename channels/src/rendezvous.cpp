#include <rondo/detail/rendezvous_channel.hpp>

namespace rondo::detail {

// The frames of those who wait are kept small, and so is what runs when nobody has to: a tail call each.
template <side Mine>
rendezvous::outcome rendezvous::pass(counted_core& core, void* slot, std::uint8_t tag, lowlevel::time_point until) {
    const lowlevel::entry who = lowlevel::enter_here();
    bool alone = false;
    if (who.alone) {
        const lowlevel::turn ours(core.whose, *who.alone);
        alone = ours;
        if (ours) {
            const auto next = cells_.look_alone(Mine);
            if (const meeting m = cells_.meet_alone(next, Mine); m.node) return {m.node, m.how, end::met};
        }
    }
    if (until == lowlevel::no_deadline && who.me.deadline_ns == INT64_MAX) [[likely]]
        return alone ? wait<true>(who, core, slot, {tag, Mine}) : wait<false>(who, core, slot, {tag, Mine});
    return wait_until(who, core, slot, {tag, Mine}, until);
}

namespace {

lowlevel::wait_kind kind_of(side mine) noexcept {
    return mine == side::send ? lowlevel::wait_kind::send : lowlevel::wait_kind::receive;
}

}  // namespace

// arrive(node): a meeting. suspend(node): how the wait has ended; from there on `this` may be gone, unless there is a pin.
// give_up(at, node): after a stop or a limit.
template <class Arrive, class Suspend, class GiveUp>
[[gnu::always_inline]] inline rendezvous::outcome rendezvous::meet_or_wait(lowlevel::waiter& me, void* slot, std::uint8_t tag,
                                                                           Arrive&& arrive, Suspend&& suspend,
                                                                           GiveUp&& give_up) {
    lowlevel::wait_node node(me);
    node.slot = slot;
    node.tag = tag;
    const meeting m = arrive(node);
    if (m.what == meeting::kind::met) return {m.node, m.how, end::met};
    if (m.what == meeting::kind::closed) return {.what = end::closed};
    const lowlevel::wake ended = suspend(node);
    if (ended == lowlevel::wake::ready) return {.what = end::passed};
    if (ended == lowlevel::wake::closed) return {.what = end::closed};
    give_up(*m.at, node);
    lowlevel::raise(ended);
    return {.what = end::timed_out};
}

// Alone: with the channel, just now. One for both sides: who arrives here after a switch comes from another's wait, and its
// first return is predicted from that.
template <bool Alone>
[[gnu::noinline]] rendezvous::outcome rendezvous::wait(lowlevel::entry who, counted_core& core, void* slot, shown what) {
    return meet_or_wait(
        who.me, slot, what.tag,
        [&](lowlevel::wait_node& node) {
            auto* const alone = core.whose.claim(Alone ? who.alone : nullptr);
            return Alone ? cells_.arrive_in_turn(core.whose, alone, what.mine, who.me, node)
                         : cells_.arrive(what.mine, who.me, node);
        },
        [&](lowlevel::wait_node& node) {
            return lowlevel::suspend_published(who.me, node.generation, kind_of(what.mine), &core);
        },
        [&](cell& at, lowlevel::wait_node& node) { cells_.withdraw(at, node); });        // touches the cell only
}

// Who may give up often holds a pin: then it tidies up behind itself (cell_queue.hpp, I5 and I6). A stop comes once.
[[gnu::noinline]] rendezvous::outcome rendezvous::wait_until(lowlevel::entry who, counted_core& core, void* slot, shown what,
                                                             lowlevel::time_point until) {
    const pinned pin(core, true);
    return meet_or_wait(
        who.me, slot, what.tag,
        [&](lowlevel::wait_node& node) {
            return cells_.arrive_in_turn(core.whose, core.whose.claim(who.alone), what.mine, who.me, node);
        },
        [&](lowlevel::wait_node& node) {
            return lowlevel::suspend_published(who.me, node.generation, {kind_of(what.mine), &core, nullptr}, until);
        },
        [&](cell& at, lowlevel::wait_node& node) {
            cells_.withdraw(at, node);
            cells_.trim(what.mine);
        });
}

template rendezvous::outcome rendezvous::pass<side::send>(counted_core&, void*, std::uint8_t, lowlevel::time_point);
template rendezvous::outcome rendezvous::pass<side::receive>(counted_core&, void*, std::uint8_t, lowlevel::time_point);

void rendezvous::withdraw(side mine, lowlevel::wait_node& node, void* place) noexcept {
    if (node.claimed) return;
    cells_.withdraw(*static_cast<cell*>(place), node);
    cells_.trim(mine);
}

}  // namespace rondo::detail
