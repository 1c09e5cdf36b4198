// What the precise mode must find, and what it must not. Each case is the same program twice: planted, where two tasklets
// touch an int with nothing between them, and in order. The planted ones run on one worker, so that they never really meet.
//
//   races --list               the names of those that have a planted race
//   races <name>               one of them
//   races --in-order <n>       all of them in order, on n workers
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <thread>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

namespace {

unsigned workers = 1;

template <class F>
void on_workers(F f) {
    rondo::run({.workers = workers}, std::move(f));
}

void expect_equal(int is, int should) {
    if (is != should) {
        std::printf("it is %d and should be %d\n", is, should);
        std::exit(1);
    }
}

// What each pair of tasklets shares. One of its own for each case, and not on a stack.
struct shared {
    int n = 0;
};

// ------------------------------------------------------------------------------------------- spawning and ending

void siblings(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto a = rondo::spawn([&] { ++s->n; });
        if (!planted) a.join();
        auto b = rondo::spawn([&] { ++s->n; });
        if (planted) a.join();
        b.join();
    });
    expect_equal(s->n, 2);
}

void parent_and_child(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        if (!planted) ++s->n;
        auto child = rondo::spawn([&] { ++s->n; });
        if (planted) ++s->n;
        child.join();                                    // runs it as a plain call
        ++s->n;
    });
    expect_equal(s->n, 3);
}

void after_a_yield(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::mutex m;
        const auto work = [&] {
            rondo::yield();
            std::unique_lock hold(m, std::defer_lock);
            if (!planted) hold.lock();
            ++s->n;
            rondo::yield();
        };
        auto a = rondo::spawn(work), b = rondo::spawn(work);
        a.join();
        b.join();
    });
    expect_equal(s->n, 2);
}

void detached(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::spawn([&] { ++s->n; });
        rondo::sleep_for(1ms);
        if (planted) ++s->n;
    });
    if (!planted) ++s->n;
    expect_equal(s->n, 2);
}

void in_one_descriptor(bool planted) {                   // and on one stack
    auto s = std::make_unique<shared>();
    on_workers([&] {
        if (auto one = rondo::spawn([&] { ++s->n; }); !planted) one.join();
        rondo::sleep_for(1ms);
        rondo::spawn([&] { ++s->n; }).join();
    });
    expect_equal(s->n, 2);
}

void long_before(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto one = rondo::spawn([&] { ++s->n; });
        if (!planted) one.join();
        for (int i = 0; i < 200; ++i) rondo::spawn([] { rondo::yield(); }).join();     // the sanitizer remembers 250
        auto other = rondo::spawn([&] { ++s->n; });
        other.join();
        if (planted) one.join();
    });
    expect_equal(s->n, 2);
}

void in_a_scope(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::scope([&](rondo::group& g) {
            g.spawn([&] { ++s->n; });
            if (planted) g.spawn([&] { ++s->n; });
        });
        if (!planted) rondo::scope([&](rondo::group& g) { g.spawn([&] { ++s->n; }); });
        ++s->n;
    });
    expect_equal(s->n, 3);
}

void after_sleeps(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto a = rondo::spawn([&] { rondo::sleep_for(1ms); ++s->n; });
        if (!planted) a.join();
        auto b = rondo::spawn([&] { rondo::sleep_for(2ms); ++s->n; });
        b.join();
        if (planted) a.join();
    });
    expect_equal(s->n, 2);
}

void on_stacks(bool planted) {                           // the int lies in a frame, and others had that memory before
    on_workers([&] {
        for (int round = 0; round < 3; ++round) {
            auto owner = rondo::spawn([&] {
                int n = 0, m = 0;
                auto child = rondo::spawn([&] { ++n; rondo::yield(); ++m; });
                auto sibling = rondo::spawn([&] { int k = 0; rondo::spawn([&] { ++k; }).join(); expect_equal(k, 1); });
                if (planted) ++n;
                child.join();
                sibling.join();
                expect_equal(++n + m, planted ? 4 : 3);
            });
            owner.join();
        }
    });
}

void done_is_asked(bool) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto a = rondo::spawn([&] { ++s->n; });
        while (!a.done()) rondo::yield();
        ++s->n;
        auto b = rondo::spawn([&] { rondo::yield(); ++s->n; return 1; });
        while (!b.try_join()) rondo::yield();
        ++s->n;
        auto c = rondo::spawn([&] { rondo::yield(); ++s->n; return std::vector<int>(100, 1); });
        expect_equal(c.join_for(1h).value()[99], 1);
        ++s->n;
    });
    expect_equal(s->n, 6);
}

void as_they_end(bool) {
    on_workers([] {
        std::vector<int> of(5);
        std::vector<rondo::tasklet<int>> all;
        for (int& mine : of)
            all.push_back(rondo::spawn([&] {
                rondo::yield();
                mine = 2;
                return static_cast<int>(&mine - of.data());
            }));
        int sum = 0;
        for (auto& one : rondo::as_completed(all)) sum += of[static_cast<std::size_t>(one.join())];
        expect_equal(sum, 10);
        int n = 0;
        auto t = rondo::spawn([&] { rondo::yield(); ++n; });
        rondo::select(rondo::joined(t, [&] { ++n; }));
        auto [a, b] = rondo::all([&] { return 1; }, [&] { rondo::yield(); return 2; });
        expect_equal(n + a + b, 5);
        expect_equal(rondo::race([&] { rondo::sleep_for(1h); return 1; }, [&] { rondo::yield(); return 2; }), 2);
    });
}

void failures(bool) {
    on_workers([] {
        int n = 0;
        auto t = rondo::spawn([&] { ++n; throw std::runtime_error("as planned"); });
        try {
            t.join();
        } catch (const std::runtime_error& e) {
            n += e.what()[0] == 'a';
        }
        try {
            rondo::scope([&](rondo::group& g) {
                g.spawn([&] { rondo::sleep_for(1h); });
                g.spawn([&] { ++n; rondo::yield(); throw std::runtime_error("again"); });
            });
        } catch (const std::runtime_error& e) {
            n += e.what()[0] == 'a';
        }
        expect_equal(n, 4);
    });
}

void unhandled(bool) {
    auto s = std::make_unique<shared>();
    rondo::run({.workers = workers, .on_unhandled = [&](std::exception_ptr, const rondo::tasklet_info&) { ++s->n; }}, [&] {
        rondo::spawn([&] { ++s->n; rondo::yield(); throw std::runtime_error("nobody joins"); });
    });
    expect_equal(s->n, 2);
}

// ------------------------------------------------------------------------------------------- channels

void two_receivers(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::channel<int> line;
        rondo::mutex m;
        const auto receiver = [&, line] {
            for (int one : line) {
                std::unique_lock hold(m, std::defer_lock);
                if (!planted) hold.lock();
                s->n += one;
            }
        };
        auto a = rondo::spawn(receiver), b = rondo::spawn(receiver);
        for (int i = 0; i < 4; ++i) line.send(1);
        line.close();
        a.join();
        b.join();
    });
    expect_equal(s->n, 4);
}

void sent_too_early(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::channel<int> line{4};
        auto receiver = rondo::spawn([&, line] { s->n += line.receive(); });
        if (!planted) ++s->n;
        line.send(1);
        if (planted) ++s->n;
        receiver.join();
    });
    expect_equal(s->n, 2);
}

void two_channels(bool planted) {                        // each orders its own two, and not the others
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::channel<int> left{1}, right{1};
        left.send(1);
        right.send(1);
        auto a = rondo::spawn([&, left] { auto token = left.receive(); ++s->n; left.send(token); });
        auto b = rondo::spawn([&, other = planted ? right : left] { auto token = other.receive(); ++s->n; other.send(token); });
        a.join();
        b.join();
    });
    expect_equal(s->n, 2);
}

template <class Channel>
void ping_pong(Channel ping, Channel pong) {
    auto s = std::make_unique<shared>();
    auto player = rondo::spawn([&, ping, pong] {
        for (int kick : ping) {
            ++s->n;
            pong.send(kick + 1);
        }
    });
    for (int i = 0; i < 20; ++i) {
        ++s->n;
        ping.send(i);
        expect_equal(pong.receive(), i + 1);
    }
    ping.close();
    player.join();
    expect_equal(s->n, 40);
}

void through_channels(bool) {
    on_workers([] {
        ping_pong(rondo::channel<int>(), rondo::channel<int>());
        ping_pong(rondo::channel<int>{1}, rondo::channel<int>{1});
        ping_pong(rondo::channel<int>{64}, rondo::channel<int>());
        ping_pong(rondo::channel<int>{rondo::unbounded}, rondo::channel<int>{rondo::unbounded});
        ping_pong(rondo::channel<int>{rondo::spin_locked}, rondo::channel<int>{rondo::spin_locked});

        int n = 0;                                       // a send that returns has been received
        rondo::channel<std::unique_ptr<int>> line;
        auto receiver = rondo::spawn([&, line] { ++n; *line.receive() += 1; });
        line.send(std::make_unique<int>(1));
        ++n;
        receiver.join();
        expect_equal(n, 2);

        rondo::channel<int> a, b{2};                     // and by select
        auto chooser = rondo::spawn([&, a, b] {
            for (int i = 0; i < 6; ++i) rondo::select(rondo::from(a, [&](int k) { n += k; }), rondo::to(b, 1, [&] { ++n; }));
        });
        while (chooser)
            rondo::select(rondo::to(a, 1, [] {}), rondo::from(b, [](int) {}), rondo::joined(chooser, [] {}));
        expect_equal(n, 8);
    });
}

void through_other_channels(bool) {
    on_workers([] {
        int n = 0;
        rondo::oneshot<int> once;
        auto asker = rondo::spawn([&, once] { return once.receive() + ++n; });
        ++n;
        once.send(1);
        expect_equal(asker.join(), 3);

        rondo::work_queue<int> work{2};
        auto worker = rondo::spawn([&, work] { for (int one : work) { n += one; work.task_done(); } });
        for (int i = 0; i < 5; ++i) work.put(1);
        work.join();
        expect_equal(n, 7);
        work.close();
        worker.join();

        rondo::broadcast<int> news{4};
        auto reader = rondo::spawn([&, sub = news.subscribe()]() mutable { n += sub.next().value(); });
        rondo::yield();
        ++n;
        news.send(1);
        reader.join();

        rondo::latest<int> state{0};
        auto watcher = rondo::spawn([&, r = state.reader()]() mutable { while (r.next().value() == 0) {} ++n; });
        rondo::yield();
        ++n;
        state.set(1);
        watcher.join();
        expect_equal(n, 11);
    });
}

// ------------------------------------------------------------------------------------------- locks

void two_mutexes(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::mutex one, other;
        const auto add = [&](rondo::mutex& m) {
            for (int i = 0; i < 3; ++i) {
                {
                    std::lock_guard hold(m);
                    ++s->n;
                    rondo::yield();
                }
                rondo::yield();
            }
        };
        auto a = rondo::spawn([&] { add(one); }), b = rondo::spawn([&] { add(planted ? other : one); });
        a.join();
        b.join();
    });
    expect_equal(s->n, 6);
}

void readers_that_write(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        rondo::shared_mutex m;
        const auto add = [&] {
            if (planted) {
                std::shared_lock hold(m);
                ++s->n;
                rondo::yield();
            } else {
                std::lock_guard hold(m);
                ++s->n;
                rondo::yield();
            }
        };
        auto a = rondo::spawn(add), b = rondo::spawn(add);
        a.join();
        b.join();
        std::shared_lock hold(m);
        expect_equal(s->n, 2);
    });
}

// Two that take turns by `pass`, which lets the other go on.
template <class Wait, class Pass>
void in_turns(Wait wait, Pass pass) {
    int n = 0;
    auto a = rondo::spawn([&] { ++n; pass(); });
    auto b = rondo::spawn([&] { wait(); ++n; });
    b.join();
    a.join();
    auto late = rondo::spawn([&] { wait(); ++n; });
    ++n;
    pass();
    late.join();
    expect_equal(n, 4);
}

void through_locks(bool) {
    on_workers([] {
        rondo::semaphore permits{0};
        in_turns([&] { permits.acquire(); }, [&] { permits.release(); });
        rondo::event e;
        in_turns([&] { e.wait(); e.reset(); }, [&] { e.set(); });
        rondo::mutex m;
        rondo::condition_variable changed;
        int tokens = 0;
        in_turns([&] { std::unique_lock hold(m); changed.wait(hold, [&] { return tokens > 0; }); --tokens; },
                 [&] { { std::lock_guard hold(m); ++tokens; } changed.notify_one(); });

        int n = 0;
        rondo::latch gate{2};
        rondo::barrier meeting{3};
        rondo::wait_group jobs{2};
        rondo::once first;
        std::vector<rondo::tasklet<void>> all;
        int of[2] = {};
        for (int& mine : of)
            all.push_back(rondo::spawn([&] {
                ++mine;
                gate.count_down();
                meeting.arrive_and_wait();               // the main one has looked at both
                ++mine;
                jobs.done();
                first.call([&] { ++n; });
                if (n != 1) std::abort();
            }));
        gate.wait();
        expect_equal(of[0] + of[1], 2);
        meeting.arrive_and_wait();
        jobs.wait();
        expect_equal(of[0] + of[1], 4);
        for (auto& one : all) one.join();
        expect_equal(n, 1);
    });
}

// ------------------------------------------------------------------------------------------- stops

void stopped_too_early(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        std::atomic<bool> began = false;                 // orders nothing
        auto sleeper = rondo::spawn([&] {
            try {
                began.store(true, std::memory_order_relaxed);
                rondo::sleep_for(1h);
            } catch (const rondo::stopped&) {
                ++s->n;
            }
        });
        while (!began.load(std::memory_order_relaxed)) rondo::yield();
        if (!planted) ++s->n;
        sleeper.stop();
        if (planted) ++s->n;
        sleeper.join();
    });
    expect_equal(s->n, 2);
}

void stop_is_seen(bool) {
    on_workers([] {
        int n = 0;
        std::atomic<bool> began = false;
        auto busy = rondo::spawn([&] {
            began.store(true, std::memory_order_relaxed);
            try {
                while (!rondo::this_tasklet::stop_requested()) rondo::yield();
            } catch (const rondo::stopped&) {}
            ++n;
        });
        while (!began.load(std::memory_order_relaxed)) rondo::yield();
        ++n;
        busy.stop();
        busy.join();
        expect_equal(n, 2);
    });
}

void stop_by_token(bool) {
    on_workers([] {
        int n = 0;
        rondo::channel<std::stop_token> out;
        auto one = rondo::spawn([&, out] {
            auto token = rondo::this_tasklet::stop_token();
            const std::stop_callback called(token, [&] { ++n; });
            out.send(token);
            try {
                rondo::sleep_for(1h);
            } catch (const rondo::stopped&) {
                ++n;
            }
            if (token.stop_requested()) ++n;
        });
        auto token = out.receive();
        ++n;
        one.stop();
        one.join();
        expect_equal(n + token.stop_requested(), 5);
    });
}

void given_up_in_time(bool) {
    on_workers([] {
        int n = 0;
        rondo::channel<int> never;
        for (int i = 0; i < 3; ++i) (void)rondo::within(1ms, [&] { ++n; return never.receive(); });
        auto t = rondo::spawn([&] { (void)never.receive_for(1ms); ++n; });
        t.join();
        expect_equal(n, 4);
    });
}

// ------------------------------------------------------------------------------------------- other threads

void beside_blocking(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        if (!planted) ++s->n;
        auto caller = rondo::spawn([&] { rondo::blocking([&] { ++s->n; }); ++s->n; });
        rondo::yield();
        if (planted) ++s->n;
        caller.join();
    });
    expect_equal(s->n, 3);
}

void from_outside(bool planted) {
    auto s = std::make_unique<shared>();
    rondo::runtime rt({.workers = workers});
    if (!planted) ++s->n;
    auto t = rt.spawn([&] { ++s->n; rondo::yield(); ++s->n; });
    if (planted) ++s->n;
    t.join();
    ++s->n;
    rt.spawn([&] { ++s->n; });
    rt.run_until_idle();
    expect_equal(++s->n, 6);
    rondo::channel<int> line;
    std::thread other([&, line] { ++s->n; line.send(1); });
    rt.run([&] { line.receive(); ++s->n; });
    other.join();
    rondo::mutex m;
    std::thread one([&] { for (int i = 0; i < 100; ++i) { std::lock_guard hold(m); ++s->n; } });
    rt.run([&] { for (int i = 0; i < 100; ++i) { std::lock_guard hold(m); ++s->n; rondo::yield(); } });
    one.join();
    expect_equal(s->n, 208);
}

void in_a_world(bool planted) {
    auto s = std::make_unique<shared>();
    rondo::testing::world world{{.workers = workers}};
    rondo::channel<int> line;
    world.spawn([&, line] { ++s->n; line.receive(); ++s->n; rondo::sleep_for(1h); ++s->n; });
    if (!planted) world.settle();
    ++s->n;
    world.run([&, line] { ++s->n; line.send(1); });
    world.settle();
    ++s->n;
    world.advance(1h);
    expect_equal(++s->n, 7);
}

void explored(bool planted) {
    const auto how = rondo::testing::explore({.seeds = 20}, [planted] {
        auto s = std::make_unique<shared>();
        rondo::mutex m;
        const auto add = [&] {
            rondo::yield();
            std::unique_lock hold(m, std::defer_lock);
            if (!planted) hold.lock();
            ++s->n;
            rondo::yield();
        };
        rondo::all(add, add);
        return s->n == 2;
    });
    expect_equal(how.ok(), true);
}

// ------------------------------------------------------------------------------------------- actors

struct add {
    shared* to;
};
struct sum {};
struct adder {
    int n = 0;
    void on(add a) {
        ++n;
        ++a.to->n;
    }
    int on(sum) { return ++n; }
};

void two_actors(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto one = rondo::start<adder>();
        auto other = planted ? rondo::start<adder>() : one;
        one.tell(add{s.get()});
        other.tell(add{s.get()});
        rondo::sleep_for(1ms);                           // a message that comes too soon would order them all
        (void)one.ask(sum{});
        (void)other.ask(sum{});
    });
    expect_equal(s->n, 2);
}

void told_too_early(bool planted) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto one = rondo::start<adder>();
        if (!planted) ++s->n;
        one.tell(add{s.get()});
        if (planted) ++s->n;
        rondo::sleep_for(1ms);
        (void)one.ask(sum{});
        ++s->n;
    });
    expect_equal(s->n, 3);
}

struct crasher {
    shared& by;
    int seen = 0;
    explicit crasher(shared& s) : by(s) { ++by.n; }
    ~crasher() { ++by.n; }
    void on(add) { throw std::runtime_error("as planned"); }
    int on(sum) { return ++seen; }
};

void actors_in_order(bool) {
    auto s = std::make_unique<shared>();
    on_workers([&] {
        auto one = rondo::start<adder>();
        for (int i = 0; i < 50; ++i) {                   // each activation on a tasklet of its own
            ++s->n;
            one.tell(add{s.get()});
            if (i % 3 == 0) rondo::yield();
            expect_equal(one.ask(sum{}) > 0, true);
        }
        auto head = rondo::supervise({}, rondo::child<crasher>("c", std::ref(*s)));
        auto c = head.ref<crasher>("c");
        expect_equal(c.ask(sum{}), 1);
    });
    expect_equal(s->n, 102);
}

struct race_case {
    std::string_view name;
    void (*run)(bool planted);
    bool can_be_planted = true;
};

constexpr race_case cases[] = {
    {"siblings", siblings},
    {"parent_and_child", parent_and_child},
    {"after_a_yield", after_a_yield},
    {"detached", detached},
    {"in_one_descriptor", in_one_descriptor},
    {"long_before", long_before},
    {"in_a_scope", in_a_scope},
    {"after_sleeps", after_sleeps},
    {"on_stacks", on_stacks},
    {"done_is_asked", done_is_asked, false},
    {"as_they_end", as_they_end, false},
    {"failures", failures, false},
    {"unhandled", unhandled, false},
    {"two_receivers", two_receivers},
    {"sent_too_early", sent_too_early},
    {"two_channels", two_channels},
    {"through_channels", through_channels, false},
    {"through_other_channels", through_other_channels, false},
    {"two_mutexes", two_mutexes},
    {"readers_that_write", readers_that_write},
    {"through_locks", through_locks, false},
    {"stopped_too_early", stopped_too_early},
    {"stop_is_seen", stop_is_seen, false},
    {"stop_by_token", stop_by_token, false},
    {"given_up_in_time", given_up_in_time, false},
    {"beside_blocking", beside_blocking},
    {"from_outside", from_outside},
    {"in_a_world", in_a_world},
    {"explored", explored},
    {"two_actors", two_actors},
    {"told_too_early", told_too_early},
    {"actors_in_order", actors_in_order, false},
};

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    for (auto& c : cases) {
        if (what == "--list" && c.can_be_planted) std::printf("%s\n", c.name.data());
        if (what == "--in-order") {
            workers = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
            if (argc > 3 && c.name != argv[3]) continue;
            std::fprintf(stderr, "%s\n", c.name.data());
            c.run(false);
        }
        if (what == c.name) c.run(true);
    }
}
