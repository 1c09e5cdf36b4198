// Topics: one message to all who subscribed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <rondo/actor.hpp>

namespace rondo {

/// Publish and subscribe. A topic is a handle: copies name the same topic. Subscribers are addresses, so of any class
/// that takes an M; each gets a copy. Messages of one publisher arrive in order. Safe from any tasklet and any thread.
template <std::copy_constructible M>
class topic {
public:
    topic() : core_(std::make_shared<core>()) {}

    /// Twice is once. The topic holds a handle until unsubscribe, or until it finds at a publish that it has ended.
    void subscribe(const address<M>& who) const {
        std::lock_guard hold(core_->lock);
        auto next = std::make_shared<list>(*core_->subscribers);
        std::erase_if(*next, [&](const address<M>& a) { return a == who || a.has_ended(); });
        next->push_back(who);
        core_->subscribers = std::move(next);
    }
    void unsubscribe(const address<M>& who) const {
        std::lock_guard hold(core_->lock);
        auto next = std::make_shared<list>(*core_->subscribers);
        std::erase(*next, who);
        core_->subscribers = std::move(next);
    }
    /// Tells all. Suspends: while a subscriber's mailbox is full. Gives how many were told.
    std::size_t publish(const M& message) const {
        return each([&](const address<M>& a) {
            a.tell(message);
            return true;
        });
    }
    /// As publish, but passes over those whose mailbox is full; gives how many were told. Suspends: never.
    std::size_t try_publish(const M& message) const {
        return each([&](const address<M>& a) {
            M copy(message);
            return static_cast<bool>(a.try_tell(copy));
        });
    }
    [[nodiscard]] std::size_t size() const { return snapshot()->size(); }

private:
    using list = std::vector<address<M>>;
    struct core {
        std::mutex lock;                                  // never held over a tell
        std::shared_ptr<const list> subscribers = std::make_shared<list>();
    };
    std::shared_ptr<const list> snapshot() const {
        std::lock_guard hold(core_->lock);
        return core_->subscribers;
    }
    template <class F>
    std::size_t each(F&& f) const {
        const auto all = snapshot();
        std::size_t told = 0;
        bool some_ended = false;
        for (const auto& a : *all) {
            if (a.has_ended()) some_ended = true;
            else told += f(a);
        }
        if (some_ended) {
            std::lock_guard hold(core_->lock);
            auto next = std::make_shared<list>(*core_->subscribers);
            std::erase_if(*next, [](const address<M>& a) { return a.has_ended(); });
            core_->subscribers = std::move(next);
        }
        return told;
    }
    std::shared_ptr<core> core_;
};

}  // namespace rondo
