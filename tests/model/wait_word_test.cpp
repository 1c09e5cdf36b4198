// The real waiter, wait_node, wait_list and spin_lock of rondo/lowlevel/, and wait_word.hpp, under the model's atomics: a wait
// has exactly one end, no stop is lost, and nobody ends a wait that he does not mean. (Waits that are enlisting, or won
// early: cell_queue_test.cpp.)
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <rondo/lowlevel/wait.hpp>

#include "runtime/src/wait_word.hpp"

using namespace rondo::detail;
namespace model = rondo::model;
using rondo::lowlevel::spin_lock;
using rondo::lowlevel::wait_list;
using rondo::lowlevel::wait_node;
using rondo::lowlevel::waiter;
using rondo::lowlevel::wake;

namespace {

// A tasklet that waits, and what may end its wait.
struct table {
    waiter who;
    atomic<unsigned> resumed{0};         // resume(), counted: a run queue, say
    unsigned waits = 0;
    model::plain<int> frame{0};          // where a partner puts the value
    spin_lock lock;                      // of an object with a list of waiters
    wait_list list;
    spin_lock wheel;
    model::plain<bool> in_wheel{false};

    void resume() { resumed.fetch_add(1, release); }

    // wait.cpp: publish()
    void publish(spin_lock* held, bool with_timer) {
        if (with_timer) {
            wheel.lock();
            in_wheel = true;
        }
        const auto how = publish_word(who, waiter::generation_of(who.word.load(relaxed)) + 1, who.shield != 0);
        if (with_timer) wheel.unlock();
        if (held) held->unlock();
        if (how == rondo::lowlevel::published::refused) resume();
    }
    // A stop: wait.cpp: interrupt().
    bool stop() {
        const bool ends_wait = interrupt_word(who);
        if (ends_wait) resume();
        return ends_wait;
    }
    wake until_resumed() {
        resumed.wait(waits++, acquire);
        return waiter::outcome_of(who.word.load(relaxed));
    }
    void check_resumed_once_each() {
        model::check(resumed.load(relaxed) == waits, "each wait is ended by one resume()");
    }

    // A wait in the list: what an operation of a channel does.
    wake wait_in_list(bool with_timer) {
        wait_node node(who);
        frame = 0;
        lock.lock();
        list.push_back(node);
        publish(&lock, with_timer);
        const wake outcome = until_resumed();
        if (with_timer) {                // timer_wheel::cancel()
            wheel.lock();
            in_wheel = false;
            wheel.unlock();
        }
        if (outcome != wake::ready) unlink(lock, list, node);
        return outcome;
    }
    bool hand_over_value() {             // the partner
        lock.lock();
        wait_node* n = list.claim_front(wake::ready);
        lock.unlock();
        if (!n) return false;
        frame = 7;
        resume();
        return true;
    }
    bool fire_timer(std::uint32_t generation) {
        wheel.lock();
        const bool fires = in_wheel && who.claim(generation, wake::timed_out);
        in_wheel = false;
        wheel.unlock();
        if (fires) resume();
        return fires;
    }
};

// A partner, a timer and a stop reach for the first of two waits; the second has nobody but the stop, and the partner
// if he comes late.
model::outcome two_waits_and_a_stop(const model::bounds& b) {
    return model::explore(b, [] {
        table t;
        bool handed_over = false, fired = false;
        wake first = wake::none, second = wake::none;
        model::threads({[&] {
                            first = t.wait_in_list(true);
                            if (first == wake::ready) model::check(t.frame == 7, "the value arrives");
                            second = t.wait_in_list(false);
                        },
                        [&] { handed_over = t.hand_over_value(); }, [&] { fired = t.fire_timer(1); },
                        [&] { t.stop(); }});
        t.check_resumed_once_each();
        model::check(t.list.empty(), "nobody is left in the list");
        model::check(!(handed_over && first != wake::ready) || second == wake::ready, "a value goes to a waiter");
        model::check(fired == (first == wake::timed_out), "the timer ends its wait or none");
        model::check(second == wake::stopped || (second == wake::ready && first != wake::ready), "no stop is lost");
        model::check(t.who.stop_requested(), "a stop stays");
    });
}

}  // namespace

TEST_CASE("partners, a timer and a stop claim one wait: exactly one of them ends it", "[wait_word]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t;
        int winners = 0;
        wake outcome = wake::none, claimed = wake::none;
        const auto claim = [&](wake with) {
            if (!t.who.claim(1, with)) return;
            ++winners;
            claimed = with;
            t.frame = t.frame + 1;                    // the winner alone touches the frame
            t.resume();
        };
        model::threads({[&] {
                            t.frame = 6;
                            t.publish(nullptr, false);
                            outcome = t.until_resumed();
                            model::check(t.frame == (outcome == wake::stopped ? 6 : 7), "the winner's value arrives");
                        },
                        [&] { claim(wake::ready); }, [&] { claim(wake::closed); }, [&] { claim(wake::timed_out); },
                        [&] {
                            if (t.stop()) ++winners, claimed = wake::stopped;
                        }});
        t.check_resumed_once_each();
        model::check(winners <= 1, "one party ends the wait");
        model::check(outcome == (winners ? claimed : wake::stopped), "its outcome is what the winner says");
    });
    CHECK(seen);
}

TEST_CASE("a wait in a list ends once, and a stop that came too late ends the next one", "[wait_word]") {
    const auto seen = two_waits_and_a_stop({.preemptions = 2, .stale_reads = 1 + model::deep});
    CHECK(seen);
}

TEST_CASE("a wait in a list ends once in long random runs", "[wait_word]") {
    const auto seen = two_waits_and_a_stop({.random = 100'000 + 2'000'000 * model::deep});
    CHECK(seen);
}

TEST_CASE("a claim that comes late does not end the next wait", "[wait_word]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t;
        bool fired = false, closed = false;
        wake first = wake::none, second = wake::none;
        model::threads({[&] {
                            t.publish(nullptr, false);
                            first = t.until_resumed();
                            second = t.wait_in_list(false);
                        },
                        [&] {                         // one who holds no lock: the generation must do
                            fired = t.who.claim(1, wake::timed_out);
                            if (fired) t.resume();
                            closed = t.who.claim(1, wake::closed);
                            if (closed) t.resume();
                        },
                        [&] {
                            if (t.who.claim(1, wake::ready)) t.resume();
                            while (!t.hand_over_value()) {
                                if (t.who.claim(1, wake::ready)) t.resume();    // it has not been open before
                                cpu_relax();
                            }
                        }});
        t.check_resumed_once_each();
        model::check(fired == (first == wake::timed_out) && closed == (first == wake::closed),
                     "who claims the first wait ends the first wait");
        model::check(second == wake::ready, "only its partner ends the second");
    });
    CHECK(seen);
}

TEST_CASE("a shielded wait is not ended by a stop, the next one is", "[wait_word]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 2}, [] {
        table t;
        wake first = wake::none, second = wake::none;
        model::threads({[&] {
                            ++t.who.shield;
                            first = t.wait_in_list(false);
                            --t.who.shield;
                            second = t.wait_in_list(false);
                        },
                        [&] {
                            while (!t.hand_over_value()) cpu_relax();
                        },
                        [&] { t.stop(); }});
        t.check_resumed_once_each();
        model::check(first == wake::ready, "the shield holds");
        model::check(second == wake::stopped, "no stop is lost");
    });
    CHECK(seen);
}
