// Goes through a table of waits (matrix.hpp): every wait, in every form, from tasklets and from plain threads. That it goes
// ahead when it can at once, that it goes ahead when it can later, that it ends when it must, and that it leaves no trace.
#pragma once

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"
#include "support/matrix.hpp"

namespace matrix {

inline std::string told(const std::function<outcome()>& f) {
    outcome result;
    const auto end = support::end_of([&] { result = f(); });
    return end == "returned" ? result : end;
}

inline void until(const std::function<bool()>& holds) {
    while (!holds()) std::this_thread::yield();
}

// A call that another tasklet or thread makes.
class caller {
public:
    // In the call: its waiter says what it waits for.
    [[nodiscard]] bool waits() const {
        const auto* who = who_.load();
        const auto kind = who ? who->kind.load() : rondo::lowlevel::wait_kind::none;
        return kind != rondo::lowlevel::wait_kind::none && kind != rondo::lowlevel::wait_kind::yield;
    }
    [[nodiscard]] bool has_ended() const { return has_ended_.load(); }
    void until_it_waits(const std::function<bool()>& through_others = {}) const {
        until([&] { return waits() || has_ended() || (through_others && through_others()); });
    }
    void call(const std::function<outcome()>& f) {
        who_.store(&rondo::lowlevel::self());
        result_ = told(f);
        has_ended_.store(true);
    }
    [[nodiscard]] outcome result() const { return result_; }

private:
    std::atomic<const rondo::lowlevel::waiter*> who_{nullptr};
    std::atomic<bool> has_ended_{false};
    outcome result_;
};

// ---- who waits

struct place {
    const char* name;
    // Runs f there and gives what it comes to. `meanwhile` runs on the test's own thread.
    std::function<outcome(const std::function<outcome()>& f, const std::function<void(caller&)>& meanwhile)> run;
    bool is_tasklet = true;
};
inline std::vector<place> places() {
    const auto tasklet = [](unsigned workers) {
        const auto rt = std::make_shared<rondo::runtime>(rondo::runtime_options{.workers = workers});
        return [rt](auto& f, auto& meanwhile) {
            caller c;
            auto t = rt->spawn([&] { c.call(f); });
            meanwhile(c);
            t.join();
            return c.result();
        };
    };
    return {{"a tasklet, one worker", tasklet(1)},
            {"a tasklet, two workers", tasklet(2)},
            {"a plain thread", [](auto& f, auto& meanwhile) {
                 caller c;
                 std::thread t([&] { c.call(f); });
                 meanwhile(c);
                 t.join();
                 return c.result();
             }, false}};
}
inline constexpr auto nothing_meanwhile = [](caller&) {};

// ---- in which form

struct form {
    const char* name;
    std::function<std::function<outcome()>(const calls& by)> in;      // empty: it has none
    enum what : unsigned char { waits, gives_up, tries } how;
};
template <class Call, class... Args>
std::function<outcome()> bound(const Call& call, Args... args) {
    return call ? [=] { return call(args()...); } : std::function<outcome()>();
}
template <class Time>
std::function<outcome()> within(const calls& by, Time time) {
    return [call = by.plain, time] { return rondo::within(time(), call).value_or("late"); };
}
inline constexpr std::chrono::milliseconds short_time{3};
inline const std::array<form, 14> forms{{
    {"plain", [](auto& by) { return by.plain; }, form::waits},
    {"by another name", [](auto& by) { return by.another; }, form::waits},
    {"try", [](auto& by) { return by.attempt; }, form::tries},
    {"for, long", [](auto& by) { return bound(by.for_some_time, [] { return long_enough; }); }, form::waits},
    {"for, short", [](auto& by) { return bound(by.for_some_time, [] { return patience; }); }, form::gives_up},
    {"until, long", [](auto& by) { return bound(by.until, [] { return rondo::now() + long_enough; }); }, form::waits},
    {"until, past", [](auto& by) { return bound(by.until, [] { return rondo::now() - short_time; }); }, form::gives_up},
    {"within, long", [](auto& by) { return within(by, [] { return long_enough; }); }, form::waits},
    {"within, short", [](auto& by) { return within(by, [] { return patience; }); }, form::gives_up},
    {"select", [](auto& by) { return by.select; }, form::waits},
    {"select, more clauses", [](auto& by) { return by.select_more; }, form::waits},
    {"select, after", [](auto& by) { return by.select_after; }, form::gives_up},
    {"select, otherwise", [](auto& by) { return by.select_otherwise; }, form::tries},
    {"select, stopping", [](auto& by) { return by.select_stopping; }, form::waits},
}};

// ---- what must hold

inline void goes_ahead_at_once(const place& where, const row& r, const form& how) {
    const auto s = r.make();
    caller partner;
    std::thread allows;
    if (r.meets) {
        allows = std::thread([&] { partner.call([&] { return s.allow(), "allowed"; }); });
        partner.until_it_waits();
    } else {
        s.allow();
    }
    const auto end = where.run(how.in(s.by), nothing_meanwhile);
    const bool may_be_late = r.takes_time && std::string(how.name) == "until, past";
    if (!may_be_late || end != "late") CHECK(end == "done");
    if (allows.joinable()) allows.join();
    s.check(true);
}
inline void goes_ahead_later(const place& where, const row& r, const form& how) {
    const auto s = r.make();
    CHECK(where.run(how.in(s.by), [&](caller& c) {
              c.until_it_waits(s.waits);
              CHECK_FALSE(c.has_ended());
              s.allow();
          }) == "done");
    s.check(true);
}
inline void gives_up(const place& where, const row& r, const form& how) {
    patience = short_time;
    const auto s = r.make();
    CHECK(where.run(how.in(s.by), nothing_meanwhile) == (how.how == form::tries ? "not now" : "late"));
    s.check(false);
    patience = long_enough;
}
inline void is_closed_while_it_waits(const place& where, const row& r, const form& how) {
    const auto s = r.make();
    if (!s.close) return;
    CHECK(where.run(how.in(s.by), [&](caller& c) {
              c.until_it_waits(s.waits);
              s.close();
          }) == "closed");
    s.check(false);
}
inline void finds_it_closed(const place& where, const row& r, const form& how) {
    const auto s = r.make();
    if (!s.close) return;
    s.close();
    const bool is_try = std::string(how.name) == "try";
    CHECK(where.run(how.in(s.by), nothing_meanwhile) == (is_try ? r.attempt_on_closed : "closed"));
    s.check(false);
}
inline void is_stopped_while_it_waits(rondo::runtime& rt, const row& r, const form& how) {
    const auto s = r.make();
    {
        caller c;
        auto t = rt.spawn([&] { c.call(how.in(s.by)); });
        c.until_it_waits(s.waits);
        t.stop();
        t.join();
        CHECK(c.result() == "stopped");
    }
    caller again;                                         // it was as if it had never been there
    auto t = rt.spawn([&] { again.call(s.by.plain); });
    again.until_it_waits(s.waits);
    CHECK_FALSE(again.has_ended());
    s.allow();
    t.join();
    CHECK(again.result() == "done");
    s.check(true);
}
inline void a_stop_is_of_no_use(rondo::runtime& rt, const row& r, const form& how) {
    const auto s = r.make();
    caller c;
    auto t = rt.spawn([&] { c.call(how.in(s.by)); });
    c.until_it_waits(s.waits);
    t.stop();
    s.allow();
    t.join();
    CHECK(c.result() == "done");
    s.check(true);
}
inline void has_been_stopped_before(rondo::runtime& rt, const row& r, const form& how) {
    const auto s = r.make();
    if (!r.meets) s.allow();                              // it could go ahead
    caller c;
    rondo::event begin;
    rondo::tasklet<void> t;
    t = rt.spawn([&] {
        begin.wait();
        t.stop();
        c.call(how.in(s.by));
    });
    begin.set();
    t.join();
    CHECK(c.result() == "stopped");
}

// ---- all of it

using rows = std::vector<row>;

inline void every_form_is_there_or_it_is_said_why(const rows& all) {
    for (const auto& r : all) {
        INFO(r.name);
        const auto s = r.make();
        std::size_t missing = 0;
        for (const auto& how : forms) missing += !how.in(s.by);
        CHECK((missing == 0) == std::string(r.holes).empty());
    }
}

inline void every_wait_everywhere(const rows& all) {
    for (const auto& where : places())
        for (const auto& r : all)
            for (const auto& how : forms) {
                INFO(where.name << "; " << r.name << "; " << how.name);
                if (!how.in(r.make().by) || (r.where == row::by::tasklets && !where.is_tasklet)) continue;
                goes_ahead_at_once(where, r, how);
                finds_it_closed(where, r, how);
                if (r.never_waits) continue;
                if (how.how == form::waits) {
                    goes_ahead_later(where, r, how);
                    is_closed_while_it_waits(where, r, how);
                } else if (r.can_be_left) {
                    gives_up(where, r, how);
                }
            }
}

inline void a_stop_reaches_every_wait(const rows& all) {
    for (const unsigned workers : {1u, 2u}) {
        rondo::runtime rt({.workers = workers});
        for (const auto& r : all)
            for (const auto& how : forms) {
                INFO(workers << " workers; " << r.name << "; " << how.name);
                if (!how.in(r.make().by)) continue;
                if (how.how == form::waits && !r.never_waits)
                    (r.can_be_left ? is_stopped_while_it_waits : a_stop_is_of_no_use)(rt, r, how);
                if (r.asks_for_a_stop && std::string(how.name) != "try") has_been_stopped_before(rt, r, how);
            }
    }
}

}  // namespace matrix
