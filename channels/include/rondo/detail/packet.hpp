// What crosses a channel: a value, or an exception in its place; or nothing yet.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <rondo/error.hpp>

namespace rondo {

/// What may cross a channel. A move that throws halfway would lose the value, so it must not throw. It need not be
/// assignable: what has constant members or references may cross, too.
template <class T>
concept message = std::is_object_v<T> && std::same_as<T, std::remove_cv_t<T>> && std::move_constructible<T> &&
                  std::is_nothrow_move_constructible_v<T>;

}  // namespace rondo

namespace rondo::detail {

struct as_error {
    explicit as_error(std::exception_ptr e) : error(std::move(e)) {
        if (!error) throw usage_error("there is no exception to send: this std::exception_ptr is empty");
    }
    std::exception_ptr error;
};

/// T need not be default constructible; every move is noexcept.
template <class T>
class packet {
    static_assert(message<T>, "what crosses a channel is an object, not const, that can be moved without throwing; send a "
                              "std::unique_ptr to what cannot");

public:
    packet() noexcept {}
    explicit packet(T&& value) noexcept : holds_(what::value) { std::construct_at(std::addressof(value_), std::move(value)); }
    explicit packet(as_error e) noexcept : holds_(what::error) { std::construct_at(&error_, std::move(e.error)); }
    packet(packet&& other) noexcept { move_from(other); }
    [[gnu::always_inline]] packet& operator=(packet&& other) noexcept {
        if (holds_ == what::nothing && other.holds_ == what::value) [[likely]] move_value_from(other);
        else assign_slowly(other);
        return *this;
    }
    ~packet() { reset(); }

    /// It must be empty.
    void fill(T&& value) noexcept {
        std::construct_at(std::addressof(value_), std::move(value));
        holds_ = what::value;
    }
    [[nodiscard]] bool empty() const noexcept { return holds_ == what::nothing; }
    /// The value, or throws the exception; leaves it empty. Once.
    T take() {
        if (holds_ == what::error) [[unlikely]] rethrow();
        T value(std::move(value_));
        reset();
        return value;
    }

private:
    enum class what : unsigned char { nothing, value, error };
    void reset() noexcept {
        if (holds_ == what::value) std::destroy_at(std::addressof(value_));
        else if (holds_ == what::error) [[unlikely]] drop_error();
        holds_ = what::nothing;
    }
    void move_value_from(packet& other) noexcept {
        std::construct_at(std::addressof(value_), std::move(other.value_));
        std::destroy_at(std::addressof(other.value_));
        other.holds_ = what::nothing;
        holds_ = what::value;
    }
    void move_from(packet& other) noexcept {
        if (other.holds_ == what::value) return move_value_from(other);
        if (other.holds_ == what::error) std::construct_at(&error_, std::move(other.error_));
        holds_ = other.holds_;
        other.reset();
    }
    // Out of line: exceptions are rare, and what they need would keep the rest from being inline.
    [[gnu::noinline]] void assign_slowly(packet& other) noexcept {
        if (this == &other) return;
        reset();
        move_from(other);
    }
    [[gnu::noinline]] void drop_error() noexcept { std::destroy_at(&error_); }
    [[noreturn, gnu::noinline]] void rethrow() {
        auto e = std::move(error_);
        reset();
        std::rethrow_exception(std::move(e));
    }
    union {
        T value_;
        std::exception_ptr error_;
    };
    what holds_ = what::nothing;
};

}  // namespace rondo::detail
