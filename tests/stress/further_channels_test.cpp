// oneshot, broadcast, latest and work_queue under random calls, limits, stops and closes, on real workers: what is sent
// arrives, once and in order, or stays with its sender; what is counted is right; nobody is left waiting.
// Several seeds, also with every tasklet resumed on another worker than the one it left. RONDO_SEEDS=10000 for more, in all.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <rondo/broadcast.hpp>
#include <rondo/latest.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>
#include <rondo/work_queue.hpp>

#include "ledger.hpp"

using namespace std::chrono_literals;
using namespace stress;

namespace {

constexpr auto nothing = [](auto&&...) {};

// One receive in a random form, from whatever has receive(), next() and so on. False: closed.
template <class Source, class Got>
bool receive_somehow(dice& d, Source&& source, Got got) {
    using rondo::from;
    const auto take = [&](auto v) {
        if (v) got(std::move(*v));
        return v.has_value();
    };
    try {
        switch (d.below(6)) {
            case 0: got(source.receive()); return true;
            case 1: take(source.receive_for(d.up_to_us(80))); return true;
            case 2: take(source.try_receive()); return true;
            case 3: return rondo::select(from(source, got), rondo::after(d.up_to_us(80), nothing));
            case 4: {
                auto v = rondo::within(d.up_to_us(80), [&] { return source.next(); });
                return !v || take(std::move(*v));
            }
            default: return take(source.next());
        }
    } catch (const rondo::closed&) {
        return false;
    }
}

void stop_some(dice& d, std::vector<rondo::tasklet<void>>& some, unsigned one_in) {
    for (auto& t : some)
        if (d.below(one_in) == 0) {
            for (auto n = d.below(20); n > 0; --n) rondo::yield();
            t.stop();
        }
}

// In every second run it is closed while they are at it; in all of them once nothing more is sent.
template <class Channel>
void close_and_join(dice& d, unsigned seed, const Channel& c, std::vector<rondo::tasklet<void>>& senders,
                    std::vector<rondo::tasklet<void>>& receivers) {
    if (seed % 2) {
        rondo::sleep_for(d.up_to_us(500));
        c.close();
    }
    join_all(senders);
    c.close();
    join_all(receivers);
}

}  // namespace

TEST_CASE("of a oneshot's values one arrives, once, and the others stay with their senders", "[stress][oneshot]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2)));
    constexpr std::size_t rounds = 100, senders = 2;
    ledger all(rounds * senders);
    rondo::run(options_for(workers, migrate), [&] {
        for (std::size_t round = 0; round < rounds; ++round) {
            const rondo::oneshot<value> it;
            dice d(seed * 1000 + static_cast<unsigned>(round));
            std::vector<rondo::tasklet<void>> sending, receiving;
            for (unsigned i = 0; i < 3; ++i)
                receiving.push_back(rondo::spawn([&, i, round, it] {
                    dice mine(seed * 7919 + static_cast<unsigned>(round) * 5 + i);
                    while (receive_somehow(mine, it, [&](value p) { all.received(*p); })) {}
                }));
            for (std::size_t i = 0; i < senders; ++i)
                sending.push_back(rondo::spawn([&, i, round, it] {
                    parcel mine(round * senders + i, all);
                    try {
                        if (i % 2) {
                            it.send(std::move(mine.p));
                            mine.sent();
                        } else if (it.try_send(mine.p)) {
                            mine.sent();
                        }
                    } catch (const rondo::closed&) {
                    } catch (const rondo::usage_error&) {         // the other one was faster
                    }
                }));
            stop_some(d, receiving, 3);
            if (d.below(3) == 0) it.close();
            join_all(sending);
            it.close();                                           // nothing if there was a value
            join_all(receiving);
            if (auto p = it.try_receive()) all.received(**p);     // all receivers have been stopped
        }
    });
    CHECK(all.twice == 0);
    CHECK(all.lost_or_made() == 0);
    CHECK(all.not_kept == 0);
}

TEST_CASE("each subscriber of a broadcast receives all in order, or is told how much it has lost",
          "[stress][broadcast]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto slots = GENERATE(std::size_t{1}, std::size_t{8}, std::size_t{1000});
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2 * 3)));
    constexpr unsigned senders = 3, subscribers = 4;
    constexpr std::size_t each = 100;
    struct mail {
        unsigned from;
        std::size_t number;
    };
    std::atomic<long> wrong{0}, sent{0};
    rondo::run(options_for(workers, migrate), [&] {
        rondo::broadcast<mail> b(slots);
        std::atomic<std::uint64_t> in_all{0};
        std::vector<rondo::tasklet<void>> sending, receiving;
        std::array<std::uint64_t, subscribers> got{};             // or told to be lost; of those that were not stopped
        std::array<std::atomic<bool>, subscribers> has_seen_the_end{};
        for (unsigned i = 0; i < subscribers; ++i)
            receiving.push_back(rondo::spawn([&, i, s = b.subscribe()]() mutable {
                dice d(seed * 100 + i);
                std::array<std::size_t, senders> next{};
                bool more = true;
                while (more) {
                    try {
                        more = receive_somehow(d, s, [&](mail m) {
                            wrong += m.number < next[m.from];     // in each sender's order
                            next[m.from] = m.number + 1;
                            ++got[i];
                        });
                    } catch (const rondo::lagged& l) {
                        got[i] += l.count();
                    }
                }
                has_seen_the_end[i] = true;
            }));
        for (unsigned i = 0; i < senders; ++i)
            sending.push_back(rondo::spawn([&, i, b] {
                dice d(seed * 100 + 50 + i);
                for (std::size_t k = 0; k < each; ++k) {
                    try {
                        b.send({i, k});
                    } catch (const rondo::closed&) {
                        return;
                    }
                    ++in_all;
                    if (d.below(4) == 0) rondo::yield();
                }
            }));
        dice d(seed);
        stop_some(d, receiving, 4);
        stop_some(d, sending, 8);
        close_and_join(d, seed, b, sending, receiving);
        for (unsigned i = 0; i < subscribers; ++i) wrong += has_seen_the_end[i] && got[i] != in_all;
        wrong += b.subscribers() != 0;
        sent += static_cast<long>(in_all);
    });
    CHECK(wrong == 0);
}

TEST_CASE("a latest value goes forward for each reader, and all come to the last one", "[stress][latest]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2)));
    constexpr unsigned setters = 3, readers = 4;
    std::atomic<long> wrong{0};
    rondo::run(options_for(workers, migrate), [&] {
        const rondo::latest<long> l(0);
        std::atomic<long> updates{0};
        std::array<long, readers> last{};
        std::array<std::atomic<bool>, readers> has_seen_the_end{};
        std::vector<rondo::tasklet<void>> setting, reading;
        for (unsigned i = 0; i < readers; ++i)
            reading.push_back(rondo::spawn([&, i, r = l.reader()]() mutable {
                dice d(seed * 100 + i);
                last[i] = -1;
                while (receive_somehow(d, r, [&](long v) {
                    wrong += v <= last[i];
                    last[i] = v;
                })) {}
                has_seen_the_end[i] = true;
            }));
        for (unsigned i = 0; i < setters; ++i)
            setting.push_back(rondo::spawn([&, i, l] {
                dice d(seed * 100 + 50 + i);
                try {
                    for (int k = 0; k < 100; ++k) {
                        l.update([](long v) { return v + 1; });
                        ++updates;
                        if (d.below(4) == 0) rondo::yield();
                    }
                } catch (const rondo::closed&) {
                }
            }));
        dice d(seed);
        stop_some(d, reading, 4);
        close_and_join(d, seed, l, setting, reading);
        wrong += l.get() != updates;
        for (unsigned i = 0; i < readers; ++i) wrong += has_seen_the_end[i] && last[i] != updates;
    });
    CHECK(wrong == 0);
}

namespace {

using queue = rondo::work_queue<value>;

// One put in a random form. Throws closed, stopped.
void put_somehow(dice& d, const queue& a, const queue& b, std::size_t v, ledger& all) {
    parcel it(v, all);
    const auto sent = [&] { it.sent(); };
    switch (d.below(5)) {
        case 0:
            a.put(std::move(it.p));
            sent();
            break;
        case 1:
            if (a.put_for(std::move(it.p), d.up_to_us(80))) sent();
            break;
        case 2:
            if (a.try_put(it.p)) sent();
            break;
        case 3:
            rondo::select(rondo::to(a, it.p, sent), rondo::to(b, it.p, sent), rondo::after(d.up_to_us(80), nothing));
            break;
        default:
            if (rondo::within(d.up_to_us(80), [&] { a.put(std::move(it.p)); })) sent();
    }
}
// A queue with a channel's names.
struct from_queue {
    const queue& q;
    value receive() const { return q.get(); }
    auto next() const { return q.next(); }
    auto try_receive() const { return q.try_get(); }
    auto receive_for(std::chrono::microseconds d) const { return q.get_for(d); }
};
template <class F>
auto from(const from_queue& f, F got) {
    return rondo::from(f.q, std::move(got));
}

}  // namespace

TEST_CASE("work queues lose no item, do none twice, and know when all is done", "[stress][work_queue]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{5});
    const auto seed = GENERATE_COPY(range(1u, 1 + seeds_of_each(3 * 2 * 3)));
    constexpr unsigned putters = 5, getters = 5;
    const std::size_t each = migrate ? 40 : 100;
    ledger all(putters * each);
    std::atomic<long> wrong{0};
    rondo::run(options_for(workers, migrate), [&] {
        const queue a = slots ? queue(slots) : queue(), b(2);
        std::vector<rondo::tasklet<void>> putting, getting, joining;
        for (unsigned i = 0; i < putters; ++i)
            putting.push_back(rondo::spawn([&, i, a, b] {
                dice d(seed * 100 + i);
                try {
                    for (std::size_t k = 0; k < each; ++k) {
                        if (d.below(2)) put_somehow(d, a, b, i * each + k, all);
                        else put_somehow(d, b, a, i * each + k, all);
                    }
                } catch (const rondo::closed&) {
                }
            }));
        for (unsigned i = 0; i < getters; ++i)
            getting.push_back(rondo::spawn([&, i, a, b] {
                dice d(seed * 100 + 50 + i);
                bool more_in_a = true, more_in_b = true;
                const auto take_from = [&](const queue& q) {
                    return receive_somehow(d, from_queue{q}, [&](value p) {
                        all.received(*p);
                        q.task_done();
                    });
                };
                while (more_in_a || more_in_b) {
                    if (more_in_a && (!more_in_b || d.below(2))) more_in_a = take_from(a);
                    else more_in_b = take_from(b);
                }
            }));
        std::atomic<bool> is_closed{false};
        for (unsigned i = 0; i < 3; ++i)
            joining.push_back(rondo::spawn([&, i, a] {
                dice d(seed * 100 + 80 + i);
                while (!is_closed) {
                    switch (d.below(3)) {
                        case 0: (void)a.join_for(d.up_to_us(80)); break;
                        case 1: rondo::select(rondo::joined(a, nothing), rondo::after(d.up_to_us(80), nothing)); break;
                        default: (void)rondo::within(d.up_to_us(80), [&] { a.join(); });
                    }
                    rondo::yield();
                }
                a.join();                                         // what lies there is still done
                wrong += a.unfinished() != 0;
            }));
        dice d(seed);
        stop_some(d, putting, 5);
        stop_some(d, joining, 3);
        if (seed % 2) {
            rondo::sleep_for(d.up_to_us(500));
            a.close();
        }
        // Putters on one queue whose getters all wait on the other: the closing ends them.
        for (auto n = 0; n < 200 && !all_done(putting); ++n) rondo::sleep_for(500us);
        a.close();
        b.close();
        is_closed = true;
        join_all(putting);
        join_all(getting);
        join_all(joining);
        wrong += a.unfinished() != 0 || b.unfinished() != 0 || a.size() != 0 || b.size() != 0;
    });
    CHECK(wrong == 0);
    CHECK(all.twice == 0);
    CHECK(all.lost_or_made() == 0);
    CHECK(all.not_kept == 0);
}
