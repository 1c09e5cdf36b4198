// The real slots_channel (channels/include/rondo/detail/) under the model's atomics, with segments of one or two cells: what
// is sent is received once and in order, whatever stops or closes in between; nobody is left waiting beside a slot or a
// value that is his.
#include "channel_stage.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <rondo/detail/slots_channel.hpp>

using rondo::model::alone;
using rondo::model::maker;
using rondo::model::running;

namespace {

// What is sent. Two tasklets that touch it unordered are a data race.
struct value {
    model::plain<int> n;
    explicit value(int i) : n(i) {}
    value(value&& from) noexcept : n(static_cast<int>(from.n)) { from.n = 0; }
    value& operator=(value&&) = delete;
};
// One that no code moves: within a turn (moves_in_turn).
struct plain_value {
    int n;
    explicit plain_value(int i) : n(i) {}
};

template <std::size_t Cells, class Value = value>
struct line {
    using channel = slots_channel<Value, model_store<Cells>>;
    memory<Cells> cells;
    channel* core;
    std::unique_ptr<rondo::lowlevel::soloist> owner;
    explicit line(std::size_t slots) : core(new channel(slots, model_store<Cells>{&cells})) {}
    /// Made on a worker without others: calls with `as_owner` are its.
    struct owned {};
    line(std::size_t slots, owned) : owner(std::make_unique<rondo::lowlevel::soloist>()) {
        maker = owner.get();
        core = new channel(slots, model_store<Cells>{&cells});
        maker = nullptr;
    }
    ~line() {                            // an execution that has failed is not tidied up
        if (std::uncaught_exceptions() == 0) core->drop_handle();
    }

    // "sent", "closed" or "stopped".
    std::string send(tasklet& me, int n, bool tidies = false, bool as_owner = false) {
        Value v{n};
        std::string end = "sent";
        try {
            become(me, as_owner);
            core->send(v, limit(tidies));
        } catch (const rondo::closed&) {
            end = "closed";
        } catch (const rondo::stopped&) {
            end = "stopped";
        }
        if (end != "sent") model::check(v.n == n, "whoever does not send keeps the value");
        return end;
    }
    // The value; 0: closed, -1: stopped.
    int receive(tasklet& me, bool tidies = false, bool as_owner = false) {
        packet<Value> p;
        try {
            become(me, as_owner);
            if (core->receive(p, limit(tidies)) == received::closed) return 0;
        } catch (const rondo::stopped&) {
            return -1;
        }
        return p.take().n;
    }
    void become(tasklet& me, bool as_owner) {
        running = &me;
        alone = as_owner ? owner.get() : nullptr;
    }
    int try_receive() {
        packet<Value> p;
        return core->try_receive(p) == received::value ? static_cast<int>(p.take().n) : 0;
    }
    bool try_send(int n) {
        Value v{n};
        return core->try_send(v) == sent::done;
    }
    static rondo::lowlevel::time_point limit(bool tidies) {
        return tidies ? rondo::lowlevel::time_point{} : rondo::lowlevel::no_deadline;
    }
};

}  // namespace

TEST_CASE("a value goes through a slot, or straight to who waits", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, no_limit);
    const auto seen = model::explore(within(2, 2), [&] {
        line<2> l(slots);
        tasklet s, r;
        model::threads({[&] { model::check(l.send(s, 7) == "sent", "it is sent"); },
                        [&] { model::check(l.receive(r) == 7, "it is received"); }});
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nothing is left");
    });
    CHECK(seen);
}

TEST_CASE("a full channel makes its sender wait, and values arrive in order", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, no_limit);
    const auto seen = model::explore(within(2, 0), [&] {
        line<1> l(slots);
        tasklet s, r;
        model::threads({[&] {
                            for (int i = 1; i <= 3; ++i) {
                                model::check(l.send(s, i) == "sent", "it is sent");
                                model::check(l.core->size() <= slots, "no more than fit");
                            }
                        },
                        [&] {
                            for (int i = 1; i <= 3; ++i) model::check(l.receive(r) == i, "values arrive in order");
                        }});
        model::check(l.cells.in_use <= 6, "segments are used again");
    });
    CHECK(seen);
}

TEST_CASE("two senders and two receivers share one slot", "[slots]") {
    const auto seen = model::explore(within(1, 1), [] {
        line<2> l(1);
        std::array<tasklet, 2> s, r;
        std::array<int, 2> got{};
        model::threads({[&] { l.send(s[0], 1); }, [&] { l.send(s[1], 2); }, [&] { got[0] = l.receive(r[0]); },
                        [&] { got[1] = l.receive(r[1]); }});
        model::check(got[0] + got[1] == 3 && got[0] != got[1], "each value arrives once");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nothing is left");
        model::check(l.try_send(3) && !l.try_send(4), "the slot is there again, once");
    });
    CHECK(seen);
}

TEST_CASE("a sender that is stopped keeps its value and holds up nobody", "[slots]") {
    const auto seen = model::explore(within(2, 1), [] {
        line<2> l(1);
        tasklet quitter, s, r;
        model::check(l.try_send(1), "there is room");
        std::string end;
        bool later = false;
        int sum = 0;
        model::threads({[&] { end = l.send(quitter, 2, true); }, [&] { quitter.request_stop(); },
                        [&] { sum = l.receive(r); }});
        model::check(sum == 1, "in order");
        if (end == "sent") sum += l.try_receive();
        later = l.try_send(4);
        model::check(later, "there is room again");
        model::check(sum == (end == "sent" ? 3 : 1), "sent or kept");
        model::check(l.core->balance() == 0, "nobody waits");
    });
    CHECK(seen);
}

TEST_CASE("a receiver that is stopped takes nothing with it", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, no_limit);
    const auto seen = model::explore(within(2, 1), [&] {
        line<2> l(slots);
        tasklet s, r;
        int got = 0;
        model::threads({[&] { model::check(l.send(s, 7) == "sent", "it is sent"); },
                        [&] { got = l.receive(r, true); }, [&] { r.request_stop(); }});
        model::check(got == 7 || (got == -1 && l.try_receive() == 7), "it arrives, or lies there");
        model::check(l.try_send(1) && l.try_receive() == 1, "and there is room again");
    });
    CHECK(seen);
}

TEST_CASE("closing: what has been sent can be received, who waits is told, and keeps its value", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, no_limit);
    const auto seen = model::explore(within(2, 1), [&] {
        line<2> l(slots);
        tasklet s, r;
        model::check(l.try_send(1), "there is room");
        std::string end;
        int first = 0, second = 0;
        model::threads({[&] { end = l.send(s, 2); },
                        [&] {
                            first = l.receive(r);
                            second = l.receive(r);
                        },
                        [&] { l.core->close(); }});
        model::check(first == 1, "a close takes nothing away");
        model::check(second == (end == "sent" ? 2 : 0), "both or neither");
        model::check(end == "sent" || end == "closed", "a close tells the sender");
        model::check(l.core->is_closed() && l.core->balance() == 0 && l.core->size() == 0, "nobody waits");
    });
    CHECK(seen);
}

TEST_CASE("two close at the same time while a sender and a receiver wait or do not", "[slots]") {
    const auto seen = model::explore(within(1, 1), [] {
        line<1> l(1);
        tasklet s, r;
        std::string first, second;
        int got = 0;
        model::threads({[&] {
                            first = l.send(s, 1);
                            second = l.send(s, 2);
                        },
                        [&] { got = l.receive(r); }, [&] { l.core->close(); }, [&] { l.core->close(); }});
        const int lies = l.try_receive();
        const int sent = (first == "sent") + 2 * (second == "sent");
        model::check(got + lies == sent, "what was sent is received, or lies there");
    });
    CHECK(seen);
}

TEST_CASE("whoever has sent a value finds one by a try, whoever else is sending", "[slots]") {
    const auto slots = GENERATE(std::size_t{2}, no_limit);
    const auto seen = model::explore(within(2, 1), [&] {
        line<2> l(slots);
        tasklet s;
        model::threads({[&] { model::check(l.send(s, 1) == "sent", "it is sent"); },
                        [&] {
                            model::check(l.try_send(2), "there is room");
                            model::check(l.try_receive() != 0, "there is a value");
                            model::check(l.try_send(3), "there is room again");
                        }});
        int left = 0;
        while (const int n = l.try_receive()) left += n;
        model::check(left >= 3, "the other two");
    });
    CHECK(seen);
}

TEST_CASE("long random runs over one slot, with stops and a close", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, no_limit);
    const auto seen = model::explore({.random = (model::sanitized ? 2'000 : 40'000) + 200'000 * model::deep}, [&] {
        line<1> l(slots);
        tasklet s1, s2, r1, r2;
        int sent = 0, got = 0;
        const auto send = [&](tasklet& s, int n) {
            auto end = l.send(s, n, true);
            if (end == "stopped") {
                s.forget_stop();
                end = l.send(s, n);
            }
            if (end == "sent") sent += n;
        };
        const auto take = [&](tasklet& r) {
            for (;;) {
                const int n = l.receive(r, true);
                if (n == 0) return;
                if (n > 0) got += n;
                else r.forget_stop();
            }
        };
        model::threads({[&] {
                            send(s1, 1);
                            send(s1, 10);
                        },
                        [&] {
                            send(s2, 100);
                            r1.request_stop();
                            send(s2, 1000);
                        },
                        [&] { take(r1); },
                        [&] {
                            s1.request_stop();
                            l.core->close();
                            take(r2);
                        }});
        model::check(got == sent, "each value arrives once");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nobody waits, nothing lies there");
    });
    CHECK(seen);
}

TEST_CASE("nobody gets ahead of a sender that waits for the only slot", "[slots]") {
    int seen_waiting = 0;
    const auto seen = model::explore({.random = (model::sanitized ? 2'000 : 40'000) + 200'000 * model::deep}, [&] {
        line<4> l(1);
        model::check(l.try_send(1), "there is room");
        tasklet waits, late;
        std::array<tasklet, 2> r;
        std::array<int, 2> got{};
        bool saw = false;
        model::threads({[&] { l.send(waits, 10); },
                        [&] {
                            if (l.core->balance() <= 0) return;
                            saw = true;
                            l.send(late, 20);
                        },
                        [&] { got[0] = l.receive(r[0]); }, [&] { got[1] = l.receive(r[1]); }});
        seen_waiting += saw;
        model::check(got[0] + got[1] == 11, "what waits comes before what is sent later");
        model::check(!saw || l.try_receive() == 20, "which lies there");
    });
    CHECK(seen);
    CHECK(seen_waiting > 0);
}

TEST_CASE("with a single slot a send locks, and a receive unlocks", "[slots]") {
    const bool one_tries = GENERATE(true, false);
    const auto seen = model::explore(within(2, 1), [&] {
        line<2> l(1);
        std::array<tasklet, 2> t;
        model::plain<int> guarded{0};
        int done = 0;
        const auto count = [&](tasklet& me, bool tries) {
            if (tries ? !l.try_send(1) : l.send(me, 1) != "sent") return;
            guarded = guarded + 1;
            ++done;
            if (tries) model::check(l.try_receive() == 1, "it lies there");
            else l.receive(me);
        };
        model::threads({[&] { count(t[0], false); }, [&] { count(t[1], one_tries); }});
        model::check(guarded == done && done >= 1, "one after the other");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nothing is left");
    });
    CHECK(seen);
}

// As channels/src/select.cpp does it: a send or a receive that can be found before it waits. Done, or closed.
template <class Line, class Enlist, class Withdraw>
rondo::lowlevel::progress select_only(Line& l, tasklet& me, int& missed, Enlist enlist, Withdraw withdraw) {
    using rondo::lowlevel::progress;
    for (;;) {
        rondo::lowlevel::partner met;
        void* place = nullptr;
        me.begin_enlisting();
        wait_node node(me);
        l.become(me, false);
        if (const progress now = enlist(node, place, met); now != progress::waits) {
            me.end_enlisting();
            return now;
        }
        const wake how = me.suspend_published(node.generation);
        withdraw(node, place);
        if (how == wake::closed || (how == wake::ready && node.tag == value_is_back)) return progress::closed;
        if (how == wake::ready) return progress::done;
        ++missed;
        cpu_relax();
    }
}
template <class Line>
bool select_send(Line& l, tasklet& me, int n, int& missed) {
    value v{n};
    const auto end = select_only(
        l, me, missed, [&](auto& node, auto& place, auto& met) { return l.core->select_send(v, node, place, met); },
        [&](auto& node, void* place) { l.core->withdraw_send(node, place); });
    if (end == rondo::lowlevel::progress::done) return true;
    model::check(v.n == n, "whoever does not send keeps the value");
    return false;
}
// The value; 0: closed.
template <class Line>
int select_receive(Line& l, tasklet& me, int& missed) {
    packet<value> p;
    const auto end = select_only(
        l, me, missed, [&](auto& node, auto& place, auto& met) { return l.core->select_receive(p, node, place, met); },
        [&](auto& node, void* place) { l.core->withdraw_receive(node, place); });
    return end == rondo::lowlevel::progress::closed ? 0 : static_cast<int>(p.take().n);
}

TEST_CASE("a sender that finds a select which still enlists does not hand over to it", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, no_limit);
    int missed = 0;
    const auto seen = model::explore(within(2, 1), [&] {
        line<2> l(slots);
        tasklet s, r;
        int got = 0;
        model::threads({[&] { model::check(l.send(s, 7) == "sent", "it is sent"); },
                        [&] { got = select_receive(l, r, missed); }});
        model::check(got == 7, "it arrives");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nothing is left");
        model::check(l.try_send(3) && l.try_receive() == 3, "the slots are there again");
    });
    CHECK(seen);
    CHECK(missed > 0);
}

TEST_CASE("long random runs in which a select sends beside others", "[slots]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2});
    int missed = 0;
    const auto seen = model::explore({.random = (model::sanitized ? 2'000 : 20'000) + 200'000 * model::deep}, [&] {
        line<1> l(slots);
        tasklet select, s, r;
        int sent = 0, got = 0;
        model::threads({[&] {
                            for (const int n : {1, 10})
                                if (select_send(l, select, n, missed)) sent += n;
                        },
                        [&] {
                            for (const int n : {100, 1000})
                                if (l.send(s, n) == "sent") sent += n;
                        },
                        [&] {
                            for (int i = 0; i < 3; ++i) got += l.receive(r);
                            l.core->close();
                            while (const int n = l.receive(r)) got += n;
                        }});
        model::check(got == sent, "each value arrives once");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nobody waits, nothing lies there");
    });
    CHECK(seen);
    CHECK(missed > 0);
}

// ------------------------------------------------------------------------------- made on a worker without others beside it

TEMPLATE_TEST_CASE("what its owner sends and receives alone, and others with it, arrives once and in order", "[slots][solo]", value,
                   plain_value) {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, no_limit);
    const bool owner_sends = GENERATE(true, false);
    const auto seen = model::explore(within(2, 1), [&] {
        using owners = line<2, TestType>;
        owners l(slots, typename owners::owned{});
        tasklet s, r;
        model::threads({[&] {
                            for (int i = 1; i <= 2; ++i)
                                model::check(l.send(s, i, false, owner_sends) == "sent", "it is sent");
                        },
                        [&] {
                            for (int i = 1; i <= 2; ++i)
                                model::check(l.receive(r, false, !owner_sends) == i, "values arrive in order");
                        }});
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nothing is left");
        model::check(l.try_send(3) && l.try_receive() == 3, "the slots are there again");
    });
    CHECK(seen);
}

TEMPLATE_TEST_CASE("its owner sends to itself while others try, and close", "[slots][solo]", value, plain_value) {
    const auto slots = GENERATE(std::size_t{2}, no_limit);
    const auto seen = model::explore(within(2, 1), [&] {
        using owners = line<2, TestType>;
        owners l(slots, typename owners::owned{});
        tasklet me;
        int sent = 0, got = 0, tried = 0, found = 0;
        model::threads({[&] {
                            for (const int n : {1, 2}) {
                                if (l.send(me, n, false, true) == "sent") sent += n;
                                got += l.receive(me, false, true);
                            }
                        },
                        [&] {
                            if (l.try_send(10)) tried = 10;
                            found = l.try_receive();
                            l.core->close();
                        }});
        while (const int n = l.try_receive()) found += n;
        model::check(sent + tried == got + found, "each value arrives once");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nobody waits, nothing lies there");
    });
    CHECK(seen);
}

TEMPLATE_TEST_CASE("long random runs in which others come to an owner's channel", "[slots][solo]", value, plain_value) {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, no_limit);
    const auto seen = model::explore({.random = (model::sanitized ? 2'000 : 40'000) + 200'000 * model::deep}, [&] {
        using owners = line<1, TestType>;
        owners l(slots, typename owners::owned{});
        tasklet mine, s;
        int sent = 0, got = 0;
        model::threads({[&] {
                            for (const int n : {1, 10})
                                if (l.send(mine, n, false, true) == "sent") sent += n;
                            while (const int n = l.receive(mine, false, true)) got += n;
                        },
                        [&] {
                            if (l.send(s, 100) == "sent") sent += 100;
                        },
                        [&] {
                            got += l.try_receive();
                            l.core->close();
                        }});
        model::check(got == sent, "each value arrives once");
        model::check(l.core->balance() == 0 && l.core->size() == 0, "nobody waits, nothing lies there");
    });
    CHECK(seen);
}

// ---------------------------------------------------------------------------------------------------------------- mutants

namespace {

// A queue that keeps, in small: three tickets a side, no segments, waiters of one wait each.
enum class bug {
    none, relaxed_post, relaxed_look, post_by_store, try_waits_its_turn, overtaken_post_stays, close_drops_items, close_ends_all
};

template <bug Bug>
struct small_keeper {
    using item = model::plain<int>;
    struct waiting {
        atomic<unsigned> ended{0};       // 1: an item has come, 2: closed
        int got = 0;
    };
    static constexpr std::uintptr_t dead = 1, closed = 3, is_item = 4;
    static constexpr unsigned closed_bit = 1u << 31;
    std::array<atomic<std::uintptr_t>, 3> cells;
    std::array<atomic<unsigned>, 2> tickets;             // of posts, of takes
    atomic<unsigned> end{0};

    bool post(item& i) {
        for (;;) {
            const auto t = tickets[0].fetch_add(1, acq_rel);
            if (t & closed_bit) return false;
            auto& c = cells[t];
            const auto mine = reinterpret_cast<std::uintptr_t>(&i) | is_item;
            auto seen = c.load(acquire);
            if (seen == 0) {
                constexpr auto order = Bug == bug::relaxed_post ? relaxed : release;
                if (Bug == bug::post_by_store) return c.store(mine, order), true;
                if (c.compare_exchange_strong(seen, mine, order, acquire)) return true;
            }
            if (seen == dead) continue;
            auto& who = *reinterpret_cast<waiting*>(seen);
            who.got = i;
            who.ended.store(1, release);
            return true;
        }
    }
    // 0: closed.
    int take(waiting& me) {
        const auto t = tickets[1].fetch_add(1, acq_rel);
        if (t & closed_bit) {
            if (Bug == bug::close_drops_items || (t & ~closed_bit) >= end.load(relaxed)) return 0;
        }
        auto& c = cells[t & ~closed_bit];
        constexpr auto look = Bug == bug::relaxed_look ? relaxed : acquire;
        auto seen = c.load(look);
        if (seen == 0 && c.compare_exchange_strong(seen, reinterpret_cast<std::uintptr_t>(&me), release, look)) {
            me.ended.wait(0, acquire);
            return me.got;
        }
        return seen == closed ? 0 : static_cast<int>(*reinterpret_cast<item*>(seen - is_item));
    }
    // 0: nothing there.
    int try_take() {
        for (;;) {
            auto t = tickets[1].load(acquire);
            if (t >= tickets[0].load(acquire)) return 0;
            auto& c = cells[t];
            auto seen = c.load(acquire);
            if (seen == 0 && Bug == bug::try_waits_its_turn) return 0;
            if (!tickets[1].compare_exchange_strong(t, t + 1, acq_rel, relaxed)) continue;
            if (seen == 0 && Bug == bug::overtaken_post_stays) continue;
            if (seen == 0 && c.compare_exchange_strong(seen, dead, acq_rel, acquire)) continue;
            return *reinterpret_cast<item*>(seen - is_item);
        }
    }
    void close() {
        const auto s = tickets[0].fetch_or(closed_bit, acq_rel);
        end.store(s, relaxed);
        const auto r = tickets[1].fetch_or(closed_bit, acq_rel);
        for (auto t = Bug == bug::close_ends_all ? 0 : s; t < r; ++t) {
            auto seen = cells[t].load(acquire);
            if (seen == 0 && cells[t].compare_exchange_strong(seen, closed, acq_rel, acquire)) continue;
            if (seen & is_item) continue;
            reinterpret_cast<waiting*>(seen)->ended.store(2, release);
        }
    }
};

template <bug Bug>
model::outcome walk_keeper() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        using queue = small_keeper<Bug>;
        queue q;
        typename queue::item one{0};
        typename queue::waiting r;
        int got = -1;
        model::threads({[&] {
                            one = 1;
                            q.post(one);
                        },
                        [&] { got = q.take(r); }});
        model::check(got == 1, "it arrives");
    });
}
template <bug Bug>
model::outcome walk_try() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        small_keeper<Bug> q;
        typename small_keeper<Bug>::item one{1}, two{2};
        int got = 0;
        model::threads({[&] { q.post(one); },
                        [&] {
                            q.post(two);
                            got = q.try_take();
                            model::check(got != 0, "whoever has posted finds one");
                        }});
        model::check(got + q.try_take() == 3, "each arrives");
    });
}
template <bug Bug>
model::outcome walk_close() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        small_keeper<Bug> q;
        typename small_keeper<Bug>::item one{1};
        typename small_keeper<Bug>::waiting r;
        bool posted = false;
        int got = -1;
        model::threads({[&] { posted = q.post(one); }, [&] { got = q.take(r); }, [&] { q.close(); }});
        model::check(got == (posted ? 1 : 0), "both or neither");
    });
}

}  // namespace

TEST_CASE("mutants of a queue that keeps are caught", "[slots][mutants]") {
    const std::string races = "a data race: it reads what another thread has written";
    const std::string stuck = "stuck: every thread left waits for another";
    CHECK(walk_keeper<bug::none>());
    CHECK(walk_try<bug::none>());
    CHECK(walk_close<bug::none>());
    CHECK(walk_keeper<bug::relaxed_post>().failure == races);
    CHECK(walk_keeper<bug::relaxed_look>().failure == races);
    CHECK(walk_keeper<bug::post_by_store>().failure == stuck);
    CHECK(walk_try<bug::try_waits_its_turn>().failure == "whoever has posted finds one");
    CHECK(walk_try<bug::overtaken_post_stays>().failure == "each arrives");
    CHECK(walk_close<bug::close_drops_items>().failure == "both or neither");
    CHECK(walk_close<bug::close_ends_all>().failure == "both or neither");
}
