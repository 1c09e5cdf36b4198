// The results for programs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "machine.hpp"
#include "outcome.hpp"
#include "results.hpp"

namespace hackysack {
namespace detail {

[[nodiscard]] inline std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else out += c;
    }
    return out + '"';
}

[[nodiscard]] inline std::string to_json(const outcome& o) {
    const game& g = o.played;
    std::string shares;
    for (double share : o.shares) shares += fmt::format("{}{:.6f}", shares.empty() ? "" : ", ", share);
    return fmt::format(
        R"({{"engine": "{}", "workers": {}, "circles": {}, "players": {}, "bags": {}, "kicks": {}, "slots": {}, )"
        R"("seed": {}, "kicks_made": {}, "kicks_per_s": {:.1f}, "set_up_s": {:.9f}, "play_s": {:.9f}, )"
        R"("end_s": {:.9f}, "bytes_per_player": {:.1f}, "shares": [{}], "steals": {}, "interrupted": {}, "refused": {}}})",
        name_of(g.played_by), g.workers, g.circles, g.players, g.bags, g.kicks, g.slots, g.seed, o.kicks(),
        o.kicks_per_s(), o.set_up_s, o.play_s, o.end_s, o.bytes_per_player, shares, o.steals,
        o.interrupted, o.refused.empty() ? "null" : detail::quoted(o.refused));
}
[[nodiscard]] inline std::string to_json(const std::optional<outcome>& o) { return o ? to_json(*o) : "null"; }

}  // namespace detail

[[nodiscard]] inline std::string to_json(const results& r) {
    std::string out = fmt::format("{{\n\"program\": \"hackysack\",\n\"cores\": {},\n\"interrupted\": {},\n\"games\": [",
                                  usable_cores(), r.interrupted);
    const char* comma = "\n";
    for (const outcome& o : r.sweep) out += std::exchange(comma, ",\n") + detail::to_json(o);
    out += "\n],\n\"table\": [";
    comma = "\n";
    for (const table_row& row : r.table)
        out += fmt::format("{}{{\"players\": {},\n \"tasklets\": {},\n \"threads\": {}}}", std::exchange(comma, ",\n"),
                           row.players, detail::to_json(row.tasklets), detail::to_json(row.threads));
    return out + "\n]\n}\n";
}

}  // namespace hackysack
