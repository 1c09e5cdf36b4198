// What Go's tests of select hold Go to (test/chan/{doubleselect,select3,select5,select6,select7}.go, runtime/chan_test.go),
// told of rondo::select in our own words.
// Rondo: a select whose channels are all closed returns false (Go's closed cases are always ready); a select without
// clauses does not compile (Go's waits for ever); a send and a receive on one channel in one select are refused (Go's
// never meet each other); there is no nil channel: a channel that nobody uses is never ready.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/tasklet.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using conformance::end_of;
using rondo::channel;
using rondo::from;
using rondo::otherwise;
using rondo::to;

TEST_CASE("a select never sends twice: double select", "[go][doubleselect]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 1);
    const int values = 1000;
    std::vector<int> seen(values);
    rondo::run({.workers = workers}, [&] {
        channel<int> a{slots}, b{slots}, c{slots}, d{slots}, merged;
        auto sender = rondo::spawn([=] {
            for (int i = 0; i < values; ++i)
                rondo::select(to(a, i + 0, [] {}), to(b, i + 0, [] {}), to(c, i + 0, [] {}), to(d, i + 0, [] {}));
            for (const auto& x : {a, b, c, d}) x.close();
        });
        std::vector<rondo::tasklet<void>> movers;
        for (const auto& x : {a, b, c, d})
            movers.push_back(rondo::spawn([x, merged] { for (int v : x) merged.send(v); }));
        auto closer = rondo::spawn([&movers, merged] {
            for (auto& m : movers) m.join();
            merged.close();
        });
        for (int v : merged) ++seen[static_cast<std::size_t>(v)];
        sender.join();
        closer.join();
    });
    CHECK(seen == std::vector<int>(values, 1));
}

TEST_CASE("of two channels that are always ready each is taken about half the time", "[go][fairness]") {
    const auto workers = GENERATE(1u, 2u);
    const int trials = 10'000;
    rondo::run({.workers = workers}, [&] {
        channel<int> a{static_cast<std::size_t>(trials) + 1}, b{static_cast<std::size_t>(trials) + 1};
        for (int i = 0; i < trials; ++i) {
            a.send(1);
            b.send(2);
        }
        std::array<int, 3> taken{};
        for (int i = 0; i < trials; ++i)
            rondo::select(from(a, [&](int v) { ++taken[static_cast<std::size_t>(v)]; }),
                          from(b, [&](int v) { ++taken[static_cast<std::size_t>(v)]; }));
        CHECK(taken[1] + taken[2] == trials);
        CHECK(taken[1] > trials * 4 / 10);            // 20 standard deviations from the half
        CHECK(taken[2] > trials * 4 / 10);
    });
}

TEST_CASE("with in_order the first that is ready is taken, always", "[go][fairness]") {
    rondo::run({.workers = 1}, [] {
        channel<int> a{100}, b{100};
        for (int i = 0; i < 100; ++i) {
            a.send(1);
            b.send(2);
        }
        int first = 0;
        for (int i = 0; i < 100; ++i)
            rondo::select(rondo::in_order, from(a, [&](int) { ++first; }), from(b, [](int) {}));
        CHECK(first == 100);
        CHECK(b.size() == 100);
    });
}

TEST_CASE("a select that could send a 0 or a 1 on one channel does both, about equally often", "[go][fairness]") {
    const auto workers = GENERATE(1u, 2u);
    const std::size_t slots = GENERATE(0, 1, 4);
    const int values = 4000;
    rondo::run({.workers = workers}, [&] {
        channel<int> c{slots};
        auto sender = rondo::spawn([=] {
            for (int i = 0; i < values; ++i) rondo::select(to(c, 0, [] {}), to(c, 1, [] {}));
            c.close();
        });
        int ones = 0, all = 0;
        for (int v : c) {
            ones += v;
            ++all;
        }
        sender.join();
        CHECK(all == values);
        CHECK(ones > values * 4 / 10);
        CHECK(ones < values * 6 / 10);
    });
}

TEST_CASE("a select with itself is refused", "[go][selfselect]") {
    rondo::run({.workers = 1}, [] {
        channel<int> c;
        CHECK(end_of([&] { rondo::select(from(c, [](int) {}), to(c, 1, [] {})); }) == "usage_error");
        CHECK(c.balance() == 0);
    });
}

TEST_CASE("two that send and receive on the same two channels by select never hang, and lose nothing", "[go][selfselect]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 10);
    const int rounds = 500;
    rondo::run({.workers = workers}, [&] {
        channel<int> ab{slots}, ba{slots};
        const auto player = [=](const channel<int>& out, const channel<int>& in) {
            int sent = 0, received = 0;
            while (sent < rounds || received < rounds) {
                if (sent < rounds)
                    rondo::select(to(out, sent + 0, [&] { ++sent; }), from(in, [&](int v) {
                                      CHECK(v == received);
                                      ++received;
                                  }));
                else
                    rondo::select(from(in, [&](int) { ++received; }));
            }
            return received;
        };
        auto other = rondo::spawn([&] {
            int sent = 0, received = 0;
            while (sent < rounds || received < rounds)
                if (sent < rounds) rondo::select(to(ba, sent + 0, [&] { ++sent; }), from(ab, [&](int) { ++received; }));
                else rondo::select(from(ab, [&](int) { ++received; }));
            return received;
        });
        CHECK(player(ab, ba) == rounds);
        CHECK(other.join() == rounds);
    });
}

TEST_CASE("selects over four channels against plain senders and receivers: each channel carries its number", "[go][stress]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int each = 200;
    rondo::run({.workers = workers}, [&] {
        std::array<channel<int>, 4> c{channel<int>{}, channel<int>{}, channel<int>{2}, channel<int>{3}};
        rondo::scope([&](rondo::group& g) {
            for (int k = 0; k < 4; ++k) {             // a plain sender and a plain receiver for each
                g.spawn([&, k] { for (int i = 0; i < each; ++i) c[static_cast<std::size_t>(k)].send(k); });
                g.spawn([&, k] {
                    for (int i = 0; i < each; ++i)
                        if (c[static_cast<std::size_t>(k)].receive() != k) throw std::logic_error("a wrong value");
                });
            }
            g.spawn([&] {                             // one that sends `each` on all of them, by select
                std::array<int, 4> n{};
                const auto open = [&](std::size_t k) { return n[k] < each; };
                static const channel<int> nobody;     // what Go writes as a nil channel
                while (open(0) || open(1) || open(2) || open(3))
                    rondo::select(to(open(0) ? c[0] : nobody, 0, [&] { ++n[0]; }),
                                  to(open(1) ? c[1] : nobody, 1, [&] { ++n[1]; }),
                                  to(open(2) ? c[2] : nobody, 2, [&] { ++n[2]; }),
                                  to(open(3) ? c[3] : nobody, 3, [&] { ++n[3]; }));
            });
            g.spawn([&] {                             // and one that receives as many
                std::array<int, 4> n{};
                const auto open = [&](std::size_t k) { return n[k] < each; };
                static const channel<int> nobody;
                const auto take = [&](std::size_t k) {
                    return [&n, k](int v) {
                        if (v != static_cast<int>(k)) throw std::logic_error("a wrong value");
                        ++n[k];
                    };
                };
                while (open(0) || open(1) || open(2) || open(3))
                    rondo::select(from(open(0) ? c[0] : nobody, take(0)), from(open(1) ? c[1] : nobody, take(1)),
                                  from(open(2) ? c[2] : nobody, take(2)), from(open(3) ? c[3] : nobody, take(3)));
            });
        });
        for (auto& x : c) {
            CHECK(x.balance() == 0);
            CHECK(x.size() == 0);
        }
    });
}

TEST_CASE("never-ready clauses: a channel that nobody uses is passed over", "[go][select3]") {
    rondo::run({.workers = 1}, [] {
        channel<int> nobody, ready{1}, full{1}, closed;
        full.send(1);
        closed.close();
        std::string what;
        CHECK(rondo::select(from(nobody, [&](int) { what = "received"; }), otherwise([&] { what = "otherwise"; })));
        CHECK(what == "otherwise");
        CHECK(rondo::select(to(nobody, 1, [&] { what = "sent"; }), to(full, 1, [&] { what = "sent"; }),
                            otherwise([&] { what = "still otherwise"; })));
        CHECK(what == "still otherwise");
        CHECK(rondo::select(to(ready, 1, [&] { what = "sent"; }), from(nobody, [&](int) { what = "received"; })));
        CHECK(what == "sent");
        CHECK(rondo::select(from(nobody, [&](int) { what = "received"; }), rondo::after(1ms, [&] { what = "time is up"; })));
        CHECK(what == "time is up");
        // Closed: never ready; with nothing else left to wait for, false.
        CHECK_FALSE(rondo::select(from(closed, [&](int) { what = "received"; })));
        CHECK_FALSE(rondo::select(to(closed, 1, [&] { what = "sent"; })));
        CHECK(rondo::select(from(closed, [&](int) { what = "received"; }), from(ready, [&](int) { what = "the open one"; })));
        CHECK(what == "the open one");
        CHECK(nobody.balance() == 0);
    });
}

TEST_CASE("a select alone on channels that nobody uses waits for ever, and the report says so", "[go][select3]") {
    channel<int> nobody, neither;
    CHECK(end_of([&] {
              rondo::run({.workers = 2}, [&] { rondo::select(from(nobody, [](int) {}), from(neither, [](int) {})); });
          }) == "deadlock");
    CHECK(nobody.balance() == 0);
}

TEST_CASE("a select that another channel has served leaves the queues of the others in order", "[go][select6]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::runtime rt({.workers = workers});
    channel<bool> c1, c2, c3, c4;
    auto first = rt.spawn([&] { c1.receive(); });
    rt.run_until_idle();
    auto selects = rt.spawn([&] {
        rondo::select(from(c1, [](bool) { throw std::logic_error("not this one"); }), from(c2, [&](bool) { c3.send(true); }));
        c1.receive();
        c4.send(true);
    });
    rt.run_until_idle();
    auto between = rt.spawn([&] { c2.send(true); });
    rt.run_until_idle();
    c3.receive();                                     // the select has been served by c2 and has left c1's queue
    rt.run_until_idle();
    c1.send(true);                                    // to the first
    c1.send(true);                                    // to the second wait of the one with the select
    c4.receive();
    CHECK(rt.run_until_idle().parked.empty());
    first.join();
    selects.join();
    between.join();
}

TEST_CASE("the same channel may stand in a select several times, one value is received once", "[go][duplicate]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::runtime rt({.workers = workers});
    channel<int> c, d, e;
    std::atomic<int> got{0};
    const auto take = [&](int) { ++got; };
    auto a = rt.spawn([&] {
        rondo::select(from(c, take), from(c, take), from(d, take));
        e.send(9);
    });
    rt.run_until_idle();
    auto b = rt.spawn([&] { got += c.receive() == 0; });          // behind it in c's queue
    rt.run_until_idle();
    d.send(7);                                        // ends the select; its two places in c's queue must go
    CHECK(e.receive() == 9);
    c.send(0);
    CHECK(rt.run_until_idle().parked.empty());
    CHECK(got == 2);
    CHECK(c.balance() == 0);
    a.join();
    b.join();
}

TEST_CASE("each way to receive meets each way to send", "[go][select7]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool receiver_first = GENERATE(false, true);
    rondo::runtime rt({.workers = workers});
    const channel<int> nobody_sends, nobody_receives;
    using receiver = int (*)(const channel<int>&, const channel<int>&);
    using sender = void (*)(const channel<int>&, const channel<int>&);
    const std::array<receiver, 3> receivers{
        [](const channel<int>& c, const channel<int>&) { return c.receive(); },
        [](const channel<int>& c, const channel<int>&) {
            int got = 0;
            rondo::select(from(c, [&](int v) { got = v; }));
            return got;
        },
        [](const channel<int>& c, const channel<int>& no) {
            int got = 0;
            rondo::select(from(no, [&](int) { got = -1; }), from(c, [&](int v) { got = v; }));
            return got;
        }};
    const std::array<sender, 3> senders{
        [](const channel<int>& c, const channel<int>&) { c.send(7); },
        [](const channel<int>& c, const channel<int>&) { rondo::select(to(c, 7, [] {})); },
        [](const channel<int>& c, const channel<int>& no) { rondo::select(to(no, 8, [] {}), to(c, 7, [] {})); }};
    for (auto receive : receivers)
        for (auto send : senders) {
            const channel<int> c;
            std::atomic<int> got{0};
            const auto receiving = [&] { got = receive(c, nobody_sends); };
            const auto sending = [&] { send(c, nobody_receives); };
            auto first = receiver_first ? rt.spawn(receiving) : rt.spawn(sending);
            rt.run_until_idle();
            CHECK(got == 0);
            auto second = receiver_first ? rt.spawn(sending) : rt.spawn(receiving);
            CHECK(rt.run_until_idle().parked.empty());
            CHECK(got == 7);
            CHECK(c.balance() == 0);
            first.join();
            second.join();
        }
    CHECK(nobody_sends.balance() == 0);
    CHECK(nobody_receives.balance() == 0);
}

TEST_CASE("a select with otherwise finds a value that lies in one of its channels", "[go][race]") {
    const auto workers = GENERATE(2u, 4u);
    rondo::run({.workers = workers}, [] {
        for (int i = 0; i < 300; ++i) {
            channel<int> a{1}, b{1};
            a.send(1);
            // While the value moves from a to b it is in at least one of them whenever one looks at a, then b.
            auto mover = rondo::spawn([=] { rondo::select(rondo::in_order, from(a, [&](int) {}), otherwise([] {})); });
            b.send(2);
            bool found = false;
            rondo::select(from(a, [&](int) { found = true; }), from(b, [&](int) { found = true; }), otherwise([] {}));
            CHECK(found);
            mover.join();
        }
    });
}
