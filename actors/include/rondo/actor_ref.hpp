// Handles to actors: actor_ref, which knows the class, and address, which knows the messages. Telling, asking, joining, each
// in every form.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/detail/actor_cell.hpp>
#include <rondo/detail/handlers.hpp>
#include <rondo/detail/message.hpp>
#include <rondo/detail/offer.hpp>
#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/select_clause.hpp>

namespace rondo {

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
    /// Waits until it has ended, for good, and says why. Does not stop it. Any number may wait, and come again. A crash that
    /// somebody waited for so does not come out of rondo::run; who comes too late to wait has not heard of it in time.
    ///
    /// Suspends: until then; may resume on another worker. On a plain thread: blocks the thread.
    /// Stop:     throws `stopped`.
    /// Throws:   usage_error from the actor's own handler, which would wait for itself.
    /// Cost:     O(1); the first call may allocate.
    exit_reason join() const { return *join_by(lowlevel::no_deadline); }
    /// Why it has ended, or nullopt: not yet. Suspends: never.
    [[nodiscard]] std::optional<exit_reason> try_join() const { return end_or_enlist(cell(), nullptr); }
    /// As join(), but gives up after a while: nullopt.
    template <class Rep, class Period>
    std::optional<exit_reason> join_for(std::chrono::duration<Rep, Period> d) const {
        return join_by(limit_after(d));
    }
    template <class Clock, class Duration>
    std::optional<exit_reason> join_until(std::chrono::time_point<Clock, Duration> tp) const {
        return join_by(limit_at(tp));
    }
    /// Has it ended, for good? A snapshot.
    [[nodiscard]] bool has_ended() const { return cell().has_ended(); }
    /// Messages that wait in its mailbox. A snapshot; of 64 slots or more up to 15 that have left it may still be counted.
    [[nodiscard]] std::size_t mailbox_size() const { return cell().messages.depth(); }
    /// Unique in its runtime; stays the same over restarts.
    [[nodiscard]] std::uint64_t id() const { return cell().id; }
    /// `actor 7 "ann" (account)`
    [[nodiscard]] std::string label() const { return cell().label(); }
    explicit operator bool() const noexcept { return cell_ != nullptr; }
    /// Handles may be the keys of maps: std::hash, and the order in which a runtime's actors were made.
    friend bool operator==(const any_actor& a, const any_actor& b) noexcept { return a.cell_ == b.cell_; }
    friend std::strong_ordering operator<=>(const any_actor& a, const any_actor& b) noexcept {
        const auto of = [](const actor_cell* c) { return c ? c->id : 0; };
        const auto made = of(a.cell_) <=> of(b.cell_);
        return made != 0 ? made : std::compare_three_way()(a.cell_, b.cell_);
    }

    /// For the library.
    [[nodiscard]] actor_cell& cell() const {
        if (!cell_) [[unlikely]] no_such_actor();
        return *cell_;
    }
    [[nodiscard]] actor_cell* cell_or_null() const noexcept { return cell_; }

protected:
    actor_cell* cell_ = nullptr;

private:
    std::optional<exit_reason> join_by(lowlevel::time_point until) const { return wait_for_end(cell(), until); }
};

/// Of the one actor that all of these are; else usage_error.
[[nodiscard]] any_actor one_actor(std::initializer_list<actor_cell*> parts);

/// See joined(). Keeps its actor's memory, as any handle does.
template <class F>
class actor_end_clause final : public lowlevel::select_clause {
public:
    actor_end_clause(const any_actor& a, F f)
        : select_clause({lowlevel::wait_kind::ending, &a.cell()}), actor_(a), f_(std::move(f)) {}
    lowlevel::progress attempt(lowlevel::waiter& me, bool enlists, lowlevel::partner&) override {
        return end_or_enlist(actor_.cell(), enlists ? &fresh_node(me) : nullptr) ? lowlevel::progress::done
                                                                                 : lowlevel::progress::waits;
    }
    void withdraw() noexcept override { withdraw_joiner(actor_.cell(), node()); }
    void run() { std::invoke(f_, *end_or_enlist(actor_.cell(), nullptr)); }

private:
    any_actor actor_;
    F f_;
};

template <class M, class V>
void tell(actor_cell& to, const message_ops& ops, V&& value) {
    finish_tell(to, detail::put_message<M>(begin_tell(lines_of<message_with<M>>), ops, std::forward<V>(value)));
}
template <class M, class V>
send_status tell_until(actor_cell& to, const message_ops& ops, V&& value, lowlevel::time_point until) {
    message_node* m = detail::put_message<M>(begin_tell(lines_of<message_with<M>>), ops, std::forward<V>(value));
    switch (finish_tell(to, m, until)) {
        case told::taken: return send_status::done;
        case told::dropped: return send_status::full;
        case told::ended: return send_status::closed;
        case told::late: break;
    }
    return send_status::timed_out;
}
template <class M, class V>
send_status try_tell(actor_cell& to, const message_ops& ops, V&& value) {
    // What is given away is moved only if it can be moved back for sure; else, if that can be, a copy of it is told.
    constexpr bool is_given = std::is_same_v<V, M>;
    constexpr bool is_moved = is_given && (comes_back<M> || !std::is_copy_constructible_v<M>);
    message_node* m = detail::make_message<M>(ops, static_cast<std::conditional_t<is_given && !is_moved, const M&, V&&>>(value));
    const auto result = try_push(to, m);
    if (result == actor_cell::box::pushed::queued || result == actor_cell::box::pushed::scheduled) return send_status::done;
    if constexpr (is_moved) detail::give_back(value, std::move(payload_of<M>(*m)));
    destroy_message(*m);
    return result == actor_cell::box::pushed::full ? send_status::full : send_status::closed;
}

template <class R>
struct reply_holder {
    reply_with<R>* cell;
    ~reply_holder() {
        if (!cell->is_taken) cell->leave();
        cell->let_go();
    }
};
/// nullopt (false): `until` came first. before_it_waits(reply_cell&), if given, may throw: then nobody waits for the answer.
template <class R, class M, class V, class... Check>
auto ask_until(actor_cell& to, const message_ops& ops, V&& value, lowlevel::time_point until, Check... before_it_waits) {
    using result = std::conditional_t<std::is_void_v<R>, bool, std::optional<stored_t<R>>>;
    check_ask(to);
    message_node* m = detail::put_message<M>(begin_tell(ops.lines), ops, std::forward<V>(value));
    reply_with<R>* r;
    try {
        r = new_reply<R>();
    } catch (...) {
        destroy_message(*m);
        throw;
    }
    reply_holder<R> mine{r};
    m->reply = r;
    const bool is_late = finish_tell(to, m, until) == told::late;
    (before_it_waits(*r), ...);
    if (is_late || !r->wait(&to, until)) return result{};
    if constexpr (std::is_void_v<R>) return true;
    else return result(std::move(r->value));
}
template <class R, class M, class V, class... Check>
R ask(actor_cell& to, const message_ops& ops, V&& value, Check... check) {
    if constexpr (std::is_void_v<R>)
        (void)detail::ask_until<R, M>(to, ops, std::forward<V>(value), lowlevel::no_deadline, check...);
    else
        return *detail::ask_until<R, M>(to, ops, std::forward<V>(value), lowlevel::no_deadline, check...);
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
    /// ends before the first NUL, or with the array. If it has one for const char* instead, that gets the pointer.
    ///
    /// Suspends: while the mailbox is full (blocks a plain thread), not from the actor's own handler; and when the
    ///           slice's budget is used up. Of 64 slots or more up to 15 that have just become free may still count as
    ///           full while a handler waits.
    /// Stop:     throws `stopped`; the message has not been sent.
    /// Cost:     O(1); no allocation once memory for messages has been in use. Measured in perf/actor_counting.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    void tell(V&& message) const {
        using M = detail::message_for_t<A, V>;
        detail::tell<M>(cell(), detail::ops_of<A, M>, std::forward<V>(message));
    }
    /// Only if it can be taken at once. Tells what tell() would: a copy of an lvalue, which stays as it is; what is moved
    /// in, `try_tell(std::move(m))`, is untouched on failure (full; closed: the actor has ended). Of 64 slots or more up to
    /// 15 that have just become free may still count as full, unless the mailbox drops the newest.
    /// Suspends: never.
    template <class V>
        requires has_handler_for<A, detail::message_for_t<A, V>>
    send_status try_tell(V&& message) const {
        using M = detail::message_for_t<A, V>;
        return detail::try_tell<M>(cell(), detail::ops_of<A, M>, std::forward<V>(message));
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

// Is an entry E to be had from what lists F...? What F leaves open, the answer, ask finds out.
template <class E, class... F>
constexpr bool is_listed() {
    return ((std::is_same_v<typename entry<E>::message, typename entry<F>::message> &&
             (!entry<E>::has_answer || !entry<F>::has_answer ||
              std::is_same_v<typename entry<E>::answer, typename entry<F>::answer>)) || ...);
}

// Does a handle take what the entry E says?
template <class Handle, class E>
inline constexpr bool takes_entry = false;
template <class A, class E>
inline constexpr bool takes_entry<actor_ref<A>, E> = fits_entry<A, E>;
template <class... F, class E>
inline constexpr bool takes_entry<address<F...>, E> = is_listed<E, F...>();
template <class E, class... Handle>
concept taken_by_one_of = (takes_entry<Handle, E> || ...);

// How the actor takes it, as the first of these knows that does.
template <class E, class First, class... Rest>
const message_ops* first_ops(const First& first, const Rest&... rest) noexcept {
    using M = typename entry<E>::message;
    if constexpr (!takes_entry<First, E>) return first_ops<E>(rest...);
    else if constexpr (requires { typename First::actor_type; }) return &ops_of<typename First::actor_type, M>;
    else return first.template ops<M>();
}

// For ask<R>: no R was named.
struct as_listed {};

// As message_for, of the messages that an address lists.
template <class V, class... E>
using message_in_t = std::conditional_t<
    (c_text<V> && index_of<std::string, E...>() < sizeof...(E)), std::string,
    std::conditional_t<c_text<V> && std::is_array_v<std::remove_reference_t<V>>, const char*, std::remove_cvref_t<V>>>;

}  // namespace detail

/// Whoever takes these messages, of whatever class: one actor. Made from an actor_ref, from an address that takes more, or
/// from several handles of that actor which take it all between them, `address<deposit, balance> both{in, out}`. An entry is
/// a message type, or `R(M)` if asking it must give an R.
template <class... E>
class address : public detail::any_actor {
public:
    address() noexcept = default;
    template <class A>
        requires(detail::fits_entry<A, E> && ...)
    address(const actor_ref<A>& a) noexcept    // NOLINT: conversion is the point
        : any_actor(a), ops_{&detail::ops_of<A, typename detail::entry<E>::message>...} {}
    template <class... F>
        requires(!std::is_same_v<address<F...>, address> && (detail::is_listed<E, F...>() && ...))
    address(const address<F...>& wider) noexcept    // NOLINT
        : any_actor(wider), ops_{wider.template ops<typename detail::entry<E>::message>()...} {}
    /// Each message is told as the first part that takes it would. Throws usage_error if the parts name different actors: who
    /// is watched, joined, a member or a key is one. To spread messages over several, start an actor that passes them on.
    template <class Part, class... More>
        requires(sizeof...(More) > 0 && (detail::taken_by_one_of<E, Part, More...> && ...))
    address(const Part& part, const More&... more)
        : any_actor(detail::one_actor({part.cell_or_null(), more.cell_or_null()...})),
          ops_{detail::first_ops<E>(part, more...)...} {}

    /// These four as actor_ref's.
    template <class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    void tell(V&& message) const {
        using M = detail::message_in_t<V, E...>;
        detail::tell<M>(cell(), ops_here<M>(), std::forward<V>(message));
    }
    template <class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    send_status try_tell(V&& message) const {
        using M = detail::message_in_t<V, E...>;
        return detail::try_tell<M>(cell(), ops_here<M>(), std::forward<V>(message));
    }
    template <class V, class Rep, class Period>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    send_status tell_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        using M = detail::message_in_t<V, E...>;
        return detail::tell_until<M>(cell(), ops_here<M>(), std::forward<V>(message), detail::limit_after(d));
    }
    template <class V, class Clock, class Duration>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    send_status tell_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        using M = detail::message_in_t<V, E...>;
        return detail::tell_until<M>(cell(), ops_here<M>(), std::forward<V>(message), detail::limit_at(tp));
    }
    /// As actor_ref's, all three. The answer's type comes from the entry (`R(M)`, or M::answer); else say ask<R>(message),
    /// which throws usage_error if the actor's handler gives something else.
    template <class R = detail::as_listed, class V>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    auto ask(V&& message) const {
        using M = detail::message_in_t<V, E...>;
        using answer = answer_as<R, V>;
        return detail::ask<answer, M>(cell(), ops_answering<answer, M>(), std::forward<V>(message));
    }
    template <class R = detail::as_listed, class V, class Rep, class Period>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    auto ask_for(V&& message, std::chrono::duration<Rep, Period> d) const {
        return ask_by<answer_as<R, V>>(std::forward<V>(message), detail::limit_after(d));
    }
    template <class R = detail::as_listed, class V, class Clock, class Duration>
        requires(detail::index_of<detail::message_in_t<V, E...>, E...>() < sizeof...(E))
    auto ask_until(V&& message, std::chrono::time_point<Clock, Duration> tp) const {
        return ask_by<answer_as<R, V>>(std::forward<V>(message), detail::limit_at(tp));
    }

    template <class M>
    [[nodiscard]] const detail::message_ops* ops() const noexcept {
        return ops_[detail::index_of<M, E...>()];
    }

private:
    template <class M>
    const detail::message_ops& ops_here() const {
        (void)cell();                                     // throws if it is empty: then there are none
        return *ops<M>();
    }
    template <class R, class V>
    static auto choose_answer() {
        if constexpr (std::is_same_v<R, detail::as_listed>) {
            constexpr auto i = detail::index_of<detail::message_in_t<V, E...>, E...>();
            using known = detail::entry<typename std::tuple_element_t<i, std::tuple<std::type_identity<E>...>>::type>;
            static_assert(known::has_answer, "what does it answer? Say ask<R>(message), or R(M) in the address's list");
            return std::type_identity<typename known::answer>();
        } else {
            return std::type_identity<R>();
        }
    }
    template <class R, class V>
    using answer_as = typename decltype(choose_answer<R, V>())::type;

    template <class R, class M>
    const detail::message_ops& ops_answering() const {
        const auto& o = ops_here<M>();
        if (o.answer != &detail::tag_of<R>) detail::wrong_answer(o, detail::tag_of<R>);
        return o;
    }
    template <class R, class V>
    auto ask_by(V&& message, lowlevel::time_point until) const {
        using M = detail::message_in_t<V, E...>;
        return detail::ask_until<R, M>(cell(), ops_answering<R, M>(), std::forward<V>(message), until);
    }
    std::array<const detail::message_ops*, sizeof...(E)> ops_{};
};

/// A clause of select: calls f(why) once the actor has ended, for good; hears of a crash as join() does. Any handle will do:
/// actor_ref, address, supervisor. Throws usage_error out of select in the actor's own handler, if it would wait.
template <std::derived_from<detail::any_actor> A, std::invocable<exit_reason> F>
[[nodiscard]] auto joined(const A& actor, F f) {
    return detail::actor_end_clause<F>(actor, std::move(f));
}

}  // namespace rondo

// The same of all handles to one actor, of whatever class.
template <>
struct std::hash<rondo::detail::any_actor> {
    std::size_t operator()(const rondo::detail::any_actor& a) const noexcept {
        return std::hash<const void*>{}(a.cell_or_null());
    }
};
template <class A>
struct std::hash<rondo::actor_ref<A>> : std::hash<rondo::detail::any_actor> {};
template <class... E>
struct std::hash<rondo::address<E...>> : std::hash<rondo::detail::any_actor> {};
