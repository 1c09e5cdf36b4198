// Parallel hackysack. The tutorial's circle of players, on every core: each player is a tasklet with a channel; whoever
// gets the bag kicks it to somebody else. One bag keeps one core busy, so many circles play at the same time.
//
//     hackysack                                        the whole show, and a plot: hackysack.svg
//     hackysack --circles 1 --players 1000000          one circle of a million
//     hackysack --bags 8 --slots 8 --workers 4         eight bags in each circle, players with inboxes
//     hackysack --engine actors --bags 64 --circles 4  players are actors: many bags in one circle at once
//     hackysack --engine threads --kicks 200           the same game with a thread for each player
//
// The player's whole life is tasklet_game::be_player in hackysack_game/engine_tasklets.hpp. Every run checks itself:
// each bag's kicks are counted, and each bag's way must be the one that a serial computation finds.
#include <new>

#include <fmt/format.h>

#include "command_line.hpp"
#include "hackysack_game/evening.hpp"
#include "hackysack_game/options.hpp"
#include "hackysack_game/outcome.hpp"

int main(int argc, char** argv) {
    return samples::run_main("hackysack", [&] {
        try {
            const auto wanted = hackysack::parse(argc, argv);
            return wanted ? hackysack::evening(*wanted).spend() : 0;
        } catch (const std::bad_alloc&) {
            fmt::print(stderr, "hackysack: {}; try fewer --players, --circles or --bags\n", hackysack::memory_is_used_up);
            return 1;
        }
    });
}
