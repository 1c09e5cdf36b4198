// What an actor promises: messages, answers, errors, waiting, the mailbox's bound, its end.
#include <catch2/catch.hpp>

#include <algorithm>
#include <any>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

namespace {

struct deposit {
    long cents;
};
struct balance {};
struct withdraw {
    long cents;
};
struct account {
    long cents = 0;
    void on(deposit d) { cents += d.cents; }
    long on(balance) const { return cents; }
    void on(withdraw w) {
        if (w.cents < 0) throw std::invalid_argument("a negative amount");
        if (w.cents > cents) throw rondo::refused("not enough money");
        cents -= w.cents;
    }
};

struct open_gate {};
struct pass {
    int number;
};
struct seen {};
// Its pass waits until the channel has something.
struct gate {
    rondo::channel<int> key;
    std::vector<int> passed;
    explicit gate(rondo::channel<int> k) : key(std::move(k)) {}
    void on(pass p) {
        key.receive();
        passed.push_back(p.number);
    }
    std::vector<int> on(seen) const { return passed; }
};

struct watcher {
    std::vector<std::string>* log;
    rondo::channel<int> done;
    struct look {
        rondo::actor_ref<account> at;
    };
    void on(const look& l) { rondo::watch(l.at); }
    void on(const rondo::down& d) {
        log->push_back(d.name + ": " + d.why.text());
        done.send(1);
    }
};

template <class F>
std::string message_of(F&& f) {
    try {
        f();
    } catch (const std::exception& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a handler's return value is the answer, for any number of workers", "[actor]") {
    const auto workers = GENERATE(1u, 2u, 8u);
    const long cents = rondo::run({.workers = workers}, [] {
        auto alice = rondo::start<account>();
        for (int i = 0; i < 1000; ++i) alice.tell(deposit{5});
        return alice.ask(balance{});
    });
    CHECK(cents == 5000);
}

TEST_CASE("messages from one sender arrive in order, for any number of workers", "[actor]") {
    struct numbered {
        int sender, number;
    };
    struct listener {
        std::vector<int> next;
        bool in_order = true;
        explicit listener(std::size_t senders) : next(senders) {}
        void on(numbered m) {
            auto& n = next[static_cast<std::size_t>(m.sender)];
            in_order = in_order && n == m.number;
            ++n;
        }
        bool on(seen) const { return in_order; }
    };
    struct relay {                                        // an actor among the senders
        rondo::actor_ref<listener> to;
        void on(numbered m) { to.tell(m); }
    };
    const auto workers = GENERATE(1u, 2u, 3u, 8u);
    constexpr int senders = 6, messages = 3000;
    const bool in_order = rondo::run({.workers = workers}, [] {
        auto all = rondo::start<listener>(rondo::actor_options{.mailbox_slots = 64}, std::size_t{senders});
        auto by_way = rondo::start<relay>(all);
        rondo::scope([&](rondo::group& g) {
            for (int s = 0; s < senders; ++s)
                g.spawn([=] {
                    for (int i = 0; i < messages; ++i)
                        if (s == 0) by_way.tell(numbered{s, i});
                        else all.tell(numbered{s, i});
                });
        });
        return all.ask(seen{});
    });
    CHECK(in_order);
}

TEST_CASE("messages and answers may be move-only", "[actor]") {
    struct box {
        std::unique_ptr<int> what;
    };
    struct packer {
        std::unique_ptr<int> on(box b) {
            ++*b.what;
            return std::move(b.what);
        }
    };
    CHECK(rondo::run([] { return *rondo::start<packer>().ask(box{std::make_unique<int>(6)}); }) == 7);
}

TEST_CASE("a message of any size and a throwing copy are taken or refused whole", "[actor]") {
    struct large {
        char text[1000] = "large";
    };
    struct brittle {
        brittle() = default;
        brittle(const brittle&) { throw std::runtime_error("no copy"); }
        brittle(brittle&&) noexcept {}
    };
    struct taker {
        int brittles = 0;
        std::string on(const large& l) { return l.text; }
        void on(const brittle&) { ++brittles; }
        int on(seen) const { return brittles; }
    };
    rondo::run([] {
        auto t = rondo::start<taker>();
        CHECK(t.ask(large{}) == "large");
        const brittle b;
        CHECK(message_of([&] { t.tell(b); }) == "no copy");
        t.tell(brittle());
        CHECK(t.ask(seen{}) == 1);
    });
}

TEST_CASE("text may be told as a literal, and is kept as a string", "[actor]") {
    struct log {
        std::string text;
        std::string on(std::string s) { return text += s + ";"; }
        void on(const open_gate&) { rondo::this_actor::after(1ms, "later"); }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto l = rondo::start<log>();
        l.tell("a literal");
        CHECK(l.tell_for("in time", 1s) == rondo::send_status::done);
        {
            char buffer[] = "a buffer";
            l.tell(buffer);
            const char* pointer = buffer;
            l.tell(pointer);
            buffer[0] = 'X';
        }
        struct {
            char raw[4] = {'f', 'u', 'l', 'l'};           // no NUL
            char after[4] = "...";
        } fields;
        CHECK(rondo::start<log>().ask(fields.raw) == "full;");
        CHECK(rondo::start<log>().ask("be\0hind") == "be;");
        const rondo::address<std::string(std::string)> to = l;
        to.tell("by address");
        CHECK(l.ask("asked") == "a literal;in time;a buffer;a buffer;by address;asked;");
        CHECK(to.ask("again").ends_with("asked;again;"));
        l.tell(open_gate{});
        while (!l.ask("").ends_with("later;;")) rondo::yield();
        const rondo::pool<log> all(2, rondo::routing::consistent_hash);
        all.tell("key");
        CHECK(all.ask("key") == "key;key;");
        CHECK(all.ask(fields.raw).ends_with("full;"));
    });
}

namespace {

struct generic {
    int starts = 0;
    template <class M>
    int on(const M&) {
        if constexpr (std::is_same_v<M, rondo::started>) ++starts;
        return starts;
    }
};

}  // namespace

TEST_CASE("a literal goes as a pointer to who takes pointers, and no strings", "[actor]") {
    struct reader {
        std::string on(const char* text) { return text; }
    };
    rondo::run([] {
        const auto r = rondo::start<reader>();
        r.tell("a literal");
        CHECK(r.ask("a literal") == "a literal");
        CHECK(r.try_tell("another"));
        const rondo::address<std::string(const char*)> to = r;
        CHECK(to.ask("by address") == "by address");
        const rondo::pool<reader> all(2);
        all.tell("to one of many");
        CHECK(all.ask("to another") == "to another");
    });
}

TEST_CASE("of two handlers, by const reference and for what is handed over, the second one is called", "[actor]") {
    struct parcel {
        std::string text;
    };
    struct clerk {
        std::size_t on(const parcel& p) { return p.text.size(); }
        std::string on(parcel&& p) { return std::move(p.text); }
        int on(const int&) const { return 1; }
        int on(int&&) const { return 2; }
    };
    rondo::run([] {
        const auto c = rondo::start<clerk>();
        CHECK(c.ask(parcel{"a parcel"}) == "a parcel");
        const parcel kept{"kept"};
        CHECK(c.ask(kept) == "kept");
        CHECK(kept.text == "kept");
        CHECK(c.ask(0) == 2);
    });
}

TEST_CASE("only a handler for the message itself is told what the library tells", "[actor]") {
    struct anything {
        std::vector<std::string> got;
        void on(std::any a) { got.push_back(a.type() == typeid(int) ? "int" : "other"); }
        std::vector<std::string> on(seen) { return got; }
        void on(const open_gate&) { rondo::this_actor::idle_timeout(1ms); }
    };
    struct mother {
        int starts = 0;
        void on(const rondo::started&) { ++starts; }
        int on(seen) const { return starts; }
    };
    struct daughter : mother {};
    struct mover {
        int starts = 0, ends = 0, idles = 0;
        void on(rondo::started&&) {
            ++starts;
            rondo::this_actor::idle_timeout(1ms);
        }
        void on(rondo::idle&&) { ++idles; }
        void on(rondo::down&&) { ++ends; }
        void on(rondo::actor_ref<mother>&& m) { rondo::watch(m); }
        bool on(seen&&) const { return starts == 1 && ends == 1 && idles > 0; }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto mv = rondo::start<mover>();
        auto watched = rondo::start<mother>();
        mv.ask(watched);
        watched.stop();
        const auto give_up = std::chrono::steady_clock::now() + 10s;
        bool all_seen = false;
        while (!all_seen && std::chrono::steady_clock::now() < give_up) {
            rondo::sleep_for(5ms);
            all_seen = mv.ask(seen{});
        }
        CHECK(all_seen);
        auto a = rondo::start<anything>();
        a.tell(5);
        CHECK(a.ask(seen{}) == std::vector<std::string>{"int"});
        CHECK_THROWS_AS(a.ask(open_gate{}), rondo::usage_error);         // it has no on(idle)
        CHECK(rondo::start<mother>().ask(seen{}) == 1);
        CHECK(rondo::start<daughter>().ask(seen{}) == 1);
        CHECK(rondo::start<generic>().ask(seen{}) == 1);
    });
}

TEST_CASE("an address names whoever takes its messages, and narrows", "[actor]") {
    rondo::run([] {
        auto alice = rondo::start<account>();
        rondo::address<deposit, balance> both = alice;
        both.tell(deposit{7});
        rondo::address<deposit> only_in = both;
        only_in.tell(deposit{1});
        rondo::address<long(balance), withdraw> typed = alice;
        CHECK(typed.ask(balance{}) == 8);
        CHECK(both.ask<long>(balance{}) == 8);
        CHECK_THROWS_AS(both.ask<int>(balance{}), rondo::usage_error);
    });
}

TEST_CASE("addresses of one actor make one that takes what any of them takes", "[actor]") {
    rondo::run([] {
        const auto alice = rondo::start<account>();
        const rondo::address<deposit> in = alice;
        const rondo::address<long(balance)> in_sight = alice;
        const rondo::address<deposit, balance> both{in, in_sight};
        both.tell(deposit{7});
        CHECK(both.ask<long>(balance{}) == 7);
        const rondo::address<withdraw, long(balance), deposit> all{alice, both};    // an actor_ref may be a part
        all.tell(withdraw{2});
        CHECK(all.ask(balance{}) == 5);
        CHECK(all == in);                                 // one actor, by whatever handle
        CHECK(std::hash<rondo::detail::any_actor>{}(both) == std::hash<rondo::detail::any_actor>{}(alice));
        const rondo::address<deposit> again = all;
        again.tell(deposit{1});
        CHECK(alice.ask(balance{}) == 6);
        both.stop();
        CHECK(alice.join().kind == rondo::exit_kind::stopped);
    });
}

TEST_CASE("the answer that an address lists comes from the part that gives it", "[actor]") {
    struct two_faced {
        long on(balance) const { return 1; }
        int on(deposit d) const { return static_cast<int>(d.cents); }
    };
    rondo::run([] {
        const auto a = rondo::start<two_faced>();
        const rondo::address<balance, deposit> loose = a;
        const rondo::address<int(deposit)> exact = a;
        const rondo::address<long(balance), int(deposit)> typed{exact, loose};
        CHECK(typed.ask(balance{}) == 1);
        CHECK(typed.ask(deposit{3}) == 3);
    });
}

TEST_CASE("addresses of two actors make none, and say which two, nor does an empty one", "[actor]") {
    rondo::run([] {
        const rondo::address<deposit> in = rondo::start<account>(rondo::actor_options{.name = "ann"});
        const rondo::address<balance> other = rondo::start<account>(rondo::actor_options{.name = "bob"});
        using both = rondo::address<deposit, balance>;
        const auto text = message_of([&] { both{in, other}; });
        CHECK(text.find("an address names one actor") == 0);
        CHECK(text.find("\"ann\"") != text.npos);
        CHECK(text.find("\"bob\"") != text.npos);
        CHECK_THROWS_AS((both{in, rondo::address<balance>()}), rondo::usage_error);
        CHECK_THROWS_AS((both{rondo::address<deposit>(), rondo::address<balance>()}), rondo::usage_error);
    });
    CHECK(sizeof(rondo::address<deposit, balance>) == 3 * sizeof(void*));
}

TEST_CASE("handles are keys, and those of one actor are one key", "[actor]") {
    rondo::run([] {
        const auto alice = rondo::start<account>(), bob = rondo::start<account>();
        const rondo::address<deposit> to_alice = alice;
        std::unordered_map<rondo::actor_ref<account>, long> owes{{alice, 1}, {bob, 2}};
        CHECK(owes.at(alice) == 1);
        CHECK(owes.at(bob) == 2);
        const std::unordered_set<rondo::address<deposit>> all{alice, bob, to_alice, {}};
        CHECK(all.size() == 3);
        const std::map<rondo::address<deposit>, int> sorted{{alice, 1}, {bob, 2}, {to_alice, 3}};
        CHECK(sorted.size() == 2);
        CHECK(sorted.at(alice) == 1);
        CHECK((alice < bob) != (bob < alice));
        CHECK(to_alice <= alice);
        CHECK(std::unordered_set{rondo::supervise({}), rondo::supervisor()}.size() == 2);
    });
}

TEST_CASE("an address may be asked with a message of the answer's own type", "[actor]") {
    struct doubler {
        int on(int n) { return 2 * n; }
        std::string on(std::string s) { return s + s; }
    };
    rondo::run([] {
        const auto d = rondo::start<doubler>();
        const rondo::address<int(int), std::string> to = d;
        int four = 4;
        CHECK(to.ask(3) == 6);
        CHECK(to.ask(four) == 8);
        CHECK(to.ask<int>(3) == 6);
        CHECK(to.ask<int>(four) == 8);
        CHECK(to.ask<std::string>("ha") == "haha");
        CHECK(to.ask<std::string>(std::string("ho")) == "hoho");
        CHECK(to.ask_for(3, 1h) == 6);
        CHECK(to.ask_for<int>(3, 1h) == 6);
        CHECK(to.ask_until(3, std::chrono::steady_clock::now() + 1h) == 6);
        CHECK(to.ask_until<int>(3, std::chrono::steady_clock::now() + 1h) == 6);
    });
}

TEST_CASE("an empty address says that it is empty", "[actor]") {
    rondo::run([] {
        const rondo::address<deposit, long(balance)> none;
        CHECK(message_of([&] { none.tell(deposit{1}); }).find("this actor handle is empty") == 0);
        CHECK(message_of([&] { (void)none.try_tell(deposit{1}); }).find("this actor handle is empty") == 0);
        CHECK(message_of([&] { (void)none.tell_for(deposit{1}, 1ms); }).find("this actor handle is empty") == 0);
        CHECK(message_of([&] { (void)none.ask(balance{}); }).find("this actor handle is empty") == 0);
        CHECK(message_of([&] { (void)none.ask_for(balance{}, 1ms); }).find("this actor handle is empty") == 0);
    });
}

TEST_CASE("an error travels to the asker and ends the actor, refused travels and does not", "[actor]") {
    rondo::run([] {
        auto alice = rondo::start<account>();
        alice.tell(deposit{10});
        CHECK_THROWS_AS(alice.ask(withdraw{20}), rondo::refused);
        alice.tell(withdraw{20});                         // goes nowhere
        CHECK(alice.ask(balance{}) == 10);
        CHECK_THROWS_AS(alice.ask(withdraw{-1}), std::invalid_argument);
        CHECK(alice.join().kind == rondo::exit_kind::crashed);
        CHECK_THROWS_AS(alice.ask(balance{}), rondo::actor_ended);
        CHECK(message_of([&] { alice.ask(balance{}); }).find("a negative amount") != std::string::npos);
    });
}

TEST_CASE("a crash that nobody was told of comes out of run", "[actor]") {
    CHECK_THROWS_AS(rondo::run([] { rondo::start<account>().tell(withdraw{-1}); }), std::invalid_argument);
}

TEST_CASE("a crash whose asker has given up comes out of run", "[actor]") {
    struct late {
        rondo::channel<int> key;
        long on(balance) {
            key.receive();
            throw std::runtime_error("too late");
        }
    };
    const int how = GENERATE(0, 1, 2);
    const auto workers = GENERATE(1u, 2u);
    CHECK(message_of([&] {
              rondo::run({.workers = workers}, [&] {
                  rondo::channel<int> key;
                  auto a = rondo::start<late>(key);
                  if (how == 0)
                      do CHECK_FALSE(rondo::within(1ms, [&] { return a.ask(balance{}); }));
                      while (key.balance() == 0);         // the time was over before the message was told
                  if (how == 1) CHECK_FALSE(a.ask_for(balance{}, 1ms));
                  if (how == 2) {
                      auto asker = rondo::spawn([a] { return a.ask(balance{}); });
                      while (key.balance() == 0) rondo::yield();
                      asker.stop();
                      CHECK_THROWS_AS(asker.join(), rondo::stopped);
                  }
                  key.send(0);
              });
          }) == "too late");
}

TEST_CASE("a crash that only a linked actor ends with comes out of run", "[actor]") {
    const auto workers = GENERATE(1u, 2u);
    CHECK_THROWS_AS(rondo::run({.workers = workers}, [] {
                        auto a = rondo::start<account>(), b = rondo::start<account>();
                        rondo::link(a, b);
                        a.tell(withdraw{-1});
                        CHECK(b.join().kind == rondo::exit_kind::linked);
                    }),
                    std::invalid_argument);
}

TEST_CASE("who waits for the end has heard of the crash, who has given up has not", "[actor][world]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    const auto a = rondo::start_on<account>(world.in());
    const int how = GENERATE(0, 1, 2, 3);
    std::string why;
    auto waits = world.spawn([&] {
        if (how == 0) why = a.join().text();
        if (how == 1) rondo::select(rondo::joined(a, [&](const rondo::exit_reason& r) { why = r.text(); }));
        if (how == 2) (void)a.join_for(1ms);
        if (how == 3) rondo::select(rondo::joined(a, [](const rondo::exit_reason&) {}), rondo::after(1ms, [] {}));
    });
    world.settle();
    if (how >= 2) world.advance(1ms);
    a.tell(withdraw{-1});
    if (how < 2) world.settle();
    else CHECK_THROWS_AS(world.settle(), std::invalid_argument);
    waits.join();
    CHECK(why.empty() == (how >= 2));
    CHECK(a.join().kind == rondo::exit_kind::crashed);
}

TEST_CASE("a handler that somebody else's stop leaves is a crash that says so, and stops nobody else", "[actor]") {
    struct joins {
        int on(deposit) {
            auto t = rondo::spawn([] { rondo::sleep_for(1h); });
            t.stop();
            t.join();
            return 0;
        }
    };
    const std::string said = "rondo::stopped came out of its handler";
    CHECK(message_of([] { rondo::run([] { rondo::start<joins>().tell(deposit{1}); }); }).find(said) == 0);
    rondo::run([&] { CHECK(message_of([&] { (void)rondo::start<joins>().ask(deposit{1}); }).find(said) == 0); });
}

TEST_CASE("a handler may wait in the middle, other messages wait, in order", "[actor]") {
    const auto workers = GENERATE(1u, 2u);
    const auto passed = rondo::run({.workers = workers}, [] {
        rondo::channel<int> key;
        auto g = rondo::start<gate>(key);
        for (int i = 0; i < 3; ++i) g.tell(pass{i});
        for (int i = 0; i < 3; ++i) key.send(i);
        return g.ask(seen{});
    });
    CHECK(passed == std::vector<int>{0, 1, 2});
}

TEST_CASE("within gives an ask a deadline, the actor goes on", "[actor]") {
    rondo::run([] {
        rondo::channel<int> key;
        auto g = rondo::start<gate>(key);
        g.tell(pass{1});
        CHECK_FALSE(rondo::within(5ms, [&] { return g.ask(seen{}); }));
        CHECK_FALSE(g.ask_for(seen{}, 1ms));
        key.send(0);
        CHECK(g.ask(seen{}) == std::vector<int>{1});
    });
}

TEST_CASE("an answer may come later, from anywhere, once", "[actor]") {
    struct question {};
    struct now {};
    struct never {};
    struct oracle {
        std::vector<rondo::reply<int>> asked;
        void on(question, rondo::reply<int> r) { asked.push_back(std::move(r)); }
        void on(const never&, rondo::reply<int>) {}
        void on(now) {
            for (auto& r : asked) r.send(42);
            asked.clear();
        }
    };
    rondo::run({.workers = 2}, [] {
        auto o = rondo::start<oracle>();
        o.tell(question{});                               // nobody waits: the answer goes nowhere
        auto a = rondo::spawn([o] { return o.ask(question{}); });
        auto b = rondo::spawn([o] { return o.ask(question{}); });
        rondo::yield();
        while (!a.done() || !b.done()) {
            o.tell(now{});
            rondo::yield();
        }
        CHECK(a.join() == 42);
        CHECK(b.join() == 42);
        CHECK_THROWS_AS(o.ask(never{}), rondo::no_answer);
        auto c = rondo::spawn([o] { return o.ask(question{}); });
        while (o.mailbox_size() > 0) rondo::yield();
        rondo::yield();
        o.stop();                                         // the reply is dropped with the object, or its message
        CHECK_THROWS_AS(c.join(), rondo::error);
    });
}

namespace {

struct by_value { int n; };
struct by_reference { int n; };
struct at_once { int n; };
struct clerk {
    void on(by_value m, rondo::reply<int> answer) { answer.send(m.n + 1); }
    void on(const by_reference& m, rondo::reply<int> answer) const { answer.send(m.n + 2); }
    int on(const at_once& m) { return m.n + 3; }
};
struct heir : clerk {};
struct heir_with_more : clerk {
    using clerk::on;
    int on(std::string s) { return static_cast<int>(s.size()); }
};

template <class A>
std::vector<int> answers() {
    return rondo::run([] {
        auto a = rondo::start<A>();
        return std::vector{a.ask(by_value{1}), a.ask(by_reference{1}), a.ask(at_once{1})};
    });
}

}  // namespace

TEST_CASE("handlers may be inherited, those that answer later, too", "[actor]") {
    CHECK(answers<clerk>() == std::vector{2, 3, 4});
    CHECK(answers<heir>() == std::vector{2, 3, 4});
    CHECK(answers<heir_with_more>() == std::vector{2, 3, 4});
    CHECK(rondo::run([] { return rondo::start<heir_with_more>().ask(std::string("four")); }) == 4);
}

TEST_CASE("a handler that answers later comes before one for what its message converts to", "[actor]") {
    struct counter {
        double on(double d) { return d; }
        void on(int n, rondo::reply<std::string> answer) { answer.send(std::string(static_cast<std::size_t>(n), 'x')); }
    };
    rondo::run([] {
        auto c = rondo::start<counter>();
        CHECK(c.ask(3) == "xxx");
        CHECK(c.ask(2.0) == 2.0);
        CHECK(c.ask(1.0f) == 1.0);
        CHECK(c.ask(short{3}) == 3.0);
    });
}

TEST_CASE("an error travels to the asker of a handler that owes its answer, too", "[actor]") {
    struct question {
        bool refuse;
    };
    struct oracle {
        std::vector<rondo::reply<int>> kept;
        void on(question q, rondo::reply<int>) {
            if (q.refuse) throw rondo::refused("not today");
            throw std::invalid_argument("no such question");
        }
        void on(seen, rondo::reply<int> r) {              // answered by somebody else: not by its error
            kept.push_back(std::move(r));
            throw rondo::refused("later");
        }
        void on(const pass& p, rondo::reply<int> r) {
            rondo::channel<int>().receive();
            r.send(p.number);
        }
        bool on(open_gate) {
            for (auto& r : kept) r.send(7);
            return !kept.empty();
        }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto o = rondo::start<oracle>();
        CHECK_THROWS_WITH(o.ask(question{true}), "not today");
        auto later = rondo::spawn([o] { return o.ask(seen{}); });
        while (!o.ask(open_gate{})) rondo::yield();
        CHECK(later.join() == 7);
        auto killed = rondo::spawn([o] { return o.ask(pass{1}); });
        rondo::yield();
        while (o.mailbox_size() != 0) rondo::yield();
        o.kill();
        CHECK_THROWS_AS(killed.join(), rondo::actor_ended);
        auto p = rondo::start<oracle>();
        CHECK_THROWS_AS(p.ask(question{false}), std::invalid_argument);
        CHECK(p.join().kind == rondo::exit_kind::crashed);            // the asker was told: not out of run
    });
}

TEST_CASE("become puts handlers before the class's own", "[actor]") {
    struct say {};
    struct turn {
        bool formal;
    };
    struct greeter {
        std::string on(say) { return "hello"; }
        void on(turn t) {
            if (t.formal) rondo::this_actor::become([](say) { return std::string("good morning"); });
            else rondo::this_actor::become();
        }
    };
    rondo::run([] {
        auto g = rondo::start<greeter>();
        CHECK(g.ask(say{}) == "hello");
        g.tell(turn{true});
        CHECK(g.ask(say{}) == "good morning");
        g.tell(turn{false});
        CHECK(g.ask(say{}) == "hello");
    });
}

namespace {

int three(int) { return 3; }

}  // namespace

TEST_CASE("become takes functions, std::function, and several callables as one", "[actor]") {
    struct pointer {};
    struct wrapped {};
    struct both {};
    struct number {
        int on(int n) { return n; }
        std::string on(std::string s) { return s; }
        void on(pointer) { rondo::this_actor::become(three); }
        void on(wrapped) { rondo::this_actor::become(std::function<int(int)>([](int n) { return 2 * n; })); }
        void on(both) {
            const rondo::overloaded two{[](int n) { return -n; }, [](const std::string& s) { return s + "!"; }};
            rondo::this_actor::become(two, [](both) { rondo::this_actor::become(); });
        }
    };
    rondo::run([] {
        auto n = rondo::start<number>();
        n.tell(pointer{});
        CHECK(n.ask(1) == 3);
        n.tell(wrapped{});
        CHECK(n.ask(1) == 2);
        n.tell(both{});
        CHECK(n.ask(1) == -1);
        CHECK(n.ask("one") == "one!");
        n.tell(both{});
        CHECK(n.ask(1) == 1);
        CHECK(n.ask("one") == "one");
    });
}

TEST_CASE("what was stashed, with its asker, comes next after unstash", "[actor]") {
    struct ready {};
    struct job {
        std::string name;
    };
    struct shop {
        bool is_open = false;
        std::vector<std::string> done;
        std::size_t on(const job& j) {
            if (!is_open) {
                rondo::this_actor::stash();
                return 0;
            }
            done.push_back(j.name);
            return done.size();
        }
        void on(ready) {
            is_open = true;
            rondo::this_actor::unstash();
        }
        std::vector<std::string> on(seen) const { return done; }
    };
    rondo::run([] {
        auto s = rondo::start<shop>();
        s.tell(job{"a"});
        s.tell(job{"b"});
        s.tell(ready{});
        s.tell(job{"c"});
        CHECK(s.ask(seen{}) == std::vector<std::string>{"a", "b", "c"});
    });
}

TEST_CASE("an asker whose message was stashed waits for what its handler gives then", "[actor][stash]") {
    struct ready {};
    struct by_reference { int n; };
    struct by_value { std::string text; };
    struct late_by_reference { int n; };
    struct late_by_value { std::string text; };
    struct shop {
        bool is_open = false;
        int closed_for = 0;
        int on(const by_reference& m) {
            if (is_open) return m.n;
            rondo::this_actor::stash();
            return -1;
        }
        std::string on(by_value m) {
            if (is_open) return m.text;
            rondo::this_actor::stash(std::move(m));
            return "closed";
        }
        void on(const late_by_reference& m, rondo::reply<int> r) {
            if (is_open) return r.send(m.n);
            rondo::this_actor::stash();
            ++closed_for;
        }
        void on(late_by_value m, rondo::reply<std::string> r) {
            if (is_open) return r.send(std::move(m.text));
            rondo::this_actor::stash(std::move(m));
            ++closed_for;
        }
        int on(ready) {
            is_open = true;
            rondo::this_actor::unstash();
            return closed_for;
        }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    auto s = rondo::start_on<shop>(world.in());
    auto a = world.spawn([s] { return s.ask(by_reference{1}); });
    auto b = world.spawn([s] { return s.ask(by_value{"two"}); });
    auto c = world.spawn([s] { return s.ask(late_by_reference{3}); });
    auto d = world.spawn([s] { return s.ask(late_by_value{"four"}); });
    auto gone = world.spawn([s] { return s.ask_for(late_by_reference{5}, 1s); });
    s.tell(late_by_reference{6});                         // nobody waits for it
    world.settle();
    CHECK_FALSE(a.done());
    CHECK_FALSE(b.done());
    CHECK_FALSE(c.done());
    CHECK_FALSE(d.done());
    world.advance(2s);
    CHECK_FALSE(gone.join());
    CHECK(world.run([s] { return s.ask(ready{}); }) == 4);
    CHECK(a.join() == 1);
    CHECK(b.join() == "two");
    CHECK(c.join() == 3);
    CHECK(d.join() == "four");
}

TEST_CASE("an asker whose message was stashed hears of the actor's end, or of an answer before", "[actor][stash]") {
    struct question { int n; };
    struct answered { int n; };
    struct clerk {
        std::vector<int>* seen;
        void on(const question& q, rondo::reply<int> r) {
            rondo::this_actor::stash();
            if (q.n == 1) throw std::runtime_error("out of paper");
            if (q.n == 2) rondo::channel<int>().receive();
            (void)r;
        }
        void on(const answered& q, rondo::reply<int> r) {
            seen->push_back(q.n);
            if (seen->size() > 1) return;                 // its asker has got it: nothing is owed
            rondo::this_actor::stash();
            r.send(q.n);
            rondo::this_actor::unstash();
        }
    };
    std::vector<int> seen;
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    for (int how : {0, 1, 2}) {
        auto c = rondo::start_on<clerk>(world.in(), &seen);
        auto watcher = world.spawn([c] { return c.join(); });           // so that the crash does not come out of settle
        world.settle();
        auto asker = world.spawn([c, how] { return c.ask(question{how}); });
        world.settle();
        if (how != 1) {
            CHECK_FALSE(asker.done());
            c.kill();
            world.settle();
        }
        CHECK_THROWS_AS(asker.join(), rondo::actor_ended);
        watcher.join();
    }
    auto c = rondo::start_on<clerk>(world.in(), &seen);
    CHECK(world.run([c] { return c.ask(answered{7}); }) == 7);
    world.settle();
    CHECK(seen == std::vector{7, 7});
}

TEST_CASE("a message that is put aside and back stays whole until its handler is through", "[actor][stash]") {
    struct note {
        int n;
        std::shared_ptr<int> life;
    };
    struct question {
        std::shared_ptr<int> life;
    };
    struct hoard {
        rondo::channel<int> key;
        std::vector<int>* seen;
        bool is_open = false;
        hoard(rondo::channel<int> k, std::vector<int>* s) : key(std::move(k)), seen(s) {}
        void go_on(const std::shared_ptr<int>& life) {
            const std::weak_ptr<int> is_there = life;
            is_open = true;
            rondo::this_actor::stash();
            rondo::this_actor::unstash();
            key.receive();
            seen->push_back(is_there.expired() ? -1 : 0);
        }
        void on(const note& m) {
            if (!is_open) return go_on(m.life);
            seen->push_back(m.n + 100);
        }
        void on(const question& q, rondo::reply<int> r) {
            if (!is_open) return go_on(q.life);
            seen->push_back(7);
            r.send(7);
        }
    };
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> key;
    std::vector<int> seen;
    auto h = rondo::start_on<hoard>(
        world.in(), rondo::actor_options{.mailbox_slots = 2, .full = rondo::when_full::drop_oldest}, key, &seen);
    SECTION("told") {
        h.tell(note{0, std::make_shared<int>()});
        world.settle();
        for (int i = 1; i < 6; ++i) h.tell(note{i, nullptr});
        world.run([key] { key.send(0); });
        world.settle();
        CHECK(seen == std::vector{0, 100, 104, 105});
    }
    SECTION("asked") {
        auto asker = world.spawn([h] { return h.ask(question{std::make_shared<int>()}); });
        world.settle();
        for (int i = 1; i < 6; ++i) h.tell(note{i, nullptr});
        world.run([key] { key.send(0); });
        CHECK(asker.join() == 7);
        world.settle();
        CHECK(seen == std::vector{0, 7, 104, 105});
    }
}

TEST_CASE("what is put back comes in its old order, the message in hand last", "[actor][stash]") {
    struct job { int n; };
    struct shop {
        std::vector<int> done;
        bool is_open = false;
        void on(const job& j) {
            if (is_open) return done.push_back(j.n);
            rondo::this_actor::stash();
            if (j.n != 3) return;
            is_open = true;
            rondo::this_actor::unstash();
        }
        std::vector<int> on(seen) { return done; }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto s = rondo::start<shop>();
        for (int i = 1; i < 6; ++i) s.tell(job{i});
        CHECK(s.ask(seen{}) == std::vector{1, 2, 3, 4, 5});
    });
}

TEST_CASE("under become it is the callable that has the message, or has moved from it", "[actor][stash]") {
    struct text { std::string s; };
    struct book { std::string s; };
    struct begin {};
    struct reader {
        int on(const text&) { return 0; }                 // whole in the class, consumed by the callable
        int on(book) { return 0; }                        // the other way round
        void on(begin) {
            rondo::this_actor::become(
                [](text t) {
                    if (message_of([] { rondo::this_actor::stash(); }).find("by value") == std::string::npos) return -1;
                    return static_cast<int>(t.s.size());
                },
                [](const book&) {
                    rondo::this_actor::become();
                    rondo::this_actor::stash();
                    rondo::this_actor::become([](const book& b) { return static_cast<int>(b.s.size()); });
                    rondo::this_actor::unstash();
                    return -1;
                });
        }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        auto r = rondo::start<reader>();
        r.tell(begin{});
        CHECK(r.ask(text{"four"}) == 4);
        CHECK(r.ask(book{"a longer one"}) == 12);
    });
}

TEST_CASE("stash refuses a message that the handler has moved from", "[actor]") {
    struct job {
        std::string name;
    };
    struct shop {
        int tried = 0;
        void on(job j) {
            if (tried++ > 0) return;
            if (message_of([] { rondo::this_actor::stash(); }).find("by value") == std::string::npos)
                throw std::logic_error("taken");
            rondo::this_actor::stash(std::move(j));
            if (message_of([] { rondo::this_actor::stash(); }).empty()) throw std::logic_error("twice");
            rondo::this_actor::unstash();
        }
        int on(seen) const { return tried; }
    };
    rondo::run([] {
        auto s = rondo::start<shop>();
        s.tell(job{"a"});
        CHECK(s.ask(seen{}) == 2);
    });
}

TEST_CASE("a full mailbox: try_tell says so, tell waits, a stop ends the wait", "[actor]") {
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [] {
        rondo::channel<int> key;
        auto g = rondo::start<gate>(rondo::actor_options{.mailbox_slots = 2}, key);
        g.tell(pass{0});
        while (g.mailbox_size() > 0) rondo::yield();      // it is at the gate
        CHECK(g.try_tell(pass{1}));
        CHECK(g.try_tell(pass{2}));
        CHECK(g.try_tell(pass{9}) == rondo::send_status::full);
        CHECK(g.tell_for(pass{9}, 1ms) == rondo::send_status::timed_out);
        auto stopped = rondo::spawn([g] { g.tell(pass{9}); });
        auto waits = rondo::spawn([g] {
            g.tell(pass{3});
            g.tell(pass{4});
        });
        for (int i = 0; i < 20; ++i) rondo::yield();
        stopped.stop();
        CHECK_THROWS_AS(stopped.join(), rondo::stopped);
        CHECK_FALSE(waits.done());
        for (int i = 0; i < 5; ++i) key.send(i);
        waits.join();
        CHECK(g.ask(seen{}) == std::vector<int>{0, 1, 2, 3, 4});
        CHECK(rondo::dead_letters().total() == 0);
    });
}

TEST_CASE("a destructor may tell while a stop unwinds its tasklet, though it has to wait for room", "[actor]") {
    struct last_words {
        rondo::actor_ref<gate> to;
        ~last_words() { to.tell(pass{2}); }
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::channel<int> key;
        auto g = rondo::start<gate>(rondo::actor_options{.mailbox_slots = 1}, key);
        g.tell(pass{0});
        while (g.mailbox_size() > 0) rondo::yield();      // it is at the gate
        g.tell(pass{1});
        rondo::event begun;
        auto speaker = rondo::spawn([&] {
            const last_words at_the_end{g};
            begun.set();
            rondo::sleep_for(1h);
        });
        begun.wait();
        speaker.stop();
        for (int i = 0; i < 20; ++i) rondo::yield();
        CHECK_FALSE(speaker.done());
        for (int i = 0; i < 3; ++i) key.send(i);
        CHECK_THROWS_AS(speaker.join(), rondo::stopped);
        CHECK(g.ask(seen{}) == std::vector<int>{0, 1, 2});
    });
}

TEST_CASE("a try_tell that fails leaves what was moved in as it was, though its assignment throws", "[actor]") {
    struct clumsy {
        std::string text;
        explicit clumsy(std::string s) : text(std::move(s)) {}
        clumsy(clumsy&&) noexcept = default;
        clumsy& operator=(clumsy&&) { throw std::logic_error("never assign me"); }
    };
    struct careless {                                     // what is moved out of it cannot be moved back: it is copied
        std::string text;
        explicit careless(std::string s) : text(std::move(s)) {}
        careless(const careless&) = default;
        careless(careless&& other) noexcept(false) : text(std::move(other.text)) {}
        careless& operator=(careless&&) { throw std::logic_error("never assign me"); }
        virtual ~careless() = default;
    };
    struct keeper {
        rondo::channel<int> key;
        explicit keeper(rondo::channel<int> k) : key(std::move(k)) {}
        void on(open_gate) { key.receive(); }
        void on(const clumsy&) {}
        void on(const careless&) {}
    };
    rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        rondo::channel<int> key;
        auto k = rondo::start<keeper>(rondo::actor_options{.mailbox_slots = 1}, key);
        k.tell(open_gate{});
        while (key.balance() == 0) rondo::yield();
        k.tell(open_gate{});
        const std::string text = "a text that is too long to lie in a string itself";
        clumsy one(text);
        careless other(text);
        CHECK(k.try_tell(std::move(one)) == rondo::send_status::full);
        CHECK(one.text == text);
        CHECK(k.try_tell(std::move(other)) == rondo::send_status::full);
        CHECK(other.text == text);
        key.send(0);
        key.send(0);
        k.stop();
    });
}

TEST_CASE("try_tell tells what tell does: a copy of what stays, and what is moved in only if it is taken", "[actor][pool]") {
    struct log {
        std::vector<std::string> texts;
        rondo::channel<int> key;
        explicit log(rondo::channel<int> k) : key(std::move(k)) {}
        void on(open_gate) { key.receive(); }
        void on(std::string s) { texts.push_back(std::move(s)); }
        void on(std::unique_ptr<int> n) { texts.push_back(std::to_string(*n)); }
        std::vector<std::string> on(seen) { return texts; }
    };
    const auto look_at = [](const auto& to, auto all) {
        const std::string same = "a text that is too long to lie in a string itself: same";
        std::string other = "a text that is too long to lie in a string itself: other";
        const std::string before = other;
        CHECK(to.try_tell(same));
        CHECK(to.try_tell(other));
        CHECK(other == before);
        CHECK(to.try_tell(std::move(other)));
        CHECK(to.try_tell("literal"));
        const char* pointer = "pointer";
        CHECK(to.try_tell(pointer));
        CHECK(to.try_tell(std::as_const("const")));
        auto one = std::make_unique<int>(1);
        CHECK(to.try_tell(std::move(one)));
        CHECK_FALSE(one);
        other = before;
        one = std::make_unique<int>(2);
        CHECK(to.try_tell(other) == rondo::send_status::full);
        CHECK(to.try_tell(std::move(other)) == rondo::send_status::full);
        CHECK(other == before);
        CHECK(to.try_tell(std::move(one)) == rondo::send_status::full);
        CHECK(*one == 2);
        CHECK(to.try_tell("literal") == rondo::send_status::full);
        CHECK(all() == std::vector<std::string>{same, before, before, "literal", "pointer", "const", "1"});
    };
    const int by = GENERATE(0, 1, 2);
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        rondo::channel<int> key;
        const rondo::child_options small{.mailbox_slots = 7};
        const rondo::pool<log> p(1, rondo::routing::round_robin, {}, rondo::child<log>(small, key));
        const auto& a = p.members()[0];
        const rondo::address<std::string, std::unique_ptr<int>> to = a;
        a.tell(open_gate{});
        while (key.balance() == 0) rondo::yield();
        const auto all = [&] {
            key.send(0);
            return a.ask(seen{});
        };
        if (by == 0) look_at(a, all);
        if (by == 1) look_at(to, all);
        if (by == 2) look_at(p, all);
    });
}

TEST_CASE("a plain thread blocks while the mailbox is full", "[actor]") {
    rondo::runtime rt{{.workers = 2}};
    rondo::channel<int> key;
    auto g = rondo::start_on<gate>(rt, rondo::actor_options{.mailbox_slots = 1}, key);
    std::thread sender([&] {
        for (int i = 0; i < 50; ++i) g.tell(pass{i});
    });
    for (int i = 0; i < 50; ++i) key.send(i);
    sender.join();
    CHECK(g.ask(seen{}).size() == 50);
}

TEST_CASE("dropping is a choice, and counted", "[actor]") {
    rondo::run([] {
        for (auto policy : {rondo::when_full::drop_newest, rondo::when_full::drop_oldest}) {
            rondo::channel<int> key;
            auto g = rondo::start<gate>(rondo::actor_options{.mailbox_slots = 2, .full = policy}, key);
            g.tell(pass{0});
            while (g.mailbox_size() > 0) rondo::yield();
            for (int i = 1; i <= 5; ++i) g.tell(pass{i});
            for (int i = 0; i < 3; ++i) key.send(i);
            CHECK(g.ask(seen{}) == (policy == rondo::when_full::drop_newest ? std::vector<int>{0, 1, 2}
                                                                            : std::vector<int>{0, 4, 5}));
        }
        CHECK(rondo::dead_letters().dropped_newest == 3);
        CHECK(rondo::dead_letters().dropped_oldest == 3);
    });
    CHECK_THROWS_AS(rondo::run([] { rondo::start<account>(rondo::actor_options{.mailbox_slots = 100'000}); }),
                    rondo::usage_error);
}

TEST_CASE("a mailbox that drops its newest drops none while there is room", "[actor]") {
    const auto slots = GENERATE(2u, 64u, 1000u);
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> key;
    auto g = rondo::start_on<gate>(
        world.in(), rondo::actor_options{.mailbox_slots = slots, .full = rondo::when_full::drop_newest}, key);
    int told = 0;
    g.tell(pass{told++});
    world.settle();
    while (told <= static_cast<int>(slots)) g.tell(pass{told++});
    for (int i = 0; i < 40; ++i) {
        world.run([key] { key.send(0); });
        world.settle();
        g.tell(pass{told++});
    }
    CHECK(rondo::dead_letters(world.in()).total() == 0);
    g.kill();
    world.settle();
}

TEST_CASE("a mailbox that drops its oldest never holds more than its slots, however long nobody looks", "[actor]") {
    const auto slots = GENERATE(1u, 2u, 100u);
    constexpr int many = 200'000;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        rondo::channel<int> key{many};
        auto g = rondo::start<gate>(
            rondo::actor_options{.name = "g", .mailbox_slots = slots, .full = rondo::when_full::drop_oldest}, key);
        g.tell(pass{-1});
        while (key.balance() == 0) rondo::yield();
        std::size_t most = 0;
        for (int i = 0; i < many; ++i) {
            g.tell(pass{i});
            most = std::max(most, g.mailbox_size());
        }
        CHECK(most == slots);
        CHECK(rondo::dead_letters().dropped_oldest == many - slots);
        for (unsigned i = 0; i <= slots; ++i) key.send(0);
        std::vector<int> last{-1};
        for (unsigned i = 0; i < slots; ++i) last.push_back(many - static_cast<int>(slots - i));
        while (g.mailbox_size() > 0) rondo::yield();
        CHECK(g.ask(seen{}) == last);
    });
}

TEST_CASE("who asks a mailbox that drops its oldest message is told when it was that one", "[actor]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> key;
    auto g = rondo::start_on<gate>(
        world.in(), rondo::actor_options{.name = "g", .mailbox_slots = 1, .full = rondo::when_full::drop_oldest}, key);
    g.tell(pass{0});
    world.settle();
    auto first = world.spawn([g] { return g.ask(seen{}); });
    world.settle();
    auto second = world.spawn([g] { return g.ask(seen{}); });
    world.settle();
    CHECK(first.done());
    CHECK(message_of([&] { first.join(); }).find("\"g\" (") != std::string::npos);
    CHECK_FALSE(second.done());
    world.run([key] { key.send(0); });
    CHECK(second.join() == std::vector{0});
}

TEST_CASE("the depth of a mailbox is right beyond any count that could come round", "[actor]") {
    struct filler {
        rondo::channel<int> key;
        long sum = 0;
        void on(pass p) {
            for (int i = 1; i <= p.number; ++i) rondo::this_actor::ref<filler>().tell(deposit{i});
            key.receive();
        }
        void on(deposit d) { sum += d.cents; }
        long on(balance) const { return sum; }
    };
    const auto slots = GENERATE(0u, 1u, 32'767u);
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        const rondo::channel<int> key;
        auto f = rondo::start<filler>(rondo::actor_options{.mailbox_slots = slots}, key);
        for (const int many : {65'536, 70'000, 200'000}) {
            f.tell(pass{many});
            while (key.balance() == 0) rondo::yield();
            CHECK(f.mailbox_size() == static_cast<std::size_t>(many));
            CHECK(f.try_tell(pass{0}) == (slots ? rondo::send_status::full : rondo::send_status::done));
            key.send(0);
            if (slots == 0) {
                while (key.balance() == 0) rondo::yield();
                key.send(0);
            }
            while (f.mailbox_size() > 0) rondo::yield();
        }
        CHECK(f.ask(balance{}) == 65'536L * 65'537 / 2 + 70'000L * 70'001 / 2 + 200'000L * 200'001 / 2);
    });
}

TEST_CASE("an actor's own messages to itself never wait, and may be unbounded", "[actor]") {
    struct down_to {
        int n;
    };
    struct doubler {
        int handled = 0;
        void on(down_to d) {
            ++handled;
            for (int i = 0; i < 2 && d.n > 0; ++i) rondo::this_actor::ref<doubler>().tell(down_to{d.n - 1});
        }
        int on(seen) const { return handled; }
    };
    rondo::run([] {
        auto d = rondo::start<doubler>(rondo::actor_options{.mailbox_slots = 1});
        d.tell(down_to{10});
        while (d.ask(seen{}) < 2047) rondo::yield();
        CHECK(d.mailbox_size() == 0);
        auto many = rondo::start<account>(rondo::actor_options{.mailbox_slots = 0});
        for (int i = 0; i < 100'000; ++i) (void)many.try_tell(deposit{1});
        CHECK(many.ask(balance{}) == 100'000);
    });
}

TEST_CASE("what is told to a dead actor is a dead letter that can be seen", "[actor]") {
    rondo::run([] {
        std::vector<std::string> seen_letters;
        rondo::observe_dead_letters([&](const rondo::dead_letter& d) {
            seen_letters.push_back(d.message + " to " + d.to + ": " + rondo::to_string(d.why));
        });
        auto alice = rondo::start<account>(rondo::actor_options{.name = "alice"});
        alice.stop();
        alice.join();
        alice.tell(deposit{1});
        CHECK(alice.try_tell(deposit{1}) == rondo::send_status::closed);
        CHECK(rondo::dead_letters().ended == 1);
        REQUIRE(seen_letters.size() == 1);
        CHECK(seen_letters[0].find("deposit") != std::string::npos);
        CHECK(seen_letters[0].find("\"alice\"") != std::string::npos);
        CHECK(seen_letters[0].find("has ended") != std::string::npos);
        rondo::observe_dead_letters(nullptr);
    });
}

TEST_CASE("stop ends an actor after its message, kill in the middle of it, the rest is dead letters", "[actor]") {
    const bool kills = GENERATE(false, true);
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [&] {
        rondo::channel<int> key;
        auto g = rondo::start<gate>(key);
        auto asker = rondo::spawn([g] { return g.ask(pass{0}); });
        while (key.balance() == 0) rondo::yield();        // it is at the gate
        auto behind = rondo::spawn([g] { return g.ask(seen{}); });
        while (g.mailbox_size() == 0) rondo::yield();
        if (kills) {
            g.kill();
            CHECK_THROWS_AS(asker.join(), rondo::actor_ended);
        } else {
            g.stop();
            CHECK_FALSE(g.join_for(2ms));
            key.send(0);
            asker.join();
        }
        CHECK_THROWS_AS(behind.join(), rondo::actor_ended);
        CHECK(g.join().kind == (kills ? rondo::exit_kind::killed : rondo::exit_kind::stopped));
        CHECK(rondo::dead_letters().ended == 1);
    });
}

TEST_CASE("an actor that nobody can send to ends, with all its messages handled", "[actor]") {
    struct tidy {
        std::atomic<int>* handled;
        std::atomic<int>* gone;
        void on(deposit) { handled->fetch_add(1); }
        ~tidy() { gone->fetch_add(1); }
    };
    std::atomic<int> handled{0}, gone{0};
    rondo::run({.workers = 2}, [&] {
        auto t = rondo::start<tidy>(&handled, &gone);
        for (int i = 0; i < 10; ++i) t.tell(deposit{1});
        t = {};
        while (rondo::live_actors() != 0) rondo::yield();     // a moment after its destructor
        CHECK(gone.load() == 1);
        CHECK(handled.load() == 10);
    });
}

TEST_CASE("run returns in spite of idle actors, even in a circle of handles, and ends them", "[actor]") {
    struct other;
    struct meet {
        rondo::actor_ref<other> who;
    };
    struct other {
        rondo::actor_ref<other> friend_of;
        std::atomic<int>* gone;
        explicit other(std::atomic<int>* g) : gone(g) {}
        void on(const meet& m) { friend_of = m.who; }
        ~other() { gone->fetch_add(1); }
    };
    std::atomic<int> gone{0};
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
        auto a = rondo::start<other>(&gone), b = rondo::start<other>(&gone);
        a.tell(meet{b});
        b.tell(meet{a});
    });
    CHECK(gone.load() == 2);
}

TEST_CASE("a handle may outlive the runtime: what is told is lost, what is asked is refused", "[actor]") {
    rondo::actor_ref<account> alice;
    {
        rondo::runtime rt{{.workers = 1}};
        alice = rondo::start_on<account>(rt);
        alice.tell(deposit{3});
        CHECK(alice.ask(balance{}) == 3);
    }
    alice.tell(deposit{3});
    CHECK_THROWS_AS(alice.ask(balance{}), rondo::actor_ended);
    CHECK(alice.has_ended());
}

// Those of different workers are counted apart: so two threads may let go of what each of them thinks the last one.
TEST_CASE("the last handles of a runtime that is gone may be dropped by several threads at once", "[actor]") {
    for (int round = 0; round < 60; ++round) {
        std::array<rondo::actor_ref<account>, 2> last;
        {
            rondo::runtime rt{{.workers = 2}};
            std::atomic<unsigned> there{0};
            const auto limit = std::chrono::steady_clock::now() + 100ms;
            const auto make = [&](auto& into) {           // one on each worker, as a rule
                return rt.spawn([&] {
                    for (++there; there < 2 && std::chrono::steady_clock::now() < limit;) std::this_thread::yield();
                    into = rondo::start<account>();
                });
            };
            auto one = make(last[0]), other = make(last[1]);
            one.join();
            other.join();
        }
        std::atomic<unsigned> ready{0};
        const auto drop = [&](auto& handle) {
            for (++ready; ready < 2;) {}
            handle = {};
        };
        std::thread elsewhere([&] { drop(last[0]); });
        drop(last[1]);
        elsewhere.join();
    }
    SUCCEED("a sanitizer, or the allocator, would have noticed");
}

TEST_CASE("outside any runtime start says what to do", "[actor]") {
    CHECK(message_of([] { rondo::start<account>(); }).find("start_on") != std::string::npos);
    CHECK(message_of([] { (void)rondo::this_actor::id(); }).find("outside a handler") != std::string::npos);
    CHECK_THROWS_AS(rondo::actor_ref<account>().tell(deposit{1}), rondo::usage_error);
}

TEST_CASE("shutdown ends actors, waiting handlers too, and reports nobody", "[actor]") {
    rondo::runtime rt{{.workers = 2}};
    rondo::channel<int> key;
    auto g = rondo::start_on<gate>(rt, key);
    g.tell(pass{0});
    while (key.balance() == 0) std::this_thread::yield();
    CHECK(rt.shutdown(5s).empty());
    CHECK(g.has_ended());
    CHECK(rondo::live_actors(rt) == 0);
}

TEST_CASE("after shutdown nobody outside starts an actor any more", "[actor]") {
    rondo::runtime rt{{.workers = 1}};
    (void)rondo::start_on<account>(rt);
    CHECK(rt.shutdown(5s).empty());
    CHECK(message_of([&] { (void)rondo::start_on<account>(rt); }).find("after shutdown") != std::string::npos);
    CHECK(message_of([&] { (void)rondo::start_on<account>(rt, rondo::actor_options{}); }).find("after shutdown") !=
          std::string::npos);
    CHECK(rondo::live_actors(rt) == 0);
}

TEST_CASE("an actor that waits for itself from rondo::blocking is told so", "[actor]") {
    struct lonely {
        int on(int how) {
            const auto me = rondo::this_actor::ref<lonely>();
            return rondo::blocking([&] {
                if (how == 0) return me.ask(1);
                (void)me.join();
                return 1;
            });
        }
    };
    for (const int how : {0, 1})
        CHECK(message_of([&] {
                  rondo::run({.workers = 1}, [&] { (void)rondo::start<lonely>().ask(how); });
              }).find("would wait for itself") != std::string::npos);
}

TEST_CASE("an actor that asks itself is told so, an ask nobody will answer is in the deadlock report", "[actor]") {
    struct lonely {
        void on(deposit) { rondo::this_actor::ref<lonely>().ask(balance{}); }
        long on(balance) { return 0; }
    };
    CHECK_THROWS_AS(rondo::run([] { rondo::start<lonely>().ask(deposit{1}); }), rondo::usage_error);

    struct keeper {
        std::vector<rondo::reply<int>> kept;
        void on(balance, rondo::reply<int> r) { kept.push_back(std::move(r)); }
    };
    std::string report;
    try {
        rondo::run({.workers = 1}, [] { rondo::start<keeper>(rondo::actor_options{.name = "miser"}).ask(balance{}); });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    CHECK(report.find("waits for a reply from actor") != std::string::npos);
    CHECK(report.find("\"miser\"") != std::string::npos);
}

TEST_CASE("timers tell the actor: once, again and again, when it is idle", "[actor]") {
    struct begin {};
    struct tick {};
    struct alarm {
        std::string text;
    };
    struct clock {
        rondo::channel<int> is_over;
        int ticks = 0, idles = 0;
        std::string rang;
        rondo::timer ticking;
        void on(begin) {
            rondo::this_actor::after(3ms, alarm{"cake"});
            ticking = rondo::this_actor::every(1ms, tick{});
        }
        void on(tick) {
            if (++ticks == 5) {
                ticking.cancel();
                rondo::this_actor::idle_timeout(2ms);
            }
        }
        void on(const alarm& a) { rang = a.text; }
        void on(rondo::idle) {
            ++idles;
            if (!rang.empty()) (void)is_over.try_send(0);
        }
        std::tuple<int, std::string, int> on(seen) const { return {ticks, rang, idles}; }
    };
    const auto [ticks, rang, idles] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        const rondo::channel<int> is_over{1};
        auto c = rondo::start<clock>(is_over);
        c.tell(begin{});
        is_over.receive();
        return c.ask(seen{});
    });
    CHECK(ticks >= 5);                                // one more may have been told before the cancel
    CHECK(rang == "cake");
    CHECK(idles > 0);
}

TEST_CASE("run waits for after, not for every", "[actor]") {
    struct begin {};
    struct tick {};
    struct last {};
    struct clock {
        bool* rang;
        void on(begin) {
            rondo::this_actor::every(1ms, tick{});
            rondo::this_actor::after(10ms, last{});
        }
        void on(tick) {}
        void on(last) { *rang = true; }
    };
    bool rang = false;
    rondo::run({.workers = GENERATE(1u, 2u)}, [&] { rondo::start<clock>(&rang).tell(begin{}); });
    CHECK(rang);
}

TEST_CASE("on(started) comes before any other message", "[actor]") {
    struct log {
        std::string text;
        void on(rondo::started) { text += "started "; }
        std::string on(const std::string& s) { return text += s; }
    };
    CHECK(rondo::run([] { return rondo::start<log>().ask(std::string("told")); }) == "started told");
}

TEST_CASE("who watches is told of the end and its reason, also when it is long past", "[actor]") {
    std::vector<std::string> log;
    rondo::run({.workers = 2}, [&] {
        rondo::channel<int> done{10};
        auto w = rondo::start<watcher>(&log, done);
        auto a = rondo::start<account>(rondo::actor_options{.name = "a"});
        auto b = rondo::start<account>(rondo::actor_options{.name = "b"});
        w.ask(watcher::look{a});
        a.tell(withdraw{-1});
        done.receive();
        b.kill();
        b.join();
        w.tell(watcher::look{b});
        done.receive();
        w.stop();
        w.join();
    });
    CHECK(log == std::vector<std::string>{"a: crashed: a negative amount", "b: killed"});
    struct blind {
        void on(deposit) { rondo::watch(rondo::start<account>()); }
    };
    CHECK_THROWS_AS(rondo::run([] { rondo::start<blind>().ask(deposit{1}); }), rondo::usage_error);
}

// Whoever has been told is next on the teller's worker, which does not come to it.
TEST_CASE("a handler that goes on for long does not hold up whom it has told", "[actor][stealing]") {
    struct now {};
    struct listener {
        std::atomic<bool>& heard;
        void on(now) { heard = true; }
    };
    struct speaker {
        rondo::actor_ref<listener> to;
        std::atomic<bool>& heard;
        void on(now) {
            to.tell(now{});
            while (!heard) {}                             // calls nothing that would let others in
        }
    };
    const auto workers = GENERATE(2u, 4u);
    const bool is_used_to_short_ones = GENERATE(false, true);
    std::atomic<bool> heard{false};
    rondo::run({.workers = workers}, [&] {
        auto shortest = rondo::start<account>();
        for (int i = 0; is_used_to_short_ones && i < 1'000; ++i) shortest.ask(balance{});
        auto l = rondo::start<listener>(heard);
        rondo::start<speaker>(l, heard).tell(now{});
    });
    CHECK(heard);
}

TEST_CASE("what is linked fails together, and stops alone", "[actor]") {
    rondo::run({.workers = 2}, [] {
        rondo::channel<int> key;
        auto a = rondo::start<account>();
        auto g = rondo::start<gate>(key);
        rondo::link(a, g);
        g.tell(pass{0});
        while (key.balance() == 0) rondo::yield();
        CHECK_THROWS_AS(a.ask(withdraw{-1}), std::invalid_argument);
        auto why = g.join();                              // in the middle of its message
        CHECK(why.kind == rondo::exit_kind::linked);
        CHECK(why.text().find("a negative amount") != std::string::npos);

        auto b = rondo::start<account>(), c = rondo::start<account>(), d = rondo::start<account>();
        rondo::link(b, c);
        rondo::link(c, d);
        rondo::unlink(c, d);
        b.stop();
        b.join();
        CHECK(c.ask(balance{}) == 0);
        c.kill();
        c.join();
        CHECK(d.ask(balance{}) == 0);
        rondo::link(c, d);                                // it has failed already
        CHECK(d.join().kind == rondo::exit_kind::linked);
    });
}

TEST_CASE("a link is there or not, however often it was made", "[actor]") {
    rondo::run({.workers = 2}, [] {
        auto a = rondo::start<account>(), b = rondo::start<account>(), c = rondo::start<account>();
        for (int i = 0; i < 3; ++i) {
            rondo::link(a, b);
            rondo::link(b, a);
            rondo::link(a, c);
        }
        rondo::unlink(b, a);
        a.kill();
        CHECK(c.join().kind == rondo::exit_kind::linked);
        b.tell(deposit{1});
        CHECK(b.ask(balance{}) == 1);
    });
}

TEST_CASE("an answer that is an error without an error is none", "[actor]") {
    struct question {};
    struct oracle {
        void on(question, rondo::reply<std::string> r) { r.fail(std::current_exception()); }
        void on(int, rondo::reply<void> r) { r.fail(nullptr); }
    };
    rondo::run([] {
        auto o = rondo::start<oracle>();
        CHECK_THROWS_AS(o.ask(question{}), rondo::no_answer);
        CHECK_THROWS_AS(o.ask(1), rondo::no_answer);
    });
}

TEST_CASE("two that have ended can be linked, and nothing happens", "[actor]") {
    rondo::run([] {
        auto a = rondo::start<account>(), b = rondo::start<account>(), c = rondo::start<account>();
        a.stop();
        b.stop();
        c.kill();
        while (!a.has_ended() || !b.has_ended() || !c.has_ended()) rondo::yield();      // a join would leave its own mark
        rondo::link(a, b);
        rondo::link(a, c);
        rondo::unlink(a, b);
        CHECK(a.join().kind == rondo::exit_kind::stopped);
        CHECK(c.join().kind == rondo::exit_kind::killed);
    });
}

TEST_CASE("an idle actor costs 192 bytes or less", "[actor]") {
    struct small {
        std::byte state[64];
        void on(deposit) {}
    };
    CHECK(rondo::detail::class_of<account>.lines * 64 <= 192);
    CHECK(rondo::detail::class_of<small>.lines * 64 <= 192);
}

TEST_CASE("an actor, its messages and its answers may have an operator& of their own", "[actor]") {
    struct hidden {
        int n;
        hidden* operator&() = delete;
        const hidden* operator&() const = delete;
    };
    struct adder {
        int sum = 0;
        hidden on(hidden h) { return {sum += h.n}; }
        adder* operator&() = delete;
    };
    const int sum = rondo::run([] {
        const auto a = rondo::start<adder>();
        a.tell(hidden{1});
        return a.ask(hidden{2}).n;
    });
    CHECK(sum == 3);
}

TEST_CASE("handles of actors are keys of maps: in the order of their making, and hashed", "[actor]") {
    rondo::run([] {
        const auto a = rondo::start<account>(), b = rondo::start<account>();
        std::map<rondo::actor_ref<account>, int> sorted{{b, 2}, {a, 1}, {{}, 0}};
        std::vector<int> order;
        for (const auto& [who, n] : sorted) order.push_back(n);
        CHECK(order == std::vector{0, 1, 2});
        std::unordered_map<rondo::actor_ref<account>, int> hashed{{a, 1}, {b, 2}};
        CHECK(hashed.at(b) == 2);
        const rondo::address<deposit> to_a = a;
        std::unordered_map<rondo::address<deposit>, int> addresses{{to_a, 1}};
        CHECK(addresses.at(a) == 1);
        CHECK_FALSE(addresses.contains(b));
    });
}

TEST_CASE("the copies that every makes may look at a lock, and their exceptions are not lost", "[actor][timers]") {
    struct tick {
        rondo::mutex* m;
        std::atomic<int>* left;                           // copies that do not throw
        tick(rondo::mutex& lock, std::atomic<int>& n) : m(&lock), left(&n) {}
        tick(tick&&) noexcept = default;
        tick(const tick& o) : m(o.m), left(o.left) {
            std::lock_guard hold(*m);
            if (--*left < 0) throw std::runtime_error("no more copies");
        }
    };
    struct ticking {
        rondo::mutex& m;
        std::atomic<int>& left;
        rondo::event& ticked;
        void on(const tick&) { ticked.set(); }
        void on(int) { rondo::this_actor::every(1ms, tick(m, left)); }
    };
    struct holder {                                       // sets timers of its own while it holds the lock
        rondo::mutex& m;
        int n = 0;
        void on(int) {
            std::lock_guard hold(m);
            for (int i = 0; i < 5; ++i) rondo::this_actor::after(1ms, 'x');
            rondo::sleep_for(2ms);
            if (++n < 5) rondo::this_actor::after(0ms, 1);
        }
        void on(char) {}
    };
    rondo::runtime rt({.workers = GENERATE(1u, 2u)});
    rondo::mutex m;
    std::atomic<int> left{3};
    rondo::event ticked;
    CHECK_THROWS_WITH(rt.run([&] {
        auto a = rondo::start<ticking>(m, left, ticked);
        auto b = rondo::start<holder>(m);
        b.tell(1);
        a.tell(1);
        ticked.wait();
        while (left >= 0) rondo::sleep_for(1ms);
        a.stop();
        b.stop();
    }), "no more copies");
}
