// The tables for the terminal.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "game.hpp"
#include "numbers.hpp"
#include "outcome.hpp"
#include "results.hpp"

namespace hackysack {

/// "1,000 circles of 100 tasklets, 1 bag and 10,000 kicks in each"
[[nodiscard]] inline std::string describe(const game& g) {
    return fmt::format("{} of {} {}, {} and {} in each, {}, seed {}", plural(g.circles, "circle"), grouped(g.players),
                       name_of(g.played_by), plural(g.bags, "bag"), plural(g.kicks, "kick"),
                       g.played_by == engine::threads ? "queues"
                       : g.slots                      ? plural(g.slots, "slot") + " an inbox"
                       : g.played_by == engine::actors ? "mailboxes"
                                                      : "rendezvous channels",
                       g.seed);
}

/// Of a game that was refused.
[[nodiscard]] inline std::string refusal(const outcome& o) {
    return fmt::format("the operating system refuses {} {}: {}", grouped(o.played.all_players()),
                       name_of(o.played.played_by), o.refused);
}

namespace detail {

/// "50 50 %", or the extremes where there are too many workers for a line.
[[nodiscard]] inline std::string shares(const std::vector<double>& shares) {
    if (shares.empty()) return "-";
    if (shares.size() > 6) {
        const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
        return fmt::format("{:.1f} to {:.1f} %", *least * 100, *most * 100);
    }
    std::string text;
    for (double share : shares) text += fmt::format("{:.0f} ", share * 100);
    return text + "%";
}

[[nodiscard]] inline std::string cell(const std::optional<outcome>& o) {
    if (!o) return "not played";
    if (!o->refused.empty()) return "refused";
    return duration(o->total_s());
}
[[nodiscard]] inline std::string memory_cell(const std::optional<outcome>& o) {
    return o && o->refused.empty() ? memory(std::max(0.0, o->bytes_per_player)) : "-";
}

}  // namespace detail

inline void print_game_heading(const game& g) {
    fmt::print("{}\n\n{:>8} {:>10} {:>9} {:>9} {:>9}  {:<18} {:>9} {:>13}\n", describe(g),
               g.played_by != engine::threads ? "workers" : "cores", "kicks/s", "speed-up", "play", "set-up",
               "share per worker", "steals", "memory/player");
}

/// `base` is the same game on one worker, if that has been played.
inline void print_game(const outcome& o, const outcome* base) {
    const std::string speed_up =
        base && base->kicks_per_s() > 0 ? fmt::format("{:.2f}", o.kicks_per_s() / base->kicks_per_s()) : "-";
    fmt::print("{:>8} {:>10} {:>9} {:>9} {:>9}  {:<18} {:>9} {:>13}\n", o.played.workers, rounded(o.kicks_per_s()),
               speed_up, duration(o.play_s), duration(o.set_up_s), detail::shares(o.shares),
               o.shares.empty() ? "-" : grouped(o.steals), memory(std::max(0.0, o.bytes_per_player)));
    std::fflush(stdout);
}

inline void print_table_heading(const game& g) {
    fmt::print("\nThe tutorial's table: one circle, one bag, {} kicks, set-up and going home included; {}\n\n"
               "{:>10} {:>12} {:>12} {:>10} {:>18} {:>16}\n",
               grouped(g.kicks), plural(g.workers, "worker"), "players", "tasklets", "threads", "ratio",
               "memory/tasklet", "memory/thread");
}

inline void print_row(const table_row& row) {
    const bool both = row.tasklets && row.tasklets->refused.empty() && row.threads && row.threads->refused.empty();
    fmt::print("{:>10} {:>12} {:>12} {:>10} {:>18} {:>16}\n", grouped(row.players), detail::cell(row.tasklets),
               detail::cell(row.threads),
               both ? fmt::format("{:.0f}", row.threads->total_s() / row.tasklets->total_s()) : "-",
               detail::memory_cell(row.tasklets), detail::memory_cell(row.threads));
    for (const auto* o : {&row.tasklets, &row.threads})
        if (*o && !(*o)->refused.empty()) fmt::print("{:>10} {}\n", "", refusal(**o));
    std::fflush(stdout);
}

}  // namespace hackysack
