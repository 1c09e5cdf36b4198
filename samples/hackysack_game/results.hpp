// All that was played in one evening: what the reports are made from.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "game.hpp"
#include "outcome.hpp"

namespace hackysack {

/// One line of the tutorial's table: one circle, one bag, 1000 kicks, set-up included.
struct table_row {
    std::size_t players = 0;
    std::optional<outcome> tasklets = {}, threads = {};    ///< the best of three; nothing where Ctrl-C came before
};

struct results {
    std::vector<outcome> sweep;                   ///< the game by itself, one entry per number of workers
    std::vector<table_row> table;
    bool interrupted = false;
};

/// What the tutorial measured on its machine in 2006 (Grant T. Olson, "Introduction to Concurrent Programming with
/// Stackless Python"): seconds for 1000 kicks, threads and tasklets.
struct measured_in_2006 {
    std::size_t players;
    double tasklets_s;
    double threads_s;                             ///< 0: "can't start new thread"
};
inline constexpr measured_in_2006 in_2006[] = {
    {10, 0.0197, 0.183}, {100, 0.0197, 0.231}, {1'000, 0.0269, 0.681}, {10'000, 0.109, 0}, {100'000, 1.07, 0}};

}  // namespace hackysack
