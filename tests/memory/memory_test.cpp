// What happens without memory: each program runs again and again, and each time another of its allocations fails. It may
// say so; but nobody waits for ever, nothing is used twice, and the process goes on.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/sanitized.hpp"

using namespace std::chrono_literals;

namespace {

constexpr long never = -1;
std::atomic<long> good_ones_left{never};                  // the allocation after these fails, and that one alone

bool fails_now() noexcept {
    return good_ones_left.load(std::memory_order_relaxed) >= 0 && good_ones_left.fetch_sub(1, std::memory_order_relaxed) == 0;
}

void* allocate(std::size_t bytes) {
    if (!fails_now())
        if (void* p = std::malloc(bytes ? bytes : 1)) return p;
    throw std::bad_alloc();
}
void* allocate(std::size_t bytes, std::align_val_t to) {
    const auto a = static_cast<std::size_t>(to);
    if (!fails_now())
        if (void* p = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return p;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, std::align_val_t to) { return allocate(bytes, to); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return fails_now() ? nullptr : std::malloc(bytes); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace {

/// Runs the program until none of its allocations fails any more. It gives what it finds wrong, or nothing.
void fail_each_allocation(const std::function<std::string()>& program) {
    REQUIRE(program() == "");
    for (long n = 0;; ++n) {
        std::string wrong;
        good_ones_left.store(n, std::memory_order_relaxed);
        try {
            wrong = program();
        } catch (const std::bad_alloc&) {
        } catch (const rondo::out_of_memory&) {
        } catch (const rondo::actor_ended&) {             // a handler had no memory
        }
        const bool has_failed = good_ones_left.exchange(never, std::memory_order_relaxed) < 0;
        CAPTURE(n);
        CHECK(wrong == "");
        if (!has_failed) return;
        REQUIRE(n < 5'000);
    }
}

/// What asking came to: the answer, or 0 if the asker was told of a failure.
template <class F>
int answer_or_failure(F&& ask) {
    try {
        return ask();
    } catch (const std::bad_alloc&) {
    } catch (const rondo::error&) {
    } catch (const std::logic_error&) {
    }
    return 0;
}

struct question {};
struct order {};

/// Answers what the channel gives; an order makes it crash.
struct clerk {
    rondo::channel<int> answers;
    int on(question) { return answers.receive(); }
    void on(order) { throw std::logic_error("no orders, please"); }
};

}  // namespace

TEST_CASE("without memory for lists a runtime still stops who is left, children before parents", "[memory]") {
    fail_each_allocation([]() -> std::string {
        std::atomic<int> alive{0}, gone_too_early{0};
        {
            rondo::runtime rt({.workers = 2});
            const rondo::channel<int> silence;
            for (int i = 0; i < 3; ++i)
                rt.spawn([&, silence] {
                    std::atomic<bool> is_here{true};
                    ++alive;
                    struct leaving {
                        std::atomic<bool>& here;
                        std::atomic<int>& count;
                        ~leaving() { here = false, --count; }
                    } const at_the_end{is_here, alive};
                    rondo::spawn([&, silence] {
                        struct leaving_first {
                            const std::atomic<bool>& is_parent_here;
                            std::atomic<int>&too_early, &count;
                            ~leaving_first() { too_early += !is_parent_here, --count; }
                        };
                        ++alive;
                        const leaving_first at_its_end{is_here, gone_too_early, alive};
                        silence.receive();
                    });
                    silence.receive();
                });
            (void)rt.run_until_idle();
        }
        return alive != 0 ? "somebody is left" : gone_too_early != 0 ? "a child outlived its parent" : "";
    });
}

TEST_CASE("without memory for the reason an asker still hears that he gets no answer", "[memory]") {
    const auto how = GENERATE(0, 1, 2, 3);
    fail_each_allocation([how] {
        return rondo::run({.workers = 1}, [how]() -> std::string {
            const rondo::channel<int> answers;
            const auto asked = rondo::start<clerk>(rondo::actor_options{.name = "clerk", .mailbox_slots = 2,
                                                                        .full = how == 3 ? rondo::when_full::drop_oldest
                                                                                         : rondo::when_full::drop_newest},
                                                   answers);
            std::vector<rondo::tasklet<int>> askers;
            for (int i = 0; i < 4; ++i)
                askers.push_back(rondo::spawn([asked] { return answer_or_failure([&] { return asked.ask(question{}); }); }));
            for (int i = 0; i < 4; ++i) rondo::yield();
            if (how == 0) asked.kill();
            else asked.stop(), (void)answers.send_for(1, 10s);
            int sum = 0;
            for (auto& a : askers) sum += a.join();       // a deadlock if one has not been told
            (void)asked.join();
            sum += answer_or_failure([&] { return asked.ask(question{}); });
            return sum > 1 ? "an answer too many" : "";
        });
    });
}

TEST_CASE("two actors are linked, or there was no memory for it and they are not", "[memory]") {
    fail_each_allocation([] {
        return rondo::run({.workers = 1}, []() -> std::string {
            const rondo::channel<int> answers;
            const auto one = rondo::start<clerk>(answers), other = rondo::start<clerk>(answers);
            bool linked = true;
            try {
                rondo::link(one, other);
            } catch (const std::bad_alloc&) {
                linked = false;
            }
            one.kill();
            (void)one.join();
            rondo::yield();
            rondo::yield();
            return other.has_ended() == linked ? "" : linked ? "the other lives on" : "the other has ended, too";
        });
    });
}

namespace {

/// Counts what its timers bring.
struct listener {
    int heard = 0;
    void on(rondo::started) {
        rondo::this_actor::every(1ms, order{});
        rondo::this_actor::after(1ms, std::string("once, and too long to lie in the string itself"));
        rondo::this_actor::idle_timeout(1h);
    }
    void on(order) { ++heard; }
    void on(const std::string&) {}
    void on(rondo::idle) {}
    int on(question) const { return heard; }
};

}  // namespace

TEST_CASE("without memory a timer is refused, or a tick is left out, and the other timers go on", "[memory][timers]") {
    fail_each_allocation([] {
        return rondo::run({.workers = 1}, []() -> std::string {
            const auto listens = rondo::start<listener>();
            while (listens.ask(question{}) < 3) rondo::sleep_for(1ms);
            return "";
        });
    });
}

namespace {

/// Of no use before on(started) has come.
struct beginner {
    bool has_begun = false;
    void on(rondo::started) { has_begun = true; }
    void on(order) { throw std::logic_error("again from the beginning"); }
    int on(question) const { return has_begun ? 2 : 1; }
};

}  // namespace

TEST_CASE("who is restarted gets on(started), though there was no memory for it at first", "[memory][supervisor]") {
    // Under a sanitizer messages are not pooled, and the news of a crash that finds no memory ends the process.
    if (support::sanitized) return;
    fail_each_allocation([] {
        return rondo::run({.workers = 1}, []() -> std::string {
            const auto boss = rondo::supervise({.name = "boss"}, rondo::child<beginner>("child"));
            const auto child = boss.ref<beginner>("child");
            child.tell(order{});
            return answer_or_failure([&] { return child.ask(question{}); }) == 1 ? "it has not been told that it begins" : "";
        });
    });
}
