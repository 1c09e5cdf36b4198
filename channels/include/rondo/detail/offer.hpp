// What a sender has to give, where the sender has it. It stays there until somebody takes it.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/detail/packet.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

/// How a wait_node's tag says what its slot is: a packet; a sender's value; or, once a sender's wait has ended, that its
/// value is back, since the channel was closed before it could be passed on.
inline constexpr std::uint8_t slot_is_packet = 0, slot_is_value = 1, value_is_back = 2;

/// Is what a clause of select is given a variable that it takes from when it goes ahead, and not before?
template <class V, class T>
inline constexpr bool stays_with_sender = std::is_same_v<V, T&> && !std::is_copy_constructible_v<T>;

/// Can a T be moved out of a variable and, if nobody has taken it, back for sure? What is polymorphic may be the base of a
/// larger object: made anew it would be no such base any more.
template <class T>
inline constexpr bool comes_back = std::is_nothrow_move_constructible_v<T> &&
                                   (std::is_nothrow_move_assignable_v<T> || !std::is_polymorphic_v<T>);

/// Gives a value back to the variable that it was moved out of. (If neither way of moving it is safe, and the one that is left
/// throws, the process ends: the value would be lost.)
template <class T>
void give_back(T& to, T&& value) noexcept {
    if constexpr (std::is_nothrow_move_assignable_v<T>) {
        to = std::move(value);
    } else {
        // It may be the base of a larger object, with a virtual destructor: that one is not to be destroyed.
        to.T::~T();
        std::construct_at(std::addressof(to), std::move(value));
    }
}

/// A reference: to a value (several clauses of a select may offer the same one), or to a packet with an error in it.
template <class T>
class offer {
public:
    offer(T& value) noexcept : at_(std::addressof(value)), what_(slot_is_value) {}
    offer(packet<T>& p) noexcept : at_(&p), what_(slot_is_packet) {}
    /// What a sender that waits has to give.
    explicit offer(const lowlevel::wait_node& sender) noexcept : at_(sender.slot), what_(sender.tag) {}
    /// Our node's.
    [[nodiscard]] void* slot() const noexcept { return at_; }
    [[nodiscard]] std::uint8_t tag() const noexcept { return what_; }
    void show_in(lowlevel::wait_node& mine) const noexcept {
        mine.slot = at_;
        mine.tag = what_;
    }

    /// `into` must be empty.
    [[gnu::always_inline]] void take(packet<T>& into) const noexcept {
        if (what_ == slot_is_value) [[likely]] into.fill(std::move(*static_cast<T*>(at_)));
        else take_packet(into);
    }
    [[nodiscard]] packet<T> take() const noexcept {
        packet<T> p;
        take(p);
        return p;
    }
    /// To where take() had it from; leaves `p` empty.
    void put_back(packet<T>&& p) const noexcept {
        if (what_ == slot_is_packet) {
            *static_cast<packet<T>*>(at_) = std::move(p);
            return;
        }
        detail::give_back(*static_cast<T*>(at_), p.take());
    }

private:
    // Out of line: who sends a value sees that there is no packet.
    [[gnu::noinline]] void take_packet(packet<T>& into) const noexcept {
        into = std::move(*static_cast<packet<T>*>(at_));
    }
    void* at_;
    std::uint8_t what_;
};

}  // namespace rondo::detail
