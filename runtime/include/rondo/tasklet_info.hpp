// What Rondo tells about a tasklet from outside: in dumps, deadlock reports and idle reports.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rondo {

/// What a tasklet was doing at the moment of the report.
enum class tasklet_state : std::uint8_t { fresh, ready, running, suspended, done };

[[nodiscard]] const char* to_string(tasklet_state state) noexcept;

struct tasklet_info {
    std::uint64_t id = 0;
    std::uint64_t parent = 0;                         ///< id of the tasklet that spawned it; 0: a plain thread
    std::string name;                                 ///< empty: none was given
    std::string role;                                 ///< "handler of actor 2 "bob" (bank)"; empty: nobody's
    tasklet_state state = tasklet_state::fresh;
    std::string waits_for;                            ///< "a sender on channel 0x7f..", "sleep", ...; empty: does not
    std::string held_by;                              ///< who holds that, where known
    std::chrono::steady_clock::duration waited{};     ///< since when, as of the report; coarse
    std::string spawn_site;                           ///< file:line, function; of a handler: its actor's. Empty: not known
    std::vector<std::string> backtrace;               ///< of a suspended tasklet, innermost frame first; may be empty
};

/// One line: `tasklet 7 "husband", suspended, waits for a sender on channel 0x... since 1.2 s; spawned at dinner.cpp:12 (f)`.
[[nodiscard]] std::string describe(const tasklet_info& info);

}  // namespace rondo
