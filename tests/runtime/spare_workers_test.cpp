// While tasklets keep the workers, spare ones go on with the rest; afterwards they leave.
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include <rondo/lowlevel/threads.hpp>
#include <rondo/rondo.hpp>

namespace {

using namespace std::chrono_literals;
using rondo::runtime;
using rondo::stall;

std::size_t spares_at_work(runtime& rt) { return rondo::lowlevel::watch_over(rt).spares; }

rondo::runtime_options quick(unsigned workers, unsigned spares) {
    return {.workers = workers, .stall_limit = 1ms, .on_stall = [](const stall&) {}, .spare_workers = spares};
}

// Keeps its worker until then.
void compute_until(const std::atomic<bool>& go_on) {
    while (!go_on) {}
}

}  // namespace

TEST_CASE("what waits behind a tasklet that keeps the only worker goes on, on a spare one", "[spare]") {
    std::atomic<int> relieved{0};
    runtime rt({.workers = 1, .stall_limit = 1ms, .on_stall = [&](const stall& s) { relieved += s.is_relieved; }, .spare_workers = 1});
    std::atomic<bool> go_on{false};
    rt.run([&] {
        rondo::channel<int> line;
        auto other = rondo::spawn([&] {
            line.receive();                               // has started, and waits
            go_on = true;
        });
        rondo::yield();
        auto late = rondo::spawn([&] { line.send(1); });  // has not
        compute_until(go_on);
        while (relieved == 0) {}                          // the report is still being written
        other.join();
        late.join();
    });
    CHECK(relieved >= 1);
    const auto s = rt.stats();
    CHECK(s.workers == 1);
    CHECK(rt.workers() == 1);
    CHECK(s.per_worker.size() == 2);
    CHECK(s.spares_called == 1);
    CHECK(s.per_worker[1].dispatched >= 1);
}

TEST_CASE("sleepers, actors and work from outside go on while all workers are kept", "[spare]") {
    const unsigned workers = GENERATE(1u, 2u, 4u);
    runtime rt(quick(workers, GENERATE(1u, 3u)));
    std::atomic<int> told{0};
    struct counter {
        std::atomic<int>& told;
        int on(int n) { return told += n; }
    };
    rt.run([&] {
        auto a = rondo::start<counter>(told);
        std::atomic<bool> go_on{false};
        std::atomic<unsigned> kept{0};
        rondo::scope([&](rondo::group& g) {
            g.spawn([&] {                                 // begins when all are kept
                while (kept < workers) rondo::yield();
                rondo::sleep_for(1ms);
                CHECK(a.ask(2) == 2);
                std::thread outside([&] { rt.spawn([&] { a.tell(1); }).join(); });
                rondo::blocking([&] { outside.join(); });
                while (told < 3) rondo::yield();
                go_on = true;
            });
            for (unsigned i = 0; i < workers; ++i)
                g.spawn([&] {
                    ++kept;
                    compute_until(go_on);
                });
        });
        a.stop();
    });
    CHECK(told == 3);
}

TEST_CASE("workers that are kept by system calls are relieved, too", "[spare]") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    runtime rt(quick(2, 1));
    rt.run([&] {
        const auto read_one = [&] {
            char c;
            while (::read(ends[0], &c, 1) != 1) {}
        };
        auto a = rondo::spawn(read_one), b = rondo::spawn(read_one);
        rondo::yield();
        rondo::spawn([&] { CHECK(::write(ends[1], "ab", 2) == 2); }).join();
        a.join(), b.join();
    });
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a spare worker leaves when it is needed no more, though there is work for all", "[spare]") {
    const unsigned workers = GENERATE(1u, 2u, 4u);
    auto options = quick(workers, 2);
    options.stall_limit = 20ms;                           // busy workers on a busy machine are not kept, however late they are
    runtime rt(std::move(options));
    for (int round = 0; round < 5; ++round) {
        std::atomic<bool> go_on{false};
        std::atomic<unsigned> kept{0};
        rt.run([&] {
            rondo::scope([&](rondo::group& g) {
                for (unsigned i = 0; i < workers; ++i)
                    g.spawn([&] {
                        ++kept;
                        compute_until(go_on);
                    });
                for (int i = 0; i < 20; ++i)              // busy until all spares have left
                    g.spawn([&, i] {
                        rondo::channel<int> line(1);
                        while (!go_on && (kept < workers || spares_at_work(rt) == 0)) rondo::yield();
                        go_on = true;
                        while (spares_at_work(rt) > 0)
                            if (i % 2) rondo::yield();
                            else rondo::spawn([line] { line.send(1); }), line.receive();
                    });
            });
        });
        CHECK(rt.stats().spares_called >= static_cast<std::uint64_t>(round) + 1);
    }
}

TEST_CASE("a spare worker that is kept itself stays until it goes on, and another one takes its place", "[spare]") {
    runtime rt(quick(1, 2));
    std::atomic<bool> first{false}, second{false};
    rt.run([&] {
        auto beside = rondo::spawn([&] {
            rondo::spawn([&] { first = true; second = true; });       // needs a third
            compute_until(second);
        });
        compute_until(first);
        beside.join();
    });
    CHECK(rt.stats().spares_called >= 2);
    while (spares_at_work(rt) > 0) rt.spawn([&] {             // somebody must run, or the watchdog sleeps
        for (const auto seen = rondo::lowlevel::watch_over(rt).looks; rondo::lowlevel::watch_over(rt).looks < seen + 2;) rondo::yield();
    }).join();
}

TEST_CASE("what a spare worker's tasklets sleep for is over in time, though it is not needed any more", "[spare]") {
    runtime rt(quick(1, 1));
    std::atomic<bool> go_on{false};
    rt.run([&] {
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 50; ++i)
                g.spawn([&, i] {
                    go_on = true;
                    rondo::sleep_for(std::chrono::milliseconds(i));
                });
            compute_until(go_on);
        });
    });
    CHECK(rt.stats().live == 0);
}

TEST_CASE("after a spare worker has come and gone a deadlock is told, and an idle runtime is idle", "[spare]") {
    runtime rt(quick(2, 1));
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> go_on{false};
        std::atomic<int> kept{0};
        rondo::channel<int> line;
        CHECK_THROWS_AS(rt.run([&, line] {
            rondo::scope([&](rondo::group& g) {
                for (int i = 0; i < 2; ++i)
                    g.spawn([&] {
                        ++kept;
                        compute_until(go_on);
                    });
                g.spawn([&] {
                    while (kept < 2) rondo::yield();
                    go_on = true;
                });
            });
            line.next();
        }), rondo::deadlock);
        while (!rondo::lowlevel::watch_over(rt).sleeps) std::this_thread::yield();
        line.close();
    }
    CHECK(rt.stats().spares_called >= 1);
}

TEST_CASE("runtimes end while their spare workers come and go", "[spare]") {
    for (int round = 0; round < 50; ++round) {
        runtime rt(quick(1 + static_cast<unsigned>(round) % 2, 2));
        std::atomic<bool> go_on{false};
        rt.spawn([&] { compute_until(go_on); });
        rt.spawn([&] { compute_until(go_on); });
        rt.spawn([&] { go_on = true; });
    }
}

TEST_CASE("how many spare workers there are", "[spare]") {
    const auto of = [](rondo::runtime_options o) { return runtime(std::move(o)).stats().per_worker.size() - o.workers; };
    CHECK(of({.workers = 2}) == 0);
    CHECK(of({.workers = 1, .stall_limit = 100ms}) == 0);
    CHECK(of({.workers = 2, .stall_limit = 100ms}) == 1);
    CHECK(of({.workers = 2, .stall_limit = 100ms, .spare_workers = 0}) == 0);
    CHECK(of({.workers = 1, .stall_limit = 100ms, .spare_workers = 3}) == 3);
    CHECK(of({.workers = 1, .spare_workers = 0}) == 0);
    CHECK_THROWS_WITH(of({.workers = 1, .spare_workers = 1}), Catch::Contains("spare_workers needs a stall_limit"));
    CHECK_THROWS_WITH(of({.workers = 1, .stall_limit = 1ms, .spare_workers = 1025}), Catch::Contains("spare_workers is 1025"));
}
