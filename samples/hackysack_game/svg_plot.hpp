// The picture: tasklets against threads over the number of players, and kicks per second over the number of workers.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "game.hpp"
#include "numbers.hpp"
#include "report.hpp"
#include "results.hpp"
#include "svg.hpp"

namespace hackysack {
namespace detail {

inline constexpr std::string_view tasklet_colour = "#0072b2", thread_colour = "#d55e00", grey = "#8a8a8a",
                                  grid_colour = "#e4e4e4", past_tasklets = "#9cc7e0", past_threads = "#f0b890";

/// A rectangle of the picture with its title.
struct panel {
    double left, top, width, height;
    [[nodiscard]] double right() const noexcept { return left + width; }
    [[nodiscard]] double bottom() const noexcept { return top + height; }

    void draw_titles(svg& to, std::string_view title, std::string_view below) const {
        to.text({left, top - 42}, title, "start", "#111111", 16, true);
        to.text({left, top - 22}, below, "start", grey);
    }
};

/// Maps a logarithmic range onto pixels.
struct log_axis {
    double low, high, from, to;
    [[nodiscard]] double at(double v) const noexcept {
        return from + (to - from) * (std::log10(v) - std::log10(low)) / (std::log10(high) - std::log10(low));
    }
};

/// The tutorial's table: both axes logarithmic.
class table_plot {
public:
    table_plot(const panel& where, const std::vector<table_row>& rows) : where_(where), rows_(rows) {
        double fewest = 10, most = 100, shortest = 0.001, longest = 1, band_of_refusals = 0;
        for (const auto& row : rows) {
            fewest = std::min(fewest, static_cast<double>(row.players));
            most = std::max(most, static_cast<double>(row.players));
            if (row.threads && !row.threads->refused.empty()) band_of_refusals = 30;
            for (const auto* o : {&row.tasklets, &row.threads})
                if (*o && (*o)->refused.empty() && (*o)->total_s() > 0) {
                    shortest = std::min(shortest, (*o)->total_s());
                    longest = std::max(longest, (*o)->total_s());
                }
        }
        x_ = {fewest * 0.7, most * 1.6, where.left, where.right()};
        y_ = {std::pow(10, std::floor(std::log10(shortest))), std::pow(10, std::ceil(std::log10(longest))),
              where.bottom(), where.top + band_of_refusals};
    }

    void draw(svg& to) const {
        where_.draw_titles(to, "Tasklets against threads", "seconds for 1,000 kicks in one circle, set-up included");
        draw_grid(to);
        draw_2006(to);
        draw_engine(to, &table_row::threads, thread_colour, "threads");
        draw_engine(to, &table_row::tasklets, tasklet_colour, "tasklets");
        draw_refusals(to);
        to.text({where_.left + where_.width / 2, where_.bottom() + 42}, "players in the circle", "middle");
    }

private:
    void draw_grid(svg& to) const {
        for (double t = y_.low; t <= y_.high * 1.01; t *= 10) {
            to.line({where_.left, y_.at(t)}, {where_.right(), y_.at(t)}, grid_colour);
            to.text({where_.left - 8, y_.at(t) + 4}, tick(t), "end");
        }
        for (const auto& row : rows_)
            to.text({x_.at(static_cast<double>(row.players)), where_.bottom() + 20}, grouped(row.players), "middle");
    }
    static std::string tick(double seconds) {
        if (seconds > 0.9) return fmt::format("{:.0f} s", seconds);
        if (seconds > 0.9e-3) return fmt::format("{:.0f} ms", seconds * 1e3);
        return fmt::format("{:.0f} µs", seconds * 1e6);
    }

    void draw_2006(svg& to) const {
        std::vector<point> tasklets, threads;
        for (const auto& then : in_2006) {
            const auto players = static_cast<double>(then.players);
            if (players < x_.low || players > x_.high) continue;
            tasklets.push_back({x_.at(players), y_at(then.tasklets_s)});
            if (then.threads_s > 0) threads.push_back({x_.at(players), y_at(then.threads_s)});
        }
        to.path(threads, past_threads, 1.5, "4 4");
        to.path(tasklets, past_tasklets, 1.5, "4 4");
        if (!threads.empty())
            to.text({threads.front().x, threads.front().y - 14}, "threads, Python 2006", "start", past_threads, 12);
        if (!tasklets.empty())
            to.text({tasklets.front().x, tasklets.front().y - 10}, "tasklets, Stackless Python 2006", "start",
                    past_tasklets, 12);
    }

    void draw_engine(svg& to, std::optional<outcome> table_row::*engine, std::string_view colour,
                     std::string_view name) const {
        std::vector<point> points;
        std::vector<std::string> times;
        for (const auto& row : rows_)
            if (const auto& o = row.*engine; o && o->refused.empty() && o->total_s() > 0) {
                points.push_back({x_.at(static_cast<double>(row.players)), y_at(o->total_s())});
                times.push_back(duration(o->total_s()));
            }
        to.path(points, colour, 2.5);
        for (std::size_t i = 0; i < points.size(); ++i) {
            to.dot(points[i], 4, colour);
            to.text({points[i].x, points[i].y + 19}, times[i], "middle", colour, 12);
        }
        if (!points.empty())
            to.text({points.back().x + 9, points.back().y - 8}, name, points.size() == rows_.size() ? "end" : "start",
                    colour, 13, true);
    }

    void draw_refusals(svg& to) const {
        std::optional<point> first;
        for (const auto& row : rows_) {
            if (!row.threads || row.threads->refused.empty()) continue;
            const point p{x_.at(static_cast<double>(row.players)), where_.top + 8};
            if (!first) first = p;
            to.line({p.x - 5, p.y - 5}, {p.x + 5, p.y + 5}, thread_colour, 2.5);
            to.line({p.x - 5, p.y + 5}, {p.x + 5, p.y - 5}, thread_colour, 2.5);
        }
        if (first) to.text({first->x - 12, first->y + 4}, "threads refused by the operating system", "end",
                           thread_colour, 12);
    }
    [[nodiscard]] double y_at(double seconds) const { return y_.at(std::clamp(seconds, y_.low, y_.high)); }

    panel where_;
    const std::vector<table_row>& rows_;
    log_axis x_{}, y_{};
};

/// Bars of kicks per second, each divided by the workers' shares.
class sweep_plot {
public:
    sweep_plot(const panel& where, const std::vector<outcome>& games) : where_(where), games_(games) {
        for (const auto& o : games) top_ = std::max(top_, o.kicks_per_s());
        const auto& first = games.front();
        if (first.played.workers == 1 && games.size() > 1) {
            per_worker_ = first.kicks_per_s();
            top_ = std::max(top_, per_worker_ * games.back().played.workers);
        }
        const double magnitude = std::pow(10, std::floor(std::log10(std::max(1.0, top_))));
        for (double step : {0.2, 0.5, 1.0, 2.0}) {
            step_ = step * magnitude;
            if (top_ / step_ <= 6) break;
        }
        top_ = std::ceil(top_ * 1.12 / step_) * step_;
    }

    void draw(svg& to) const {
        const game& g = games_.front().played;
        where_.draw_titles(to, "Kicks per second",
                           fmt::format("{} of {} {}, {} each", plural(g.circles, "circle"), grouped(g.players),
                                       name_of(g.played_by), plural(g.bags, "bag")));
        for (double v = 0; v <= top_ * 1.001; v += step_) {
            to.line({where_.left, y(v)}, {where_.right(), y(v)}, grid_colour);
            to.text({where_.left - 8, y(v) + 4}, v > 0 ? rounded(v) : "0", "end");
        }
        for (std::size_t i = 0; i < games_.size(); ++i) draw_bar(to, i);
        if (per_worker_ > 0) draw_ideal(to);
        to.text({where_.left + where_.width / 2, where_.bottom() + 42},
                g.played_by != engine::threads ? "workers (each bar divided by who ran the players)" : "cores",
                "middle");
    }

private:
    void draw_bar(svg& to, std::size_t i) const {
        const outcome& o = games_[i];
        const double width = std::min(90.0, slot() * 0.62), left = centre(i) - width / 2;
        std::vector<double> shares = o.shares;
        if (shares.empty()) shares = {1};
        double from = 0;
        for (std::size_t worker = 0; worker < shares.size(); ++worker) {
            const double to_kicks = from + shares[worker] * o.kicks_per_s();
            to.rect({left, y(to_kicks)}, width, y(from) - y(to_kicks), worker % 2 ? "#5ba9d6" : tasklet_colour);
            if (shares.size() > 1 && y(from) - y(to_kicks) > 16 && width > 34)
                to.text({centre(i), (y(from) + y(to_kicks)) / 2 + 4}, fmt::format("{:.0f} %", shares[worker] * 100),
                        "middle", "#ffffff", 12);
            from = to_kicks;
        }
        if (width > 34 || i == 0 || i + 1 == games_.size()) {
            const std::string kicks = rounded(o.kicks_per_s());
            const bool has_speed_up = per_worker_ > 0 && i > 0 && width > 60;
            const double factor = per_worker_ > 0 ? o.kicks_per_s() / per_worker_ : 0;
            to.text({centre(i), y(from) - 7}, has_speed_up ? fmt::format("{}  (x {:.2f})", kicks, factor) : kicks,
                    "middle", "#111111", 12, true);
        }
        if (games_.size() <= 20 || i == 0 || o.played.workers % 8 == 0)
            to.text({centre(i), where_.bottom() + 20}, fmt::format("{}", o.played.workers), "middle");
    }
    void draw_ideal(svg& to) const {
        std::vector<point> points;
        for (std::size_t i = 0; i < games_.size(); ++i)
            points.push_back({centre(i), y(per_worker_ * games_[i].played.workers)});
        to.path(points, grey, 1.5, "5 4");
        to.line({where_.left + 8, where_.top + 14}, {where_.left + 38, where_.top + 14}, grey, 1.5, "5 4");
        to.text({where_.left + 44, where_.top + 18}, "one worker's kicks times the workers", "start", grey, 12);
    }
    [[nodiscard]] double slot() const noexcept { return where_.width / static_cast<double>(games_.size()); }
    [[nodiscard]] double centre(std::size_t i) const noexcept {
        return where_.left + slot() * (static_cast<double>(i) + 0.5);
    }
    [[nodiscard]] double y(double kicks) const noexcept { return where_.bottom() - where_.height * kicks / top_; }

    panel where_;
    const std::vector<outcome>& games_;
    double top_ = 0, step_ = 1, per_worker_ = 0;
};

}  // namespace detail

/// The whole picture as the text of an SVG file: the panels for which there are results.
[[nodiscard]] inline std::string to_svg(const results& r) {
    const bool has_table = !r.table.empty();
    const bool has_sweep =
        std::any_of(r.sweep.begin(), r.sweep.end(), [](const outcome& o) { return o.kicks_per_s() > 0; });
    constexpr double table_width = 560, sweep_width = 420, margin = 75, top = 80, height = 360;
    double width = 30;
    if (has_table) width += margin + table_width;
    if (has_sweep) width += margin + sweep_width;
    svg picture(width, top + height + 65);
    double left = margin;
    if (has_table) {
        detail::table_plot({left, top, table_width, height}, r.table).draw(picture);
        left += table_width + margin;
    }
    if (has_sweep) detail::sweep_plot({left, top, sweep_width, height}, r.sweep).draw(picture);
    return std::move(picture).file();
}

}  // namespace hackysack
