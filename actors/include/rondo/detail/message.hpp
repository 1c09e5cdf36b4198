// What lies in a mailbox: a message with what can be done to it, and where its answer goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/detail/task.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

class actor_cell;
struct message_node;
struct reply_cell;

/// One per type: its address is the type's identity, and it can say its name.
struct type_tag {
    const char* text;                                    // __PRETTY_FUNCTION__ of name_of_type<T>
    [[nodiscard]] std::string_view view() const noexcept;      ///< "account"
    [[nodiscard]] std::string name() const;
};
template <class T>
constexpr const char* name_of_type() {
    return __PRETTY_FUNCTION__;
}
template <class T>
inline constexpr type_tag tag_of{name_of_type<T>()};

/// Memory in sizes of 64, 128, ... bytes, from this thread's cache. Throws std::bad_alloc.
[[nodiscard]] void* take_block(std::size_t lines);
void give_block(void* block, std::size_t lines) noexcept;
struct fresh_block {
    void* at;
    void* earlier;                                       ///< one that this thread took some time before; or nullptr
};
[[nodiscard]] fresh_block take_next_block(std::size_t lines);
template <class T>
inline constexpr std::size_t lines_of = (sizeof(T) + 63) / 64;

/// What may be done to a message of one type for actors of one class.
struct message_ops {
    void (*deliver)(actor_cell& to, message_node& m);    ///< calls the handler and answers; may throw
    void (*destroy)(message_node& m) noexcept;           ///< the payload only; nullptr: there is nothing to do
    const type_tag* type;
    const type_tag* answer;
    std::uint32_t lines;                                 ///< of 64 bytes
    bool consumes;                                       ///< the handler takes it by value and moves from it
};

struct alignas(64) message_node {
    message_node* next;
    const message_ops* ops;                              ///< nullptr: spent
    reply_cell* reply;                                   ///< nullptr: told, not asked

    [[nodiscard]] bool is_spent() const noexcept { return !ops; }
};

template <class M>
struct message_with : message_node {
    M payload;
};
// The header is 24 bytes, so that payloads of up to 40 take one line.
template <class M>
M& payload_of(message_node& m) noexcept {
    return static_cast<message_with<M>&>(m).payload;
}
template <class M>
void destroy_payload(message_node& m) noexcept {
    std::destroy_at(std::addressof(payload_of<M>(m)));
}
inline void destroy_payload(message_node& m) noexcept {
    if (m.ops->destroy) m.ops->destroy(m);
}
/// The payload and the memory. Whoever asked has been answered.
inline void destroy_message(message_node& m) noexcept {
    const auto lines = m.ops->lines;
    destroy_payload(m);
    give_block(&m, lines);
}
/// The same for a list of them.
inline void destroy_messages(message_node* list) noexcept {
    while (list) destroy_message(*std::exchange(list, list->next));
}

/// Where an answer goes: the asker and whoever owes the answer each hold it.
struct reply_cell {
    lowlevel::spin_lock lock;
    bool is_done = false;
    bool has_value = false;
    bool in_handler = false;                             ///< a handler has it as its rondo::reply
    bool is_dropped = false;                             ///< that one went without an answer: see leave_handler()
    bool is_left = false;                                ///< the asker has given up before the answer was there
    bool is_taken = false;                               ///< the asker's own: he has got it
    bool tells_crash = false;                            ///< the answer is how a crash that nobody else hears of is told
    std::uint8_t lines = 1;
    atomic<std::uint32_t> holders{2};
    lowlevel::wait_node* asker = nullptr;
    message_node* stashed_as = nullptr;                  ///< its handler has put the message aside
    const type_tag* type;
    void (*destroy)(reply_cell&) noexcept;               ///< the value
    std::exception_ptr error;

    bool finish() noexcept;                              ///< wakes the asker, lets go. False: he had given up
    bool fail(std::exception_ptr e) noexcept;            ///< answers with an error, lets go
    /// The same, with what make() gives; without memory for that, with what it throws.
    template <class Make>
    bool fail_with(Make&& make) noexcept {
        std::exception_ptr e;
        try {
            e = std::make_exception_ptr(make());
        } catch (...) {
            e = std::current_exception();
        }
        return fail(std::move(e));
    }
    /// The same. True: the asker has it, or if he leaves without it, reports it.
    bool fail_by_crash(std::exception_ptr e) noexcept;
    void drop() noexcept;                                ///< a rondo::reply goes without an answer
    void enter_handler() noexcept;
    void own_up() noexcept;                              ///< its handler goes on, without it: see actor_cell::own_up()
    /// A reply that was dropped goes to the message that was put aside, or back to `m`, whose handler has thrown.
    void leave_handler(message_node& m, bool has_thrown) noexcept;
    void let_go() noexcept;
    void leave() noexcept;                               ///< the asker goes without the answer
    /// Suspends until it is done; throws what the answer is if it is an error; stopped, deadline. False: `until` came first.
    [[nodiscard]] bool wait(const void* from, lowlevel::time_point until);
};

template <class R>
struct reply_with : reply_cell {
    union {
        stored_t<R> value;
    };
    reply_with() noexcept {
        type = &tag_of<R>;
        lines = static_cast<std::uint8_t>(lines_of<reply_with>);
        destroy = [](reply_cell& r) noexcept { std::destroy_at(std::addressof(static_cast<reply_with&>(r).value)); };
    }
    ~reply_with() {}
    static_assert(lines_of<stored_t<R>> < 200, "an answer of more than 12 KiB: return it by std::unique_ptr");
};

template <class R>
reply_with<R>* new_reply() {
    return ::new (take_block(lines_of<reply_with<R>>)) reply_with<R>;
}

}  // namespace rondo::detail
