// Tests of the tester: small programs whose outcomes under C++20 are known. Each weak outcome that is allowed must be
// found, each one that is not must not.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

using results = std::vector<int>;

// All results of `run`, which fills one of them.
template <class F>
std::set<results> all_results(F run) {
    std::set<results> seen;
    const auto all = model::explore({.preemptions = 4, .stale_reads = 4}, [&] {
        results r(4);
        run(r);
        seen.insert(r);
    });
    CHECK(all);
    return seen;
}

std::set<results> store_buffering(std::memory_order store, std::memory_order load, bool fences) {
    return all_results([=](results& r) {
        atomic<int> x{0}, y{0};
        const auto side = [=](atomic<int>& mine, atomic<int>& other, int& seen) {
            mine.store(1, store);
            if (fences) fence_seq_cst();
            seen = other.load(load);
        };
        model::threads({[&] { side(x, y, r[0]); }, [&] { side(y, x, r[1]); }});
    });
}

std::set<results> message_passing(std::memory_order store, std::memory_order load) {
    return all_results([=](results& r) {
        atomic<int> message{0}, flag{0};
        model::threads({[&] {
                            message.store(1, relaxed);
                            flag.store(1, store);
                        },
                        [&] {
                            r[0] = flag.load(load);
                            r[1] = message.load(relaxed);
                        }});
    });
}

}  // namespace

TEST_CASE("both sides of Dekker's pattern miss each other unless a fence or seq_cst keeps them apart", "[model]") {
    const results both_missed{0, 0, 0, 0};
    CHECK(store_buffering(relaxed, relaxed, false).count(both_missed));
    CHECK(store_buffering(release, acquire, false).count(both_missed));
    CHECK(store_buffering(seq_cst, relaxed, false).count(both_missed));
    CHECK_FALSE(store_buffering(seq_cst, seq_cst, false).count(both_missed));
    CHECK_FALSE(store_buffering(relaxed, relaxed, true).count(both_missed));
    CHECK(store_buffering(relaxed, relaxed, true).size() == 3);
}

TEST_CASE("a seq_cst read-modify-write is no fence for what follows it", "[model]") {
    const auto seen = all_results([](results& r) {
        atomic<int> x{0}, y{0};
        model::threads({[&] {
                            x.fetch_add(1, seq_cst);
                            r[0] = y.load(relaxed);
                        },
                        [&] {
                            y.store(1, relaxed);
                            fence_seq_cst();
                            r[1] = x.load(relaxed);
                        }});
    });
    CHECK(seen.count({0, 0, 0, 0}));
}

TEST_CASE("a heavy fence on one side of Dekker's pattern suffices, a light one does not", "[model]") {
    const auto seen_with = [](bool heavy) {
        return all_results([=](results& r) {
            atomic<int> x{0}, y{0};
            model::threads({[&] {
                                x.store(1, relaxed);
                                fence_light();
                                r[0] = y.load(relaxed);
                            },
                            [&] {
                                y.store(1, relaxed);
                                heavy ? fence_heavy() : fence_light();
                                r[1] = x.load(relaxed);
                            }});
        });
    };
    CHECK(seen_with(false).count({0, 0, 0, 0}));
    CHECK_FALSE(seen_with(true).count({0, 0, 0, 0}));
    CHECK(seen_with(true).size() == 3);
}

TEST_CASE("a message arrives with its flag only through release and acquire", "[model]") {
    const results lost{1, 0, 0, 0};
    CHECK(message_passing(relaxed, acquire).count(lost));
    CHECK(message_passing(release, relaxed).count(lost));
    CHECK_FALSE(message_passing(release, acquire).count(lost));
    CHECK(message_passing(release, acquire).size() == 3);
}

TEST_CASE("relaxed accesses around fences pass a message", "[model]") {
    const auto seen = all_results([](results& r) {
        atomic<int> message{0}, flag{0};
        model::threads({[&] {
                            message.store(1, relaxed);
                            fence_seq_cst();
                            flag.store(1, relaxed);
                        },
                        [&] {
                            r[0] = flag.load(relaxed);
                            fence_seq_cst();
                            r[1] = message.load(relaxed);
                        }});
    });
    CHECK_FALSE(seen.count({1, 0, 0, 0}));
}

TEST_CASE("a release sequence goes through another thread's update, not through a later store", "[model]") {
    for (const bool updates : {true, false}) {
        const auto seen = all_results([=](results& r) {
            atomic<int> message{0}, flag{0};
            model::threads({[&] {
                                message.store(1, relaxed);
                                flag.store(1, release);
                                if (!updates) flag.store(2, relaxed);
                            },
                            [&, f = 1]() mutable {
                                if (updates) flag.compare_exchange_strong(f, 2, relaxed, relaxed);
                            },
                            [&] {
                                r[0] = flag.load(acquire);
                                r[1] = message.load(relaxed);
                            }});
        });
        CHECK(seen.count({2, 1, 0, 0}));
        CHECK(seen.count({2, 0, 0, 0}) == (updates ? 0 : 1));
    }
}

TEST_CASE("a thread never reads backwards, and two readers may disagree on two writers", "[model]") {
    for (const auto order : {acquire, seq_cst}) {
        const auto seen = all_results([=](results& r) {
            atomic<int> x{0}, y{0};
            const auto read = [=](atomic<int>& first, atomic<int>& second, int& a, int& b) {
                a = first.load(order);
                b = second.load(order);
            };
            model::threads({[&] { x.store(1, order == seq_cst ? seq_cst : release); },
                            [&] { y.store(1, order == seq_cst ? seq_cst : release); },
                            [&] { read(x, y, r[0], r[1]); }, [&] { read(y, x, r[2], r[3]); }});
        });
        CHECK(seen.count({1, 0, 1, 0}) == (order == seq_cst ? 0 : 1));
    }
    const auto seen = all_results([](results& r) {
        atomic<int> x{0};
        model::threads({[&] {
                            x.store(1, relaxed);
                            x.store(2, relaxed);
                        },
                        [&] {
                            r[0] = x.load(relaxed);
                            r[1] = x.load(relaxed);
                        }});
    });
    CHECK(seen.size() == 6);                          // 00 01 02 11 12 22
}

TEST_CASE("updates are never lost, load and store in two steps are", "[model]") {
    for (const bool at_once : {true, false}) {
        const auto seen = all_results([=](results& r) {
            atomic<int> n{0};
            const auto count = [&] {
                if (at_once) n.fetch_add(1, relaxed);
                else n.store(n.load(relaxed) + 1, relaxed);
            };
            model::threads({count, count});
            r[0] = n.load(relaxed);
        });
        CHECK(seen.count({1, 0, 0, 0}) == (at_once ? 0 : 1));
    }
}

TEST_CASE("a failed exploration names what failed, and its schedule fails again", "[model]") {
    const auto dekker_without_fences = [] {
        return model::explore({}, [] {
            atomic<int> x{0}, y{0};
            int seen_x = 0, seen_y = 0;
            model::threads({[&] {
                                x.store(1, release);
                                seen_y = y.load(acquire);
                            },
                            [&] {
                                y.store(1, release);
                                seen_x = x.load(acquire);
                            }});
            model::check(seen_x || seen_y, "one sees the other");
        });
    };
    const auto seen = dekker_without_fences();
    CHECK_FALSE(seen);
    CHECK(seen.failure == "one sees the other");
    CHECK(seen.within.preemptions == 0);              // the simplest way to fail: one after the other,
    CHECK(seen.within.stale_reads == 1);              // and one does not see the newest value
    CHECK(seen.trace.find("litmus_test.cpp") != std::string::npos);

    ::setenv("RONDO_MODEL_REPLAY", seen.schedule.c_str(), 1);
    const auto again = dekker_without_fences();
    ::unsetenv("RONDO_MODEL_REPLAY");
    CHECK(again.executions == 1);
    CHECK(again.failure == seen.failure);
    CHECK(again.trace == seen.trace);
}

TEST_CASE("a data race is found even where the two accesses come one after the other", "[model]") {
    const auto seen = model::explore({}, [] {
        model::plain<int> x{0};
        atomic<int> flag{0};
        model::threads({[&] {
                            x = 1;
                            flag.store(1, relaxed);
                        },
                        [&] {
                            if (flag.load(acquire)) model::check(x == 1, "the flag comes last");
                        }});
    });
    CHECK(seen.failure == "a data race: it reads what another thread has written");
}

TEST_CASE("threads that wait for each other are stuck, one that spins for a write is not", "[model]") {
    CHECK(model::explore({}, [] {
              atomic<int> a{0}, b{0};
              model::threads({[&] {
                                  a.wait(0, acquire);
                                  b.store(1, release);
                              },
                              [&] {
                                  b.wait(0, acquire);
                                  a.store(1, release);
                              }});
          }).failure == "stuck: every thread left waits for another");
    const auto spinning = model::explore({}, [] {
        model::plain<int> x{0};
        atomic<int> flag{0};
        model::threads({[&] {
                            while (!flag.load(acquire)) cpu_relax();
                            model::check(x == 1, "the flag comes last");
                        },
                        [&] {
                            x = 1;
                            flag.store(1, release);
                        }});
    });
    CHECK(spinning);
}
