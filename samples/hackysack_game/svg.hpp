// As much of SVG as a plot needs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace hackysack {

struct point {
    double x = 0, y = 0;
};

/// About how wide the words come out, which nobody knows before a font has been found.
[[nodiscard]] inline double text_width(std::string_view words, int size, bool is_bold = false) noexcept {
    double letters = 0;
    for (char c : words)
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++letters;    // not for the later bytes of UTF-8
    return letters * size * (is_bold ? 0.6 : 0.56);
}

/// Draws shapes one over the other; text() gives the whole file.
class svg {
public:
    svg(double width, double height) {
        out_ = fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" )"
                           R"(font-family="system-ui, 'Liberation Sans', Arial, sans-serif" font-size="13">)"
                           "\n",
                           width, height);
        rect({0, 0}, width, height, "#ffffff");
    }

    void line(point a, point b, std::string_view colour, double width = 1, std::string_view dashes = "none") {
        out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
                            "stroke-width=\"{}\" stroke-dasharray=\"{}\"/>\n",
                            a.x, a.y, b.x, b.y, colour, width, dashes);
    }
    void path(const std::vector<point>& points, std::string_view colour, double width = 2,
              std::string_view dashes = "none") {
        out_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" "
                            "stroke-dasharray=\"{}\" points=\"",
                            colour, width, dashes);
        for (point p : points) out_ += fmt::format("{:.1f},{:.1f} ", p.x, p.y);
        out_ += "\"/>\n";
    }
    void dot(point p, double radius, std::string_view colour) {
        out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>\n", p.x, p.y, radius, colour);
    }
    void rect(point corner, double width, double height, std::string_view colour) {
        out_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
                            corner.x, corner.y, width, height, colour);
    }
    void cross(point p, std::string_view colour) {
        line({p.x - 5, p.y - 5}, {p.x + 5, p.y + 5}, colour, 2.5);
        line({p.x - 5, p.y + 5}, {p.x + 5, p.y - 5}, colour, 2.5);
    }
    /// `anchor`: start, middle or end.
    void text(point p, std::string_view words, std::string_view anchor = "start", std::string_view colour = "#333333",
              int size = 13, bool is_bold = false) {
        write(p, words, anchor, colour, size, is_bold, "");
    }
    /// In the middle above p, with a rim in the colour of what lies behind it, so that it can be read over lines, too.
    void label(point p, std::string_view words, std::string_view colour, int size = 12, bool is_bold = false,
               std::string_view behind = "#ffffff") {
        write(p, words, "middle", colour, size, is_bold,
              fmt::format(" stroke=\"{}\" stroke-width=\"4\" stroke-linejoin=\"round\" paint-order=\"stroke\"", behind));
    }

    [[nodiscard]] std::string file() && { return std::move(out_) + "</svg>\n"; }

private:
    void write(point p, std::string_view words, std::string_view anchor, std::string_view colour, int size,
               bool is_bold, std::string_view more) {
        out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\" "
                            "font-size=\"{}\"{}{}>{}</text>\n",
                            p.x, p.y, anchor, colour, size, is_bold ? " font-weight=\"600\"" : "", more, escaped(words));
    }
    static std::string escaped(std::string_view words) {
        std::string out;
        for (char c : words) {
            if (c == '&') out += "&amp;";
            else if (c == '<') out += "&lt;";
            else out += c;
        }
        return out;
    }
    std::string out_;
};

}  // namespace hackysack
