// What actors cost, and what they leave to others: turns of the workers, the system lane's right of way, memory.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using support::lines;

// The program's allocations are counted. (Not under a sanitizer, which wants its own.)
#if !defined(RONDO_ASAN) && !defined(RONDO_TSAN)
namespace {
std::atomic<long> allocations{0};
}

void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(bytes ? bytes : 1)) return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t to) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    const auto a = static_cast<std::size_t>(to);
    if (void* p = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace {

struct tick {};
struct how_many {};
struct pass {};

}  // namespace

TEST_CASE("an actor that always has a message leaves every other tasklet and actor its turn", "[actor][fairness][unordered]") {
    struct endless {                                      // would hang the test for a while, not for ever
        long* handled;
        const bool* is_over;
        void on(tick) {
            if (!*is_over && ++*handled < 10'000'000) rondo::this_actor::ref<endless>().tell(tick{});
        }
    };
    struct other {
        void on(tick) {}
        int on(how_many) { return 1; }
    };
    long handled = 0, most = 0;
    bool is_over = false;
    rondo::run({.workers = 1}, [&] {
        auto e = rondo::start<endless>(&handled, &is_over);
        auto o = rondo::start<other>();
        e.tell(tick{});
        for (int i = 0; i < 100; ++i) {
            const long before = handled;
            if (i % 2) rondo::yield();
            else o.ask(how_many{});
            most = std::max(most, handled - before);
        }
        is_over = true;
    });
    CHECK(handled > 100);                                 // it had its turns, too
    CHECK(most <= 4 * static_cast<long>(rondo::detail::actor_cell::batch));
}

// Each wakes the other, who would come next and next again: refused, and asking once more. So a waiter and a hungry philosopher
// kept those from their turn who held the forks.
TEST_CASE("two actors that tell each other something all the time let others come between", "[actor][fairness][unordered]") {
    struct asks_again {
        long* asked;
        bool* is_over;
        rondo::actor_ref<asks_again> other = {};
        void on(rondo::actor_ref<asks_again> o) { other = std::move(o); }
        void on(tick t) {
            ++*asked;
            if (!*is_over) other.tell(t);
        }
    };
    long asked = 0, most = 0;
    bool is_over = false;
    rondo::run({.workers = 1}, [&] {
        auto a = rondo::start<asks_again>(&asked, &is_over), b = rondo::start<asks_again>(&asked, &is_over);
        a.tell(b);
        b.tell(a);
        a.tell(tick{});
        for (int i = 0; i < 100; ++i) {
            const long before = asked;
            rondo::yield();
            most = std::max(most, asked - before);
        }
        is_over = true;
    });
    CHECK(asked > 100);
    CHECK(most <= 12);
}

TEST_CASE("a full mailbox is worked off in batches, between which others come", "[actor][fairness][unordered]") {
    struct counter {
        long* handled;
        void on(tick) { ++*handled; }
    };
    long handled = 0;
    std::vector<long> seen;
    rondo::run({.workers = 1}, [&] {
        auto c = rondo::start<counter>(rondo::actor_options{.mailbox_slots = 0}, &handled);
        for (int i = 0; i < 1000; ++i) (void)c.try_tell(tick{});
        while (handled < 1000) {
            rondo::yield();
            seen.push_back(handled);
        }
    });
    for (std::size_t i = 1; i < seen.size(); ++i) CHECK(seen[i] - seen[i - 1] <= rondo::detail::actor_cell::batch);
    CHECK(seen.size() >= 1000 / rondo::detail::actor_cell::batch);
}

// If each batch let in as few senders as it has room for, then nearly every message would be a wait.
TEST_CASE("senders that wait for room are relieved by longer batches, of no more than the mailbox holds", "[actor][fairness][unordered]") {
    constexpr long slots = 256, senders = 8, each = 1000;
    struct counter {
        long* handled;
        void on(tick) { ++*handled; }
    };
    long handled = 0, most = 0;
    rondo::testing::world w{{.workers = 1}};
    w.run([&] {
        auto c = rondo::start<counter>(rondo::actor_options{.mailbox_slots = slots}, &handled);
        rondo::scope([&](rondo::group& g) {
            for (long i = 0; i < senders; ++i)
                g.spawn([&] {
                    for (long n = 0; n < each; ++n) c.tell(tick{});
                });
            while (handled < senders * each) {
                const long before = handled;
                rondo::yield();
                most = std::max(most, handled - before);
            }
        });
    });
    CHECK(handled == senders * each);
    CHECK(most > static_cast<long>(rondo::detail::actor_cell::batch));
    CHECK(most <= slots);
}

TEST_CASE("senders that wait are relieved by no longer batch of messages that take long", "[actor][fairness][unordered]") {
    struct slow {
        long* handled;
        void on(tick) {
            ++*handled;
            const auto end = std::chrono::steady_clock::now() + 20us;
            while (std::chrono::steady_clock::now() < end) {}
        }
    };
    long handled = 0, most = 0;
    rondo::run({.workers = 1}, [&] {
        auto c = rondo::start<slow>(rondo::actor_options{.mailbox_slots = 256}, &handled);
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 8; ++i)
                g.spawn([&] {
                    for (int n = 0; n < 200; ++n) c.tell(tick{});
                });
            while (handled < 1600) {
                const long before = handled;
                rondo::yield();
                most = std::max(most, handled - before);
            }
        });
    });
    CHECK(most <= static_cast<long>(rondo::detail::actor_cell::batch));
}

// A job that has not begun needs a stack as much as anybody: who waits for memory must not take it for one that gives his back.
TEST_CASE("without memory for stacks a scope waits, whatever else is next", "[actor][memory]") {
    struct last {
        void on(tick) {}
    };
    struct parent {
        rondo::actor_ref<last> other;
        bool* is_over;
        explicit parent(rondo::actor_ref<last> o, bool* b) : other(std::move(o)), is_over(b) {}
        void on(tick) {
            rondo::scope([&](rondo::group& g) {
                g.spawn([] {});
                other = {};                               // its last handle: its job comes next
            });
            *is_over = true;
        }
    };
    bool is_over = false;
    std::atomic<int> refused{0};
    rondo::event go;
    {
        rondo::runtime rt({.workers = 1, .stack_memory_bytes = std::size_t{4} << 20});
        rondo::actor_ref<parent> p;
        rt.spawn([&] { p = rondo::start<parent>(rondo::start<last>(), &is_over); }).join();
        std::vector<rondo::tasklet<void>> waiters;
        for (int i = 0; i < 200; ++i)
            waiters.push_back(rt.spawn([&] {
                try {
                    go.wait();
                } catch (const rondo::out_of_memory&) {
                    ++refused;
                }
            }));
        rt.run_until_idle();
        p.tell(tick{});
        go.set();
        for (auto& w : waiters) w.join();
        p.stop();
        p.join();
    }
    CHECK(refused > 0);
    CHECK(is_over);
}

TEST_CASE("what the library tells comes before a thousand messages that wait", "[actor][priority]") {
    struct subject {
        void on(tick) {}
    };
    struct look {
        rondo::actor_ref<subject> at;
    };
    struct guard {
        lines* log;
        rondo::channel<int> gate;
        void on(const look& l) { rondo::watch(l.at); }
        void on(pass) { gate.receive(); }
        void on(tick) {
            if (log->size() < 3) log->push_back("tick");
        }
        void on(const rondo::down& d) { log->push_back("down " + d.name); }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    lines log;
    const rondo::channel<int> gate;
    auto s = rondo::start_on<subject>(world.in(), rondo::actor_options{.name = "s"});
    auto g = rondo::start_on<guard>(world.in(), rondo::actor_options{.mailbox_slots = 1000}, &log, gate);
    g.tell(look{s});
    g.tell(pass{});
    world.settle();
    for (int i = 0; i < 1000; ++i) CHECK(g.try_tell(tick{}));
    CHECK_FALSE(g.try_tell(tick{}));                      // full: the system lane has no bound
    s.stop();
    world.settle();
    const bool is_stopped = GENERATE(false, true);
    if (is_stopped) g.stop();
    world.run([&] { gate.send(0); });
    world.settle();
    if (is_stopped) {                                     // an order comes even before what the library tells
        CHECK(log.empty());
        CHECK(g.has_ended());
        CHECK(rondo::dead_letters(world.in()).ended == 1000);
    } else {
        CHECK(log == lines{"down s", "tick", "tick"});
        CHECK(g.mailbox_size() == 0);
    }
}

#if !defined(RONDO_ASAN) && !defined(RONDO_TSAN)
TEST_CASE("messages and answers cost no allocation once memory for them has been in use", "[actor][memory]") {
    struct counter {
        long sum = 0;
        void on(long n) { sum += n; }
        long on(how_many) const { return sum; }
    };
    struct relay {
        rondo::actor_ref<counter> to;
        void on(long n) { to.tell(n); }
    };
    const auto workers = GENERATE(1u, 2u);
    const bool is_bounded = GENERATE(false, true);
    long fresh = 0, sum = 0;
    constexpr long rounds = 200, each = 500;
    rondo::run({.workers = workers}, [&] {
        const rondo::actor_options inbox{.mailbox_slots = is_bounded ? 16u : 0u};
        auto c = rondo::start<counter>(inbox);
        auto r = rondo::start<relay>(inbox, c);
        for (long round = 0; round < 2 * rounds; ++round) {
            if (round == rounds) fresh = -allocations.load();
            for (long i = 0; i < each; ++i) (i % 2 ? r.tell(i) : c.tell(i));
            // All of them, the relay's too: else, on two workers, more and more would be on their way.
            while ((sum = c.ask(how_many{})) != (round + 1) * each * (each - 1) / 2) rondo::yield();
        }
        fresh += allocations.load();
    });
    CHECK(sum == rounds * each * (each - 1));
    // Two workers may drift further apart than ever before, and then need blocks for that once more.
    CHECK(fresh <= (workers == 1 ? 0 : 20));
}
#endif
