// Every wait of actors, in every form, everywhere: tell, ask, join, by each kind of handle. The table's other rows:
// ../channels/matrix_test.cpp.
#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <rondo/rondo.hpp>

#include "support/matrix.hpp"
#include "support/matrix_walk.hpp"

using namespace matrix;

namespace {

struct item {};
struct question {};

// Handles nothing before it may.
struct clerk {
    rondo::event* may_go;
    std::atomic<int>* handled;
    void on(item) {
        may_go->wait();
        ++*handled;
    }
    int on(question) {
        may_go->wait();
        return 5;
    }
};

struct office {
    rondo::event may_go;
    std::atomic<int> handled{0};
    rondo::runtime rt{{.workers = 1}};
    rondo::pool<clerk> clerks = rt.run([this] {
        const rondo::child_options small{.mailbox_slots = 1};
        return rondo::pool<clerk>(1, rondo::routing::round_robin, {}, rondo::child<clerk>(small, &may_go, &handled));
    });
    rondo::actor_ref<clerk> one = clerks.members().front();
    ~office() { may_go.set(); }

    // At work, with one more in its mailbox: that is full.
    void fill() {
        one.tell(item{});
        until([this] { return one.mailbox_size() == 0; });
        one.tell(item{});
    }
    void let_go() {
        may_go.set();
        until([this] { return one.mailbox_size() == 0; });
    }
};

// ---- tell: waits for room. A dead actor takes a message, too, as a dead letter: so nothing closes.

const char* const no_told_clause = "no clause of select: what waits for room is the message, which the actor itself takes in";

template <class By>
subject tell(By make_calls) {
    const auto o = std::make_shared<office>();
    o->fill();
    return {make_calls(*o, o), [=] { o->let_go(); }, {}, [=](bool is_done) {
                if (!is_done) CHECK(o->one.mailbox_size() == 1);
                o->let_go();
                until([&] { return o->handled == 2 + is_done; });
                CHECK(o->handled == 2 + is_done);
            }};
}
template <class To>
calls tells(const To& to, std::shared_ptr<office> keep) {
    calls by;
    by.plain = [=] { return to.tell(item{}), keep ? "done" : "?"; };
    by.another = [=] {
        const item it;
        return to.tell(it), "done";
    };
    by.attempt = [=] { return text(to.try_tell(item{})); };
    by.for_some_time = [=](auto d) { return text(to.tell_for(item{}, d)); };
    by.until = [=](auto tp) { return text(to.tell_until(item{}, tp)); };
    return by;
}
// To all: how many have it.
template <class To>
calls publishes(const To& to, std::shared_ptr<office> keep) {
    const auto all = [](std::size_t n, const char* otherwise) { return text(n == 1, otherwise); };
    calls by;
    by.plain = by.another = [=] { return all(to.publish(item{}), keep ? "?" : "??"); };
    by.attempt = [=] { return all(to.try_publish(item{}), "not now"); };
    by.for_some_time = [=](auto d) { return all(to.publish_for(item{}, d), "late"); };
    by.until = [=](auto tp) { return all(to.publish_until(item{}, tp), "late"); };
    return by;
}
// A group with a topic's names.
struct choir {
    rondo::actor_group<item> all;
    std::size_t publish(item i) const { return all.tell(i); }
    std::size_t try_publish(item i) const { return all.try_tell(i); }
    std::size_t publish_for(item i, auto d) const { return all.tell_for(i, d); }
    std::size_t publish_until(item i, auto tp) const { return all.tell_until(i, tp); }
};

// ---- ask: waits for the answer

outcome answered(const std::optional<int>& v) { return !v ? "late" : *v == 5 ? "done" : "?"; }
outcome unless_ended(const std::function<outcome()>& f) {
    try {
        return f();
    } catch (const rondo::actor_ended&) {
        return "closed";
    }
}
template <class To>
subject ask(const std::function<To(office&)>& handle) {
    const auto o = std::make_shared<office>();
    const To to = handle(*o);
    calls by;
    by.plain = by.another = [=] { return unless_ended([&] { return answered(to.ask(question{})); }); };
    by.for_some_time = [=](auto d) { return unless_ended([&] { return answered(to.ask_for(question{}, d)); }); };
    by.until = [=](auto tp) { return unless_ended([&] { return answered(to.ask_until(question{}, tp)); }); };
    return {std::move(by), [=] { o->may_go.set(); }, [=] {
                o->clerks.supervisor().stop();
                o->one.kill();
                o->clerks.supervisor().join();
            }, [](bool) {}};
}

// Of an address that does not say what is answered.
struct untyped {
    rondo::address<question> to;
    int ask(question q) const { return to.ask<int>(q); }
    auto ask_for(question q, auto d) const { return to.ask_for<int>(q, d); }
    auto ask_until(question q, auto tp) const { return to.ask_until<int>(q, tp); }
};

// ---- the errands of a supervisor: they wait while it is at another one

struct slow_starter {
    slow_starter(rondo::event* may_go, rondo::event* begins) {
        begins->set();
        may_go->wait();
    }
    void on(item) {}
};
struct head_office {
    rondo::event may_go, is_busy, never;
    std::atomic<int> handled{0}, hired{0};
    rondo::runtime rt{{.workers = 1}};
    rondo::supervisor chief = rt.run([this] { return rondo::supervise({}, rondo::child<clerk>("first", &never, &handled)); });
    std::thread other;

    head_office() {
        other = std::thread([this] {
            try {
                chief.start(rondo::child<slow_starter>("slow", &may_go, &is_busy));
            } catch (const rondo::actor_ended&) {         // as the one before us, then
            }
        });
        is_busy.wait();
    }
    ~head_office() {
        may_go.set();
        never.set();
        other.join();
    }
    // Under a name of its own: an errand whose asker has gone may be done nevertheless.
    void hire() { chief.start(rondo::child<clerk>("clerk " + std::to_string(++hired), &never, &handled)); }
};
template <class Plain, class Another>
subject errand(Plain plain, Another another) {
    const auto o = std::make_shared<head_office>();
    calls by;
    by.plain = [=] { return unless_ended([&] { return text(plain(*o), "?"); }); };
    by.another = [=] { return unless_ended([&] { return text(another(*o), "?"); }); };
    return {std::move(by), [=] { o->may_go.set(); }, [=] {
                o->chief.stop();
                o->may_go.set();
                o->chief.join();
            }, [](bool) {}};
}

// ---- join: waits for the end

subject join() {
    struct all {
        std::atomic<int> handled{0};
        rondo::event never;
        rondo::runtime rt{{.workers = 1}};
        rondo::actor_ref<clerk> a = rondo::start_on<clerk>(rt, &never, &handled);
    };
    const auto o = std::make_shared<all>();
    const auto ended = [](const std::optional<rondo::exit_reason>& why, const char* otherwise) {
        return !why ? otherwise : why->kind == rondo::exit_kind::stopped ? "done" : "?";
    };
    const rondo::address<item> same = o->a;
    calls by;
    by.plain = [=] { return ended(o->a.join(), "?"); };
    by.another = [=] { return ended(same.join(), "?"); };
    by.attempt = [=] { return ended(o->a.try_join(), "not now"); };
    by.for_some_time = [=](auto d) { return ended(o->a.join_for(d), "late"); };
    by.until = [=](auto tp) { return ended(o->a.join_until(tp), "late"); };
    add_selects(by, [=](auto f) {
        return rondo::joined(o->a, [=](const rondo::exit_reason& why) {
            if (why.kind == rondo::exit_kind::stopped) f();
        });
    });
    return {std::move(by), [=] {
                o->a.stop();
                o->a.join();
            }, {}, [=](bool is_done) { CHECK(o->a.has_ended() == is_done); }};
}

rows all_rows() {
    const char* no_try = "an answer takes time: there is nothing to try, and no clause; ask in a tasklet, and select its end";
    rows all;
    const auto add_tell = [&](const char* name, auto make_calls) {
        all.push_back({name, [=] { return tell(make_calls); }, no_told_clause});
    };
    add_tell("tell, actor_ref", [](auto& o, auto keep) { return tells(o.one, keep); });
    add_tell("tell, address", [](auto& o, auto keep) { return tells(rondo::address<item>(o.one), keep); });
    add_tell("tell, pool", [](auto& o, auto keep) { return tells(o.clerks, keep); });
    add_tell("publish, topic", [](auto& o, auto keep) {
        const rondo::topic<item> news;
        news.subscribe(o.one);
        return publishes(news, keep);
    });
    add_tell("tell, actor_group", [](auto& o, auto keep) {
        const choir c;
        c.all.join(o.one);
        return publishes(c, keep);
    });
    all.push_back({"ask, actor_ref", [] { return ask<rondo::actor_ref<clerk>>([](auto& o) { return o.one; }); }, no_try});
    all.push_back({"ask, address",
                   [] { return ask<rondo::address<int(question)>>([](auto& o) { return o.one; }); }, no_try});
    all.push_back({"ask, address, its answer named", [] { return ask<untyped>([](auto& o) { return untyped{o.one}; }); }, no_try});
    all.push_back({"ask, pool", [] { return ask<rondo::pool<clerk>>([](auto& o) { return o.clerks; }); }, no_try});
    for (auto& r : all) r.takes_time = r.name.starts_with("ask");
    const char* no_form = "an errand is an ask without forms of its own: within gives it a limit";
    all.push_back({"ref and children, supervisor", [] {
                       return errand([](auto& o) { return o.chief.template ref<clerk>("first").id() != 0; },
                                     [](auto& o) { return !o.chief.children().empty(); });
                   }, no_form});
    all.push_back({"start and stop_child, supervisor", [] {
                       return errand([](auto& o) { return o.hire(), true; },
                                     [](auto& o) { return !o.chief.stop_child("nobody"); });
                   }, no_form});
    all.push_back({"join, actor_ref", join});
    return all;
}

}  // namespace

TEST_CASE("every form of every wait of actors is there, or it is said why not", "[actor][matrix]") {
    every_form_is_there_or_it_is_said_why(all_rows());
}

TEST_CASE("every wait of actors, in every form, everywhere", "[actor][matrix]") { every_wait_everywhere(all_rows()); }

TEST_CASE("a stop reaches every wait of actors, in every form", "[actor][matrix][stop]") {
    a_stop_reaches_every_wait(all_rows());
}
