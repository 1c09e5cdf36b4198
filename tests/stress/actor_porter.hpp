// Whom the storm of actor_storm.hpp kills: an actor that is in one state or another at any moment, and counts in which
// states it has come to its end.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "actor_states.hpp"

namespace actor_storm {

using namespace std::chrono_literals;
using namespace actor_states;

struct dice {
    std::minstd_rand next;
    explicit dice(unsigned seed) : next(seed * 2654435761u + 1) {}
    bool one_in(unsigned n) { return next() % n == 0; }
    unsigned up_to(unsigned n) { return static_cast<unsigned>(next() % n); }
    std::chrono::microseconds up_to_us(unsigned n) { return std::chrono::microseconds(up_to(n)); }
};

struct counts {
    std::atomic<long> messages{0}, objects{0}, handled{0}, answered{0}, late{0}, refused{0};
    std::atomic<unsigned> lives{0};
};

struct parcel {                              // counts itself
    counts* all;
    int what;
    std::unique_ptr<int> weight = std::make_unique<int>(1);
    parcel(counts* c, int w) : all(c), what(w) { all->messages.fetch_add(1); }
    parcel(parcel&& other) noexcept : all(other.all), what(other.what), weight(std::move(other.weight)) {
        all->messages.fetch_add(1);
    }
    ~parcel() { all->messages.fetch_sub(1); }
};
struct tick {};
struct beat {};
using team = std::vector<rondo::address<int(parcel)>>;

/// Where the porters work. The team is complete before one of them has a parcel.
struct house {
    ends& ended;
    counts all;
    rondo::channel<int> gate;
    rondo::mutex door;
    team porters;
    explicit house(ends& e) : ended(e) {}
};

template <bool IsReentrant>
struct basic_porter {
    static constexpr bool reentrant = IsReentrant;
    house* in;
    unsigned number;
    dice luck;
    std::vector<rondo::reply<int>> owed;
    bool has_every = false, has_idle_timeout = false, has_watch = false;

    basic_porter(house* h, unsigned i, unsigned seed) : in(h), number(i), luck((seed + i) * 1000 + h->all.lives++) {
        if (luck.one_in(3)) wait_in(constructing, in->ended, [&] { rondo::sleep_for(luck.up_to_us(300)); });
        in->all.objects.fetch_add(1);
    }
    basic_porter(const basic_porter&) = delete;
    ~basic_porter() {
        if (!owed.empty()) ++in->ended[owing];
        if (has_every) ++in->ended[with_every];
        if (has_idle_timeout) ++in->ended[with_idle_timeout];
        if (has_watch) ++in->ended[with_watch];
        if (luck.one_in(3)) linger(in->ended, luck.up_to_us(300));
        in->all.objects.fetch_sub(1);
    }

    void on(rondo::started) {
        if (luck.one_in(3)) wait_in(starting, in->ended, [&] { rondo::sleep_for(luck.up_to_us(300)); });
    }
    void on(parcel p, rondo::reply<int> answer) {
        in->all.handled.fetch_add(*p.weight);
        switch (p.what % 24) {
            case 0: throw std::runtime_error("dropped it");
            case 1: rondo::this_actor::stop(); break;
            case 2: owed.push_back(std::move(answer)); return;
            case 3: rondo::yield(); break;
            case 4: (void)in->gate.receive_for(luck.up_to_us(300)); break;
            case 5: rondo::this_actor::after(luck.up_to_us(200), tick{}); break;
            case 6: throw rondo::refused("too heavy");
            case 7:
                for (auto& r : owed) r.send(1);
                owed.clear();
                rondo::this_actor::unstash();
                break;
            case 8: wait_in(on_channel, in->ended, [&] { in->gate.receive(); }); break;   // until killed, or let go
            case 9: (void)next_door().try_tell(some_parcel()); break;
            case 10:
                if (IsReentrant) break;      // may not, while it owes an answer
                p.what += 1;                 // next time it is handled
                rondo::this_actor::stash(std::move(p));
                return;
            case 11: break;
            default: wait_or_begin(p.what % 24 - 12);
        }
        answer.send(p.what);
    }
    void on(tick) { in->all.handled.fetch_add(1); }
    void on(beat) { in->all.handled.fetch_add(1); }
    void on(rondo::idle) { in->all.handled.fetch_add(1); }
    void on(const rondo::down&) { has_watch = false; }

private:
    const team::value_type& next_door() const { return in->porters[(number + 1) % in->porters.size()]; }
    parcel some_parcel() { return {&in->all, static_cast<int>(luck.up_to(1000))}; }

    // Twelve things, most of them waits. Some have no end but a kill: all may wait for each other in a circle.
    void wait_or_begin(int which) {
        switch (which) {
            case 0: return wait_in(sleeping, in->ended, [&] { rondo::sleep_for(luck.up_to_us(1000)); });
            case 1: return wait_in(asking, in->ended, [&] { (void)next_door().ask(some_parcel()); });
            case 2:
            case 3:
                return wait_in(telling, in->ended, [&] {
                    for (int i = 0; i < 6; ++i) next_door().tell(some_parcel());
                });
            case 4:
            case 5:
                return wait_in(locking, in->ended, [&] {
                    const std::lock_guard hold(in->door);
                    rondo::sleep_for(luck.up_to_us(300));
                });
            case 6:
                return wait_in(selecting, in->ended, [&] {
                    rondo::select(rondo::from(in->gate, [](int) {}), rondo::joined(next_door(), [](const auto&) {}),
                                  rondo::after(1s, [] {}));
                });
            case 7: return wait_in(joining_actor, in->ended, [&] { next_door().join(); });
            case 8:
                return wait_in(joining_tasklet, in->ended, [&] {
                    rondo::spawn([d = luck.up_to_us(300)] { rondo::sleep_for(d); }).join();
                });
            case 9: return behave();
            case 10: return begin_to_watch();
            default: begin_timers();
        }
    }
    // For one message; what it keeps is a message, too.
    void behave() {
        rondo::this_actor::become([this, kept = some_parcel()](parcel p) {
            wait_in(behaving, in->ended, [&] { rondo::sleep_for(luck.up_to_us(300)); });
            rondo::this_actor::become();
            return p.what + *kept.weight;
        });
    }
    void begin_to_watch() {
        if (!has_watch) rondo::watch(next_door());
        has_watch = true;
    }
    void begin_timers() {
        if (!has_every) rondo::this_actor::every(200us + luck.up_to_us(500), beat{});
        has_every = true;
        rondo::this_actor::idle_timeout(100us + luck.up_to_us(300));
        has_idle_timeout = true;
    }
};

using porter = basic_porter<false>;
using reentrant_porter = basic_porter<true>;

}  // namespace actor_storm
