// What a receive comes to, and what the faces of channels make of it.
#pragma once

#include <cstdint>
#include <optional>

#include <rondo/detail/packet.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/select_clause.hpp>

namespace rondo::detail {

enum class received : std::uint8_t { value, empty, closed, timed_out };

/// As next() and try_receive(): nullopt for all that is no value. Throws the exception that was sent in its place.
template <class T>
std::optional<T> value_or_none(received how, packet<T>& p) {
    if (how != received::value) return std::nullopt;
    return p.take();
}

/// As receive_for(): nullopt once the time is up; throws closed.
template <class T>
std::optional<T> value_in_time(received how, packet<T>& p) {
    if (how == received::closed) throw closed();
    return detail::value_or_none(how, p);
}

/// For a clause of select.
constexpr lowlevel::progress progress_of(received how) noexcept {
    switch (how) {
        case received::value: return lowlevel::progress::done;
        case received::closed: return lowlevel::progress::closed;
        default: return lowlevel::progress::waits;
    }
}

}  // namespace rondo::detail
