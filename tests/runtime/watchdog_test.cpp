// A tasklet that keeps its worker is reported, with where it is; one that looks after the others is not.
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <rondo/lowlevel/threads.hpp>
#include <rondo/rondo.hpp>

namespace {

using namespace std::chrono_literals;
using rondo::runtime;
using rondo::stall;

// What has been reported, for a test that waits for it.
class reports {
public:
    void operator()(const stall& s) {
        const std::lock_guard hold(lock_);
        all_.push_back(s);
        answers_.fetch_add(!s.who.backtrace.empty());
        n_.fetch_add(1);
    }
    std::size_t size() const { return n_.load(); }
    /// Has one of them a stack? Who gets no core for long does not answer in time; then the next report asks again.
    bool has_answer() const { return answers_.load() != 0; }
    std::vector<std::string> answer() const {
        const std::lock_guard hold(lock_);
        for (auto& s : all_)
            if (!s.who.backtrace.empty()) return s.who.backtrace;
        return {};
    }
    std::vector<stall> all() const {
        const std::lock_guard hold(lock_);
        return all_;
    }

private:
    mutable std::mutex lock_;
    std::vector<stall> all_;
    std::atomic<std::size_t> n_{0}, answers_{0};
};

[[gnu::noinline]] char read_one(int from) {
    char c = 0;
    while (::read(from, &c, 1) != 1) {}
    asm volatile("");
    return c;
}

bool is_in(const std::string& part, const std::vector<std::string>& frames) {
    for (auto& f : frames)
        if (f.find(part) != std::string::npos) return true;
    return false;
}

// Reports tell the stack on x86-64. TSan keeps a signal until the program calls something that it knows: a loop never answers.
#if defined(__x86_64__)
constexpr bool calls_answer = true;
#else
constexpr bool calls_answer = false;
#endif
#if defined(RONDO_TSAN)
constexpr bool loops_answer = false;
#else
constexpr bool loops_answer = calls_answer;
#endif

[[gnu::noinline]] void compute_until(const reports& told, std::size_t n) {
    while (told.size() < n || (loops_answer && !told.has_answer())) {}
    asm volatile("");                                 // no tail call
}

}  // namespace

TEST_CASE("a tasklet that computes for too long is reported with its stack, again once the time has doubled") {
    const unsigned workers = GENERATE(1u, 2u);
    reports told;
    runtime rt({.workers = workers, .stall_limit = 2ms, .on_stall = std::ref(told)});
    rt.run([&] {
        rondo::spawn({.name = "greedy"}, [&] { compute_until(told, 2); }).join();
    });
    const auto all = told.all();
    REQUIRE(all.size() >= 2);
    CHECK(all[0].who.name == "greedy");
    CHECK(all[0].who.state == rondo::tasklet_state::running);
    CHECK(all[0].who.spawn_site.find("watchdog_test.cpp") != std::string::npos);
    CHECK(all[0].worker < workers);
    CHECK(all[0].held >= 2ms);
    CHECK(all[1].who.id == all[0].who.id);
    CHECK(all[1].held >= 2 * all[0].held);
    if (loops_answer) CHECK(is_in("compute_until", told.answer()));
    CHECK(rt.stats().stalls >= all.size());               // one more may be on its way
    const auto text = describe(all[0]);
    INFO(text);
    CHECK(text.find("\"greedy\", running") != std::string::npos);
    CHECK(text.find("has kept worker") != std::string::npos);
}

TEST_CASE("a tasklet that is caught in a system call is reported, and the call goes on") {
    reports told;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    runtime rt({.workers = 2, .stall_limit = 2ms, .on_stall = [&](const stall& s) {
                    told(s);
                    if (told.has_answer() || !calls_answer) CHECK(::write(ends[1], "x", 1) == 1);
                }});
    char got = 0;
    rt.run([&] { rondo::spawn({.name = "reader"}, [&] { got = read_one(ends[0]); }).join(); });
    CHECK(got == 'x');
    const auto all = told.all();
    REQUIRE(!all.empty());
    CHECK(all[0].who.name == "reader");
    if (calls_answer) CHECK(is_in("read_one", told.answer()));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("who yields, looks at checkpoints or talks is not reported, however long it runs") {
    reports told;
    runtime rt({.workers = 4, .stall_limit = 2ms, .on_stall = std::ref(told)});
    rt.run([&] {
        rondo::channel<int> line(1);
        rondo::scope([&](rondo::group& g) {
            g.spawn({.name = "greedy"}, [&] { compute_until(told, 4); });
            g.spawn([&] { while (told.size() < 4) rondo::yield(); });
            g.spawn([&] { while (told.size() < 4) rondo::checkpoint(); });
            g.spawn([&] {
                while (told.size() < 4) {
                    line.send(1);
                    line.receive();
                }
            });
        });
    });
    for (auto& s : told.all()) CHECK(s.who.name == "greedy");
}

TEST_CASE("a handler that keeps its worker is reported as its actor's") {
    reports told;
    struct busy {
        reports& told;
        void on(int) {
            compute_until(told, 1);
            rondo::this_actor::stop();
        }
    };
    runtime rt({.workers = 2, .stall_limit = 2ms, .on_stall = std::ref(told)});
    rt.run([&] {
        auto a = rondo::start<busy>({.name = "bee"}, told);
        a.tell(1);
        a.join();
    });
    REQUIRE(told.size() >= 1);
    CHECK(told.all()[0].who.role.find("\"bee\"") != std::string::npos);
}

TEST_CASE("while everybody waits the watchdog sleeps, and it watches again when somebody goes on") {
    reports told;
    runtime rt({.workers = 2, .stall_limit = 1ms, .on_stall = std::ref(told)});
    const auto looks = [&] { return rondo::lowlevel::watch_over(rt).looks; };
    const auto wait_until_it_sleeps = [&] {
        while (!rondo::lowlevel::watch_over(rt).sleeps) std::this_thread::yield();
    };
    for (int round = 0; round < 5; ++round) {
        wait_until_it_sleeps();
        const auto before = looks();
        rt.spawn([&] { while (looks() < before + 3) {} }).join();
    }
    wait_until_it_sleeps();
}

TEST_CASE("without a handler a stall is told on stderr, and the limit may come from the environment") {
    ::setenv("RONDO_STALL_MS", "2", 1);
    {
        runtime rt({.workers = 1});
        rt.run([&] { while (rondo::this_tasklet::id() && rt.stats().stalls == 0) {} });
        CHECK(rt.stats().stalls > 0);
    }
    ::setenv("RONDO_STALL_MS", "soon", 1);
    CHECK_THROWS_WITH(runtime({.workers = 1}), Catch::Contains("RONDO_STALL_MS is \"soon\""));
    ::unsetenv("RONDO_STALL_MS");
    CHECK_THROWS_WITH(runtime({.workers = 1, .stall_limit = -1ms}), Catch::Contains("stall_limit is -1 ms"));
    CHECK_THROWS_WITH(runtime({.workers = 1, .stall_limit = std::chrono::hours(25)}), Catch::Contains("to a day"));
    runtime rt({.workers = 1});
    rt.spawn([] {}).join();
    CHECK(rondo::lowlevel::watch_over(rt).looks == 0);
}

TEST_CASE("whose exception a report ends with goes on looking") {
    std::atomic<int> calls{0};
    runtime rt({.workers = 1, .stall_limit = 1ms, .on_stall = [&](const stall&) {
                    if (++calls == 1) throw std::runtime_error("no");
                }});
    rt.run([&] { while (calls < 2) {} });
    CHECK(calls >= 2);
}

TEST_CASE("a deadlock is told beside a watchdog, too") {
    runtime rt({.workers = 2, .stall_limit = 1ms});
    CHECK_THROWS_AS(rt.run([] { rondo::channel<int>().receive(); }), rondo::deadlock);
}
