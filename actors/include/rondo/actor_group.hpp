// Groups of actors: whoever takes these messages may join, and all are told at once.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <rondo/actor.hpp>

namespace rondo {

/// Actors of any classes that take these messages, told together. A handle: copies name the same group. It holds a handle to
/// each member; one that has ended is none any more, and is let go of at the next join, leave or tell. Messages of one
/// sender arrive in order at each member that was in the group when they were told; there is no order across members. Safe
/// from any tasklet and any thread. (Of one message type and told by nobody in particular: rondo::topic. Under a supervisor,
/// and told in turn: rondo::pool.)
/// Example: tests/actors/finding_test.cpp.
template <class... E>
class actor_group {
public:
    using member = address<E...>;

    actor_group() : core_(std::make_shared<core>()) {}

    /// Twice is once. Suspends: never.
    void join(const member& who) const {
        change([&](std::vector<member>& all) {
            std::erase(all, who);
            if (!who.has_ended()) all.push_back(who);
        });
    }
    void leave(const member& who) const {
        change([&](std::vector<member>& all) { std::erase(all, who); });
    }
    /// Tells all; gives how many have it in their mailbox: not those that have ended, also while this waited for room,
    /// nor those whose policy has dropped it. Suspends: while a member's mailbox is full. Stop: throws `stopped`; some
    /// may have been told.
    template <std::copy_constructible M>
        requires(detail::index_of<M, E...>() < sizeof...(E))
    std::size_t tell(const M& message) const {
        return tell_by(message, lowlevel::no_deadline);
    }
    /// As tell, but waits no longer than that, in all: passes over those who have no room until then.
    template <std::copy_constructible M, class Rep, class Period>
        requires(detail::index_of<M, E...>() < sizeof...(E))
    std::size_t tell_for(const M& message, std::chrono::duration<Rep, Period> d) const {
        return tell_by(message, detail::limit_after(d));
    }
    template <std::copy_constructible M, class Clock, class Duration>
        requires(detail::index_of<M, E...>() < sizeof...(E))
    std::size_t tell_until(const M& message, std::chrono::time_point<Clock, Duration> tp) const {
        return tell_by(message, detail::limit_at(tp));
    }
    /// As tell, but passes over those whose mailbox is full. Suspends: never.
    template <std::copy_constructible M>
        requires(detail::index_of<M, E...>() < sizeof...(E))
    std::size_t try_tell(const M& message) const {
        return each([&](const member& a) { return static_cast<bool>(a.try_tell(message)); });
    }
    /// Those that have not ended, in the order in which they joined. A snapshot.
    [[nodiscard]] std::vector<member> members() const {
        auto all = *snapshot();
        std::erase_if(all, &has_ended);
        return all;
    }
    [[nodiscard]] std::size_t size() const { return members().size(); }
    /// Asks all to stop, or kills them. Suspends: never.
    void stop() const {
        for (const auto& a : *snapshot()) a.stop();
    }
    void kill() const {
        for (const auto& a : *snapshot()) a.kill();
    }

private:
    using list = std::vector<member>;
    struct core {
        std::mutex lock;                                  // never held over a tell
        std::shared_ptr<const list> members = std::make_shared<list>();
    };
    static bool has_ended(const member& a) { return a.has_ended(); }
    std::shared_ptr<const list> snapshot() const {
        std::lock_guard hold(core_->lock);
        return core_->members;
    }
    template <class F>
    void change(F&& f) const {
        std::shared_ptr<const list> before;               // handles go after the lock: the last one of an actor ends it
        std::lock_guard hold(core_->lock);
        auto next = std::make_shared<list>(*core_->members);
        std::erase_if(*next, &has_ended);
        f(*next);
        before = std::exchange(core_->members, std::move(next));
    }
    template <class M>
    std::size_t tell_by(const M& message, lowlevel::time_point until) const {
        return each([&](const member& a) {
            const auto& ops = *a.template ops<M>();
            return detail::tell_until<M>(a.cell(), ops, message, until) == send_status::done;
        });
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
        if (some_ended) change([](list&) {});
        return told;
    }
    std::shared_ptr<core> core_;
};

}  // namespace rondo
