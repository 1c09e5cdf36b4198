// Actors: plain classes with on(Message) overloads. One message at a time; a handler may wait.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <rondo/channel.hpp>
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

template <class A>
class actor_ref;
template <class... M>
class address;

namespace detail {

/// A counted handle to any actor.
class any_actor {
public:
    any_actor() noexcept = default;
    explicit any_actor(actor_cell* c) noexcept : cell_(c) {}                 // takes a reference over
    any_actor(const any_actor& other) noexcept : cell_(other.cell_) {
        if (cell_) cell_->add_ref();
    }
    any_actor(any_actor&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
    any_actor& operator=(any_actor other) noexcept {
        std::swap(cell_, other.cell_);
        return *this;
    }
    ~any_actor() {
        if (cell_) cell_->drop_ref();
    }

    /// Asks it to end after the message it is handling; what is in its mailbox becomes dead letters, askers get
    /// actor_ended. Nothing happens if it has ended. Suspends: never.
    void stop() const noexcept {
        if (cell_) cell_->tell_to_end(actor_cell::stop);
    }
    /// As stop(), and the message it is handling ends at its next call that may suspend, or in the one it is in, with
    /// rondo::stopped.
    void kill() const noexcept {
        if (cell_) cell_->kill_now();
    }
    /// Waits until it has ended, and says why. Suspends: until then. Stop: throws stopped. Does not stop it.
    exit_reason join() const {
        bool timed_out = false;
        return wait_for_end(cell(), lowlevel::no_deadline, &timed_out);
    }
    template <class Rep, class Period>
    std::optional<exit_reason> join_for(std::chrono::duration<Rep, Period> d) const {
        bool timed_out = false;
        auto why = wait_for_end(cell(), limit_after(d), &timed_out);
        if (timed_out) return std::nullopt;
        return why;
    }
    /// Has it ended, for good? A snapshot.
    [[nodiscard]] bool has_ended() const { return cell().has_ended(); }
    /// Messages that wait in its mailbox. A snapshot.
    [[nodiscard]] std::size_t mailbox_size() const { return cell().messages.depth(); }
    /// Unique in its runtime; stays the same over restarts.
    [[nodiscard]] std::uint64_t id() const { return cell().id; }
    /// `actor 7 "ann" (account)`
    [[nodiscard]] std::string label() const { return cell().label(); }
    explicit operator bool() const noexcept { return cell_ != nullptr; }
    friend bool operator==(const any_actor& a, const any_actor& b) noexcept { return a.cell_ == b.cell_; }

    /// For the library.
    [[nodiscard]] actor_cell& cell() const {
        if (!cell_) [[unlikely]] no_such_actor();
        return *cell_;
    }
    [[nodiscard]] actor_cell* cell_or_null() const noexcept { return cell_; }

protected:
    actor_cell* cell_ = nullptr;
};

template <class M, class V>
void tell(actor_cell& to, const message_ops& ops, V&& value) {
    finish_tell(to, put_message<M>(begin_tell(lines_of<message_with<M>>), ops, std::forward<V>(value)));
}
template <class M, class V>
send_status tell_until(actor_cell& to, const message_ops& ops, V&& value, lowlevel::time_point until) {
    message_node* m = put_message<M>(begin_tell(lines_of<message_with<M>>), ops, std::forward<V>(value));
    switch (finish_tell(to, m, until)) {
        case told::taken: return send_status::done;
        case told::dropped: return send_status::full;
        case told::ended: return send_status::closed;
        case told::late: break;
    }
    return send_status::timed_out;
}
template <class M>
send_status try_tell(actor_cell& to, const message_ops& ops, M& value) {
    message_node* m = make_message<M>(ops, std::move(value));
    const auto result = try_push(to, m);
    if (result == actor_cell::box::pushed::queued || result == actor_cell::box::pushed::scheduled) return send_status::done;
    if constexpr (std::is_move_assignable_v<M>) {
        value = std::move(payload_of<M>(*m));
    } else {
        std::destroy_at(&value);
        std::construct_at(&value, std::move(payload_of<M>(*m)));
    }
    destroy_payload<M>(*m);
    give_block(m, ops.lines);
    return result == actor_cell::box::pushed::full ? send_status::full : send_status::closed;
}

template <class R>
struct reply_holder {
    reply_with<R>* cell;
    ~reply_holder() { cell->let_go(); }
};
/// nullopt (false): `until` came first.
template <class R, class M, class V>
auto ask_until(actor_cell& to, const message_ops& ops, V&& value, lowlevel::time_point until) {
    using result = std::conditional_t<std::is_void_v<R>, bool, std::optional<stored_t<R>>>;
    check_ask(to);
    message_node* m = put_message<M>(begin_tell(ops.lines), ops, std::forward<V>(value));
    reply_with<R>* r;
    try {
        r = new_reply<R>();
    } catch (...) {
        ops.destroy(*m);
        give_block(m, ops.lines);
        throw;
    }
    reply_holder<R> mine{r};
    m->reply = r;
    bool timed_out = finish_tell(to, m, until) == told::late;
    if (!timed_out) r->wait(&to, until, &timed_out);
    if (timed_out) return result{};
    if constexpr (std::is_void_v<R>) return true;
    else return result(std::move(r->value));
}
template <class R, class M, class V>
R ask(actor_cell& to, const message_ops& ops, V&& value) {
    if constexpr (std::is_void_v<R>) (void)ask_until<R, M>(to, ops, std::forward<V>(value), lowlevel::no_deadline);
    else return *ask_until<R, M>(to, ops, std::forward<V>(value), lowlevel::no_deadline);
}

}  // namespace detail

/// A handle to an actor of class A: cheap to copy, safe from any tasklet and any thread, of any runtime or none. It
/// stays good over restarts. When the last handle goes, the actor ends once it has handled what it was told.
///
/// Messages from one sender arrive in the order in which they were told, for any number of workers.
template <class A>
class actor_ref : public detail::any_actor {
public:
    using actor_type = A;
    using any_actor::any_actor;

    /// Puts the message into the mailbox. A dead actor: the message becomes a dead letter (rondo::dead_letters).
    /// A "literal", an array of char or a char pointer is told as a std::string, if the class has a handler for that; it
    /// ends before the first NUL, or with the array.
    ///
    /// Suspends: while the mailbox is full (blocks a plain thread), not from the actor's own handler; and when the
    ///           slice's budget is used up.
    /// Stop:     throws `stopped`; the message has not been sent.
    /// Cost:     O(1); no allocation once memory for messages has been in use. Measured in perf/actor_counting.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    void tell(V&& message) const {
        using M = detail::message_for_t<A, V>;
        detail::tell<M>(cell(), detail::ops_of<A, M>, std::forward<V>(message));
    }
    /// Only if it can be taken at once; on failure (full, closed: the actor has ended) `message` is untouched. Of 64 slots
    /// or more up to 15 that have just become free may still count as full, unless the mailbox drops the newest.
    /// Suspends: never.
    template <class M>
        requires(!std::is_const_v<M> && has_handler_for<A, M>)
    send_status try_tell(M& message) const {
        return detail::try_tell<M>(cell(), detail::ops_of<A, M>, message);
    }
    template <class M>
        requires(!std::is_lvalue_reference_v<M> && has_handler_for<A, std::remove_cv_t<M>>)
    send_status try_tell(M&& message) const {
        return detail::try_tell<std::remove_cv_t<M>>(cell(), detail::ops_of<A, std::remove_cv_t<M>>, message);
    }
    /// As tell(), but gives up after a while: send_status::timed_out; then the message is destroyed unsent. `full`: its
    /// mailbox drops the newest; `closed`: it has ended; both leave a dead letter.
    template <class V, class Rep, class Period>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status tell_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        using M = detail::message_for_t<A, V>;
        return detail::tell_until<M>(cell(), detail::ops_of<A, M>, std::forward<V>(message), detail::limit_after(d));
    }
    template <class V, class Clock, class Duration>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status tell_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        using M = detail::message_for_t<A, V>;
        return detail::tell_until<M>(cell(), detail::ops_of<A, M>, std::forward<V>(message), detail::limit_at(tp));
    }

    /// Tells, and waits for what the handler returns, or sends through its reply<R>.
    ///
    /// Suspends: until the answer is there. rondo::within gives it a deadline.
    /// Stop:     throws `stopped`; the message may be handled nevertheless.
    /// Throws:   what came out of the handler; actor_ended if the actor, or who owes the answer now, has ended or ends
    ///           before it answers; no_answer; error if the mailbox's policy drops the message;
    ///           usage_error from the actor's own handler, which would wait for itself.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask(V&& message) const -> answer_t<A, detail::message_for_t<A, V>> {
        using M = detail::message_for_t<A, V>;
        return detail::ask<answer_t<A, M>, M>(cell(), detail::ops_of<A, M>, std::forward<V>(message));
    }
    /// As ask(), but gives up after a while: nullopt (false for an answer without a value).
    template <class V, class Rep, class Period>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        using M = detail::message_for_t<A, V>;
        return detail::ask_until<answer_t<A, M>, M>(cell(), detail::ops_of<A, M>, std::forward<V>(message),
                                                    detail::limit_after(d));
    }
    template <class V, class Clock, class Duration>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    auto ask_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        using M = detail::message_for_t<A, V>;
        return detail::ask_until<answer_t<A, M>, M>(cell(), detail::ops_of<A, M>, std::forward<V>(message),
                                                    detail::limit_at(tp));
    }
};

namespace detail {

// An entry of address<...>: a message type, or R(Message) where the answer's type matters.
template <class E>
struct entry {
    using message = E;
    using answer = void;
    static constexpr bool has_answer = false;
};
template <class E>
    requires requires { typename E::answer; }
struct entry<E> {
    using message = E;
    using answer = typename E::answer;
    static constexpr bool has_answer = true;
};
template <class R, class M>
struct entry<R(M)> {
    using message = M;
    using answer = R;
    static constexpr bool has_answer = true;
};
template <class A, class E>
concept fits_entry = has_handler_for<A, typename entry<E>::message> &&
                     (!entry<E>::has_answer ||
                      std::same_as<typename answer_of<A, typename entry<E>::message>::type, typename entry<E>::answer>);

template <class M, class... E>
constexpr std::size_t index_of() {
    std::size_t i = 0, found = sizeof...(E);
    ((found = found == sizeof...(E) && std::is_same_v<M, typename entry<E>::message> ? i : found, ++i), ...);
    return found;
}

// As message_for, of the messages that an address lists.
template <class V, class... E>
using message_in_t = std::conditional_t<(c_text<V> && index_of<std::string, E...>() < sizeof...(E)), std::string,
                                        std::remove_cvref_t<V>>;

}  // namespace detail

/// Whoever takes these messages, of whatever class. Made from an actor_ref, or from an address that takes more. An entry
/// is a message type, or `R(M)` if asking it must give an R.
template <class... E>
class address : public detail::any_actor {
public:
    address() noexcept = default;
    template <class A>
        requires(detail::fits_entry<A, E> && ...)
    address(const actor_ref<A>& a) noexcept    // NOLINT: conversion is the point
        : any_actor(a), ops_{&detail::ops_of<A, typename detail::entry<E>::message>...} {}
    template <class... F>
        requires(!std::is_same_v<address<F...>, address> &&
                 ((detail::index_of<typename detail::entry<E>::message, F...>() < sizeof...(F)) && ...))
    address(const address<F...>& wider) noexcept    // NOLINT
        : any_actor(wider), ops_{wider.template ops<typename detail::entry<E>::message>()...} {}

    template <class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    void tell(V&& message) const {
        using M = detail::message_in_t<V, E...>;
        detail::tell<M>(cell(), *ops<M>(), std::forward<V>(message));
    }
    template <class M>
        requires(!std::is_const_v<M> && detail::index_of<M, E...>() < sizeof...(E))
    send_status try_tell(M& message) const {
        return detail::try_tell<M>(cell(), *ops<M>(), message);
    }
    template <class M>
        requires(!std::is_lvalue_reference_v<M> && detail::index_of<M, E...>() < sizeof...(E))
    send_status try_tell(M&& message) const {
        return detail::try_tell<M>(cell(), *ops<M>(), message);
    }
    template <class V, class Rep, class Period>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    send_status tell_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        using M = detail::message_in_t<V, E...>;
        return detail::tell_until<M>(cell(), *ops<M>(), std::forward<V>(message), detail::limit_after(d));
    }
    /// The answer's type comes from the entry (`R(M)`, or M::answer); else say ask<R>(message), which throws
    /// usage_error if the actor's handler gives something else.
    template <class R, class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    R ask(V&& message) const {
        using M = detail::message_in_t<V, E...>;
        const auto& o = *ops<M>();
        if (o.answer != &detail::tag_of<R>) detail::wrong_answer(o, detail::tag_of<R>);
        return detail::ask<R, M>(cell(), o, std::forward<V>(message));
    }
    template <class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    auto ask(V&& message) const {
        constexpr auto i = detail::index_of<detail::message_in_t<V, E...>, E...>();
        using known = detail::entry<typename std::tuple_element_t<i, std::tuple<std::type_identity<E>...>>::type>;
        static_assert(known::has_answer, "what does it answer? Say ask<R>(message), or R(M) in the address's list");
        return ask<typename known::answer>(std::forward<V>(message));
    }

    template <class M>
    [[nodiscard]] const detail::message_ops* ops() const noexcept {
        return ops_[detail::index_of<M, E...>()];
    }

private:
    std::array<const detail::message_ops*, sizeof...(E)> ops_{};
};

namespace detail {

template <class A, class... Args>
concept actor_made_from = std::constructible_from<A, Args...> && std::is_nothrow_destructible_v<A>;

template <class A, class... Args>
actor_ref<A> start_under(std::shared_ptr<supervised> under, actor_system& in, const actor_options& o, Args&&... args) {
    static_assert(alignof(A) <= 64, "an actor's alignment is at most 64");
    constexpr const actor_class& c = class_of<A>;
    const auto slots = o.mailbox_slots.value_or(c.mailbox_slots);
    if (slots > actor_cell::box::most_slots) [[unlikely]] check_slots(slots);
    void* block = take_block(c.lines);
    auto* cell = ::new (block) actor_cell(in, c, slots, o.full.value_or(c.full));
    if constexpr (std::is_nothrow_constructible_v<A, Args&&...>) {
        ::new (cell->state()) A(std::forward<Args>(args)...);
    } else {
        try {
            ::new (cell->state()) A(std::forward<Args>(args)...);
        } catch (...) {
            std::destroy_at(cell);
            give_block(block, c.lines);
            throw;
        }
    }
    try {
        enroll(*cell, o.name, o.where, std::move(under));
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
    return start_under<A>(nullptr, in, o, std::forward<Args>(args)...);
}

}  // namespace detail

/// Makes an actor in the runtime of the calling tasklet. Its constructor runs here and now, in the caller; what it
/// throws comes out here. (What needs this_actor belongs into on(started).)
///
/// An actor costs no stack and no place in any queue while it has nothing to do: it does not keep rondo::run from
/// returning. It ends when stop() is called, when a handler throws, when nobody has a handle any more and its mailbox is
/// empty, or with its runtime; rondo::run's actors have all ended before it returns.
///
/// A class that says `static constexpr bool reentrant = true;` lets other messages in while one of its handlers waits (in
/// a channel, an ask, a sleep, a lock; not in a yield, nor while a join runs a child on the spot). Still only one handler
/// runs at a time, but after each wait its object may have changed. Messages of one sender begin in order. It may ask
/// itself. stop() lets the waiting handlers come to their ends; kill(), and a crash of one of them, end the waits of the
/// others with rondo::stopped; the object goes, or is made anew, once the last of them is through.
///
/// Suspends: never, but for what the constructor does.
/// Throws:   usage_error on a plain thread (use start_on), what the constructor throws, std::bad_alloc.
template <class A, int Timed = detail::timed_types<decltype([] {})>(), class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start(Args&&... args) {
    detail::know_timer_messages<A, Timed>();
    return detail::start_in<A>(detail::system_here("rondo::start"), actor_options{.where = {}}, std::forward<Args>(args)...);
}
template <class A, int Timed = detail::timed_types<decltype([] {})>(), class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start(const actor_options& options, Args&&... args) {
    detail::know_timer_messages<A, Timed>();
    return detail::start_in<A>(detail::system_here("rondo::start"), options, std::forward<Args>(args)...);
}
/// As start, in a runtime that is named: from any thread.
template <class A, int Timed = detail::timed_types<decltype([] {})>(), class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start_on(runtime& rt, Args&&... args) {
    detail::know_timer_messages<A, Timed>();
    return detail::start_in<A>(detail::system_of(rt.impl()), actor_options{.where = {}}, std::forward<Args>(args)...);
}
template <class A, int Timed = detail::timed_types<decltype([] {})>(), class... Args>
    requires detail::actor_made_from<A, Args...>
actor_ref<A> start_on(runtime& rt, const actor_options& options, Args&&... args) {
    detail::know_timer_messages<A, Timed>();
    return detail::start_in<A>(detail::system_of(rt.impl()), options, std::forward<Args>(args)...);
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
/// If one of the two fails (crashed, killed, linked, gave_up), the other is killed, with exit_kind::linked.
void link(const detail::any_actor& a, const detail::any_actor& b);
void unlink(const detail::any_actor& a, const detail::any_actor& b);

/// A timer of an actor. A handle: dropping it changes nothing. Timers end with the actor, and when it is restarted.
class timer {
public:
    timer() noexcept = default;
    explicit timer(std::uint64_t number) noexcept : number_(number) {}
    /// From the actor's own handlers: no message of it is sent from now on; one may be in the mailbox already.
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
struct callable_traits : callable_traits<decltype(&F::operator())> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M)> {
    using message = std::remove_cvref_t<M>;
    using answer = std::remove_cvref_t<R>;
    static constexpr bool consumes = !std::is_lvalue_reference_v<M> && !std::is_trivially_copyable_v<message>;
};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) const> : callable_traits<R (C::*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) noexcept> : callable_traits<R (C::*)(M)> {};
template <class C, class R, class M>
struct callable_traits<R (C::*)(M) const noexcept> : callable_traits<R (C::*)(M)> {};

template <class F>
concept one_message_callable = requires { typename callable_traits<F>::message; };

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
    return make_message<M>(*m.ops, std::as_const(payload_of<M>(m)));
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

/// From the next message on these callables, of one message type each, are asked first; what they do not take goes to
/// the class's on(). Without arguments: the class's own handlers again. A callable must answer as on() does.
template <class... F>
    requires(detail::one_message_callable<std::remove_cvref_t<F>> && ...)
void become(F&&... handlers) {
    if constexpr (sizeof...(F) == 0)
        detail::set_behaviour(nullptr);
    else
        detail::set_behaviour(
            std::make_unique<detail::behaviour_of<std::remove_cvref_t<F>...>>(std::forward<F>(handlers)...));
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
/// `every` and idle_timeout.
template <class M, int = detail::note_timed<detail::timer_message_t<M>, decltype([] {})>()>
timer after(detail::time_span d, M&& message) {
    using T = detail::timer_message_t<M>;
    const auto& ops = detail::known_ops(detail::actor_here("this_actor::after"), detail::tag_of<T>, "this_actor::after");
    return detail::start_timer(d, detail::make_message<T>(ops, std::forward<M>(message)), nullptr);
}
template <class M, int = detail::note_timed<detail::timer_message_t<M>, decltype([] {})>()>
    requires std::copy_constructible<detail::timer_message_t<M>>
timer every(detail::time_span d, M&& message) {
    using T = detail::timer_message_t<M>;
    const auto& ops = detail::known_ops(detail::actor_here("this_actor::every"), detail::tag_of<T>, "this_actor::every");
    return detail::start_timer(d, detail::make_message<T>(ops, std::forward<M>(message)), &detail::copy_message<T>);
}
/// on(rondo::idle) arrives whenever no message has come for so long. zero(): no more.
void idle_timeout(detail::time_span d);

}  // namespace this_actor
}  // namespace rondo
