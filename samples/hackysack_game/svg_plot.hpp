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
#include "labels.hpp"
#include "numbers.hpp"
#include "report.hpp"
#include "results.hpp"
#include "svg.hpp"

namespace hackysack {
namespace detail {

inline constexpr std::string_view tasklet_colour = "#0072b2", thread_colour = "#d55e00", grey = "#8a8a8a",
                                  grid_colour = "#e4e4e4", past_tasklets = "#9cc7e0", past_threads = "#f0b890";

/// A part of the picture for one plot, with its titles and its legend above it.
struct panel {
    double left, top, width, height;
    [[nodiscard]] double right() const noexcept { return left + width; }
    [[nodiscard]] double bottom() const noexcept { return top + height; }

    void draw_titles(svg& to, std::string_view title, std::string_view below) const {
        to.text({left, top - 76}, title, "start", "#111111", 16, true);
        to.text({left, top - 56}, below, "start", grey);
    }
    [[nodiscard]] legend start_legend(svg& to) const { return {to, {left, top - 32}, width}; }
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
    table_plot(const panel& where, const std::vector<table_row>& rows) : where_(where) {
        for (const auto& row : rows) rows_.push_back(&row);
        std::sort(rows_.begin(), rows_.end(), [](auto* a, auto* b) { return a->players < b->players; });
        double fewest = 10, most = 100, shortest = 0.001, longest = 1;
        for (const auto* row : rows_) {
            fewest = std::min(fewest, static_cast<double>(row->players));
            most = std::max(most, static_cast<double>(row->players));
            for (const auto* o : {&row->tasklets, &row->threads}) {
                if (is_refused(*o)) has_refusals_ = true;
                if (is_played(*o)) {
                    shortest = std::min(shortest, (*o)->total_s());
                    longest = std::max(longest, (*o)->total_s());
                }
            }
        }
        x_ = {fewest * 0.7, most * 1.6, where.left, where.right()};
        y_ = {std::pow(10, std::floor(std::log10(shortest))), std::pow(10, std::ceil(std::log10(longest))),
              where.bottom(), where.top + (has_refusals_ ? 36 : 0)};
    }

    void draw(svg& to) const {
        where_.draw_titles(to, "Tasklets against threads", "seconds for 1,000 kicks in one circle, set-up included");
        draw_legend(to);
        draw_grid(to);
        draw_lines(to);
        to.text({where_.left + where_.width / 2, where_.bottom() + 42}, "players in the circle", "middle");
    }

private:
    using engine_of = std::optional<outcome> table_row::*;
    static constexpr std::string_view dashes = "4 4";

    static bool is_refused(const std::optional<outcome>& o) { return o && !o->refused.empty(); }
    static bool is_played(const std::optional<outcome>& o) { return o && o->refused.empty() && o->total_s() > 0; }

    void draw_legend(svg& to) const {
        legend meaning = where_.start_legend(to);
        meaning.line("tasklets", tasklet_colour, 2.5);
        meaning.line("threads", thread_colour, 2.5);
        meaning.line("tasklets, Stackless Python 2006", past_tasklets, 1.5, dashes);
        meaning.line("threads, Python 2006", past_threads, 1.5, dashes);
        if (has_refusals_) meaning.cross("refused by the operating system", grey);
    }

    void draw_grid(svg& to) const {
        for (double t = y_.low; t <= y_.high * 1.01; t *= 10) {
            to.line({where_.left, y_.at(t)}, {where_.right(), y_.at(t)}, grid_colour);
            to.text({where_.left - 8, y_.at(t) + 4}, tick(t), "end");
        }
        double room_from = 0;
        for (const auto* row : rows_) {
            const double x = x_of(*row), half = text_width(grouped(row->players), 13) / 2;
            if (x - half < room_from) continue;
            to.text({x, where_.bottom() + 20}, grouped(row->players), "middle");
            room_from = x + half + 6;
        }
    }
    static std::string tick(double seconds) {
        if (seconds > 0.9) return fmt::format("{:.0f} s", seconds);
        if (seconds > 0.9e-3) return fmt::format("{:.0f} ms", seconds * 1e3);
        return fmt::format("{:.0f} µs", seconds * 1e6);
    }

    /// All lines before all labels: what lies under a label's rim can be read no more.
    void draw_lines(svg& to) const {
        label_placer labels({where_.left, where_.top, where_.right(), where_.bottom()});
        draw_2006(to, labels, &measured_in_2006::threads_s, past_threads);
        draw_2006(to, labels, &measured_in_2006::tasklets_s, past_tasklets);
        draw_engine(to, labels, &table_row::threads, thread_colour, where_.top + 8);
        draw_engine(to, labels, &table_row::tasklets, tasklet_colour, where_.top + 24);
        label_engine(to, labels, &table_row::tasklets, tasklet_colour);
        label_engine(to, labels, &table_row::threads, thread_colour);
    }
    void draw_2006(svg& to, label_placer& labels, double measured_in_2006::*time, std::string_view colour) const {
        std::vector<point> points;
        for (const auto& then : in_2006) {
            const auto players = static_cast<double>(then.players);
            if (players < x_.low || players > x_.high || then.*time <= 0) continue;
            points.push_back({x_.at(players), y_of(then.*time)});
        }
        to.path(points, colour, 1.5, dashes);
        labels.keep_off(points);
    }
    void draw_engine(svg& to, label_placer& labels, engine_of engine, std::string_view colour,
                     double height_of_refusals) const {
        std::vector<point> points;
        for (const auto* row : rows_) {
            const auto& o = row->*engine;
            if (is_played(o)) points.push_back({x_of(*row), y_of(o->total_s())});
            if (is_refused(o)) to.cross({x_of(*row), height_of_refusals}, colour);
        }
        to.path(points, colour, 2.5);
        labels.keep_off(points);
        for (point p : points) {
            to.dot(p, 4, colour);
            labels.keep_off(box{p.x - 4, p.y - 4, p.x + 4, p.y + 4});
        }
    }
    void label_engine(svg& to, label_placer& labels, engine_of engine, std::string_view colour) const {
        for (const auto* row : rows_)
            if (const auto& o = row->*engine; is_played(o))
                labels.place(to, {x_of(*row), y_of(o->total_s())}, duration(o->total_s()), colour);
    }
    [[nodiscard]] double x_of(const table_row& row) const { return x_.at(static_cast<double>(row.players)); }
    [[nodiscard]] double y_of(double seconds) const { return y_.at(std::clamp(seconds, y_.low, y_.high)); }

    panel where_;
    std::vector<const table_row*> rows_;     // by players
    bool has_refusals_ = false;
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
        for (std::size_t i = 0; i < games_.size(); ++i) label_bar(to, i);
        to.text({where_.left + where_.width / 2, where_.bottom() + 42},
                g.played_by != engine::threads ? "workers (each bar divided by who ran the players)" : "cores",
                "middle");
    }

private:
    static constexpr std::string_view dashes = "5 4", ideal_colour = "#555555";

    static std::string_view colour_of(std::size_t worker) { return worker % 2 ? "#5ba9d6" : tasklet_colour; }

    /// Where the bar is divided, from below: at the bottom, between the workers, at the top.
    [[nodiscard]] std::vector<double> edges_of(std::size_t i) const {
        const outcome& o = games_[i];
        std::vector<double> edges = {y(0)};
        for (double share : o.shares) edges.push_back(edges.back() - share * (y(0) - y(o.kicks_per_s())));
        if (o.shares.empty()) edges.push_back(y(o.kicks_per_s()));
        return edges;
    }
    void draw_bar(svg& to, std::size_t i) const {
        const std::vector<double> edges = edges_of(i);
        for (std::size_t worker = 0; worker + 1 < edges.size(); ++worker)
            to.rect({centre(i) - bar_width() / 2, edges[worker + 1]}, bar_width(), edges[worker] - edges[worker + 1],
                    colour_of(worker));
        const unsigned workers = games_[i].played.workers;
        if (i == 0 || workers % workers_between_ticks() == 0)
            to.text({centre(i), where_.bottom() + 20}, fmt::format("{}", workers), "middle");
    }
    /// A dash across each bar; one line where the bars are too narrow for that.
    void draw_ideal(svg& to) const {
        where_.start_legend(to).line("one worker's kicks times the workers", ideal_colour, 1.5, dashes);
        std::vector<point> points;
        for (std::size_t i = 0; i < games_.size(); ++i) points.push_back({centre(i), ideal(i)});
        if (bar_width() < 16) return to.path(points, ideal_colour, 1.5, dashes);
        const double half = bar_width() / 2 + 4;
        for (std::size_t i = 1; i < points.size(); ++i)
            to.line({points[i].x - half, points[i].y}, {points[i].x + half, points[i].y}, ideal_colour, 1.5, dashes);
    }
    void label_bar(svg& to, std::size_t i) const {
        const std::vector<double> edges = edges_of(i);
        for (std::size_t worker = 0; worker < games_[i].shares.size(); ++worker)
            if (games_[i].shares.size() > 1 && edges[worker] - edges[worker + 1] > 16 && bar_width() > 34)
                to.label({centre(i), (edges[worker] + edges[worker + 1]) / 2 + 4},
                         fmt::format("{:.0f} %", games_[i].shares[worker] * 100), "#ffffff", 12, false,
                         colour_of(worker));

        const std::string words = words_for(i);
        if (words.empty()) return;
        const double half = text_width(words, 12, true) / 2;
        const double x = std::clamp(centre(i), where_.left + half, where_.right() - half);
        double above = where_.bottom();
        for (std::size_t other = 0; other < games_.size(); ++other)
            if (std::abs(centre(other) - x) < half + bar_width() / 2) above = std::min(above, height_over(other));
        to.label({x, above - 7}, words, "#111111", 12, true);
    }
    /// As much as there is room for: narrow bars have words only at the ends.
    [[nodiscard]] std::string words_for(std::size_t i) const {
        const double kicks = games_[i].kicks_per_s(), room = slot() - 6;
        const std::string words = rounded(kicks);
        if (text_width(words, 12, true) > room) return i == 0 || i + 1 == games_.size() ? words : "";
        if (per_worker_ <= 0 || i == 0) return words;
        const std::string more = fmt::format("{}  (x {:.2f})", words, kicks / per_worker_);
        return text_width(more, 12, true) <= room ? more : words;
    }
    /// Where words over this bar hide neither it nor the ideal.
    [[nodiscard]] double height_over(std::size_t i) const {
        const double bar = y(games_[i].kicks_per_s());
        return per_worker_ > 0 && ideal(i) < bar && bar - ideal(i) < 24 ? ideal(i) : bar;
    }
    [[nodiscard]] double ideal(std::size_t i) const noexcept { return y(per_worker_ * games_[i].played.workers); }
    [[nodiscard]] double bar_width() const noexcept { return std::min(90.0, slot() * 0.62); }
    [[nodiscard]] unsigned workers_between_ticks() const noexcept {
        unsigned n = 1;
        while (n * slot() < 28) n *= 2;
        return n;
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

/// The whole picture as the text of an SVG file: the panels for which there are results. Empty if there are none at all.
[[nodiscard]] inline std::string to_svg(const results& r) {
    const bool has_table = !r.table.empty();
    const bool has_sweep =
        std::any_of(r.sweep.begin(), r.sweep.end(), [](const outcome& o) { return o.kicks_per_s() > 0; });
    if (!has_table && !has_sweep) return {};
    constexpr double table_width = 560, sweep_width = 420, margin = 75, top = 114, height = 360;
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
