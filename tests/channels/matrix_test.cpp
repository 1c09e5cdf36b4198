// Every wait of a channel, in every form, from tasklets and from plain threads, over every kind of channel: that it goes
// ahead when it can at once, that it goes ahead when a partner comes later, that it ends when it must, and that it leaves
// nobody in the queue. One table, all its combinations.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using line = rondo::channel<int>;

namespace {

constexpr auto nothing = [](auto&&...) {};

// ---- who waits

struct place {
    const char* name;
    // Runs f there and gives what it comes to. `watch` runs meanwhile on the test's own thread.
    std::function<std::string(const std::function<std::string()>& f, const std::function<void()>& watch)> run;
};

std::string told(const std::function<std::string()>& f) {
    std::string result;
    const auto end = end_of([&] { result = f(); });
    return end == "returned" ? result : end;
}

const std::array<place, 3> places{{
    {"a tasklet, one worker",
     [](auto& f, auto& watch) {
         rondo::runtime rt({.workers = 1});
         std::string result;
         auto t = rt.spawn([&] { result = told(f); });
         watch();
         t.join();
         return result;
     }},
    {"a tasklet, two workers",
     [](auto& f, auto& watch) {
         rondo::runtime rt({.workers = 2});
         std::string result;
         auto t = rt.spawn([&] { result = told(f); });
         watch();
         t.join();
         return result;
     }},
    {"a plain thread",
     [](auto& f, auto& watch) {
         std::string result;
         std::thread t([&] { result = told(f); });
         watch();
         t.join();
         return result;
     }},
}};

// ---- on what

struct kind {
    const char* name;
    std::function<line()> make;
    std::size_t slots;                   // how many sends it takes before one waits; unbounded: npos
};
constexpr auto npos = rondo::detail::no_limit;
const std::array<kind, 8> kinds{{
    {"rendezvous", [] { return line{}; }, 0},
    {"rendezvous, to the sender", [] { return line{rondo::handoff::sender}; }, 0},
    {"rendezvous, to nobody", [] { return line{rondo::handoff::none}; }, 0},
    {"one slot", [] { return line{1}; }, 1},
    {"three slots", [] { return line{3}; }, 3},
    {"unbounded", [] { return line{rondo::unbounded}; }, npos},
    {"spin lock", [] { return line{rondo::spin_locked}; }, 0},
    {"spin lock, two slots", [] { return line{rondo::spin_locked, 2}; }, 2},
}};

// ---- in which form

struct form {
    const char* name;
    std::function<std::string(line&)> send, receive;      // "done", the value, or what else it came to
    bool waits;                                           // for a partner that comes later
    bool gives_up;                                        // after a short while
    const char* on_close_send;                            // what they come to on a closed channel
    const char* on_close_receive;
};

constexpr auto long_enough = 1h;
// How long those wait that give up: long where they need not, since a thread may lose its core before it has looked.
std::chrono::steady_clock::duration patience = long_enough;

std::string text(const std::optional<int>& v) { return v ? std::to_string(*v) : "none"; }
std::string text(rondo::send_status s) {
    return s ? "done" : s == rondo::send_status::full ? "full" : s == rondo::send_status::closed ? "closed" : "late";
}

const std::array<form, 13> forms{{
    {"plain", [](line& c) { return c.send(7), std::string("done"); },
     [](line& c) { return std::to_string(c.receive()); }, true, false, "closed", "closed"},
    {"next and send_all", [](line& c) { return c.send_all(std::array{7}) == 1 ? "done" : "?"; },
     [](line& c) { return text(c.next()); }, true, false, "closed", "none"},
    {"try", [](line& c) { return text(c.try_send(7)); }, [](line& c) { return text(c.try_receive()); }, false, false,
     "closed", "none"},
    {"for, long", [](line& c) { return text(c.send_for(7, long_enough)); },
     [](line& c) { return text(c.receive_for(long_enough)); }, true, false, "closed", "closed"},
    {"for, short", [](line& c) { return text(c.send_for(7, patience)); }, [](line& c) { return text(c.receive_for(patience)); },
     false, true, "closed", "closed"},
    {"until, long", [](line& c) { return text(c.send_until(7, std::chrono::steady_clock::now() + long_enough)); },
     [](line& c) { return text(c.receive_until(std::chrono::steady_clock::now() + long_enough)); }, true, false, "closed",
     "closed"},
    {"until, past", [](line& c) { return text(c.send_until(7, std::chrono::steady_clock::now() - 1s)); },
     [](line& c) { return text(c.receive_until(std::chrono::steady_clock::now() - 1s)); }, false, true, "closed",
     "closed"},
    {"within, long",
     [](line& c) { return rondo::within(long_enough, [&] { c.send(7); }) ? "done" : "late"; },
     [](line& c) { return text(rondo::within(long_enough, [&] { return c.receive(); })); }, true, false, "closed",
     "closed"},
    {"within, short", [](line& c) { return rondo::within(patience, [&] { c.send(7); }) ? "done" : "late"; },
     [](line& c) { return text(rondo::within(patience, [&] { return c.receive(); })); }, false, true, "closed", "closed"},
    {"select",
     [](line& c) { return rondo::select(rondo::to(c, 7, nothing)) ? "done" : "closed"; },
     [](line& c) {
         std::string got = "none";
         rondo::select(rondo::from(c, [&](int v) { got = std::to_string(v); }));
         return got;
     },
     true, false, "closed", "none"},
    {"select, several clauses",
     [](line& c) {
         std::string end = "closed";
         const auto done = [&] { end = "done"; };
         const bool any = rondo::select(rondo::to(c, 7, done), rondo::to(c, 7, done), rondo::after(1h, nothing));
         return any == (end == "done") ? end : "?";
     },
     [](line& c) {
         std::string got = "none";
         const auto take = [&](int v) { got = std::to_string(v); };
         const bool any = rondo::select(rondo::in_order, rondo::from(c, take), rondo::after(1h, nothing),
                                        rondo::from(c, take));
         return any == (got != "none") ? got : "?";
     },
     true, false, "closed", "none"},
    {"select, after",
     [](line& c) {
         std::string end = "closed";
         rondo::select(rondo::to(c, 7, [&] { end = "done"; }), rondo::after(patience, [&] { end = "late"; }));
         return end;
     },
     [](line& c) {
         std::string got = "none";
         rondo::select(rondo::from(c, [&](int v) { got = std::to_string(v); }), rondo::after(patience, nothing));
         return got;
     },
     false, true, "closed", "none"},
    {"select, otherwise",
     [](line& c) {
         std::string end = "closed";
         rondo::select(rondo::to(c, 7, [&] { end = "done"; }), rondo::otherwise([&] { end = "full"; }));
         return end;
     },
     [](line& c) {
         std::string got = "none";
         rondo::select(rondo::from(c, [&](int v) { got = std::to_string(v); }), rondo::otherwise(nothing));
         return got;
     },
     false, false, "closed", "none"},
}};

void until(const std::function<bool()>& holds) {
    while (!holds()) std::this_thread::yield();
}
const auto no_watch = [] {};

void fill(line& c, const kind& k) {
    for (std::size_t i = 0; k.slots != npos && i < k.slots; ++i) REQUIRE(c.try_send(static_cast<int>(i)));
}
// Nobody waits, and the channel holds `size` values.
void check_no_trace(line& c, std::size_t size) {
    CHECK(c.balance() == 0);
    CHECK(c.size() == size);
}

}  // namespace

TEST_CASE("every wait of a channel, in every form, everywhere, on every kind", "[channel][matrix]") {
    for (const auto& where : places)
        for (const auto& k : kinds)
            for (const auto& how : forms) {
                INFO(where.name << "; " << k.name << "; " << how.name);
                const bool bounded = k.slots != npos;
                const std::size_t full = bounded ? k.slots : 0;

                {                                                       // a receive that need not wait
                    line c = k.make();
                    std::optional<std::thread> partner;
                    if (k.slots == 0) {
                        partner.emplace([&] { c.send(5); });
                        until([&] { return c.balance() > 0; });
                    } else {
                        c.send(5);
                    }
                    CHECK(where.run([&] { return how.receive(c); }, no_watch) == "5");
                    if (partner) partner->join();
                    check_no_trace(c, 0);
                }
                {                                                       // a send that need not wait
                    line c = k.make();
                    std::optional<std::thread> partner;
                    int got = 0;
                    if (k.slots == 0) {
                        partner.emplace([&] { got = c.receive(); });
                        until([&] { return c.balance() < 0; });
                    }
                    CHECK(where.run([&] { return how.send(c); }, no_watch) == "done");
                    if (partner) partner->join();
                    else got = c.try_receive().value_or(0);
                    CHECK(got == 7);
                    check_no_trace(c, 0);
                }
                if (how.waits) {                                        // whose partner comes later
                    {
                        line c = k.make();
                        CHECK(where.run([&] { return how.receive(c); }, [&] {
                                  until([&] { return c.balance() < 0; });
                                  c.send(5);
                              }) == "5");
                        check_no_trace(c, 0);
                    }
                    if (bounded) {
                        line c = k.make();
                        fill(c, k);
                        CHECK(where.run([&] { return how.send(c); }, [&] {
                                  until([&] { return c.balance() > 0; });
                                  for (std::size_t i = 0; i < k.slots; ++i)
                                      CHECK(c.receive() == static_cast<int>(i));
                                  CHECK(c.receive() == 7);
                              }) == "done");
                        check_no_trace(c, 0);
                    }
                    {                                                   // that is closed while they wait
                        line c = k.make();
                        CHECK(where.run([&] { return how.receive(c); }, [&] {
                                  until([&] { return c.balance() < 0; });
                                  c.close();
                              }) == how.on_close_receive);
                        check_no_trace(c, 0);
                    }
                    if (bounded) {
                        line c = k.make();
                        fill(c, k);
                        CHECK(where.run([&] { return how.send(c); }, [&] {
                                  until([&] { return c.balance() > 0; });
                                  c.close();
                              }) == how.on_close_send);
                        check_no_trace(c, full);
                    }
                } else {                                                // that does not wait, or not for long
                    patience = 3ms;
                    {
                        line c = k.make();
                        CHECK(where.run([&] { return how.receive(c); }, no_watch) == "none");
                        check_no_trace(c, 0);
                    }
                    if (bounded) {
                        line c = k.make();
                        fill(c, k);
                        CHECK(where.run([&] { return how.send(c); }, no_watch) == (how.gives_up ? "late" : "full"));
                        check_no_trace(c, full);
                    }
                    patience = long_enough;
                }
                {                                                       // on a closed channel
                    line c = k.make();
                    c.close();
                    CHECK(where.run([&] { return how.receive(c); }, no_watch) == how.on_close_receive);
                    CHECK(where.run([&] { return how.send(c); }, no_watch) == how.on_close_send);
                    check_no_trace(c, 0);
                }
            }
}

TEST_CASE("a stop reaches every wait of a channel, in every form, on every kind", "[channel][matrix][stop]") {
    for (const unsigned workers : {1u, 2u})
        for (const auto& k : kinds)
            for (const auto& how : forms) {
                if (!how.waits) continue;
                INFO(workers << " workers; " << k.name << "; " << how.name);
                rondo::runtime rt({.workers = workers});
                line c = k.make();
                std::string end;
                auto t = rt.spawn([&] { end = told([&] { return how.receive(c); }); });
                until([&] { return c.balance() < 0; });
                t.stop();
                t.join();
                CHECK(end == "stopped");
                check_no_trace(c, 0);
                if (k.slots == npos) continue;
                fill(c, k);
                auto u = rt.spawn([&] { end = told([&] { return how.send(c); }); });
                until([&] { return c.balance() > 0; });
                u.stop();
                u.join();
                CHECK(end == "stopped");
                check_no_trace(c, k.slots);
            }
}
