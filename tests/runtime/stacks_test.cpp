// Stacks: guards of each kind, also those of other kernels; what they take and give back; where they begin; and where they end
// for whoever walks up the frames.
#include <dlfcn.h>
#include <execinfo.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/lowlevel/job.hpp>
#include <rondo/run.hpp>
#include <rondo/time.hpp>

#include "../../runtime/src/scheduler.hpp"
#include "support/helpers.hpp"
#include "support/last_words.hpp"
#include "support/memory.hpp"
#include "support/sanitized.hpp"

using rondo::detail::guard_kind;
using rondo::detail::guard_limits;
using rondo::detail::stack;
using rondo::detail::stack_arena;
using namespace support;

namespace {

constexpr std::size_t stack_bytes = 64 * 1024;

/// The arenas that are made as long as it lives have these.
class guards_here {
public:
    explicit guards_here(guard_limits now) { stack_arena::guards = now; }
    explicit guards_here(guard_kind k)
        : guards_here(guard_limits{k == guard_kind::installed, k == guard_kind::mprotected ? SIZE_MAX : 0}) {}
    ~guards_here() { stack_arena::guards = before_; }

private:
    const guard_limits before_ = stack_arena::guards;
};

/// Those that this kernel has, and that a sanitizer can live with.
std::vector<guard_kind> all_kinds() {
    std::vector<guard_kind> all{guard_kind::mprotected, guard_kind::canary};
    if (stack_arena::guards.may_install && stack_arena::kernel_installs_guards()) all.push_back(guard_kind::installed);
    return all;
}

/// Asks the kernel, which answers where a look would end the process.
class looker {
public:
    looker() { REQUIRE(::pipe(ends_) == 0); }
    ~looker() {
        for (const int end : ends_) ::close(end);
    }
    bool may_read(const char* address) {
        char same;
        return ::write(ends_[1], address, 1) == 1 && ::read(ends_[0], &same, 1) == 1;
    }

private:
    int ends_[2];
};

stack& here() { return rondo::detail::worker::current()->standing_on(); }

// Down to that address, and up again: some hundred bytes a frame, as functions have.
[[gnu::noinline]] int use_stack_down_to(const char* lowest) {
    volatile char frame[256];
    for (auto& c : frame) c = 1;
    if (reinterpret_cast<const char*>(const_cast<const char*>(frame)) <= lowest) return 1;
    return use_stack_down_to(lowest) + frame[0];
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------- guards

TEST_CASE("right below each stack lies its guard, of whichever kind", "[stacks]") {
    for (const auto kind : all_kinds()) {
        constexpr std::size_t many = 3'000;
        CAPTURE(static_cast<int>(kind));
        const guards_here only(kind);
        stack_arena arena(stack_bytes, 0);
        looker kernel;
        std::size_t ends_below = 0, may_be_read = 0;
        for (std::size_t i = 0; i < many; ++i) {
            const stack* s = arena.get(stack_bytes);
            REQUIRE(s);
            const bool is_usable = kernel.may_read(s->limit) && kernel.may_read(s->base + s->size - 1);
            ends_below += is_usable && s->limit == s->base + stack::page() && s->limit < s->top;
            may_be_read += kernel.may_read(s->limit - 1) || kernel.may_read(s->base);
        }
        CHECK(ends_below == many);
        CHECK(arena.made() == many);
        CHECK(may_be_read == arena.made(guard_kind::canary));
        if (kind != guard_kind::canary) CHECK(arena.made(kind) == many);
        else CHECK(arena.made(kind) > many * 9 / 10);     // all but the lowest of each chunk
    }
}

TEST_CASE("the lowest stack of a chunk has a true guard when all others have canaries", "[stacks]") {
    const guards_here only(guard_kind::canary);
    stack_arena arena(stack_bytes, 0);
    const stack* lowest = arena.get(stack_bytes);
    const stack* next = arena.get(stack_bytes);
    CHECK(lowest->guard == guard_kind::mprotected);
    CHECK(next->guard == guard_kind::canary);
    CHECK(next->base == lowest->base + lowest->size);
}

TEST_CASE("beyond so many guards by mprotect in the whole process stacks have canaries", "[stacks]") {
    const guards_here few(guard_limits{false, 6});
    const auto made = [](stack_arena& arena, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) REQUIRE(arena.get(stack_bytes));
        return std::array{arena.made(guard_kind::installed), arena.made(guard_kind::mprotected), arena.made(guard_kind::canary)};
    };
    using kinds = std::array<std::size_t, 3>;
    stack_arena second(stack_bytes, 0);
    {
        stack_arena first(stack_bytes, 0);
        CHECK(made(first, 4) == kinds{0, 4, 0});
        CHECK(made(second, 4) == kinds{0, 2, 2});
        CHECK(made(first, 4) == kinds{0, 4, 4});
    }
    CHECK(made(second, 5) == kinds{0, 6, 3});             // those of the first have gone with it
}

TEST_CASE("a canary tells that a stack was overrun, and other guards say nothing", "[stacks]") {
    for (const auto kind : all_kinds()) {
        const guards_here only(kind);
        stack_arena arena(stack_bytes, 0);
        arena.get(stack_bytes);                           // the lowest has a true guard
        stack* s = arena.get(stack_bytes);
        std::memset(s->limit, 1, static_cast<std::size_t>(s->top - s->limit));
        CHECK_FALSE(stack_arena::is_overrun(*s));         // used up, and no more than that
        if (kind != guard_kind::canary) continue;
        s->limit[-1] = 1;
        CHECK(stack_arena::is_overrun(*s));
        s->limit[-1] = 0;
        s->limit[-300] = 1;
        CHECK(stack_arena::is_overrun(*s));
    }
}

TEST_CASE("whoever stays within its stack runs the same on guards of each kind", "[stacks]") {
    const auto workers = GENERATE(1u, 2u);
    for (const auto kind : all_kinds()) {
        constexpr int many = 400;
        CAPTURE(static_cast<int>(kind));
        const guards_here only(kind);
        rondo::runtime rt({.workers = workers, .stack_bytes = stack_bytes});
        std::atomic<int> sum{0};
        for (int round = 0; round < 3; ++round) {         // later on used ones
            rondo::event go;
            for (int i = 0; i < many; ++i)
                rt.spawn([&, i] {
                    use_stack_down_to(here().limit + 4096);
                    go.wait();
                    use_stack_down_to(here().limit + 4096);
                    ++sum;
                    if (i % 10 == 0) throw std::runtime_error("tenth");
                });
            CHECK(rt.run_until_idle().parked.size() == many);
            go.set();
            CHECK(rt.run_until_idle().errors.size() == many / 10);
        }
        CHECK(sum == 3 * many);
        auto& arena = rt.impl().stacks;
        CHECK(arena.made() > many);
        CHECK(arena.made(kind) > arena.made() * 9 / 10);
    }
}

#ifndef RONDO_TSAN
namespace {

enum class how_far { a_little, for_ever };

// What the process says in which a tasklet uses more than its stack.
std::string overflow(guard_kind kind, how_far far, bool waits_first) {
    return last_words([=] {
        const guards_here only(kind);
        rondo::run({.workers = 1, .stack_bytes = stack_bytes}, [=] {
            const auto waits = [] {
                rondo::yield();
                use_stack_down_to(here().limit + 4096);
                rondo::yield();
            };
            for (int i = 0; i < 3; ++i) rondo::spawn({.name = "innocent"}, waits);
            rondo::spawn({.name = "deep thinker"}, [=] {
                if (waits_first) rondo::yield();
                else use_stack_down_to(here().limit + 4096);
                use_stack_down_to(far == how_far::for_ever ? nullptr : here().limit - 600);
            });
            for (int i = 0; i < 3; ++i) rondo::spawn({.name = "innocent"}, waits);
        });
    });
}

}  // namespace

TEST_CASE("an overflow is found on guards of each kind, and the message names the tasklet", "[stacks]") {
    const auto waits_first = GENERATE(false, true);
    const auto far = GENERATE(how_far::a_little, how_far::for_ever);
    for (const auto kind : all_kinds()) {
        // A sanitizer has its own word for who runs over his neighbours' frames.
        if (sanitized && kind == guard_kind::canary && far == how_far::for_ever) continue;
        CAPTURE(static_cast<int>(kind), static_cast<int>(far));
        const auto said = overflow(kind, far, waits_first);
        CAPTURE(said);
        CHECK(has(said, "rondo: stack overflow in tasklet "));
        CHECK(has(said, "\"deep thinker\", spawned at "));
        CHECK(has(said, "stacks_test.cpp:"));
        CHECK(has(said, ": its stack has 65536 bytes; give it more with "));
        CHECK(has(said, "stack_bytes"));
        CHECK_FALSE(has(said, "innocent"));
    }
}

TEST_CASE("a child that join runs on its joiner's stack, and that uses it up, is told of as its joiner", "[stacks]") {
    const auto said = last_words([] {
        const guards_here only(guard_kind::canary);
        rondo::run({.workers = 1, .stack_bytes = stack_bytes}, [] {
            rondo::yield();
            rondo::spawn({.name = "joiner"}, [] {
                rondo::yield();                           // somebody else's loop has the lowest stack
                rondo::spawn({.name = "child"}, [] { use_stack_down_to(here().limit - 600); }).join();
            });
        });
    });
    CAPTURE(said);
    CHECK(has(said, "rondo: stack overflow in tasklet "));
    CHECK(has(said, "\"joiner\", spawned at "));
}
#endif

// ------------------------------------------------------------------------------------------------------------- memory

TEST_CASE("a suspended tasklet keeps one page of its stack in memory, whatever guards it", "[stacks]") {
    if (sanitized) return;                                // frames are larger then
    for (const auto kind : all_kinds()) {
        constexpr std::size_t many = 4'000;
        CAPTURE(static_cast<int>(kind));
        const guards_here only(kind);
        rondo::runtime rt({.workers = 1, .stack_bytes = stack_bytes});
        const auto before = resident_now("Rss:");
        for (int round = 0; round < 2; ++round) {         // the second time on stacks that have been looked at
            rondo::event go;
            for (std::size_t i = 0; i < many; ++i) rt.spawn([&] { go.wait(); });
            REQUIRE(rt.run_until_idle().parked.size() == many);
            const auto bytes_each = (resident_now("Rss:") - before) / many;
            CHECK(bytes_each >= 4096);
            CHECK(bytes_each <= 4096 + 700);
            go.set();
            rt.run_until_idle();
        }
        CHECK(rt.impl().stacks.made() >= many);
    }
}

TEST_CASE("the depth of stacks that nobody uses is given back, and their top page is kept", "[stacks]") {
    if (sanitized || !knows_resident("LazyFree:")) return;
    for (const auto kind : all_kinds()) {
        constexpr std::size_t many = 500;
        CAPTURE(static_cast<int>(kind));
        const guards_here only(kind);
        stack_arena arena(stack_bytes, 0);
        std::vector<stack*> all;
        for (std::size_t i = 0; i < many; ++i) all.push_back(arena.get(stack_bytes));
        for (stack* s : all) std::memset(s->limit, 1, static_cast<std::size_t>(s->top - s->limit));
        const auto before = resident_now("LazyFree:");
        for (stack* s : all) arena.put(s);
        CHECK(arena.trim(many / 2));                      // there are more
        CHECK_FALSE(arena.trim(many));
        const auto given_back = resident_now("LazyFree:") - before;
        const auto depth = many * (stack_bytes - 2 * stack::page());       // without guard and top
        CHECK(given_back <= depth);
        CHECK(given_back > depth * 9 / 10);               // the kernel notes them by batches
        for (std::size_t i = 0; i < many; ++i) CHECK_FALSE(stack_arena::is_overrun(*arena.get(stack_bytes)));
        CHECK(arena.made() == many);
    }
}

TEST_CASE("a runtime that has nothing to do gives back the depth of its idle stacks", "[stacks]") {
    if (sanitized || !knows_resident("LazyFree:")) return;
    constexpr std::size_t many = 500;
    const auto before = resident_now("LazyFree:");
    rondo::runtime rt({.workers = 2, .stack_bytes = stack_bytes});
    rondo::event go;
    for (std::size_t i = 0; i < many; ++i)
        rt.spawn([&] {
            use_stack_down_to(here().limit + 4096);
            go.wait();
        });
    REQUIRE(rt.run_until_idle().parked.size() == many);
    go.set();
    REQUIRE(rt.run_until_idle().parked.empty());
    // They do it once they are parked: we may have been told of that before. Each worker keeps some of them at hand.
    const auto wanted = (many - 100) * (stack_bytes - 4 * stack::page());
    const auto patience_ends = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::size_t given_back = 0;
    while ((given_back = resident_now("LazyFree:") - before) < wanted && std::chrono::steady_clock::now() < patience_ends)
        std::this_thread::yield();
    CHECK(given_back >= wanted);
}

TEST_CASE("the tops of stacks that lie side by side have sixteen colours, 128 bytes apart", "[stacks]") {
    stack_arena arena(stack_bytes, 0);
    std::vector<std::size_t> colours;
    for (int i = 0; i < 64; ++i) {
        const stack* s = arena.get(stack_bytes);
        colours.push_back(static_cast<std::size_t>(s->base + s->size - s->top));
    }
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < 64; ++i) wanted.push_back(i % 16 * 128);
    CHECK(colours == wanted);
}

// ------------------------------------------------------------------------------------------------------------- frames

namespace {

// By unwind tables. Nothing: there was no end to them.
[[gnu::noinline]] std::vector<void*> frames_here() {
    std::vector<void*> frames(200);
    frames.resize(static_cast<std::size_t>(::backtrace(frames.data(), static_cast<int>(frames.size()))));
    if (frames.size() == 200) frames.clear();
    return frames;
}

// Do all lie in code that the dynamic linker knows?
bool are_all_code(const std::vector<void*>& frames) {
    return std::all_of(frames.begin(), frames.end(), [](void* pc) {
        Dl_info info;
        return ::dladdr(static_cast<char*>(pc) - 1, &info) != 0;
    });
}

// By frame pointers: how many there are up to the one whose caller's is 0. Nothing: they lead astray.
[[gnu::noinline]] std::optional<int> frame_pointers_here() {
    const char* const end = here().top;
    auto* frame = static_cast<char*>(__builtin_frame_address(0));
    for (int n = 1; n < 200; ++n) {
        char* const up = *reinterpret_cast<char**>(frame);
        if (!up) return n;
        if (up <= frame || up >= end) return std::nullopt;
        frame = up;
    }
    return std::nullopt;
}

struct look {
    unsigned worker;
    std::vector<void*> frames;
    std::optional<int> frame_pointers;
};
[[gnu::noinline]] look look_up() { return {rondo::lowlevel::worker_here(), frames_here(), frame_pointers_here()}; }

// By a tasklet that has just begun, and each time that it has come to another worker.
std::vector<look> looks_of_a_traveller() {
    (void)frames_here();                                  // loads what the C library needs for it: not on a small stack
    return rondo::run({.workers = 3, .stack_bytes = 256 * 1024, .force_migration = true}, [] {
        auto traveller = rondo::spawn([] {
            std::vector<look> all;
            for (int i = 0; i < 5; ++i) {
                if (i > 0) rondo::yield();
                all.push_back(look_up());
            }
            return all;
        });
        rondo::yield();
        return traveller.join();
    });
}

}  // namespace

TEST_CASE("a backtrace of a tasklet ends, and is the same on whichever worker it goes on", "[stacks][seams]") {
    const auto all = looks_of_a_traveller();
    for (std::size_t i = 0; i < all.size(); ++i) {
        CAPTURE(i);
        if (i > 0) CHECK(all[i].worker != all[i - 1].worker);
        REQUIRE(all[i].frames.size() > 3);                // two of ours, the lambda's, and the loop's
        CHECK(are_all_code(all[i].frames));
        CHECK(std::equal(all[i].frames.begin() + 3, all[i].frames.end(), all[0].frames.begin() + 3, all[0].frames.end()));
    }
}

#if defined(__x86_64__) || defined(__aarch64__)
TEST_CASE("the frame pointers of a tasklet end in 0, on whichever worker it goes on", "[stacks][seams]") {
    for (const auto& one : looks_of_a_traveller()) {
        REQUIRE(one.frame_pointers);
        CHECK(*one.frame_pointers > 3);
    }
}
#endif
