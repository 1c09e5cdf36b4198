// Locks and their kin under random yields, stops and limits: an invariant each, on several seeds, also with every
// tasklet resumed on another worker than the one it left.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <rondo/barrier.hpp>
#include <rondo/condition_variable.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/run.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/time.hpp>
#include <rondo/wait_group.hpp>

using namespace std::chrono_literals;

namespace {

struct dice {
    std::minstd_rand next;
    explicit dice(unsigned seed) : next(seed * 2654435761u + 1) {}
    bool one_in(unsigned n) { return next() % n == 0; }
    std::chrono::microseconds up_to_us(unsigned most) { return std::chrono::microseconds(next() % most); }
};

rondo::runtime_options options_for(unsigned workers, bool migrate) {
    rondo::runtime_options o;
    o.workers = workers;
    o.force_migration = migrate;
    return o;
}

// Forced migration makes every step a hop to another OS thread: few enough of them to keep the test short when busy.
int rounds_for(int wanted, bool migrate) { return migrate ? std::max(1, wanted / 10) : wanted; }

// Stops the tasklets one by one, in random order and at random moments, and joins them all.
void stop_and_join(std::vector<rondo::tasklet<void>>& all, dice d) {
    std::vector<std::size_t> order(all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), d.next);
    for (auto i : order) {
        while (!d.one_in(3)) rondo::yield();
        all[i].stop();
    }
    for (auto& t : all) {
        try {
            t.join();
        } catch (const rondo::stopped&) {
        }
    }
}

}  // namespace

TEST_CASE("a mutex keeps 200 tasklets apart, whatever is stopped or times out", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u, 3u);
    long count = 0, expected = 0, clashes = 0;
    rondo::run(options_for(workers, migrate), [&] {
        rondo::mutex m;
        std::atomic<long> entered{0};
        int inside = 0;
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < 200; ++i)
            all.push_back(rondo::spawn([&, i] {
                dice d(seed * 1000 + i);
                for (int k = 0; k < rounds_for(30, migrate); ++k) {
                    std::unique_lock hold(m, std::defer_lock);
                    if (d.one_in(4)) {
                        if (!hold.try_lock_for(d.up_to_us(200))) continue;
                    } else if (d.one_in(8)) {
                        if (!rondo::within(d.up_to_us(200), [&] { hold.lock(); })) continue;
                    } else if (d.one_in(8)) {
                        if (!hold.try_lock()) continue;
                    } else {
                        hold.lock();
                    }
                    ++entered;
                    clashes += inside++ != 0;
                    const long before = count;
                    try {
                        if (d.one_in(5)) rondo::yield();
                    } catch (const rondo::stopped&) {
                        count = before + 1;
                        --inside;
                        throw;
                    }
                    count = before + 1;
                    --inside;
                }
            }));
        if (seed == 3) stop_and_join(all, dice(seed));
        else for (auto& t : all) t.join();
        expected = entered;
        m.lock();
        m.unlock();
    });
    CHECK(clashes == 0);
    CHECK(count == expected);
}

TEST_CASE("plain threads and tasklets on two runtimes keep apart", "[stress][sync]") {
    const auto seed = GENERATE(1u, 2u);
    long count = 0;
    std::atomic<long> entered{0};
    rondo::mutex m;
    const auto work = [&](unsigned who) {
        dice d(seed * 1000 + who);
        for (int k = 0; k < 400; ++k) {
            std::unique_lock hold(m, std::defer_lock);
            if (d.one_in(3)) {
                if (!hold.try_lock_for(d.up_to_us(100))) continue;
            } else {
                hold.lock();
            }
            ++entered;
            const long before = count;
            if (d.one_in(4)) rondo::yield();
            count = before + 1;
        }
    };
    {
        rondo::runtime one({.workers = 2}), two({.workers = 1});
        std::vector<rondo::tasklet<void>> tasklets;
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < 10; ++i) tasklets.push_back((i % 2 ? one : two).spawn(work, i));
        for (unsigned i = 10; i < 13; ++i) threads.emplace_back(work, i);
        for (auto& t : threads) t.join();
        for (auto& t : tasklets) t.join();
    }
    CHECK(count == entered);
}

TEST_CASE("a shared_mutex never mixes readers and writers, whatever is stopped or times out", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u, 3u);
    std::atomic<int> readers{0}, writers{0}, clashes{0};
    rondo::shared_mutex m;
    rondo::run(options_for(workers, migrate), [&] {
        struct inside {
            std::atomic<int>& n;
            explicit inside(std::atomic<int>& of) : n(of) { ++n; }
            ~inside() { --n; }
        };
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < 100; ++i)
            all.push_back(rondo::spawn([&, i] {
                dice d(seed * 1000 + i);
                for (int k = 0; k < rounds_for(30, migrate); ++k) {
                    if (d.one_in(4)) {
                        std::unique_lock hold(m, std::defer_lock);
                        if (d.one_in(3) ? !hold.try_lock_for(d.up_to_us(200))
                                        : !rondo::within(5ms, [&] { hold.lock(); }))
                            continue;
                        inside mark(writers);
                        clashes += writers != 1 || readers != 0;
                        if (d.one_in(3)) rondo::yield();
                        clashes += writers != 1 || readers != 0;
                    } else {
                        std::shared_lock hold(m, std::defer_lock);
                        if (d.one_in(3)) {
                            if (!hold.try_lock_for(d.up_to_us(200))) continue;
                        } else {
                            hold.lock();
                        }
                        inside mark(readers);
                        clashes += writers != 0;
                        if (d.one_in(3)) rondo::yield();
                        clashes += writers != 0;
                    }
                }
            }));
        if (seed == 3) stop_and_join(all, dice(seed));
        else for (auto& t : all) t.join();
    });
    CHECK(clashes == 0);
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a semaphore is never over its limit and loses no permit", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u, 3u);
    constexpr int limit = 3;
    std::atomic<int> inside{0}, over{0};
    rondo::semaphore permits(limit);
    rondo::run(options_for(workers, migrate), [&] {
        std::vector<rondo::tasklet<void>> all;
        for (unsigned i = 0; i < 100; ++i)
            all.push_back(rondo::spawn([&, i] {
                dice d(seed * 1000 + i);
                struct permit {
                    rondo::semaphore& of;
                    std::atomic<int>& inside;
                    ~permit() { --inside, of.release(); }
                };
                for (int k = 0; k < rounds_for(30, migrate); ++k) {
                    if (d.one_in(3)) {
                        if (!permits.acquire_for(d.up_to_us(200))) continue;
                    } else {
                        permits.acquire();
                    }
                    over += ++inside > limit;
                    permit p{permits, inside};
                    if (d.one_in(3)) rondo::yield();
                }
            }));
        if (seed == 3) stop_and_join(all, dice(seed));
        else for (auto& t : all) t.join();
    });
    CHECK(over == 0);
    int left = 0;
    while (permits.try_acquire()) ++left;
    CHECK(left == limit);
}

TEST_CASE("a bounded buffer on a mutex and two condition variables conserves what goes through", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u, 3u);
    constexpr unsigned producers = 8, consumers = 8, slots = 3;
    const int values = rounds_for(200, migrate);
    std::atomic<long> put_sum{0}, got_sum{0}, put_count{0}, got_count{0};
    bool overfull = false;
    rondo::run(options_for(workers, migrate), [&] {
        rondo::mutex m;
        rondo::condition_variable not_full, not_empty;
        std::deque<int> buffer;
        bool closed = false;
        const auto produce = [&](unsigned i) {
            dice d(seed * 1000 + i);
            for (int v = 1; v <= values; ++v) {
                std::unique_lock lock(m);
                while (!not_full.wait_for(lock, d.up_to_us(300), [&] { return buffer.size() < slots; })) {}
                buffer.push_back(v);
                overfull |= buffer.size() > slots;
                put_sum += v, ++put_count;
                if (d.one_in(4)) lock.unlock();
                not_empty.notify_one();
            }
        };
        const auto consume = [&](unsigned i) {
            dice d(seed * 1000 + 100 + i);
            for (;;) {
                std::unique_lock lock(m);
                not_empty.wait(lock, [&] { return !buffer.empty() || closed; });
                if (buffer.empty()) return;
                got_sum += buffer.front(), ++got_count;
                buffer.pop_front();
                not_full.notify_one();
                lock.unlock();
                if (d.one_in(4)) rondo::yield();
            }
        };
        std::vector<rondo::tasklet<void>> in, out;
        for (unsigned i = 0; i < consumers; ++i) out.push_back(rondo::spawn(consume, i));
        for (unsigned i = 0; i < producers; ++i) in.push_back(rondo::spawn(produce, i));
        if (seed == 3) {
            // Half of each side is stopped while it works: the others must still be notified of everything.
            dice d(seed);
            for (unsigned i = 0; i < producers / 2; ++i) {
                while (!d.one_in(20)) rondo::yield();
                in[i].stop(), out[i].stop();
            }
        }
        for (auto& t : in) {
            try {
                t.join();
            } catch (const rondo::stopped&) {
            }
        }
        {
            std::lock_guard hold(m);
            closed = true;
        }
        not_empty.notify_all();
        for (auto& t : out) {
            try {
                t.join();
            } catch (const rondo::stopped&) {
            }
        }
    });
    CHECK_FALSE(overfull);
    CHECK(put_count == got_count);
    CHECK(put_sum == got_sum);
    if (seed != 3) CHECK(put_count == static_cast<int>(producers) * values);
}

TEST_CASE("no notify is lost to a waiter that is stopped", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    // Every round: two wait for a token, one of them is stopped, one token comes with one notify. Somebody must take
    // it, else the run ends as a deadlock.
    int taken = 0;
    rondo::run(options_for(workers, migrate), [&] {
        dice d(workers);
        for (int round = 0; round < rounds_for(500, migrate); ++round) {
            rondo::mutex m;
            rondo::condition_variable came;
            int tokens = 0;
            const auto take = [&] {
                std::unique_lock lock(m);
                came.wait(lock, [&] { return tokens > 0; });
                --tokens;
                ++taken;
            };
            auto doomed = rondo::spawn(take);
            auto other = rondo::spawn(take);
            while (d.one_in(2)) rondo::yield();
            const bool stop_first = d.one_in(2);
            if (stop_first) doomed.stop();
            {
                std::lock_guard hold(m);
                ++tokens;
            }
            came.notify_one();
            if (!stop_first) doomed.stop();
            bool doomed_took_it = true;
            try {
                doomed.join();
            } catch (const rondo::stopped&) {
                doomed_took_it = false;
            }
            if (doomed_took_it) {
                {
                    std::lock_guard hold(m);
                    ++tokens;
                    --taken;
                }
                came.notify_one();
            }
            other.join();
        }
    });
    CHECK(taken == rounds_for(500, migrate));
}

TEST_CASE("barrier, latch, event and wait_group keep their rounds apart", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u);
    std::atomic<int> early{0};
    rondo::run(options_for(workers, migrate), [&] {
        constexpr int participants = 6;
        const int rounds = rounds_for(100, migrate);
        rondo::barrier meet(participants);
        rondo::wait_group jobs;
        std::atomic<int> arrived{0};
        for (unsigned i = 0; i < participants; ++i) {
            jobs.add(1);
            rondo::spawn([&, i] {
                dice d(seed * 1000 + i);
                for (int round = 1; round <= rounds; ++round) {
                    if (d.one_in(3)) rondo::yield();
                    ++arrived;
                    if (d.one_in(2)) meet.arrive_and_wait();
                    else while (!meet.arrive_and_wait_for(d.up_to_us(100))) {}
                    early += arrived < round * participants;
                }
                jobs.done();
            });
        }
        jobs.wait();
        for (int round = 0; round < rounds; ++round) {
            // On the waiter's own frame: gone as soon as it is woken.
            rondo::latch open(3);
            rondo::event told;
            std::atomic<int> before{0};
            for (int i = 0; i < 3; ++i)
                rondo::spawn([&] {
                    ++before;
                    open.count_down();
                });
            open.wait();
            early += before != 3;
            rondo::spawn([&] { told.set(); });
            if (round % 2) told.wait();
            else while (!told.is_set()) rondo::yield();
        }
    });
    CHECK(early == 0);
}

TEST_CASE("once runs one function to its end, however many fail or are stopped before", "[stress][sync]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool migrate = GENERATE(false, true);
    const auto seed = GENERATE(1u, 2u, 3u);
    std::atomic<int> finished{0}, at_once{0}, clashes{0}, unfinished_returns{0};
    int rounds = 0;
    rondo::run(options_for(workers, migrate), [&] {
        for (; rounds < rounds_for(30, migrate); ++rounds) {
            rondo::once set_up;
            std::vector<rondo::tasklet<void>> all;
            const int before = finished;
            for (unsigned i = 0; i < 20; ++i)
                all.push_back(rondo::spawn([&, i] {
                    dice d(seed * 10000 + i * 100 + static_cast<unsigned>(rounds));
                    const auto f = [&] {
                        struct inside {
                            std::atomic<int>& n;
                            ~inside() { --n; }
                        };
                        clashes += at_once++ != 0;
                        inside mark{at_once};
                        while (!d.one_in(3)) rondo::yield();
                        if (!d.one_in(4)) throw 1;
                        ++finished;
                    };
                    try {
                        if (d.one_in(3)) {
                            if (!set_up.call_for(d.up_to_us(50), f)) return;
                        } else {
                            set_up.call(f);
                        }
                        unfinished_returns += !set_up.done();
                    } catch (int) {
                    }
                }));
            if (seed == 3) stop_and_join(all, dice(seed));
            else for (auto& t : all) t.join();
            set_up.call([&] { ++finished; });
            clashes += finished != before + 1;
        }
    });
    CHECK(clashes == 0);
    CHECK(unfinished_returns == 0);
    CHECK(finished == rounds);
}
