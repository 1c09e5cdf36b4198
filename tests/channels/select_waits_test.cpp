// select over what is no channel: locks, permits, events, counts, once, stops. Which goes ahead, and that the others are as
// they were. (Every form of each, everywhere, is in the table: matrix_locks.cpp.)
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/lowlevel/wait.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/time.hpp>
#include <rondo/wait_group.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::acquired;
using rondo::after;
using rondo::called;
using rondo::channel;
using rondo::from;
using rondo::in_order;
using rondo::locked;
using rondo::locked_shared;
using rondo::otherwise;
using rondo::select;
using rondo::stopped_by;
using rondo::stopping;
using rondo::waited;

namespace {

constexpr auto nothing = [](auto&&...) {};

// What f comes to in a tasklet that has been asked to stop before.
template <class F>
std::string end_once_stopped(unsigned workers, F f) {
    return rondo::run({.workers = workers}, [&] {
        channel<int> never;
        auto t = rondo::spawn([&] {
            end_of([&] { never.receive(); });
            return end_of(f);
        });
        while (never.balance() == 0) rondo::yield();      // it waits there, so it has started
        t.stop();
        return t.join();
    });
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- one's own stop

TEST_CASE("a select with a clause for its stop calls it instead of throwing", "[select][stop]") {
    stage s(GENERATE(1u, 2u, 4u));
    channel<int> a;
    rondo::semaphore permits(0);
    rondo::event never;
    bool any = false;
    std::string log, afterwards;
    auto t = s.rt.spawn([&] {
        any = select(from(a, nothing), acquired(permits, nothing), waited(never, nothing), stopping([&] { log += "stop;"; }));
        select(stopping([&] { log += "still;"; }));                       // a stop stays
        afterwards = end_of([&] { a.receive(); });
    });
    CHECK(s.settle() == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(any);
    CHECK(log == "stop;still;");
    CHECK(afterwards == "stopped");
    CHECK(a.balance() == 0);
    permits.release();
    CHECK(permits.try_acquire());
}

TEST_CASE("a stop comes before all else that can go ahead, but in order it waits for its turn", "[select][stop]") {
    channel<int> work(3);
    for (int i = 0; i < 3; ++i) work.send(i);
    int before = 0, drained = 0;
    bool told = false;
    end_once_stopped(GENERATE(1u, 2u), [&] {
        for (int i = 0; i < 50; ++i) select(from(work, [&](int) { ++before; }), stopping(nothing), otherwise(nothing));
        while (!told) select(in_order, from(work, [&](int) { ++drained; }), stopping([&] { told = true; }));
    });
    CHECK(told);
    CHECK(before == 0);
    CHECK(drained == 3);
}

TEST_CASE("a failing scope stops its own function: select's clause is told", "[select][stop][scope]") {
    std::string log;
    rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        channel<int> a;
        const auto end = end_of([&] {
            rondo::scope([&](rondo::group& g) {
                g.spawn([] { throw std::runtime_error("burnt"); });
                select(from(a, nothing), stopping([&] { log += "told;"; }));
            });
        });
        log += end;
        select(stopping(nothing), otherwise([&] { log += ";forgiven"; }));
    });
    CHECK(log == "told;burnt;forgiven");
}

TEST_CASE("where a stop would not be thrown its clause does not go ahead", "[select][stop]") {
    std::string log;
    struct last_words {
        std::string& log;
        ~last_words() { select(stopping([this] { log += "?"; }), otherwise([this] { log += "unwinding;"; })); }
    };
    CHECK(end_once_stopped(GENERATE(1u, 2u), [&] {
              {
                  const rondo::lowlevel::shield none;
                  select(stopping([&] { log += "?"; }), after(1ms, [&] { log += "shielded;"; }));
              }
              const last_words speak{log};
              rondo::checkpoint();
          }) == "stopped");
    CHECK(log == "shielded;unwinding;");

    // A deadline is none, and nobody stops a plain thread.
    CHECK_FALSE(rondo::within(2ms, [&] { select(stopping([&] { log += "?"; })); }));
    CHECK(select(stopping([&] { log += "?"; }), after(2ms, nothing)));
    CHECK(rondo::run([&] { return !rondo::within(2ms, [&] { select(stopping([&] { log += "?"; })); }); }));
    CHECK(log == "shielded;unwinding;");
}

TEST_CASE("a stop that reaches whoever runs a child on the spot is told to the child's select", "[select][stop][join]") {
    std::string log, end;
    rondo::run({.workers = support::one_worker}, [&] {
        channel<int> a;
        auto joiner = rondo::spawn([&] {
            auto child = rondo::spawn([&] { select(from(a, nothing), stopping([&] { log += "told"; })); });
            end = end_of([&] { child.join(); });
        });
        rondo::yield();
        joiner.stop();
        joiner.join();
    });
    CHECK(log == "told");
    CHECK((end == "returned" || end == "stopped"));
}

// ---------------------------------------------------------------------------------------------------- the stop of others

TEST_CASE("a select is told when a token it was given is stopped", "[select][stop]") {
    stage s(GENERATE(1u, 2u, 4u));
    const bool by_a_tasklet = GENERATE(false, true);
    std::stop_source source, other;
    channel<int> a;
    std::string log;
    auto t = s.rt.spawn([&] {
        select(from(a, nothing), stopped_by(source.get_token(), [&] { log += "stopped;"; }),
               stopped_by(other.get_token(), [&] { log += "?"; }));
        select(stopped_by(source.get_token(), [&] { log += "before;"; }));
        select(stopped_by(std::stop_token(), [&] { log += "?"; }), otherwise([&] { log += "no source;"; }));
        select(stopped_by(other.get_token(), [&] { log += "?"; }), from(a, [&](int) { log += "a"; }));
    });
    CHECK(s.settle() == 1);
    if (by_a_tasklet) s.rt.spawn([&] { source.request_stop(); }).join();
    else source.request_stop();
    CHECK(s.settle() == 1);
    CHECK(log == "stopped;before;no source;");
    CHECK(a.try_send(1));
    CHECK(s.settle() == 0);
    CHECK(log == "stopped;before;no source;a");
    other.request_stop();                                                 // no callback of ours is left
}

TEST_CASE("the calling tasklet's own token is as a clause for its stop", "[select][stop]") {
    stage s(GENERATE(1u, 2u));
    std::string log;
    auto t = s.rt.spawn([&] {
        const auto mine = rondo::this_tasklet::stop_token();
        for (int i = 0; i < 2; ++i) select(stopped_by(mine, [&] { log += "stop;"; }));
    });
    CHECK(s.settle() == 1);
    t.stop();
    CHECK(s.settle() == 0);
    CHECK(log == "stop;stop;");

    // Another tasklet's is not.
    channel<std::stop_token> tokens;
    std::string theirs;
    auto owner = s.rt.spawn([&, tokens] {
        tokens.send(rondo::this_tasklet::stop_token());
        channel<int>().receive();
    });
    auto looker = s.rt.spawn([&, tokens] { select(stopped_by(tokens.receive(), [&] { theirs = "stopped"; })); });
    CHECK(s.settle() == 2);
    owner.stop();
    CHECK(s.settle() == 0);
    CHECK(theirs == "stopped");
}

// ---------------------------------------------------------------------------------------------------- permits, locks

TEST_CASE("a select that waits for a child that fails gets its error, not the stop that it brings", "[select][join][scope]") {
    const auto workers = GENERATE(1u, 2u);
    const bool fails_first = GENERATE(false, true);
    CAPTURE(workers, fails_first);
    for (int i = 0; i < 50; ++i) {
        std::string said;
        const auto whole = [&] {
            rondo::scope([&](rondo::group& g) {
                auto child = g.spawn([=] {
                    if (!fails_first) rondo::yield();
                    throw std::runtime_error("boom");
                });
                if (fails_first) {
                    try {
                        while (true) rondo::yield();
                    } catch (const rondo::stopped&) {}
                }
                try {
                    rondo::select(rondo::joined(child, [] {}));
                } catch (const std::runtime_error& e) {
                    said = e.what();
                }
            });
        };
        CHECK_THROWS_AS(rondo::run({.workers = workers}, whole), std::runtime_error);
        CHECK(said == "boom");
    }
}

TEST_CASE("where its stop would not be thrown the calling tasklet's own token does not go ahead either", "[select][stop]") {
    int chosen = 0;
    struct selects_at_end {
        int* chosen;
        ~selects_at_end() {
            rondo::channel<int> c{1};
            c.send(1);
            rondo::select(rondo::in_order, rondo::stopped_by(rondo::this_tasklet::stop_token(), [&] { *chosen = 1; }),
                          rondo::from(c, [&](int) { *chosen = 2; }));
        }
    };
    rondo::run({.workers = 1}, [&] {
        auto t = rondo::spawn([&] {
            const selects_at_end last{&chosen};
            while (true) rondo::yield();
        });
        rondo::yield();
        t.stop();
        CHECK_THROWS_AS(t.join(), rondo::stopped);
    });
    CHECK(chosen == 2);
}

TEST_CASE("a permit goes to the select in its turn, and none to a clause that is not chosen", "[select][semaphore]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::semaphore permits(0);
    channel<int> a;
    std::string log;
    auto first = s.rt.spawn([&] { select(acquired(permits, [&] { log += "1"; }), from(a, [&](int) { log += "a"; })); });
    CHECK(s.settle() == 1);
    auto second = s.rt.spawn([&] {
        permits.acquire();
        log += "2";
    });
    CHECK(s.settle() == 2);
    SECTION("the permit first") {
        permits.release();
        CHECK(s.settle() == 1);
        CHECK(log == "1");
        permits.release();
        CHECK(s.settle() == 0);
        CHECK(log == "12");
        CHECK(a.balance() == 0);
    }
    SECTION("the other clause first") {
        CHECK(a.try_send(1));
        CHECK(s.settle() == 1);
        permits.release();
        CHECK(s.settle() == 0);
        CHECK(log == "a2");
    }
    SECTION("a stop first") {
        first.stop();
        CHECK(s.settle() == 1);
        permits.release();
        CHECK(s.settle() == 0);
        CHECK(log == "2");
    }
    CHECK_FALSE(permits.try_acquire());
}

TEST_CASE("a shared_mutex is locked by select, alone or shared, and unlocked afterwards", "[select][shared_mutex]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::shared_mutex m;
    channel<int> a, release;
    std::string log;
    auto holder = s.rt.spawn([&] {
        std::lock_guard hold(m);
        release.receive();
    });
    s.settle();
    auto writer = s.rt.spawn([&] {
        select(from(a, [&](int) { log += "a"; }), locked(m, [&](auto& guard) { log += guard.owns_lock() ? "w" : "?"; }));
    });
    s.settle();
    auto reader = s.rt.spawn([&] {
        select(stopping([&] { log += "s"; }), locked_shared(m, [&](std::shared_lock<rondo::shared_mutex>& guard) {
                   log += guard.owns_lock() ? "r" : "?";
               }));
    });
    CHECK(s.settle() == 3);
    SECTION("in order of arrival") {
        CHECK(release.try_send(1));
        CHECK(s.settle() == 0);
        CHECK(log == "wr");
    }
    SECTION("others go ahead: it is free for everybody") {
        CHECK(a.try_send(1));
        CHECK(s.settle() == 2);
        reader.stop();
        CHECK(s.settle() == 1);
        CHECK(log == "as");
        CHECK(release.try_send(1));
        CHECK(s.settle() == 0);
    }
    CHECK(m.try_lock());
    CHECK(end_of([&] { select(locked(m, nothing)); }) == "usage_error");
    CHECK(end_of([&] { select(locked_shared(m, nothing)); }) == "usage_error");
    CHECK(select(locked_shared(m, nothing), otherwise([&] { log += "not now"; })));
    m.unlock();
}

TEST_CASE("readers behind a select that would write go ahead once it goes another way", "[select][shared_mutex]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::shared_mutex m;
    channel<int> a;
    bool read = false;
    m.lock_shared();
    auto writer = s.rt.spawn([&] { select(locked(m, nothing), from(a, nothing)); });
    s.settle();
    auto reader = s.rt.spawn([&] {
        m.lock_shared();
        read = true;
        m.unlock_shared();
    });
    CHECK(s.settle() == 2);
    CHECK_FALSE(read);
    CHECK(a.try_send(1));
    CHECK(s.settle() == 0);
    CHECK(read);
    m.unlock_shared();
}

TEST_CASE("a guard of a shared_mutex may leave the clause with its lock", "[select][shared_mutex]") {
    rondo::shared_mutex m;
    std::shared_lock<rondo::shared_mutex> kept;
    select(locked_shared(m, [&](auto& guard) { kept = std::move(guard); }));
    CHECK(kept.owns_lock());
    CHECK_FALSE(m.try_lock());
    CHECK(m.try_lock_shared());
    m.unlock_shared();
}

// ---------------------------------------------------------------------------------------------------- events, counts

TEST_CASE("a select that set() found waiting goes on even if reset() follows at once", "[select][event]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::event e;
    channel<int> a;
    std::string log;
    auto t = s.rt.spawn([&] { select(from(a, nothing), waited(e, [&] { log += "set"; })); });
    CHECK(s.settle() == 1);
    e.set();
    e.reset();
    CHECK(s.settle() == 0);
    CHECK(log == "set");
    CHECK(a.balance() == 0);
    CHECK(select(waited(e, [&] { log += "?"; }), otherwise([&] { log += ";reset"; })));
    CHECK(log == "set;reset");
}

TEST_CASE("a select may destroy what it waited for, and so may somebody else who was woken with it", "[select][event]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        for (int round = 0; round < 300; ++round) {
            auto gone = std::make_unique<rondo::event>();
            auto* const e = gone.get();
            rondo::latch both(2);
            const auto wait = [&, e](bool selects) {
                both.count_down();
                if (selects) select(waited(*e, nothing), after(1h, nothing));
                else e->wait();
            };
            auto plain = rondo::spawn(wait, false);
            auto selecting = rondo::spawn(wait, true);
            both.wait();
            rondo::sleep_for(10us);
            e->set();
            plain.join();
            selecting.join();
            gone.reset();

            auto open = std::make_unique<rondo::latch>(1);
            auto* const l = open.get();
            rondo::spawn([l] { l->count_down(); });
            select(waited(*l, [&] { open.reset(); }));
        }
    });
}

TEST_CASE("a select is told when jobs are done, again and again", "[select][wait_group]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::wait_group jobs(1);
    rondo::latch open(2);
    channel<int> a;
    std::string log;
    auto t = s.rt.spawn([&] {
        for (int i = 0; i < 2; ++i) select(from(a, nothing), waited(jobs, [&] { log += "done;"; jobs.add(1); }));
        select(from(a, nothing), waited(jobs, nothing), waited(open, [&] { log += "open"; }));
    });
    CHECK(s.settle() == 1);
    jobs.done();
    CHECK(s.settle() == 1);
    CHECK(log == "done;");
    jobs.done();
    CHECK(s.settle() == 1);
    CHECK(log == "done;done;");
    open.count_down();
    CHECK(s.settle() == 1);
    open.count_down();
    CHECK(s.settle() == 0);
    CHECK(log == "done;done;open");
    CHECK(a.balance() == 0);
}

// ---------------------------------------------------------------------------------------------------- once

TEST_CASE("select runs what must be done once only if it has chosen to", "[select][once]") {
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::once set_up;
        channel<int> a(1);
        std::string log;
        a.send(1);
        const auto g = [&] { log += "g;"; };
        select(in_order, from(a, [&](int) { log += "a;"; }), called(set_up, g, [&] { log += "f;"; }));
        CHECK_FALSE(set_up.done());
        select(from(a, nothing), called(set_up, g, [&] { log += "f;"; }));
        CHECK(set_up.done());
        select(from(a, nothing), called(set_up, g, [&] { log += "f;"; }));
        CHECK(log == "a;g;f;f;");
    });
}

TEST_CASE("when what must be done once fails, a select that waits for it tries its own", "[select][once]") {
    stage s(GENERATE(1u, 2u, 4u));
    rondo::once set_up;
    channel<int> a, go;
    std::string log, first_end, inside;
    auto first = s.rt.spawn([&] {
        first_end = end_of([&] {
            select(called(set_up, [&] {
                inside = end_of([&] { select(called(set_up, nothing, nothing)); });
                go.receive();
                throw std::runtime_error("burnt");
            }, [&] { log += "?"; }));
        });
    });
    CHECK(s.settle() == 1);
    auto other_way = s.rt.spawn([&] { select(from(a, nothing), called(set_up, [&] { log += "?"; }, [&] { log += "?"; })); });
    CHECK(s.settle() == 2);
    auto second = s.rt.spawn([&] { select(from(go, nothing), called(set_up, [&] { log += "g;"; }, [&] { log += "f;"; })); });
    CHECK(s.settle() == 3);
    auto third = s.rt.spawn([&] { set_up.call([&] { log += "?"; }); });
    CHECK(s.settle() == 4);
    CHECK(a.try_send(1));
    CHECK(s.settle() == 3);
    CHECK(go.try_send(1));
    CHECK(s.settle() == 0);
    CHECK(first_end == "burnt");
    CHECK(inside == "usage_error");
    CHECK(log == "g;f;");
}

// ---------------------------------------------------------------------------------------------------- reports

TEST_CASE("a deadlock report names the locks, counts and stops that a select waits for", "[select][deadlock]") {
    std::string report;
    try {
        rondo::run({.workers = GENERATE(1u, 2u)}, [] {
            rondo::semaphore permits(0);
            rondo::event ready;
            std::stop_source source;
            select(in_order, acquired(permits, nothing), waited(ready, nothing), stopped_by(source.get_token(), nothing));
        });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    INFO(report);
    CHECK(support::has(report, "waits for select of semaphore 0x"));
    CHECK(support::has(report, ", event 0x"));
    CHECK(support::has(report, ", a stop"));
}

TEST_CASE("a deadlock report says who holds the locks that a select waits for", "[select][deadlock]") {
    rondo::mutex alone;                                   // the holder may end after the one that waits
    rondo::shared_mutex shared;
    rondo::once first;
    rondo::event never, all_held;
    std::string report;
    try {
        rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
            rondo::spawn({.name = "holder"}, [&] {
                std::lock_guard hold_one(alone);
                std::lock_guard hold_the_other(shared);
                first.call([&] { all_held.set(), never.wait(); });
            });
            all_held.wait();
            select(in_order, waited(never, nothing), locked(alone, [](auto&) {}), locked_shared(shared, [](auto&) {}),
                   called(first, nothing, nothing));
        });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    INFO(report);
    const auto is_held = [&](const char* what) {          // up to the next part, or the end of the list
        const auto at = report.find(what);
        if (at == std::string::npos) return false;
        return support::has(report.substr(at + 1, report.find_first_of(",;", at + 1) - at), "\"holder\")");
    };
    CHECK(is_held(", mutex 0x"));
    CHECK(is_held(", shared_mutex 0x"));
    CHECK(is_held(", once 0x"));
    CHECK_FALSE(is_held(" event 0x"));
}

// ---------------------------------------------------------------------------------------------------- races

namespace {

// One select, in a race between what it waits for, another clause, its stop, somebody else's, and time: one of them comes
// first, and what was allowed is either the select's or still there.
template <class Subject>
void one_round(Subject& what, rondo::semaphore& second, std::stop_token token, int limit_us, std::atomic<int>& got) {
    int calls = 0;
    const bool any = select(what.clause([&] { ++calls, got = 1; }), acquired(second, [&] { ++calls, got = 2; }),
                            stopping([&] { ++calls, got = 3; }), stopped_by(token, [&] { ++calls, got = 4; }),
                            after(std::chrono::microseconds(limit_us), [&] { ++calls, got = 5; }));
    if (!any || calls != 1) got = -1;
}

struct a_semaphore {
    rondo::semaphore s{0};
    auto clause(auto f) { return acquired(s, std::move(f)); }
    void allow() { s.release(); }
    bool is_conserved(bool taken) { return s.try_acquire() != taken && !s.try_acquire(); }
};
template <class Mutex>
struct a_lock {
    Mutex m;
    int held = 0;
    a_lock() { m.lock(); }
    auto clause(auto f) {
        return locked(m, [this, f = std::move(f)](auto&) mutable { f(), ++held; });
    }
    void allow() { m.unlock(); }
    bool is_conserved(bool taken) {
        const bool free = m.try_lock();
        if (free) m.unlock();
        return free && held == taken;
    }
};
using a_mutex = a_lock<rondo::mutex>;
using a_shared_mutex = a_lock<rondo::shared_mutex>;
struct a_readers_lock : a_shared_mutex {
    auto clause(auto f) {
        return locked_shared(m, [this, f = std::move(f)](auto&) mutable { f(), ++held; });
    }
};
struct an_event {
    rondo::event e;
    auto clause(auto f) { return waited(e, std::move(f)); }
    void allow() { e.set(); }
    bool is_conserved(bool) { return e.is_set(); }
};
template <class Count>
struct a_count {
    Count c{1};
    auto clause(auto f) { return waited(c, std::move(f)); }
    void allow() {
        if constexpr (std::is_same_v<Count, rondo::latch>) c.count_down();
        else c.done();
    }
    bool is_conserved(bool) { return c.try_wait(); }
};
using a_latch = a_count<rondo::latch>;
using a_wait_group = a_count<rondo::wait_group>;
struct a_once {
    rondo::once o;
    std::atomic<int> runs{0};
    rondo::event begun, may_end;
    std::thread first{[this] {
        try {
            o.call([this] {
                begun.set();
                may_end.wait();
                throw 1;
            });
        } catch (int) {
        }
    }};
    a_once() { begun.wait(); }
    auto clause(auto f) {
        return called(o, [this] { ++runs; }, std::move(f));
    }
    void allow() { may_end.set(); }
    bool is_conserved(bool taken) {
        first.join();
        return o.done() == taken && runs == taken;
    }
};

template <class Subject>
int races(const std::function<void(std::function<void()>, std::function<void(std::function<void()>)>)>& in, int rounds,
          std::array<int, 6>& ends) {
    int wrong = 0;
    for (int round = 0; round < rounds; ++round) {
        Subject what;
        rondo::semaphore second(0);
        std::stop_source source;
        std::atomic<int> got{0};
        in([&] { one_round(what, second, source.get_token(), 20 + round % 7 * 20, got); },
           [&](const std::function<void()>& stop) {
               std::this_thread::sleep_for(std::chrono::microseconds(round % 9 * 10));
               switch (round % 4) {
                   case 0: second.release(); break;
                   case 1: stop(); break;
                   case 2: source.request_stop(); break;
                   default: break;
               }
               what.allow();
           });
        if (got == 0 && round % 4 == 1) got = 3;              // stopped before it had begun
        if (got < 1) ++wrong;
        else ++ends[static_cast<std::size_t>(got)];
        wrong += !what.is_conserved(got == 1);
        if (round % 4 == 0) wrong += second.try_acquire() == (got == 2);
        wrong += second.try_acquire();
    }
    return wrong;
}

}  // namespace

TEMPLATE_TEST_CASE("whichever wins the race, what was there is taken or left, never lost", "[select][race]", a_semaphore,
                   a_mutex, a_shared_mutex, a_readers_lock, an_event, a_latch, a_wait_group, a_once) {
    std::array<int, 6> ends{};
    const int rounds = 300;
    SECTION("a tasklet") {
        rondo::runtime rt({.workers = GENERATE(1u, 2u)});
        CHECK(races<TestType>([&](auto selects, auto others) {
                  auto t = rt.spawn(selects);
                  others([&] { t.stop(); });
                  end_of([&] { t.join(); });
              }, rounds, ends) == 0);
    }
    SECTION("a plain thread") {
        CHECK(races<TestType>([&](auto selects, auto others) {
                  std::thread t(selects);
                  others([] {});
                  t.join();
              }, rounds, ends) == 0);
    }
    INFO(ends[1] << " taken, " << ends[2] << " second, " << ends[3] << " stopped, " << ends[4] << " by a token, " << ends[5]
                 << " late");
    CHECK(ends[1] + ends[2] + ends[3] + ends[4] + ends[5] == rounds);
}
