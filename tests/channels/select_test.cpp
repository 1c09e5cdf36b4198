// select: which clause goes ahead, and that the others leave no trace.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/mutex.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>
#include <rondo/work_queue.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::after;
using rondo::channel;
using rondo::from;
using rondo::joined;
using rondo::locked;
using rondo::otherwise;
using rondo::select;
using rondo::to;

namespace {

constexpr auto nothing = [](auto&&...) {};
const auto into = [](auto& where) { return [&where](auto v) { where = std::move(v); }; };

}  // namespace

// ---------------------------------------------------------------------------------------------------- one that is ready

TEST_CASE("select receives from the channel that has something", "[select]") {
    channel<int> a(1), b(1);
    int got = 0;
    b.send(7);
    CHECK(select(from(a, [&](int) { got = -1; }), from(b, into(got))));
    CHECK(got == 7);
    CHECK(b.size() == 0);
}

TEST_CASE("select sends where there is room", "[select]") {
    channel<int> full(1), roomy(1);
    full.send(1);
    std::string sent;
    CHECK(select(to(full, 2, [&] { sent = "full"; }), to(roomy, 3, [&] { sent = "roomy"; })));
    CHECK(sent == "roomy");
    CHECK(roomy.receive() == 3);
    CHECK(full.receive() == 1);
    CHECK(full.size() == 0);
}

TEST_CASE("exactly one clause goes ahead though all could", "[select]") {
    channel<int> a(1), b(1), c(1);
    a.send(1);
    b.send(2);
    int ran = 0;
    CHECK(select(from(a, [&](int) { ++ran; }), from(b, [&](int) { ++ran; }), to(c, 3, [&] { ++ran; })));
    CHECK(ran == 1);
    CHECK(a.size() + b.size() + (1 - c.size()) == 2);
}

TEST_CASE("in_order takes the first that can go ahead, always", "[select]") {
    channel<int> a(1), b(64), c(64);
    for (int i = 0; i < 50; ++i) {
        b.send(i);
        c.send(i);
        std::string which;
        CHECK(select(rondo::in_order, from(a, nothing), from(b, [&](int) { which = "b"; }),
                     from(c, [&](int) { which = "c"; })));
        CHECK(which == "b");
    }
}

TEST_CASE("by default every clause that can go ahead gets its share", "[select]") {
    channel<int> c(4);
    std::array<int, 4> chosen{};
    constexpr int rounds = 4000;
    for (int i = 0; i < rounds; ++i) {
        c.send(1);
        select(from(c, [&](int) { ++chosen[0]; }), from(c, [&](int) { ++chosen[1]; }), from(c, [&](int) { ++chosen[2]; }),
               from(c, [&](int) { ++chosen[3]; }));
    }
    for (int n : chosen) {
        CHECK(n > rounds / 8);
        CHECK(n < rounds / 2);
    }
}

TEST_CASE("a clause beside one that never goes ahead gets no larger share for that", "[select]") {
    channel<int> never, c(3);
    std::array<int, 2> chosen{};
    for (int i = 0; i < 4000; ++i) {
        c.send(1);
        select(from(never, nothing), from(c, [&](int) { ++chosen[0]; }), from(never, nothing), from(never, nothing),
               from(c, [&](int) { ++chosen[1]; }));
    }
    CHECK(chosen[0] > 1600);
    CHECK(chosen[1] > 1600);
    CHECK(never.balance() == 0);
}

// ---------------------------------------------------------------------------------------------------- waiting

TEST_CASE("a waiting select goes on with the clause that a partner has met, and leaves the other channels", "[select]") {
    stage s(GENERATE(1u, 2u, 4u));
    channel<int> a, b, out;
    std::string log;
    auto t = s.rt.spawn([&] {
        select(from(a, [&](int v) { log += "a" + std::to_string(v); }),
               from(b, [&](int v) { log += "b" + std::to_string(v); }), to(out, 9, [&] { log += "out"; }));
    });
    CHECK(s.settle() == 1);
    CHECK(a.balance() == -1);
    CHECK(b.balance() == -1);
    CHECK(out.balance() == 1);
    SECTION("a send") {
        auto p = s.rt.spawn([&] { b.send(5); });
        CHECK(s.settle() == 0);
        CHECK(log == "b5");
    }
    SECTION("a receive") {
        int got = 0;
        auto p = s.rt.spawn([&] { got = out.receive(); });
        CHECK(s.settle() == 0);
        CHECK(log == "out");
        CHECK(got == 9);
    }
    SECTION("a try_send and a try_receive from outside") {
        const auto got = out.try_receive();
        CHECK(got == std::optional(9));
        CHECK_FALSE(a.try_send(3));
        CHECK(s.settle() == 0);
        CHECK(log == "out");
    }
    CHECK(a.balance() == 0);
    CHECK(b.balance() == 0);
    CHECK(out.balance() == 0);
}

TEST_CASE("two selects meet each other", "[select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    constexpr int rounds = 2000;
    std::vector<int> got;
    int sent = 0;
    rondo::run({.workers = workers}, [&] {
        channel<int> a, b;
        auto receiver = rondo::spawn([&, a, b] {
            for (int i = 0; i < rounds; ++i)
                select(from(a, [&](int v) { got.push_back(v); }), from(b, [&](int v) { got.push_back(v); }));
        });
        auto sender = rondo::spawn([&, a, b] {
            for (int i = 0; i < rounds; ++i) select(to(b, i, [&] { ++sent; }), to(a, i, [&] { ++sent; }));
        });
        receiver.join();
        sender.join();
        CHECK(a.balance() == 0);
        CHECK(b.balance() == 0);
    });
    CHECK(sent == rounds);
    std::vector<int> expected(rounds);
    for (int i = 0; i < rounds; ++i) expected[static_cast<std::size_t>(i)] = i;
    CHECK(got == expected);
}

TEST_CASE("many selects on both sides of several channels lose nothing", "[select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1});
    constexpr long senders = 6, each = 300;
    std::atomic<long> sum{0}, count{0};
    rondo::run({.workers = workers}, [&] {
        std::vector<channel<long>> c;
        for (int i = 0; i < 3; ++i) c.emplace_back(slots);
        channel<int> quit;
        std::vector<rondo::tasklet<void>> sending, receiving;
        for (long i = 0; i < senders; ++i)
            sending.push_back(rondo::spawn([&, i] {
                for (long k = 0; k < each; ++k) {
                    const long v = i * each + k;
                    CHECK(select(to(c[0], v, nothing), to(c[1], v, nothing), to(c[2], v, nothing)));
                }
            }));
        const auto add = [&](long v) {
            sum += v;
            ++count;
        };
        for (int i = 0; i < 4; ++i)
            receiving.push_back(rondo::spawn([&, add] {
                while (select(from(c[2], add), from(c[0], add), from(c[1], add))) {}
            }));
        for (auto& t : sending) t.join();
        for (auto& line : c) line.close();
        for (auto& t : receiving) t.join();
        for (auto& line : c) CHECK(line.balance() == 0);
    });
    CHECK(count == senders * each);
    CHECK(sum == senders * each * (senders * each - 1) / 2);
}

TEST_CASE("select works on plain threads without any runtime", "[select][threads]") {
    channel<int> a, b;
    channel<int> quit;
    long sum = 0;
    bool quitted = false;
    std::thread receiver([&] {
        while (!quitted)
            select(from(a, [&](int v) { sum += v; }), from(b, [&](int v) { sum -= v; }),
                   from(quit, [&](int) { quitted = true; }));
    });
    std::thread other([&] {
        for (int i = 0; i < 500; ++i) b.send(i);
    });
    for (int i = 0; i < 500; ++i) a.send(2 * i);
    other.join();
    quit.send(1);
    receiver.join();
    CHECK(sum == 500 * 499 / 2);
}

// ---------------------------------------------------------------------------------------------------- closing

TEST_CASE("select is false once all its channels are closed and empty", "[select][close]") {
    channel<int> a(2), b(2);
    a.send(1);
    a.close();
    int got = 0;
    CHECK(select(from(a, into(got)), from(b, nothing), otherwise(nothing)));
    CHECK(got == 1);
    b.close();
    CHECK_FALSE(select(from(a, nothing), from(b, nothing)));
    CHECK_FALSE(select(from(a, nothing), to(b, 1, nothing), otherwise([] { throw std::runtime_error("ran"); }),
                       after(1h, nothing)));
}

TEST_CASE("a closed channel drops out of a waiting select and the rest wait on", "[select][close]") {
    stage s(GENERATE(1u, 2u));
    channel<int> a, b;
    std::string log;
    auto t = s.rt.spawn([&] {
        const bool yes = select(from(a, [&](int) { log += "a"; }), to(b, 1, [&] { log += "b"; }));
        log += yes ? "+" : "-";
    });
    s.settle();
    a.close();
    CHECK(s.settle() == 1);
    CHECK(b.balance() == 1);
    SECTION("until one goes ahead") {
        CHECK(b.try_receive() == std::optional(1));
        CHECK(s.settle() == 0);
        CHECK(log == "b+");
    }
    SECTION("until the last one is closed") {
        b.close();
        CHECK(s.settle() == 0);
        CHECK(log == "-");
    }
}

TEST_CASE("what can still go ahead does so although all channels are closed", "[select][close]") {
    channel<int> a;
    a.close();
    rondo::mutex m;
    bool ran = false;
    CHECK(select(from(a, nothing), locked(m, [&](auto&) { ran = true; })));
    CHECK(ran);
}

TEST_CASE("a channel whose last handle goes while a select waits counts as closed", "[select][close]") {
    stage s(GENERATE(1u, 2u));
    std::optional<channel<int>> a(std::in_place), b(std::in_place, 1u);
    b->send(0);
    const channel<int>&x = *a, &y = *b;
    std::string end;
    auto t = s.rt.spawn([&] { end = select(from(x, nothing), to(y, 1, nothing)) ? "yes" : "no"; });
    CHECK(s.settle() == 1);
    a.reset();
    CHECK(s.settle() == 1);
    b.reset();
    CHECK(s.settle() == 0);
    CHECK(end == "no");
}

// ---------------------------------------------------------------------------------------------------- the other clauses

TEST_CASE("otherwise runs only if nothing can go ahead, and never waits", "[select]") {
    channel<int> a(1);
    std::string log;
    CHECK(select(from(a, [&](int) { log += "a"; }), otherwise([&] { log += "o"; })));
    a.send(1);
    CHECK(select(from(a, [&](int) { log += "a"; }), otherwise([&] { log += "o"; })));
    CHECK(log == "oa");
    CHECK(a.balance() == 0);
}

TEST_CASE("a loop of selects with otherwise lets the other tasklets run", "[select]") {
    const bool done = rondo::run({.workers = one_worker}, [] {
        channel<int> a;
        bool got = false;
        auto sender = rondo::spawn([a] { a.send(1); });
        while (!got) select(from(a, [&](int) { got = true; }), otherwise(nothing));
        return got;
    });
    CHECK(done);
}

TEST_CASE("after ends a select when nothing has gone ahead in time, never earlier", "[select][limits]") {
    const auto measure = [] {
        channel<int> a;
        const auto before = std::chrono::steady_clock::now();
        std::string log;
        const bool yes = select(from(a, nothing), after(1h, [&] { log += "late"; }), after(3ms, [&] { log += "time"; }));
        return yes && log == "time" && std::chrono::steady_clock::now() - before >= 3ms && a.balance() == 0;
    };
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, measure));
    bool on_a_thread = false;
    std::thread([&] { on_a_thread = measure(); }).join();
    CHECK(on_a_thread);
}

TEST_CASE("after no time at all is like otherwise", "[select][limits]") {
    channel<int> a(1);
    std::string log;
    CHECK(select(from(a, [&](int) { log += "a"; }), after(0s, [&] { log += "t"; })));
    CHECK(select(after(-1s, [&] { log += "t"; })));
    a.send(1);
    CHECK(select(from(a, [&](int) { log += "a"; }), after(0s, [&] { log += "t"; })));
    CHECK(log == "tta");
    CHECK(select(from(a, nothing), rondo::at(std::chrono::steady_clock::now() - 1h, [&] { log += "p"; })));
    CHECK(log == "ttap");
}

TEST_CASE("joined goes ahead when the tasklet has ended, with its result", "[select][join]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto log = rondo::run({.workers = workers}, [] {
        channel<int> never, go;
        std::string text;
        auto t = rondo::spawn([go] { return go.receive() + 1; });
        auto u = rondo::spawn([go] { static_cast<void>(go.next()); });
        CHECK(select(joined(t, nothing), joined(u, nothing), from(never, nothing), otherwise([&] { text += "not yet;"; })));
        auto w = rondo::spawn([go] { go.send(41); });
        while (t.joinable() && u.joinable())
            select(joined(t, [&](int v) { text += std::to_string(v); }), joined(u, [&] { text += "u"; }),
                   from(never, nothing));
        go.close();
        if (u.joinable()) select(joined(u, [&] { text += "u"; }));
        if (t.joinable()) CHECK(end_of([&] { select(joined(t, nothing)); }) == "closed");
        CHECK(never.balance() == 0);
        return text;
    });
    CHECK((log == "not yet;42u" || log == "not yet;u"));
}

TEST_CASE("a tasklet that was only watched by a select can still be joined", "[select][join]") {
    const int result = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        channel<int> go, tick(1);
        auto t = rondo::spawn([go] { return go.receive(); });
        rondo::yield();
        tick.send(1);
        select(rondo::in_order, joined(t, nothing), from(tick, nothing));
        CHECK(select(joined(t, nothing), after(1ms, nothing)));
        go.send(5);
        return t.join();
    });
    CHECK(result == 5);
}

TEST_CASE("what a joined tasklet ended with comes out of select", "[select][join]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto t = rondo::spawn([]() -> int { throw std::runtime_error("burnt"); });
        CHECK(end_of([&] { select(joined(t, nothing)); }) == "burnt");
        CHECK(end_of([&] { select(joined(t, nothing)); }) == "usage_error");
    });
}

TEST_CASE("locked goes ahead with the mutex held and unlocks it afterwards", "[select][mutex]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::mutex m;
    channel<int> a, release;
    std::string log;
    auto holder = s.rt.spawn([&] {
        std::lock_guard hold(m);
        release.receive();
    });
    s.settle();
    auto t = s.rt.spawn([&] {
        select(from(a, [&](int) { log += "a"; }), locked(m, [&](std::unique_lock<rondo::mutex>& guard) {
                   log += guard.owns_lock() ? "held" : "?";
               }));
    });
    CHECK(s.settle() == 2);
    SECTION("the mutex") {
        CHECK(release.try_send(1));
        CHECK(s.settle() == 0);
        CHECK(log == "held");
    }
    SECTION("the other, and the mutex is free for everybody") {
        CHECK(a.try_send(1));
        CHECK(s.settle() == 1);
        CHECK(log == "a");
        CHECK(release.try_send(1));
        CHECK(s.settle() == 0);
    }
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a guard may leave the clause with its lock", "[select][mutex]") {
    rondo::mutex m;
    std::unique_lock<rondo::mutex> kept;
    select(locked(m, [&](auto& guard) { kept = std::move(guard); }));
    CHECK(kept.owns_lock());
    CHECK(end_of([&] { select(locked(m, nothing)); }) == "usage_error");
}

// ---------------------------------------------------------------------------------------------------- values

TEST_CASE("a variable given to `to` is moved from only if it is sent", "[select][values]") {
    channel<std::unique_ptr<int>> a(1), b(1);
    auto p = std::make_unique<int>(1);
    auto q = std::make_unique<int>(2);
    select(rondo::in_order, to(a, p, nothing), to(b, q, nothing));
    CHECK_FALSE(p);
    REQUIRE(q);
    CHECK(*q == 2);
    SECTION("also if the select has waited with it") {
        const bool timed = rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
            bool t = false;
            select(to(a, q, nothing), after(2ms, [&] { t = true; }));
            return t;
        });
        CHECK(timed);
        REQUIRE(q);
        CHECK(*q == 2);
    }
    SECTION("also if the channel is closed") {
        b.close();
        CHECK_FALSE(select(to(b, q, nothing)));
        CHECK(q);
    }
    SECTION("one variable in several clauses is sent once") {
        select(to(a, q, nothing), to(b, q, nothing));
        CHECK_FALSE(q);
        CHECK(a.size() + b.size() == 2);
    }
    SECTION("also when all of them have to wait, with or without a lock") {
        channel<std::unique_ptr<int>> c, d{rondo::spin_locked};
        stage s(GENERATE(1u, 2u));
        auto t = s.rt.spawn([&] { select(to(c, q, nothing), to(d, q, nothing)); });
        CHECK(s.settle() == 1);
        CHECK(q);
        auto got = (GENERATE(0, 1) ? c : d).try_receive();
        REQUIRE(got);
        REQUIRE(*got);
        CHECK(**got == 2);
        CHECK_FALSE(q);
        CHECK(s.settle() == 0);
    }
}

TEST_CASE("a value given to `to` is copied from a constant and dies unsent with the clause", "[select][values]") {
    std::atomic<int> live{0};
    channel<token> a(1);
    a.send(token(live));
    select(to(a, token(live), nothing), otherwise(nothing));
    CHECK(live == 1);
    channel<std::string> c(1);
    const std::string constant = "kept";
    CHECK(select(to(c, constant, nothing)));
    CHECK(constant == "kept");
    CHECK(c.receive() == "kept");
    CHECK(select(to(c, "converted", nothing)));
    CHECK(c.receive() == "converted");
}

TEST_CASE("a value is given to `to` in braces as it is to send", "[select][values]") {
    struct point {
        int x, y;
    };
    channel<point> c(1);
    CHECK(select(to(c, {1, 2}, nothing)));
    CHECK(c.receive().y == 2);
    rondo::work_queue<point> work;
    CHECK(select(to(work, {.x = 3, .y = 4}, nothing)));
    CHECK(work.get().x == 3);
}

TEST_CASE("an error on a channel comes out of the select that takes it", "[select][errors]") {
    channel<int> a(1);
    a.send_error(std::make_exception_ptr(std::runtime_error("sent")));
    CHECK(end_of([&] { select(from(a, nothing)); }) == "sent");
    CHECK(a.size() == 0);
}

TEST_CASE("what a clause's function throws comes out of select, and its clause has gone ahead", "[select][errors]") {
    channel<int> a(1);
    a.send(1);
    CHECK(end_of([&] { select(from(a, [](int) { throw std::runtime_error("mine"); })); }) == "mine");
    CHECK(a.size() == 0);
}

TEST_CASE("a send and a receive on one channel are refused in one select", "[select][errors]") {
    channel<int> a, b;
    CHECK(end_of([&] { select(from(a, nothing), to(b, 1, nothing), to(a, 1, nothing)); }) == "usage_error");
    CHECK(a.balance() == 0);
    CHECK(end_of([&] {
              channel<int> gone = std::move(a);
              select(from(a, nothing));
          }) == "usage_error");
}

// ---------------------------------------------------------------------------------------------------- stop, within

TEST_CASE("a stopped select throws stopped and leaves no trace", "[select][stop]") {
    stage s(GENERATE(1u, 2u, 4u));
    std::atomic<int> live{0};
    channel<int> a;
    channel<token> b;
    rondo::mutex m;
    m.lock();
    std::string end;
    auto t = s.rt.spawn([&] {
        end = end_of([&] { select(from(a, nothing), to(b, token(live), nothing), locked(m, nothing)); });
    });
    CHECK(s.settle() == 1);
    CHECK(live == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(end == "stopped");
    CHECK(live == 0);
    CHECK(a.balance() == 0);
    CHECK(b.balance() == 0);
    m.unlock();
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a stopped tasklet cannot select, even where it need not wait", "[select][stop]") {
    channel<int> a(1);
    a.send(1);
    std::string end, polling;
    rondo::run({.workers = one_worker}, [&] {
        auto t = rondo::spawn([&] {
            channel<int> never;
            end_of([&] { never.receive(); });
            end = end_of([&] { select(from(a, nothing)); });
            polling = end_of([&] { select(from(never, nothing), otherwise(nothing)); });
        });
        rondo::yield();
        t.stop();
        t.join();
    });
    CHECK(end == "stopped");
    CHECK(polling == "stopped");
    CHECK(a.size() == 1);
}

TEST_CASE("a deadline reaches select", "[select][limits]") {
    const auto late = [] {
        channel<int> a;
        const bool done = rondo::within(2ms, [&] { select(from(a, nothing), after(1h, nothing)); });
        return !done && a.balance() == 0;
    };
    CHECK(rondo::run({.workers = GENERATE(1u, 2u)}, late));
    bool on_a_thread = false;
    std::thread([&] { on_a_thread = late(); }).join();
    CHECK(on_a_thread);
}

// ---------------------------------------------------------------------------------------------------- handing over

TEST_CASE("a select hands over as a plain send or receive does", "[select][handoff][unordered]") {
    const auto transcript = [](rondo::handoff who) {
        lines log;
        rondo::run({.workers = one_worker}, [&] {
            channel<int> line{who};
            rondo::spawn([&log, line] {
                line.receive();
                log.push_back("R");
            });
            rondo::spawn([&log, line] { select(to(line, 1, [&] { log.push_back("S"); })); });
            rondo::spawn([&log] { log.push_back("A"); });
        });
        return log;
    };
    CHECK(transcript(rondo::handoff::receiver) == lines{"R", "A", "S"});
    CHECK(transcript(rondo::handoff::none) == lines{"S", "A", "R"});
    CHECK(transcript(rondo::handoff::sender) == lines{"S", "A", "R"});
}

// ---------------------------------------------------------------------------------------------------- reports

TEST_CASE("a deadlock report names what a select waits for", "[select][deadlock]") {
    std::string report;
    try {
        rondo::run({.workers = GENERATE(1u, 2u)}, [] {
            channel<int> orders, plates;
            rondo::event ready;
            auto cook = rondo::spawn({.name = "cook"}, [&] { ready.wait(); });
            auto waiter = rondo::spawn({.name = "waiter"}, [&] { orders.receive(); });
            select(from(orders, nothing), to(plates, 1, nothing), joined(cook, nothing));
        });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    INFO(report);
    // The channel that "waiter" receives from is the one the select names first.
    const auto at = report.find("waits for a sender on channel 0x");
    REQUIRE(at != std::string::npos);
    const auto channel_name = report.substr(at + 10, report.find_first_of(" ;", report.find("0x", at)) - at - 10);
    CHECK(report.find("waits for select of " + channel_name + ", a receiver on channel 0x") != std::string::npos);
    CHECK(report.find(", the end of tasklet ") != std::string::npos);
    CHECK(report.find(" \"cook\"; spawned at") != std::string::npos);
}

// ---------------------------------------------------------------------------------------------------- a clause of one's own

namespace {

// A gate, as somebody outside the library would write it.
struct gate {
    rondo::lowlevel::spin_lock lock;
    rondo::lowlevel::wait_list waiters;
    bool open = false;
    void raise() {
        lock.lock();
        open = true;
        auto* n = waiters.claim_front(rondo::lowlevel::wake::ready);
        lock.unlock();
        if (n) rondo::lowlevel::resume(*n->who);
    }
};
template <class F>
class raised final : public rondo::lowlevel::select_clause {
public:
    raised(gate& g, F f)
        : select_clause({rondo::lowlevel::wait_kind::event, &g}), gate_(g), f_(std::move(f)) {}
    rondo::lowlevel::progress attempt(rondo::lowlevel::waiter& me, bool enlists, rondo::lowlevel::partner&) override {
        gate_.lock.lock();
        const bool open = gate_.open;
        if (!open && enlists) gate_.waiters.push_back(fresh_node(me));
        gate_.lock.unlock();
        return open ? rondo::lowlevel::progress::done : rondo::lowlevel::progress::waits;
    }
    void withdraw() noexcept override { rondo::lowlevel::unlink(gate_.lock, gate_.waiters, node()); }
    void run() { f_(); }

private:
    gate& gate_;
    F f_;
};

}  // namespace

TEST_CASE("an object of one's own becomes a clause", "[select]") {
    stage s(GENERATE(1u, 2u));
    gate g;
    channel<int> a;
    std::string log;
    auto t = s.rt.spawn([&] {
        select(from(a, nothing), raised(g, [&] { log += "raised"; }));
        select(from(a, nothing), raised(g, [&] { log += " again"; }));
    });
    CHECK(s.settle() == 1);
    g.raise();
    CHECK(s.settle() == 0);
    CHECK(log == "raised again");
    CHECK(g.waiters.empty());
    CHECK(a.balance() == 0);
}
