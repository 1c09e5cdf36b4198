// The real child_count under the model's atomics: a stop finds every child or is found by who spawned it, the scope waits
// for all children and for no more, and sees what they have written.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <vector>

#include <rondo/detail/child_count.hpp>

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

constexpr unsigned children = 2;
constexpr unsigned stale_reads = model::sanitized ? 1 : 2;     // what it finds does not depend on it

// A scope with its children, as in runtime/src/scope.cpp: the count, who can be found by a stop, who wakes the scope.
struct scope {
    explicit scope(std::uint32_t in_advance) : count(in_advance) {}
    child_count count;
    std::array<atomic<int>, children> shown{}, started{};
    std::array<model::plain<int>, children> written{};
    std::array<bool, children> told{}, found{};
    atomic<int> woken{0};
    bool is_over = false;                // nobody may touch it any more

    void spawn(unsigned i, bool by_the_scope) {
        told[i] = count.enter(by_the_scope, [&] { shown[i].store(1, relaxed); });
        started[i].store(1, release);
    }
    // `n` children end, from `first` on, and are counted out at once.
    void run(unsigned first, unsigned n) {
        for (unsigned i = first; i < first + n; ++i) {
            while (started[i].load(acquire) == 0) cpu_relax();
            written[i] = 1;
        }
        if (count.leave(n)) {
            woken.load(relaxed);         // others may go on here
            model::check(!is_over, "the scope waits for the last child");
            woken.store(1, release);
        }
    }
    void stop() {
        count.stop();
        for (unsigned i = 0; i < children; ++i) found[i] = shown[i].load(relaxed) != 0;
    }
    void wait() {
        if (count.close())
            while (woken.load(acquire) == 0) cpu_relax();
        end();
    }
    void end() {
        is_over = true;
        for (auto& w : written) model::check(w == 1, "every child has ended");
        model::check(count.size() == 0, "and is not counted any more");
    }
    void check_stop() const {
        for (unsigned i = 0; i < children; ++i) model::check(told[i] || found[i], "a stop reaches each child");
    }
};

}  // namespace

TEST_CASE("a scope waits for its children, whoever spawned them and however they are counted out", "[child_count]") {
    for (const std::uint32_t in_advance : {0u, 1u, 2u, 3u}) {
        const auto each = model::explore({.preemptions = 2 + model::deep, .stale_reads = stale_reads}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.spawn(1, true);
                                s.wait();
                            },
                            [&] { s.run(0, 1); }, [&] { s.run(1, 1); }});
        });
        CHECK(each);
        const auto together = model::explore({.preemptions = 3, .stale_reads = 3}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.spawn(1, true);
                                s.wait();
                            },
                            [&] { s.run(0, 2); }});
        });
        CHECK(together);
        const auto by_a_child = model::explore({.preemptions = 2 + model::deep, .stale_reads = stale_reads}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.wait();
                            },
                            [&] {
                                s.spawn(1, false);
                                s.run(0, 1);
                            },
                            [&] { s.run(1, 1); }});
        });
        CHECK(by_a_child);
    }
}

TEST_CASE("a stop reaches each child of a scope", "[child_count]") {
    for (const std::uint32_t in_advance : {0u, 1u, 2u}) {
        const auto by_the_scope = model::explore({.preemptions = 3, .stale_reads = 3}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.spawn(1, true);
                            },
                            [&] { s.stop(); }});
            s.check_stop();
        });
        CHECK(by_the_scope);
        const auto by_both = model::explore({.preemptions = 3, .stale_reads = 3}, [&] {
            scope s(in_advance);
            model::threads({[&] { s.spawn(0, true); }, [&] { s.spawn(1, false); }, [&] { s.stop(); }});
            s.check_stop();
        });
        CHECK(by_both);
        const auto while_it_ends = model::explore({.preemptions = 2, .stale_reads = 1 + model::deep}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.spawn(1, true);
                                s.wait();
                            },
                            [&] { s.run(0, 2); }, [&] { s.stop(); }});
            s.check_stop();
        });
        CHECK(while_it_ends);
    }
}

// The scope is stopped while it waits: it is open again, spawns no more, and closes once more.
TEST_CASE("a scope that stops waiting waits again", "[child_count]") {
    for (const std::uint32_t in_advance : {0u, 2u}) {
        const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 1 + model::deep}, [&] {
            scope s(in_advance);
            model::threads({[&] {
                                s.spawn(0, true);
                                s.spawn(1, true);
                                if (!s.count.close()) return s.end();
                                if (s.count.reopen()) return s.wait();
                                while (s.woken.load(acquire) == 0) cpu_relax();
                                s.end();
                            },
                            [&] { s.run(0, 1); }, [&] { s.run(1, 1); }});
        });
        CHECK(seen);
    }
}

TEST_CASE("the size of a scope is exact for its own tasklet", "[child_count]") {
    for (const std::uint32_t in_advance : {0u, 2u}) {
        const auto seen = model::explore({}, [&] {
            scope s(in_advance);
            model::check(s.count.size() == 0, "none");
            s.spawn(0, true);
            model::check(s.count.size() == 1, "one");
            s.spawn(1, false);
            model::check(s.count.size() == 2, "two");
            s.run(0, 2);
            model::check(s.count.size() == 0, "none again");
        });
        CHECK(seen);
    }
}
