// Random numbers for schedules and tests: splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
// generators", 2014, with S. Vigna's constants, 2015). Any seed gives good numbers.
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

inline constexpr std::uint64_t splitmix_step = 0x9e3779b97f4a7c15ull;

/// The number that a state stands for.
inline std::uint64_t splitmix(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

inline std::uint64_t next_random(std::uint64_t& state) noexcept { return splitmix(state += splitmix_step); }
/// Of a state that several threads share.
inline std::uint64_t next_random(atomic<std::uint64_t>& state) noexcept {
    return splitmix(state.fetch_add(splitmix_step, relaxed) + splitmix_step);
}

}  // namespace rondo::detail
