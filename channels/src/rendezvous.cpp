#include <rondo/detail/rendezvous_channel.hpp>

namespace rondo::detail {

namespace {

lowlevel::wait_kind kind_of(side mine) noexcept {
    return mine == side::send ? lowlevel::wait_kind::send : lowlevel::wait_kind::receive;
}

struct shown_node : lowlevel::wait_node {
    shown_node(lowlevel::waiter& me, void* to, std::uint8_t how) noexcept : wait_node(me) {
        slot = to;
        tag = how;
    }
};

}  // namespace

[[gnu::always_inline]] inline rendezvous::outcome rendezvous::without_waiting(const meeting& m) noexcept {
    if (m.is_met()) return {&m.node(), m.how, end::met};
    return {.what = end::closed};
}

// suspend(node): how the wait has ended; from there on `this` may be gone, unless there is a pin. give_up(node): after a stop or
// a limit.
template <class Suspend, class GiveUp>
[[gnu::always_inline]] inline rendezvous::outcome rendezvous::wait_shown(lowlevel::wait_node& node, Suspend&& suspend,
                                                                         GiveUp&& give_up) {
    const lowlevel::wake ended = suspend(node);
    if (ended == lowlevel::wake::ready) return {.what = end::passed};
    if (ended == lowlevel::wake::closed) return {.what = end::closed};
    give_up(node);
    lowlevel::raise(ended);
    return {.what = end::timed_out};
}

// Each for both sides: who arrives here after a switch comes from another's wait, and its first return is predicted from that.
[[gnu::noinline]] rendezvous::outcome rendezvous::wait_alone(lowlevel::entry who, counted_core& core, void* slot, shown what,
                                                             cell& empty) {
    shown_node node(who.me, slot, what.tag);
    {
        const lowlevel::turn ours(core.whose, *who.alone);
        if (!ours) return wait(who, core, slot, what);
        cells_.wait_alone(empty, what.mine, who.me, node);
    }
    return wait_shown(
        node, [&](auto& n) { return lowlevel::suspend_published(who.me, n.generation, kind_of(what.mine), &core); },
        [&](auto& n) { cells_.withdraw(empty, n); });        // touches the cell only
}
[[gnu::noinline]] rendezvous::outcome rendezvous::wait(lowlevel::entry who, counted_core& core, void* slot, shown what) {
    shown_node node(who.me, slot, what.tag);
    core.whose.claim(who.alone);
    const meeting m = cells_.arrive(what.mine, who.me, node);
    if (m.what != meeting::kind::waits) return without_waiting(m);
    return wait_shown(
        node, [&](auto& n) { return lowlevel::suspend_published(who.me, n.generation, kind_of(what.mine), &core); },
        [&](auto& n) { cells_.withdraw(*m.at(), n); });
}

// Who may give up often holds a pin: then it tidies up behind itself (cell_queue.hpp, I5 and I6). A stop comes once.
[[gnu::noinline]] rendezvous::outcome rendezvous::wait_until(lowlevel::entry who, counted_core& core, void* slot, shown what,
                                                             lowlevel::time_point until) {
    const pinned pin(core, true);
    shown_node node(who.me, slot, what.tag);
    const meeting m = cells_.arrive_in_turn(core.whose, core.whose.claim(who.alone), what.mine, who.me, node);
    if (m.what != meeting::kind::waits) return without_waiting(m);
    return wait_shown(
        node,
        [&](auto& n) {
            return lowlevel::suspend_published(who.me, n.generation, {kind_of(what.mine), &core}, until);
        },
        [&](auto& n) {
            cells_.withdraw(*m.at(), n);
            cells_.trim(what.mine);
        });
}

void rendezvous::withdraw(side mine, lowlevel::wait_node& node, void* place) noexcept {
    if (node.claimed) return;
    cells_.withdraw(*static_cast<cell*>(place), node);
    cells_.trim(mine);
}

}  // namespace rondo::detail
