// Selects over permits, locks, events, once, stops and time, all in one crowd: at most one clause of each goes ahead, what it
// has taken is the caller's, and what it has not taken is there for the next. Many seeds: on real workers, also with every
// tasklet resumed on another worker than the one it left and with plain threads among them; and in seeded schedules on one
// thread (testing::explore). RONDO_SEEDS=10000 for more.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <rondo/event.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>

#include "ledger.hpp"
#include "support/sanitized.hpp"

using namespace std::chrono_literals;
using namespace stress;

namespace {

constexpr int limit = 2;
using draw = std::function<unsigned(unsigned below)>;

struct crowd {
    rondo::semaphore permits{limit};
    rondo::mutex m;
    rondo::shared_mutex book;
    rondo::event door;
    std::atomic<int> inside{0}, in_m{0}, readers{0}, writers{0};
    std::atomic<long> wrong{0}, taken{0}, late{0}, told{0};

    struct count {                                        // what is thrown on the way counts out, too
        std::atomic<int>& n;
        explicit count(std::atomic<int>& of) : n(of) { ++n; }
        ~count() { --n; }
        count(const count&) = delete;
        count& operator=(const count&) = delete;
    };
    static void linger(const draw& d) {
        if (d(3) == 0) rondo::yield();
        else if (d(3) == 0) rondo::sleep_for(std::chrono::microseconds(d(60)));
    }

    // One select in a random form. False: a clause for a stop has gone ahead.
    bool once_around(const draw& d, const std::stop_token& token) {
        int calls = 0;
        bool goes_on = true;
        const auto with_permit = [&] {
            struct permit {
                rondo::semaphore& of;
                ~permit() { of.release(); }
            } mine{permits};
            ++calls, ++taken;
            const count here(inside);
            wrong += inside > limit;
            linger(d);
        };
        const auto with_m = [&](std::unique_lock<rondo::mutex>& guard) {
            ++calls, ++taken;
            const count here(in_m);
            wrong += in_m != 1 || !guard.owns_lock();
            linger(d);
        };
        const auto as_writer = [&](std::unique_lock<rondo::shared_mutex>&) {
            ++calls, ++taken;
            const count here(writers);
            wrong += writers != 1 || readers != 0;
            linger(d);
            wrong += writers != 1 || readers != 0;
        };
        const auto as_reader = [&](std::shared_lock<rondo::shared_mutex>&) {
            ++calls, ++taken;
            const count here(readers);
            wrong += writers != 0;
            linger(d);
            wrong += writers != 0;
        };
        const auto in_time = [&] { ++calls, ++late; };
        const auto stops = [&] { ++calls, ++told, goes_on = false; };
        const auto through = [&] { ++calls; };
        const std::chrono::microseconds a_while(d(80));
        using namespace rondo;
        switch (d(7)) {
            case 0: select(acquired(permits, with_permit), locked(m, with_m), after(a_while, in_time)); break;
            case 1:
                select(acquired(permits, with_permit), locked(book, as_writer), stopping(stops), stopped_by(token, stops));
                break;
            case 2: select(locked_shared(book, as_reader), acquired(permits, with_permit), otherwise(in_time)); break;
            case 3:
                select(waited(door, through), locked_shared(book, as_reader), stopping(stops), after(a_while, in_time));
                break;
            case 4:
                select(in_order, locked(book, as_writer), locked(m, with_m), stopped_by(token, stops), stopping(stops));
                break;
            case 5: select(waited(door, through), stopped_by(token, stops), after(a_while, in_time)); break;
            default:
                if (!within(a_while, [&] { select(acquired(permits, with_permit), locked_shared(book, as_reader)); }))
                    calls = 1;                            // before one was chosen, or in its function
        }
        wrong += calls != 1;
        return goes_on;
    }

    // Nobody is left inside, and nothing is missing.
    [[nodiscard]] std::string faults() {
        std::string text;
        int left = 0;
        while (permits.try_acquire()) ++left;
        if (left != limit) text += "permits: " + std::to_string(left) + "; ";
        if (!m.try_lock()) text += "the mutex is held; ";
        else m.unlock();
        if (!book.try_lock()) text += "the shared_mutex is held; ";
        else book.unlock();
        if (wrong != 0) text += std::to_string(wrong) + " things went wrong; ";
        return text;
    }
};

void knock(crowd& c, const draw& d, int times) {
    for (int i = 0; i < times; ++i) {
        c.door.set();
        if (d(2)) c.door.reset();
        rondo::yield();
    }
    c.door.set();
}

}  // namespace

TEST_CASE("selects over locks, permits and stops lose nothing and take nothing twice", "[stress][select]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const bool with_threads = GENERATE(false, true);
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2 * 2)));
    constexpr unsigned members = 24;
    const int rounds = migrate ? 15 : 60;
    crowd c;
    std::array<std::stop_source, members> sources;
    std::vector<std::thread> threads;
    if (with_threads)
        for (unsigned i = 0; i < 2; ++i)
            threads.emplace_back([&, i] {
                dice d(seed * 1000 + 500 + i);
                const draw from_dice = [&](unsigned n) { return d.below(n); };
                for (int k = 0; k < rounds && c.once_around(from_dice, sources[i].get_token()); ++k) {}
            });
    rondo::run(options_for(workers, migrate), [&] {
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < members; ++i)
            all.push_back(rondo::spawn([&, i] {
                dice d(seed * 1000 + i);
                const draw from_dice = [&](unsigned n) { return d.below(n); };
                for (int k = 0; k < rounds && c.once_around(from_dice, sources[i].get_token()); ++k) {}
            }));
        dice d(seed);
        const draw from_dice = [&](unsigned n) { return d.below(n); };
        knock(c, from_dice, 20);
        for (unsigned i = 0; i < members; ++i) {
            if (d.below(3) == 0) rondo::yield();
            if (d.below(4) == 0) all[i].stop();
            else if (d.below(4) == 0) sources[i].request_stop();
        }
        for (auto& t : all) {
            try {
                t.join();
            } catch (const rondo::stopped&) {
            }
        }
    });
    for (auto& s : sources) s.request_stop();
    for (auto& t : threads) t.join();
    CHECK(c.faults() == "");
    CHECK(c.taken > 0);
}

TEST_CASE("selects over locks, permits and stops in every schedule", "[stress][select]") {
    const unsigned seeds = support::seeds_or(support::sanitized ? 300 : 2'000);
    long taken = 0, told = 0, late = 0;
    const auto report = rondo::testing::explore({.seeds = seeds}, [&] {
        const draw d = [](unsigned n) { return support::up_to(n); };
        crowd c;
        std::array<std::stop_source, 7> sources;
        std::vector<rondo::tasklet<void>> all;
        for (auto& s : sources)
            all.push_back(rondo::spawn([&] {
                for (int k = 0; k < 4 && c.once_around(d, s.get_token()); ++k) {}
            }));
        knock(c, d, 3);
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (d(3) == 0) all[i].stop();
            else if (d(3) == 0) sources[i].request_stop();
            if (d(2)) rondo::yield();
        }
        for (auto& t : all) {
            try {
                t.join();
            } catch (const rondo::stopped&) {
            }
        }
        if (const auto faults = c.faults(); !faults.empty()) throw std::runtime_error(faults);
        taken += c.taken, told += c.told, late += c.late;
    });
    CHECK(report.ok());
    INFO(taken << " taken, " << told << " told, " << late << " late");
    CHECK(std::min({taken, told, late}) > static_cast<long>(seeds) / 10);
}
