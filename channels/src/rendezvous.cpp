#include <rondo/detail/rendezvous_channel.hpp>

namespace rondo::detail {

rendezvous::end rendezvous::pass(counted_core& core, lowlevel::bias& whose, side mine, void* slot, std::uint8_t tag,
                                 lowlevel::time_point until, meeting& m) {
    const auto [me, alone] = lowlevel::enter_here();
    // Who may give up often holds a pin: then it tidies up behind itself (cell_queue.hpp, I5 and I6). A stop comes once.
    const pinned pin(core, until != lowlevel::no_deadline || me.deadline_ns != INT64_MAX);
    lowlevel::wait_node node(me);
    node.slot = slot;
    node.tag = tag;
    m = cells_.arrive_in_turn(whose, whose.claim(alone), mine, me, node);
    if (m.what == meeting::kind::met) return end::met;
    if (m.what == meeting::kind::closed) return end::closed;
    // From here on `this` may be gone, unless there is a pin.
    const auto kind = mine == side::send ? lowlevel::wait_kind::send : lowlevel::wait_kind::receive;
    const auto outcome = lowlevel::suspend_published(me, node.generation, {kind, &core, nullptr}, until);
    if (outcome == lowlevel::wake::ready) return end::passed;
    if (outcome == lowlevel::wake::closed) return end::closed;
    cells_.withdraw(*m.at, node);                   // touches the cell only
    if (pin) cells_.trim(mine);
    lowlevel::raise(outcome);
    return end::timed_out;
}

void rendezvous::withdraw(side mine, lowlevel::wait_node& node, void* place) noexcept {
    if (node.claimed) return;
    cells_.withdraw(*static_cast<cell*>(place), node);
    cells_.trim(mine);
}

}  // namespace rondo::detail
