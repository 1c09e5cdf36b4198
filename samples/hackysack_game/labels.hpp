// Where the words go in a plot: near what they name, off the lines, and never over other words.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "svg.hpp"

namespace hackysack {

/// A rectangle of the picture.
struct box {
    double left = 0, top = 0, right = 0, bottom = 0;

    [[nodiscard]] bool has(point p) const noexcept {
        return left <= p.x && p.x <= right && top <= p.y && p.y <= bottom;
    }
    [[nodiscard]] bool meets(const box& b) const noexcept {
        return left < b.right && b.left < right && top < b.bottom && b.top < bottom;
    }
    [[nodiscard]] bool lies_in(const box& b) const noexcept {
        return b.left <= left && right <= b.right && b.top <= top && bottom <= b.bottom;
    }
};

/// Finds room for labels. First tell it everything that it must keep off, then place the labels, the important ones
/// first.
class label_placer {
public:
    explicit label_placer(const box& within) : within_(within) {}

    void keep_off(const box& b) { taken_.push_back(b); }
    void keep_off(const std::vector<point>& line) {
        for (std::size_t i = 1; i < line.size(); ++i) keep_off(line[i - 1], line[i]);
    }

    /// Writes it on the side of `p` where it hides least of the lines. Leaves it out where every side has words already.
    void place(svg& to, point p, std::string_view words, std::string_view colour) {
        const double width = text_width(words, size);
        const box* best = nullptr;
        double least = std::numeric_limits<double>::max();
        const std::vector<box> sides = around(p, width);
        for (const box& side : sides) {
            if (!side.lies_in(within_) || meets_words(side)) continue;
            if (const auto hidden = hidden_by(side); hidden < least) {
                least = hidden;
                best = &side;
            }
        }
        if (!best) return;
        to.label({(best->left + best->right) / 2, best->bottom - 2}, words, colour, size);
        taken_.push_back({best->left - gap, best->top, best->right + gap, best->bottom});
    }

private:
    static constexpr int size = 12;
    static constexpr double height = size + 2, away = 7, gap = 3;

    /// Below, above, right, left, and the corners: what is liked better comes first.
    static std::vector<box> around(point p, double width) {
        std::vector<box> sides;
        const auto centred_at = [&](double x, double y) {
            sides.push_back({x - width / 2, y - height / 2, x + width / 2, y + height / 2});
        };
        const double dx = away + width / 2, dy = away + height / 2;
        for (double y : {dy, -dy}) centred_at(p.x, p.y + y);
        for (double x : {dx, -dx}) centred_at(p.x + x, p.y);
        for (double y : {dy, -dy})
            for (double x : {dx, -dx}) centred_at(p.x + x * 0.8, p.y + y * 0.8);
        return sides;
    }
    void keep_off(point from, point to) {
        const double steps = std::max(1.0, std::ceil(std::hypot(to.x - from.x, to.y - from.y) / 2));
        for (double i = 0; i <= steps; ++i)
            inked_.push_back({from.x + (to.x - from.x) * i / steps, from.y + (to.y - from.y) * i / steps});
    }
    [[nodiscard]] bool meets_words(const box& b) const {
        return std::any_of(taken_.begin(), taken_.end(), [&](const box& other) { return other.meets(b); });
    }
    [[nodiscard]] double hidden_by(const box& b) const {
        return static_cast<double>(std::count_if(inked_.begin(), inked_.end(), [&](point p) { return b.has(p); }));
    }

    const box within_;
    std::vector<box> taken_;
    std::vector<point> inked_;               // the lines, a point every two pixels
};

/// What the lines and marks mean, in rows above the plot.
class legend {
public:
    legend(svg& to, point corner, double width) : to_(to), at_(corner), left_(corner.x), right_(corner.x + width) {}

    void line(std::string_view words, std::string_view colour, double width, std::string_view dashes = "none") {
        const point p = next(words);
        to_.line({p.x, p.y - 4}, {p.x + sample, p.y - 4}, colour, width, dashes);
    }
    void cross(std::string_view words, std::string_view colour) {
        const point p = next(words);
        to_.cross({p.x + sample / 2, p.y - 4}, colour);
    }

private:
    static constexpr int size = 12;
    static constexpr double sample = 26, gap = 20, row = 18;

    /// Writes the words and gives the place of what stands before them.
    point next(std::string_view words) {
        const double width = sample + 6 + text_width(words, size);
        if (at_.x > left_ && at_.x + width > right_) at_ = {left_, at_.y + row};
        const point here = at_;
        to_.text({here.x + sample + 6, here.y}, words, "start", "#555555", size);
        at_.x += width + gap;
        return here;
    }

    svg& to_;
    point at_;
    const double left_, right_;
};

}  // namespace hackysack
