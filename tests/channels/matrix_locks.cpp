// The table of all waits: locks, conditions, counts, stops, and the ends of tasklets.
#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <thread>

#include <rondo/barrier.hpp>
#include <rondo/condition_variable.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/once.hpp>
#include <rondo/run.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/wait_group.hpp>

#include "matrix_rows.hpp"

namespace matrix {
namespace {

// For whatever has wait(), try_wait() and so on.
template <class T>
calls waits(std::shared_ptr<T> on) {
    calls by;
    by.plain = by.another = [=] { return on->wait(), "done"; };
    by.attempt = [=] { return text(on->try_wait(), "not now"); };
    by.for_some_time = [=](auto d) { return text(on->wait_for(d), "late"); };
    by.until = [=](auto tp) { return text(on->wait_until(tp), "late"); };
    add_selects(by, [=](auto f) { return rondo::waited(*on, f); });
    return by;
}
constexpr auto nothing = [](bool) {};

subject wait_for_event() {
    const auto e = std::make_shared<rondo::event>();
    return {waits(e), [=] { e->set(); }, {}, [=](bool is_done) { CHECK(e->is_set() == is_done); }};
}
subject wait_for_group() {
    const auto g = std::make_shared<rondo::wait_group>(1);
    return {waits(g), [=] { g->done(); }, {}, nothing};
}
subject wait_for_latch() {
    const auto l = std::make_shared<rondo::latch>(1);
    return {waits(l), [=] { l->count_down(); }, {}, nothing};
}
subject arrive_at_latch() {
    const auto l = std::make_shared<rondo::latch>(2);
    calls by;
    by.plain = by.another = [=] { return l->arrive_and_wait(), "done"; };
    by.for_some_time = [=](auto d) { return text(l->arrive_and_wait_for(d), "late"); };
    by.until = [=](auto tp) { return text(l->arrive_and_wait_until(tp), "late"); };
    return {std::move(by), [=] { l->count_down(); }, {}, [=](bool is_done) { CHECK(l->try_wait() == is_done); }};
}
subject arrive_at_barrier() {
    const auto b = std::make_shared<rondo::barrier>(2);
    calls by;
    by.plain = by.another = [=] { return b->arrive_and_wait(), "done"; };
    by.for_some_time = [=](auto d) { return text(b->arrive_and_wait_for(d), "late"); };
    by.until = [=](auto tp) { return text(b->arrive_and_wait_until(tp), "late"); };
    return {std::move(by), [=] { b->arrive(); }, {}, nothing};
}
subject acquire() {
    const auto s = std::make_shared<rondo::semaphore>(0);
    calls by;
    by.plain = by.another = [=] { return s->acquire(), "done"; };
    by.attempt = [=] { return text(s->try_acquire(), "not now"); };
    by.for_some_time = [=](auto d) { return text(s->acquire_for(d), "late"); };
    by.until = [=](auto tp) { return text(s->acquire_until(tp), "late"); };
    add_selects(by, [=](auto f) { return rondo::acquired(*s, f); });
    return {std::move(by), [=] { s->release(); }, {}, [=](bool) { CHECK_FALSE(s->try_acquire()); }};
}

// Held by the test's thread until it is allowed.
template <class Mutex, class Guard>
struct held {
    Mutex m;
    bool is_held = true;
    held() { m.lock(); }
    ~held() { let_go(); }
    void let_go() {
        if (std::exchange(is_held, false)) m.unlock();
    }
};
template <class Mutex, class Guard>
calls locks_of(std::shared_ptr<held<Mutex, Guard>> h) {
    calls by;
    by.plain = by.another = [=] { return Guard(h->m), "done"; };
    by.attempt = [=] { return text(Guard(h->m, std::try_to_lock).owns_lock(), "not now"); };
    by.for_some_time = [=](auto d) { return text(Guard(h->m, d).owns_lock(), "late"); };
    by.until = [=](auto tp) { return text(Guard(h->m, tp).owns_lock(), "late"); };
    return by;
}
template <class Mutex, class Guard>
subject lock() {
    const auto h = std::make_shared<held<Mutex, Guard>>();
    calls by = locks_of(h);
    add_selects(by, [=](auto f) {
        const auto with_guard = [=](Guard& guard) {
            if (guard.owns_lock()) f();
        };
        if constexpr (std::is_same_v<Guard, std::shared_lock<Mutex>>) return rondo::locked_shared(h->m, with_guard);
        else return rondo::locked(h->m, with_guard);
    });
    return {std::move(by), [=] { h->let_go(); }, {}, [=](bool) {
                h->let_go();
                CHECK(Guard(h->m, std::try_to_lock).owns_lock());
            }};
}

subject wait_for_condition() {
    struct all {
        rondo::mutex m;
        rondo::condition_variable changed;
        bool is_so = false;
    };
    const auto a = std::make_shared<all>();
    const auto holds = [=] { return a->is_so; };
    calls by;
    by.plain = by.another = [=] {
        std::unique_lock lock(a->m);
        a->changed.wait(lock, holds);
        return "done";
    };
    by.for_some_time = [=](auto d) {
        std::unique_lock lock(a->m);
        return text(a->changed.wait_for(lock, d, holds), "late");
    };
    by.until = [=](auto tp) {
        std::unique_lock lock(a->m);
        return text(a->changed.wait_until(lock, tp, holds), "late");
    };
    return {std::move(by),
            [=] {
                {
                    const std::lock_guard hold(a->m);
                    a->is_so = true;
                }
                a->changed.notify_one();
            },
            {},
            [=](bool) { CHECK(std::unique_lock(a->m, std::try_to_lock).owns_lock()); }};
}

// Somebody else is at it until he is allowed to end.
subject call_once() {
    struct all {
        rondo::once once;
        rondo::event may_end, runs;
        std::thread first{[this] {
            once.call([this] {
                runs.set();
                may_end.wait();
            });
        }};
        all() { runs.wait(); }
        ~all() { end(); }
        void end() {
            may_end.set();
            if (first.joinable()) first.join();
        }
    };
    const auto a = std::make_shared<all>();
    const auto wrong = [] { FAIL("somebody else has done it"); };
    calls by;
    by.plain = by.another = [=] { return a->once.call(wrong), "done"; };
    by.attempt = [=] { return text(a->once.try_call(wrong), "not now"); };
    by.for_some_time = [=](auto d) { return text(a->once.call_for(d, wrong), "late"); };
    by.until = [=](auto tp) { return text(a->once.call_until(tp, wrong), "late"); };
    add_selects(by, [=](auto f) { return rondo::called(a->once, wrong, f); });
    return {std::move(by), [=] { a->end(); }, {}, nothing};
}

// Somebody else's stop. To wait for it in any form is to select. (One's own: that is form "select, stopping".)
subject be_told_to_stop() {
    const auto source = std::make_shared<std::stop_source>();
    const auto clause = [=](auto f) { return rondo::stopped_by(source->get_token(), f); };
    calls by;
    add_selects(by, clause);
    by.plain = by.another = by.select;
    by.attempt = [=] { return text(source->stop_requested(), "not now"); };
    by.for_some_time = [=](auto d) {
        outcome end;
        rondo::select(clause([&] { end = "done"; }), rondo::after(d, [&] { end = "late"; }));
        return end;
    };
    by.until = [=](auto tp) {
        outcome end;
        rondo::select(clause([&] { end = "done"; }), rondo::at(tp, [&] { end = "late"; }));
        return end;
    };
    return {std::move(by), [=] { source->request_stop(); }, {}, nothing};
}

// A tasklet of another runtime.
subject join() {
    struct all {
        rondo::event may_end;
        rondo::runtime rt{{.workers = 1}};
        rondo::tasklet<int> t = rt.spawn([this] { return may_end.wait(), 5; });
        ~all() { may_end.set(); }
    };
    const auto a = std::make_shared<all>();
    calls by;
    by.plain = by.another = [=] { return text(a->t.join() == 5, "?"); };
    by.attempt = [=] { return text(a->t.try_join() == 5, "not now"); };
    by.for_some_time = [=](auto d) { return text(a->t.join_for(d) == 5, "late"); };
    by.until = [=](auto tp) { return text(a->t.join_until(tp) == 5, "late"); };
    add_selects(by, [=](auto f) {
        return rondo::joined(a->t, [=](int v) {
            if (v == 5) f();
        });
    }, beside::an_idle_channel);
    return {std::move(by),
            [=] {
                a->may_end.set();
                (void)a->rt.run_until_idle();
            },
            {},
            [=](bool is_done) { CHECK(a->t.joinable() != is_done); }};
}

}  // namespace

std::vector<row> locks() {
    const char* no_arrival = "an arrival cannot be tried; it is no clause of select, since the one that completes a round lets "
                             "all go on who count in it, and could not take back that of a select which goes another way";
    std::vector<row> all;
    all.push_back({"wait, event", wait_for_event});
    all.push_back({"wait, wait_group", wait_for_group});
    all.push_back({"wait, latch", wait_for_latch});
    all.push_back({"arrive_and_wait, latch", arrive_at_latch, no_arrival});
    all.push_back({"arrive_and_wait, barrier", arrive_at_barrier, no_arrival});
    all.push_back({"acquire, semaphore", acquire});
    all.push_back({"lock, mutex", lock<rondo::mutex, std::unique_lock<rondo::mutex>>});
    all.push_back({"lock, shared_mutex", lock<rondo::shared_mutex, std::unique_lock<rondo::shared_mutex>>});
    all.push_back({"lock_shared, shared_mutex", lock<rondo::shared_mutex, std::shared_lock<rondo::shared_mutex>>});
    all.push_back({"wait, condition_variable", wait_for_condition,
                   "to try, look at the condition; a wait lets go of a mutex, too: no clause of select"});
    all.push_back({"call, once", call_once});
    all.push_back({"stop, of a token", be_told_to_stop});
    all.push_back({"join, tasklet", join});
    all.back().asks_for_a_stop = false;                   // what has ended gives its result to whoever asks
    return all;
}

}  // namespace matrix
