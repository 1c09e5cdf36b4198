// For tests that repeat themselves with other seeds, and draw what happens.
#pragma once

#include <cstddef>
#include <cstdlib>

#include <rondo/testing.hpp>

namespace support {

/// RONDO_SEEDS, or `n` without it.
inline unsigned seeds_or(unsigned n) {
    const char* wanted = std::getenv("RONDO_SEEDS");
    return wanted ? static_cast<unsigned>(std::atoi(wanted)) : n;
}

/// Of the schedule under testing::explore: from 0 to n - 1.
inline unsigned up_to(std::size_t n) { return static_cast<unsigned>(rondo::testing::random() % n); }
inline bool one_in(unsigned n) { return up_to(n) == 0; }

}  // namespace support
