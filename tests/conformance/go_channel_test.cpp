// What Go's tests of channels hold Go to (test/chan/*.go, runtime/chan_test.go), told of Rondo's channels in our own words.
// Rondo: a receive from a closed channel is an error (Go gives a zero value); next(), loops and select tell the end; a
// close that meets waiting senders gives them an error (Go panics them); a second close does nothing.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/tasklet.hpp>

#include "stage.hpp"

using conformance::end_of;
using rondo::channel;
using rondo::send_status;

namespace {

// The sieve: what each tasklet sends on, and how many slots lie between two.
std::vector<int> primes(std::size_t how_many, std::size_t slots) {
    std::vector<int> found;
    rondo::scope([&](rondo::group& g) {
        channel<int> end{slots};
        g.spawn([end] { for (int n = 2;; ++n) end.send(n); });
        while (found.size() < how_many) {
            const int prime = end.receive();
            found.push_back(prime);
            const channel<int> next{slots};
            g.spawn([prime, end, next] { for (int n : end) if (n % prime) next.send(n); });
            end = next;
        }
        g.stop();
    });
    return found;
}

}  // namespace

TEST_CASE("a sieve of channels finds the primes", "[go][sieve]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 1, 10);
    const auto found = rondo::run({.workers = workers}, [&] { return primes(60, slots); });
    std::vector<int> wanted;
    for (int n = 2; wanted.size() < 60; ++n) {
        bool is_prime = true;
        for (int p : wanted) is_prime = is_prime && n % p != 0;
        if (is_prime) wanted.push_back(n);
    }
    CHECK(found == wanted);
}

TEST_CASE("values come out in the order in which they went in, with slots and without", "[go][fifo]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 1, 7, 100);
    rondo::run({.workers = workers}, [&] {
        channel<int> c{slots};
        auto t = rondo::spawn([c] {
            for (int i = 0; i < 100; ++i) c.send(i);
        });
        for (int i = 0; i < 100; ++i) CHECK(c.receive() == i);
        t.join();
    });
}

TEST_CASE("tasklets that hand a turn along a chain run in its order", "[go][fifo]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    std::vector<int> order;
    rondo::run({.workers = workers}, [&] {
        channel<bool> in;
        const channel<bool> first = in;
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < 50; ++i) {
            const channel<bool> out;
            all.push_back(rondo::spawn([&order, i, in, out] {
                in.receive();
                order.push_back(i);                   // their turns exclude each other
                out.send(true);
            }));
            in = out;
        }
        first.send(true);
        in.receive();
        for (auto& t : all) t.join();
    });
    std::vector<int> wanted(50);
    std::iota(wanted.begin(), wanted.end(), 0);
    CHECK(order == wanted);
}

TEST_CASE("a value passes through three thousand tasklets that each add one", "[go][goroutines]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int many = 3000;
    const int sum = rondo::run({.workers = workers}, [&] {
        const channel<int> leftmost;
        channel<int> right = leftmost;
        for (int i = 0; i < many; ++i) {
            const channel<int> left = right, next;
            rondo::spawn([left, next] { left.send(next.receive() + 1); });
            right = next;
        }
        rondo::spawn([right] { right.send(0); });
        return leftmost.receive();
    });
    CHECK(sum == many);
}

namespace {

template <class T>
void try_forms(T value) {
    channel<T> c;
    CHECK_FALSE(c.try_receive());
    CHECK(c.try_send(T(value)) == send_status::full);
    // To somebody who waits.
    auto receiver = rondo::spawn([c] { return c.receive(); });
    while (c.balance() >= 0) rondo::yield();
    CHECK(c.try_send(T(value)) == send_status::done);
    CHECK(receiver.join() == value);
    // From somebody who waits.
    auto sender = rondo::spawn([c, value] { c.send(value); });
    while (c.balance() <= 0) rondo::yield();
    CHECK(c.try_receive() == value);
    sender.join();
    // One slot.
    channel<T> one{1};
    CHECK_FALSE(one.try_receive());
    CHECK(one.try_send(T(value)) == send_status::done);
    CHECK(one.try_send(T(value)) == send_status::full);
    CHECK(one.try_receive() == value);
    CHECK_FALSE(one.try_receive());
}

struct nothing_at_all {
    bool operator==(const nothing_at_all&) const = default;
};

}  // namespace

TEST_CASE("operations that must not wait succeed exactly when a partner or a slot is there", "[go][nonblock]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    rondo::run({.workers = workers}, [] {
        try_forms<int>(5);
        try_forms<char>('x');
        try_forms<std::string>("a string that does not fit inside its object");
        try_forms<std::vector<int>>({1, 2, 3});
        try_forms<nothing_at_all>({});                // a channel of values without any size
        try_forms<std::shared_ptr<int>>(std::make_shared<int>(3));
    });
}

TEST_CASE("receives wait on an empty channel and sends on a full one, whatever its slots", "[go][chan]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 1, 2, 10, 50);
    rondo::runtime rt({.workers = workers});
    {
        channel<int> empty{slots};
        auto a = rt.spawn([&] { empty.receive(); });
        auto b = rt.spawn([&] { (void)empty.next(); });
        CHECK(rt.run_until_idle().parked.size() == 2);
        CHECK_FALSE(empty.try_receive());
        empty.send(0);
        empty.send(0);
        CHECK(rt.run_until_idle().parked.empty());
    }
    {
        channel<int> full{slots};
        for (std::size_t i = 0; i < slots; ++i) full.send(static_cast<int>(i));
        CHECK(full.size() == slots);
        CHECK(full.capacity() == slots);
        std::atomic<bool> sent{false};
        auto t = rt.spawn([&] {
            full.send(0);
            sent = true;
        });
        CHECK(rt.run_until_idle().parked.size() == 1);
        CHECK_FALSE(sent);
        CHECK(full.try_send(0) == send_status::full);
        full.receive();
        CHECK(rt.run_until_idle().parked.empty());
        CHECK(sent);
    }
    {
        channel<int> closed{slots};                   // what lies in it can be received after the close
        for (std::size_t i = 0; i < slots; ++i) closed.send(static_cast<int>(i));
        closed.close();
        for (std::size_t i = 0; i < slots; ++i) CHECK(closed.receive() == static_cast<int>(i));
        for (int i = 0; i < 3; ++i) {
            CHECK(end_of([&] { closed.receive(); }) == "closed");
            CHECK_FALSE(closed.next());
            CHECK_FALSE(closed.try_receive());
        }
    }
    {
        channel<int> c{slots};                        // close wakes all receivers
        std::vector<std::string> ends(5);
        std::vector<rondo::tasklet<void>> all;
        for (auto& end : ends) all.push_back(rt.spawn([&] { end = end_of([&] { c.receive(); }); }));
        CHECK(rt.run_until_idle().parked.size() == 5);
        c.close();
        CHECK(rt.run_until_idle().parked.empty());
        CHECK(ends == std::vector<std::string>(5, "closed"));
    }
}

TEST_CASE("a loop over a channel takes everything, then ends", "[go][chan]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const std::size_t slots = GENERATE(0, 1, 10);
    rondo::run({.workers = workers}, [&] {
        channel<int> c{slots};
        auto t = rondo::spawn([c] {
            for (int i = 0; i < 100; ++i) c.send(i);
            c.close();
        });
        int n = 0;
        for (int v : c) CHECK(v == n++);
        CHECK(n == 100);
        t.join();
    });
}

TEST_CASE("many to many: every number of senders, receivers and slots delivers every value once", "[go][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int each = 60;
    rondo::run({.workers = workers}, [&] {
        for (int senders : {1, 2, 3, 7})
            for (int receivers : {1, 2, 3, 7})
                for (std::size_t slots : {0u, 1u, 5u, 64u}) {
                    channel<int> c{slots};
                    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(senders * each));
                    rondo::scope([&](rondo::group& g) {
                        std::vector<rondo::tasklet<void>> sending;
                        for (int s = 0; s < senders; ++s)
                            sending.push_back(g.spawn([&, s] {
                                for (int i = 0; i < each; ++i) c.send(s * each + i);
                            }));
                        for (int r = 0; r < receivers; ++r)
                            g.spawn([&] {
                                for (int v : c) ++seen[static_cast<std::size_t>(v)];
                            });
                        for (auto& t : sending) t.join();
                        c.close();
                    });
                    bool each_once = true;
                    for (auto& n : seen) each_once = each_once && n == 1;
                    CHECK(each_once);
                }
    });
}

TEST_CASE("a value that lies in a slot is found by a receive that does not wait, closed or not", "[go][race]") {
    const auto workers = GENERATE(2u, 4u);
    rondo::run({.workers = workers}, [] {
        for (int i = 0; i < 300; ++i) {
            channel<int> c{1};
            c.send(1);
            auto taker = rondo::spawn([c] { return c.try_receive().has_value(); });
            auto closer = rondo::spawn([c] { c.close(); });
            CHECK(taker.join());
            closer.join();
        }
    });
}

TEST_CASE("many consumers that feed one collector conserve the sum", "[go][many]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int consumers = 23, values = 2000;
    rondo::run({.workers = workers}, [&] {
        channel<int> work{static_cast<std::size_t>(consumers)}, results{static_cast<std::size_t>(consumers) * 3};
        std::vector<rondo::tasklet<void>> all;
        for (int i = 0; i < consumers; ++i)
            all.push_back(rondo::spawn([=] {
                for (int v : work) {
                    if (v % 5 == 0) rondo::yield();
                    results.send(v);
                }
            }));
        long expected = 0;
        auto feeder = rondo::spawn([&, work, results] {
            for (int i = 0; i < values; ++i) {
                expected += i % 31;
                work.send(i % 31);
            }
            work.close();
            for (auto& t : all) t.join();
            results.close();
        });
        long sum = 0;
        int count = 0;
        for (int v : results) {
            sum += v;
            ++count;
        }
        feeder.join();
        CHECK(sum == expected);
        CHECK(count == values);
    });
}
