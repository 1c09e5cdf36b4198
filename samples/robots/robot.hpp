// The robots. Each is an actor: it answers the world's state with what it does, and lives by what it is told.
#pragma once

#include <cmath>
#include <numbers>
#include <random>
#include <utility>

#include "messages.hpp"

namespace robots {

/// How a round is played: by the frame and forgiving in the first, by the clock and for good in the others.
struct manners {
    double turn_per_s = 30;                  // degrees
    double turn_at_bump = 73;
    bool bumps_hurt = true;
};

class robot {
public:
    explicit robot(const body& b, manners m = {}) : angle_(b.angle), hitpoints_(b.hitpoints), manners_(m) {}
    virtual ~robot() = default;

    void on(const world_state& w) {
        update u{.who = w.you, .velocity = w.yours.velocity};
        live(w, u);
        u.angle = angle_;
        u.hitpoints = hitpoints_;
        u.is_over = u.is_over || hitpoints_ <= 0;
        w.answer_to.tell(std::move(u));
    }
    void on(collision c) { bump(c.with); }
    void on(damage d) { hitpoints_ -= d.points; }

protected:
    virtual void live(const world_state& w, update&) { angle_ += manners_.turn_per_s * w.step_s; }
    virtual void bump(std::uint32_t) {
        angle_ += manners_.turn_at_bump;
        if (manners_.bumps_hurt) --hitpoints_;
    }
    double angle_;
    int hitpoints_;
    manners manners_;
};

/// Hurts whoever steps on it, and is gone.
class mine final : public robot {
public:
    using robot::robot;

private:
    void live(const world_state&, update& u) override {
        if (victim_ != 0) u.hits.push_back({victim_, 25});
        u.is_over = victim_ != 0;
    }
    void bump(std::uint32_t with) override { victim_ = with; }
    std::uint32_t victim_ = 0;
};

/// In serpentines, with a mine behind it every second.
class mine_dropper final : public robot {
public:
    explicit mine_dropper(const body& b) : robot(b), middle_(b.angle) {}

private:
    void live(const world_state& w, update& u) override {
        angle_ += (is_turning_left_ ? 60 : -60) * w.step_s;
        if (std::abs(angle_ - middle_) > 15) is_turning_left_ = angle_ < middle_;
        if (w.now_s < next_mine_s_) return;
        next_mine_s_ = w.now_s + 1;
        const double behind = (angle_ + 180) * std::numbers::pi / 180;
        const double x = w.yours.x + 16 + std::sin(behind) * 24, y = w.yours.y + 16 + std::cos(behind) * 24;
        if (x < 0 || y < 0 || x > arena_size - 2 || y > arena_size - 2) return;
        const body b{.what = kind::mine, .x = x, .y = y, .size = 2, .hitpoints = 1};
        u.joins.push_back({b, rondo::start<mine>(b)});
    }
    void bump(std::uint32_t with) override {
        robot::bump(with);
        middle_ = angle_;
    }
    double middle_, next_mine_s_ = 1;
    bool is_turning_left_ = true;
};

/// To look at, for three seconds.
class explosion final : public robot {
public:
    using robot::robot;

private:
    void live(const world_state& w, update& u) override {
        if (begin_s_ < 0) begin_s_ = w.now_s;
        u.is_over = w.now_s - begin_s_ >= 3;
    }
    double begin_s_ = -1;
};

/// Makes a robot of a random class every five seconds.
class spawner final : public robot {
public:
    spawner(const body& b, unsigned seed) : robot(b), chance_(seed) {}

private:
    void live(const world_state& w, update& u) override {
        if (w.now_s < next_s_) return;
        next_s_ += 5;
        body b{.x = w.yours.x - 16, .y = w.yours.y - 16};
        b.angle = static_cast<double>(chance_() % 360);
        b.velocity = static_cast<double>(chance_() % 1000);
        b.what = chance_() % 2 ? kind::robot : kind::mine_dropper;
        u.joins.push_back({b, b.what == kind::robot ? robot_address(rondo::start<robot>(b))
                                                    : robot_address(rondo::start<mine_dropper>(b))});
    }
    double next_s_ = 0.5;
    std::minstd_rand chance_;
};

}  // namespace robots
