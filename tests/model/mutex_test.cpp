// The real mutex (runtime/src/mutex.cpp) under the model's atomics: one holder at a time, who sees what the one before it has
// written; whoever waits gets it or is stopped.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <exception>
#include <memory>

#include "tasklets.hpp"

#include "runtime/src/mutex.cpp"

using namespace rondo::detail;
namespace model = rondo::model;
using model::tasklet;
using rondo::lowlevel::wake;
using rondo::lowlevel::wait_node;

// As select waits for it.
template <>
class rondo::lowlevel::clause_on<rondo::mutex> {
public:
    static bool done_or_enlist(rondo::mutex& m, waiter& me, wait_node* node) { return m.done_or_enlist(me, node); }
    static void withdraw(rondo::mutex& m, wait_node& node) { m.withdraw(node); }
};

namespace {

using clause = rondo::lowlevel::clause_on<rondo::mutex>;

enum class kind : std::uint8_t { plain_thread, tasklet };

struct table {
    rondo::mutex& m = *new rondo::mutex;
    model::plain<int> shared{0};
    std::array<tasklet, 3> who;
    bool anybody_holds = false;

    explicit table(kind all) {
        for (auto& t : who) t.is_tasklet = static_cast<std::uint8_t>(all);
    }

    ~table() {                                        // an execution that has failed is not tidied up
        if (std::uncaught_exceptions() == 0) delete &m;
    }
    table(const table&) = delete;

    bool lock(tasklet& me) {                          // false: stopped
        model::running = &me;
        try {
            m.lock();
        } catch (const rondo::stopped&) {
            return false;
        }
        return true;
    }
    bool try_lock(tasklet& me) {
        model::running = &me;
        return m.try_lock();
    }
    void hold(tasklet& me) {                          // by who has it: touches what it guards, and lets go
        model::check(!anybody_holds, "one holds it at a time");
        anybody_holds = true;
        shared = shared + 1;
        anybody_holds = false;
        model::running = &me;
        m.unlock();
    }
    void use(tasklet& me) {
        if (lock(me)) hold(me);
    }
    void check_used(int times) {
        model::check(shared == times, "each has had it");
        model::check(try_lock(who[0]), "nobody holds it any more");
        hold(who[0]);
    }
    // One clause of a select, again and again until it goes ahead. False: stopped.
    bool select(tasklet& me) {
        for (;;) {
            me.begin_enlisting();
            wait_node node(me);
            if (clause::done_or_enlist(m, me, &node)) return me.end_enlisting(), true;
            const wake how = me.suspend_published(node.generation);
            if (how == wake::ready) return true;
            clause::withdraw(m, node);
            if (how == wake::stopped) return false;
            cpu_relax();                              // lowlevel::pause()
        }
    }
};

model::bounds within(unsigned preemptions, unsigned stale_reads) {
    if (model::sanitized) return {.preemptions = 1, .stale_reads = 1};
    return {.preemptions = preemptions + model::deep, .stale_reads = stale_reads};
}

}  // namespace

TEST_CASE("a mutex has one holder at a time, and hands on what it guards", "[mutex_word]") {
    const auto all = GENERATE(kind::plain_thread, kind::tasklet);
    const auto seen = model::explore(within(2, 1), [all] {
        table t(all);
        model::threads({[&] { t.use(t.who[0]); }, [&] { t.use(t.who[1]); }, [&] { t.use(t.who[2]); }});
        t.check_used(3);
    });
    CHECK(seen);
}

TEST_CASE("a mutex is locked twice by each of two", "[mutex_word]") {
    const auto seen = model::explore(within(3, 1), [] {
        table t(kind::plain_thread);
        const auto twice = [&t](tasklet& me) {
            t.use(me);
            t.use(me);
        };
        model::threads({[&] { twice(t.who[0]); }, [&] { twice(t.who[1]); }});
        t.check_used(4);
    });
    CHECK(seen);
}

TEST_CASE("whoever is stopped while it waits for a mutex leaves it to the next", "[mutex_word]") {
    const auto seen = model::explore(within(1, 1), [] {
        table t(kind::plain_thread);
        bool has_had_it = false;
        model::threads({[&] { t.use(t.who[0]); },
                        [&] {
                            has_had_it = t.lock(t.who[1]);
                            if (has_had_it) t.hold(t.who[1]);
                        },
                        [&] { t.use(t.who[2]); }, [&] { t.who[1].request_stop(); }});
        t.check_used(2 + has_had_it);
    });
    CHECK(seen);
}

TEST_CASE("who tries to lock a mutex does not come before those who wait", "[mutex_word]") {
    const auto seen = model::explore(within(2, 1), [] {
        table t(kind::plain_thread);
        t.lock(t.who[0]);
        bool has_had_it = false;
        model::threads({[&] { t.hold(t.who[0]); }, [&] { t.use(t.who[1]); },
                        [&] {
                            has_had_it = t.try_lock(t.who[2]);
                            if (has_had_it) t.hold(t.who[2]);
                        }});
        t.check_used(2 + has_had_it);
    });
    CHECK(seen);
}

TEST_CASE("a mutex may be destroyed by who has unlocked it last", "[mutex_word]") {
    const auto seen = model::explore(within(2, 1), [] {
        auto t = std::make_unique<table>(kind::plain_thread);
        std::array<tasklet, 2> who;
        t->lock(who[0]);
        model::threads({[&] { t->hold(who[0]); },
                        [&] {
                            if (!t->lock(who[1]))
                                while (!t->try_lock(who[1])) cpu_relax();
                            t->hold(who[1]);
                            t.reset();
                        },
                        [&] { who[1].request_stop(); }});
    });
    CHECK(seen);
}

TEST_CASE("a select waits for a mutex beside others", "[mutex_word]") {
    const auto seen = model::explore(within(2, 1), [] {
        table t(kind::plain_thread);
        model::threads({[&] {
                            if (t.select(t.who[0])) t.hold(t.who[0]);
                        },
                        [&] { t.use(t.who[1]); }, [&] { t.use(t.who[2]); }});
        t.check_used(3);
    });
    CHECK(seen);
}
