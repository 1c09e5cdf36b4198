// What robots and their world say to each other. Only addresses are passed, never the robots themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include <rondo/rondo.hpp>

namespace robots {

inline constexpr double arena_size = 496;

enum class kind : std::uint8_t { robot, mine_dropper, mine, explosion, spawner };

struct body {                                // what everybody can see of a robot
    kind what = kind::robot;
    double x = 0, y = 0;
    double angle = 0;                        // degrees; 0 looks down the page, as in the tutorial
    double velocity = 0;                     // points a second
    double size = 32;
    int hitpoints = 20;
    bool is_physical = true;                 // can be bumped into
};
struct sight {
    std::uint32_t id;
    body seen;
};

struct update;
struct world_state {                         // to each robot, each frame: what do you do?
    std::uint32_t you;
    double now_s, step_s;
    body yours;
    std::shared_ptr<const std::vector<sight>> all;
    rondo::address<update> answer_to;
};
struct collision {
    std::uint32_t with;                      // 0: a wall
};
struct damage {
    int points;
};
using robot_address = rondo::address<world_state, collision, damage>;

struct newcomer {                            // JOIN
    body what;
    robot_address who;
};
struct hit {
    std::uint32_t whom;
    int points;
};
struct update {                              // the answer to world_state: UPDATE_VECTOR, DAMAGE, JOIN and KILLME in one
    std::uint32_t who = 0;
    double angle = 0, velocity = 0;
    int hitpoints = 0;
    bool is_over = false;
    std::vector<hit> hits = {};
    std::vector<newcomer> joins = {};
};

/// An invariant of the game.
inline void must_hold(bool condition, const char* what) {
    if (!condition) throw std::logic_error(what);
}

}  // namespace robots
