// Tests of the tester: the algorithms that the other files here walk through, in a few lines each, once as they should
// be and once for each bug planted into them. The first must pass, every other one must be caught.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

// ---- runtime/src/work_deque.hpp, with four slots and for ever the same ring

enum class deque_bug {
    none, relaxed_push, relaxed_take, no_fence_in_take, no_fence_in_steal, last_one_unclaimed, many_unclaimed,
    many_not_read_again
};

template <deque_bug Bug>
struct small_deque {
    struct element {
        model::plain<int> payload{0};
        int taken = 0;
    };
    atomic<int> bottom{0}, top{0};
    std::array<atomic<element*>, 4> slots;

    void push(element* x) {
        const int b = bottom.load(relaxed);
        slots[static_cast<unsigned>(b)].store(x, relaxed);
        bottom.store(b + 1, Bug == deque_bug::relaxed_push ? relaxed : release);
    }
    element* take_bottom() {
        const int b = bottom.load(relaxed) - 1;
        // release: a thief that reads this store has not read the one of push(), but takes what that has published.
        bottom.store(b, Bug == deque_bug::relaxed_take ? relaxed : release);
        if (Bug != deque_bug::no_fence_in_take) fence_seq_cst();
        int t = top.load(relaxed);
        element* x = t <= b ? slots[static_cast<unsigned>(b)].load(relaxed) : nullptr;
        if (t < b) return x;
        if (Bug != deque_bug::last_one_unclaimed && t == b && !top.compare_exchange_strong(t, t + 1, seq_cst, relaxed))
            x = nullptr;
        bottom.store(b + 1, relaxed);
        return x;
    }
    int take_top_many(std::array<element*, 4>& into) {
        int t = top.load(relaxed), n = 0;
        do {
            if (n == 0 || Bug != deque_bug::many_not_read_again) {
                n = bottom.load(relaxed) - t;
                for (int i = 0; i < n; ++i)
                    into[static_cast<unsigned>(i)] = slots[static_cast<unsigned>(t + i)].load(relaxed);
            }
            if (n <= 0) return 0;
            if (Bug == deque_bug::many_unclaimed) return top.store(t + n, seq_cst), n;
        } while (!top.compare_exchange_weak(t, t + n, seq_cst, relaxed));
        return n;
    }
    element* steal() {
        int t = top.load(acquire);
        if (Bug != deque_bug::no_fence_in_steal) fence_seq_cst();
        if (t >= bottom.load(acquire)) return nullptr;
        element* x = slots[static_cast<unsigned>(t)].load(relaxed);
        return top.compare_exchange_strong(t, t + 1, seq_cst, relaxed) ? x : nullptr;
    }
};

template <deque_bug Bug>
model::outcome walk_deque(bool many = false) {
    return model::explore({.preemptions = 3, .stale_reads = 3}, [many] {
        small_deque<Bug> deque;
        std::array<typename small_deque<Bug>::element, 2> elements;
        const auto count = [&](auto* x) {
            if (!x) return;
            model::check(x->payload == 1, "a taker sees what was written before the push");
            model::check(++x->taken == 1, "no element is taken twice");
        };
        model::threads({[&] {
                            for (auto& x : elements) {
                                x.payload = 1;
                                deque.push(&x);
                            }
                            if (many) {
                                std::array<typename small_deque<Bug>::element*, 4> these{};
                                for (int n = deque.take_top_many(these); n > 0;) count(these[static_cast<unsigned>(--n)]);
                                return;
                            }
                            count(deque.take_bottom());
                            count(deque.take_bottom());
                        },
                        [&] {
                            count(deque.steal());
                            count(deque.steal());
                        }});
    });
}

// ---- runtime/src/taken_ahead.hpp, with three items and for ever the same places

enum class ahead_bug {
    none, relaxed_fill, no_fence_in_raid, raid_unseen, does_not_wait, end_not_read_again, relaxed_end_of_raid, two_raiders,
    next_stays
};

template <ahead_bug Bug>
struct small_ahead {
    struct item {
        model::plain<int> payload{0};
        int taken = 0;
    };
    std::array<item, 3> items;
    atomic<unsigned> next{0}, end{0}, raid_{0};
    std::array<atomic<item*>, 4> places;
    unsigned filled = 0;

    void fill(unsigned n) {
        const auto e = end.load(relaxed);
        for (unsigned i = 0; i < n; ++i) {
            items[filled].payload = 1;
            places[(e + i) % places.size()].store(&items[filled++], relaxed);
        }
        end.store(e + n, Bug == ahead_bug::relaxed_fill ? relaxed : release);
    }
    item* take() {
        const auto n = next.load(relaxed);
        if (n >= end.load(relaxed)) return nullptr;
        next.store(n + 1, relaxed);
        fence_light();
        if (Bug == ahead_bug::raid_unseen) return at(n);
        if (raid_.load(acquire) == 0 && (Bug == ahead_bug::end_not_read_again || n < end.load(relaxed))) return at(n);
        if (Bug != ahead_bug::does_not_wait)
            while (raid_.load(acquire) != 0) cpu_relax();
        if (n < end.load(relaxed)) return at(n);
        if (Bug != ahead_bug::next_stays) next.store(n, relaxed);
        return nullptr;
    }
    item* raid() {
        unsigned nobody = 0;
        if (next.load(relaxed) >= end.load(relaxed)) return nullptr;
        if (Bug == ahead_bug::two_raiders) raid_.store(1, relaxed);
        else if (!raid_.compare_exchange_strong(nobody, 1, acquire, relaxed)) return nullptr;
        if (Bug != ahead_bug::no_fence_in_raid) fence_heavy();
        const auto n = next.load(relaxed), e = end.load(acquire);
        item* x = nullptr;
        if (n < e) {
            x = at(e - 1);
            end.store(e - 1, relaxed);
        }
        raid_.store(0, Bug == ahead_bug::relaxed_end_of_raid ? relaxed : release);
        return x;
    }
    item* at(unsigned n) { return places[n % places.size()].load(relaxed); }
};

template <ahead_bug Bug>
model::outcome walk_ahead() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        small_ahead<Bug> ahead;
        const auto count = [&](auto* x) {
            if (!x) return;
            model::check(x->payload == 1, "a taker sees what was written before");
            model::check(++x->taken == 1, "no item is taken twice");
        };
        const auto take_all = [&] {
            while (ahead.next.load(relaxed) < ahead.end.load(relaxed)) count(ahead.take());
        };
        model::threads({[&] {
                            ahead.fill(2);
                            take_all();
                            ahead.fill(1);
                            take_all();
                        },
                        [&] { count(ahead.raid()); }, [&] { count(ahead.raid()); }});
        for (auto& x : ahead.items) model::check(x.taken == 1, "each item is taken");
    });
}

// ---- runtime/src/next_slot.hpp

enum class slot_bug {
    none, relaxed_put, no_fence_in_raid, raid_unseen, sees_no_raid_that_is_over, does_not_wait, relaxed_end_of_raid, two_raiders,
    counts_from_the_start, empties_after_the_raid
};

template <slot_bug Bug>
struct small_slot {
    struct item {
        model::plain<int> payload{0};
        int taken = 0;
    };
    std::array<item, 2> items;
    atomic<item*> held{nullptr};
    atomic<unsigned> raid_{0}, raided{0};
    unsigned raided_before = 0;

    void put(item& x) {
        x.payload = 1;
        if (Bug != slot_bug::counts_from_the_start) raided_before = raided.load(relaxed);
        held.store(&x, Bug == slot_bug::relaxed_put ? relaxed : release);
    }
    item* take() {
        item* const x = held.load(acquire);
        if (!x) return nullptr;
        held.store(nullptr, relaxed);
        fence_light();
        if (Bug == slot_bug::raid_unseen) return x;
        if (raid_.load(acquire) == 0 && (Bug == slot_bug::sees_no_raid_that_is_over || raided.load(relaxed) == raided_before))
            return x;
        if (Bug != slot_bug::does_not_wait)
            while (raid_.load(acquire) != 0) cpu_relax();
        return raided.load(relaxed) == raided_before ? x : nullptr;
    }
    item* raid() {
        unsigned nobody = 0;
        if (held.load(acquire) == nullptr) return nullptr;
        if (Bug == slot_bug::two_raiders) raid_.store(1, relaxed);
        else if (!raid_.compare_exchange_strong(nobody, 1, acquire, relaxed)) return nullptr;
        if (Bug != slot_bug::no_fence_in_raid) fence_heavy();
        item* const x = held.load(acquire);
        if (x) {
            raided.store(raided.load(relaxed) + 1, relaxed);
            if (Bug != slot_bug::empties_after_the_raid) held.store(nullptr, release);
        }
        raid_.store(0, Bug == slot_bug::relaxed_end_of_raid ? relaxed : release);
        if (x && Bug == slot_bug::empties_after_the_raid) held.store(nullptr, release);
        return x;
    }
};

template <slot_bug Bug>
model::outcome walk_slot() {
    return model::explore({.preemptions = 3, .stale_reads = 2}, [] {
        small_slot<Bug> slot;
        const auto count = [&](auto* x) {
            if (!x) return;
            model::check(x->payload == 1, "a taker sees what was written before");
            model::check(++x->taken == 1, "nobody is taken twice");
        };
        model::threads({[&] {
                            slot.put(slot.items[0]);
                            count(slot.take());
                            slot.put(slot.items[1]);
                            count(slot.take());
                        },
                        [&] { count(slot.raid()); }, [&] { count(slot.raid()); }});
        count(slot.take());
        for (auto& x : slot.items) model::check(x.taken == 1, "everybody is taken");
    });
}

// ---- runtime/include/rondo/lowlevel/solo.hpp

enum class solo_bug { none, no_fence_in_open, does_not_look_again, does_not_wait, open_too_early, relaxed_leave, relaxed_open };

template <solo_bug Bug>
struct small_solo {
    static constexpr unsigned open = 0, owned = 2, opening = 3;
    atomic<unsigned> owner{owned}, inside{0};

    bool enter() {
        if (owner.load(acquire) != owned) return false;
        inside.store(1, release);
        fence_light();
        if (Bug == solo_bug::does_not_look_again || owner.load(acquire) == owned) return true;
        inside.store(0, release);
        return false;
    }
    void leave() { inside.store(0, Bug == solo_bug::relaxed_leave ? relaxed : release); }
    void claim() {
        if (owner.load(acquire) == open) return;
        owner.store(Bug == solo_bug::open_too_early ? open : opening, seq_cst);
        if (Bug != solo_bug::no_fence_in_open) fence_heavy();
        if (Bug != solo_bug::does_not_wait)
            while (inside.load(acquire) != 0) cpu_relax();
        owner.store(open, Bug == solo_bug::relaxed_open ? relaxed : release);
    }
};

// Two others come, who only look.
template <solo_bug Bug>
model::outcome walk_solo() {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [] {
        small_solo<Bug> solo;
        model::plain<int> hands{0};
        const auto other = [&] {
            solo.claim();
            const int before = hands;
            solo.owner.load(relaxed);                 // others may go on here
            model::check(before == hands, "the owner is through");
        };
        model::threads({[&] {
                            for (int i = 0; i < 2; ++i) {
                                if (!solo.enter()) continue;
                                hands = hands + 1;
                                solo.leave();
                            }
                        },
                        other, other});
    });
}

// ---- runtime/include/rondo/detail/child_count.hpp

enum class count_bug {
    none, no_fence_in_stop, looks_before_showing, relaxed_enter, relaxed_leave, leave_in_two_steps, open_does_not_count,
    spare_stays
};

template <count_bug Bug>
struct small_count {
    explicit small_count(unsigned n) : in_advance(n) {}
    static constexpr unsigned child = 4, open = 2, stopping = 1;
    const unsigned in_advance;
    atomic<unsigned> live{open};
    unsigned spare = 0;                               // the scope's own

    template <class Show>
    bool enter(bool by_the_scope, Show show) {
        if (!by_the_scope || in_advance == 0) {
            show();
            return live.fetch_add(child, Bug == count_bug::relaxed_enter ? relaxed : acq_rel) & stopping;
        }
        if (spare == 0) {
            live.fetch_add(in_advance * child, acq_rel);
            spare = in_advance;
        }
        --spare;
        const bool stops = Bug == count_bug::looks_before_showing && (live.load(relaxed) & stopping);
        show();
        if (Bug == count_bug::looks_before_showing) return stops;
        fence_light();
        return live.load(relaxed) & stopping;
    }
    void stop() {
        const bool was_open = live.fetch_or(stopping, acq_rel) & open;
        if (Bug != count_bug::no_fence_in_stop && was_open && in_advance != 0) fence_heavy();
    }
    bool leave() {
        constexpr unsigned other = Bug == count_bug::open_does_not_count ? stopping | open : stopping;
        if (Bug == count_bug::leave_in_two_steps) {
            const auto now = live.load(acquire);
            live.store(now - child, release);
            return (now & ~other) == child;
        }
        return (live.fetch_sub(child, Bug == count_bug::relaxed_leave ? relaxed : acq_rel) & ~other) == child;
    }
    bool close() {
        const auto gone = (Bug == count_bug::spare_stays ? 0 : spare * child) + open;
        spare = 0;
        return live.fetch_sub(gone, acq_rel) - gone >= child;
    }
};

// A scope with two children, of which the one spawns the other or not, and a stop, or not.
template <count_bug Bug>
model::outcome walk_count(bool is_stopped, bool by_a_child, unsigned in_advance = 2) {
    return model::explore({.preemptions = 2, .stale_reads = 2}, [=] {
        small_count<Bug> count(in_advance);
        std::array<atomic<int>, 2> shown, started;
        std::array<model::plain<int>, 2> written;
        std::array<bool, 2> told{}, found{};
        atomic<int> woken{0};
        bool is_over = false;
        const auto spawn = [&](unsigned i, bool by_the_scope) {
            told[i] = count.enter(by_the_scope, [&] { shown[i].store(1, relaxed); });
            started[i].store(1, release);
        };
        const auto run = [&](unsigned i) {
            while (started[i].load(acquire) == 0) cpu_relax();
            if (i == 0 && by_a_child) spawn(1, false);
            written[i] = 1;
            if (!count.leave()) return;
            woken.load(relaxed);                      // others may go on here
            model::check(!is_over, "the scope waits for the last child");
            woken.store(1, release);
        };
        std::vector<std::function<void()>> all{[&] {
                                                   spawn(0, true);
                                                   if (!by_a_child) spawn(1, true);
                                                   if (is_stopped) return;
                                                   if (count.close())
                                                       while (woken.load(acquire) == 0) cpu_relax();
                                                   is_over = true;
                                                   for (auto& w : written) model::check(w == 1, "every child has ended");
                                               }};
        if (is_stopped) {
            if (by_a_child) all.push_back([&] { spawn(1, false); });
            all.push_back([&] {
                count.stop();
                for (unsigned i = 0; i < 2; ++i) found[i] = shown[i].load(relaxed) != 0;
            });
        } else {
            all.push_back([&] { run(0); });
            all.push_back([&] { run(1); });
        }
        model::threads(all);
        for (unsigned i = 0; is_stopped && i < 2; ++i) model::check(told[i] || found[i], "a stop reaches each child");
    });
}

// ---- runtime/src/injection_queue.hpp

enum class queue_bug { none, relaxed_push, relaxed_take, push_in_two_steps };

template <queue_bug Bug>
model::outcome walk_queue() {
    struct element {
        model::plain<element*> next{nullptr};
        int taken = 0;
    };
    return model::explore({}, [] {
        atomic<element*> head{nullptr};
        std::array<element, 2> elements;
        const auto push = [&](element* x) {
            element* before = head.load(relaxed);
            do x->next = before;
            while (Bug != queue_bug::push_in_two_steps &&
                   !head.compare_exchange_weak(before, x, Bug == queue_bug::relaxed_push ? relaxed : release, relaxed));
            if (Bug == queue_bug::push_in_two_steps) head.exchange(x, acq_rel);
        };
        const auto take_all = [&] {
            constexpr auto order = Bug == queue_bug::relaxed_take ? relaxed : acquire;
            for (element* x = head.exchange(nullptr, order); x; x = x->next)
                model::check(++x->taken == 1, "no element is taken twice");
        };
        model::threads({[&] { push(&elements[0]); }, [&] { push(&elements[1]); }, take_all});
        take_all();
        for (auto& x : elements) model::check(x.taken == 1, "each element is taken");
    });
}

// ---- runtime/src/idle_workers.hpp: one producer, one worker; and the last searcher, who looks again

enum class park_bug { none, no_fence_in_producer, no_fence_in_park, no_second_look };

template <park_bug Bug>
model::outcome walk_park() {
    return model::explore({}, [] {
        atomic<int> parked{0}, work{0}, token{0};
        model::threads({[&] {
                            work.store(1, release);
                            if (Bug != park_bug::no_fence_in_producer) fence_seq_cst();
                            if (parked.load(relaxed) && parked.exchange(0, acq_rel)) token.exchange(1, acq_rel);
                        },
                        [&] {
                            if (work.load(acquire)) return;
                            parked.fetch_or(1, seq_cst);
                            if (Bug != park_bug::no_fence_in_park) fence_seq_cst();
                            if (Bug != park_bug::no_second_look && work.load(relaxed) && parked.fetch_and(0, acq_rel))
                                return;
                            token.wait(0, acquire);
                        }});
    });
}

template <bool HasFence>
model::outcome walk_last_searcher() {
    return model::explore({}, [] {
        atomic<int> searching{1}, work{0};
        int wakes = 0;
        model::threads({[&] {
                            work.store(1, release);
                            fence_seq_cst();
                            if (searching.load(relaxed) == 0) ++wakes;
                        },
                        [&] {
                            searching.fetch_sub(1, seq_cst);
                            if (HasFence) fence_seq_cst();
                            if (work.load(relaxed)) ++wakes;
                        }});
        model::check(wakes > 0, "the producer or the last searcher wakes another worker");
    });
}

// ---- runtime/src/lookout.hpp: a push without a fence, one who has looked and has found work, one who parks; and one who stops
// looking since all are parked, while one of them is woken and pushes

enum class look_bug {
    none, offers_once, no_heavy_fence, light_for_all, fence_after_the_look, not_for_little, no_fence_in_go_on,
    stops_for_good
};

template <look_bug Bug>
struct small_lookout {
    static constexpr unsigned searching = 1, parked = 16, all = 2 * parked;
    bool lightly = true;
    atomic<unsigned> counts{0}, kept{0};
    atomic<bool> looks{false};
    bool woken = false, looks_on = false;

    void push() {
        kept.store(1, release);
        if (!lightly && Bug != look_bug::light_for_all && Bug != look_bug::fence_after_the_look) fence_seq_cst();
        const auto c = counts.load(relaxed);
        if (c < parked || c % parked != 0) return;
        if (Bug == look_bug::fence_after_the_look) fence_seq_cst();
        woken |= !looks.load(relaxed);
    }
    void found() {
        const auto c = counts.fetch_sub(searching, seq_cst) - searching;
        fence_seq_cst();
        if (c % parked != 0 || c < parked || looks.load(relaxed) || Bug == look_bug::not_for_little) return;
        if (lightly && Bug != look_bug::no_heavy_fence) fence_heavy();
        woken |= kept.load(relaxed) != 0;
    }
    bool offer() { return !looks.exchange(true, relaxed); }
    void park() {
        looks_on = offer();
        counts.fetch_add(parked - searching, seq_cst);
        fence_seq_cst();
        if (Bug != look_bug::offers_once) looks_on = looks_on || offer();
    }
    void wake_by_clock() {
        looks.store(false, relaxed);
        counts.fetch_add(searching, seq_cst);
    }
    void go_on() {                                    // if all are parked
        looks.store(false, relaxed);
        if (Bug != look_bug::no_fence_in_go_on) fence_seq_cst();
        looks_on = Bug != look_bug::stops_for_good && counts.load(seq_cst) != all && offer();
    }
};

template <look_bug Bug>
model::outcome walk_lookout(bool lightly) {
    return model::explore({}, [lightly] {
        small_lookout<Bug> x;
        x.lightly = lightly;
        x.counts.store(small_lookout<Bug>::searching, relaxed);
        x.looks.store(true, relaxed);
        model::threads({[&] { x.push(); }, [&] { x.park(); },
                        [&] {
                            x.wake_by_clock();
                            x.found();
                        }});
        model::check(x.woken || x.looks_on, "somebody looks, or has been woken");
    });
}

template <look_bug Bug>
model::outcome walk_giving_up() {
    return model::explore({}, [] {
        small_lookout<Bug> x;
        x.counts.store(x.all, relaxed);
        x.looks.store(true, relaxed);
        model::threads({[&] { x.go_on(); },
                        [&] {
                            x.counts.fetch_sub(x.parked - x.searching, seq_cst);      // woken, by a push from outside
                            x.found();
                            x.push();
                        }});
        model::check(x.woken || x.looks_on, "somebody looks, or has been woken");
    });
}

// ---- runtime/include/rondo/lowlevel/wait.hpp: {generation | stop, open}

enum class wait_bug { none, double_claim, no_generation, relaxed_publish, relaxed_claim, stop_overwritten };

template <wait_bug Bug>
struct small_waiter {
    static constexpr unsigned open = 1, stop = 2, one_generation = 4;
    atomic<unsigned> word{0}, resumed{0};
    model::plain<int> frame{0};

    bool publish() {                                  // false: a stop has come first
        auto now = word.load(relaxed);
        for (;;) {
            if (now & stop) return false;
            const unsigned next = (now | open) + one_generation;
            if (Bug == wait_bug::stop_overwritten) return word.store(next, release), true;
            if (word.compare_exchange_weak(now, next, Bug == wait_bug::relaxed_publish ? relaxed : release, relaxed))
                return true;
        }
    }
    bool claim(unsigned generation) {
        auto now = word.load(relaxed);
        while ((now & open) && (Bug == wait_bug::no_generation || now / one_generation == generation)) {
            if (Bug == wait_bug::double_claim) return word.exchange(now & ~open, acq_rel), true;
            constexpr auto order = Bug == wait_bug::relaxed_claim ? relaxed : acq_rel;
            if (word.compare_exchange_weak(now, now & ~open, order, relaxed)) return true;
        }
        return false;
    }
    void request_stop() {
        auto now = word.load(relaxed);
        while (!word.compare_exchange_weak(now, (now & ~open) | stop, acq_rel, relaxed)) {}
        if (now & open) resumed.fetch_add(1, release);
    }
};

template <wait_bug Bug>
model::outcome walk_wait() {
    return model::explore({.preemptions = 3, .stale_reads = 2}, [] {
        small_waiter<Bug> who;
        int claims = 0;
        const auto claim = [&] {
            if (!who.claim(1)) return;
            model::check(++claims == 1, "one party ends the first wait, nobody but a stop the second");
            who.frame = who.frame + 1;
            who.resumed.fetch_add(1, release);
        };
        model::threads({[&] {
                            for (unsigned wait = 0; wait < 2; ++wait) {
                                who.frame = 0;
                                if (!who.publish()) return;
                                who.resumed.wait(wait, acquire);
                                model::check(who.frame <= 1, "one winner touches the frame");
                            }
                        },
                        claim, claim, [&] { who.request_stop(); }});
        model::check(who.word.load(relaxed) & small_waiter<Bug>::stop, "a stop stays");
    });
}

// ---- actors/include/rondo/detail/mailbox.hpp, without a bound: {newest message | signalled, idle}

enum class box_bug {
    none, relaxed_push, push_sees_no_runner, relaxed_take, relaxed_rest, looks_before_it_pushes, wakes_only_at_first,
    rests_blindly, rests_on_a_signal, signal_leaves_it_idle, signal_unscheduled, forgets_a_signal
};

template <box_bug Bug>
struct small_box {
    static constexpr unsigned idle = 1, signalled = 2, one_message = 4;
    struct message {
        model::plain<int> payload{0};
        model::plain<unsigned> before{0};
        int handled = 0;
    };
    std::array<message, 4> messages;                  // 0 is none
    atomic<unsigned> word{idle}, signals{0};
    model::plain<int> state{0};                       // of whoever runs the actor: two at once are a race
    std::vector<unsigned> fifo;                       // the runner's, as the next two
    unsigned kept = 0, seen = 0;

    bool push(unsigned i) {                           // true: the caller must run the actor
        messages[i].payload = 1;
        auto w = word.load(relaxed);
        const bool was_idle = w & idle;
        constexpr auto order = Bug == box_bug::relaxed_push          ? acquire
                               : Bug == box_bug::push_sees_no_runner ? release
                                                                     : acq_rel;
        do messages[i].before = w / one_message;
        while (!word.compare_exchange_weak(w, i * one_message | (w & signalled), order, relaxed));
        if (Bug == box_bug::looks_before_it_pushes) return was_idle || (w & idle);
        if (Bug == box_bug::wakes_only_at_first) return was_idle && (w & idle);
        return w & idle;
    }
    bool signal() {                                   // the same
        signals.fetch_add(1, release);
        auto w = word.load(relaxed);
        constexpr unsigned kept_flag = Bug == box_bug::signal_leaves_it_idle ? idle : 0;
        while (!word.compare_exchange_weak(w, (w & ~(idle & ~kept_flag)) | signalled, acq_rel, relaxed)) {}
        return Bug != box_bug::signal_unscheduled && (w & idle);
    }
    void look_round() {
        if (!(word.load(relaxed) & signalled)) return;
        if (Bug == box_bug::forgets_a_signal) seen += signals.exchange(0, acquire);
        word.fetch_and(~signalled, acq_rel);
        if (Bug != box_bug::forgets_a_signal) seen += signals.exchange(0, acquire);
        state = state + 1;
    }
    bool handle_next() {
        if (fifo.empty()) {
            const auto w = word.load(Bug == box_bug::relaxed_take ? relaxed : acquire);
            for (unsigned n = w / one_message; n != kept; n = messages[n].before) fifo.push_back(n);
            kept = w / one_message;
        }
        if (fifo.empty()) return false;
        message& m = messages[fifo.back()];
        fifo.pop_back();
        state = state + 1;
        model::check(m.payload == 1, "the runner sees what was written before the push");
        model::check(++m.handled == 1, "no message is handled twice");
        return true;
    }
    bool rest() {
        auto w = word.load(relaxed);
        if (w / one_message != kept || (w & signalled && Bug != box_bug::rests_on_a_signal)) return false;
        const auto before = std::exchange(kept, 0);
        if (Bug == box_bug::rests_blindly) return word.store(idle, release), true;
        constexpr auto order = Bug == box_bug::relaxed_rest ? relaxed : acq_rel;
        if (word.compare_exchange_strong(w, idle | (w & signalled), order, relaxed)) return true;
        kept = before;
        return false;
    }
    void run() {
        state = state + 1;
        for (;;) {
            look_round();
            if (!handle_next() && rest()) return;
        }
    }
};

template <box_bug Bug>
model::outcome walk_box(bool signals = true) {
    return model::explore({.preemptions = 2, .stale_reads = 1}, [signals] {
        small_box<Bug> box;
        const auto tell = [&](unsigned i) {
            if (box.push(i)) box.run();
        };
        const auto signal = [&] {
            if (signals && box.signal()) box.run();
        };
        model::threads({[&] {
                            tell(1);
                            tell(2);
                        },
                        [&] {
                            tell(3);
                            signal();
                        },
                        signal});
        for (unsigned i = 1; i < box.messages.size(); ++i) model::check(box.messages[i].handled == 1, "each message is handled");
        model::check(box.seen == (signals ? 2 : 0), "each signal is seen");
        model::check(box.word.load(relaxed) == box.idle, "the actor is idle in the end");
    });
}

// ---- channels/src/index_stack.hpp

enum class stack_bug { none, no_count, relaxed_push, relaxed_pop, relaxed_retry };

template <stack_bug Bug>
model::outcome walk_stack() {
    return model::explore({.preemptions = 3, .stale_reads = 2}, [] {
        struct element {
            atomic<unsigned> link{0};
            model::plain<int> payload{0};
            bool taken = true;
        };
        atomic<unsigned> head{0};                     // {count | index:4}
        std::array<element, 3> elements;
        const auto next = [](unsigned h) { return Bug == stack_bug::no_count ? 0 : (h & ~15u) + 16; };
        const auto push = [&](unsigned i) {
            if (i == 0) return;
            elements[i].payload = elements[i].payload + 1;
            elements[i].taken = false;
            auto h = head.load(relaxed);
            do elements[i].link.store(h & 15, relaxed);
            while (!head.compare_exchange_weak(h, next(h) | i, Bug == stack_bug::relaxed_push ? relaxed : release, relaxed));
        };
        const auto pop = [&] {
            constexpr auto again = Bug == stack_bug::relaxed_retry ? relaxed : acquire;
            auto h = head.load(Bug == stack_bug::relaxed_pop ? relaxed : acquire);
            while (h & 15)
                if (const auto i = h & 15; head.compare_exchange_weak(h, next(h) | elements[i].link.load(relaxed), relaxed, again)) {
                    model::check(!std::exchange(elements[i].taken, true), "no element is taken twice");
                    elements[i].payload = elements[i].payload + 1;
                    return i;
                }
            return 0u;
        };
        push(2);
        push(1);
        model::threads({[&] { push(pop()); },
                        [&] {
                            const auto first = pop(), second = pop();
                            push(first);
                            push(second);
                        }});
        model::check(pop() && pop() && !pop(), "each element is there again");
    });
}

// ---- runtime/src/mutex.cpp: {the holder's number | contended}, and who waits, a bit each, under a lock

enum class mutex_bug { none, relaxed_lock, relaxed_unlock, contended_without_lock, free_for_the_heir, heir_not_contended };

template <mutex_bug Bug>
struct small_mutex {
    static constexpr unsigned contended = 1;
    atomic<unsigned> word{0};
    atomic<bool> spin{false};
    model::plain<unsigned> waiting{0};
    std::array<atomic<unsigned>, 4> resumed;

    void hold() {
        while (spin.exchange(true, acquire)) spin.wait(true, relaxed);
    }
    void let_go() { spin.store(false, release); }
    bool take_or_contend(unsigned me) {
        for (auto now = word.load(relaxed);;) {
            if (now == 0) {
                if (word.compare_exchange_weak(now, me * 2, Bug == mutex_bug::relaxed_lock ? relaxed : acquire, relaxed)) return true;
            } else if ((now & contended) || word.compare_exchange_weak(now, now | contended, relaxed, relaxed)) {
                return false;
            }
        }
    }
    void lock(unsigned me) {
        bool mine = Bug == mutex_bug::contended_without_lock && take_or_contend(me);
        if (mine) return;
        hold();
        if (Bug != mutex_bug::contended_without_lock) mine = take_or_contend(me);
        if (!mine) waiting = waiting | 1u << me;
        let_go();
        if (!mine) resumed[me].wait(0, acquire);
    }
    void unlock(unsigned me) {
        auto mine = me * 2;
        constexpr auto order = Bug == mutex_bug::relaxed_unlock ? relaxed : release;
        if (word.compare_exchange_strong(mine, 0, order, relaxed)) return;
        hold();
        unsigned heir = 0;
        for (unsigned i = 1; i < resumed.size() && !heir; ++i)
            if (waiting & 1u << i) heir = i;
        if (heir) waiting = waiting & ~(1u << heir);
        const unsigned others = waiting && Bug != mutex_bug::heir_not_contended ? contended : 0;
        word.store(heir && Bug != mutex_bug::free_for_the_heir ? heir * 2 | others : 0, order);
        let_go();
        if (heir) resumed[heir].store(1, release);
    }
};

template <mutex_bug Bug>
model::outcome walk_mutex() {
    return model::explore({.preemptions = 2, .stale_reads = 1}, [] {
        small_mutex<Bug> m;
        model::plain<int> shared{0};
        bool held = false;
        const auto use = [&](unsigned me) {
            return [&, me] {
                m.lock(me);
                model::check(!std::exchange(held, true), "one holds it at a time");
                shared = shared + 1;
                held = false;
                m.unlock(me);
            };
        };
        model::threads({use(1), use(2), use(3)});
        model::check(shared == 3, "each has held it");
    });
}

// How a bug shows. Named, so that none is caught by accident.
const std::string races = "a data race: it reads what another thread has written";
const std::string stuck = "stuck: every thread left waits for another";
const std::string taken_twice = "no element is taken twice";

}  // namespace

TEST_CASE("mutants of the deque are caught", "[mutants]") {
    CHECK(walk_deque<deque_bug::none>());
    CHECK(walk_deque<deque_bug::relaxed_push>().failure == races);
    CHECK(walk_deque<deque_bug::relaxed_take>().failure == races);
    CHECK(walk_deque<deque_bug::no_fence_in_take>().failure == taken_twice);
    CHECK(walk_deque<deque_bug::no_fence_in_steal>().failure == taken_twice);
    CHECK(walk_deque<deque_bug::last_one_unclaimed>().failure == taken_twice);

    const bool many = true;
    CHECK(walk_deque<deque_bug::none>(many));
    CHECK(walk_deque<deque_bug::many_unclaimed>(many).failure == taken_twice);
    CHECK(walk_deque<deque_bug::many_not_read_again>(many).failure == taken_twice);
}

TEST_CASE("mutants of what is taken ahead are caught", "[mutants]") {
    const std::string item_twice = "no item is taken twice";
    CHECK(walk_ahead<ahead_bug::none>());
    CHECK(walk_ahead<ahead_bug::relaxed_fill>().failure == races);
    CHECK(walk_ahead<ahead_bug::no_fence_in_raid>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::raid_unseen>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::does_not_wait>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::end_not_read_again>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::relaxed_end_of_raid>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::two_raiders>().failure == item_twice);
    CHECK(walk_ahead<ahead_bug::next_stays>().failure == "each item is taken");
}

TEST_CASE("mutants of the next slot are caught", "[mutants]") {
    const std::string twice = "nobody is taken twice", all = "everybody is taken";
    CHECK(walk_slot<slot_bug::none>());
    CHECK(walk_slot<slot_bug::relaxed_put>().failure == races);
    CHECK(walk_slot<slot_bug::no_fence_in_raid>().failure == twice);
    CHECK(walk_slot<slot_bug::raid_unseen>().failure == twice);
    CHECK(walk_slot<slot_bug::sees_no_raid_that_is_over>().failure == twice);
    CHECK(walk_slot<slot_bug::does_not_wait>().failure == twice);
    CHECK(walk_slot<slot_bug::relaxed_end_of_raid>().failure == twice);
    CHECK(walk_slot<slot_bug::two_raiders>().failure == twice);
    CHECK(walk_slot<slot_bug::counts_from_the_start>().failure == all);
    CHECK(walk_slot<slot_bug::empties_after_the_raid>().failure == twice);
}

TEST_CASE("mutants of who works alone are caught", "[mutants]") {
    CHECK(walk_solo<solo_bug::none>());
    CHECK(walk_solo<solo_bug::no_fence_in_open>().failure == races);
    CHECK(walk_solo<solo_bug::does_not_look_again>().failure == "a data race: it writes what another thread reads");
    CHECK(walk_solo<solo_bug::does_not_wait>().failure == races);
    CHECK(walk_solo<solo_bug::open_too_early>().failure == races);
    CHECK(walk_solo<solo_bug::relaxed_leave>().failure == races);
    CHECK(walk_solo<solo_bug::relaxed_open>().failure == races);
}

TEST_CASE("mutants of the count of children are caught", "[mutants]") {
    const std::string unreached = "a stop reaches each child";
    for (const bool by_a_child : {false, true}) {
        CHECK(walk_count<count_bug::none>(false, by_a_child));
        CHECK(walk_count<count_bug::none>(true, by_a_child));
        CHECK(walk_count<count_bug::no_fence_in_stop>(true, by_a_child).failure == unreached);
        CHECK(walk_count<count_bug::looks_before_showing>(true, by_a_child).failure == unreached);
        CHECK(walk_count<count_bug::relaxed_leave>(false, by_a_child).failure == races);
        CHECK_FALSE(walk_count<count_bug::leave_in_two_steps>(false, by_a_child));
    }
    CHECK(walk_count<count_bug::none>(true, true, 0));
    CHECK(walk_count<count_bug::relaxed_enter>(true, true, 0).failure == unreached);
    CHECK(walk_count<count_bug::open_does_not_count>(false, false).failure == "the scope waits for the last child");
    CHECK(walk_count<count_bug::spare_stays>(false, true).failure == stuck);
}

TEST_CASE("mutants of the injection queue are caught", "[mutants]") {
    CHECK(walk_queue<queue_bug::none>());
    CHECK(walk_queue<queue_bug::relaxed_push>().failure == races);
    CHECK(walk_queue<queue_bug::relaxed_take>().failure == races);
    CHECK(walk_queue<queue_bug::push_in_two_steps>().failure == "each element is taken");
}

TEST_CASE("mutants of the mailbox are caught", "[mutants]") {
    const std::string unhandled = "each message is handled", unseen = "each signal is seen";
    CHECK(walk_box<box_bug::none>());
    CHECK(walk_box<box_bug::relaxed_push>().failure == races);
    CHECK(walk_box<box_bug::push_sees_no_runner>().failure == races);
    CHECK(walk_box<box_bug::relaxed_take>().failure == races);
    CHECK(walk_box<box_bug::relaxed_rest>().failure == races);
    CHECK(walk_box<box_bug::looks_before_it_pushes>().failure == races);
    CHECK(walk_box<box_bug::wakes_only_at_first>().failure == unhandled);
    CHECK(walk_box<box_bug::rests_blindly>(false).failure == unhandled);
    CHECK(walk_box<box_bug::rests_on_a_signal>().failure == unseen);
    CHECK(walk_box<box_bug::signal_leaves_it_idle>().failure == races);
    CHECK(walk_box<box_bug::signal_unscheduled>().failure == unseen);
    CHECK(walk_box<box_bug::forgets_a_signal>().failure == unseen);
}

TEST_CASE("mutants of parking and waking are caught", "[mutants]") {
    CHECK(walk_park<park_bug::none>());
    CHECK(walk_park<park_bug::no_fence_in_producer>().failure == stuck);
    CHECK(walk_park<park_bug::no_fence_in_park>().failure == stuck);
    CHECK(walk_park<park_bug::no_second_look>().failure == stuck);
    CHECK(walk_last_searcher<true>());
    CHECK(walk_last_searcher<false>().failure == "the producer or the last searcher wakes another worker");
}

TEST_CASE("mutants of who looks after the others are caught", "[mutants]") {
    const std::string nobody = "somebody looks, or has been woken";
    for (const bool lightly : {true, false}) {
        CHECK(walk_lookout<look_bug::none>(lightly));
        CHECK(walk_lookout<look_bug::offers_once>(lightly).failure == nobody);
        CHECK(walk_lookout<look_bug::not_for_little>(lightly).failure == nobody);
    }
    CHECK(walk_lookout<look_bug::no_heavy_fence>(true).failure == nobody);
    CHECK(walk_lookout<look_bug::light_for_all>(false).failure == nobody);
    CHECK(walk_lookout<look_bug::fence_after_the_look>(false).failure == nobody);
    CHECK(walk_giving_up<look_bug::none>());
    CHECK(walk_giving_up<look_bug::no_fence_in_go_on>().failure == nobody);
    CHECK(walk_giving_up<look_bug::stops_for_good>().failure == nobody);
}

TEST_CASE("mutants of the wait word are caught", "[mutants]") {
    const std::string ended_twice = "one party ends the first wait, nobody but a stop the second";
    CHECK(walk_wait<wait_bug::none>());
    CHECK(walk_wait<wait_bug::double_claim>().failure == ended_twice);
    CHECK(walk_wait<wait_bug::no_generation>().failure == ended_twice);
    CHECK(walk_wait<wait_bug::relaxed_publish>().failure == races);
    CHECK(walk_wait<wait_bug::relaxed_claim>().failure == races);
    CHECK(walk_wait<wait_bug::stop_overwritten>().failure == stuck);
}

TEST_CASE("mutants of the stack of indices are caught", "[mutants]") {
    CHECK(walk_stack<stack_bug::none>());
    CHECK_FALSE(walk_stack<stack_bug::no_count>());
    CHECK(walk_stack<stack_bug::relaxed_push>().failure == races);
    CHECK(walk_stack<stack_bug::relaxed_pop>().failure == races);
    CHECK(walk_stack<stack_bug::relaxed_retry>().failure == races);
}

TEST_CASE("mutants of the mutex are caught", "[mutants]") {
    CHECK(walk_mutex<mutex_bug::none>());
    CHECK(walk_mutex<mutex_bug::relaxed_lock>().failure == races);
    CHECK(walk_mutex<mutex_bug::relaxed_unlock>().failure == races);
    CHECK(walk_mutex<mutex_bug::contended_without_lock>().failure == stuck);
    CHECK_FALSE(walk_mutex<mutex_bug::free_for_the_heir>());
    CHECK(walk_mutex<mutex_bug::heir_not_contended>().failure == stuck);
}
