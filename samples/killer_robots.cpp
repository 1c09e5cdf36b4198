// Killer robots, the last chapter of the tutorial, without a window: robots, mines, explosions and spawners are actors, and
// so is their world. Three rounds of a minute each in fixed steps, played on one worker and on all of them: the same game,
// whoever runs first. (The original moved by the wall clock, so that no two games were alike, and a message to a dead robot
// was lost; here it is a dead letter, and counted.)
//
//     killer_robots [FILE.svg [SEED]]           # draws the third round
#include <cerrno>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "command_line.hpp"
#include "robots/picture.hpp"
#include "robots/world.hpp"

using namespace robots;

namespace {

template <class Robot, class... Args>
void join(const rondo::actor_ref<world>& arena, const body& b, const Args&... args) {
    arena.tell(newcomer{b, rondo::start<Robot>(b, args...)});
}

/// Two robots that turn a degree a frame, and 73 at a wall.
void first_round(const rondo::actor_ref<world>& arena, unsigned) {
    const manners gentle{.turn_per_s = 30, .turn_at_bump = 73, .bumps_hurt = false};
    join<robot>(arena, {.angle = 135, .velocity = 150}, gentle);
    join<robot>(arena, {.x = 464, .angle = 225, .velocity = 300}, gentle);
}

/// Eight that hurt each other, until they are killed.
void second_round(const rondo::actor_ref<world>& arena, unsigned) {
    const double velocities[] = {150, 300, 500, 5};
    for (int i = 0; i < 8; ++i)
        join<robot>(arena, {.x = 50.0 + 120 * (i % 4), .y = i < 4 ? 80.0 : 360.0, .angle = 45.0 * i, .velocity = velocities[i % 4]});
}

/// Spawners send robots and mine droppers into the arena.
void third_round(const rondo::actor_ref<world>& arena, unsigned seed) {
    const std::pair<double, double> places[] = {{32, 32}, {432, 32}, {32, 432}, {432, 432}, {232, 232}};
    for (const auto& [x, y] : places)
        join<spawner>(arena, {.what = kind::spawner, .x = x, .y = y, .is_physical = false}, seed++);
}

record game(unsigned workers, void (*round)(const rondo::actor_ref<world>&, unsigned), bool shows_explosions, unsigned seed) {
    return rondo::run({.workers = workers}, [&] {
        const auto arena = rondo::start<world>(shows_explosions);
        round(arena, seed);
        auto r = arena.ask(play{.frames = 60 * 30, .step_s = 1.0 / 30});
        while (rondo::live_actors() > static_cast<std::size_t>(r.alive) + 1) rondo::yield();     // the killed ones are gone
        must_hold(rondo::dead_letters().total() == static_cast<std::uint64_t>(r.told_dead),
                  "what a dead robot is told is a dead letter, and nothing else is");
        return r;
    });
}

int fight(const std::string& picture, unsigned seed) {
    struct {
        const char* name;
        void (*play)(const rondo::actor_ref<world>&, unsigned);
        bool shows_explosions;
    } const rounds[] = {{"two robots", first_round, false}, {"collisions", second_round, false}, {"mines", third_round, true}};
    for (const auto& round : rounds) {
        const record alone = game(1, round.play, round.shows_explosions, seed);
        const record together = game(0, round.play, round.shows_explosions, seed);
        must_hold(alone.digest == together.digest, "the game is the same on any number of workers");
        fmt::print("{}: {} joined, {} killed, {} alive; {} explosions, {} messages to the dead\n", round.name, together.joined,
                   together.killed, together.alive, together.explosions, together.told_dead);
        if (!picture.empty() && round.play == third_round &&
            !draw(together, "Killer robots, round three: a minute", picture))
            throw samples::bad_argument(
                fmt::format("cannot write {}: {}", picture, std::generic_category().message(errno)));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return samples::run_main("killer_robots", [&] {
        const samples::arguments given(argc, argv, "[PICTURE.svg [SEED]]", 2);
        const auto seed = static_cast<unsigned>(given.number(2, "SEED", 1, 0, 4'294'967'295));
        if (given.has(1)) samples::check_writable(given.text(1));
        return fight(given.has(1) ? given.text(1) : "", seed);
    });
}
