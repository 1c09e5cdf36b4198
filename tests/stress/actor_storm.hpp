// Actors under random kills, stops, crashes, restarts, limits and timers: every asker gets an answer or an error, every
// message and every object is destroyed once, nothing is left.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

namespace actor_storm {

using namespace std::chrono_literals;

constexpr unsigned porters = 8, askers = 6;
constexpr long asks = askers * 25;

struct dice {
    std::minstd_rand next;
    explicit dice(unsigned seed) : next(seed * 2654435761u + 1) {}
    bool one_in(unsigned n) { return next() % n == 0; }
    unsigned up_to(unsigned n) { return static_cast<unsigned>(next() % n); }
};

struct counts {
    std::atomic<long> messages{0}, objects{0}, handled{0}, answered{0}, late{0}, refused{0};
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

struct porter {
    counts* all;
    rondo::channel<int> gate;
    dice luck;
    std::vector<rondo::reply<int>> owed;
    rondo::actor_ref<porter> friend_of;
    porter(counts* c, rondo::channel<int> g, unsigned seed) : all(c), gate(std::move(g)), luck(seed) { all->objects.fetch_add(1); }
    porter(const porter&) = delete;
    ~porter() { all->objects.fetch_sub(1); }

    void on(parcel p, rondo::reply<int> answer) {
        all->handled.fetch_add(*p.weight);
        switch (p.what % 12) {
            case 0: throw std::runtime_error("dropped it");
            case 1: rondo::this_actor::stop(); break;
            case 2: owed.push_back(std::move(answer)); return;
            case 3: rondo::yield(); break;
            case 4: (void)gate.receive_for(std::chrono::microseconds(luck.up_to(300))); break;
            case 5: rondo::this_actor::after(std::chrono::microseconds(luck.up_to(200)), tick{}); break;
            case 6: throw rondo::refused("too heavy");
            case 7:
                for (auto& r : owed) r.send(1);
                owed.clear();
                rondo::this_actor::unstash();
                break;
            case 8: gate.receive(); break;   // until killed, or let go
            case 9:
                if (friend_of) (void)friend_of.try_tell(parcel(all, static_cast<int>(luck.up_to(12))));
                break;
            case 10:
                p.what += 1;                 // next time it is handled
                rondo::this_actor::stash(std::move(p));
                return;
            default: break;
        }
        answer.send(p.what);
    }
    void on(tick) { all->handled.fetch_add(1); }
    void on(const rondo::actor_ref<porter>& f) { friend_of = f; }
};

inline void ask_once(const rondo::actor_ref<porter>& at, counts& all, dice& luck) {
    try {
        const int what = static_cast<int>(luck.up_to(1000));
        if (luck.one_in(3)) {
            const auto answer = at.ask_for(parcel(&all, what), std::chrono::microseconds(luck.up_to(500)));
            (answer ? all.answered : all.late).fetch_add(1);
        } else {
            (void)at.ask(parcel(&all, what));
            all.answered.fetch_add(1);
        }
    } catch (const std::exception&) {
        all.refused.fetch_add(1);
    }
}

/// Empty: all is well; else what is wrong.
inline std::string play(unsigned seed, unsigned workers, bool supervised) {
    std::size_t living = 0;
    counts all;
    std::atomic<bool> over{false};
    {
        rondo::runtime rt{{.workers = workers, .on_unhandled = [](std::exception_ptr, const rondo::tasklet_info&) {}}};
        rondo::channel<int> gate;
        std::atomic<bool> is_ready{false};
        std::vector<rondo::actor_ref<porter>> team(porters);
        std::jthread foreign([&] {            // a sender from outside
            while (!is_ready.load()) std::this_thread::yield();
            dice luck(seed + 77);
            for (int i = 0; i < 30; ++i) {
                const auto& at = team[luck.up_to(porters)];
                try {
                    if (luck.one_in(2)) at.tell_for(parcel(&all, static_cast<int>(luck.up_to(1000))), 1ms);
                    else (void)at.ask_for(parcel(&all, 11), 1ms);
                } catch (const rondo::error&) {}         // it has ended
            }
        });
        rt.run([&] {
            dice luck(seed);
            rondo::supervisor boss;
            if (supervised) {
                std::vector<rondo::child_spec> seats;
                for (unsigned i = 0; i < porters; ++i)
                    seats.push_back(rondo::child<porter>(
                        rondo::child_options{.name = std::to_string(i),
                                             .when = i % 2 ? rondo::restart_when::failed : rondo::restart_when::ended,
                                             .keep_messages = i % 3 != 0,
                                             .shutdown = 1ms,
                                             .mailbox_slots = 1 + i % 4,
                                             .full = static_cast<rondo::when_full>(i % 3)},
                        &all, gate, seed + i));
                boss = rondo::supervise({.strategy = static_cast<rondo::restart>(seed % 3), .max_restarts = 1'000'000}, std::move(seats));
                for (unsigned i = 0; i < porters; ++i) team[i] = boss.ref<porter>(std::to_string(i));
            } else {
                for (unsigned i = 0; i < porters; ++i)
                    team[i] = rondo::start<porter>(rondo::actor_options{.mailbox_slots = 1 + i % 4}, &all, gate, seed + i);
                for (unsigned i = 0; i + 1 < porters; i += 4) rondo::link(team[i], team[i + 1]);
            }
            for (unsigned i = 0; i < porters; ++i) team[i].tell(team[(i + 1) % porters]);
            is_ready.store(true);
            rondo::scope([&](rondo::group& g) {
                for (unsigned s = 0; s < askers; ++s)
                    g.spawn([&, s] {
                        dice mine(seed * 31 + s);
                        for (long i = 0; i < asks / askers; ++i) ask_once(team[mine.up_to(porters)], all, mine);
                    });
                g.spawn([&] {
                    dice mine(seed * 17);
                    for (int i = 0; i < 40; ++i) {
                        const auto& at = team[mine.up_to(porters)];
                        if (mine.one_in(2)) at.kill();
                        else if (mine.one_in(supervised ? 4 : 2)) at.stop();
                        (void)gate.try_send(1);
                        rondo::yield();
                    }
                    // Whoever stands at the gate is killed, so that nobody asks for ever; then it stands open.
                    while (!over.load()) {
                        for (const auto& at : team) at.kill();
                        rondo::sleep_for(200us);
                    }
                    gate.close();
                });
                g.spawn([&] {                // ends when the askers have
                    while (g.size() > 2) rondo::sleep_for(100us);
                    over.store(true);
                });
            });
        });
        foreign.join();
        team.clear();
        (void)rt.shutdown(100ms);
        living = rondo::live_actors(rt);
    }
    std::string wrong;
    const auto expect = [&](bool holds, const char* what, auto got) {
        if (!holds) wrong += std::string(wrong.empty() ? "" : ", ") + what + ": " + std::to_string(got);
    };
    expect(living == 0, "actors left", living);
    expect(all.messages.load() == 0, "messages left", all.messages.load());
    expect(all.objects.load() == 0, "objects left", all.objects.load());
    const auto ends = all.answered.load() + all.late.load() + all.refused.load();
    expect(ends == asks, "questions that ended", ends);
    return wrong;
}

}  // namespace actor_storm
