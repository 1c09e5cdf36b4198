// The table of all waits: channels of every kind.
#include <catch2/catch.hpp>

#include <array>
#include <exception>
#include <stdexcept>

#include <rondo/broadcast.hpp>
#include <rondo/latest.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/stackless.hpp>
#include <rondo/work_queue.hpp>

#include "matrix_rows.hpp"

namespace matrix {
namespace {

using line = rondo::channel<int>;

struct kind {
    std::string name;
    std::function<line()> make;
    std::size_t slots;                                    // so many sends before one waits
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

line full(const kind& k) {
    line c = k.make();
    for (std::size_t i = 0; k.slots != npos && i < k.slots; ++i) REQUIRE(c.try_send(static_cast<int>(i)));
    return c;
}

subject receive_from(const kind& k) {
    const auto c = std::make_shared<line>(k.make());
    return {receives(c, 5), [=] { c->send(5); }, [=] { c->close(); },
            [=](bool) {
                CHECK(c->balance() == 0);
                CHECK(c->size() == 0);
            }};
}

// On a channel whose slots are full; a receive makes room. What arrives last is what was sent, or an error in its place.
struct broken : std::runtime_error {
    broken() : std::runtime_error("broken") {}
};
constexpr int error = -1;
int received(const line& c) {
    try {
        return c.receive();
    } catch (const broken&) {
        return error;
    }
}
subject send_to(const kind& k, calls by, line c, int wanted) {
    const std::size_t slots = k.slots == npos ? 0 : k.slots;
    const auto last = std::make_shared<int>(0);
    return {std::move(by),
            [=] {
                if (k.slots != npos) *last = received(c);
            },
            [=] { c.close(); },
            [=](bool is_done) {
                CHECK(c.balance() == 0);
                if (is_done && k.slots != 0) {
                    for (auto n = slots ? slots : 1; n > 0; --n) *last = received(c);
                    CHECK(c.size() == 0);
                }
                if (is_done) CHECK(*last == wanted);
                else CHECK(c.size() == slots);
            }};
}
subject send_value(const kind& k) {
    const line c = full(k);
    calls by;
    by.plain = [=] { return c.send(7), "done"; };
    by.another = [=] { return text(c.send_all(std::array{7}) == 1, "?"); };
    by.attempt = [=] { return text(c.try_send(7)); };
    by.for_some_time = [=](auto d) { return text(c.send_for(7, d)); };
    by.until = [=](auto tp) { return text(c.send_until(7, tp)); };
    add_selects(by, [=](auto f) { return rondo::to(c, 7, f); });
    return send_to(k, std::move(by), c, 7);
}
subject send_error(const kind& k) {
    const line c = full(k);
    const auto e = std::make_exception_ptr(broken());
    calls by;
    by.plain = by.another = [=] { return c.send_error(e), "done"; };
    by.attempt = [=] { return text(c.try_send_error(e)); };
    by.for_some_time = [=](auto d) { return text(c.send_error_for(e, d)); };
    by.until = [=](auto tp) { return text(c.send_error_until(e, tp)); };
    add_selects(by, [=](auto f) { return rondo::error_to(c, e, f); });
    return send_to(k, std::move(by), c, error);
}

// ---- one value, every value, the latest value

subject receive_once() {
    const auto o = std::make_shared<rondo::oneshot<int>>();
    return {receives(o, 5), [=] { o->send(5); }, [=] { o->close(); }, [=](bool) { CHECK_FALSE(o->is_ready()); }};
}
subject send_once() {
    const rondo::oneshot<int> o;
    calls by;
    by.plain = by.another = [=] { return o.send(7), "done"; };
    by.attempt = [=] { return text(o.try_send(7)); };
    return {std::move(by), [] {}, [=] { o.close(); }, [=](bool is_done) {
                if (is_done) CHECK(o.try_receive() == 7);
            }};
}
subject receive_broadcast() {
    const rondo::broadcast<int> b(2);
    const auto s = std::make_shared<rondo::subscription<int>>(b.subscribe());
    return {receives(s, 5), [=] { b.send(5); }, [=] { b.close(); }, [=](bool) { CHECK(s->behind() == 0); }};
}
subject send_broadcast() {
    const rondo::broadcast<int> b(2);
    const auto s = std::make_shared<rondo::subscription<int>>(b.subscribe());
    calls by;
    by.plain = by.another = [=] { return text(b.send(7) == 1, "?"); };
    return {std::move(by), [] {}, [=] { b.close(); }, [=](bool is_done) {
                if (is_done) CHECK(s->try_receive() == 7);
            }};
}
subject receive_latest() {
    const rondo::latest<int> l(0);
    const auto r = std::make_shared<rondo::latest_reader<int>>(l.reader());
    CHECK(r->receive() == 0);
    return {receives(r, 5), [=] { l.set(5); }, [=] { l.close(); }, [=](bool) { CHECK_FALSE(r->has_changed()); }};
}
subject set_latest() {
    const rondo::latest<int> l(0);
    calls by;
    by.plain = [=] { return l.set(7), "done"; };
    by.another = [=] { return l.update([](int v) { return v + 7; }), "done"; };
    return {std::move(by), [] {}, [=] { l.close(); }, [=](bool is_done) { CHECK(l.get() == (is_done ? 7 : 0)); }};
}

// ---- work queues

subject get_work() {
    const rondo::work_queue<int> q;
    calls by;
    const auto is = [](std::optional<int> v, const char* none) { return !v ? none : *v == 5 ? "done" : "?"; };
    by.plain = [=] { return is(q.get(), "?"); };
    by.another = [=] { return is(q.next(), "closed"); };
    by.attempt = [=] { return is(q.try_get(), "not now"); };
    by.for_some_time = [=](auto d) { return is(q.get_for(d), "late"); };
    by.until = [=](auto tp) { return is(q.get_until(tp), "late"); };
    add_selects(by, [=](auto f) { return rondo::from(q, [=](int) { f(); }); });
    return {std::move(by), [=] { q.put(5); }, [=] { q.close(); }, [=](bool is_done) {
                CHECK(q.size() == 0);
                CHECK(q.unfinished() == (is_done ? 1 : 0));
            }};
}
subject put_work(bool is_limited) {
    const auto q = is_limited ? rondo::work_queue<int>(1) : rondo::work_queue<int>();
    if (is_limited) q.put(0);
    calls by;
    by.plain = by.another = [=] { return q.put(7), "done"; };
    by.attempt = [=] { return text(q.try_put(7)); };
    by.for_some_time = [=](auto d) { return text(q.put_for(7, d)); };
    by.until = [=](auto tp) { return text(q.put_until(7, tp)); };
    add_selects(by, [=](auto f) { return rondo::to(q, 7, f); });
    return {std::move(by),
            [=] {
                if (is_limited) CHECK(q.get() == 0);
            },
            [=] { q.close(); },
            [=](bool is_done) {
                const std::size_t before = is_limited;
                CHECK(q.unfinished() == before + is_done);
                if (is_done) CHECK(q.get() == 7);
                else CHECK(q.size() == before);
            }};
}
subject join_work() {
    const rondo::work_queue<int> q;
    q.put(1);
    calls by;
    by.plain = by.another = [=] { return q.join(), "done"; };
    by.attempt = [=] { return text(q.try_join(), "not now"); };
    by.for_some_time = [=](auto d) { return text(q.join_for(d), "late"); };
    by.until = [=](auto tp) { return text(q.join_until(tp), "late"); };
    add_selects(by, [=](auto f) { return rondo::joined(q, f); });
    return {std::move(by), [=] { q.task_done(); }, {}, [](bool) {}};
}

// ---- Stackless's

subject stackless_receive() {
    const rondo::stackless::channel<int> c;
    calls by;
    by.plain = by.another = [=] { return text(c.receive() == 5, "?"); };
    return {std::move(by), [=] { c.send(5); }, [=] { c.close(); }, [=](bool) { CHECK(c.balance() == 0); }};
}
subject stackless_send() {
    const rondo::stackless::channel<int> c;
    calls by;
    by.plain = [=] { return c.send(7), "done"; };
    by.another = [=] { return text(c.send_sequence(std::array{7}) == 1, "?"); };
    // What waits to be sent when a channel of Stackless is closed can still be received: so the wait goes on.
    return {std::move(by), [=] { CHECK(c.receive() == 7); }, {}, [=](bool) { CHECK(c.balance() == 0); }};
}

}  // namespace

std::vector<row> channels() {
    std::vector<row> all;
    for (const auto& k : kinds) {
        const bool is_unbounded = k.slots == npos;
        all.push_back({"receive, " + k.name, [&] { return receive_from(k); }, "", false, k.slots == 0, "not now"});
        all.push_back({"send, " + k.name, [&] { return send_value(k); }, "", is_unbounded, k.slots == 0});
        all.push_back({"send_error, " + k.name, [&] { return send_error(k); }, "", is_unbounded, k.slots == 0});
    }
    all.push_back({"receive, oneshot", receive_once, "", false, false, "not now"});
    const auto add_quick = [&](const char* name, subject (*make)(), const char* holes) {
        all.push_back({name, make, holes, true});
        all.back().asks_for_a_stop = false;               // it never suspends
    };
    add_quick("send, oneshot", send_once, "it never waits");
    all.push_back({"receive, broadcast", receive_broadcast, "", false, false, "not now"});
    add_quick("send, broadcast", send_broadcast, "it never waits, and always goes ahead");
    all.push_back({"receive, latest", receive_latest, "", false, false, "not now"});
    add_quick("set, latest", set_latest, "it never waits, and always goes ahead");
    all.push_back({"get, work queue", get_work, "", false, false, "not now"});
    all.push_back({"put, work queue with a slot", [] { return put_work(true); }});
    all.push_back({"put, work queue without limit", [] { return put_work(false); }, "", true});
    all.push_back({"join, work queue", join_work});
    const char* as_there = "Stackless has no such forms: look at balance() first; rondo::within gives a limit";
    all.push_back({"receive, Stackless's", stackless_receive, as_there, false, true});
    all.push_back({"send, Stackless's", stackless_send, as_there, false, true});
    return all;
}

}  // namespace matrix
