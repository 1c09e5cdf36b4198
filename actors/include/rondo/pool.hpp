// Pools: several actors of one class behind one handle.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rondo/supervisor.hpp>

namespace rondo {

enum class routing : std::uint8_t {
    round_robin,
    least_loaded,        ///< the one with the fewest waiting messages
    consistent_hash,     ///< the same one for the same key: message.routing_key(), else std::hash of the message
    broadcast            ///< all; each gets a copy
};

namespace detail {

template <class M>
concept has_routing_key = requires(const M& m) { std::hash<std::remove_cvref_t<decltype(m.routing_key())>>{}(m.routing_key()); };
template <class M>
concept hashable = has_routing_key<M> || requires(const M& m) { std::hash<M>{}(m); };

// Jump consistent hash (J. Lamping and E. Veach, "A fast, minimal memory, consistent hash algorithm", 2014).
constexpr std::size_t jump_hash(std::uint64_t key, std::size_t buckets) noexcept {
    key ^= key >> 33;                                     // std::hash of a number is the number
    key *= 0xff51afd7ed558ccdull;
    key ^= key >> 33;
    std::int64_t b = -1, j = 0;
    while (j < static_cast<std::int64_t>(buckets)) {
        b = j;
        key = key * 2862933555777941757ull + 1;
        j = static_cast<std::int64_t>(static_cast<double>(b + 1) *
                                      (static_cast<double>(std::int64_t{1} << 31) / static_cast<double>((key >> 33) + 1)));
    }
    return static_cast<std::size_t>(b);
}

}  // namespace detail

/// n actors of class A, each made from copies of the same arguments, under a supervisor of their own: one that fails is
/// restarted. A handle: copies name the same pool; when the last one goes, it ends. Messages of one sender to one key
/// (consistent_hash) arrive in order; across members there is no order.
template <class A>
class pool {
public:
    template <class Noted = detail::noted_start<A>, class... Args>
        requires detail::actor_made_from<A, const std::decay_t<Args>&...>
    explicit pool(std::size_t n, routing how = routing::round_robin, const Args&... args)
        : pool(n, how, supervise_options{.max_restarts = 1000, .where = {}}, rondo::child<A, Noted>("", args...)) {}
    pool(std::size_t n, routing how, const supervise_options& options, const child_spec& member)
        : core_(std::make_shared<core>()) {
        if (n == 0) throw usage_error("rondo::pool of no actors");
        core_->how = how;
        std::vector<child_spec> all;
        for (std::size_t i = 0; i < n; ++i) {
            all.push_back(member);
            all.back().name = std::to_string(i);
        }
        core_->boss = supervise(options, std::move(all));
        for (std::size_t i = 0; i < n; ++i) core_->members.push_back(core_->boss.template ref<A>(std::to_string(i)));
    }

    /// To one, or to all (broadcast). As actor_ref::tell.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    void tell(V&& message) const {
        using M = detail::message_for_t<A, V>;
        if constexpr (!std::same_as<M, std::remove_cvref_t<V>>) return tell(detail::text_as<M>(message));
        else (void)route<M>(message, [&](const actor_ref<A>& a, auto&&... copy) {
            if constexpr (sizeof...(copy) != 0) (a.tell(copy), ...);
            else a.tell(std::forward<V>(message));
            return send_status(send_status::done);
        });
    }
    /// As actor_ref's. Of a broadcasting pool: done if all have it, else what the first of the others came to; those that could
    /// take it have it, and a limit is one for all of them. It tells copies, so `message` stays as it is.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status try_tell(V&& message) const {
        using M = detail::message_for_t<A, V>;
        if constexpr (!std::same_as<M, std::remove_cvref_t<V>>) return try_tell(detail::text_as<M>(message));
        else return route<M>(message, [&](const actor_ref<A>& a, auto&&... copy) {
            if constexpr (sizeof...(copy) != 0) return (a.try_tell(copy), ...);
            else return a.try_tell(std::forward<V>(message));
        });
    }
    template <class V, class Rep, class Period>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status tell_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        return tell_by(std::forward<V>(message), detail::limit_after(d));
    }
    template <class V, class Clock, class Duration>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status tell_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        return tell_by(std::forward<V>(message), detail::limit_at(tp));
    }
    /// Asks one, in these forms as actor_ref's. usage_error of a broadcasting pool: ask its members.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask(V&& message) const -> answer_t<A, detail::message_for_t<A, V>> {
        using M = detail::message_for_t<A, V>;
        if constexpr (!std::same_as<M, std::remove_cvref_t<V>>) return ask(detail::text_as<M>(message));
        else return choose(std::as_const(message)).ask(std::forward<V>(message));
    }
    template <class V, class Rep, class Period>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        return ask_by(std::forward<V>(message), detail::limit_after(d));
    }
    template <class V, class Clock, class Duration>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        return ask_by(std::forward<V>(message), detail::limit_at(tp));
    }
    [[nodiscard]] const std::vector<actor_ref<A>>& members() const { return get().members; }
    [[nodiscard]] const rondo::supervisor& supervisor() const { return get().boss; }
    void stop() const { get().boss.stop(); }

private:
    struct core {
        routing how = routing::round_robin;
        detail::atomic<std::size_t> turn{0};            // relaxed: whose turn it is orders nothing
        std::vector<actor_ref<A>> members;
        rondo::supervisor boss;
    };
    core& get() const {
        if (!core_) [[unlikely]] detail::throw_moved_from("handle");
        return *core_;
    }
    template <class V>
    send_status tell_by(V&& message, lowlevel::time_point until) const {
        using M = detail::message_for_t<A, V>;
        if constexpr (!std::same_as<M, std::remove_cvref_t<V>>) return tell_by(detail::text_as<M>(message), until);
        else return route<M>(message, [&](const actor_ref<A>& a, auto&&... copy) {
            const auto& ops = detail::ops_of<A, M>;
            if constexpr (sizeof...(copy) != 0) return (detail::tell_until<M>(a.cell(), ops, copy, until), ...);
            else return detail::tell_until<M>(a.cell(), ops, std::forward<V>(message), until);
        });
    }
    template <class V>
    auto ask_by(V&& message, lowlevel::time_point until) const {
        using M = detail::message_for_t<A, V>;
        if constexpr (!std::same_as<M, std::remove_cvref_t<V>>) return ask_by(detail::text_as<M>(message), until);
        else return detail::ask_until<answer_t<A, M>, M>(choose(std::as_const(message)).cell(), detail::ops_of<A, M>,
                                                         std::forward<V>(message), until);
    }
    /// give(a): the message itself. give(a, message): a copy of it, to each.
    template <class M, class Give>
    send_status route(const M& message, Give give) const {
        if (get().how != routing::broadcast) return give(choose(message));
        if constexpr (std::copy_constructible<M>) {
            send_status all = send_status::done;
            for (const auto& a : get().members)
                if (const send_status one = give(a, message); all) all = one;
            return all;
        } else {
            throw usage_error("rondo::pool: a broadcast message must be copyable");
        }
    }
    template <class M>
    const actor_ref<A>& choose(const M& message) const {
        auto& all = get().members;
        switch (get().how) {
            case routing::round_robin: {
                const auto from = get().turn.fetch_add(1, detail::relaxed);
                for (std::size_t i = 0; i < all.size(); ++i)
                    if (const auto& a = all[(from + i) % all.size()]; !a.has_ended()) return a;
                return all[from % all.size()];
            }
            case routing::least_loaded: {
                const auto from = get().turn.fetch_add(1, detail::relaxed);
                const actor_ref<A>* best = nullptr;
                std::size_t least = 0;
                for (std::size_t i = 0; i < all.size(); ++i) {
                    const auto& a = all[(from + i) % all.size()];
                    if (a.has_ended()) continue;
                    const auto n = a.mailbox_size();
                    if (!best || n < least) {
                        best = &a;
                        least = n;
                    }
                    if (least == 0) break;
                }
                return best ? *best : all[from % all.size()];
            }
            case routing::consistent_hash:
                if constexpr (detail::has_routing_key<M>) {
                    using key = std::remove_cvref_t<decltype(message.routing_key())>;
                    return all[detail::jump_hash(std::hash<key>{}(message.routing_key()), all.size())];
                } else if constexpr (detail::hashable<M>) {
                    return all[detail::jump_hash(std::hash<M>{}(message), all.size())];
                } else {
                    throw usage_error("rondo::pool with routing::consistent_hash: the message has neither routing_key() "
                                      "nor a std::hash");
                }
            case routing::broadcast: break;
        }
        throw usage_error("rondo::pool with routing::broadcast cannot ask: ask its members");
    }
    std::shared_ptr<core> core_;
};

}  // namespace rondo
