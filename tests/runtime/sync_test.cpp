// mutex, shared_mutex, condition_variable, semaphore, event, wait_group, barrier, latch, once.
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <string>
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

#include "support/helpers.hpp"
#include "support/last_words.hpp"

using namespace std::chrono_literals;
using namespace support;

// ------------------------------------------------------------------------------------------------------------- mutex

TEST_CASE("a mutex lets one tasklet in at a time", "[sync][mutex]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int counted = rondo::run({.workers = workers}, [] {
        rondo::mutex m;
        int count = 0;
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 40; ++i)
            all.push_back(rondo::spawn([&, i] {
                for (int k = 0; k < 50; ++k) {
                    std::lock_guard hold(m);
                    const int before = count;
                    if ((i + k) % 3 == 0) rondo::yield();
                    count = before + 1;
                }
            }));
        for (auto& t : all) t.join();
        return count;
    });
    CHECK(counted == 40 * 50);
}

TEST_CASE("a mutex is handed to those who wait in order of arrival, and nobody slips in between", "[sync][mutex]") {
    std::vector<int> order;
    bool slipped_in = false;
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        m.lock();
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 5; ++i)
            all.push_back(rondo::spawn([&, i] {
                std::lock_guard hold(m);
                order.push_back(i);
            }));
        rondo::yield();
        m.unlock();
        slipped_in = m.try_lock();
        for (auto& t : all) t.join();
    });
    CHECK(order == std::vector{0, 1, 2, 3, 4});
    CHECK_FALSE(slipped_in);
}

TEST_CASE("a tasklet stopped while it waits for a mutex does not get it", "[sync][mutex]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::mutex m;
    m.lock();
    std::string end;
    stage s(workers);
    auto waiter = s.rt.spawn([&] { end = end_of([&] { m.lock(); }); });
    CHECK(s.settle() == 1);
    waiter.stop();
    CHECK(s.settle() == 0);
    CHECK(end == "stopped");
    CHECK_FALSE(m.try_lock());
    m.unlock();
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a mutex handed to a tasklet just before its stop belongs to that tasklet", "[sync][mutex]") {
    bool got_it = false;
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        m.lock();
        auto heir = rondo::spawn([&] {
            std::lock_guard hold(m);
            got_it = true;
        });
        rondo::yield();
        m.unlock();
        heir.stop();
        heir.join();
        m.lock();
        m.unlock();
    });
    CHECK(got_it);
}

TEST_CASE("locking a free mutex still obeys a stop", "[sync][mutex]") {
    std::string end;
    bool locked = true;
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        auto t = rondo::spawn([&] {
            rondo::event never;
            end_of([&] { never.wait(); });
            end = end_of([&] { m.lock(); });
        });
        rondo::yield();
        t.stop();
        t.join();
        locked = !m.try_lock();
        if (!locked) m.unlock();
    });
    CHECK(end == "stopped");
    CHECK_FALSE(locked);
}

TEST_CASE("a mutex can be waited for with a limit, on tasklets and on plain threads", "[sync][mutex]") {
    rondo::mutex m;
    const auto try_all = [&] {
        return std::vector<bool>{m.try_lock(),
                                 m.try_lock_for(0ms),
                                 m.try_lock_for(1ms),
                                 m.try_lock_until(std::chrono::steady_clock::now() + 1ms),
                                 m.try_lock_until(std::chrono::steady_clock::now() - 1s),
                                 m.try_lock_until(std::chrono::system_clock::now() + 1ms)};
    };
    const auto workers = GENERATE(1u, 2u, 4u);
    m.lock();
    const auto as_tasklet = rondo::run({.workers = workers}, try_all);
    std::vector<bool> as_thread;
    std::thread([&] { as_thread = try_all(); }).join();
    m.unlock();
    CHECK(as_tasklet == std::vector<bool>(6, false));
    CHECK(as_thread == std::vector<bool>(6, false));
    CHECK(rondo::run({.workers = workers}, [&] {
        const bool got = m.try_lock_for(std::chrono::hours::max());
        m.unlock();
        return got;
    }));
}

TEST_CASE("a deadline ends the wait for a mutex", "[sync][mutex]") {
    rondo::mutex m;
    m.lock();
    CHECK_FALSE(rondo::run({.workers = 2}, [&] { return rondo::within(2ms, [&] { m.lock(); }); }));
    bool on_a_thread = true;
    std::thread([&] { on_a_thread = rondo::within(2ms, [&] { m.lock(); }); }).join();
    CHECK_FALSE(on_a_thread);
    m.unlock();
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("plain threads and tasklets share a mutex", "[sync][mutex]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::mutex m;
    long count = 0;
    const auto work = [&] {
        for (int k = 0; k < 500; ++k) {
            std::lock_guard hold(m);
            const long before = count;
            if (k % 5 == 0) rondo::yield();
            count = before + 1;
        }
    };
    {
        rondo::runtime rt({.workers = workers});
        std::vector<rondo::tasklet<void>> tasklets;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) tasklets.push_back(rt.spawn(work));
        for (int i = 0; i < 2; ++i) threads.emplace_back(work);
        for (auto& t : tasklets) t.join();
        for (auto& t : threads) t.join();
    }
    CHECK(count == 6 * 500);
}

TEST_CASE("a mutex works with the standard library's locks", "[sync][mutex]") {
    const bool all = rondo::run({.workers = 2}, [] {
        rondo::mutex a, b;
        { std::scoped_lock both(a, b); }
        { std::unique_lock one(a, std::try_to_lock); if (!one) return false; }
        { std::unique_lock one(a, 1ms); if (!one) return false; }
        return true;
    });
    CHECK(all);
}

TEST_CASE("locking a mutex twice is an error, not a silent wait", "[sync][mutex]") {
    const auto end = rondo::run({.workers = one_worker}, [] {
        rondo::mutex m;
        std::lock_guard hold(m);
        return end_of([&] { m.lock(); });
    });
    CHECK(end == "usage_error");
}

TEST_CASE("unlocking a mutex that one does not hold ends the process", "[sync][mutex]") {
    CHECK_THAT(last_words([] { rondo::mutex m; m.unlock(); }), Catch::Contains("must be unlocked by"));
    CHECK_THAT(last_words([] {
        rondo::mutex m;
        m.lock();
        rondo::run({.workers = one_worker}, [&] { m.unlock(); });
    }), Catch::Contains("must be unlocked by"));
}

TEST_CASE("a deadlock report names who holds the mutex", "[sync][mutex]") {
    std::vector<std::string> holders;
    rondo::mutex left, right;
    rondo::latch both(2);
    try {
        rondo::run({.workers = GENERATE(1u, 2u)}, [&] {
            auto a = rondo::spawn({.name = "Ada"}, [&] {
                std::lock_guard first(left);
                both.arrive_and_wait();
                std::lock_guard second(right);
            });
            auto b = rondo::spawn({.name = "Ben"}, [&] {
                std::lock_guard first(right);
                both.arrive_and_wait();
                std::lock_guard second(left);
            });
            a.join();
            b.join();
        });
    } catch (const rondo::deadlock& d) {
        for (auto& t : d.tasklets())
            if (t.waits_for.find("mutex") != std::string::npos) holders.push_back(t.name + " <- " + t.held_by);
    }
    REQUIRE(holders.size() == 2);
    CHECK_THAT(holders[0], Catch::Contains("Ada <- ") && Catch::Contains("\"Ben\""));
    CHECK_THAT(holders[1], Catch::Contains("Ben <- ") && Catch::Contains("\"Ada\""));
}

TEST_CASE("whoever waits on sees the new holder of a mutex", "[sync][mutex]") {
    rondo::mutex m;
    rondo::event enough;
    rondo::runtime rt({.workers = 2});
    m.lock();
    auto first = rt.spawn({.name = "first"}, [&] {
        std::lock_guard hold(m);
        enough.wait();
    });
    rt.run_until_idle();
    auto second = rt.spawn({.name = "second"}, [&] { std::lock_guard hold(m); });
    rt.run_until_idle();
    const auto holder_seen_by_second = [&] {
        for (auto& t : rt.tasklets())
            if (t.name == "second") return t.held_by;
        return std::string("?");
    };
    CHECK(holder_seen_by_second() == "a plain thread");
    m.unlock();
    rt.run_until_idle();
    CHECK_THAT(holder_seen_by_second(), Catch::Contains("\"first\""));
    enough.set();
    first.join();
    second.join();
}

// ------------------------------------------------------------------------------------------------------ shared_mutex

TEST_CASE("readers share, a writer is alone", "[sync][shared_mutex]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> readers{0}, writers{0}, most_readers{0}, clashes{0};
    rondo::run({.workers = workers}, [&] {
        rondo::shared_mutex m;
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 30; ++i)
            all.push_back(rondo::spawn([&, i] {
                for (int k = 0; k < 20; ++k)
                    if ((i + k) % 5 == 0) {
                        std::unique_lock hold(m);
                        clashes += writers++ != 0 || readers != 0;
                        rondo::yield();
                        --writers;
                    } else {
                        std::shared_lock hold(m);
                        const int now = ++readers;
                        for (int most = most_readers; most < now && !most_readers.compare_exchange_weak(most, now);) {}
                        clashes += writers != 0;
                        rondo::yield();
                        --readers;
                    }
            }));
        for (auto& t : all) t.join();
    });
    CHECK(clashes == 0);
    CHECK(most_readers > 1);
}

TEST_CASE("a reader that comes after a waiting writer waits behind it", "[sync][shared_mutex][unordered]") {
    std::string order;
    bool slipped_in = true;
    rondo::run({.workers = one_worker}, [&] {
        rondo::shared_mutex m;
        m.lock_shared();
        const auto reader = [&](char name) { std::shared_lock hold(m); order += name; rondo::yield(); order += name; };
        auto w = rondo::spawn([&] { std::unique_lock hold(m); order += 'W'; rondo::yield(); order += 'W'; });
        auto a = rondo::spawn(reader, 'a');
        auto b = rondo::spawn(reader, 'b');
        auto v = rondo::spawn([&] { std::unique_lock hold(m); order += 'V'; });
        rondo::yield();
        slipped_in = m.try_lock_shared();
        m.unlock_shared();
        w.join(), a.join(), b.join(), v.join();
    });
    CHECK(order == "WWababV");
    CHECK_FALSE(slipped_in);
}

TEST_CASE("readers behind a writer that gives up go ahead", "[sync][shared_mutex]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool by_stop = GENERATE(false, true);
    rondo::shared_mutex m;
    m.lock_shared();
    std::string end;
    std::atomic<bool> read{false};
    stage s(workers);
    rondo::event give_up;
    auto writer = s.rt.spawn([&] {
        end = end_of([&] {
            if (by_stop) m.lock();
            else if (rondo::within(20ms, [&] { m.lock(); })) end = "locked";
        });
    });
    // The writer must wait first; with a limit it may have given up already, which does not matter here.
    while (s.rt.stats().finished == 0 && m.try_lock_shared()) m.unlock_shared(), std::this_thread::yield();
    auto reader = s.rt.spawn([&] {
        std::shared_lock hold(m);
        read = true;
    });
    if (by_stop) {
        CHECK(s.settle() == 2);
        CHECK_FALSE(read);
        writer.stop();
    }
    CHECK(s.settle() == 0);
    CHECK(read);
    CHECK(end == (by_stop ? "stopped" : "returned"));
    CHECK_FALSE(m.try_lock());
    m.unlock_shared();
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a shared_mutex can be waited for with a limit, on tasklets and on plain threads", "[sync][shared_mutex]") {
    rondo::shared_mutex m;
    const auto try_all = [&] {
        return std::vector<bool>{m.try_lock(),
                                 m.try_lock_for(1ms),
                                 m.try_lock_until(std::chrono::steady_clock::now() + 1ms),
                                 m.try_lock_shared(),
                                 m.try_lock_shared_for(1ms),
                                 m.try_lock_shared_until(std::chrono::system_clock::now() + 1ms),
                                 rondo::within(1ms, [&] { m.lock(); }),
                                 rondo::within(1ms, [&] { m.lock_shared(); })};
    };
    m.lock();
    const auto as_tasklet = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, try_all);
    std::vector<bool> as_thread;
    std::thread([&] { as_thread = try_all(); }).join();
    m.unlock();
    CHECK(as_tasklet == std::vector<bool>(8, false));
    CHECK(as_thread == std::vector<bool>(8, false));
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("misuse of a shared_mutex is found", "[sync][shared_mutex]") {
    rondo::shared_mutex m;
    m.lock();
    CHECK(end_of([&] { m.lock(); }) == "usage_error");
    CHECK(end_of([&] { m.lock_shared(); }) == "usage_error");
    m.unlock();
    CHECK_THAT(last_words([] { rondo::shared_mutex n; n.unlock(); }), Catch::Contains("must be unlocked by"));
    CHECK_THAT(last_words([] { rondo::shared_mutex n; n.unlock_shared(); }), Catch::Contains("held by a reader"));
    CHECK_THAT(last_words([] { rondo::shared_mutex n; n.lock_shared(); }), Catch::Contains("while somebody holds it"));
}

// ------------------------------------------------------------------------------------------------ condition_variable

TEST_CASE("a condition_variable wakes one waiter, or all, in order of arrival", "[sync][condition_variable][unordered]") {
    std::vector<int> order;
    std::vector<std::size_t> woken_after;
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        rondo::condition_variable changed;
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 5; ++i)
            all.push_back(rondo::spawn([&, i] {
                std::unique_lock lock(m);
                changed.wait(lock);
                order.push_back(i);
            }));
        rondo::yield();
        for (int i = 0; i < 2; ++i) {
            changed.notify_one();
            rondo::yield();
            woken_after.push_back(order.size());
        }
        changed.notify_all();
        for (auto& t : all) t.join();
        changed.notify_one();
        changed.notify_all();
    });
    CHECK(order == std::vector{0, 1, 2, 3, 4});
    CHECK(woken_after == std::vector<std::size_t>{1, 2});
}

TEST_CASE("a condition_variable carries turns between tasklets and plain threads", "[sync][condition_variable]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const bool with_thread = GENERATE(false, true);
    rondo::mutex m;
    rondo::condition_variable changed;
    int turn = 0;
    const auto player = [&](int me) {
        for (int k = 0; k < 200; ++k) {
            std::unique_lock lock(m);
            changed.wait(lock, [&] { return turn % 2 == me; });
            ++turn;
            changed.notify_one();
        }
    };
    {
        rondo::runtime rt({.workers = workers});
        auto ping = rt.spawn(player, 0);
        if (with_thread) {
            std::thread(player, 1).join();
        } else {
            rt.spawn(player, 1).join();
        }
        ping.join();
    }
    CHECK(turn == 400);
}

TEST_CASE("a wait on a condition_variable ends with its time, and holds the mutex then", "[sync][condition_variable]") {
    const auto try_all = [] {
        rondo::mutex m;
        rondo::condition_variable changed;
        std::unique_lock lock(m);
        std::vector<bool> timed_out{
            changed.wait_for(lock, 0ms) == std::cv_status::timeout,
            changed.wait_for(lock, 1ms) == std::cv_status::timeout,
            changed.wait_until(lock, std::chrono::steady_clock::now() + 1ms) == std::cv_status::timeout,
            changed.wait_until(lock, std::chrono::system_clock::now() + 1ms) == std::cv_status::timeout,
            !changed.wait_for(lock, 1ms, [] { return false; }),
            changed.wait_for(lock, 1ms, [] { return true; }),
            !changed.wait_until(lock, std::chrono::steady_clock::now() + 1ms, [] { return false; }),
            !rondo::within(1ms, [&] { changed.wait(lock); }),
            lock.owns_lock(),
            !m.try_lock()};
        return timed_out;
    };
    CHECK(rondo::run({.workers = GENERATE(1u, 2u, 4u)}, try_all) == std::vector<bool>(10, true));
    std::vector<bool> as_thread;
    std::thread([&] { as_thread = try_all(); }).join();
    CHECK(as_thread == std::vector<bool>(10, true));
}

TEST_CASE("a stop thrown out of a wait locks the mutex first", "[sync][condition_variable]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::mutex m;
    rondo::condition_variable changed;
    stage s(workers);
    std::atomic<bool> out{false};
    bool held = false;
    auto t = s.rt.spawn([&] {
        std::unique_lock lock(m);
        try {
            changed.wait(lock);
        } catch (const rondo::stopped&) {
            held = lock.owns_lock() && !m.try_lock();
            out = true;
            throw;
        }
    });
    CHECK(s.settle() == 1);
    m.lock();
    t.stop();
    CHECK(s.settle() == 1);
    CHECK_FALSE(out);
    m.unlock();
    CHECK_THROWS_AS(t.join(), rondo::stopped);
    CHECK(held);
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE("a notify that meets a stopped waiter goes on to the next", "[sync][condition_variable]") {
    std::vector<std::string> ends(2);
    const bool stop_first = GENERATE(true, false);
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        rondo::condition_variable changed;
        const auto wait = [&](std::size_t i) {
            ends[i] = end_of([&] {
                std::unique_lock lock(m);
                changed.wait(lock);
            });
        };
        auto a = rondo::spawn(wait, 0u);
        auto b = rondo::spawn(wait, 1u);
        rondo::yield();
        if (stop_first) a.stop();
        changed.notify_one();
        if (!stop_first) a.stop();
        rondo::yield();
        if (!stop_first) changed.notify_one();
        a.join(), b.join();
    });
    CHECK(ends[0] == (stop_first ? "stopped" : "returned"));
    CHECK(ends[1] == "returned");
}

TEST_CASE("a notify is passed on when the predicate throws", "[sync][condition_variable][unordered]") {
    std::string end;
    bool other_woke = false;
    rondo::run({.workers = one_worker}, [&] {
        rondo::mutex m;
        rondo::condition_variable changed;
        bool bad = false;
        auto a = rondo::spawn([&] {
            std::unique_lock lock(m);
            end = end_of([&] { changed.wait(lock, [&] { return bad ? throw std::runtime_error("bad") : false; }); });
        });
        auto b = rondo::spawn([&] {
            std::unique_lock lock(m);
            changed.wait(lock);
            other_woke = true;
        });
        rondo::yield();
        bad = true;
        changed.notify_one();
        a.join(), b.join();
    });
    CHECK(end == "bad");
    CHECK(other_woke);
}

TEST_CASE("waiting on a condition_variable without its mutex is an error", "[sync][condition_variable]") {
    rondo::mutex m;
    rondo::condition_variable changed;
    std::unique_lock<rondo::mutex> none;
    CHECK(end_of([&] { changed.wait(none); }) == "usage_error");
    std::unique_lock lock(m);
    std::string end;
    std::thread([&] { end = end_of([&] { changed.wait(lock); }); }).join();
    CHECK(end == "usage_error");
}

// --------------------------------------------------------------------------------------------------------- semaphore

TEST_CASE("a semaphore lets in as many as it has permits", "[sync][semaphore]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> inside{0}, most{0};
    rondo::run({.workers = workers}, [&] {
        rondo::semaphore permits(3);
        rondo::barrier three(3);         // nobody leaves before three are in
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 30; ++i)
            all.push_back(rondo::spawn([&] {
                permits.acquire();
                const int now = ++inside;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
                three.arrive_and_wait();
                --inside;
                permits.release();
            }));
        for (auto& t : all) t.join();
    });
    CHECK(most == 3);
}

TEST_CASE("permits go to those who wait in order of arrival", "[sync][semaphore][unordered]") {
    std::vector<int> order;
    bool slipped_in = true, one_left = false;
    rondo::run({.workers = one_worker}, [&] {
        rondo::semaphore permits(0);
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 4; ++i)
            all.push_back(rondo::spawn([&, i] {
                permits.acquire();
                order.push_back(i);
            }));
        rondo::yield();
        permits.release();
        slipped_in = permits.try_acquire();
        permits.release(0);
        permits.release(4);
        for (auto& t : all) t.join();
        one_left = permits.try_acquire() && !permits.try_acquire();
    });
    CHECK(order == std::vector{0, 1, 2, 3});
    CHECK_FALSE(slipped_in);
    CHECK(one_left);
}

TEST_CASE("a stop, a limit or a deadline takes no permit", "[sync][semaphore]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::semaphore permits(0);
    const auto try_all = [&] {
        return std::vector<bool>{permits.try_acquire(), permits.acquire_for(0s), permits.acquire_for(1ms),
                                 permits.acquire_until(std::chrono::steady_clock::now() + 1ms),
                                 permits.try_acquire_for(1ms),
                                 permits.try_acquire_until(std::chrono::steady_clock::now() + 1ms),
                                 rondo::within(1ms, [&] { permits.acquire(); })};
    };
    std::vector<bool> as_tasklet, as_thread;
    std::string end;
    {
        stage s(workers);
        s.rt.spawn([&] { as_tasklet = try_all(); }).join();
        as_thread = try_all();
        auto t = s.rt.spawn([&] { end = end_of([&] { permits.acquire(); }); });
        CHECK(s.settle() == 1);
        t.stop();
        t.join();
    }
    CHECK(as_tasklet == std::vector<bool>(7, false));
    CHECK(as_thread == std::vector<bool>(7, false));
    CHECK(end == "stopped");
    permits.release();
    CHECK(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire());
}

TEST_CASE("a permit released just before a stop is not lost", "[sync][semaphore]") {
    std::string first, second;
    rondo::run({.workers = one_worker}, [&] {
        rondo::semaphore permits(0);
        auto a = rondo::spawn([&] { first = end_of([&] { permits.acquire(); }); });
        auto b = rondo::spawn([&] { second = end_of([&] { permits.acquire(); }); });
        rondo::yield();
        permits.release();
        a.stop();
        b.stop();
        permits.release();
        a.join(), b.join();
        if (!permits.try_acquire()) second += ", permit lost";
    });
    CHECK(first == "returned");
    CHECK(second == "stopped");
}

TEST_CASE("a semaphore refuses negative numbers and too many permits", "[sync][semaphore]") {
    CHECK(end_of([] { rondo::semaphore s(-1); }) == "usage_error");
    rondo::semaphore s(1);
    CHECK(end_of([&] { s.release(-1); }) == "usage_error");
    CHECK(end_of([&] { s.release(PTRDIFF_MAX); }) == "usage_error");
    CHECK(s.try_acquire());
    CHECK_FALSE(s.try_acquire());
}

// ------------------------------------------------------------------------------------------------------------- event

TEST_CASE("an event lets everybody through while it is set", "[sync][event]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::event door;
    std::atomic<int> through{0};
    const auto pass = [&] { door.wait(), ++through; };
    stage s(workers);
    std::vector<rondo::tasklet<void>> all;
    for (int i = 0; i < 10; ++i) all.push_back(s.rt.spawn(pass));
    std::thread foreign(pass);
    CHECK(s.settle() == 10);
    CHECK(through == 0);
    CHECK_FALSE(door.is_set());
    door.set();
    foreign.join();
    CHECK(s.settle() == 0);
    CHECK(through == 11);
    pass();
    door.reset();
    CHECK_FALSE(door.wait_for(1ms));
    CHECK_FALSE(door.wait_for(-1ms));
    CHECK_FALSE(door.wait_until(std::chrono::steady_clock::now() + 1ms));
    CHECK_FALSE(rondo::within(1ms, [&] { door.wait(); }));
}

TEST_CASE("those that set() found waiting go on even if reset() follows at once", "[sync][event][unordered]") {
    int through = 0;
    rondo::run({.workers = one_worker}, [&] {
        rondo::event door;
        auto a = rondo::spawn([&] { door.wait(), ++through; });
        auto b = rondo::spawn([&] { door.wait(), ++through; });
        rondo::yield();
        door.set();
        door.reset();
        a.join(), b.join();
    });
    CHECK(through == 2);
}

TEST_CASE("a waiter may destroy what it waited for as soon as it goes on", "[sync][event]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        for (int i = 0; i < 200; ++i) {
            auto happened = std::make_unique<rondo::event>();
            auto a = rondo::spawn([e = happened.get()] { e->set(); });
            happened->wait();
            happened.reset();

            auto jobs = std::make_unique<rondo::wait_group>(2);
            auto b = rondo::spawn([j = jobs.get()] { j->done(); });
            auto c = rondo::spawn([j = jobs.get()] { j->done(); });
            while (i % 2 && !jobs->try_wait()) rondo::yield();
            jobs->wait();
            jobs.reset();

            auto open = std::make_unique<rondo::latch>(2);
            auto d = rondo::spawn([l = open.get()] { l->count_down(); });
            open->arrive_and_wait();
            open.reset();

            auto lock = std::make_unique<rondo::mutex>();
            auto signal = std::make_unique<rondo::semaphore>(0);
            auto f = rondo::spawn([l = lock.get(), s = signal.get()] {
                std::unique_lock hold(*l);
                s->release();
                rondo::yield();
            });
            signal->acquire();
            lock->lock();
            lock->unlock();
            signal.reset();
            lock.reset();
            a.join(), b.join(), c.join(), d.join(), f.join();
        }
    });
}

TEST_CASE("destroying what somebody waits for ends the process", "[sync]") {
    const auto destroyed_while = [](auto make, auto wait) {
        return last_words([=] {
            rondo::runtime rt({.workers = one_worker});
            auto object = make();
            auto t = rt.spawn([&] { wait(*object); });
            rt.run_until_idle();
            object.reset();
        });
    };
    CHECK_THAT(destroyed_while([] { auto m = std::make_unique<rondo::mutex>(); m->lock(); return m; },
                               [](auto& m) { m.lock(); }),
               Catch::Contains("a mutex must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { auto m = std::make_unique<rondo::shared_mutex>(); m->lock(); return m; },
                               [](auto& m) { m.lock_shared(); }),
               Catch::Contains("a shared_mutex must not be destroyed while somebody waits for it"));
    rondo::mutex m;
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::condition_variable>(); },
                               [&](auto& c) { std::unique_lock lock(m); c.wait(lock); }),
               Catch::Contains("a condition_variable must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::semaphore>(0); }, [](auto& s) { s.acquire(); }),
               Catch::Contains("a semaphore must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::event>(); }, [](auto& e) { e.wait(); }),
               Catch::Contains("an event must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::wait_group>(1); }, [](auto& g) { g.wait(); }),
               Catch::Contains("a wait_group must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::barrier>(2); },
                               [](auto& b) { b.arrive_and_wait(); }),
               Catch::Contains("a barrier must not be destroyed while somebody waits at it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::latch>(1); }, [](auto& l) { l.wait(); }),
               Catch::Contains("a latch must not be destroyed while somebody waits for it"));
    CHECK_THAT(destroyed_while([] { return std::make_unique<rondo::once>(); },
                               [](auto& o) { o.call([] { rondo::event never; never.wait(); }); }),
               Catch::Contains("a once must not be destroyed while its function runs"));
}

// -------------------------------------------------------------------------------------------------------- wait_group

TEST_CASE("a wait_group waits until every job is done, again and again", "[sync][wait_group]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::vector<int> seen;
    rondo::run({.workers = workers}, [&] {
        rondo::wait_group jobs;
        jobs.wait();
        for (int round = 1; round <= 3; ++round) {
            std::vector<int> results(50);
            for (auto& r : results) {
                jobs.add(1);
                rondo::spawn([&r, &jobs, round] {
                    if (round == 2) rondo::yield();
                    r = round;
                    jobs.done();
                });
            }
            jobs.wait();
            int sum = 0;
            for (int r : results) sum += r;
            seen.push_back(sum);
        }
    });
    CHECK(seen == std::vector{50, 100, 150});
}

TEST_CASE("a wait for a wait_group ends with a stop, a limit or a deadline", "[sync][wait_group]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::wait_group jobs(1);
    std::string end;
    stage s(workers);
    auto t = s.rt.spawn([&] { end = end_of([&] { jobs.wait(); }); });
    CHECK(s.settle() == 1);
    t.stop();
    t.join();
    CHECK(end == "stopped");
    CHECK_FALSE(jobs.try_wait());
    CHECK_FALSE(jobs.wait_for(1ms));
    CHECK_FALSE(s.rt.spawn([&] { return jobs.wait_until(std::chrono::steady_clock::now() + 1ms); }).join());
    CHECK_FALSE(s.rt.spawn([&] { return rondo::within(1ms, [&] { jobs.wait(); }); }).join());
    std::thread foreign([&] { jobs.wait(); });
    jobs.done();
    foreign.join();
    CHECK(jobs.wait_for(1ms));
}

TEST_CASE("a wait_group refuses to count below zero", "[sync][wait_group]") {
    CHECK(end_of([] { rondo::wait_group g(-1); }) == "usage_error");
    rondo::wait_group g(2);
    CHECK(end_of([&] { g.add(-3); }) == "usage_error");
    CHECK(end_of([&] { g.add(PTRDIFF_MAX); }) == "usage_error");
    CHECK_FALSE(g.try_wait());
    g.add(-2);
    CHECK(g.try_wait());
    CHECK(end_of([&] { g.done(); }) == "usage_error");
    CHECK(g.try_wait());
}

// ----------------------------------------------------------------------------------------------------------- barrier

TEST_CASE("nobody leaves a barrier before everybody has arrived", "[sync][barrier]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> early{0};
    rondo::run({.workers = workers}, [&] {
        constexpr int participants = 8, rounds = 50;
        rondo::barrier meet(participants);
        std::atomic<int> arrived{0};
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < participants; ++i)
            all.push_back(rondo::spawn([&, i] {
                for (int round = 1; round <= rounds; ++round) {
                    if ((i + round) % 3 == 0) rondo::yield();
                    ++arrived;
                    meet.arrive_and_wait();
                    early += arrived < round * participants;
                }
            }));
        for (auto& t : all) t.join();
    });
    CHECK(early == 0);
}

TEST_CASE("whoever drops out of a barrier is not waited for again", "[sync][barrier]") {
    int rounds = 0;
    std::string end;
    rondo::run({.workers = one_worker}, [&] {
        rondo::barrier meet(3);
        auto t = rondo::spawn([&] {
            for (; rounds < 3; ++rounds) meet.arrive_and_wait();
        });
        meet.arrive();
        meet.drop();
        rondo::yield();
        meet.arrive_and_wait();
        meet.arrive_and_wait();
        t.join();
        meet.drop();
        meet.arrive_and_drop();
        end = end_of([&] { meet.arrive_and_wait(); });
    });
    CHECK(rounds == 3);
    CHECK(end == "usage_error");
    CHECK(end_of([] { rondo::barrier b(0); }) == "usage_error");
}

TEST_CASE("an arrival at a barrier that a stop or a limit ends is taken back", "[sync][barrier]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::barrier meet(2);
    std::string end;
    std::atomic<bool> met{false};
    stage s(workers);
    auto t = s.rt.spawn([&] { end = end_of([&] { meet.arrive_and_wait(); }); });
    CHECK(s.settle() == 1);
    t.stop();
    t.join();
    CHECK(end == "stopped");
    CHECK_FALSE(meet.arrive_and_wait_for(1ms));
    CHECK_FALSE(meet.arrive_and_wait_for(0ms));
    CHECK_FALSE(s.rt.spawn([&] { return meet.arrive_and_wait_until(std::chrono::steady_clock::now() + 1ms); }).join());
    CHECK_FALSE(s.rt.spawn([&] { return rondo::within(1ms, [&] { meet.arrive_and_wait(); }); }).join());
    auto a = s.rt.spawn([&] { meet.arrive_and_wait(), met = true; });
    CHECK(s.settle() == 1);
    CHECK_FALSE(met);
    meet.arrive_and_wait();
    a.join();
    CHECK(met);
}

TEST_CASE("a stop that comes after a barrier's round is complete does not undo the arrival", "[sync][barrier]") {
    std::string end;
    bool next_round_is_whole = false;
    rondo::run({.workers = one_worker}, [&] {
        rondo::barrier meet(2);
        auto t = rondo::spawn([&] { end = end_of([&] { meet.arrive_and_wait(); }); });
        rondo::yield();
        t.stop();                                       // its wait has ended, but it has not run yet
        meet.arrive_and_wait();                         // so its arrival still counts
        t.join();
        next_round_is_whole = !meet.arrive_and_wait_for(1ms);
    });
    CHECK(end == "returned");
    CHECK(next_round_is_whole);
}

// ------------------------------------------------------------------------------------------------------------- latch

TEST_CASE("a latch opens once it has been counted down", "[sync][latch]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::latch open(5);
    std::atomic<int> through{0};
    stage s(workers);
    for (int i = 0; i < 3; ++i) s.rt.spawn([&] { open.wait(), ++through; });
    std::thread foreign([&] { open.arrive_and_wait(2), ++through; });
    s.settle();
    CHECK_FALSE(open.wait_for(1ms));
    open.count_down(2);
    CHECK(through == 0);
    CHECK(end_of([&] { open.count_down(4); }) == "usage_error");
    s.rt.spawn([&] { open.arrive_and_wait(); }).join();
    foreign.join();
    CHECK(s.settle() == 0);
    CHECK(through == 4);
    CHECK(open.try_wait());
    CHECK(open.wait_for(0ms));
    open.count_down(0);
    CHECK(end_of([&] { open.count_down(); }) == "usage_error");
    CHECK(end_of([&] { open.count_down(-1); }) == "usage_error");
    CHECK(end_of([] { rondo::latch l(-1); }) == "usage_error");
}

TEST_CASE("an arrival at a latch that a stop or a limit ends is taken back", "[sync][latch]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::latch open(2);
    std::string end, waited;
    stage s(workers);
    auto t = s.rt.spawn([&] { end = end_of([&] { open.arrive_and_wait(); }); });
    auto w = s.rt.spawn([&] { waited = end_of([&] { open.wait(); }); });
    CHECK(s.settle() == 2);
    t.stop();
    w.stop();
    t.join();
    w.join();
    CHECK(end == "stopped");
    CHECK(waited == "stopped");
    CHECK_FALSE(open.arrive_and_wait_for(1ms));
    CHECK_FALSE(open.arrive_and_wait_for(0ms));
    CHECK_FALSE(s.rt.spawn([&] { return open.arrive_and_wait_until(std::chrono::steady_clock::now() + 1ms); }).join());
    CHECK_FALSE(s.rt.spawn([&] { return rondo::within(1ms, [&] { open.arrive_and_wait(); }); }).join());
    open.count_down();
    CHECK_FALSE(open.try_wait());
    open.count_down();
    CHECK(open.wait_until(std::chrono::steady_clock::now()));
}

// -------------------------------------------------------------------------------------------------------------- once

TEST_CASE("the first caller runs its function, the others wait until it has ended", "[sync][once]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::atomic<int> ran{0}, too_early{0};
    std::atomic<bool> ready{false};
    rondo::once set_up;
    const auto call = [&] {
        set_up.call([&] {
            ++ran;
            for (int i = 0; i < 5; ++i) rondo::yield();
            ready = true;
        });
        too_early += !ready;
    };
    std::thread foreign(call);
    rondo::run({.workers = workers}, [&] {
        for (int i = 0; i < 20; ++i) rondo::spawn(call);
    });
    foreign.join();
    CHECK(ran == 1);
    CHECK(too_early == 0);
    CHECK(set_up.done());
    CHECK(set_up.try_call([&] { ++ran; }));
    CHECK(ran == 1);
}

TEST_CASE("a function that throws does not count, and the next caller tries", "[sync][once]") {
    std::string order;
    std::vector<std::string> ends(4);
    rondo::run({.workers = one_worker}, [&] {
        rondo::once set_up;
        std::vector<rondo::tasklet<void>> all;
        for (std::size_t i = 0; i < 4; ++i)
            all.push_back(rondo::spawn([&, i] {
                ends[i] = end_of([&] {
                    set_up.call([&] {
                        order += static_cast<char>('0' + i);
                        rondo::yield();
                        if (i < 2) throw std::runtime_error("bad");
                    });
                });
            }));
        for (auto& t : all) t.join();
    });
    CHECK(order == "012");
    CHECK(ends == std::vector<std::string>{"bad", "bad", "returned", "returned"});
}

TEST_CASE("a caller of once can be stopped or give up while another's function runs", "[sync][once]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::once set_up;
    rondo::event go_on;
    int calls = 0;
    std::string end;
    stage s(workers);
    auto runner = s.rt.spawn([&] { set_up.call([&] { go_on.wait(); }); });
    CHECK(s.settle() == 1);
    auto t = s.rt.spawn([&] { end = end_of([&] { set_up.call([&] { ++calls; }); }); });
    CHECK(s.settle() == 2);
    t.stop();
    t.join();
    CHECK(end == "stopped");
    CHECK_FALSE(set_up.try_call([&] { ++calls; }));
    CHECK_FALSE(set_up.call_for(1ms, [&] { ++calls; }));
    CHECK_FALSE(set_up.call_until(std::chrono::steady_clock::now() + 1ms, [&] { ++calls; }));
    CHECK_FALSE(rondo::within(1ms, [&] { set_up.call([&] { ++calls; }); }));
    runner.stop();
    CHECK_THROWS_AS(runner.join(), rondo::stopped);
    CHECK_FALSE(set_up.done());
    CHECK(set_up.try_call([&](int by) { calls += by; }, 10));
    CHECK(calls == 10);
    CHECK(set_up.done());
}

TEST_CASE("calling once from inside its own function is an error", "[sync][once]") {
    rondo::once set_up;
    std::string end;
    set_up.call([&] { end = end_of([&] { set_up.call([] {}); }); });
    CHECK(end == "usage_error");
    CHECK(set_up.done());
}

TEST_CASE("a mutex that is destroyed by the exception of its own second lock lets that exception through", "[mutex]") {
    const auto end = rondo::run({.workers = 1}, [] {
        return end_of([] {
            rondo::mutex m;
            m.lock();
            m.lock();
        });
    });
    CHECK(end == "usage_error");
}
