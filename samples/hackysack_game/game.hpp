// What is played: the rules of one game of hackysack, the same for every engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hackysack {

enum class engine : std::uint8_t { tasklets, actors, threads };

[[nodiscard]] constexpr std::string_view name_of(engine e) noexcept {
    return e == engine::tasklets ? "tasklets" : e == engine::actors ? "actors" : "threads";
}

/// Circles of players that kick bags at each other. The numbers are per circle, as in the tutorial.
struct game {
    engine played_by = engine::tasklets;
    unsigned workers = 1;                    ///< for threads: the cores that they may use
    std::size_t circles = 200;
    std::size_t players = 10;
    std::size_t bags = 1;
    std::uint64_t kicks = 40'000;
    std::size_t slots = 0;                   ///< of each player's inbox; 0: rendezvous (actors: no bound)
    std::uint64_t seed = 1;

    [[nodiscard]] std::size_t all_players() const noexcept { return circles * players; }
    [[nodiscard]] std::size_t all_bags() const noexcept { return circles * bags; }
    [[nodiscard]] std::uint64_t all_kicks() const noexcept { return circles * kicks; }
};

/// A bag on its way. It carries all the chance there is, so who kicks whom is the same in every schedule: the sum of
/// the players it went to can be computed beforehand, and any kick lost, doubled or mixed up shows in it.
struct bag {
    std::uint64_t chance = 0;                ///< xorshift64 (Marsaglia, "Xorshift RNGs", 2003)
    std::uint64_t sum = 0;
    std::uint64_t kicks_made = 0;
    std::uint64_t kicks_left = 0;
    std::size_t number = 0;

    /// Picks whom player `me` of `players` kicks it to: anyone but himself.
    [[nodiscard]] std::size_t kick(std::size_t me, std::size_t players) noexcept {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        std::size_t target = chance % (players - 1);
        if (target >= me) ++target;
        sum += target;
        ++kicks_made;
        --kicks_left;
        return target;
    }
};

/// Bag `number` of the whole game, before its first throw. The kicks of a circle are shared out evenly among its bags.
[[nodiscard]] inline bag new_bag(const game& g, std::size_t number) noexcept {
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;
    const std::uint64_t chance = (number + g.seed) * golden;
    const std::uint64_t extra = number % g.bags < g.kicks % g.bags ? 1 : 0;
    return {.chance = chance ? chance : golden, .kicks_left = g.kicks / g.bags + extra, .number = number};
}

[[nodiscard]] inline std::size_t first_player(const game& g, std::size_t number) noexcept {
    return number % g.bags % g.players;
}

/// What the sum of bag `number` must be after so many kicks, found without any concurrency.
[[nodiscard]] inline std::uint64_t serial_sum(const game& g, std::size_t number, std::uint64_t kicks) noexcept {
    bag b = new_bag(g, number);
    std::size_t holder = first_player(g, number);
    while (kicks-- > 0) holder = b.kick(holder, g.players);
    return b.sum;
}

}  // namespace hackysack
