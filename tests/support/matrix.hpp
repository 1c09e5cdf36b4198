// The table of all waits: what a row is. matrix_walk.hpp goes through it; channels/matrix_*.cpp and actors/matrix_test.cpp
// fill it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <rondo/channel.hpp>
#include <rondo/select.hpp>

namespace matrix {

// What a call comes to: "done", "late" (its time was up), "not now" (it does not wait), "closed"; "stopped".
using outcome = std::string;

inline constexpr std::chrono::hours long_enough{1};
// How long those wait that give up: long where they need not, since a thread may lose its core before it has looked.
inline std::chrono::steady_clock::duration patience = long_enough;

// A wait in all its forms. A form that is missing is a hole in the table: `holes` says why.
struct calls {
    std::function<outcome()> plain;
    std::function<outcome()> another;                     // the same by another name: next(), send_all()
    std::function<outcome()> attempt;                     // try_...
    std::function<outcome(std::chrono::steady_clock::duration)> for_some_time;
    std::function<outcome(rondo::lowlevel::time_point)> until;
    // The five that follow: alone; among others; with a limit; not waiting; where a stop is one of the clauses.
    std::function<outcome()> select, select_more, select_after, select_otherwise, select_stopping;
};

// What is waited for, made anew for each run.
struct subject {
    calls by;
    std::function<void()> allow;                          // so that the call can go ahead
    std::function<void()> close;                          // empty: there is no such thing
    std::function<void(bool is_done)> check;              // afterwards: nothing is lost, nobody is left in a queue
    std::function<bool()> waits = {};                     // of a call that may wait through others, on top of it
};

struct row {
    std::string name;
    std::function<subject()> make;
    const char* holes = "";                               // why forms are missing, if some are
    bool never_waits = false;
    bool meets = false;                                   // allow() itself waits for the call
    const char* attempt_on_closed = "closed";
    bool takes_time = false;                              // also once it is allowed: a limit that has passed may come first
    bool asks_for_a_stop = true;                          // also where it need not wait
    enum class by : bool { everybody, tasklets } where = by::everybody;      // who can call it, and waits then
    bool can_be_left = true;                              // false: neither a limit nor a stop ends the wait
};

inline outcome text(bool done, const char* otherwise) { return done ? "done" : otherwise; }
inline outcome text(rondo::send_status s) {
    using enum rondo::send_status::code;
    return s == done ? "done" : s == full ? "not now" : s == closed ? "closed" : "late";
}

// clause(f) makes a clause that calls f() once it has gone ahead. Beside it: itself once more, or, if two of the kind cannot
// be in one select, a channel on which nothing happens.
enum class beside : bool { itself, an_idle_channel };
template <class Clause>
void add_selects(calls& by, Clause clause, beside what = beside::itself) {
    by.select = [=] {
        outcome end = "closed";
        const bool any = rondo::select(clause([&] { end = "done"; }));
        return any == (end == "done") ? end : "?";
    };
    by.select_more = [=] {
        outcome end = "closed";
        const auto done = [&] { end = "done"; };
        const auto nothing = [](auto...) {};
        bool any;
        if (what == beside::itself) {
            any = rondo::select(clause(done), rondo::after(long_enough, nothing), clause(done));
        } else {
            const rondo::channel<int> idle;
            any = rondo::select(rondo::in_order, rondo::from(idle, nothing), clause(done));
        }
        return any == (end == "done") ? end : "?";
    };
    by.select_after = [=] {
        outcome end = "closed";
        rondo::select(clause([&] { end = "done"; }), rondo::after(patience, [&] { end = "late"; }));
        return end;
    };
    by.select_otherwise = [=] {
        outcome end = "closed";
        rondo::select(clause([&] { end = "done"; }), rondo::otherwise([&] { end = "not now"; }));
        return end;
    };
    by.select_stopping = [=] {
        outcome end = "closed";
        rondo::select(clause([&] { end = "done"; }), rondo::stopping([&] { end = "stopped"; }));
        return end;
    };
}

}  // namespace matrix
