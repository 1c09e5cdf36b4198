// Actors under random kills, stops, crashes, restarts, limits and timers: every asker gets an answer or an error, every
// message and every object is destroyed once, nothing is left, and no lock is held by the dead.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "actor_porter.hpp"

namespace actor_storm {

constexpr unsigned porters = 8, askers = 6;
constexpr long asks = askers * 25;

inline void ask_once(const team::value_type& at, counts& all, dice& luck) {
    try {
        const int what = static_cast<int>(luck.up_to(1000));
        if (luck.one_in(3)) {
            const auto answer = at.ask_for(parcel(&all, what), luck.up_to_us(500));
            (answer ? all.answered : all.late).fetch_add(1);
        } else {
            (void)at.ask(parcel(&all, what));
            all.answered.fetch_add(1);
        }
    } catch (const std::exception&) {
        all.refused.fetch_add(1);
    }
}

// From outside.
inline void send_some(house& in, dice luck) {
    for (int i = 0; i < 30; ++i) {
        const auto& at = in.porters[luck.up_to(porters)];
        try {
            if (luck.one_in(2)) at.tell_for(parcel(&in.all, static_cast<int>(luck.up_to(1000))), 1ms);
            else (void)at.ask_for(parcel(&in.all, 11), 1ms);
        } catch (const rondo::error&) {}                 // it has ended
    }
}

inline bool is_reentrant(unsigned i, unsigned seed) { return (seed + i) % 5 == 4; }

template <class Porter>
rondo::child_spec seat(unsigned i, house& in, unsigned seed) {
    return rondo::child<Porter>(rondo::child_options{.name = std::to_string(i),
                                                     .when = i % 2 ? rondo::restart_when::failed
                                                                   : rondo::restart_when::ended,
                                                     .keep_messages = i % 3 != 0,
                                                     .shutdown = 1ms,
                                                     .mailbox_slots = 1 + i % 4,
                                                     .full = static_cast<rondo::when_full>(i % 3)},
                                &in, i, seed);
}
inline rondo::supervisor supervise_team(house& in, unsigned seed) {
    std::vector<rondo::child_spec> seats;
    for (unsigned i = 0; i < porters; ++i)
        seats.push_back(is_reentrant(i, seed) ? seat<reentrant_porter>(i, in, seed) : seat<porter>(i, in, seed));
    auto boss = rondo::supervise({.strategy = static_cast<rondo::restart>(seed / 8 % 3),
                                  .max_restarts = 1'000'000,
                                  .backoff = seed % 5 ? 0us : 20us,
                                  .longest_backoff = 200us},
                                 std::move(seats));
    for (unsigned i = 0; i < porters; ++i) {
        if (is_reentrant(i, seed)) in.porters[i] = boss.ref<reentrant_porter>(std::to_string(i));
        else in.porters[i] = boss.ref<porter>(std::to_string(i));
    }
    return boss;
}
inline void start_team(house& in, unsigned seed) {
    for (unsigned i = 0; i < porters; ++i) {
        const rondo::actor_options options{.mailbox_slots = 1 + i % 4};
        if (is_reentrant(i, seed)) in.porters[i] = rondo::start<reentrant_porter>(options, &in, i, seed);
        else in.porters[i] = rondo::start<porter>(options, &in, i, seed);
    }
    for (unsigned i = 0; i + 1 < porters; i += 4) rondo::link(in.porters[i], in.porters[i + 1]);
}
// Kills and stops some, then all, again and again, until nobody asks any more: who waits without an end, or whom that one
// asks, is killed some time.
inline void rage(house& in, dice luck, unsigned stops, const std::atomic<bool>& is_over) {
    for (int i = 0; i < 40; ++i) {
        const auto& at = in.porters[luck.up_to(porters)];
        if (luck.one_in(2)) at.kill();
        else if (luck.one_in(stops)) at.stop();
        (void)in.gate.try_send(1);
        rondo::yield();
    }
    while (!is_over.load()) {
        for (const auto& at : in.porters) at.kill();
        rondo::sleep_for(200us);
    }
    in.gate.close();
}

/// Empty: all is well; else what is wrong. Supervised: who is killed lives again.
inline std::string play(unsigned seed, unsigned workers, bool supervised, ends& ended) {
    std::size_t living = 0;
    house in(ended);
    std::atomic<bool> over{false};
    {
        rondo::runtime rt{{.workers = workers,
                           .on_unhandled = [](std::exception_ptr, const rondo::tasklet_info&) {},
                           .force_migration = seed % 3 == 0}};
        std::atomic<bool> is_ready{false};
        in.porters.resize(porters);
        std::jthread foreign([&] {
            while (!is_ready.load()) std::this_thread::yield();
            send_some(in, dice(seed + 77));
        });
        rt.run([&] {
            rondo::supervisor boss;
            if (supervised) boss = supervise_team(in, seed);
            else start_team(in, seed);
            is_ready.store(true);
            rondo::scope([&](rondo::group& g) {
                for (unsigned s = 0; s < askers; ++s)
                    g.spawn([&, s] {
                        dice mine(seed * 31 + s);
                        for (long i = 0; i < asks / askers; ++i) ask_once(in.porters[mine.up_to(porters)], in.all, mine);
                    });
                g.spawn([&] { rage(in, dice(seed * 17), supervised ? 4 : 2, over); });
                g.spawn([&] {                // ends when the askers have
                    while (g.size() > 2) rondo::sleep_for(100us);
                    over.store(true);
                });
            });
        });
        foreign.join();
        for (int i = 0; i < 50 && !rt.shutdown(100ms).empty(); ++i) {}      // on a busy machine it takes its time
        living = rondo::live_actors(rt);
    }
    std::string wrong;
    const auto expect = [&](bool holds, const char* what, auto got) {
        if (!holds) wrong += std::string(wrong.empty() ? "" : ", ") + what + ": " + std::to_string(got);
    };
    expect(living == 0, "actors left", living);
    expect(in.all.messages.load() == 0, "messages left", in.all.messages.load());
    expect(in.all.objects.load() == 0, "objects left", in.all.objects.load());
    in.porters.clear();                      // handles may outlive the runtime
    const auto told = in.all.answered.load() + in.all.late.load() + in.all.refused.load();
    expect(told == asks, "questions that ended", told);
    const bool is_free = in.door.try_lock();
    if (is_free) in.door.unlock();
    expect(is_free, "locks that nobody holds", 0);
    return wrong;
}

}  // namespace actor_storm
