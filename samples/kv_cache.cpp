// A cache of keys and values with a time to live, spread over actors by key. A shard is killed in the middle of the
// traffic and comes back, empty: its clients miss, load again, and never hang or see a wrong value.
//
//     kv_cache [clients [requests]]
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

#include "command_line.hpp"

using namespace std::chrono_literals;

struct put {
    std::string key, value;
    const std::string& routing_key() const { return key; }
};
struct get {
    std::string key;
    const std::string& routing_key() const { return key; }
};
struct sweep {};
struct entries {};

/// Holds the keys that the pool sends it. Old ones go when they are asked for, and at each sweep.
class shard {
public:
    using timer_messages = rondo::timer_list<sweep>;
    void on(rondo::started) { rondo::this_actor::every(5ms, sweep{}); }
    void on(put p) { held_[std::move(p.key)] = {std::move(p.value), rondo::now() + 20ms}; }
    std::optional<std::string> on(const get& g) const {
        const auto found = held_.find(g.key);
        if (found == held_.end() || found->second.until < rondo::now()) return std::nullopt;
        return found->second.value;
    }
    void on(sweep) {
        std::erase_if(held_, [now = rondo::now()](const auto& e) { return e.second.until < now; });
    }
    std::size_t on(entries) const { return held_.size(); }

private:
    struct entry {
        std::string value;
        decltype(rondo::now()) until;
    };
    std::unordered_map<std::string, entry> held_;
};

struct tally {
    std::atomic<long> hits{0}, misses{0}, lost{0}, wrong{0};
};

void be_client(const rondo::pool<shard>& cache, unsigned number, long requests, tally& counted) {
    for (long i = 0; i < requests; ++i) {
        const std::string key = fmt::format("key {}", (static_cast<unsigned long>(i) * 7 + number) % 97);
        try {
            if (const auto value = cache.ask(get{key})) {
                ++counted.hits;
                if (*value != "value of " + key) ++counted.wrong;
            } else {
                ++counted.misses;
                cache.tell(put{key, "value of " + key});
            }
        } catch (const rondo::actor_ended&) {
            ++counted.lost;                  // it was being answered when the shard was killed: an error, not a hang
        }
        if (i % 100 == 0) rondo::yield();
    }
}

std::size_t size_of(const rondo::pool<shard>& cache) {
    std::size_t n = 0;
    for (const auto& member : cache.members()) n += member.ask(entries{});
    return n;
}

int serve(unsigned clients, long requests) {
    tally counted;
    const bool is_clean = rondo::run([&] {
        const rondo::pool<shard> cache(4, rondo::routing::consistent_hash);
        rondo::scope([&](rondo::group& g) {
            for (unsigned c = 0; c < clients; ++c)
                g.spawn([&, c] { be_client(cache, c, requests, counted); });
            for (int i = 0; i < 3; ++i) {
                cache.members()[static_cast<std::size_t>(i)].kill();
                rondo::sleep_for(1ms);
            }
        });
        fmt::print(stderr, "{} hits, {} misses, {} lost with a shard\n", counted.hits.load(), counted.misses.load(),
                   counted.lost.load());
        // The sweeps take what is left. They need some 25 ms; a machine that is busy with other things, more.
        const bool is_swept = rondo::within(20s, [&] {
            while (size_of(cache) > 0) rondo::sleep_for(5ms);
        });
        std::size_t restarts = 0;
        for (const auto& child : cache.supervisor().children()) restarts += child.restarts;
        fmt::print("{} shards were killed and came back; {}\n", restarts,
                   is_swept ? "no entry outlived its time" : "some entries outlived their time");
        return restarts == 3 && is_swept;
    });
    const long answers = counted.hits + counted.misses + counted.lost;
    fmt::print("{} requests, {} answers, {} wrong\n", clients * requests, answers, counted.wrong.load());
    return is_clean && counted.wrong == 0 && answers == clients * requests ? 0 : 1;
}

int main(int argc, char** argv) {
    return samples::run_main("kv_cache", [&] {
        const samples::arguments given(argc, argv, "[CLIENTS [REQUESTS]]", 2);
        return serve(static_cast<unsigned>(given.number(1, "CLIENTS", 20, 1, 100'000)),
                     static_cast<long>(given.number(2, "REQUESTS", 1'000, 0, 1'000'000'000)));
    });
}
