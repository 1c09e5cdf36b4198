// What does it cost to be refused, and to ask again?
#include <rondo/rondo.hpp>
#include <utility>
#include <vector>

#include "../common/peer.hpp"

using peer::u64;

namespace {

struct philosopher;
struct go {};
struct hungry {
    u64 who;
};
struct full {
    u64 who;
};
struct eat {};
struct refused {};
struct served {};

struct waiter {
    const std::vector<rondo::actor_ref<philosopher>>& guests;
    std::vector<char> taken;                  // fork i lies right of guest i
    u64 meals = 0;
    waiter(const std::vector<rondo::actor_ref<philosopher>>& g, u64 n) : guests(g), taken(n) {}
    void on(hungry h);
    void on(full f) { taken[f.who] = taken[(f.who + 1) % taken.size()] = 0; }
    u64 on(served) const { return meals; }
};
struct philosopher {
    const rondo::actor_ref<waiter>& at;
    u64 me, left;
    rondo::wait_group& finished;
    philosopher(const rondo::actor_ref<waiter>& w, u64 i, u64 meals, rondo::wait_group& f) : at(w), me(i), left(meals), finished(f) {}
    void on(go) { at.tell(hungry{me}); }
    void on(refused) { at.tell(hungry{me}); }
    void on(eat) {
        at.tell(full{me});
        if (--left == 0) finished.done();
        else at.tell(hungry{me});
    }
};
void waiter::on(hungry h) {
    char &left = taken[h.who], &right = taken[(h.who + 1) % taken.size()];
    if (left || right) return guests[h.who].tell(refused{});
    left = right = 1;
    ++meals;
    guests[h.who].tell(eat{});
}

}  // namespace

static void philosophers() {
    const auto n = peer::size("philosophers"), meals = peer::size("meals");
    u64 sum = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::actor_ref<philosopher>> guests;
        guests.reserve(n);
        const auto w = rondo::start<waiter>(guests, n);
        rondo::wait_group finished;
        finished.add(static_cast<std::ptrdiff_t>(n));
        for (u64 i = 0; i < n; ++i) guests.push_back(rondo::start<philosopher>(w, i, meals, finished));
        const peer::stopwatch watch;
        for (const auto& g : guests) g.tell(go{});
        finished.wait();
        const double took = watch.ns();
        sum = w.ask(served{});
        for (const auto& g : guests) g.stop();
        for (const auto& g : guests) g.join();
        w.stop();
        w.join();
        return took;
    });
    peer::expect(sum, n * meals);
    peer::report("time", ns / static_cast<double>(n * meals), "ns/meal", sum);
}
static peer::program<> entry{"philosophers", philosophers};
