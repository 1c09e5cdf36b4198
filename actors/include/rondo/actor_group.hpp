// Groups of actors: whoever takes these messages may join, and all are told at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rondo/actor.hpp>

namespace rondo {

/// Actors of any classes that take these messages, told together. A handle: copies name the same group. It holds a handle to
/// each member; one that has ended is none any more, and is let go of at the next tell, or when many have joined. Messages of one
/// sender arrive in order at each member that was in the group when they were told; there is no order across members. Safe
/// from any tasklet and any thread. (Of one message type and told by nobody in particular: rondo::topic. Under a supervisor,
/// and told in turn: rondo::pool.)
/// Example: tests/actors/finding_test.cpp.
template <class... E>
class actor_group {
public:
    using member = address<E...>;

    actor_group() : core_(std::make_shared<core>()) {}

    /// Twice is once, and puts it last. Suspends: never. Cost: amortized O(1); so is leave's. After either the next tell makes a list
    /// of all.
    void join(const member& who) const {
        gone last;                                        // handles go after the lock: the last one of an actor ends it
        core& g = get();
        std::lock_guard hold(g.lock);
        take_out(g, who, last);
        if (who.has_ended()) return;
        const auto at = g.members.emplace_hint(g.members.end(), ++g.joined, who);
        try {
            g.places.emplace(&who.cell(), g.joined);
        } catch (...) {
            g.members.erase(at);
            throw;
        }
        has_changed(g, last);
        if (g.members.size() >= g.prune_at) prune(g, last);
    }
    void leave(const member& who) const {
        gone last;
        core& g = get();
        std::lock_guard hold(g.lock);
        take_out(g, who, last);
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
    using by_time = std::map<std::uint64_t, member>;
    struct gone {
        std::shared_ptr<const list> seen;
        std::vector<typename by_time::node_type> members;
    };
    struct core {
        std::mutex lock;                                  // never held over a tell
        by_time members;                                  // under lock, as what follows; in the order in which they joined
        std::unordered_map<const detail::actor_cell*, std::uint64_t> places;
        std::uint64_t joined = 0;
        std::size_t prune_at = 16;
        std::shared_ptr<const list> seen;                 // these as a list; nullptr: there have been changes since
    };
    static bool has_ended(const member& a) { return a.has_ended(); }
    core& get() const {
        if (!core_) [[unlikely]] detail::throw_moved_from("handle");
        return *core_;
    }
    // Under the lock, all three.
    static void has_changed(core& g, gone& last) noexcept {
        if (g.seen) last.seen = std::move(g.seen);
    }
    static void take_out(core& g, const member& who, gone& last) {
        const auto place = g.places.find(&who.cell());
        if (place == g.places.end()) return;
        last.members.reserve(last.members.size() + 1);    // may throw: nothing has happened yet
        has_changed(g, last);
        last.members.push_back(g.members.extract(place->second));
        g.places.erase(place);
    }
    static void prune(core& g, gone& last) {
        for (auto one = g.members.begin(); one != g.members.end();) {
            const auto at = one++;
            if (at->second.has_ended()) take_out(g, at->second, last);
        }
        g.prune_at = std::max<std::size_t>(16, 2 * g.members.size());
    }
    std::shared_ptr<const list> snapshot() const {
        core& g = get();
        std::lock_guard hold(g.lock);
        if (!g.seen) {
            auto all = std::make_shared<list>();
            all->reserve(g.members.size());
            for (auto& [when, a] : g.members) all->push_back(a);
            g.seen = std::move(all);
        }
        return g.seen;
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
        if (some_ended) {
            gone last;
            core& g = get();
            std::lock_guard hold(g.lock);
            prune(g, last);
        }
        return told;
    }
    std::shared_ptr<core> core_;
};

}  // namespace rondo
