// Threads and workers: M01 to M09, MW1 to MW5, and MW9.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <pthread.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"
#include "support/sanitized.hpp"

using namespace conformance;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

// Out of line: the compiler may not keep what it gave over a call that suspends.
[[gnu::noinline]] std::thread::id this_thread() {
    asm volatile("");
    return std::this_thread::get_id();
}

std::chrono::nanoseconds time_on(clockid_t clock) {
    std::timespec t{};
    clock_gettime(clock, &t);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

struct use_of_processors {
    std::chrono::nanoseconds time{};              // of all threads
    long switches = 0;                            // so often they have been woken, or interrupted
    use_of_processors operator-(const use_of_processors& o) const { return {time - o.time, switches - o.switches}; }
};
// The caller's own switches do not count.
use_of_processors used_so_far() {
    use_of_processors all;
    const auto me = std::filesystem::read_symlink("/proc/thread-self").filename();
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        if (thread.path().filename() == me) continue;
        std::ifstream status(thread.path() / "status");
        for (std::string key; status >> key;)
            if (long n = 0; key.ends_with("voluntary_ctxt_switches:") && status >> n) all.switches += n;
    }
    all.time = time_on(CLOCK_PROCESS_CPUTIME_ID);
    return all;
}

// A value that waits, on its way from the sender's frame to that of a receiver who waited, until it may go on.
struct gate {
    sl::channel<struct parcel> line;
    std::atomic<bool> is_reached{false}, is_open{false};
    void pass() noexcept {
        if (line.balance() != 0 || is_reached.exchange(true)) return;        // not yet taken out of the queue; or there already
        is_reached.notify_all();
        is_open.wait(false);
    }
    void open() {
        is_open = true;
        is_open.notify_all();
    }
};
struct parcel {
    gate* at;
    explicit parcel(gate& g) noexcept : at(&g) {}
    parcel(parcel&& other) noexcept : at(std::exchange(other.at, nullptr)) {
        if (at) at->pass();
    }
    parcel& operator=(parcel&& other) noexcept {
        at = std::exchange(other.at, nullptr);
        if (at) at->pass();
        return *this;
    }
};

}  // namespace

TEST_CASE("a new thread has tasklets of its own", "[M01]") {
    sl::session s;
    journal j;
    sl::tasklet([&] { j.say("main's"); })();
    std::thread([&] {
        CHECK(sl::getruncount() == 1);                // this thread's; the other one waits in join
        CHECK(sl::getmain().is_current());
        sl::tasklet([&] { j.say("the thread's"); })();
        sl::run();
    }).join();
    CHECK(j.said() == lines{"the thread's"});
    sl::run();
    CHECK(j.said() == lines{"the thread's", "main's"});
}

TEST_CASE("values cross between two threads in order, none is lost", "[M02]") {
    const auto workers = GENERATE(1u, 2u);
    const int many = 2000;
    sl::channel<int> c;
    c.preference(GENERATE(-1, 0, 1));
    std::vector<int> got;
    std::thread sender([&, workers] {
        sl::session s({.workers = workers});
        auto t = sl::tasklet([&] {
            for (int i = 0; i < many; ++i) c.send(i);
        })();
        while (t.alive()) {
            sl::run();
            std::this_thread::yield();
        }
    });
    {
        sl::session s({.workers = workers});
        for (int i = 0; i < many; ++i) got.push_back(c.receive());
    }
    sender.join();
    for (int i = 0; i < many; ++i) CHECK(got[static_cast<std::size_t>(i)] == i);
    CHECK(got.size() == many);
}

TEST_CASE("both mains of two threads can wait for each other", "[M02][M08]") {
    sl::channel<int> there, back;
    std::thread other([&] {
        for (int i = 0; i < 500; ++i) back.send(there.receive() + 1);
    });
    int wrong = 0;
    for (int i = 0; i < 500; ++i) {
        there.send(i);
        wrong += back.receive() != i + 1;
    }
    other.join();
    CHECK(wrong == 0);
}

TEST_CASE("a switch to a tasklet of another thread is an error, it can be inserted there", "[M04]") {
    const auto workers = GENERATE(1u, 2u);
    sl::session s({.workers = workers});
    held_workers held(workers);
    std::atomic<int> ran{0};
    sl::tasklet_ref t;
    t.bind([&] { ++ran; });
    std::string switched, ran_there;
    std::thread([&] {
        switched = end_of([&] { t.switch_to(); });
        t.insert();                                   // only makes it ready, on its own thread
        ran_there = std::to_string(ran);
    }).join();
    CHECK(switched == "usage_error");
    CHECK(ran_there == "0");
    held.let_go();
    sl::run();
    CHECK(ran == 1);
}

// Stackless: a paused one may be bound to another thread, a ready one may not. Rondo: there is no bind_thread, the workers
// share whatever is ready.
TEST_CASE("a tasklet goes on on another worker while its own is held, paused or ready", "[M05][several]") {
    const bool pauses = GENERATE(true, false);
    sl::session s({.workers = GENERATE(2u, 4u)});
    std::atomic<bool> has_begun{false}, is_held{false}, has_moved{false};
    std::thread::id first;
    auto t = sl::tasklet([&] {
        first = this_thread();
        has_begun = true;
        if (pauses) sl::schedule_remove();
        while (this_thread() == first) sl::schedule();
        has_moved = true;
    })();
    while (!has_begun || (pauses && !t.paused())) sl::schedule();
    for (int i = 0; i < 4; ++i)                       // one of them gets hold of the worker that it was on
        sl::tasklet([&] {
            if (this_thread() != first) {
                while (!is_held && !has_moved) std::this_thread::yield();
                return;
            }
            is_held = true;
            while (!has_moved) std::this_thread::yield();
        })();
    if (pauses) t.insert();
    CHECK(sl::run().parked == 0);
    CHECK(has_moved);
    CHECK_FALSE(t.alive());
}

TEST_CASE("tasklets of a thread that has ended are dead, and calls about them are errors, not crashes", "[M06]") {
    const auto workers = GENERATE(0u, 1u, 2u);        // 0: the session that a thread has by itself
    sl::tasklet_ref waiting, fresh, unstarted;
    std::atomic<int> unwound{0};
    std::thread([&] {
        std::optional<sl::session> s;
        if (workers > 0) s.emplace(sl::session_options{.workers = workers});
        struct note {
            std::atomic<int>& n;
            ~note() { ++n; }
        };
        waiting = sl::tasklet([&] {
            note n{unwound};
            sl::schedule_remove();
        })();
        sl::run();
        fresh = sl::tasklet([] {})();
        unstarted.bind([] {});
    }).join();
    CHECK(unwound == 1);                              // Rondo: Stackless would never clean it up
    for (auto* t : {&waiting, &fresh, &unstarted}) {
        CHECK_FALSE(t->alive());
        CHECK(end_of([&] { t->insert(); }) == "usage_error");
        CHECK(end_of([&] { t->run(); }) == "usage_error");
        CHECK(end_of([&] { t->switch_to(); }) == "usage_error");
        CHECK(end_of([&] { t->remove(); }) == "usage_error");
        CHECK(end_of([&] { t->bind([] {}); }) == "usage_error");
        CHECK(end_of([&] { t->raise_exception<oops>("late"); }) == "usage_error");
        CHECK(end_of([&] { t->kill(); }) == "returned");
    }
}

TEST_CASE("a thread that receives sleeps in the system until another one sends", "[M08]") {
    sl::channel<int> c;
    std::atomic<bool> go{false};
    int got = 0;
    std::thread sender([&] {
        while (c.balance() == 0) std::this_thread::yield();
        go = true;
        c.send(4);
    });
    {
        sl::session s({.workers = GENERATE(1u, 2u)});
        sl::tasklet([] { sl::schedule(); })();        // ends; then nobody here can wake main
        got = c.receive();
    }
    sender.join();
    CHECK(go);
    CHECK(got == 4);
}

TEST_CASE("a thread that waits in receive uses no processor", "[M08]") {
    const auto workers = GENERATE(1u, 2u);
    const sl::channel<int> c;
    int got = 0;
    std::thread receiver([&] {
        sl::session s({.workers = workers});
        got = c.receive();
    });
    clockid_t its;
    pthread_getcpuclockid(receiver.native_handle(), &its);
    while (c.balance() == 0) std::this_thread::yield();
    // While we use that much, it uses next to nothing of it: a thread that spins would get about as much as we do. What it
    // does before it sleeps may come late on a busy machine: then once more.
    const auto work = 50ms;
    auto used = work;
    for (int tries = 0; used >= work / 10 && tries < 20; ++tries) {
        const auto before = time_on(its), end = time_on(CLOCK_THREAD_CPUTIME_ID) + work;
        while (time_on(CLOCK_THREAD_CPUTIME_ID) < end) {}
        used = std::chrono::duration_cast<std::chrono::milliseconds>(time_on(its) - before);
    }
    CHECK(used < work / 10);
    c.send(4);
    receiver.join();
    CHECK(got == 4);
}

TEST_CASE("a kill from another thread runs the destructors in the tasklet's own thread", "[M09]") {
    const auto workers = GENERATE(1u, 2u);
    sl::session s({.workers = workers});
    const auto here = sl::getmain().id();
    std::uint64_t cleaned_in = 0;
    sl::channel<int> c;
    struct note {
        std::uint64_t& in;
        ~note() { in = sl::getmain().id(); }
    };
    auto t = sl::tasklet([&] {
        note n{cleaned_in};
        c.receive();
    })();
    sl::run();
    held_workers held(workers);
    const auto count_here = sl::getruncount();
    std::size_t count_there = 0;
    std::thread([&] {
        t.kill();
        count_there = sl::getruncount();
    }).join();
    CHECK(count_there == 1);
    CHECK(t.scheduled());
    CHECK(sl::getruncount() == count_here + 1);       // ready, in its own thread's ring
    CHECK(cleaned_in == 0);
    held.let_go();
    sl::run();
    CHECK(cleaned_in == here);
    CHECK_FALSE(t.alive());
}

TEST_CASE("Rondo's own tasklets can use the channels, but are in no ring", "[M01][guest]") {
    const auto workers = GENERATE(1u, 2u);
    sl::channel<int> there, back;
    std::string ring;
    rondo::run({.workers = workers}, [&] {
        auto t = rondo::spawn([&] {
            ring = end_of([] { sl::schedule(); });
            for (int i = 0; i < 100; ++i) back.send(there.receive() + 1);
        });
        int sum = 0;
        for (int i = 0; i < 100; ++i) {
            there.send(i);
            sum += back.receive();
        }
        t.join();
        CHECK(sum == 5050);
    });
    CHECK(ring == "usage_error");
}

TEST_CASE("a limit ends the wait of a Rondo tasklet on a channel, as if it had never been there", "[guest]") {
    const bool received = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        sl::channel<int> c;
        CHECK_FALSE(rondo::within(1ms, [&] { return c.receive(); }));
        CHECK_FALSE(rondo::within(1ms, [&] { c.send(1); }));
        CHECK(c.balance() == 0);
        rondo::spawn([c] { c.send(7); });
        return rondo::within(1h, [&] { return c.receive(); }) == 7;
    });
    CHECK(received);
}

TEST_CASE("a Rondo tasklet gets the value that is on its way to it when a limit or a stop comes", "[guest]") {
    const bool stops = GENERATE(false, true);
    rondo::testing::world w{{.workers = GENERATE(1u, 2u)}};
    gate g;
    auto receiver = w.spawn([&] { return rondo::within(1s, [&] { return g.line.receive().at == &g; }); });
    w.settle();
    std::thread sender([&] { g.line.send(parcel(g)); });
    g.is_reached.wait(false);
    if (stops) receiver.stop();
    else w.advance(2s);
    w.settle();
    CHECK_FALSE(receiver.done());
    g.open();
    sender.join();
    w.settle();
    CHECK(receiver.join() == true);
}

TEST_CASE("a tasklet to which another thread is moving a value goes on after that, whoever wants it to run", "[M02]") {
    const auto how = GENERATE("run", "switch_to", "kill", "raise");
    gate g;
    bool received = false;
    auto main = sl::getmain();
    auto t = sl::tasklet([&] {
        const auto p = g.line.receive();
        received = p.at == &g;
        main.insert();
    })();
    sl::run();
    std::thread sender([&] { g.line.send(parcel(g)); });
    g.is_reached.wait(false);
    std::thread opener([&] {
        std::this_thread::sleep_for(5ms);                 // so that we come first, as a rule
        g.open();
    });
    const auto end = end_of([&] {
        if (how == "run"s) t.run();
        else if (how == "switch_to"s) t.switch_to();
        else if (how == "kill"s) t.kill();
        else t.raise_exception<std::runtime_error>("thrown into it");
    });
    const bool was_open = g.is_open;
    opener.join();
    sender.join();
    CHECK(was_open);
    CHECK(end == (how == "raise"s ? "thrown into it" : "returned"));
    CHECK(received == (how == "run"s || how == "switch_to"s));
    CHECK_FALSE(t.alive());
    CHECK(sl::run().parked == 0);
}

TEST_CASE("a stackless tasklet may use Rondo's own channels and sleeps", "[guest]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    rondo::channel<int> c{1};
    int got = 0;
    sl::tasklet([&] {
        rondo::sleep_for(1ms);
        c.send(3);
    })();
    sl::tasklet([&] { got = c.receive(); })();
    CHECK(sl::run().parked == 0);
    CHECK(got == 3);
}

// ------------------------------------------------------------------------------------------------------ several workers

TEST_CASE("values arrive exactly once while receivers are killed at random", "[MW1][several]") {
    const auto seed = GENERATE(range(1u, 6u));
    const auto workers = GENERATE(2u, 4u);
    sl::session s({.workers = workers});
    const int senders = 6, each = 100, receivers = 12;
    sl::channel<int> c;
    std::vector<std::atomic<int>> seen(senders * each);
    std::atomic<int> received{0};
    std::vector<sl::tasklet_ref> all;
    for (int r = 0; r < receivers; ++r)
        all.push_back(sl::tasklet([&] {
            for (int v : c) {
                ++seen[static_cast<std::size_t>(v)];
                ++received;
                sl::schedule();
            }
        })());
    for (int p = 0; p < senders; ++p)
        sl::tasklet([&, p] {
            for (int i = 0; i < each; ++i) c.send(p * each + i);
        })();
    std::uint32_t chance = seed;
    for (int k = 0; k < 5; ++k) {
        chance = chance * 1664525 + 1013904223;
        all[chance % receivers].kill();
        std::this_thread::yield();
    }
    sl::run();
    c.close();
    sl::run();
    // A value that a receiver had been handed when it was killed dies with it, as in Stackless.
    int twice = 0, lost = 0;
    for (auto& n : seen) {
        twice += n > 1;
        lost += n == 0;
    }
    CHECK(twice == 0);
    CHECK(lost <= 5);
    CHECK(c.balance() == 0);
}

TEST_CASE("no wake-up is lost between insert and schedule_remove", "[MW2][several]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    sl::session s({.workers = workers});
    const int rounds = (workers == 1 ? 1'000'000 : workers == 2 ? 200'000 : 50'000) / (support::sanitized ? 20 : 1);
    std::atomic<int> woken{0};
    auto sleeper = sl::tasklet([&] {
        for (int i = 0; i < rounds; ++i) {
            sl::schedule_remove();
            ++woken;
        }
    })();
    sl::tasklet([&] {
        for (int i = 0; i < rounds; ++i) {
            while (!sleeper.paused()) sl::schedule();
            sleeper.insert();
            while (woken <= i) sl::schedule();
        }
    })();
    CHECK(sl::run().parked == 0);
    CHECK(woken == rounds);
}

TEST_CASE("what stands for thread-local data goes with its tasklet from worker to worker", "[MW3][several]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int many = 24, rounds = 50;
    std::atomic<int> wrong{0};
    std::atomic<std::size_t> most_threads{0};
    // Rondo's own tasklets: whoever is resumed goes on on another worker if that is possible.
    rondo::run({.workers = workers, .force_migration = workers > 1}, [&] {
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < many; ++i)
            all.push_back(rondo::spawn({.name = std::to_string(i)}, [&, i] {
                const auto id = rondo::this_tasklet::id();
                const auto stop = rondo::this_tasklet::stop_token();
                std::set<std::thread::id> threads{this_thread()};
                const rondo::channel<int> line{1};
                for (int k = 0; k < rounds; ++k) {
                    support::set_errno(i + 1);
                    if (k % 3 == 0) rondo::sleep_for(1us);
                    else if (k % 3 == 1) (void)line.receive_for(1us);
                    else rondo::yield();
                    threads.insert(this_thread());
                    wrong += support::get_errno() != i + 1;
                    wrong += rondo::this_tasklet::id() != id;
                    wrong += rondo::this_tasklet::name() != std::to_string(i);
                    wrong += !(rondo::this_tasklet::stop_token() == stop);
                }
                auto most = most_threads.load();
                while (most < threads.size() && !most_threads.compare_exchange_weak(most, threads.size())) {}
            }));
        for (auto& t : all) t.join();
    });
    CHECK(wrong == 0);
    CHECK(most_threads >= std::min(workers, 2u));
    CHECK(most_threads <= workers);

    // Stackless's: getcurrent and its like, too.
    sl::session s({.workers = workers});
    const auto main_id = sl::getmain().id();
    std::atomic<int> ended{0};
    for (int i = 0; i < many; ++i)
        sl::tasklet([&, i] {
            const auto me = sl::getcurrent();
            const auto id = sl::getcurrentid();
            for (int k = 0; k < rounds; ++k) {
                support::set_errno(i + 1);
                sl::schedule();
                wrong += support::get_errno() != i + 1;
                wrong += !me.is_current() || sl::getcurrentid() != id || sl::getcurrent().id() != id;
                wrong += sl::getmain().id() != main_id;
            }
            ++ended;
        })();
    CHECK(sl::run().parked == 0);
    CHECK(wrong == 0);
    CHECK(ended == many);
}

TEST_CASE("a storm of tasklets from one is executed by all workers, each once", "[MW4][several]") {
    const auto workers = GENERATE(2u, 4u);
    sl::session s({.workers = workers});
    const int many = 2000;
    std::vector<std::atomic<int>> ran(many);
    std::atomic<unsigned> held{0};
    std::mutex lock;
    std::set<std::thread::id> on;
    sl::tasklet([&] {
        for (int i = 0; i < many; ++i)
            sl::tasklet([&](int n) {
                ++ran[static_cast<std::size_t>(n)];
                {
                    const std::lock_guard hold(lock);
                    on.insert(this_thread());
                }
                // The first ones hold their workers until all have one.
                if (held.fetch_add(1) < workers)
                    while (held < workers) std::this_thread::yield();
            })(i);
    })();
    CHECK(sl::run().parked == 0);
    for (auto& n : ran) CHECK(n == 1);
    CHECK(on.size() == workers);
}

TEST_CASE("workers whose tasklets all wait use no processor and are not woken", "[MW5][several]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    const int many = 1000;
    sl::channel<int> line;
    std::atomic<int> got{0};
    for (int i = 0; i < many; ++i) sl::tasklet([&] { got += line.receive(); })();
    CHECK(sl::run().parked == many);

    // A worker may still be looking for work, for microseconds; on a busy machine that may take a while. Then all is quiet:
    // one window of time in which nobody is woken. (A poll, however rare, falls into each of them; ThreadSanitizer has one.)
    const auto window = 300ms;
    use_of_processors used;
    bool quiet = false;
    for (int tries = 0; !quiet && tries < 20; ++tries) {
        const auto before = used_so_far();
        std::this_thread::sleep_for(window);
        used = used_so_far() - before;
        quiet = used.time < window / 100 && (support::sanitized || used.switches == 0);
    }
    CHECK(used.time < window / 100);
    CHECK((support::sanitized ? 0 : used.switches) == 0);

    sl::tasklet([&] {                                 // and all of them go on
        for (int i = 0; i < many; ++i) line.send(1);
    })();
    CHECK(sl::run().parked == 0);
    CHECK(got == many);
}

TEST_CASE("on one worker the same program, of the same seed, switches in the same order every time", "[MW9]") {
    const auto trace = [](std::uint32_t seed) {
        sl::session s;
        std::vector<int> order;
        sl::channel<int> c;
        std::uint32_t chance = seed;
        for (int p = 0; p < 5; ++p) {
            sl::tasklet([&, p] {
                for (int i = 0; i < 20; ++i) {
                    order.push_back(p);
                    chance = chance * 1664525 + 1013904223;
                    if ((chance >> 16) % 3 == 0) c.send(i);
                    else if ((chance >> 16) % 3 == 1) c.receive();
                    else sl::schedule();
                }
            })();
        }
        sl::run();
        return order;
    };
    const auto first = trace(1);
    CHECK(first.size() > 20);
    for (int i = 0; i < 5; ++i) CHECK(trace(1) == first);
    CHECK(trace(2) != first);
}

TEST_CASE("explore takes the same steps for the same seed, and others for another one", "[MW9]") {
    const auto steps = [](std::uint64_t seed) {
        return rondo::testing::explore({.seed = seed, .strategy = rondo::testing::schedules::random}, [] {
            const rondo::channel<int> c;
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 4; ++i) {
                    g.spawn([=] { for (int n = 0; n < 10; ++n) c.send(n); });
                    g.spawn([=] { for (int n = 0; n < 10; ++n) c.receive(); });
                }
            });
        }).hash;
    };
    CHECK(steps(1) == steps(1));
    CHECK(steps(1) != steps(2));
}

TEST_CASE("a session belongs to a thread: in a tasklet it cannot be made", "[session]") {
    std::string inside;
    {
        sl::session s;
        sl::tasklet([&] { inside = end_of([] { sl::session nested; }); })();
        sl::run();
    }
    CHECK(inside == "usage_error");
    sl::session outer;
    int ran = 0;
    sl::tasklet([&] { ++ran; })();
    {
        sl::session inner;                            // the youngest session is the thread's
        CHECK(sl::getruncount() == 1);
        sl::run();
        CHECK(ran == 0);
    }
    CHECK(sl::getruncount() == 2);
    sl::run();
    CHECK(ran == 1);
}

TEST_CASE("a session without a number of workers has as many as a runtime has by itself", "[session]") {
    const auto threads = [] {
        const std::filesystem::directory_iterator all("/proc/self/task");
        return std::distance(begin(all), end(all));
    };
    const auto threads_with = [&, usual = threads()](const char* workers) {
        while (threads() > usual) std::this_thread::yield();      // one that has been joined may be listed a little longer
        const support::environment_variable wanted("RONDO_WORKERS", workers);
        sl::session s({.workers = 0});
        sl::tasklet([] {})();
        sl::run();
        return threads();
    };
    CHECK(threads_with("7") - threads_with("3") == 4);
    CHECK(end_of([&] { threads_with("many"); }) == "usage_error");
}

TEST_CASE("sessions that end out of order leave their thread usable", "[session]") {
    auto outer = std::make_unique<sl::session>();
    auto inner = std::make_unique<sl::session>();
    outer.reset();
    int ran = 0;
    sl::tasklet([&] { ++ran; })();                    // in the inner one
    sl::run();
    inner.reset();
    sl::tasklet([&] { ++ran; })();                    // in the thread's own
    sl::run();
    CHECK(ran == 2);
    auto elsewhere = std::make_unique<sl::session>();
    std::thread([&] { elsewhere.reset(); }).join();
    sl::tasklet([&] { ++ran; })();
    sl::run();
    CHECK(ran == 3);
}

TEST_CASE("a stop ends the wait of Rondo's own tasklets on a channel, and lets a scope fail", "[several]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::runtime rt({.workers = workers});
    const sl::channel<int> line;
    auto t = rt.spawn([&] { line.receive(); });
    while (line.balance() == 0) std::this_thread::yield();
    t.stop();
    CHECK(end_of([&] { t.join(); }) == "stopped");
    CHECK(line.balance() == 0);
    CHECK(end_of([&] {
              rt.run([&] {
                  rondo::scope([&](rondo::group& g) {
                      g.spawn([&] { line.send(1); });
                      while (line.balance() == 0) rondo::yield();
                      throw std::runtime_error("failed");
                  });
              });
          }) == "failed");
    CHECK(line.balance() == 0);
    CHECK(end_of([&] { line.send_throw(nullptr); }) == "usage_error");
}
