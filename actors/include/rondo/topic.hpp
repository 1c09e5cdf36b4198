// Topics: one message to all who subscribed.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>

#include <rondo/actor_group.hpp>

namespace rondo {

/// Publish and subscribe. A topic is a handle: copies name the same topic. Subscribers are addresses, so of any class
/// that takes an M; each gets a copy. Messages of one publisher arrive in order. Safe from any tasklet and any thread.
template <class M>
class topic {
public:
    /// Twice is once. The topic holds a handle until unsubscribe, or until it finds that the subscriber has ended.
    void subscribe(const address<M>& who) const { all_.join(who); }
    void unsubscribe(const address<M>& who) const { all_.leave(who); }
    /// Tells all; gives how many have it in their mailbox, which who has ended has not. Suspends: while a subscriber's
    /// mailbox is full.
    std::size_t publish(const M& message) const
        requires std::copy_constructible<M>
    {
        return all_.tell(message);
    }
    /// As publish, but waits no longer than that, in all: passes over those who have no room until then.
    template <class Rep, class Period>
    std::size_t publish_for(const M& message, std::chrono::duration<Rep, Period> d) const {
        return all_.tell_for(message, d);
    }
    template <class Clock, class Duration>
    std::size_t publish_until(const M& message, std::chrono::time_point<Clock, Duration> tp) const {
        return all_.tell_until(message, tp);
    }
    /// As publish, but passes over those whose mailbox is full; gives how many were told. Suspends: never.
    std::size_t try_publish(const M& message) const { return all_.try_tell(message); }
    [[nodiscard]] std::size_t size() const { return all_.size(); }

private:
    actor_group<M> all_;
};

}  // namespace rondo
