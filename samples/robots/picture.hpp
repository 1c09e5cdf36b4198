// Where everybody went, as SVG: robots and mine droppers with their trails, mines as dots, explosions where they were.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../hackysack_game/svg.hpp"
#include "world.hpp"

namespace robots {

/// False: the file cannot be written.
inline bool draw(const record& r, std::string_view title, const std::string& path) {
    static constexpr const char* colours[] = {"#4269d0", "#efb118", "#6cc5b0", "#a463f2", "#97bbf5", "#9c6b4e"};
    constexpr double margin = 20, top = 60, size = arena_size;
    hackysack::svg picture(size + 2 * margin, size + top + 60);
    picture.text({margin, 26}, title, "start", "#222222", 16, true);
    picture.text({margin, 46}, fmt::format("{} joined, {} killed, {} alive at the end", r.joined, r.killed, r.alive));
    picture.rect({margin, top}, size, size, "#f4f4f0");
    const auto at = [&](std::pair<double, double> p) { return hackysack::point{margin + p.first, top + p.second}; };

    for (const auto& [id, t] : r.trails)
        if (t.what == kind::explosion && !t.points.empty()) picture.dot(at(t.points.front()), 9, "#ffd9c7");
    for (const auto& [id, t] : r.trails) {
        if (t.points.empty()) continue;
        if (t.what == kind::spawner) {
            const auto p = at(t.points.front());
            picture.rect({p.x - 5, p.y - 5}, 10, 10, "#222222");
        } else if (t.what == kind::mine) {
            picture.dot(at(t.points.front()), 2.5, t.was_killed ? "#ff725c" : "#555555");
        } else if (t.what != kind::explosion) {
            std::vector<hackysack::point> points;
            for (const auto& p : t.points) points.push_back(at(p));
            picture.path(points, colours[id % std::size(colours)], 1.2, t.what == kind::robot ? "none" : "5 3");
            if (t.was_killed) picture.text({points.back().x, points.back().y + 5}, "×", "middle", "#c43a23", 18, true);
            else picture.dot(points.back(), 6, colours[id % std::size(colours)]);
        }
    }
    const double y = top + size + 24;
    picture.text({margin, y}, "line: robot · dashes: mine dropper · ●: alive at the end · ×: killed · square: spawner");
    picture.text({margin, y + 18}, "small dots: mines (red: went off) · pale discs: explosions");
    std::ofstream out(path);
    out << std::move(picture).file();
    return static_cast<bool>(out.flush());
}

}  // namespace robots
