// soak [--actors] [--seconds N] [--seed S]: random graphs of tasklets, or storms of actors, with ever new seeds for N seconds
// (60), a line a minute. At a failure it prints what is needed to play that one again, and ends with 1. A hang shows in the
// last line printed with --verbose.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <string_view>

#include "actor_storm.hpp"
#include "random_graph.hpp"

namespace {

using clock_type = std::chrono::steady_clock;

struct options {
    long seconds = 60;
    std::uint64_t seed = 0;                       // 0: by chance
    bool verbose = false;
    bool actors = false;
};

options read(int argc, char** argv) {
    options o;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--seconds" && has_value) o.seconds = std::atol(argv[++i]);
        else if (word == "--seed" && has_value) o.seed = std::strtoull(argv[++i], nullptr, 10);
        else if (word == "--verbose") o.verbose = true;
        else if (word == "--actors") o.actors = true;
        else {
            std::fprintf(stderr, "usage: soak [--actors] [--seconds N] [--seed S] [--verbose]\n");
            std::exit(word == "--help" ? 0 : 2);
        }
    }
    if (o.seed == 0) o.seed = std::random_device{}() % 1'000'000'000 + 1;
    return o;
}

rondo_stress::outcome play_one(std::uint64_t seed, const options& o) {
    if (o.verbose) {
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
        std::fflush(stdout);
    }
    if (o.actors) {
        const auto n = static_cast<unsigned>(seed);
        try {
            actor_states::ends ended{};
            return {.problem = actor_storm::play(n, 1 + n % 4, n / 4 % 2 == 0, ended)};
        } catch (const std::exception& e) {
            return {.problem = e.what()};
        }
    }
    const rondo_stress::graph g{.seed = seed,
                                .workers = 1 + static_cast<unsigned>(seed % 4),
                                .force_migration = seed % 3 == 0,
                                .operations = 500 + static_cast<int>(seed % 7) * 500,
                                .spawn_backlog = seed % 11 == 0 ? 1u : 256u,
                                .large_stacks = seed % 5 == 0,
                                .plain_threads = static_cast<int>(seed % 3)};
    return seed % 4 == 3 ? rondo_stress::count_messages(g, seed / 4 % 4) : rondo_stress::play(g);
}

}  // namespace

int main(int argc, char** argv) {
    const auto o = read(argc, argv);
    const auto begin = clock_type::now();
    const auto end = begin + std::chrono::seconds(o.seconds);
    auto next_line = begin + std::chrono::minutes(1);
    long games = 0, tasklets = 0, messages = 0;
    const auto report = [&](std::uint64_t seed) {
        const auto minutes = std::chrono::duration<double, std::ratio<60>>(clock_type::now() - begin).count();
        std::printf("%.1f min: %ld %s", minutes, games, o.actors ? "storms" : "graphs");
        if (!o.actors) std::printf(", %ld tasklets, %ld messages", tasklets, messages);
        std::printf(", up to seed %llu\n", static_cast<unsigned long long>(seed));
        std::fflush(stdout);
    };
    auto seed = o.seed;
    for (; clock_type::now() < end; ++seed) {
        const auto result = play_one(seed, o);
        ++games;
        tasklets += result.tasklets;
        messages += result.received;
        if (!result.problem.empty()) {
            std::printf("FAILED: seed %llu: %s\nplay it again: soak %s--seed %llu\n",
                        static_cast<unsigned long long>(seed), result.problem.c_str(), o.actors ? "--actors " : "",
                        static_cast<unsigned long long>(seed));
            return 1;
        }
        if (clock_type::now() >= next_line) {
            report(seed);
            next_line += std::chrono::minutes(1);
        }
    }
    report(seed);
    return 0;
}
