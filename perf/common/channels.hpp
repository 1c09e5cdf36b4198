// Rondo's two kinds of channels without slots, for workloads that compare them.
#pragma once
#include <cstddef>
#include <rondo/channel.hpp>

#include "peer.hpp"

namespace peer {

/// spin: the baseline behind a spin lock.
inline rondo::channel<u64> rendezvous(bool spin, std::size_t slots = 0) {
    return spin ? rondo::channel<u64>(rondo::spin_locked, slots) : rondo::channel<u64>(slots);
}

}  // namespace peer
