// What does a look into a dictionary cost that an actor guards?
#include <rondo/rondo.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

struct client;
struct go {};
struct read {
    u64 key, from;
};
struct write {
    u64 key, value, from;
};
struct found {
    u64 value;                                // 0: nothing there
};
struct served {};
u64 value_of(u64 key) { return key * 1'000'003 + 1; }

struct dictionary_actor {
    const std::vector<rondo::actor_ref<client>>& clients;
    std::unordered_map<u64, u64> table;
    u64 requests = 0;
    explicit dictionary_actor(const std::vector<rondo::actor_ref<client>>& c) : clients(c) {}
    void on(read r);
    void on(write w);
    u64 on(served) const { return requests; }
};
struct client {
    const rondo::actor_ref<dictionary_actor>& at;
    u64 me, left, writes, state;
    rondo::wait_group& finished;
    u64 asked = 0, wrong = 0;
    client(const rondo::actor_ref<dictionary_actor>& d, u64 i, u64 requests, u64 w, rondo::wait_group& f)
        : at(d), me(i), left(requests), writes(w), state(i + 1), finished(f) {}
    void next() {
        asked = peer::xorshift64(state) % 512;
        if (peer::xorshift64(state) % 100 < writes) at.tell(write{asked, value_of(asked), me});
        else at.tell(read{asked, me});
    }
    void on(go) { next(); }
    void on(found f) {
        wrong += f.value != 0 && f.value != value_of(asked);
        if (--left == 0) finished.done();
        else next();
    }
    u64 on(served) const { return wrong; }
};
void dictionary_actor::on(read r) {
    ++requests;
    const auto at = table.find(r.key);
    clients[r.from].tell(found{at == table.end() ? 0 : at->second});
}
void dictionary_actor::on(write w) {
    ++requests;
    table[w.key] = w.value;
    clients[w.from].tell(found{w.value});
}

}  // namespace

static void dictionary() {
    const auto n = peer::size("clients"), requests = peer::size("requests"), writes = peer::size("writes");
    u64 sum = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        std::vector<rondo::actor_ref<client>> clients;
        clients.reserve(n);
        const auto d = rondo::start<dictionary_actor>(clients);
        rondo::wait_group finished;
        finished.add(static_cast<std::ptrdiff_t>(n));
        for (u64 i = 0; i < n; ++i) clients.push_back(rondo::start<client>(d, i, requests, writes, finished));
        const peer::stopwatch watch;
        for (const auto& c : clients) c.tell(go{});
        finished.wait();
        const double took = watch.ns();
        sum = d.ask(served{});
        for (const auto& c : clients) sum += c.ask(served{});         // wrong answers
        for (const auto& c : clients) c.stop();
        for (const auto& c : clients) c.join();
        d.stop();
        d.join();
        return took;
    });
    peer::expect(sum, n * requests);
    peer::report("time", ns / static_cast<double>(n * requests), "ns/request", sum);
}
static peer::program<> entry{"dictionary", dictionary};
