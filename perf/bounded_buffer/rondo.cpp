// What does an item cost that goes through an actor which keeps few of them?
#include <rondo/rondo.hpp>
#include <deque>
#include <utility>
#include <vector>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

u64 work(u64 state, u64 steps) {
    for (; steps > 0; --steps) peer::xorshift64(state);
    return state;
}

struct producer;
struct consumer;
struct produce {};
struct item {                                 // to the manager, from a producer; to a consumer, from the manager
    u64 from, value;
};
struct free_again {
    u64 who;
};
struct totals {};

struct manager {
    const std::vector<rondo::actor_ref<producer>>& producers;
    const std::vector<rondo::actor_ref<consumer>>& consumers;
    u64 slots, left;
    rondo::channel<u64> finished;
    std::deque<u64> kept, waiting = {}, idle = {};
    manager(const std::vector<rondo::actor_ref<producer>>& p, const std::vector<rondo::actor_ref<consumer>>& c, u64 s, u64 all,
            rondo::channel<u64> f)
        : producers(p), consumers(c), slots(s), left(all), finished(std::move(f)) {}
    void on(item i);
    void on(free_again f);
    void give();
};
struct producer {
    const rondo::actor_ref<manager>& at;
    u64 me, left, steps, state, sum = 0;
    producer(const rondo::actor_ref<manager>& m, u64 i, u64 items, u64 s) : at(m), me(i), left(items), steps(s), state(i + 1) {}
    void on(produce) {
        if (left == 0) return;
        --left;
        state = work(state, steps);
        sum += state;
        at.tell(item{me, state});
    }
    u64 on(totals) const { return sum; }
};
struct consumer {
    const rondo::actor_ref<manager>& at;
    u64 me, steps, sum = 0;
    volatile u64 used = 0;
    consumer(const rondo::actor_ref<manager>& m, u64 i, u64 s) : at(m), me(i), steps(s) {}
    void on(item i) {
        used = work(i.value, steps);
        sum += i.value;
        at.tell(free_again{me});
    }
    u64 on(totals) const { return sum; }
};
void manager::give() {
    while (!kept.empty() && !idle.empty()) {
        consumers[idle.front()].tell(item{0, kept.front()});
        idle.pop_front();
        kept.pop_front();
    }
    while (!waiting.empty() && kept.size() < slots) {
        producers[waiting.front()].tell(produce{});
        waiting.pop_front();
    }
}
void manager::on(item i) {
    kept.push_back(i.value);
    waiting.push_back(i.from);
    give();
}
void manager::on(free_again f) {
    idle.push_back(f.who);
    if (--left == 0) finished.send(1);
    give();
}

}  // namespace

static void bounded_buffer() {
    const auto p = peer::size("producers"), c = peer::size("consumers"), items = peer::size("items"), slots = peer::size("slots"),
               steps = peer::size("steps");
    u64 made = 0, used = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::actor_ref<producer>> producers;
        std::vector<rondo::actor_ref<consumer>> consumers;
        producers.reserve(p);
        consumers.reserve(c);
        rondo::channel<u64> finished;
        const auto m = rondo::start<manager>(producers, consumers, slots, p * items + c, finished);
        for (u64 i = 0; i < p; ++i) producers.push_back(rondo::start<producer>(m, i, items, steps));
        for (u64 i = 0; i < c; ++i) consumers.push_back(rondo::start<consumer>(m, i, steps));
        const peer::stopwatch watch;
        for (u64 i = 0; i < c; ++i) m.tell(free_again{i});
        for (const auto& a : producers) a.tell(produce{});
        finished.receive();
        const double took = watch.ns();
        for (const auto& a : producers) made += a.ask(totals{});
        for (const auto& a : consumers) used += a.ask(totals{});
        for (const auto& a : producers) a.stop();
        for (const auto& a : producers) a.join();
        for (const auto& a : consumers) a.stop();
        for (const auto& a : consumers) a.join();
        m.stop();
        m.join();
        return took;
    });
    peer::expect(used, made);
    peer::report("time", ns / static_cast<double>(p * items), "ns/item", used);
}
static peer::program<> entry{"bounded_buffer", bounded_buffer};
