// The world: it moves everybody, tells who bumped into what, and shows all to all, frame by frame. A frame is over when
// every robot has said what it does; these answers are then taken in the order of ids, so that a game is the same for any
// number of workers.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <optional>
#include <utility>

#include "messages.hpp"
#include "robot.hpp"

namespace robots {

struct trail {
    kind what;
    std::vector<std::pair<double, double>> points;       // of the middle, one every few frames
    bool was_killed = false;
};
struct record {
    int joined = 0, killed = 0, alive = 0, explosions = 0;
    long told_dead = 0;                      // messages to robots that had been killed
    std::uint64_t digest = 0xcbf29ce484222325;            // of everybody's place in every frame
    std::map<std::uint32_t, trail> trails;
};
struct play {
    int frames;
    double step_s;
};

class world {
public:
    explicit world(bool shows_explosions) : shows_explosions_(shows_explosions) {}

    void on(const newcomer& n) {
        const auto id = ++record_.joined;
        all_[static_cast<std::uint32_t>(id)] = {n.what, n.who};
        record_.trails[static_cast<std::uint32_t>(id)].what = n.what.what;
    }
    void on(play p, rondo::reply<record> r) {
        game_ = p;
        finished_.emplace(std::move(r));
        begin_frame();
    }
    void on(update u) {
        const auto who = u.who;
        updates_.insert_or_assign(who, std::move(u));
        if (updates_.size() < all_.size()) return;
        end_frame();
        if (++frame_ < game_.frames) return begin_frame();
        record_.alive = static_cast<int>(all_.size());
        must_hold(record_.joined == record_.alive + record_.killed, "who has joined lives, or was killed");
        finished_->send(std::move(record_));
    }

private:
    struct member {
        body is;
        robot_address who;
    };

    void begin_frame() {
        for (auto& [id, m] : all_)
            if (m.is.is_physical && m.is.velocity > 0) move(id, m);
        auto view = std::make_shared<std::vector<sight>>();
        for (const auto& [id, m] : all_) view->push_back({id, m.is});
        for (const auto& [id, m] : all_)
            m.who.tell(world_state{id, frame_ * game_.step_s, game_.step_s, m.is, view, rondo::this_actor::ref<world>()});
    }
    void move(std::uint32_t id, member& m) {
        const double way = m.is.velocity * game_.step_s, at = m.is.angle * std::numbers::pi / 180;
        body there = m.is;
        there.x += std::sin(at) * way;
        there.y += std::cos(at) * way;
        const double most = arena_size - there.size;
        if (there.x < 0 || there.y < 0 || there.x > most || there.y > most) return m.who.tell(collision{0});
        for (const auto& [other_id, other] : all_) {
            if (other_id == id || !other.is.is_physical || !overlap(there, other.is)) continue;
            m.who.tell(collision{other_id});
            return other.who.tell(collision{id});
        }
        m.is = there;
    }
    static bool overlap(const body& a, const body& b) {
        return a.x < b.x + b.size && b.x < a.x + a.size && a.y < b.y + b.size && b.y < a.y + a.size;
    }

    void end_frame() {
        std::map<std::uint32_t, robot_address> killed;
        for (const auto& [id, u] : updates_) {
            body& b = all_.at(id).is;
            must_hold(u.hitpoints <= b.hitpoints, "hitpoints never increase");
            b.hitpoints = u.hitpoints;
            b.angle = u.angle;
            b.velocity = u.velocity;
            if (u.is_over) killed.emplace(id, bury(id));
        }
        for (const auto& [id, u] : updates_) {
            for (const auto& n : u.joins) on(n);
            for (const hit& h : u.hits) strike(h, killed);
        }
        updates_.clear();
        for (const auto& [id, m] : all_) note(id, m.is);
    }
    void strike(const hit& h, const std::map<std::uint32_t, robot_address>& killed) {
        if (const auto at = all_.find(h.whom); at != all_.end()) return at->second.who.tell(damage{h.points});
        const auto at = killed.find(h.whom);
        if (at == killed.end()) return;
        at->second.tell(damage{h.points});                // nobody hears it: a dead letter, and counted
        ++record_.told_dead;
    }
    robot_address bury(std::uint32_t id) {
        const member m = all_.at(id);
        all_.erase(id);
        m.who.kill();
        ++record_.killed;
        record_.trails[id].was_killed = true;
        if (shows_explosions_ && m.is.what != kind::explosion) {
            const double half = m.is.size / 2;
            const body b{.what = kind::explosion, .x = m.is.x + half, .y = m.is.y + half, .size = 0, .is_physical = false};
            on(newcomer{b, rondo::start<explosion>(b)});
            ++record_.explosions;
        }
        return m.who;
    }
    void note(std::uint32_t id, const body& b) {
        must_hold(b.x >= 0 && b.y >= 0 && b.x <= arena_size && b.y <= arena_size, "everybody stays inside");
        for (const double d : {b.x, b.y, b.angle, static_cast<double>(b.hitpoints)})
            record_.digest = (record_.digest ^ std::hash<double>{}(d)) * 0x100000001b3;
        if (frame_ % 3 == 0) record_.trails[id].points.emplace_back(b.x + b.size / 2, b.y + b.size / 2);
    }

    const bool shows_explosions_;
    play game_{};
    int frame_ = 0;
    std::map<std::uint32_t, member> all_;
    std::map<std::uint32_t, update> updates_;
    std::optional<rondo::reply<record>> finished_;
    record record_;
};

}  // namespace robots
