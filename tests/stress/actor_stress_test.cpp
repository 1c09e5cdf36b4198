// Actors under random kills, stops, crashes, restarts, limits and timers, on several seeds: every asker gets an answer
// or an error, every message and every object is destroyed once, nothing is left.
#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/seeds.hpp"

using namespace std::chrono_literals;

namespace {

struct dice {
    std::minstd_rand next;
    explicit dice(unsigned seed) : next(seed * 2654435761u + 1) {}
    bool one_in(unsigned n) { return next() % n == 0; }
    unsigned up_to(unsigned n) { return static_cast<unsigned>(next() % n); }
};

struct counts {
    std::atomic<long> messages{0}, objects{0}, handled{0}, answered{0}, refused{0};
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
                break;
            case 8: gate.receive(); break;   // until killed, or let go
            case 9:
                if (friend_of) (void)friend_of.try_tell(parcel(all, static_cast<int>(luck.up_to(12))));
                break;
            default: break;
        }
        answer.send(p.what);
    }
    void on(tick) { all->handled.fetch_add(1); }
    void on(const rondo::actor_ref<porter>& f) { friend_of = f; }
};

void ask_once(const rondo::actor_ref<porter>& at, counts& all, dice& luck) {
    try {
        const int what = static_cast<int>(luck.up_to(1000));
        if (luck.one_in(3)) {
            if (at.ask_for(parcel(&all, what), std::chrono::microseconds(luck.up_to(500)))) all.answered.fetch_add(1);
        } else {
            (void)at.ask(parcel(&all, what));
            all.answered.fetch_add(1);
        }
    } catch (const std::exception&) {
        all.refused.fetch_add(1);
    }
}

void storm(unsigned seed, unsigned workers, bool supervised) {
    counts all;
    std::atomic<bool> over{false};
    {
        rondo::runtime rt{{.workers = workers, .on_unhandled = [](std::exception_ptr, const rondo::tasklet_info&) {}}};
        rondo::channel<int> gate;
        constexpr unsigned porters = 8;
        std::atomic<bool> is_ready{false};
        std::vector<rondo::actor_ref<porter>> team(porters);
        std::thread foreign([&] {            // a sender from outside
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
                                             .mailbox_slots = 1 + i % 4},
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
                for (unsigned s = 0; s < 6; ++s)
                    g.spawn([&, s] {
                        dice mine(seed * 31 + s);
                        for (int i = 0; i < 25; ++i) ask_once(team[mine.up_to(porters)], all, mine);
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
                    // Whoever still stands at the gate, or is sent there, is killed, so that nobody waits for ever.
                    while (!over.load()) {
                        for (const auto& at : team) at.kill();
                        rondo::sleep_for(200us);
                    }
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
        CHECK(rondo::live_actors(rt) == 0);
    }
    CHECK(all.messages.load() == 0);
    CHECK(all.objects.load() == 0);
    CHECK(all.answered.load() + all.refused.load() <= 150);
}

}  // namespace

TEST_CASE("actors killed in every state: no message, object or asker is lost", "[actor]") {
    const unsigned seeds = support::seeds_or(40);
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        storm(seed, 1 + seed % 4, seed % 2 == 0);
    }
}

TEST_CASE("many senders to one actor with a small mailbox: each message once, in each sender's order", "[actor]") {
    struct item {
        unsigned sender, number;
    };
    struct sum {};
    struct sink {
        std::vector<unsigned> next = std::vector<unsigned>(16);
        long wrong = 0, taken = 0;
        void on(item i) {
            wrong += next[i.sender]++ != i.number;
            ++taken;
        }
        std::pair<long, long> on(sum) const { return {taken, wrong}; }
    };
    for (unsigned seed = 1; seed <= 12; ++seed) {
        const auto slots = std::size_t{1} << (seed % 8);
        rondo::runtime rt{{.workers = 1 + seed % 4, .force_migration = seed % 3 == 0}};
        auto s = rondo::start_on<sink>(rt, rondo::actor_options{.mailbox_slots = slots});
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 2; ++t)
            threads.emplace_back([s, t] {
                for (unsigned i = 0; i < 500; ++i) s.tell(item{t, i});
            });
        rt.run([&] {
            rondo::scope([&](rondo::group& g) {
                for (unsigned t = 2; t < 16; ++t)
                    g.spawn([s, t] {
                        for (unsigned i = 0; i < 500; ++i) s.tell(item{t, i});
                    });
            });
        });
        for (auto& t : threads) t.join();
        const auto [taken, wrong] = s.ask(sum{});
        CHECK(taken == 16 * 500);
        CHECK(wrong == 0);
    }
}
