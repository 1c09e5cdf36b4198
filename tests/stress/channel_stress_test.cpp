// Channels under random sends, receives, selects, tries, limits, stops and closes: what is sent is received exactly once.
// Several seeds, also with every tasklet resumed on another worker than the one it left.
// RONDO_SEEDS=10000 for more of them, in all.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "ledger.hpp"

using namespace std::chrono_literals;
using namespace stress;
using rondo::channel;

namespace {

using line = channel<value>;

line make_line(int kind) {
    switch (kind) {
        case 0: return line{};
        case 1: return line{rondo::handoff::sender};
        case 2: return line{rondo::spin_locked};
        case 3: return line{1};
        case 4: return line{3};
        case 5: return line{rondo::spin_locked, 2};
        default: return line{rondo::unbounded};
    }
}

// One send in a random form. Throws closed, stopped.
void send_somehow(dice& d, line& a, line& b, std::size_t v, ledger& all) {
    parcel it(v, all);
    const auto sent = [&] { it.sent(); };
    switch (d.below(5)) {
        case 0:
            a.send(std::move(it.p));
            sent();
            break;
        case 1:
            if (a.send_for(std::move(it.p), d.up_to_us(80))) sent();
            break;
        case 2:
            if (a.try_send(it.p)) sent();
            break;
        case 3:
            rondo::select(rondo::to(a, it.p, sent), rondo::to(b, it.p, sent), rondo::after(d.up_to_us(80), [] {}));
            break;
        default:
            if (rondo::within(d.up_to_us(80), [&] { a.send(std::move(it.p)); })) sent();
    }
}
// One receive in a random form. False: closed.
bool receive_somehow(dice& d, line& a, line& b, ledger& all) {
    const auto got = [&](value p) { all.received(*p); };
    switch (d.below(5)) {
        case 0:
            if (auto p = a.next()) return got(std::move(*p)), true;
            return false;
        case 1:
            if (auto p = a.receive_for(d.up_to_us(80))) got(std::move(*p));
            return true;
        case 2:
            if (auto p = b.try_receive()) got(std::move(*p));
            return true;
        case 3: return rondo::select(rondo::from(a, got), rondo::from(b, got), rondo::after(d.up_to_us(80), [] {}));
        default: {
            auto p = rondo::within(d.up_to_us(80), [&] { return a.next(); });
            if (p && *p) got(std::move(**p));
            return !p || *p;
        }
    }
}

}  // namespace

TEST_CASE("channels lose no value and make none, whatever stops, gives up or closes", "[stress][channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto kind = GENERATE(0, 1, 2, 3, 4, 5, 6);
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2 * 7)));
    constexpr unsigned senders = 6, receivers = 6;
    const std::size_t each = migrate ? 40 : 150;
    ledger all(senders * each);
    std::ptrdiff_t left = 0;
    rondo::run(options_for(workers, migrate), [&] {
        line a = make_line(kind), b = make_line(static_cast<int>(seed % 2) ? 0 : kind);
        std::vector<rondo::tasklet<void>> sending, receiving;
        for (unsigned i = 0; i < senders; ++i)
            sending.push_back(rondo::spawn([&, i, a, b]() mutable {
                dice d(seed * 100 + i);
                try {
                    for (std::size_t k = 0; k < each; ++k) {
                        if (d.below(2)) send_somehow(d, a, b, i * each + k, all);
                        else send_somehow(d, b, a, i * each + k, all);
                        if (d.below(16) == 0) rondo::yield();
                    }
                } catch (const rondo::closed&) {
                }
            }));
        for (unsigned i = 0; i < receivers; ++i)
            receiving.push_back(rondo::spawn([&, i, a, b]() mutable {
                dice d(seed * 100 + 50 + i);
                try {
                    while (d.below(2) ? receive_somehow(d, a, b, all) : receive_somehow(d, b, a, all)) {}
                } catch (const rondo::closed&) {
                }
            }));
        // Some are stopped at random moments; the channels are closed while there is still something going on, or later.
        dice d(seed);
        const auto stop_some = [&](std::vector<rondo::tasklet<void>>& some) {
            for (auto& t : some)
                if (d.below(4) == 0) {
                    for (auto n = d.below(20); n > 0; --n) rondo::yield();
                    t.stop();
                }
        };
        stop_some(receiving);
        stop_some(sending);
        if (seed % 2) {
            rondo::sleep_for(d.up_to_us(500));
            a.close();
        }
        // Senders that nobody serves any more: the closing ends them.
        rondo::sleep_for(2ms);
        for (auto n = 0; n < 200 && !all_done(sending); ++n) rondo::sleep_for(500us);
        a.close();
        b.close();
        join_all(sending);
        join_all(receiving);
        while (auto p = a.try_receive()) all.received(**p);      // slots keep theirs
        while (auto p = b.try_receive()) all.received(**p);
        left = a.balance() + b.balance();
    });
    CHECK(all.twice == 0);
    CHECK(all.lost_or_made() == 0);
    CHECK(all.not_kept == 0);
    CHECK(left == 0);
}

TEST_CASE("plain threads and tasklets lose no value between them", "[stress][channel][threads]") {
    const auto kind = GENERATE(0, 2, 3, 6);
    const auto seed = GENERATE(1u, 2u, 3u);
    constexpr unsigned threads = 3;
    constexpr std::size_t each = 200;
    ledger all(2 * threads * each);
    line a = make_line(kind), b = make_line(0);
    {
        rondo::runtime rt({.workers = 2, .force_migration = seed % 3 == 0});
        const auto send = [&, a, b](unsigned i) mutable {
            dice d(seed * 100 + i);
            try {
                for (std::size_t k = 0; k < each; ++k) send_somehow(d, k % 2 ? a : b, k % 2 ? b : a, i * each + k, all);
            } catch (const rondo::closed&) {
            }
        };
        const auto receive = [&, a, b](unsigned i) mutable {
            dice d(seed * 100 + 50 + i);
            try {
                while (d.below(2) ? receive_somehow(d, a, b, all) : receive_somehow(d, b, a, all)) {}
            } catch (const rondo::closed&) {
            }
        };
        std::vector<std::thread> out, in;
        std::vector<rondo::tasklet<void>> out_there, in_there;
        for (unsigned i = 0; i < threads; ++i) {
            in.emplace_back(receive, i);
            in_there.push_back(rt.spawn(receive, threads + i));
            out.emplace_back(send, i);
            out_there.push_back(rt.spawn(send, threads + i));
        }
        for (auto& t : out) t.join();
        for (auto& t : out_there) t.join();
        a.close();
        b.close();
        for (auto& t : in) t.join();
        for (auto& t : in_there) t.join();
    }
    while (auto p = a.try_receive()) all.received(**p);
    CHECK(all.twice == 0);
    CHECK(all.lost_or_made() == 0);
    CHECK(all.not_kept == 0);
    CHECK(a.balance() == 0);
    CHECK(b.balance() == 0);
}

// Its worker has such a channel to itself until a thread comes (lowlevel/solo.hpp): in the middle of whatever it does then.
TEST_CASE("a channel made on a worker without others loses nothing when plain threads come to it", "[stress][channel][threads]") {
    const auto kind = GENERATE(0, 1, 3, 4, 6);
    const auto seed = GENERATE(1u, 2u, 3u);
    constexpr std::size_t rounds = 40, each = 60;
    constexpr unsigned in_pairs = 2;
    for (std::size_t round = 0; round < rounds; ++round) {
        ledger all((in_pairs + 1) * each);
        rondo::run({.workers = 1}, [&] {
            line a = make_line(kind);
            std::atomic<unsigned> passed{0};
            dice mine(static_cast<unsigned>(seed * 1'000 + round));
            const auto send = [&](unsigned i) {
                for (std::size_t k = 0; k < each; ++k) {
                    parcel it(i * each + k, all);
                    if (k % 3 == 0) a.send_for(std::move(it.p), 1h);      // has another way to wait
                    else a.send(std::move(it.p));
                    it.sent();
                    ++passed;
                }
            };
            const auto receive = [&] {
                try {
                    for (unsigned k = 0;; ++k) all.received(k % 3 == 0 ? **a.receive_for(1h) : *a.receive());
                } catch (const rondo::closed&) {
                }
            };
            // The threads come when so many have passed: one sends, one receives, or tries.
            const auto when = mine.below(in_pairs * each);
            const bool tries = mine.below(2);
            std::thread sender([&] {
                while (passed < when) {}
                send(in_pairs);
            });
            std::thread receiver([&, last = false]() mutable {
                while (passed < when) {}
                if (!tries) return receive();
                while (!last) {
                    last = a.is_closed();
                    while (auto p = a.try_receive()) all.received(**p);
                }
            });
            std::vector<rondo::tasklet<void>> in, out;
            for (unsigned i = 0; i < in_pairs; ++i) {
                in.push_back(rondo::spawn(receive));
                out.push_back(rondo::spawn(send, i));
            }
            for (auto& t : out) t.join();
            rondo::blocking([&] { sender.join(); });
            a.close();
            for (auto& t : in) t.join();
            rondo::blocking([&] { receiver.join(); });
            while (auto p = a.try_receive()) all.received(**p);
            CHECK(a.balance() == 0);
        });
        CHECK(all.twice == 0);
        CHECK(all.lost_or_made() == 0);
        CHECK(all.not_kept == 0);
    }
}

TEST_CASE("waits that are given up leave no memory behind in a quiet channel", "[stress][channel]") {
    const auto workers = GENERATE(1u, 2u);
    const auto before = rondo::detail::cell_store::in_use();
    rondo::run({.workers = workers}, [] {
        channel<int> quiet, busy;
        auto t = rondo::spawn([=] {
            for (int i = 0; i < 20'000; ++i) busy.send(i);
        });
        for (int i = 0; i < 20'000; ++i) rondo::select(rondo::from(quiet, [](int) {}), rondo::from(busy, [](int) {}));
        t.join();
        CHECK(quiet.balance() == 0);
        CHECK(rondo::detail::cell_store::in_use() < 100);
    });
    CHECK(rondo::detail::cell_store::in_use() == before);
}

TEST_CASE("waits whose time is up leave no memory behind in a quiet channel", "[stress][channel]") {
    const auto workers = GENERATE(1u, 2u);
    const auto before = rondo::detail::cell_store::in_use();
    rondo::run({.workers = workers}, [] {
        channel<int> quiet, full{1};
        full.send(0);
        for (int i = 0; i < 5'000; ++i) {
            CHECK_FALSE(quiet.receive_until(std::chrono::steady_clock::now()));
            CHECK(quiet.send_until(i, std::chrono::steady_clock::now()) == rondo::send_status::timed_out);
            CHECK(full.send_until(i, std::chrono::steady_clock::now()) == rondo::send_status::timed_out);
        }
        CHECK(quiet.balance() == 0);
        CHECK(rondo::detail::cell_store::in_use() < 100);
    });
    CHECK(rondo::detail::cell_store::in_use() == before);
}

TEST_CASE("waits that are given up leave no memory behind in a full channel and in an empty one", "[stress][channel]") {
    const auto workers = GENERATE(1u, 2u);
    const auto before = rondo::detail::cell_store::in_use();
    rondo::run({.workers = workers}, [] {
        channel<int> full{2}, empty{2}, loose{rondo::unbounded}, busy{1};
        for (int i = 0; i < 2; ++i) full.send(i);
        auto t = rondo::spawn([=] {
            for (int i = 0; i < 20'000; ++i) busy.send(i);
        });
        for (int got = 0; got < 20'000;)
            rondo::select(rondo::to(full, 3, [] {}), rondo::from(empty, [](int) {}), rondo::from(loose, [](int) {}),
                          rondo::from(busy, [&](int) { ++got; }));
        t.join();
        CHECK(full.balance() == 0);
        CHECK(full.size() == 2);
        CHECK(empty.balance() == 0);
        CHECK(rondo::detail::cell_store::in_use() < 100);
        CHECK(full.receive() == 0);                // and they still work
        empty.send(4);
        CHECK(empty.receive() == 4);
    });
    CHECK(rondo::detail::cell_store::in_use() == before);
}

TEST_CASE("selects given up beside somebody who waits on leave no memory behind", "[stress][channel]") {
    const auto workers = GENERATE(1u, 2u);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    constexpr int rounds = 500'000;                // by each of two, so that neither's cell is the last one for long
    const auto before = rondo::detail::cell_store::in_use();
    rondo::run({.workers = workers}, [slots] {
        channel<int> quiet{slots}, busy;
        auto waits = rondo::spawn([=] { return quiet.receive(); });
        while (quiet.balance() == 0) rondo::yield();
        const auto selects = [=] {
            for (int i = 0; i < rounds; ++i) rondo::select(rondo::from(quiet, [](int) {}), rondo::from(busy, [](int) {}));
        };
        auto one = rondo::spawn(selects), other = rondo::spawn(selects);
        for (int i = 0; i < 2 * rounds; ++i) busy.send(i);
        one.join();
        other.join();
        CHECK(rondo::detail::cell_store::in_use() < 100);
        CHECK(quiet.balance() == -1);
        quiet.send(7);
        CHECK(waits.join() == 7);
    });
    CHECK(rondo::detail::cell_store::in_use() == before);
}
