// How a plain class becomes an actor: which messages it takes, what they answer, and the functions that deliver them.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/detail/actor_cell.hpp>

namespace rondo {

// A handler that takes any type, as on(const auto&), takes these too, and what timers in the same source file carry: if its
// body makes no sense of them, constrain it.

/// Told to an actor that has on(started), before any other message, each time its object is made.
struct started {};
/// Told to an actor that has on(idle) when no message came for the time given to this_actor::idle_timeout.
struct idle {};
/// Told to an actor that watches another when that one ends.
struct down {
    std::uint64_t id = 0;         ///< whose end it is: actor_ref::id()
    std::string name;             ///< "" if it had none
    exit_reason why;
};

/// An answer that is owed. A handler that takes `rondo::reply<R>` after its message may answer later, or let somebody
/// else answer. Move-only; dropped without an answer, the asker gets no_answer, or actor_ended if the actor that held
/// it has ended, or ends with the exception that leaves the handler. Of a message that was told, not asked, the answer
/// goes nowhere.
template <class R>
class reply {
public:
    explicit reply(detail::reply_cell* cell) noexcept : cell_(static_cast<detail::reply_with<R>*>(cell)) {}
    reply(reply&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
    reply& operator=(reply&& other) noexcept {
        if (this != &other) {
            drop();
            cell_ = std::exchange(other.cell_, nullptr);
        }
        return *this;
    }
    ~reply() { drop(); }

    /// Answers. Suspends: never. A second answer does nothing.
    template <class... V>
        requires(std::is_void_v<R> ? sizeof...(V) == 0 : std::constructible_from<detail::stored_t<R>, V...>)
    void send(V&&... value) {
        if (!cell_) return;
        if constexpr (!std::is_void_v<R>) {
            ::new (static_cast<void*>(std::addressof(cell_->value))) detail::stored_t<R>(std::forward<V>(value)...);
            cell_->has_value = true;
        }
        std::exchange(cell_, nullptr)->finish();
    }
    /// Answers with an error: ask throws it; no_answer, if it is an empty pointer. The actor goes on.
    void fail(std::exception_ptr error) noexcept {
        if (!cell_) return;
        auto* const c = std::exchange(cell_, nullptr);
        if (error) c->fail(std::move(error));
        else c->fail_with([] { return no_answer(); });
    }
    template <class E>
        requires(!std::convertible_to<E, std::exception_ptr>)
    void fail(E&& error) noexcept {
        fail(std::make_exception_ptr(std::forward<E>(error)));
    }
    /// Is somebody waiting for it? False once answered, and of a message that was told.
    explicit operator bool() const noexcept { return cell_ != nullptr; }

private:
    void drop() noexcept {
        if (cell_) std::exchange(cell_, nullptr)->drop();
    }
    detail::reply_with<R>* cell_;
};

namespace detail {

template <class A, class M>
concept on_takes = requires(A& a, M&& m) { a.on(std::move(m)); };

// The R of on(M, reply<R>); found by deduction from the overload set. C is A or one of its bases.
template <class M>
struct late {
    template <class R, class C>
    static std::type_identity<R> of(void (C::*)(M, reply<R>));
    template <class R, class C>
    static std::type_identity<R> of(void (C::*)(M, reply<R>) const);
    template <class R, class C>
    static std::type_identity<R> of_ref(void (C::*)(const M&, reply<R>));
    template <class R, class C>
    static std::type_identity<R> of_ref(void (C::*)(const M&, reply<R>) const);
};
template <class A, class M>
concept answers_late_by_value = requires { late<M>::of(&A::on); };
template <class A, class M>
concept answers_late_by_reference = requires { late<M>::of_ref(&A::on); };
template <class A, class M>
concept answers_late = answers_late_by_value<A, M> || answers_late_by_reference<A, M>;

template <class A, class M>
concept on_takes_rvalue = requires {
    static_cast<decltype(std::declval<A&>().on(std::declval<M>())) (A::*)(M&&)>(&A::on);
} || requires {
    static_cast<decltype(std::declval<const A&>().on(std::declval<M>())) (A::*)(M&&) const>(&A::on);
};

// Does the handler take it by const reference? Then the message is still whole after it, and may be stashed. If there is
// one for M&&, too, that one is called, as by anybody who hands over what he needs no more.
template <class A, class M>
concept on_takes_reference = !on_takes_rvalue<A, M> && (requires {
    static_cast<decltype(std::declval<A&>().on(std::declval<const M&>())) (A::*)(const M&)>(&A::on);
} || requires {
    static_cast<decltype(std::declval<const A&>().on(std::declval<const M&>())) (A::*)(const M&) const>(&A::on);
});

// Has it a handler for M itself, not only for what an M converts to? As on_takes_reference; but where on() is
// inherited, only deduction finds it.
template <class M>
struct itself {
    template <class R, class C>
    static void by_value(R (C::*)(M));
    template <class R, class C>
    static void by_value(R (C::*)(M) const);
    template <class R, class C>
    static void by_rvalue(R (C::*)(M&&));
    template <class R, class C>
    static void by_rvalue(R (C::*)(M&&) const);
    template <class R, class C>
    static void by_reference(R (C::*)(const M&));
    template <class R, class C>
    static void by_reference(R (C::*)(const M&) const);
};
template <class A, class M>
concept answers_itself_at_once =
    requires { itself<M>::by_value(&A::on); } || requires { itself<M>::by_rvalue(&A::on); } ||
    requires { itself<M>::by_reference(&A::on); } ||
    (on_takes<A, M> && (on_takes_reference<A, M> || on_takes_rvalue<A, M> || requires {
         static_cast<decltype(std::declval<A&>().on(std::declval<M>())) (A::*)(M)>(&A::on);
     } || requires {
         static_cast<decltype(std::declval<const A&>().on(std::declval<M>())) (A::*)(M) const>(&A::on);
     }));
template <class A, class M>
concept on_takes_itself = answers_late<A, M> || answers_itself_at_once<A, M>;

// A handler for M itself that answers late comes before one for what an M converts to.
template <class A, class M>
concept answers_at_once = on_takes<A, M> && (!answers_late<A, M> || answers_itself_at_once<A, M>);

template <class A, class M>
struct answer_of {
    using type = void;
};
template <class A, class M>
    requires answers_at_once<A, M>
struct answer_of<A, M> {
    using type = std::remove_cvref_t<decltype(std::declval<A&>().on(std::declval<M&&>()))>;
};
template <class A, class M>
    requires(!answers_at_once<A, M> && answers_late_by_value<A, M>)
struct answer_of<A, M> {
    using type = typename decltype(late<M>::of(&A::on))::type;
};
template <class A, class M>
    requires(!answers_at_once<A, M> && !answers_late_by_value<A, M> && answers_late_by_reference<A, M>)
struct answer_of<A, M> {
    using type = typename decltype(late<M>::of_ref(&A::on))::type;
};

}  // namespace detail

/// `using timer_messages = rondo::timer_list<tick, ...>;` in a class of actors: what this_actor::after and every may tell
/// it, if the calls and rondo::start (or child, or pool) are not in one source file.
template <class... M>
struct timer_list {};

/// What may be a message: an object that can be moved, into the mailbox and out of it, and whose destructor does not throw. (If
/// the move throws, tell does, and nothing has been told.)
template <class M>
concept sendable = std::is_object_v<M> && std::move_constructible<M> && std::is_nothrow_destructible_v<M>;

/// The class A has a handler for M: `on(M)`, `on(const M&)`, or one of these with a `rondo::reply<R>` after it.
template <class A, class M>
concept has_handler_for = sendable<M> && (detail::answers_at_once<A, M> || detail::answers_late<A, M>);

/// What a.ask(M) gives.
template <class A, class M>
    requires has_handler_for<A, M>
using answer_t = typename detail::answer_of<A, M>::type;

namespace detail {

// A "literal", a char array, a char pointer: told as the std::string that a handler takes, for it need not last.
template <class V>
concept c_text = std::same_as<std::decay_t<V>, const char*> || std::same_as<std::decay_t<V>, char*>;

// What a.tell(V) puts into the mailbox of an A.
template <class A, class V>
struct message_for {
    using type = std::remove_cvref_t<V>;
};
template <class A, class V>
    requires(c_text<V> && (std::is_array_v<std::remove_reference_t<V>> || has_handler_for<A, std::string>))
struct message_for<A, V> {
    // Who takes no string, but a pointer as such, gets that.
    static constexpr bool as_pointer = !has_handler_for<A, std::string> && on_takes_itself<A, const char*>;
    using type = std::conditional_t<as_pointer, const char*, std::string>;
};
template <class A, class V>
using message_for_t = typename message_for<A, V>::type;

// The same where no class is known, as for timers: a pointer may be meant as one.
template <class V>
using timer_message_t = std::conditional_t<c_text<V> && std::is_array_v<std::remove_reference_t<V>>, std::string,
                                           std::remove_cvref_t<V>>;

/// A handler that this_actor::become has put before the class's own.
struct behaviour {
    virtual ~behaviour() = default;
    /// True: it has handled (and answered) it.
    virtual bool try_handle(actor_cell& c, message_node& m, const message_ops& ops, void* payload) = 0;
};
bool behave(actor_cell& c, message_node& m, const message_ops& ops, void* payload);

// What the handler returns goes to the asker, unless it has put the message aside: then the asker waits with it.
template <class R>
void answer(actor_cell& c, message_node& m, auto&& call) {
    const auto is_owed = [&] { return c.current == &m && m.reply; };      // put aside, the message may be gone by now
    if constexpr (std::is_void_v<R>) {
        call();
        if (is_owed()) std::exchange(m.reply, nullptr)->finish();
    } else {
        if (!m.reply) return (void)call();
        stored_t<R> value(call());
        if (!is_owed()) return;
        auto* const r = static_cast<reply_with<R>*>(m.reply);
        ::new (static_cast<void*>(std::addressof(r->value))) stored_t<R>(std::move(value));
        r->has_value = true;
        m.reply = nullptr;
        r->finish();
    }
}

void answer_late(message_node& m, auto&& call) {
    reply_cell* const r = m.reply;
    if (!r) return call(r);
    r->enter_handler();
    try {
        call(r);
    } catch (...) {
        r->leave_handler(m, true);
        throw;
    }
    r->leave_handler(m, false);
}

template <class A, class M>
void deliver(actor_cell& c, message_node& m) {
    M& payload = payload_of<M>(m);
    if (c.flags & actor_cell::has_behaviour) [[unlikely]]
        if (detail::behave(c, m, *m.ops, std::addressof(payload))) return;
    A& a = state_of<A>(c);
    using R = answer_t<A, M>;
    if constexpr (answers_at_once<A, M>) {
        if constexpr (on_takes_reference<A, M>)
            answer<R>(c, m, [&]() -> decltype(auto) { return a.on(std::as_const(payload)); });
        else
            answer<R>(c, m, [&]() -> decltype(auto) { return a.on(std::move(payload)); });
    } else if constexpr (answers_late_by_value<A, M>) {
        answer_late(m, [&](reply_cell* r) { a.on(std::move(payload), reply<R>(r)); });
    } else {
        answer_late(m, [&](reply_cell* r) { a.on(std::as_const(payload), reply<R>(r)); });
    }
}

template <class A, class M>
inline constexpr bool moves_from =
    !std::is_trivially_copyable_v<M> &&
    (answers_at_once<A, M> ? !on_takes_reference<A, M> : answers_late_by_value<A, M>);

template <class A, class M>
inline constexpr message_ops ops_of{&deliver<A, M>,
                                    std::is_trivially_destructible_v<M> ? nullptr : &destroy_payload<M>,
                                    &tag_of<M>,
                                    &tag_of<answer_t<A, M>>,
                                    static_cast<std::uint32_t>(lines_of<message_with<M>>),
                                    moves_from<A, M>};

template <class A, class M>
constexpr const message_ops* ops_if_handled() noexcept {
    if constexpr (on_takes_itself<A, M>) return &ops_of<A, M>;
    else return nullptr;
}

template <class A>
constexpr std::size_t slots_of_class() noexcept {
    if constexpr (requires { A::mailbox_slots; }) return static_cast<std::size_t>(A::mailbox_slots);
    else return 1024;
}
template <class A>
constexpr when_full full_policy_of_class() noexcept {
    if constexpr (requires { A::mailbox_full; }) return A::mailbox_full;
    else return when_full::wait;
}

template <class A>
constexpr bool is_reentrant_class() noexcept {
    if constexpr (requires { A::reentrant; }) return static_cast<bool>(A::reentrant);
    else return false;
}

template <class A>
constexpr bool ends_at_once_class() noexcept {
    if constexpr (requires { A::ends_at_once; }) return static_cast<bool>(A::ends_at_once);
    else return false;
}

template <class A>
inline atomic<known_message*> known_to{nullptr};

template <class A>
inline constexpr actor_class class_of{&tag_of<A>,
                                      (sizeof(actor_cell) + sizeof(A) + 63) / 64,
                                      [](actor_cell& c) noexcept { std::destroy_at(std::addressof(state_of<A>(c))); },
                                      ops_if_handled<A, started>(),
                                      ops_if_handled<A, down>(),
                                      ops_if_handled<A, idle>(),
                                      slots_of_class<A>(),
                                      full_policy_of_class<A>(),
                                      is_reentrant_class<A>(),
                                      ends_at_once_class<A>(),
                                      &known_to<A>};

template <class V>
concept char_array = std::is_bounded_array_v<std::remove_reference_t<V>> && c_text<V>;
template <std::size_t N>
std::string_view whole_text(const char (&a)[N]) noexcept {
    return {a, static_cast<std::size_t>(std::find(a, a + N, '\0') - a)};
}
template <class V>
    requires(!char_array<V>)
V& whole_text(V& other) noexcept {
    return other;
}
/// The M as which a text is told, std::string or const char*.
template <class M, class V>
M text_as(V& text) {
    if constexpr (std::is_pointer_v<M>) return text;
    else return M(whole_text(text));
}

/// Constructs a message in a block of memory, with the mailbox's hint if it comes from begin_tell. Of an array of char: what is before its first NUL.
template <class M, class V>
message_node* put_message(fresh_block block, const message_ops& ops, V&& value) {
    if constexpr (std::is_same_v<M, std::string> && char_array<V>) return detail::put_message<M>(block, ops, whole_text(value));
    auto* const earlier = static_cast<message_node*>(block.earlier);
    static_assert(alignof(M) <= 64, "a message may be aligned to 64 bytes at most: tell a pointer to it");
    if constexpr (std::is_nothrow_constructible_v<M, V&&>) {
        return ::new (block.at) message_with<M>{{earlier, &ops, nullptr}, M(std::forward<V>(value))};
    } else {
        try {
            return ::new (block.at) message_with<M>{{earlier, &ops, nullptr}, M(std::forward<V>(value))};
        } catch (...) {
            give_block(block.at, lines_of<message_with<M>>);
            throw;
        }
    }
}
template <class M, class V>
message_node* make_message(const message_ops& ops, V&& value) {
    return detail::put_message<M>({take_block(lines_of<message_with<M>>), nullptr}, ops, std::forward<V>(value));
}

// this_actor::after(1s, tick{}) does not name the class whose on(tick) it means, and a class cannot list its overloads.
// So each source file keeps two lists, one of the types that timers carry and one of the classes that are started: friend
// functions, defined one by one as calls are compiled. A call that starts an A looks through the first for those that A
// handles, one of after or every through the second for those that handle its message; so whichever of the two comes last
// finds the other, be it in a template that is compiled at the end. Only what is in different source files does not meet:
// then the message must be named in A::timer_messages.
namespace {
// Keeps what one source file has found apart from what others have.
struct this_source_file;
}  // namespace

struct timed_list {};
struct started_list {};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-template-friend"
#elif defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class List, int N>
struct slot_in {
    friend constexpr auto noted_type(slot_in<List, N>);
};
template <class List, int N, class T>
struct fill_slot {
    friend constexpr auto noted_type(slot_in<List, N>) { return std::type_identity<T>{}; }
    static constexpr int filled = N;
};
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#elif defined(__clang__)
#pragma clang diagnostic pop
#endif
/// Puts T at the end of a list. For each T it is compiled once, where it comes up first.
template <class List, class T, int N = 0>
constexpr int note() {
    if constexpr (requires { noted_type(slot_in<List, N>{}); }) return note<List, T, N + 1>();
    else return fill_slot<List, N, T>::filled;
}
/// How many are in the list when this is compiled: once for each T, after it has been noted (that is why Place is there).
template <class List, class T, int Place, int N = 0>
constexpr int count_noted() {
    if constexpr (requires { noted_type(slot_in<List, N>{}); }) return count_noted<List, T, Place, N + 1>();
    else return N;
}
template <class List, int N>
using noted_at = typename decltype(noted_type(slot_in<List, N>{}))::type;

template <class A, class M>
void know() {
    static known_message one{&ops_of<A, M>};
    static const bool once = (add_known(known_to<A>, one), true);
    (void)once;
}
template <class A, class M>
void know_if_handled() {
    if constexpr (has_handler_for<A, M>) know<A, M>();
}
template <class A, class... M>
void know_all(timer_list<M...>) {
    (know<A, M>(), ...);
}

/// A class that is started, and the timers' messages that were noted before it.
template <class A, int N, class Here>
struct start_noted {
    static void know_messages() {
        static const bool once = [] {
            if constexpr (requires { typename A::timer_messages; }) detail::know_all<A>(typename A::timer_messages{});
            [&]<int... I>(std::integer_sequence<int, I...>) {
                (know_if_handled<A, noted_at<timed_list, I>>(), ...);
            }(std::make_integer_sequence<int, N>());
            return true;
        }();
        (void)once;
    }
};
template <class A>
using noted_start = start_noted<A, count_noted<timed_list, A, note<started_list, A>()>(), this_source_file>;

/// A timers' message, and the classes that were noted before it.
template <class M, int N, class Here>
struct timer_noted {
    static void know_classes() {
        static const bool once = [] {
            [&]<int... I>(std::integer_sequence<int, I...>) {
                (know_if_handled<noted_at<started_list, I>, M>(), ...);
            }(std::make_integer_sequence<int, N>());
            return true;
        }();
        (void)once;
    }
};
template <class M>
using noted_timer = timer_noted<M, count_noted<started_list, M, note<timed_list, M>()>(), this_source_file>;

}  // namespace detail
}  // namespace rondo
