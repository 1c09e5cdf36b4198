// The command line: what to play and where to write it. Refuses in one line what cannot be played.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <rondo/rondo.hpp>

#include "../command_line.hpp"
#include "game.hpp"
#include "numbers.hpp"

namespace hackysack {

using bad_option = samples::bad_argument;

struct options {
    game wanted;
    bool sweep = false;                      ///< play it once with every number of workers up to wanted.workers
    std::vector<std::size_t> table;          ///< player counts for the tutorial's table; empty: no table
    std::string json_file, plot_file;
};

namespace detail {

inline constexpr std::uint64_t players_max = 50'000'000, bags_max = 50'000'000, slots_max = 100'000'000,
                               actor_slots_max = 32'767, kicks_max = 1'000'000'000'000, workers_max = 1024;

/// `each` times `count` must not be more than `most` of these things. `asked_for` says it in the user's words.
inline void check_product(const std::string& asked_for, std::uint64_t each, std::uint64_t count, std::uint64_t most,
                          std::string_view things) {
    if (each > most / count)
        throw bad_option(fmt::format("{} is more than the {} {} that this program has", asked_for, grouped(most), things));
}
inline void check_circles(const game& g, std::string_view option, std::uint64_t each, std::uint64_t most,
                          std::string_view things) {
    check_product(fmt::format("{} {} times --circles {}", option, grouped(each), grouped(g.circles)), each, g.circles,
                  most, things);
}

inline void check_game(const game& g) {
    if (g.workers < 1 || g.workers > workers_max)
        throw bad_option(fmt::format("--workers must be from 1 to {}, not {}", workers_max, g.workers));
    if (g.circles < 1) throw bad_option("--circles must be at least 1");
    if (g.players < 1) throw bad_option("--players must be at least 2: nobody is there to play");
    if (g.players < 2) throw bad_option("--players must be at least 2: one player has nobody to kick the bag to");
    check_circles(g, "--players", g.players, players_max, "players");
    if (g.bags < 1) throw bad_option("--bags must be at least 1: without a bag there is nothing to kick");
    check_circles(g, "--bags", g.bags, bags_max, "bags");
    if (g.kicks < 1) throw bad_option("--kicks must be at least 1");
    check_circles(g, "--kicks", g.kicks, kicks_max, "kicks");
}

/// Two players who kick at each other over rendezvous channels both wait in send, and neither ever receives.
inline void check_slots(const game& g) {
    if (g.played_by == engine::threads && g.slots)
        throw bad_option("--slots is for --engine tasklets and actors: the threads' queues have no limit");
    if (g.played_by == engine::actors && g.slots > actor_slots_max)
        throw bad_option(fmt::format("--slots must be at most {} for actors, or 0 for no bound, not {}",
                                     grouped(actor_slots_max), grouped(g.slots)));
    if (g.played_by == engine::tasklets)
        check_product(fmt::format("--slots {} for each of {} players", grouped(g.slots), grouped(g.all_players())),
                      g.slots, g.all_players(), slots_max, "slots");
    if (g.played_by == engine::threads || g.bags < 2) return;
    if (g.slots == 0 && g.played_by == engine::actors) return;      // mailboxes without a bound
    if (g.slots == 0)
        throw bad_option(fmt::format("{0} bags in a circle of rendezvous channels deadlock as soon as two players kick "
                                     "at each other; give every player an inbox with --slots {0}, or play more "
                                     "--circles with one bag each", g.bags));
    if (g.slots < g.bags)
        throw bad_option(fmt::format("--slots must be at least {0} for {0} bags, not {1}: with fewer, full inboxes can "
                                     "wait for each other in a circle", g.bags, g.slots));
}

/// For CLI11, which would take -3 for a very large number, and 010 for eight: it gets the number without zeros before it.
/// Gives what is wrong; empty if nothing is.
inline std::string must_be_whole_number(std::string& text) {
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc::result_out_of_range) return text + " is too large";
    if (error != std::errc() || end != text.data() + text.size()) return text + " is not a whole number";
    text = std::to_string(n);
    return "";
}

/// For CLI11, too.
inline std::string must_name_a_file(const std::string& text) { return text.empty() ? "the file's name is empty" : ""; }

/// As many as the runtime takes by itself: $RONDO_WORKERS, else one for each usable core.
inline unsigned workers_by_default() {
    try {
        return rondo::runtime().workers();
    } catch (const rondo::usage_error& e) {
        throw bad_option(e.what());
    }
}

/// As far as names tell: /dev/stdout, where it is a pipe, has no canonical one.
inline bool is_same_file(const std::string& a, const std::string& b) {
    std::error_code has_none;
    const auto name = std::filesystem::weakly_canonical(a, has_none);
    return !has_none && name == std::filesystem::weakly_canonical(b, has_none);
}

inline std::string in_one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

}  // namespace detail

/// Nothing if the user only asked for help, which has been given. Throws: bad_option.
[[nodiscard]] inline std::optional<options> parse(int argc, char** argv) {
    options o;
    const std::vector<std::size_t> tutorial_table = {10, 100, 1'000, 10'000, 100'000};
    if (argc == 1) {
        o.sweep = true;
        o.plot_file = "hackysack.svg";
    }

    CLI::App app{"Hackysack: players stand in circles and kick bags at each other, every player a tasklet.\n"
                 "Without any option: many circles on every number of cores, the tutorial's table, hackysack.svg."};
    const CLI::Validator whole(detail::must_be_whole_number, ""), file(detail::must_name_a_file, "");
    const std::map<std::string, engine> engines = {{"tasklets", engine::tasklets}, {"actors", engine::actors}, {"threads", engine::threads}};
    std::string engine_name = "tasklets";
    const auto number = [&](const char* name, auto& value, const char* meaning) {
        return app.add_option(name, value, meaning)->type_name("N")->capture_default_str()->transform(whole);
    };
    number("--players", o.wanted.players, "players in each circle");
    number("--circles", o.wanted.circles, "circles that play at the same time");
    number("--bags", o.wanted.bags, "bags in each circle");
    number("--kicks", o.wanted.kicks, "kicks in each circle");
    number("--slots", o.wanted.slots, "slots of each player's inbox; 0: rendezvous (actors: no bound)");
    const CLI::Option* workers =
        number("--workers", o.wanted.workers, "cores to play on; else $RONDO_WORKERS, else all")->default_str("");
    number("--seed", o.wanted.seed, "another seed, other kicks");
    app.add_option("--engine", engine_name, "tasklets, actors, or threads: one of the operating system's per player")
        ->type_name("NAME")->capture_default_str();
    app.add_flag("--sweep", o.sweep, "play on 1, 2, ... up to --workers cores");
    app.add_option("--table", o.table, "play the tutorial's table: tasklets against threads, so many players")
        ->delimiter(',')->allow_extra_args(false)->transform(whole)->type_name("N,N,...");
    app.add_option("--json", o.json_file, "write all results there")->check(file)->type_name("FILE");
    app.add_option("--plot", o.plot_file, "play the table too and draw everything there")
        ->check(file)->type_name("FILE.svg");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        app.exit(help);
        return {};
    } catch (const CLI::ParseError& e) {
        throw bad_option(fmt::format("{} (--help shows the options)", detail::in_one_line(e.what())));
    }

    const auto found = engines.find(engine_name);
    if (found == engines.end())
        throw bad_option(fmt::format("--engine must be tasklets, actors or threads, not \"{}\"", engine_name));
    o.wanted.played_by = found->second;
    if (workers->empty()) o.wanted.workers = detail::workers_by_default();
    if (o.table.empty() && !o.plot_file.empty()) o.table = tutorial_table;
    detail::check_game(o.wanted);
    detail::check_slots(o.wanted);
    for (std::size_t players : o.table)
        if (players < 2 || players > detail::players_max)
            throw bad_option(fmt::format("--table must name numbers of players from 2 to {}, not {}",
                                         grouped(detail::players_max), players));
    if (!o.json_file.empty()) samples::check_writable(o.json_file);
    if (!o.plot_file.empty()) samples::check_writable(o.plot_file);
    // Only now: where a link pointed to nothing, there is a file.
    if (!o.json_file.empty() && !o.plot_file.empty() && detail::is_same_file(o.json_file, o.plot_file))
        throw bad_option("--json and --plot name the same file");
    return o;
}

}  // namespace hackysack
