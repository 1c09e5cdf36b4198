// Rondo's channels without slots, in all their kinds, for workloads that compare them.
#pragma once
#include <cstddef>
#include <rondo/channel.hpp>

#include "peer.hpp"

namespace peer {

/// spin: the baseline behind a spin lock. Whoever finds a partner goes on (handoff::none), as with Go's and Tokio's: that is
/// one switch for a message. receiver_first=1: the default, with Stackless's order; the receiver runs at once and the sender
/// has to be switched to again.
inline rondo::channel<u64> rendezvous(bool spin, std::size_t slots = 0) {
    static const auto who = flag("receiver_first") ? rondo::handoff::receiver : rondo::handoff::none;
    return spin ? rondo::channel<u64>(rondo::spin_locked, slots, who) : rondo::channel<u64>(slots, who);
}

}  // namespace peer
