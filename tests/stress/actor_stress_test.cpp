// Actors on real workers, on several seeds: the storm of actor_storm.hpp, and many senders to one. RONDO_SEEDS for more.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "actor_storm.hpp"
#include "support/seeds.hpp"

TEST_CASE("actors killed in every state: no message, object or asker is lost", "[actor]") {
    const unsigned seeds = support::seeds_or(96);
    actor_states::ends ended{};
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        CHECK(actor_storm::play(seed, 1 + seed % 4, seed / 4 % 2 == 0, ended) == "");
    }
    for (unsigned s = 0; s < actor_states::states && seeds >= 96; ++s) {
        INFO("killed " << actor_states::state_names[s]);
        CHECK(ended[s] > 0);
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

TEST_CASE("many senders to one actor that drops its oldest: each message handled or dropped, in order", "[actor]") {
    struct item {
        unsigned sender, number;
        std::unique_ptr<int> weight = std::make_unique<int>(1);          // a leak, or a second end, would show
    };
    struct counts {};
    struct sink {
        std::vector<unsigned> next = std::vector<unsigned>(8);
        long wrong = 0, taken = 0;
        void on(const item& i) {
            wrong += i.number < next[i.sender];
            next[i.sender] = i.number + 1;
            taken += *i.weight;
            if (taken % 64 == 0) rondo::yield();
        }
        std::pair<long, long> on(counts) const { return {taken, wrong}; }
    };
    for (unsigned seed = 1; seed <= 12; ++seed) {
        const auto slots = std::size_t{1} << (seed % 8);
        rondo::runtime rt{{.workers = 1 + seed % 4, .force_migration = seed % 3 == 0}};
        const rondo::actor_options inbox{.mailbox_slots = slots, .full = rondo::when_full::drop_oldest};
        auto s = rondo::start_on<sink>(rt, inbox);
        const auto send_all = [s](unsigned me) {
            for (unsigned i = 0; i < 1000; ++i) s.tell(item{me, i});
        };
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 2; ++t) threads.emplace_back(send_all, t);
        rt.run([&] {
            rondo::scope([&](rondo::group& g) {
                for (unsigned t = 2; t < 8; ++t) g.spawn(send_all, t);
            });
        });
        for (auto& t : threads) t.join();
        const auto [taken, wrong] = s.ask(counts{});
        CHECK(taken + static_cast<long>(rondo::dead_letters(rt).dropped_oldest) == 8 * 1000);
        CHECK(wrong == 0);
        CHECK(s.mailbox_size() == 0);
    }
}
