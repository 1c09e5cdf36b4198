// channel: rendezvous, slots, order, handing over, closing, limits, stops, errors, handles, plain threads.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/lowlevel/wait.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/time.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::send_status;
#ifndef RONDO_TEST_CHANNEL                        // spin_locked_test.cpp runs these tests over another kind
using rondo::channel;
#endif

// -------------------------------------------------------------------------------------------------------- rendezvous

TEST_CASE("a rendezvous send returns only after its value was taken", "[channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    channel<int> line;
    bool sent = false;
    int got = 0;
    auto sender = s.rt.spawn([&] {
        line.send(7);
        sent = true;
    });
    CHECK(s.settle() == 1);
    CHECK_FALSE(sent);
    CHECK(line.balance() == 1);
    auto receiver = s.rt.spawn([&] { got = line.receive(); });
    CHECK(s.settle() == 0);
    CHECK(sent);
    CHECK(got == 7);
    CHECK(line.balance() == 0);
    CHECK(line.size() == 0);
    CHECK(line.capacity() == 0);
}

TEST_CASE("a receiver that came first gets the value of the next send", "[channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    channel<int> line;
    int got = 0;
    auto receiver = s.rt.spawn([&] { got = line.receive(); });
    CHECK(s.settle() == 1);
    CHECK(line.balance() == -1);
    auto sender = s.rt.spawn([&] { line.send(7); });
    CHECK(s.settle() == 0);
    CHECK(got == 7);
    CHECK(line.balance() == 0);
}

TEST_CASE("a channel without slots hands a value over before the sender's next statement", "[channel][unordered]") {
    const auto who = GENERATE(rondo::handoff::receiver, rondo::handoff::sender, rondo::handoff::none);
    lines log;
    rondo::run({.workers = one_worker}, [&] {
        channel<int> line{who};
        auto sender = rondo::spawn([&] {
            log.push_back("send");
            line.send(1);
            log.push_back("sent");
        });
        rondo::yield();
        log.push_back("receive");
        line.receive();
    });
    CHECK(log[0] == "send");
    CHECK(log[1] == "receive");
    CHECK(log[2] == "sent");
}

TEST_CASE("receivers are served in order of arrival", "[channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    stage s(workers);
    channel<int> line;
    std::vector<int> got(4);
    std::vector<rondo::tasklet<void>> all;
    for (std::size_t i = 0; i < got.size(); ++i) {
        all.push_back(s.rt.spawn([&, i] { got[i] = line.receive(); }));
        s.settle();
    }
    CHECK(line.balance() == -4);
    s.rt.spawn([&] { for (int v : {10, 11, 12, 13}) line.send(v); });
    CHECK(s.settle() == 0);
    CHECK(got == std::vector{10, 11, 12, 13});
}

TEST_CASE("senders are served in order of arrival", "[channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    stage s(workers);
    channel<int> line(slots);
    std::vector<rondo::tasklet<void>> all;
    for (int i = 0; i < 5; ++i) {
        all.push_back(s.rt.spawn([&, i] { line.send(i); }));
        s.settle();
    }
    CHECK(line.balance() == 5 - static_cast<int>(slots));
    std::vector<int> got;
    s.rt.spawn([&] { for (int i = 0; i < 5; ++i) got.push_back(line.receive()); });
    CHECK(s.settle() == 0);
    CHECK(got == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("a stopped receiver leaves the queue and the next one gets the value", "[channel]") {
    stage s(GENERATE(1u, 2u, 4u));
    channel<int> line;
    std::string first;
    int second = 0;
    auto a = s.rt.spawn([&] { first = end_of([&] { line.receive(); }); });
    s.settle();
    auto b = s.rt.spawn([&] { second = line.receive(); });
    s.settle();
    a.stop();
    CHECK(s.settle() == 1);
    CHECK(line.balance() == -1);
    s.rt.spawn([&] { line.send(5); });
    CHECK(s.settle() == 0);
    CHECK(first == "stopped");
    CHECK(second == 5);
}

TEST_CASE("a shielded receiver gets its value though it has been stopped meanwhile", "[channel]") {
    stage s(GENERATE(1u, 2u, 4u));
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    channel<int> line(slots);
    int got = 0;
    auto a = s.rt.spawn([&] {
        const rondo::lowlevel::shield from_stop;
        got = line.receive();
    });
    CHECK(s.settle() == 1);
    a.stop();
    CHECK(s.settle() == 1);
    s.rt.spawn([&] { line.send(5); });
    CHECK(s.settle() == 0);
    CHECK(got == 5);
}

TEST_CASE("each value arrives exactly once and each producer's values in order", "[channel]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{3});
    constexpr int producers = 4, each = 200, consumers = 2;
    std::vector<std::vector<int>> got(consumers);
    rondo::run({.workers = workers}, [&] {
        channel<int> line(slots);
        std::vector<rondo::tasklet<void>> sending, receiving;
        for (int p = 0; p < producers; ++p)
            sending.push_back(rondo::spawn([=] {
                for (int i = 0; i < each; ++i) line.send(p * each + i);
            }));
        for (auto& mine : got)
            receiving.push_back(rondo::spawn([&mine, line] {
                for (int v : line) mine.push_back(v);
            }));
        for (auto& t : sending) t.join();
        line.close();
        for (auto& t : receiving) t.join();
    });
    std::vector<int> all;
    for (auto& mine : got) {
        std::vector<int> last(producers, -1);
        bool ordered = true;
        for (int v : mine) {
            ordered = ordered && v > std::exchange(last[static_cast<std::size_t>(v / each)], v);
            all.push_back(v);
        }
        CHECK(ordered);
    }
    std::sort(all.begin(), all.end());
    std::vector<int> expected(producers * each);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(all == expected);
}

// ---------------------------------------------------------------------------------------------------------- handing over

TEST_CASE("the tutorial's three tasklets: who goes on when a send meets a waiting receiver", "[channel][handoff][unordered]") {
    const auto transcript = [](rondo::handoff who) {
        lines log;
        rondo::run({.workers = one_worker}, [&] {
            channel<std::string> line{who};
            rondo::spawn([&log, line] {
                log.push_back("R-start");
                line.receive();
                log.push_back("R-got");
                log.push_back("R-end");
            });
            rondo::spawn([&log, line] {
                log.push_back("S-start");
                line.send("send from sending_tasklet");
                log.push_back("S-end");
            });
            rondo::spawn([&log] { log.push_back("A"); });
        });
        return log;
    };
    CHECK(transcript(rondo::handoff::receiver) == lines{"R-start", "S-start", "R-got", "R-end", "A", "S-end"});
    CHECK(transcript(rondo::handoff::none) == lines{"R-start", "S-start", "S-end", "A", "R-got", "R-end"});
    CHECK(transcript(rondo::handoff::sender) == lines{"R-start", "S-start", "S-end", "A", "R-got", "R-end"});
}

TEST_CASE("the tutorial's late receiver: who goes on when a receive meets a waiting sender", "[channel][handoff][unordered]") {
    const auto transcript = [](rondo::handoff who) {
        lines log;
        rondo::run({.workers = one_worker}, [&] {
            channel<std::string> line{who};
            const auto another = [&log] { log.push_back("A"); };
            rondo::spawn([&log, line] {
                log.push_back("S-start");
                line.send("send from sending_tasklet");
                log.push_back("S-end");
            });
            rondo::spawn(another);
            rondo::yield();
            log.push_back("balance " + std::to_string(line.balance()));
            rondo::spawn(another);
            rondo::yield();
            rondo::spawn([&log, line] {
                log.push_back("R-start");
                line.receive();
                log.push_back("R-got");
                log.push_back("R-end");
            });
        });
        return log;
    };
    const auto expected = [](lines end) {
        lines all{"S-start", "A", "balance 1", "A"};
        all.insert(all.end(), end.begin(), end.end());
        return all;
    };
    CHECK(transcript(rondo::handoff::receiver) == expected({"R-start", "R-got", "R-end", "S-end"}));
    CHECK(transcript(rondo::handoff::none) == expected({"R-start", "R-got", "R-end", "S-end"}));
    CHECK(transcript(rondo::handoff::sender) == expected({"R-start", "S-end", "R-got", "R-end"}));
}

TEST_CASE("who keeps the worker goes on ahead of those that were ready before", "[channel][handoff][unordered]") {
    // A receive meets a waiting sender while A is ready.
    const auto transcript = [](rondo::handoff who) {
        lines log;
        rondo::run({.workers = one_worker}, [&] {
            channel<int> line{who};
            rondo::spawn([&log, line] {
                line.send(1);
                log.push_back("S");
            });
            rondo::yield();
            rondo::spawn([&log, line] {
                line.receive();
                log.push_back("R");
            });
            rondo::spawn([&log] { log.push_back("A"); });
        });
        return log;
    };
    CHECK(transcript(rondo::handoff::receiver) == lines{"R", "A", "S"});
    CHECK(transcript(rondo::handoff::none) == lines{"R", "A", "S"});
    CHECK(transcript(rondo::handoff::sender) == lines{"S", "A", "R"});
}

TEST_CASE("whom a send has woken runs, though its sender holds the worker", "[channel][handoff][stealing]") {
    const auto workers = GENERATE(2u, 4u);
    const auto who = GENERATE(rondo::handoff::receiver, rondo::handoff::sender, rondo::handoff::none);
    const bool is_used_to_short_ones = GENERATE(false, true);
    rondo::run({.workers = workers}, [&] {
        channel<int> line{who}, back{who};
        std::atomic<int> received{0};
        auto receiver = rondo::spawn([&] {
            for (int i : line)
                if (i >= 0) back.send(i);
                else ++received;
        });
        for (int i = 0; is_used_to_short_ones && i < 1'000; ++i) {
            line.send(i);
            back.receive();
        }
        while (line.balance() == 0) rondo::yield();
        line.send(-1);
        while (received == 0) {}                          // calls nothing that would let others in
        line.close();
        receiver.join();
    });
}

// With so many ready the two are each other's next, for a while.
TEST_CASE("two that wake each other all the time let those come between who are ready", "[channel][handoff]") {
    static constexpr int others = 100, turns = 20;
    const auto workers = GENERATE(1u, 2u);
    rondo::run({.workers = workers}, [&] {
        channel<int> ping{rondo::handoff::none}, pong{rondo::handoff::none};
        std::atomic<int> had{0};
        auto answers = rondo::spawn([&] {
            for (int i : ping) pong.send(i);
        });
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < others; ++i)
                g.spawn([&] {
                    for (int n = 0; n < turns; ++n) rondo::yield();
                    ++had;
                });
            rondo::yield();
            for (int i = 0; had < others; ++i) {
                ping.send(i);
                if (pong.receive() != i) FAIL("the wrong answer");
            }
        });
        ping.close();
        answers.join();
    });
}

// Each pair that is ready before it could play for half a millisecond. Counted, not timed: nobody plays while this worker rests.
TEST_CASE("who has slept has its turn soon, though many play to each other", "[channel][handoff][unordered]") {
    static constexpr int pairs = 100;
    rondo::run({.workers = 1}, [&] {
        long rounds = 0, most = 0;
        std::atomic<bool> ends{false};
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < pairs; ++i) {
                channel<int> ping{rondo::handoff::none}, pong{rondo::handoff::none};
                g.spawn([ping, pong]() mutable {
                    for (int n : ping) pong.send(n);
                });
                g.spawn([&, ping, pong]() mutable {
                    for (; !ends; ++rounds) {
                        ping.send(1);
                        pong.receive();
                    }
                    ping.close();
                });
            }
            while (rounds < 20'000) rondo::yield();
            for (int i = 0; i < 20; ++i) {
                const auto before = rounds;
                rondo::sleep_for(std::chrono::microseconds(1));
                most = std::max(most, rounds - before);
            }
            ends = true;
        });
        CHECK(most < 20'000);                             // 8 from each pair, and a few; else 100 times some thousand
    });
}

// So many wait that the worker would rather have ready ones end than start others (runtime_options::breadth_limit).
TEST_CASE("beside many who wait, two that wake each other all the time do not keep a third from starting", "[channel][handoff]") {
    const auto workers = GENERATE(1u, 2u);
    const auto who = GENERATE(rondo::handoff::receiver, rondo::handoff::none);
    rondo::run({.workers = workers}, [&] {
        channel<int> never;
        std::atomic<bool> has_started{false};
        std::atomic<long> rounds{0};
        rondo::scope([&](rondo::group& g) {
            for (int i = 0; i < 600; ++i)
                g.spawn([&] {
                    while (never.next()) {}
                });
            for (unsigned i = 0; i < 2 * workers; ++i) {          // all workers are busy
                channel<int> ping{who}, pong{who};
                g.spawn([ping, pong]() mutable {
                    for (int n : ping) pong.send(n);
                });
                g.spawn([&, ping, pong]() mutable {
                    for (; !has_started && rounds < 50'000'000; ++rounds) {
                        ping.send(1);
                        pong.receive();
                    }
                    ping.close();
                    never.close();
                });
            }
            while (rounds < 10'000) rondo::sleep_for(std::chrono::microseconds(50));
            g.spawn([&] { has_started = rounds < 50'000'000; });
        });
        CHECK(has_started);
    });
}

TEST_CASE("ping and pong alternate for as long as they play", "[channel][handoff]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto who = GENERATE(rondo::handoff::receiver, rondo::handoff::sender, rondo::handoff::none);
    constexpr int rounds = 3000;
    std::string log;
    rondo::run({.workers = workers}, [&] {
        channel<int> ping{who}, pong{who};
        rondo::spawn([&log, ping, pong] {
            for (int n : pong) {
                log += 'o';
                ping.send(n + 1);
            }
            ping.close();
        });
        for (int n = 0; n < rounds; ++n) {
            log += 'i';
            pong.send(n);
            ping.receive();
        }
        pong.close();
    });
    REQUIRE(log.size() == 2 * rounds);
    bool alternates = true;
    for (std::size_t i = 0; i < log.size(); ++i) alternates = alternates && log[i] == (i % 2 ? 'o' : 'i');
    CHECK(alternates);
}

// ------------------------------------------------------------------------------------------------------------- slots

TEST_CASE("a channel with n slots takes exactly n values before a sender waits", "[channel][buffered]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{64});
    stage s(GENERATE(1u, 2u));
    channel<std::size_t> line(slots);
    std::size_t sent = 0;
    auto sender = s.rt.spawn([&] {
        for (std::size_t i = 0; i < slots + 2; ++i) {
            line.send(i);
            ++sent;
        }
    });
    CHECK(s.settle() == 1);
    CHECK(sent == slots);
    CHECK(line.size() == slots);
    CHECK(line.capacity() == slots);
    CHECK(line.balance() == 1);
    CHECK(line.try_receive() == std::optional<std::size_t>(0));
    CHECK(s.settle() == 1);
    CHECK(sent == slots + 1);
    CHECK(line.size() == slots);
    for (std::size_t i = 1; i < slots + 2; ++i) {
        CHECK(line.try_receive() == std::optional(i));
        s.settle();
    }
    CHECK(sent == slots + 2);
    CHECK_FALSE(line.try_receive());
}

TEST_CASE("values in slots come out in order however often the slots are reused", "[channel][buffered]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{7});
    channel<int> line(slots);
    int next_in = 0, next_out = 0;
    bool ordered = true;
    for (int round = 0; round < 50; ++round) {
        while (line.try_send(next_in)) ++next_in;
        const auto taken = round % static_cast<int>(slots) + 1;
        for (int i = 0; i < taken; ++i) ordered = ordered && line.try_receive() == std::optional(next_out++);
    }
    CHECK(ordered);
    CHECK(line.size() == static_cast<std::size_t>(next_in - next_out));
}

TEST_CASE("a sender that gives up its wait for a slot keeps its value, and the next one gets the slot",
          "[channel][buffered]") {
    stage s(GENERATE(1u, 2u, 4u));
    const auto slots = GENERATE(std::size_t{1}, std::size_t{3});
    channel<int> line(slots);
    for (std::size_t i = 0; i < slots; ++i) line.send(0);
    std::string first, second;
    auto a = s.rt.spawn([&] { first = end_of([&] { line.send(1); }); });
    s.settle();
    auto b = s.rt.spawn([&] { second = end_of([&] { line.send(2); }); });
    s.settle();
    a.stop();
    CHECK(s.settle() == 1);
    CHECK(first == "stopped");
    CHECK(line.balance() == 1);
    CHECK(line.receive() == 0);
    CHECK(s.settle() == 0);
    CHECK(second == "returned");
    CHECK(line.size() == slots);
    int last = 0;
    while (const auto v = line.try_receive()) last = *v;
    CHECK(last == 2);
    for (std::size_t i = 0; i < slots; ++i) CHECK(line.try_send(3));
    CHECK_FALSE(line.try_send(3));                 // no slot was lost, none has come up twice
}

// Trivially copyable, and yet it is moved by code of its own.
struct moves_by_template {
    int n = 0;
    static inline bool was_in_turn = false;
    static inline int moves = 0;
    moves_by_template() = default;
    moves_by_template(const moves_by_template&) = default;
    moves_by_template& operator=(const moves_by_template&) = default;
    template <class U>
        requires std::same_as<U, moves_by_template>
    moves_by_template(U&& other) noexcept : n(other.n) {
        const auto* const alone = rondo::lowlevel::soloist_here();
        was_in_turn = was_in_turn || (alone && alone->inside.load(rondo::detail::relaxed));
        ++moves;
    }
};
static_assert(std::is_trivially_copyable_v<moves_by_template>);

TEST_CASE("values are moved by their own code only while others may use the channel", "[channel][buffered]") {
    rondo::run({.workers = 1}, [] {
        channel<moves_by_template> line(4);
        moves_by_template v;
        for (int i = 0; i < 8; ++i) {
            v.n = i;
            line.send(v);
            CHECK(line.receive().n == i);
        }
    });
    CHECK(moves_by_template::moves > 0);
    CHECK_FALSE(moves_by_template::was_in_turn);
}

TEST_CASE("a receiver that gives up leaves slots and values as they were", "[channel][buffered]") {
    stage s(GENERATE(1u, 2u, 4u));
    const auto slots = GENERATE(std::size_t{1}, std::size_t{3}, rondo::detail::no_limit);
    auto line = slots == rondo::detail::no_limit ? channel<int>{rondo::unbounded} : channel<int>{slots};
    std::string end;
    auto a = s.rt.spawn([&] { end = end_of([&] { line.receive(); }); });
    s.settle();
    CHECK(line.balance() == -1);
    a.stop();
    CHECK(s.settle() == 0);
    CHECK(end == "stopped");
    CHECK(line.balance() == 0);
    CHECK(line.size() == 0);
    line.send(1);
    CHECK(line.size() == 1);
    CHECK(line.try_receive() == std::optional(1));
    for (int i = 0; i < 3 && slots != 1; ++i) line.send(i);
    CHECK(line.size() == (slots == 1 ? 0 : 3));
}

TEST_CASE("values in slots are aligned as their type wants it", "[channel][buffered]") {
    struct alignas(64) wide {
        int n = 0;
    };
    const auto slots = GENERATE(std::size_t{3}, rondo::detail::no_limit);
    auto line = slots == rondo::detail::no_limit ? channel<wide>{rondo::unbounded} : channel<wide>{slots};
    for (int i = 0; i < 3; ++i) {
        wide w{i};
        CHECK(line.try_send(w));                   // by reference: g++ has a note on such arguments
    }
    for (int i = 0; i < 3; ++i) CHECK(line.receive().n == i);
}

TEST_CASE("an unbounded channel gives its storage back to later values", "[channel][buffered]") {
    channel<std::unique_ptr<int>> line{rondo::unbounded};
    bool ordered = true;
    int in = 0, out = 0;
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < 17 * (round % 5 + 1); ++i) line.send(std::make_unique<int>(in++));
        for (int i = 0; i < 16 * (round % 5 + 1); ++i) ordered = ordered && *line.receive() == out++;
    }
    CHECK(ordered);
    CHECK(line.size() == static_cast<std::size_t>(in - out));
}

TEST_CASE("an unbounded channel never makes a sender wait", "[channel][buffered]") {
    channel<int> line{rondo::unbounded};
    const auto [parked, sum] = rondo::run({.workers = one_worker}, [line] {
        for (int i = 0; i < 10'000; ++i) line.send(i);
        const auto waiting = line.balance();
        line.close();
        long total = 0;
        for (int v : line) total += v;
        return std::pair(waiting, total);
    });
    CHECK(parked == 0);
    CHECK(sum == 10'000L * 9'999 / 2);
}

// ------------------------------------------------------------------------------------------------------------- closing

TEST_CASE("closing wakes every waiting receiver with closed", "[channel][close]") {
    stage s(GENERATE(1u, 2u, 4u));
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    channel<int> line(slots);
    std::vector<std::string> ends(5);
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends) all.push_back(s.rt.spawn([&] { end = end_of([&] { line.receive(); }); }));
    CHECK(s.settle() == 5);
    line.close();
    CHECK(s.settle() == 0);
    CHECK(ends == std::vector<std::string>(5, "closed"));
    CHECK(line.is_closed());
    CHECK(line.balance() == 0);
}

TEST_CASE("closing wakes every waiting sender with closed, and values in slots can still be received",
          "[channel][close]") {
    stage s(GENERATE(1u, 2u, 4u));
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    channel<int> line(slots);
    std::vector<std::string> ends(5);
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends) {
        all.push_back(s.rt.spawn([&] { end = end_of([&] { line.send(1); }); }));
        s.settle();
    }
    line.close();
    CHECK(s.settle() == 0);
    CHECK(std::count(ends.begin(), ends.end(), "closed") == 5 - static_cast<int>(slots));
    CHECK(std::count(ends.begin(), ends.end(), "returned") == static_cast<int>(slots));
    CHECK(line.is_closed());
    CHECK(line.size() == slots);
    for (std::size_t i = 0; i < slots; ++i) CHECK(line.receive() == 1);
    CHECK(end_of([&] { line.receive(); }) == "closed");
    CHECK_FALSE(line.next());
}

TEST_CASE("a closed channel refuses every operation that needs it open", "[channel][close]") {
    channel<int> line(GENERATE(std::size_t{0}, std::size_t{4}));
    line.close();
    line.close();
    int value = 3;
    CHECK(line.is_closed());
    CHECK(end_of([&] { line.send(1); }) == "closed");
    CHECK(line.try_send(value) == send_status::closed);
    CHECK(value == 3);
    CHECK(end_of([&] { static_cast<void>(line.send_for(1, 1ms)); }) == "closed");
    CHECK(end_of([&] { line.send_error(std::make_exception_ptr(1)); }) == "closed");
    CHECK(end_of([&] { line.receive(); }) == "closed");
    CHECK(end_of([&] { line.receive_for(1ms); }) == "closed");
    CHECK_FALSE(line.try_receive());
    CHECK_FALSE(line.next());
    int seen = 0;
    for (int v : line) seen += v + 1;
    CHECK(seen == 0);
}

TEST_CASE("the last handle dropped while others wait gives them closed", "[channel][close]") {
    stage s(GENERATE(1u, 2u, 4u));
    std::optional<channel<int>> line(std::in_place);
    std::vector<std::string> ends(3);
    const channel<int>& same = *line;             // refers to the handle; is no handle itself
    std::vector<rondo::tasklet<void>> all;
    for (auto& end : ends) all.push_back(s.rt.spawn([&] { end = end_of([&] { same.receive(); }); }));
    CHECK(s.settle() == 3);
    line.reset();
    CHECK(s.settle() == 0);
    CHECK(ends == std::vector<std::string>(3, "closed"));
}

TEST_CASE("the last handle dropped while senders wait gives them closed and their values back to nobody",
          "[channel][close]") {
    std::atomic<int> live{0};
    {
        stage s(GENERATE(1u, 2u, 4u));
        std::optional<channel<token>> line(std::in_place, 1u);
        const channel<token>& same = *line;
        std::vector<std::string> ends(3);
        std::vector<rondo::tasklet<void>> all;
        for (auto& end : ends)
            all.push_back(s.rt.spawn([&] { end = end_of([&] { same.send(token(live)); }); }));
        CHECK(s.settle() == 2);
        CHECK(live == 3);
        line.reset();
        CHECK(s.settle() == 0);
        CHECK(std::count(ends.begin(), ends.end(), "closed") == 2);
    }
    CHECK(live == 0);
}

TEST_CASE("a channel may die in the receive that closes it", "[channel][close]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const int sum = rondo::run({.workers = workers}, [] {
        int total = 0;
        for (int i = 0; i < 300; ++i) {
            auto line = std::make_shared<channel<int>>();
            auto t = rondo::spawn([line] { line->send(1); });
            total += line->receive();
            line.reset();
        }
        return total;
    });
    CHECK(sum == 300);
}

// ---------------------------------------------------------------------------------------------------------- try, for, until

TEST_CASE("try_send and try_receive do what can be done at once", "[channel][limits]") {
    stage s(GENERATE(1u, 2u));
    channel<std::string> line;
    std::string text = "kept";
    CHECK(line.try_send(text) == send_status::full);
    CHECK(text == "kept");
    CHECK_FALSE(line.try_receive());

    std::string got;
    auto receiver = s.rt.spawn([&] { got = line.receive(); });
    CHECK(s.settle() == 1);
    CHECK(line.try_send(text) == send_status::done);
    CHECK(s.settle() == 0);
    CHECK(got == "kept");

    auto sender = s.rt.spawn([&] { line.send("later"); });
    CHECK(s.settle() == 1);
    CHECK(line.try_receive() == std::optional<std::string>("later"));
    CHECK(s.settle() == 0);
}

TEST_CASE("try_send converts to true only when the value was sent", "[channel][limits]") {
    channel<int> line(1);
    CHECK(line.try_send(1));
    CHECK_FALSE(line.try_send(2));
    const int constant = 3;
    CHECK(line.try_send(constant) == send_status::full);
    line.close();
    CHECK(line.try_send(2) == send_status::closed);
    CHECK(line.try_receive() == std::optional(1));
}

TEST_CASE("send_for and receive_for give up when the time is up, never earlier", "[channel][limits]") {
    const auto measure = [] {
        using clock = std::chrono::steady_clock;
        channel<int> line;
        const auto before = clock::now();
        const auto status = line.send_for(1, 3ms);
        const auto between = clock::now();
        const auto value = line.receive_for(3ms);
        const auto after = clock::now();
        const auto none = line.receive_until(before);
        const auto refused = line.send_until(1, before);
        return status == send_status::timed_out && !value && between - before >= 3ms && after - between >= 3ms &&
               !none && refused == send_status::timed_out && line.balance() == 0;
    };
    CHECK(rondo::run({.workers = GENERATE(1u, 2u, 4u)}, measure));
    bool on_a_thread = false;
    std::thread([&] { on_a_thread = measure(); }).join();
    CHECK(on_a_thread);
}

TEST_CASE("a value that comes in time ends send_for and receive_for", "[channel][limits]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto [status, value] = rondo::run({.workers = workers}, [] {
        channel<int> there, back;
        auto partner = rondo::spawn([=] { back.send(there.receive() + 1); });
        const auto sent = there.send_for(1, 10s);
        return std::pair(sent, back.receive_for(std::chrono::steady_clock::duration::max()));
    });
    CHECK(status == send_status::done);
    CHECK(value == std::optional(2));
}

TEST_CASE("a deadline reaches send and receive, and leaves nobody in the queue", "[channel][limits]") {
    const auto [sent, got, balance] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        channel<int> line;
        const bool done = rondo::within(2ms, [&] { line.send(1); });
        const auto value = rondo::within(2ms, [&] { return line.receive(); });
        return std::tuple(done, value, line.balance());
    });
    CHECK_FALSE(sent);
    CHECK_FALSE(got);
    CHECK(balance == 0);
}

// ------------------------------------------------------------------------------------------------------------- errors

TEST_CASE("an error sent on a channel comes out of the receive that takes it", "[channel][errors]") {
    const auto slots = GENERATE(std::size_t{0}, std::size_t{2});
    const auto ends = rondo::run({.workers = GENERATE(1u, 2u)}, [slots] {
        channel<int> line(slots);
        auto sender = rondo::spawn([=] {
            line.send(1);
            line.send_error(std::make_exception_ptr(std::runtime_error("sent")));
            line.send(2);
            line.send_error(std::make_exception_ptr(std::runtime_error("again")));
            line.close();
        });
        lines result;
        result.push_back(std::to_string(line.receive()));
        result.push_back(end_of([&] { line.receive(); }));
        result.push_back(std::to_string(line.receive()));
        result.push_back(end_of([&] { static_cast<void>(line.next()); }));
        result.push_back(end_of([&] { line.receive(); }));
        return result;
    });
    CHECK(ends == lines{"1", "sent", "2", "again", "closed"});
}

TEST_CASE("an error in a loop over a channel ends the loop and the next values are still there", "[channel][errors]") {
    channel<int> line(4);
    line.send(1);
    line.send_error(std::make_exception_ptr(std::runtime_error("in between")));
    line.send(2);
    line.close();
    std::vector<int> seen;
    CHECK(end_of([&] { for (int v : line) seen.push_back(v); }) == "in between");
    CHECK(end_of([&] { for (int v : line) seen.push_back(v); }) == "returned");
    CHECK(seen == std::vector{1, 2});
}

TEST_CASE("send_all sends a range in order and gives its size", "[channel]") {
    const std::vector<int> values{3, 1, 4, 1, 5, 9, 2, 6};
    const auto [count, got] = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        channel<int> line;
        auto sender = rondo::spawn([=] {
            const auto n = line.send_all(values);
            line.close();
            return n;
        });
        std::vector<int> received;
        for (int v : line) received.push_back(v);
        return std::pair(sender.join(), received);
    });
    CHECK(count == values.size());
    CHECK(got == values);
}

TEST_CASE("send_all takes a list in braces", "[channel]") {
    channel<std::string> line(3);
    CHECK(line.send_all({"one", "two", "three"}) == 3);
    CHECK(line.receive() == "one");
    CHECK(line.receive() == "two");
    CHECK(line.receive() == "three");
}

TEST_CASE("an empty range sends nothing and needs no receiver", "[channel]") {
    channel<int> line;
    CHECK(line.send_all({}) == 0);
    CHECK(line.send_all(std::vector<int>{}) == 0);
    CHECK(line.balance() == 0);
}

// ------------------------------------------------------------------------------------------------------------- values

TEST_CASE("move-only values cross a channel", "[channel][values]") {
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1}, rondo::detail::no_limit);
    const auto got = rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [slots] {
        auto line = slots == rondo::detail::no_limit ? channel<std::unique_ptr<int>>{rondo::unbounded}
                                                     : channel<std::unique_ptr<int>>{slots};
        rondo::spawn([line] {
            for (int i = 0; i < 10; ++i) line.send(std::make_unique<int>(i));
            line.close();
        });
        std::vector<int> all;
        for (auto&& p : line) all.push_back(*p);
        return all;
    });
    CHECK(got == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("a value that was not taken by try_send can be sent later", "[channel][values]") {
    channel<std::unique_ptr<int>> line;
    auto p = std::make_unique<int>(4);
    CHECK(line.try_send(p) == send_status::full);
    REQUIRE(p);
    CHECK(*p == 4);
}

TEST_CASE("values need no default constructor, and a channel is a value too", "[channel][values]") {
    struct no_default {
        int n;
        explicit no_default(int i) : n(i) {}
    };
    const int got = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        channel<no_default> line(2);
        channel<channel<no_default>> lines_to_answer_on;
        rondo::spawn([=] { lines_to_answer_on.receive().send(no_default(8)); });
        lines_to_answer_on.send(line);
        return line.receive().n;
    });
    CHECK(got == 8);
}

TEST_CASE("a value is destroyed exactly once when its sender is stopped", "[channel][values]") {
    std::atomic<int> live{0};
    {
        stage s(GENERATE(1u, 2u, 4u));
        channel<token> line;
        std::string end;
        auto sender = s.rt.spawn([&] { end = end_of([&] { line.send(token(live)); }); });
        CHECK(s.settle() == 1);
        CHECK(live == 1);
        sender.stop();
        CHECK(s.settle() == 0);
        CHECK(end == "stopped");
        CHECK(live == 0);
        CHECK_FALSE(line.try_receive());
        CHECK(line.balance() == 0);
    }
    CHECK(live == 0);
}

TEST_CASE("values left in slots die with their channel", "[channel][values]") {
    std::atomic<int> live{0};
    {
        channel<token> line(8), loose{rondo::unbounded};
        for (int i = 0; i < 5; ++i) {
            line.send(token(live));
            loose.send(token(live));
        }
        line.receive();
        line.close();
        CHECK(live == 9);
    }
    CHECK(live == 0);
}

TEST_CASE("each value lives exactly once on its way through", "[channel][values]") {
    std::atomic<int> live{0};
    int most = 0;
    rondo::run({.workers = GENERATE(1u, 2u, 4u)}, [&] {
        channel<token> line;
        rondo::spawn([&, line] {
            for (int i = 0; i < 100; ++i) line.send(token(live));
            line.close();
        });
        while (auto t = line.next()) most = std::max(most, live.load());
    });
    CHECK(live == 0);
    CHECK(most <= 2);                              // the one received, and the sender's next
}

// ------------------------------------------------------------------------------------------------------------- handles

TEST_CASE("copies of a handle name the same channel", "[channel][handles]") {
    channel<int> a(1);
    const channel<int> b = a;
    channel<int> c(1);
    CHECK(a == b);
    CHECK_FALSE(a == c);
    b.send(3);
    CHECK(a.receive() == 3);
    c = a;
    c.close();
    CHECK(b.is_closed());
}

TEST_CASE("a try to send says that the channel is closed, also where senders have been in line", "[channel][close]") {
    rondo::testing::world world{{.workers = GENERATE(1u, 2u)}};
    rondo::channel<int> line{2};
    std::vector<rondo::tasklet<bool>> senders;
    for (int i = 0; i < 5; ++i)
        senders.push_back(world.spawn([line] {
            try {
                line.send(1);
                return true;
            } catch (const rondo::closed&) {
                return false;
            }
        }));
    world.settle();
    CHECK(line.balance() == 3);
    CHECK(line.try_send(2) == rondo::send_status::full);
    line.close();
    world.settle();
    CHECK(std::count_if(senders.begin(), senders.end(), [](auto& t) { return t.join(); }) == 2);
    CHECK(line.try_send(3) == rondo::send_status::closed);
    CHECK(line.receive() + line.receive() == 2);
    CHECK(line.try_send(4) == rondo::send_status::closed);
}

TEST_CASE("a handle that was moved from says so", "[channel][handles]") {
    channel<int> a(1);
    const channel<int> b = std::move(a);
    CHECK(end_of([&] { a.send(1); }) == "usage_error");
    CHECK(end_of([&] { a.receive(); }) == "usage_error");
    b.send(1);
    CHECK(b.receive() == 1);
}

// ------------------------------------------------------------------------------------------------------------- stop

TEST_CASE("a stopped tasklet can neither send nor receive, even where it need not wait", "[channel][stop]") {
    std::string sending, receiving;
    channel<int> line(4);
    line.send(1);
    rondo::run({.workers = one_worker}, [&] {
        channel<int> never;
        auto t = rondo::spawn([&] {
            end_of([&] { never.receive(); });
            sending = end_of([&] { line.send(2); });
            receiving = end_of([&] { line.receive(); });
        });
        rondo::yield();
        t.stop();
        t.join();
    });
    CHECK(sending == "stopped");
    CHECK(receiving == "stopped");
    CHECK(line.size() == 1);
}

TEST_CASE("a stop and a timeout that race with a partner lose no value and make none", "[channel][stop]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1});
    std::atomic<int> sent{0}, received{0}, live{0};
    rondo::run({.workers = workers}, [&] {
        for (int round = 0; round < 200; ++round) {
            channel<token> line(slots);
            auto sender = rondo::spawn([&, line] {
                try {
                    if (line.send_for(token(live), 50us)) ++sent;
                } catch (const rondo::closed&) {
                }
            });
            auto receiver = rondo::spawn([&, line] {
                if (line.receive_for(50us)) ++received;
            });
            if (round % 3 == 0) rondo::yield();
            if (round % 4 == 1) sender.stop();
            if (round % 4 == 2) receiver.stop();
            if (round % 7 == 3) rondo::sleep_for(50us);
            try {
                sender.join();
            } catch (const rondo::stopped&) {
            }
            try {
                receiver.join();
            } catch (const rondo::stopped&) {
            }
            received += static_cast<int>(line.size());
        }
    });
    CHECK(sent == received);
    CHECK(live == 0);
}

// ------------------------------------------------------------------------------------------------------------- plain threads

TEST_CASE("plain threads use a channel without any runtime", "[channel][threads]") {
    channel<int> line(GENERATE(std::size_t{0}, std::size_t{4}));
    std::vector<int> got;
    std::thread receiver([&] { for (int v : line) got.push_back(v); });
    for (int i = 0; i < 2000; ++i) line.send(i);
    line.close();
    receiver.join();
    std::vector<int> expected(2000);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(got == expected);
}

TEST_CASE("tasklets and plain threads meet on both sides of a channel", "[channel][threads]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    constexpr int each = 500;
    std::atomic<long> sum{0};
    std::atomic<int> count{0};
    channel<int> line;
    {
        rondo::runtime rt({.workers = workers});
        const auto send = [=] {
            for (int i = 1; i <= each; ++i) line.send(i);
        };
        const auto receive = [&, line] {
            for (int v : line) {
                sum += v;
                ++count;
            }
        };
        std::vector<std::thread> threads;
        std::vector<rondo::tasklet<void>> receiving, sending;
        for (int i = 0; i < 2; ++i) receiving.push_back(rt.spawn(receive));
        std::thread receiver(receive);
        for (int i = 0; i < 2; ++i) sending.push_back(rt.spawn(send));
        for (int i = 0; i < 2; ++i) threads.emplace_back(send);
        for (auto& t : sending) t.join();
        for (auto& t : threads) t.join();
        line.close();
        for (auto& t : receiving) t.join();
        receiver.join();
    }
    CHECK(count == 4 * each);
    CHECK(sum == 4L * each * (each + 1) / 2);
}

TEST_CASE("closing wakes plain threads that wait", "[channel][threads]") {
    channel<int> to_send, to_receive;
    std::vector<std::string> ends(4);
    std::vector<std::thread> threads;
    threads.emplace_back([&] { ends[0] = end_of([&] { to_send.send(1); }); });
    threads.emplace_back([&] { ends[1] = end_of([&] { to_send.send(1); }); });
    threads.emplace_back([&] { ends[2] = end_of([&] { to_receive.receive(); }); });
    threads.emplace_back([&] { ends[3] = end_of([&] { to_receive.receive(); }); });
    while (to_send.balance() != 2 || to_receive.balance() != -2) std::this_thread::yield();
    to_send.close();
    to_receive.close();
    for (auto& t : threads) t.join();
    CHECK(ends == lines(4, "closed"));
}
