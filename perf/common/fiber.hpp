// Boost.Fiber. Stacks: fixedsize_stack of 16 KiB. Launch: dispatch, the fastest here; post where the child must not
// run before its maker.
#pragma once
#include <boost/fiber/all.hpp>
#include <deque>
#include <utility>
#include <vector>

#include "peer.hpp"

namespace fibers {

using peer::u64;
using boost::fibers::fiber;
using rendezvous = boost::fibers::unbuffered_channel<u64>;

constexpr std::size_t stack_bytes = 16 * 1024;

template <class F>
fiber go(boost::fibers::launch policy, F f) {
    return {policy, std::allocator_arg, boost::fibers::fixedsize_stack(stack_bytes), std::move(f)};
}
template <class F>
fiber dispatch(F f) {
    return go(boost::fibers::launch::dispatch, std::move(f));
}
template <class F>
fiber post(F f) {
    return go(boost::fibers::launch::post, std::move(f));
}
inline void join_all(std::vector<fiber>& fibers) {
    for (auto& f : fibers) f.join();
}

/// False once the channel is closed and empty.
template <class Channel, class T>
bool receive(Channel& channel, T& value) {
    return channel.pop(value) == boost::fibers::channel_op_status::success;
}

}  // namespace fibers
