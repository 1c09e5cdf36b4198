// Tests of the tester: the algorithms that the other files here walk through, in a few lines each, once as they should
// be and once for each bug planted into them. The first must pass, every other one must be caught.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

// ---- runtime/src/work_deque.hpp, with four slots and for ever the same ring

enum class deque_bug { none, relaxed_push, relaxed_take, no_fence_in_take, no_fence_in_steal, last_one_unclaimed };

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
    element* steal() {
        int t = top.load(acquire);
        if (Bug != deque_bug::no_fence_in_steal) fence_seq_cst();
        if (t >= bottom.load(acquire)) return nullptr;
        element* x = slots[static_cast<unsigned>(t)].load(relaxed);
        return top.compare_exchange_strong(t, t + 1, seq_cst, relaxed) ? x : nullptr;
    }
};

template <deque_bug Bug>
model::outcome walk_deque() {
    return model::explore({.preemptions = 3, .stale_reads = 3}, [] {
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
                            count(deque.take_bottom());
                            count(deque.take_bottom());
                        },
                        [&] {
                            count(deque.steal());
                            count(deque.steal());
                        }});
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
}

TEST_CASE("mutants of the injection queue are caught", "[mutants]") {
    CHECK(walk_queue<queue_bug::none>());
    CHECK(walk_queue<queue_bug::relaxed_push>().failure == races);
    CHECK(walk_queue<queue_bug::relaxed_take>().failure == races);
    CHECK(walk_queue<queue_bug::push_in_two_steps>().failure == "each element is taken");
}

TEST_CASE("mutants of parking and waking are caught", "[mutants]") {
    CHECK(walk_park<park_bug::none>());
    CHECK(walk_park<park_bug::no_fence_in_producer>().failure == stuck);
    CHECK(walk_park<park_bug::no_fence_in_park>().failure == stuck);
    CHECK(walk_park<park_bug::no_second_look>().failure == stuck);
    CHECK(walk_last_searcher<true>());
    CHECK(walk_last_searcher<false>().failure == "the producer or the last searcher wakes another worker");
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
