// An evening of hackysack: plays all that was asked for, has it checked, and tells how it went.
#pragma once

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "engine_actors.hpp"
#include "engine_tasklets.hpp"
#include "engine_threads.hpp"
#include "interrupt.hpp"
#include "json.hpp"
#include "live_line.hpp"
#include "options.hpp"
#include "outcome.hpp"
#include "report.hpp"
#include "results.hpp"
#include "svg_plot.hpp"

namespace hackysack {

class evening {
public:
    explicit evening(options wanted) : options_(std::move(wanted)) {}

    /// Returns the program's exit code: 0, or 1 if the operating system refused the players, or 130 after Ctrl-C.
    /// Throws: std::runtime_error if a game went wrong; bad_option if the results cannot be written.
    int spend() {
        const bool is_refused = !play_games();
        if (!is_refused) play_table();
        results_.interrupted = stop_.game_over();
        if (results_.interrupted)
            fmt::print("\nStopped in order after {}, every one of them right.\n", plural(kicks_, "kick"));
        else if (kicks_ > 0)
            fmt::print("\nChecked: {}, every bag's sum as computed serially, no tasklet left.\n", plural(kicks_, "kick"));
        std::fflush(stdout);    // stays said if Ctrl-C ends the writing
        if (!options_.json_file.empty()) write(options_.json_file, to_json(results_));
        if (!options_.plot_file.empty()) draw();
        return results_.interrupted ? 130 : is_refused ? 1 : 0;
    }

private:
    /// False where the operating system refused the players.
    bool play_games() {
        game g = options_.wanted;
        print_game_heading(g);
        for (unsigned workers = options_.sweep ? 1 : g.workers; workers <= g.workers && !stop_.requested(); ++workers) {
            game one = g;
            one.workers = workers;
            results_.sweep.push_back(play(one));
            const outcome& o = results_.sweep.back();
            if (!o.refused.empty()) {
                fmt::print(stderr, "hackysack: {}; try fewer --players or --circles, or a larger limit\n", refusal(o));
                return false;
            }
            print_game(o, results_.sweep.front().played.workers == 1 ? &results_.sweep.front() : nullptr);
        }
        return true;
    }

    void play_table() {
        if (options_.table.empty() || stop_.requested()) return;
        game g{.workers = options_.wanted.workers, .circles = 1, .kicks = 1000, .seed = options_.wanted.seed};
        print_table_heading(g);
        for (std::size_t players : options_.table) {
            if (stop_.requested()) return;
            g.players = players;
            table_row row{.players = players};
            row.tasklets = best_of_three(g, engine::tasklets);
            if (!stop_.requested()) row.threads = best_of_three(g, engine::threads);
            print_row(row);
            results_.table.push_back(std::move(row));
        }
    }

    /// As in the tutorial; but what takes long is played once.
    outcome best_of_three(game g, engine played_by) {
        constexpr double long_s = 1;
        g.played_by = played_by;
        outcome best = play(g);
        for (int i = 1; i < 3 && best.refused.empty() && best.total_s() < long_s && !stop_.requested(); ++i)
            if (outcome other = play(g); other.refused.empty() && other.total_s() < best.total_s()) best = std::move(other);
        return best;
    }

    outcome play(const game& g) {
        outcome result = play_unchecked(g);
        if (const auto fault = referee_.fault_in(result); !fault.empty())
            throw std::runtime_error(fmt::format("the game went wrong ({}): {}", describe(g), fault));
        kicks_ += result.kicks();
        return result;
    }

    /// A game that there was no memory for has been refused by the operating system, as too many threads are.
    outcome play_unchecked(const game& g) {
        try {
            live_line live(fmt::format("{} {}, {}", grouped(g.all_players()), name_of(g.played_by),
                                       g.played_by != engine::threads ? plural(g.workers, "worker") : "kernel"),
                           g.all_kicks());
            return g.played_by == engine::tasklets ? tasklet_game(g, live, stop_).play()
                   : g.played_by == engine::actors ? actor_game(g, live, stop_).play()
                                                   : thread_game(g, live, stop_).play();
        } catch (const rondo::out_of_memory&) {
            return {.played = g, .refused = std::string(memory_is_used_up)};
        } catch (const std::bad_alloc&) {
            return {.played = g, .refused = std::string(memory_is_used_up)};
        }
    }

    /// An evening that ended before the first kick spoils no earlier picture.
    void draw() const {
        const std::string picture = to_svg(results_);
        if (picture.empty()) fmt::print("There is nothing to draw: {} is not written\n", options_.plot_file);
        else write(options_.plot_file, picture);
    }

    static void write(const std::string& file, const std::string& text) {
        std::ofstream to(file, std::ios::binary);
        if (!(to << text).flush())
            throw bad_option(fmt::format("cannot write {}: {}", file, std::generic_category().message(errno)));
        fmt::print("Wrote {}\n", file);
    }

    const options options_;
    interrupt stop_;                         // first: threads made later inherit its signal mask
    referee referee_;
    results results_;
    std::uint64_t kicks_ = 0;
};

}  // namespace hackysack
