// A program has functions of its own for which Rondo has the same names: they stay out of each other's way, also where what
// Rondo is given comes from their namespace.
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

namespace market {

// They take anything; where Rondo called one of them this file would not compile.
#define TAKES_ANYTHING(name)                                  \
    template <class A>                                        \
    void name(A&&) = delete;                                  \
    template <class A, class B>                               \
    void name(A&&, B&&) = delete;                             \
    template <class A, class B, class C>                      \
    void name(A&&, B&&, C&&) = delete;                        \
    template <class A, class B, class C, class D>             \
    void name(A&&, B&&, C&&, D&&) = delete;                   \
    template <class A, class B, class C, class D, class... E> \
    void name(A&&, B&&, C&&, D&&, E&&...) = delete;
TAKES_ANYTHING(ask_until)
TAKES_ANYTHING(behave)
TAKES_ANYTHING(child)
TAKES_ANYTHING(explore_program)
TAKES_ANYTHING(give_back)
TAKES_ANYTHING(know_all)
TAKES_ANYTHING(make_message)
TAKES_ANYTHING(make_task)
TAKES_ANYTHING(meet)
TAKES_ANYTHING(meets_any)
TAKES_ANYTHING(put_message)
TAKES_ANYTHING(run)
TAKES_ANYTHING(scope)
TAKES_ANYTHING(start_under)
TAKES_ANYTHING(take_or_wait)
TAKES_ANYTHING(until_of)
TAKES_ANYTHING(value_or_none)
TAKES_ANYTHING(within_until)
#undef TAKES_ANYTHING

struct coin {
    int cents = 0;
};
struct parcel {
    std::unique_ptr<int> content;
};
void give_back(coin&, coin) = delete;
void give_back(parcel&, parcel) = delete;

struct earn {
    coin operator()() const { return {5}; }
    coin operator()(coin c) const { return c; }
};
struct ignore {
    template <class... T>
    void operator()(T&&...) const {}
};

struct stall {
    using timer_messages = rondo::timer_list<coin>;
    explicit stall(coin c = {}) : till(c) {}
    coin till;
    void on(rondo::started) { rondo::this_actor::after(1h, coin{1}); }
    int on(coin c) { return till.cents += c.cents; }
    void on(parcel p) {
        if (p.content) rondo::this_actor::become([](coin c) { return -c.cents; });
    }
    void on(earn, rondo::reply<coin> r) { r.send(till); }
};

template <class T>
bool crosses(const rondo::channel<T>& c, T first, T second) {
    const bool sent = c.send_for(std::move(first), 1ms) == rondo::send_status::done;
    const bool full = c.try_send(std::move(second)) == rondo::send_status::full;
    c.close();
    while (rondo::select(rondo::from(c, ignore{}), rondo::after(1h, ignore{}))) {}
    return sent && full && !c.next();
}

}  // namespace market

TEST_CASE("what tasklets run may come from a namespace with functions of Rondo's names", "[names]") {
    using market::earn;
    CHECK(rondo::run(earn{}).cents == 5);
    CHECK(rondo::run({.workers = 1}, earn{}).cents == 5);
    const int cents = rondo::run([] {
        auto t = rondo::spawn(earn{}, market::coin{7});
        int sum = t.join().cents + rondo::within(1h, earn{})->cents + rondo::blocking(earn{}).cents;
        sum += rondo::scope([](rondo::group& g) { return g.spawn({.name = "earner"}, earn{}).join(); }).cents;
        const auto [a, b] = rondo::all(earn{}, earn{});
        auto u = rondo::spawn({.name = "another"}, earn{});
        rondo::select(rondo::joined(u, [&](market::coin c) { sum += c.cents; }));
        return sum + a.cents + b.cents + rondo::race(earn{}, earn{}).cents;
    });
    CHECK(cents == 7 + 7 * 5);
    rondo::testing::explore({.seeds = 2}, earn{});
}

TEST_CASE("what channels carry may come from a namespace with functions of Rondo's names", "[names]") {
    using market::coin, market::parcel;
    for (const auto& c : {rondo::channel<coin>(1), rondo::channel<coin>(rondo::spin_locked, 1)})
        CHECK(crosses(c, coin{1}, coin{2}));
    CHECK(crosses(rondo::channel<parcel>(1), parcel{}, parcel{}));
    rondo::broadcast<coin> news(4);
    auto reader = news.subscribe();
    news.send(coin{3});
    CHECK(reader.receive().cents == 3);
    rondo::latest<coin> price(coin{1});
    CHECK(price.get().cents == 1);
    rondo::work_queue<parcel> work(1);
    CHECK(rondo::select(rondo::to(work, parcel{}, market::ignore{})));
    parcel kept{std::make_unique<int>(1)};
    CHECK(work.try_put(std::move(kept)) == rondo::send_status::full);
    CHECK(kept.content);
}

TEST_CASE("actors and their messages may come from a namespace with functions of Rondo's names", "[names]") {
    using market::coin, market::parcel, market::stall;
    rondo::run([] {
        auto a = rondo::start<stall>();
        CHECK(a.ask(coin{2}) == 2);
        CHECK(a.ask_for(coin{2}, 1h) == 4);
        CHECK(a.ask(market::earn{}).cents == 4);
        parcel p{std::make_unique<int>(1)};
        CHECK(a.try_tell(std::move(p)));
        CHECK(a.ask(coin{2}) == -2);
        a.stop();
        a.join();
        parcel late{std::make_unique<int>(1)};
        CHECK(a.try_tell(std::move(late)) == rondo::send_status::closed);
        CHECK(late.content);
        auto boss = rondo::supervise({}, rondo::child<stall>("fish", coin{9}));
        CHECK(boss.ref<stall>("fish").ask(coin{1}) == 10);
        rondo::pool<stall> several(2, rondo::routing::round_robin, coin{20});
        CHECK(several.ask(coin{1}) == 21);
        rondo::address<int(coin)> any = boss.ref<stall>("fish");
        CHECK(any.ask(coin{1}) == 11);
        any.kill();
    });
}
