// Random graphs of tasklets, and messages that are counted while everything else goes wrong.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/time.hpp>

#include "random_graph.hpp"

using namespace std::chrono_literals;

namespace {

#if defined(RONDO_TSAN) || defined(RONDO_ASAN)
constexpr std::uint64_t slowdown = 8;
#else
constexpr std::uint64_t slowdown = 1;
#endif

struct settings {
    unsigned workers;
    bool force_migration;
};
settings any_settings() {
    return {GENERATE(1u, 2u, 4u), GENERATE(false, true)};
}

}  // namespace

TEST_CASE("a random graph of tasklets ends, and every value is accounted for", "[stress][graph]") {
    const auto [workers, force_migration] = any_settings();
    for (std::uint64_t seed = 1; seed <= 24 / slowdown; ++seed) {
        const auto end = rondo_stress::play({.seed = seed, .workers = workers, .force_migration = force_migration,
                                             .operations = 3000});
        INFO("seed " << seed << ", workers " << workers << ", force_migration " << force_migration);
        CHECK(end.problem == "");
    }
}

TEST_CASE("random graphs with a small spawn backlog and with large stacks end as well", "[stress][graph]") {
    const auto [workers, force_migration] = any_settings();
    for (std::uint64_t seed = 100; seed < 100 + 8 / slowdown; ++seed) {
        const auto end = rondo_stress::play({.seed = seed, .workers = workers, .force_migration = force_migration,
                                             .operations = 2000, .spawn_backlog = 1, .large_stacks = true});
        INFO("seed " << seed << ", workers " << workers << ", force_migration " << force_migration);
        CHECK(end.problem == "");
    }
}

TEST_CASE("no message is lost or made by stops, time limits, deadlines and a close", "[stress][graph]") {
    const auto [workers, force_migration] = any_settings();
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{5});
    for (std::uint64_t seed = 1; seed <= 16 / slowdown; ++seed) {
        const auto end = rondo_stress::count_messages({.seed = seed, .workers = workers,
                                                       .force_migration = force_migration, .operations = 400}, slots);
        INFO("seed " << seed << ", workers " << workers << ", force_migration " << force_migration << ", slots "
                     << slots);
        CHECK(end.problem == "");
    }
}

TEST_CASE("plain threads that join in lose and make no message either", "[stress][graph]") {
    const auto [workers, force_migration] = any_settings();
    const auto slots = GENERATE(std::size_t{0}, std::size_t{3});
    for (std::uint64_t seed = 1; seed <= 16 / slowdown; ++seed) {
        const auto end = rondo_stress::count_messages({.seed = seed, .workers = workers,
                                                       .force_migration = force_migration, .operations = 400,
                                                       .plain_threads = 2}, slots);
        INFO("seed " << seed << ", workers " << workers << ", force_migration " << force_migration << ", slots "
                     << slots);
        CHECK(end.problem == "");
    }
}
