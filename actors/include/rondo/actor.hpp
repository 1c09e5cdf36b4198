// Actors: plain classes with on(Message) overloads. One message at a time; a handler may wait.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <rondo/actor_ref.hpp>
#include <rondo/detail/actor_cell.hpp>
#include <rondo/detail/handlers.hpp>
#include <rondo/detail/message.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/run.hpp>

namespace rondo {

/// What may be said about an actor when it is started. A class may say the same for all its actors:
/// `static constexpr std::size_t mailbox_slots = 16; static constexpr auto mailbox_full = rondo::when_full::drop_oldest;`
struct actor_options {
    std::string_view name = {};                           ///< for dumps, reports, down::name; copied
    std::optional<std::size_t> mailbox_slots = {};        ///< 1 to 32'767; 0: unbounded; unset: the class's, or 1024
    std::optional<when_full> full = {};                   ///< unset: the class's, or when_full::wait
    std::source_location where = std::source_location::current();
};

namespace detail {

template <class A, class... Args>
concept actor_made_from = std::constructible_from<A, Args...> && std::is_nothrow_destructible_v<A>;

// An aggregate may be given its first members only, as in braces; a warning would point here, not to who does so.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
template <class A, class... Args>
void make_at(void* place, Args&&... args) noexcept(std::is_nothrow_constructible_v<A, Args&&...>) {
    ::new (place) A(std::forward<Args>(args)...);
}
#pragma GCC diagnostic pop

template <class A, class... Args>
actor_ref<A> start_under(std::shared_ptr<supervised> under, actor_system& in, const actor_options& o, Args&&... args) {
    static_assert(alignof(A) <= 64, "an actor's alignment is at most 64");
    constexpr const actor_class& c = class_of<A>;
    const auto slots = o.mailbox_slots.value_or(c.mailbox_slots);
    if (slots > actor_cell::box::most_slots) [[unlikely]] throw_too_many_slots(slots);
    void* block = take_block(c.lines);
    auto* cell = ::new (block) actor_cell(in, c, slots, o.full.value_or(c.full));
    if constexpr (std::is_nothrow_constructible_v<A, Args&&...>) {
        make_at<A>(cell->state(), std::forward<Args>(args)...);
    } else {
        try {
            make_at<A>(cell->state(), std::forward<Args>(args)...);
        } catch (...) {
            std::destroy_at(cell);
            give_block(block, c.lines);
            throw;
        }
    }
    try {
        enroll(*cell, o, std::move(under));
    } catch (...) {
        c.destroy_state(*cell);
        std::destroy_at(cell);
        give_block(block, c.lines);
        throw;
    }
    actor_ref<A> ref(cell);
    if constexpr (on_takes_itself<A, started>) cell->post_system(make_message<started>(ops_of<A, started>, started{}));
    return ref;
}
template <class A, class... Args>
actor_ref<A> start_in(actor_system& in, const actor_options& o, Args&&... args) {
    return detail::start_under<A>(nullptr, in, o, std::forward<Args>(args)...);
}

}  // namespace detail

/// Makes an actor in the runtime of the calling tasklet. Its constructor runs here and now, in the caller; what it
/// throws comes out here. (What needs this_actor belongs into on(started).)
///
/// An actor costs no stack and no place in any queue while it has nothing to do: it does not keep rondo::run from
/// returning. (A handler under way does: run waits for its end, or finds that nothing can ever wake it.) It ends when stop() is
/// called, when a handler throws, when nobody has a handle any more and its mailbox is empty, or with its runtime; rondo::run's
/// actors have all ended before it returns.
///
/// A crash (an exception out of a handler) comes out of rondo::run, as a tasklet's that nobody joined, unless somebody has
/// heard of it: the asker, if he has not given up; a supervisor; who watches; who waits in join or select at that moment. Of
/// a usage_error a supervisor is not enough: a restart mends no program.
///
/// A class that says `static constexpr bool reentrant = true;` lets other messages in while one of its handlers waits (in
/// a channel, an ask, a sleep, a lock; not in a yield, nor while a join runs a child on the spot). Still only one handler
/// runs at a time, but after each wait its object may have changed. Messages of one sender begin in order. It may ask
/// itself. stop() lets the waiting handlers come to their ends; kill(), and a crash of one of them, end the waits of the
/// others with rondo::stopped; the object goes, or is made anew, once the last of them is through.
///
/// Suspends: never, but for what the constructor does.
/// Throws:   usage_error on a plain thread (use start_on), what the constructor throws, std::bad_alloc.
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start(Args&&... args) {
    Noted::know_messages();
    return detail::start_in<A>(detail::system_here("rondo::start"), actor_options{.where = {}}, std::forward<Args>(args)...);
}
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start(const actor_options& options, Args&&... args) {
    Noted::know_messages();
    return detail::start_in<A>(detail::system_here("rondo::start"), options, std::forward<Args>(args)...);
}
/// As start, in a runtime that is named: from any thread. Throws usage_error after its shutdown(), unless from inside.
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start_on(runtime& rt, Args&&... args) {
    Noted::know_messages();
    return detail::start_in<A>(detail::system_to_start_in(rt.impl()), actor_options{.where = {}}, std::forward<Args>(args)...);
}
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start_on(runtime& rt, const actor_options& options, Args&&... args) {
    Noted::know_messages();
    return detail::start_in<A>(detail::system_to_start_in(rt.impl()), options, std::forward<Args>(args)...);
}

// ---- dead letters

/// A message that nobody will handle.
struct dead_letter {
    dead_letter_reason why;
    std::string to;              ///< the actor's label
    std::string message;         ///< the type's name
};
struct dead_letter_counts {
    std::uint64_t ended = 0, dropped_newest = 0, dropped_oldest = 0, restarted = 0;
    [[nodiscard]] std::uint64_t total() const noexcept { return ended + dropped_newest + dropped_oldest + restarted; }
};
/// Of the calling tasklet's runtime, or of the one given.
[[nodiscard]] dead_letter_counts dead_letters();
[[nodiscard]] dead_letter_counts dead_letters(runtime& rt);
/// Calls f for each dead letter from now on, in whoever caused it; f must not suspend. An empty one: nobody.
void observe_dead_letters(std::function<void(const dead_letter&)> f);
void observe_dead_letters(runtime& rt, std::function<void(const dead_letter&)> f);
/// Actors that have not ended.
[[nodiscard]] std::size_t live_actors(runtime& rt);
[[nodiscard]] std::size_t live_actors();

// ---- death of others

/// From a handler: on(rondo::down) arrives when `a` ends, at once if it has; before what waits in the mailbox. Watching
/// twice brings it twice. A watch ends with the life of the calling actor: after a restart it must watch again.
/// Suspends: never. Cost: O(1).
/// Throws: usage_error outside a handler, if the calling actor has no on(rondo::down), or if `a` is the calling actor.
void watch(const detail::any_actor& a);
/// Takes one watch back: its on(rondo::down) does not arrive from now on. Nothing happens if there is none.
/// Suspends: never. Throws: usage_error outside a handler.
void unwatch(const detail::any_actor& a);
/// If one of the two fails (crashed, killed, linked, gave_up), the other is killed, with exit_kind::linked. That is not yet
/// to hear of a crash: if nobody else does, it comes out of rondo::run. Linking twice is once. From anywhere. Suspends: never.
/// Throws: usage_error for an actor and itself, or an empty handle.
void link(const detail::any_actor& a, const detail::any_actor& b);
void unlink(const detail::any_actor& a, const detail::any_actor& b);

/// A timer of an actor. A handle: dropping it changes nothing. Timers end with the actor, and when it is restarted.
class timer {
public:
    timer() noexcept = default;
    explicit timer(std::uint64_t number) noexcept : number_(number) {}
    /// From the actor's own handlers (elsewhere nothing happens): no message of it is sent from now on; one may be in the mailbox
    /// already. Suspends: never.
    void cancel() noexcept;

private:
    std::uint64_t number_ = 0;
};

/// Several callables as one; for this_actor::become and the like.
template <class... F>
struct overloaded : F... {
    using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

namespace detail {

template <class F>
struct callable_traits {};
template <class F>
    requires requires { &F::operator(); }
struct callable_traits<F> : callable_traits<decltype(&F::operator())> {};
template <class R, class M>
struct callable_traits<R (*)(M)> {
    using message = std::remove_cvref_t<M>;
    using answer = std::remove_cvref_t<R>;
    static constexpr bool consumes = !std::is_lvalue_reference_v<M> && !std::is_trivially_copyable_v<message>;
};
template <class R, class M>
struct callable_traits<R (*)(M) noexcept> : callable_traits<R (*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M)> : callable_traits<R (*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) const> : callable_traits<R (*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) noexcept> : callable_traits<R (*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) const noexcept> : callable_traits<R (*)(M)> {};

template <class F>
inline constexpr bool takes_one_message =
    !std::is_member_pointer_v<F> && requires { typename callable_traits<F>::message; };
template <class... F>
inline constexpr bool takes_one_message<overloaded<F...>> = (takes_one_message<F> && ...);
template <class F>
concept one_message_callable = takes_one_message<F>;

/// While one of become's callables handles the message: stash() asks it, not the class, whether the message is whole.
class behaviour_at_work {
public:
    behaviour_at_work(actor_cell& c, bool consumes) noexcept : c_(c) {
        c.flags |= static_cast<std::uint8_t>(actor_cell::by_behaviour | (consumes ? actor_cell::is_consumed : 0));
    }
    behaviour_at_work(const behaviour_at_work&) = delete;
    ~behaviour_at_work() {
        c_.flags &= static_cast<std::uint8_t>(~(actor_cell::by_behaviour | actor_cell::is_consumed));
    }

private:
    actor_cell& c_;
};

template <class... F>
class behaviour_of final : public behaviour {
public:
    explicit behaviour_of(F... f) : f_(std::move(f)...) {}
    bool try_handle(actor_cell& c, message_node& m, const message_ops& ops, void* payload) override {
        return std::apply([&](auto&... f) { return (try_one(f, c, m, ops, payload) || ...); }, f_);
    }

private:
    template <class... G>
    static bool try_one(overloaded<G...>& f, actor_cell& c, message_node& m, const message_ops& ops, void* payload) {
        return (try_one(static_cast<G&>(f), c, m, ops, payload) || ...);
    }
    template <class G>
    static bool try_one(G& f, actor_cell& c, message_node& m, const message_ops& ops, void* payload) {
        using M = typename callable_traits<G>::message;
        using R = typename callable_traits<G>::answer;
        if (ops.type != &tag_of<M>) return false;
        if (m.reply && ops.answer != &tag_of<R>) wrong_answer(ops, tag_of<R>);
        const behaviour_at_work here(c, callable_traits<G>::consumes);
        answer<R>(c, m, [&]() -> decltype(auto) { return f(std::move(*static_cast<M*>(payload))); });
        return true;
    }
    std::tuple<F...> f_;
};

void set_behaviour(std::unique_ptr<behaviour> b);
void stash_current();
void stash_message(message_node* m);
/// Takes the message. `copy`: how to make the next one; nullptr: it is sent once.
timer start_timer(ticks d, message_node* m, message_node* (*copy)(message_node&));
template <class M>
message_node* copy_message(message_node& m) {
    return detail::make_message<M>(*m.ops, std::as_const(payload_of<M>(m)));
}
[[nodiscard]] const message_ops& current_ops();

}  // namespace detail

/// For handlers: the actor that is handling a message, in the tasklet that does. Outside: usage_error.
namespace this_actor {

template <class A>
[[nodiscard]] actor_ref<A> ref() {
    detail::actor_cell& c = detail::actor_here("this_actor::ref");
    if (c.of.type != &detail::tag_of<A>) detail::wrong_class(c, detail::tag_of<A>, "this_actor::ref");
    c.add_own_ref();
    return actor_ref<A>(&c);
}
[[nodiscard]] std::uint64_t id();
/// Is the caller in a handler?
[[nodiscard]] bool exists() noexcept;

/// It ends when this handler has returned.
void stop();

/// From the next message on these callables, of one message type each (or rondo::overloaded of such), are asked first; what
/// they do not take goes to the class's on(). Without arguments: the class's own handlers again. A callable must answer as
/// on() does.
template <class... F>
    requires(detail::one_message_callable<std::decay_t<F>> && ...)
void become(F&&... handlers) {
    if constexpr (sizeof...(F) == 0)
        detail::set_behaviour(nullptr);
    else
        detail::set_behaviour(
            std::make_unique<detail::behaviour_of<std::decay_t<F>...>>(std::forward<F>(handlers)...));
}

/// Puts the message that is being handled aside, with its asker, until unstash(): what the handler returns then goes
/// nowhere, and a rondo::reply that it drops goes with the message. The handler must have taken the message by const
/// reference, or it must be trivially copyable; else hand it over: stash(std::move(m)). Unbounded; not counted as
/// waiting in the mailbox.
/// Suspends: never. Throws: usage_error when the message has been moved from, when called twice for one message, and in
/// a reentrant actor's handler that holds a rondo::reply to somebody (it can wait instead).
inline void stash() { detail::stash_current(); }
template <class M>
void stash(M&& message) {
    using T = std::remove_cvref_t<M>;
    const detail::message_ops& ops = detail::current_ops();
    if (ops.type != &detail::tag_of<T>)
        throw usage_error("this_actor::stash(message): it must be the message that is being handled");
    detail::stash_message(detail::make_message<T>(ops, std::forward<M>(message)));
}
/// What was put aside comes next, in its old order, before what waits in the mailbox; but no message before the handler
/// that has put it aside is through, which may still be using it.
void unstash();

/// Tells this actor `message` after a while, once; or again and again until cancelled. `after` does so bound or not; of
/// `every`, what comes while the mailbox is full is left out, a dead letter (dropped_newest), and the next comes at its
/// time. Until then rondo::run does not return because of `after` (the message is on its way), but does in spite of
/// `every` and idle_timeout. But a handler that waits for ever keeps run from returning for as long as there is an `every`: its
/// next message might be what wakes somebody, so that is no deadlock, and run cannot say so (runtime::dump can). Each time `every`
/// tells a copy, made by the tasklet that keeps all actors' timers: a copy that waits holds them up; if it throws then this one is
/// left out, and its exception comes out of `run` (out of memory: it is only left out).
/// Suspends: never.
/// Throws: usage_error outside a handler; and if the actor is not known to take the message from timers: it has no handler
///         for it, or the calls of rondo::start (or child, pool) are in other source files, and its class has no
///         `timer_messages` (see rondo::timer_list).
template <class M, class Noted = detail::noted_timer<detail::timer_message_t<M>>>
timer after(detail::time_span d, M&& message) {
    using T = detail::timer_message_t<M>;
    Noted::know_classes();
    const auto& ops = detail::known_ops(detail::actor_here("this_actor::after"), detail::tag_of<T>, "this_actor::after");
    return detail::start_timer(d, detail::make_message<T>(ops, std::forward<M>(message)), nullptr);
}
template <class M, class Noted = detail::noted_timer<detail::timer_message_t<M>>>
    requires std::copy_constructible<detail::timer_message_t<M>>
timer every(detail::time_span d, M&& message) {
    using T = detail::timer_message_t<M>;
    Noted::know_classes();
    const auto& ops = detail::known_ops(detail::actor_here("this_actor::every"), detail::tag_of<T>, "this_actor::every");
    return detail::start_timer(d, detail::make_message<T>(ops, std::forward<M>(message)), &detail::copy_message<T>);
}
/// on(rondo::idle) arrives whenever no message has come for so long. zero(): no more. Suspends: never. Throws: usage_error
/// outside a handler, or if the calling actor has no on(rondo::idle).
void idle_timeout(detail::time_span d);

}  // namespace this_actor
}  // namespace rondo
