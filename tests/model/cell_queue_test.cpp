// The real cell_queue (channels/include/rondo/detail/) and the real waiter under the model's atomics: what is sent is
// received once, whatever stops, gives up or closes in between; nobody is left waiting beside a partner.
#include "channel_stage.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <utility>

namespace {

template <std::size_t Cells>
struct line {
    memory<Cells> cells;
    union {
        cell_queue<model_store<Cells>> queue;
    };
    line() : queue(model_store<Cells>{&cells}) {}
    ~line() {                            // an execution that has failed is not tidied up
        if (std::uncaught_exceptions() == 0) queue.~cell_queue();
    }

    static model::plain<int>& slot(const meeting& m) { return *static_cast<model::plain<int>*>(m.node().slot); }
    static void part(const meeting& m) { static_cast<tasklet&>(*m.node().who).settle(m.how); }

    // What became of it.
    wake send(tasklet& me, int value) {
        me.frame = value;
        return pass(me, side::send);
    }
    wake receive(tasklet& me) { return pass(me, side::receive); }
    wake pass(tasklet& me, side mine, bool tidies = false) {
        wait_node node(me);
        node.slot = &me.frame;
        const meeting m = queue.arrive(mine, me, node);
        if (m.what == meeting::kind::closed) return wake::closed;
        if (m.is_met()) {
            move(m, me, mine);
            return wake::ready;
        }
        const wake outcome = me.suspend_published(node.generation);
        if (outcome == wake::ready || outcome == wake::closed) return outcome;
        queue.withdraw(*m.at(), node);
        if (tidies) queue.trim(mine);
        return outcome;
    }
    bool attempt(tasklet& me, side mine) {
        const meeting m = queue.try_arrive(mine);
        if (!m.is_met()) return false;
        move(m, me, mine);
        return true;
    }
    static void move(const meeting& m, tasklet& me, side mine) {
        if (mine == side::send) slot(m) = static_cast<int>(me.frame);
        else me.frame = static_cast<int>(slot(m));
        part(m);
    }
};

// src/select.cpp for receives from two queues, without its limit of rounds: which one, or -1 when stopped.
template <std::size_t Cells>
int receive_from_either(tasklet& me, line<Cells>& a, line<Cells>& b, side mine = side::receive) {
    for (;;) {
        const std::array<line<Cells>*, 2> all{&a, &b};
        std::array<cell*, 2> places{};
        me.begin_enlisting();
        wait_node first(me), second(me);
        const std::array<wait_node*, 2> nodes{&first, &second};
        const auto withdraw = [&] {
            for (unsigned i = 0; i < 2; ++i)
                if (places[i] && !nodes[i]->claimed) {
                    all[i]->queue.withdraw(*places[i], *nodes[i]);
                    all[i]->queue.trim(mine);
                }
        };
        int chosen = -2;
        for (unsigned i = 0; i < 2 && chosen == -2; ++i) {
            nodes[i]->slot = &me.frame;
            const meeting m = all[i]->queue.arrive(mine, me, *nodes[i]);
            if (m.is_met()) {
                line<Cells>::move(m, me, mine);
                chosen = static_cast<int>(i);
            } else {
                places[i] = m.at();
            }
        }
        if (chosen != -2) {
            withdraw();
            me.end_enlisting();
            return chosen;
        }
        const wake outcome = me.suspend_published(first.generation);
        withdraw();
        if (outcome == wake::ready) return first.claimed ? 0 : 1;
        if (outcome == wake::stopped) return -1;
        cpu_relax();                     // missed: again
    }
}

}  // namespace

TEST_CASE("a send and a receive meet in their cell, whoever comes first", "[cell_queue]") {
    const auto seen = model::explore(within(3, 2), [] {
        line<2> l;
        tasklet s, r;
        model::threads({[&] { model::check(l.send(s, 7) == wake::ready, "it is sent"); },
                        [&] {
                            model::check(l.receive(r) == wake::ready, "it is received");
                            model::check(r.frame == 7, "the value arrives");
                        }});
        model::check(l.queue.balance() == 0, "nobody is left");
    });
    CHECK(seen);
}

TEST_CASE("cells go on to the next segment and back to the store", "[cell_queue]") {
    const auto seen = model::explore(within(2, 1), [] {
        line<1> l;
        tasklet s, r;
        model::threads({[&] {
                            for (int i = 1; i <= 3; ++i) model::check(l.send(s, i) == wake::ready, "it is sent");
                        },
                        [&] {
                            for (int i = 1; i <= 3; ++i) {
                                model::check(l.receive(r) == wake::ready, "it is received");
                                model::check(r.frame == i, "values arrive in order");
                            }
                        }});
        model::check(l.cells.in_use <= 3, "segments are used again");
    });
    CHECK(seen);
}

TEST_CASE("two senders and two receivers pair off", "[cell_queue]") {
    const auto seen = model::explore(within(1, 1), [] {
        line<2> l;
        std::array<tasklet, 2> s, r;
        model::threads({[&] { l.send(s[0], 1); }, [&] { l.send(s[1], 2); }, [&] { l.receive(r[0]); },
                        [&] { l.receive(r[1]); }});
        model::check(r[0].frame + r[1].frame == 3 && r[0].frame != r[1].frame, "each value arrives once");
    });
    CHECK(seen);
}

TEST_CASE("a stop that races with a partner loses no value and makes none", "[cell_queue]") {
    const auto seen = model::explore(within(2, 1), [] {
        line<2> l;
        tasklet s, r;
        wake sent = wake::none, received = wake::none;
        model::threads({[&] { sent = l.send(s, 7); },
                        [&] {
                            received = l.pass(r, side::receive, true);
                            if (received == wake::ready) return;
                            r.forget_stop();
                            model::check(l.receive(r) == wake::ready, "the next one meets it");
                        },
                        [&] { r.request_stop(); }});
        model::check(sent == wake::ready, "it is sent");
        model::check(r.frame == 7, "it arrives");
    });
    CHECK(seen);
}

TEST_CASE("whoever gives up leaves no partner waiting in vain", "[cell_queue]") {
    // The stopped sender's cell must not swallow the receiver that meets the other sender.
    const auto seen = model::explore(within(1, 1), [] {
        line<2> l;
        tasklet stopped, s, r;
        wake first = wake::none;
        model::threads({[&] { first = l.send(stopped, 1); }, [&] { stopped.request_stop(); },
                        [&] {
                            l.receive(r);
                            if (r.frame == 1) l.receive(r);
                            model::check(r.frame == 2, "the other value arrives too");
                        },
                        [&] { model::check(l.send(s, 2) == wake::ready, "it is sent"); }});
        model::check(first == wake::ready || first == wake::stopped, "sent or stopped");
    });
    CHECK(seen);
}

TEST_CASE("closing ends every wait, early ones and late ones", "[cell_queue]") {
    const auto seen = model::explore(within(2, 1), [] {
        line<2> l;
        tasklet s, r;
        wake sent = wake::none, received = wake::none;
        model::threads({[&] { sent = l.send(s, 7); }, [&] { received = l.receive(r); }, [&] { l.queue.close(); }});
        model::check(sent == received && (sent == wake::ready || sent == wake::closed), "both or neither");
        model::check(l.queue.is_closed() && l.queue.balance() == 0, "nobody waits on a closed channel");
    });
    CHECK(seen);
}

TEST_CASE("a try meets who waits and takes no ticket else", "[cell_queue]") {
    const auto seen = model::explore(within(3, 2), [] {
        line<1> l;
        tasklet s, r, t;
        bool tried = false;
        model::threads({[&] { l.send(s, 7); },
                        [&] {
                            tried = l.attempt(t, side::receive);
                            if (!tried) l.receive(r);
                        }});
        model::check((tried ? t : r).frame == 7, "the value arrives");
    });
    CHECK(seen);
}

TEST_CASE("a select over two channels takes one value and leaves the other sender its own", "[cell_queue][select]") {
    const auto seen = model::explore(within(1, 1), [] {
        line<4> a, b;
        tasklet sa, sb, r;
        int first = -2, second = -2;
        model::threads({[&] { model::check(a.send(sa, 1) == wake::ready, "it is sent"); },
                        [&] { model::check(b.send(sb, 2) == wake::ready, "it is sent"); },
                        [&] {
                            first = receive_from_either(r, a, b);
                            model::check(r.frame == first + 1, "the chosen one's value");
                            second = receive_from_either(r, a, b);
                            model::check(r.frame == second + 1, "the chosen one's value");
                        }});
        model::check(first + second == 1, "one from each");
        model::check(a.queue.balance() == 0 && b.queue.balance() == 0, "no trace");
    });
    CHECK(seen);
}

TEST_CASE("a select meets a select", "[cell_queue][select]") {
    const auto seen = model::explore(within(2, 1), [] {
        line<2> a, b;
        tasklet s, r;
        s.frame = 7;
        int sent = -2, received = -2;
        model::threads({[&] { sent = receive_from_either(s, b, a, side::send); },
                        [&] { received = receive_from_either(r, a, b); }});
        model::check(sent + received == 1, "on the same channel");
        model::check(r.frame == 7, "the value arrives");
        model::check(a.queue.balance() == 0 && b.queue.balance() == 0, "no trace");
    });
    CHECK(seen);
}

namespace {

// Comes and gives up again, so many times; then waits. A value may come early; then that was it.
template <std::size_t Cells>
int receive_at_last(line<Cells>& l, tasklet& me, int times) {
    for (int i = 0; i < times; ++i) {
        me.request_stop();
        const wake end = l.pass(me, side::receive, true);
        me.forget_stop();
        if (end == wake::ready) return me.frame;
    }
    return l.receive(me) == wake::ready ? static_cast<int>(me.frame) : 0;
}

}  // namespace

TEST_CASE("cells that were given up beside somebody who waits on go, and those who wait are met", "[cell_queue][sweep]") {
    const auto seen = model::explore(within(1, 1), [] {
        line<1> l;
        tasklet first, second, s;
        int sum = 0;
        model::threads({[&] { sum += receive_at_last(l, first, 0); }, [&] { sum += receive_at_last(l, second, 4); },
                        [&] {
                            l.send(s, 1);
                            l.send(s, 2);
                        }});
        model::check(sum == 3, "each value arrives once");
        model::check(l.queue.balance() == 0, "nobody is left");
    });
    CHECK(seen);
}

TEST_CASE("cells that were given up beside somebody who waits on are used again", "[cell_queue][sweep]") {
    const auto seen = model::explore(within(1, 0), [] {
        line<1> l;
        tasklet first, second;
        model::threads({[&] { model::check(receive_at_last(l, first, 0) == 7, "it is received"); },
                        [&] {
                            for (int i = 0; i < 20; ++i) {
                                second.request_stop();
                                l.pass(second, side::receive, true);
                                second.forget_stop();
                            }
                            model::check(l.cells.segments.size() <= 10, "the cells are used again");
                            model::check(l.send(second, 7) == wake::ready, "it is sent");
                        }});
    });
    CHECK(seen);
}

TEST_CASE("a close and a count go along while cells are unlinked", "[cell_queue][sweep]") {
    const auto seen = model::explore(within(2, 0), [] {
        line<1> l;
        tasklet first, second;
        model::threads({[&] { model::check(receive_at_last(l, first, 0) == 0, "who waits is told"); },
                        [&] { model::check(receive_at_last(l, second, 2) == 0, "who waits is told"); },
                        [&] {
                            const auto waiting = l.queue.balance();
                            model::check(waiting <= 0 && waiting >= -2, "no more than there are");
                            l.queue.close();
                        }});
        model::check(l.queue.balance() == 0, "nobody is left");
    });
    CHECK(seen);
}

// What walkers_ is for. A receiver waits, cells behind it are dead, then comes another who waits, then dead ones again. The
// next to come sweeps: the dead ones between the two go, while a close, or a count, is on its way along them.
TEST_CASE("who walks along the cells passes those that are unlinked under its feet", "[cell_queue][sweep]") {
    const bool closes = GENERATE(true, false);
    const auto seen = model::explore(within(2, 1), [&] {
        line<1> l;
        tasklet first, second, quitter;
        const auto give_up = [&](int times) {
            for (; times > 0; --times) {
                quitter.request_stop();
                l.pass(quitter, side::receive, true);
                quitter.forget_stop();
            }
        };
        wait_node first_node(first), second_node(second);
        const auto enlist = [&](tasklet& who, wait_node& node) {
            node.slot = &who.frame;
            l.queue.arrive(side::receive, who, node);
        };
        model::threads({[&] {
            enlist(first, first_node);
            give_up(1);
            enlist(second, second_node);
            give_up(2);
        }});
        model::threads({[&] { give_up(2); },
                        [&] {
                            if (!closes) {
                                const auto counted = l.queue.balance();
                                model::check(counted == -2 || counted == -3, "those who wait, and who comes and goes");
                            }
                            l.queue.close();
                            for (auto [who, node] : {std::pair(&first, &first_node), std::pair(&second, &second_node)})
                                model::check(who->suspend_published(node->generation) == wake::closed, "it is told");
                        }});
    });
    CHECK(seen);
}

TEST_CASE("two who give up in turn beside somebody who waits on leave few cells", "[cell_queue][sweep]") {
    const auto seen = model::explore({.random = (model::sanitized ? 1'000 : 20'000) + 400'000 * model::deep}, [] {
        line<1> l;
        tasklet first, second, third, s;
        int got = 0;
        model::threads({[&] { got += receive_at_last(l, first, 0); }, [&] { got += receive_at_last(l, second, 8); },
                        [&] { got += receive_at_last(l, third, 8); },
                        [&] {
                            for (int v = 1; v <= 4; v *= 2) l.send(s, v);
                        }});
        model::check(got == 7, "each value arrives once");
        model::check(l.cells.segments.size() <= 12, "segments are used again");
    });
    CHECK(seen);
}

TEST_CASE("long random runs of senders, receivers, stops and segments", "[cell_queue]") {
    const auto seen = model::explore({.random = (model::sanitized ? 1'000 : 20'000) + 400'000 * model::deep}, [] {
        line<1> l;
        tasklet s1, s2, r1, r2;
        int got = 0;
        const auto take = [&](tasklet& r) {
            if (l.pass(r, side::receive, true) != wake::ready) {
                r.forget_stop();
                l.receive(r);
            }
            got += r.frame;
        };
        model::threads({[&] { l.send(s1, 1); }, [&] { l.send(s2, 2); }, [&] { take(r1); },
                        [&] {
                            r1.request_stop();
                            take(r2);
                        }});
        model::check(got == 3, "each value arrives once");
    });
    CHECK(seen);
}

// ---------------------------------------------------------------------------------------------------------------- mutants

namespace {

// The cells in small: two tickets a side, no segments, waiters of one wait each.
enum class bug {
    none, relaxed_publish, relaxed_look, relaxed_claim, no_claim, publish_by_store, close_skips_empty, settle_in_two_steps,
    dead_not_passed
};

template <bug Bug>
struct small_queue {
    static constexpr unsigned free = 0, open = 1, taken = 2;
    struct waiting {
        atomic<unsigned> word{free}, signs{0}, resumed{0};
        model::plain<int> frame{0};
        void sign() {                    // the second of owner and winner resumes
            if (Bug == bug::settle_in_two_steps) {
                const auto before = signs.load(acquire);
                signs.store(before + 1, release);
                if (before) resumed.store(1, release);
            } else if (signs.fetch_add(1, acq_rel)) {
                resumed.store(1, release);
            }
        }
    };
    static constexpr std::uintptr_t dead = 1, done = 2, closed = 3;
    std::array<atomic<std::uintptr_t>, 2> cells;
    std::array<atomic<unsigned>, 2> tickets;
    static constexpr unsigned closed_bit = 1u << 31;

    // 1: met or was met, 0: closed, -1: gave up.
    int pass(unsigned mine, waiting& me, bool gives_up = false) {
        for (;;) {
            const auto t = tickets[mine].fetch_add(1, acq_rel);
            if (t & closed_bit) return 0;
            auto& c = cells[t];
            constexpr auto look = Bug == bug::relaxed_look ? relaxed : acquire;
            auto seen = c.load(look);
            if (seen == 0) {
                const auto publish = Bug == bug::relaxed_publish ? relaxed : release;
                if (Bug == bug::publish_by_store) {
                    c.store(reinterpret_cast<std::uintptr_t>(&me), publish);
                    return wait(c, me, gives_up);
                }
                if (c.compare_exchange_strong(seen, reinterpret_cast<std::uintptr_t>(&me), publish, look))
                    return wait(c, me, gives_up);
            }
            if (seen == closed) return 0;
            if (seen == dead) {
                if (Bug == bug::dead_not_passed) return -1;
                c.store(done, release);
                continue;
            }
            auto& other = *reinterpret_cast<waiting*>(seen);
            auto now = free;
            constexpr auto claim = Bug == bug::relaxed_claim ? relaxed : acq_rel;
            if (Bug != bug::no_claim && !other.word.compare_exchange_strong(now, taken, claim, relaxed)) {
                c.store(done, release);
                continue;
            }
            if (mine == 0) other.frame = static_cast<int>(me.frame);
            else me.frame = static_cast<int>(other.frame);
            c.store(done, release);
            other.sign();
            return 1;
        }
    }
    int wait(atomic<std::uintptr_t>& c, waiting& me, bool gives_up) {
        auto now = small_queue::free;
        if (gives_up && me.word.compare_exchange_strong(now, taken, acq_rel, relaxed)) {
            auto mine = reinterpret_cast<std::uintptr_t>(&me);
            c.compare_exchange_strong(mine, dead, acq_rel, relaxed);
            return -1;
        }
        me.sign();
        me.resumed.wait(0, acquire);
        return me.word.load(relaxed) == taken ? 1 : 0;
    }
    void close() {
        const auto s = tickets[0].fetch_or(closed_bit, acq_rel), r = tickets[1].fetch_or(closed_bit, acq_rel);
        for (auto t = std::min(s, r); t < std::max(s, r); ++t) {
            auto seen = cells[t].load(acquire);
            if (seen == 0) {
                if (Bug == bug::close_skips_empty) continue;
                if (cells[t].compare_exchange_strong(seen, closed, acq_rel, acquire)) continue;
            }
            if (seen <= closed) continue;
            auto& who = *reinterpret_cast<waiting*>(seen);
            auto now = free;
            if (!who.word.compare_exchange_strong(now, open, acq_rel, relaxed)) continue;
            who.sign();
        }
    }
};

template <bug Bug>
model::outcome walk() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        using queue = small_queue<Bug>;
        queue q;
        typename queue::waiting s, r, quitter;
        int sent = -2, received = -2, quit = -2;
        model::threads({[&] {
                            s.frame = 7;
                            sent = q.pass(0, s);
                        },
                        [&] {
                            quit = q.pass(1, quitter, true);
                            if (quit == -1) received = q.pass(1, r);
                        }});
        model::check(sent == 1, "it is sent");
        model::check(quit == 1 ? quitter.frame == 7 : received == 1 && r.frame == 7, "it arrives");
    });
}

template <bug Bug>
model::outcome walk_close() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        using queue = small_queue<Bug>;
        queue q;
        typename queue::waiting s, r;
        s.frame = 7;
        int sent = -2, received = -2;
        model::threads({[&] { sent = q.pass(0, s); }, [&] { received = q.pass(1, r); }, [&] { q.close(); }});
        model::check(sent == received, "both or neither");
        model::check(received == 0 || r.frame == 7, "it arrives");
    });
}

// walkers_: a segment that has been unlinked is used again only when nobody can be on his way along it.
enum class walk_bug { none, no_fence_in_walk, no_fence_in_retire, relaxed_leave, relaxed_look, looks_before_unlinking, flag };

template <walk_bug Bug>
model::outcome walk_along() {
    return model::explore({.preemptions = 3, .stale_reads = 2}, [] {
        atomic<unsigned> walkers{0}, link{0};
        std::array<model::plain<int>, 2> segments;
        const auto walk = [&] {
            if (Bug == walk_bug::flag) walkers.store(1, relaxed);
            else walkers.fetch_add(1, relaxed);
            if (Bug != walk_bug::no_fence_in_walk) fence_seq_cst();
            model::check(segments[link.load(acquire)] == 0, "it is as it was when it was linked");
            constexpr auto leave = Bug == walk_bug::relaxed_leave ? relaxed : release;
            if (Bug == walk_bug::flag) walkers.store(0, leave);
            else walkers.fetch_sub(1, leave);
        };
        const auto is_quiet = [&] { return walkers.load(Bug == walk_bug::relaxed_look ? relaxed : acquire) == 0; };
        model::threads({walk, walk, [&] {
                            const bool was_quiet = Bug == walk_bug::looks_before_unlinking && is_quiet();
                            link.store(1, release);
                            if (Bug != walk_bug::no_fence_in_retire) fence_seq_cst();
                            if (Bug == walk_bug::looks_before_unlinking ? was_quiet : is_quiet()) segments[0] = 1;
                        }});
    });
}

const std::string races = "a data race: it reads what another thread has written";
const std::string written_under_it = "a data race: it writes what another thread reads";
const std::string stuck = "stuck: every thread left waits for another";

}  // namespace

TEST_CASE("mutants of the cells are caught", "[cell_queue][mutants]") {
    CHECK(walk<bug::none>());
    CHECK(walk_close<bug::none>());
    CHECK(walk<bug::relaxed_publish>().failure == races);
    CHECK(walk<bug::relaxed_look>().failure == races);
    CHECK_FALSE(walk<bug::no_claim>());
    CHECK(walk<bug::publish_by_store>().failure == stuck);
    CHECK(walk<bug::dead_not_passed>().failure == stuck);
    CHECK(walk<bug::settle_in_two_steps>().failure == stuck);
    CHECK(walk_close<bug::close_skips_empty>().failure == stuck);
}

TEST_CASE("mutants of walking along the cells are caught", "[cell_queue][mutants]") {
    const auto is_race = [](const model::outcome& seen) {
        return seen.failure == races || seen.failure == written_under_it ||
               seen.failure == "it is as it was when it was linked";
    };
    CHECK(walk_along<walk_bug::none>());
    CHECK(is_race(walk_along<walk_bug::no_fence_in_walk>()));
    CHECK(is_race(walk_along<walk_bug::no_fence_in_retire>()));
    CHECK(is_race(walk_along<walk_bug::relaxed_leave>()));
    CHECK(is_race(walk_along<walk_bug::relaxed_look>()));
    CHECK(is_race(walk_along<walk_bug::looks_before_unlinking>()));
    CHECK(is_race(walk_along<walk_bug::flag>()));
}
