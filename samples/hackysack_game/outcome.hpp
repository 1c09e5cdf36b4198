// What came of one game, and the referee who checks it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "game.hpp"

namespace hackysack {

/// For outcome::refused.
inline constexpr std::string_view memory_is_used_up = "memory was used up (`ulimit -v`, the control group's memory.max)";

struct outcome {
    game played = {};
    double set_up_s = 0, play_s = 0, end_s = 0;
    std::vector<bag> bags = {};                  ///< as they came back, in the order in which they did
    double bytes_per_player = 0;             ///< resident memory at the end of play
    std::vector<double> shares = {};             ///< of the dispatches, by worker; tasklets only
    std::uint64_t steals = 0;
    std::size_t left_over = 0;               ///< tasklets that did not end; must be 0
    bool interrupted = false;
    std::string refused = {};                    ///< why the operating system had no room for all the players

    [[nodiscard]] double total_s() const noexcept { return set_up_s + play_s + end_s; }
    [[nodiscard]] std::uint64_t kicks() const noexcept {
        return std::accumulate(bags.begin(), bags.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const bag& b) { return sum + b.kicks_made; });
    }
    [[nodiscard]] double kicks_per_s() const noexcept {
        return play_s > 0 ? static_cast<double>(kicks()) / play_s : 0;
    }
};

/// Times the stages of a game one after the other.
class stopwatch {
public:
    double lap_s() {
        const auto before = std::exchange(last_, clock::now());
        return std::chrono::duration<double>(last_ - before).count();
    }

private:
    using clock = std::chrono::steady_clock;
    clock::time_point last_ = clock::now();
};

/// Knows what each bag's sum must be. Worth keeping from game to game: the sums do not depend on engine or workers.
class referee {
public:
    /// Empty if everything is right, else what is wrong.
    [[nodiscard]] std::string fault_in(const outcome& result) {
        const game& g = result.played;
        if (!result.refused.empty()) return {};
        if (result.left_over != 0) return fmt::format("{} tasklets are left after the game", result.left_over);
        std::vector<bool> seen(g.all_bags());
        for (const bag& b : result.bags) {
            if (b.number >= seen.size() || seen[b.number])
                return fmt::format("bag {} came back twice, or never was in play", b.number);
            seen[b.number] = true;
            if (auto fault = fault_in(result, b); !fault.empty()) return fault;
        }
        if (!result.interrupted && result.bags.size() != g.all_bags())
            return fmt::format("{} of {} bags came back", result.bags.size(), g.all_bags());
        return {};
    }

private:
    std::string fault_in(const outcome& result, const bag& b) {
        const game& g = result.played;
        const std::uint64_t wanted = new_bag(g, b.number).kicks_left;
        if (b.kicks_made + b.kicks_left != wanted || (b.kicks_left != 0 && !result.interrupted))
            return fmt::format("bag {} was kicked {} times instead of {}", b.number, b.kicks_made, wanted);
        const std::uint64_t sum = b.kicks_left == 0 ? final_sum(g, b.number) : serial_sum(g, b.number, b.kicks_made);
        if (b.sum != sum)
            return fmt::format("bag {} came back with the sum {} instead of {}", b.number, b.sum, sum);
        return {};
    }

    std::uint64_t final_sum(const game& g, std::size_t number) {
        if (!same_sums(g)) {
            of_ = g;
            sums_.resize(g.all_bags());
            for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] = serial_sum(g, i, new_bag(g, i).kicks_left);
        }
        return sums_[number];
    }
    [[nodiscard]] bool same_sums(const game& g) const noexcept {
        return !sums_.empty() && of_.circles == g.circles && of_.players == g.players && of_.bags == g.bags &&
               of_.kicks == g.kicks && of_.seed == g.seed;
    }

    game of_;
    std::vector<std::uint64_t> sums_;
};

}  // namespace hackysack
