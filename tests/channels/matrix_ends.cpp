// The table of all waits: for the ends of other tasklets (but for join: matrix_locks.cpp) and of calls that block.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <tuple>

#include <rondo/as_completed.hpp>
#include <rondo/event.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>

#include "matrix_rows.hpp"

namespace matrix {
namespace {

// Two tasklets of other runtimes; one of them ends when it is allowed.
subject next_completed() {
    struct all {
        rondo::event may_end, at_last;
        rondo::runtime one{{.workers = 1}}, other{{.workers = 1}};
        std::array<rondo::tasklet<int>, 2> both{other.spawn([this] { return at_last.wait(), 6; }),
                                                one.spawn([this] { return may_end.wait(), 5; })};
        ~all() {
            may_end.set();
            at_last.set();
        }
    };
    const auto a = std::make_shared<all>();
    calls by;
    by.plain = [=] {
        for (auto& t : rondo::as_completed(a->both)) return text(t.join() == 5, "?");
        return text(false, "none");
    };
    by.another = [=] {                                    // to its end
        int sum = 0;
        for (auto& t : rondo::as_completed(std::span(a->both).last(1))) sum += t.join();
        return text(sum == 5, "?");
    };
    return {std::move(by),
            [=] {
                a->may_end.set();
                (void)a->one.run_until_idle();
            },
            {},
            [=](bool is_done) {
                CHECK(a->both[0].joinable());
                CHECK(a->both[1].joinable() != is_done);
            }};
}

// Children that wait for an event. However it ends, none of them is left. (Whoever joins one may run it on top of itself:
// then nobody but the child waits.)
struct children {
    rondo::event may_end, never;
    std::atomic<int> at_work{0};
    std::atomic<const rondo::lowlevel::waiter*> first{nullptr};
    struct child {
        children& of;
        const bool is_first;
        child(children& c, bool first) : of(c), is_first(first) {
            ++of.at_work;
            if (is_first) of.first = &rondo::lowlevel::self();
        }
        ~child() {
            if (is_first) of.first = nullptr;
            --of.at_work;
        }
    };
    int wait(rondo::event& e, int result) {
        const child me(*this, &e == &may_end);
        e.wait();
        return result;
    }
    bool first_waits() const {
        const auto* who = first.load();
        return who && who->kind.load() == rondo::lowlevel::wait_kind::event;
    }
};
subject ends(std::shared_ptr<children> c, calls by) {
    return {std::move(by), [=] { c->may_end.set(); }, {}, [=](bool) { CHECK(c->at_work == 0); },
            [=] { return c->first_waits(); }};
}
subject end_of_scope() {
    const auto c = std::make_shared<children>();
    const auto child = [=](rondo::group& g) { g.spawn([=] { c->wait(c->may_end, 5); }); };
    calls by;
    by.plain = by.another = [=] { return rondo::scope(child), "done"; };
    by.for_some_time = [=](auto d) {
        try {
            return rondo::scope({.deadline = d}, child), "done";
        } catch (const rondo::deadline_exceeded&) {
            return "late";
        }
    };
    return ends(c, std::move(by));
}
subject end_of_all() {
    const auto c = std::make_shared<children>();
    calls by;
    by.plain = by.another = [=] {
        const auto both = rondo::all([=] { return c->wait(c->may_end, 5); }, [] { return 6; });
        return text(both == std::tuple(5, 6), "?");
    };
    return ends(c, std::move(by));
}
subject end_of_race() {
    const auto c = std::make_shared<children>();
    calls by;
    by.plain = by.another = [=] {
        return text(rondo::race([=] { return c->wait(c->may_end, 5); }, [=] { return c->wait(c->never, 6); }) == 5, "?");
    };
    return ends(c, std::move(by));
}

subject blocking_call() {
    struct all {
        std::atomic<bool> may_end{false};
        std::atomic<int> under_way{0};
    };
    const auto a = std::make_shared<all>();
    calls by;
    by.plain = by.another = [=] {
        return rondo::blocking([=] {
            ++a->under_way;
            a->may_end.wait(false);
            --a->under_way;
            return "done";
        });
    };
    return {std::move(by),
            [=] {
                a->may_end = true;
                a->may_end.notify_all();
            },
            {},
            [=](bool) { CHECK(a->under_way == 0); }};
}

// Others go first, if there are any: so it always goes ahead.
subject make_way() {
    calls by;
    by.plain = [] { return rondo::yield(), "done"; };
    by.another = [] { return rondo::checkpoint(), "done"; };
    return {std::move(by), [] {}, {}, [](bool) {}};
}

}  // namespace

std::vector<row> ends() {
    const char* by_join = "a loop has no such forms: within limits it, or a step; or join what it goes through, in any form";
    const char* in_any_case = "children end before their scope, whatever comes: that cannot be tried, and is no clause; "
                              "spawn a tasklet that has the scope, and join it in any form";
    std::vector<row> all;
    all.push_back({"as_completed", next_completed, by_join});
    all.back().asks_for_a_stop = false;                   // what has ended is given to whoever asks, as by join
    const auto add_children = [&](const char* name, subject (*make)()) {
        all.push_back({name, make, in_any_case});
        all.back().where = row::by::tasklets;
        all.back().asks_for_a_stop = false;               // nor does a scope whose children have ended
    };
    add_children("end, scope", end_of_scope);
    add_children("all", end_of_all);
    add_children("race", end_of_race);
    all.push_back({"blocking", blocking_call, "a system call can neither be tried nor left: no form with a limit, no clause"});
    all.back().where = row::by::tasklets;                 // a plain thread runs it right there
    all.back().can_be_left = false;
    all.push_back({"yield", make_way, "it waits for nobody", true});
    return all;
}

}  // namespace matrix
