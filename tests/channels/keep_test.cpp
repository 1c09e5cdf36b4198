// What has not been sent is still its sender's: after a limit, a stop and a close, in every form, on every kind of channel.
#include <catch2/catch.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/broadcast.hpp>
#include <rondo/latest.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/select.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>
#include <rondo/work_queue.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;

namespace {

using value = std::unique_ptr<int>;
using line = rondo::channel<value>;

// A work queue with a channel's names.
struct queue {
    rondo::work_queue<value> q{1};
    void send(value&& v) const { q.put(std::move(v)); }
    auto try_send(value&& v) const { return q.try_put(std::move(v)); }
    auto try_send(value& v) const { return q.try_put(v); }
    auto send_for(value&& v, std::chrono::hours d) const { return q.put_for(std::move(v), d); }
    auto send_until(value&& v, rondo::lowlevel::time_point tp) const { return q.put_until(std::move(v), tp); }
    value receive() const { return q.get(); }
    void close() const { q.close(); }
};
template <class F>
auto to(const queue& c, value& v, F f) {
    return rondo::to(c.q, v, std::move(f));
}
using rondo::to;

std::string text(rondo::send_status s) {
    using enum rondo::send_status::code;
    return s == done ? "sent" : s == full ? "full" : s == closed ? "closed" : "late";
}

// What a send of v comes to.
template <class Channel>
struct form {
    const char* name;
    std::function<std::string(const Channel& c, value& v)> send;
    const char* in_the_end;                        // if nobody receives within two hours; nullptr: it waits on
};
template <class Channel>
std::vector<form<Channel>> forms() {
    return {
        {"plain", [](auto& c, auto& v) { return c.send(std::move(v)), "sent"; }, nullptr},
        {"try", [](auto& c, auto& v) { return text(c.try_send(v)); }, "full"},
        {"try, given away", [](auto& c, auto& v) { return text(c.try_send(std::move(v))); }, "full"},
        {"for", [](auto& c, auto& v) { return text(c.send_for(std::move(v), 1h)); }, "late"},
        {"until", [](auto& c, auto& v) { return text(c.send_until(std::move(v), rondo::now() + 1h)); }, "late"},
        {"within", [](auto& c, auto& v) { return rondo::within(1h, [&] { c.send(std::move(v)); }) ? "sent" : "late"; },
         "late"},
        {"select",
         [](auto& c, auto& v) {
             std::string end = "closed";
             rondo::select(to(c, v, [&] { end = "sent"; }));
             return end;
         },
         nullptr},
        {"select, twice the same",
         [](auto& c, auto& v) {
             std::string end = "closed";
             const auto sent = [&] { end = "sent"; };
             rondo::select(to(c, v, sent), to(c, v, sent), rondo::after(1h, [&] { end = "late"; }));
             return end;
         },
         "late"},
        {"select, or at once",
         [](auto& c, auto& v) {
             std::string end = "closed";
             rondo::select(to(c, v, [&] { end = "sent"; }), rondo::otherwise([&] { end = "full"; }));
             return end;
         },
         "full"},
    };
}

bool is_kept(const value& v) { return v && *v == 7; }

// How a send ends on a full channel, if `then` happens once it waits, or is done.
template <class Channel>
std::string send_to(const Channel& c, const form<Channel>& how, value& v, bool is_stopped,
                    const std::function<void(rondo::testing::world&)>& then) {
    rondo::testing::world world{{.workers = 2}};
    std::string end;
    auto t = world.spawn([&] {
        const auto what = end_of([&] { end = how.send(c, v); });
        if (what != "returned") end = what;
    });
    world.settle();
    then(world);
    if (is_stopped) t.stop();
    world.settle();
    return end;
}

template <class Channel>
void check_all(const char* name, int slots, const std::function<Channel()>& make) {
    const auto full = [&] {
        Channel c = make();
        for (int i = 0; i < slots; ++i) c.send(std::make_unique<int>(i));
        return c;
    };
    for (const auto& how : forms<Channel>()) {
        INFO(name << "; " << how.name);
        const auto nothing = [](auto&) {};
        auto v = std::make_unique<int>(7);
        if (how.in_the_end) {
            CHECK(send_to<Channel>(full(), how, v, false, [](auto& world) { world.advance(2h); }) == how.in_the_end);
            CHECK(is_kept(v));
        }
        if (!how.in_the_end || std::string(how.in_the_end) == "late") {
            CHECK(send_to<Channel>(full(), how, v, true, nothing) == "stopped");
            CHECK(is_kept(v));
            Channel c = full();
            CHECK(send_to<Channel>(c, how, v, false, [&](auto&) { c.close(); }) == "closed");
            CHECK(is_kept(v));
            Channel d = full();                    // and in the end it can be sent
            CHECK(send_to<Channel>(d, how, v, false, [&](auto& world) {
                      world.run([&] {
                          for (int i = 0; i < slots; ++i) d.receive();
                          CHECK(*d.receive() == 7);
                      });
                  }) == "sent");
            CHECK_FALSE(v);
            v = std::make_unique<int>(7);
        }
        Channel c = make();
        c.close();
        CHECK(send_to<Channel>(c, how, v, false, nothing) == "closed");
        CHECK(is_kept(v));
    }
}

}  // namespace

TEST_CASE("a value that was not sent is still its sender's, whatever ended the send", "[channel][values]") {
    check_all<line>("rendezvous", 0, [] { return line{}; });
    check_all<line>("rendezvous, to nobody", 0, [] { return line{rondo::handoff::none}; });
    check_all<line>("one slot", 1, [] { return line{1}; });
    check_all<line>("three slots", 3, [] { return line{3}; });
    check_all<line>("spin lock", 0, [] { return line{rondo::spin_locked}; });
    check_all<line>("spin lock, two slots", 2, [] { return line{rondo::spin_locked, 2}; });
    check_all<queue>("work queue", 1, [] { return queue{}; });
}

TEST_CASE("a value that a oneshot has refused is still its sender's", "[oneshot][values]") {
    rondo::oneshot<value> once, gone;
    auto v = std::make_unique<int>(7);
    once.send(std::make_unique<int>(1));
    CHECK(once.try_send(v) == rondo::send_status::full);
    CHECK(end_of([&] { once.send(std::move(v)); }) == "usage_error");
    CHECK(is_kept(v));
    gone.close();
    CHECK(gone.try_send(std::move(v)) == rondo::send_status::closed);
    CHECK(end_of([&] { gone.send(std::move(v)); }) == "closed");
    CHECK(is_kept(v));
}

TEST_CASE("what send_all has not sent is still in its container", "[channel][values]") {
    line c{2};
    std::vector<value> all;
    for (int i = 0; i < 4; ++i) all.push_back(std::make_unique<int>(i));
    rondo::run([&] {
        auto sender = rondo::spawn([&] { c.send_all(std::move(all)); });
        while (c.balance() == 0) rondo::yield();              // both slots are full, and it waits
        sender.stop();
        CHECK_THROWS_AS(sender.join(), rondo::stopped);
    });
    CHECK((!all[0] && !all[1]));
    CHECK((all[2] && *all[2] == 2 && all[3]));
}

TEST_CASE("a variable that is copied is never moved from, sent or not", "[channel][values]") {
    const rondo::channel<std::string> c{2};
    const rondo::work_queue<std::string> q(2);
    rondo::oneshot<std::string> once;
    std::string s = "a text that is too long for the small ones";
    const std::string same = s;
    c.send(s);
    CHECK(c.send_for(s, 1h));
    CHECK(c.send_for(s, 0s) == rondo::send_status::timed_out);
    CHECK(c.send_until(s, std::chrono::steady_clock::now()) == rondo::send_status::timed_out);
    q.put(s);
    CHECK(q.put_for(s, 1h));
    CHECK(q.put_until(s, std::chrono::steady_clock::now()) == rondo::send_status::timed_out);
    once.send(s);
    CHECK(s == same);
    CHECK(c.receive() == same);
    CHECK(q.get() == same);
    CHECK(once.receive() == same);
    CHECK(c.try_send(s));
    CHECK(c.try_send(s) == rondo::send_status::full);
    CHECK(q.try_put(s));
    CHECK(rondo::oneshot<std::string>().try_send(s));
    c.receive();
    q.get();
    for (int turn = 0; turn < 2; ++turn) {          // as often as it is offered
        CHECK(rondo::select(rondo::in_order, to(c, s, [] {}), to(q, s, [] {})));
        CHECK(rondo::select(rondo::in_order, from(c, [&](const std::string& got) { CHECK(got == same); })));
    }
    CHECK(s == same);
    c.send("of another type");                     // is converted
    c.receive();
    CHECK(c.receive() == "of another type");
}

// The channel is one of the base's: the rest of the object is not its business.
TEST_CASE("an object that was not sent is whole, be it of a derived class", "[channel][values]") {
    struct base {
        std::string text;
        explicit base(std::string t) : text(std::move(t)) {}
        base(base&&) = default;
        base& operator=(base&&) = default;
        virtual ~base() = default;
    };
    struct derived : base {
        std::string more = "and a long text of its own, which is on the heap";
        int* ends;
        derived(std::string t, int& e) : base(std::move(t)), ends(&e) {}
        ~derived() override { ++*ends; }
    };
    const auto slots = GENERATE(0u, 1u);
    int ends = 0;
    {
        const rondo::channel<base> c = slots ? rondo::channel<base>{slots} : rondo::channel<base>{};
        c.close();
        derived d("some text that is long enough for the heap", ends);
        CHECK_THROWS_AS(c.send(std::move(d)), rondo::closed);
        CHECK(c.try_send(d) == rondo::send_status::closed);
        CHECK(ends == 0);
        CHECK(d.text == "some text that is long enough for the heap");
        CHECK(d.more == "and a long text of its own, which is on the heap");
    }
    CHECK(ends == 1);
}

namespace {

struct base_of_more {                              // a variable may be the base of a larger object
    explicit base_of_more(std::string t) : text(std::move(t)) {}
    base_of_more(const base_of_more&) = default;
    base_of_more(base_of_more&&) noexcept = default;
    base_of_more& operator=(const base_of_more&) = delete;
    virtual ~base_of_more() = default;
    std::string text;
};
struct larger : base_of_more {
    using base_of_more::base_of_more;
    std::string more = "a text that is too long to lie within its string";
};
struct copied {                                    // its move may throw
    explicit copied(std::string t) : text(std::move(t)) {}
    copied(const copied&) = default;
    copied(copied&& other) noexcept(false) : text(std::move(other.text)) {}
    copied& operator=(const copied&) = default;
    std::string text;
};
const std::string wanted = "a value that is too long to lie within its string";

template <class Value>
void check_shared() {
    Value v(wanted);
    const rondo::broadcast<Value> b(2);
    auto s = b.subscribe();
    b.send(v);
    CHECK(v.text == wanted);
    CHECK(s.receive().text == wanted);
    b.close();
    CHECK(end_of([&] { b.send(std::move(v)); }) == "closed");
    CHECK(v.text == wanted);

    const rondo::latest<Value> l{Value("first")};
    l.set(v);
    CHECK(l.get().text == wanted);
    l.close();
    CHECK(end_of([&] { l.set(std::move(v)); }) == "closed");
    CHECK(v.text == wanted);
}

}  // namespace

TEST_CASE("a value that a broadcast or a latest has refused is still its sender's", "[broadcast][latest][values]") {
    check_shared<larger>();
    check_shared<copied>();
    larger l(wanted);
    const rondo::broadcast<base_of_more> b(1);
    b.close();
    CHECK(end_of([&] { b.send(std::move(l)); }) == "closed");
    CHECK(l.text == wanted);
    CHECK(l.more.starts_with("a text"));

    // What is sent is moved, not copied.
    const rondo::broadcast<std::string> words(1);
    auto s = words.subscribe();
    std::string word = wanted;
    CHECK(words.send(std::move(word)) == 1);
    CHECK(word.empty());    // NOLINT: moved from
    CHECK(s.receive() == wanted);
}
