// What does a meeting cost that a busy actor in the middle arranges?
#include <rondo/rondo.hpp>
#include <utility>
#include <vector>

#include "../common/peer.hpp"

using peer::u64;

namespace {

enum class colour : unsigned { red, yellow, blue };
colour complement(colour a, colour b) {
    return a == b ? a : static_cast<colour>(3 - static_cast<unsigned>(a) - static_cast<unsigned>(b));
}

struct creature;
struct mall;
struct go {};
struct meet {                                 // to the mall: a partner, please; to a creature: here is one
    rondo::actor_ref<creature> who;
    colour has;
};
struct change {
    colour to;
};
struct closed {};
struct seen {};

struct creature {
    const rondo::actor_ref<mall>& at;
    colour has;
    u64 met = 0;
    creature(const rondo::actor_ref<mall>& m, colour c) : at(m), has(c) {}
    void ask_for_partner();
    void on(go) { ask_for_partner(); }
    void on(const meet& m) {
        has = complement(has, m.has);
        m.who.tell(change{has});
        ++met;
        ask_for_partner();
    }
    void on(change c) {
        has = c.to;
        ++met;
        ask_for_partner();
    }
    u64 on(seen) const { return met; }
};
struct mall {
    u64 left, creatures;
    rondo::channel<u64> finished;
    rondo::actor_ref<creature> first = {};
    colour first_has{};
    u64 turned_away = 0;
    mall(u64 meetings, u64 n, rondo::channel<u64> f) : left(meetings), creatures(n), finished(std::move(f)) {}
    void on(meet m) {
        if (left == 0) {
            if (++turned_away == creatures) finished.send(turned_away);
        } else if (!first) {
            first = std::move(m.who);
            first_has = m.has;
        } else {
            --left;
            first.tell(m);
            first = {};
        }
    }
};
void creature::ask_for_partner() { at.tell(meet{rondo::this_actor::ref<creature>(), has}); }

}  // namespace

static void chameneos() {
    const auto n = peer::size("chameneos"), meetings = peer::size("meetings");
    u64 sum = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        rondo::channel<u64> finished;
        const auto middle = rondo::start<mall>(meetings, n, finished);
        std::vector<rondo::actor_ref<creature>> all;
        for (u64 i = 0; i < n; ++i) all.push_back(rondo::start<creature>(middle, static_cast<colour>(i % 3)));
        const peer::stopwatch watch;
        for (const auto& a : all) a.tell(go{});
        finished.receive();
        const double took = watch.ns();
        for (const auto& a : all) sum += a.ask(seen{});
        for (const auto& a : all) a.stop();
        for (const auto& a : all) a.join();
        return took;
    });
    peer::expect(sum, 2 * meetings);
    peer::report("time", ns / static_cast<double>(meetings), "ns/meeting", sum);
}
static peer::program<> entry{"chameneos", chameneos};
