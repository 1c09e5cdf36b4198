// Extreme and wrong use of channels: far limits, handles that were moved from, nothing to send, throwing moves.
#include <catch2/catch.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <rondo/broadcast.hpp>
#include <rondo/channel.hpp>
#include <rondo/latest.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>
#include <rondo/work_queue.hpp>

#include "stage.hpp"

using namespace std::chrono_literals;
using rondo::channel;
using rondo::send_status;

namespace {

constexpr auto for_ever = std::chrono::hours::max();
constexpr auto long_ago = std::chrono::system_clock::time_point::min();

// Moves by construction only, as rondo::message asks; an assignment throws.
struct stubborn {
    int n;
    explicit stubborn(int v) : n(v) {}
    stubborn(stubborn&& other) noexcept : n(std::exchange(other.n, -1)) {}
    stubborn& operator=(stubborn&&) { throw std::logic_error("assigned"); }
};

}  // namespace

TEST_CASE("a limit may be any std::chrono time, also the longest and the earliest", "[channel][limits]") {
    const auto [got, sent, inside, joined] = rondo::run({.workers = GENERATE(1u, 2u)}, [] {
        channel<int> line, back;
        auto partner = rondo::spawn([=] {
            rondo::yield();
            line.send(1);
            const int v = back.receive();
            line.send(v + 1);
            return v;
        });
        const auto first = line.receive_for(for_ever);
        const auto put = back.send_for(7, for_ever);
        const auto second = rondo::within(for_ever, [&] { return line.receive(); });
        return std::tuple(first, put, second, partner.join_for(for_ever));
    });
    CHECK(got == 1);
    CHECK(sent == send_status::done);
    CHECK(inside == 8);
    CHECK(joined == 7);

    const channel<int> quiet;
    CHECK(quiet.receive_for(0.001s) == std::nullopt);
    CHECK(quiet.receive_until(std::chrono::system_clock::now() + 1ms) == std::nullopt);
    CHECK(quiet.receive_until(long_ago) == std::nullopt);
    CHECK(quiet.send_until(1, long_ago) == send_status::timed_out);
    CHECK_FALSE(rondo::within(0.001s, [&] { return quiet.receive(); }));
    CHECK_FALSE(rondo::within_until(long_ago, [&] { return quiet.receive(); }));
    CHECK(rondo::oneshot<int>().receive_until(long_ago) == std::nullopt);
    bool late = false;
    rondo::select(rondo::from(quiet, [](int) {}), rondo::at(long_ago, [&] { late = true; }));
    CHECK(late);
}

TEST_CASE("a handle that was moved from can be copied and destroyed, and says so in every call", "[channel][handles]") {
    channel<int> a(1);
    const channel<int> b = std::move(a);
    channel<int> copy = a;
    std::vector<channel<int>> some{copy, b};
    some = {a, b};
    CHECK(end_of([&] { copy.close(); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(copy.is_closed()); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(copy.balance()); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(copy.size()); }) == "usage_error");
    CHECK(end_of([&] { for ([[maybe_unused]] int v : copy) {} }) == "usage_error");
    copy = b;
    copy.send(1);
    CHECK(b.receive() == 1);

    rondo::latest<int> l(1);
    auto r = l.reader();
    const auto kept = std::move(r);
    CHECK(end_of([&] { r.receive(); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(r.has_changed()); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(r.get()); }) == "usage_error");
    CHECK(end_of([&] { rondo::select(rondo::from(r, [](int) {})); }) == "usage_error");
    CHECK(kept.get() == 1);

    rondo::work_queue<int> q;
    const auto taken = std::move(q);
    CHECK(end_of([&] { q.close(); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(q.size()); }) == "usage_error");
    rondo::oneshot<int> o;
    const auto owned = std::move(o);
    CHECK(end_of([&] { o.close(); }) == "usage_error");
    rondo::broadcast<int> news(1);
    const auto channel_of_news = std::move(news);
    CHECK(end_of([&] { news.close(); }) == "usage_error");
    CHECK(end_of([&] { static_cast<void>(news.subscribers()); }) == "usage_error");
}

TEST_CASE("there must be an exception to send", "[channel][errors]") {
    const channel<int> line(1);
    CHECK(end_of([&] { line.send_error(nullptr); }) == "usage_error");
    CHECK(line.size() == 0);
    const rondo::oneshot<int> once;
    CHECK(end_of([&] { once.send_error(nullptr); }) == "usage_error");
    once.send(1);
    CHECK(once.receive() == 1);
}

TEST_CASE("a channel with slots hands no worker over", "[channel]") {
    CHECK(end_of([] { channel<int>(1, rondo::handoff::receiver); }) == "usage_error");
    CHECK(end_of([] { channel<int>(rondo::spin_locked, 1, rondo::handoff::sender); }) == "usage_error");
    CHECK(channel<int>(1, rondo::handoff::none).capacity() == 1);
    CHECK(channel<int>(rondo::spin_locked, 2).capacity() == 2);
    CHECK(channel<int>(0, rondo::handoff::sender).capacity() == 0);
}

TEST_CASE("what could not be sent at once is where it was, though it cannot be assigned", "[channel]") {
    stubborn s(5);
    const channel<stubborn> line;
    CHECK(line.try_send(s) == send_status::full);
    CHECK(s.n == 5);
    const rondo::oneshot<stubborn> once;
    once.send(stubborn(1));
    CHECK(once.try_send(s) == send_status::full);
    CHECK(s.n == 5);
    const rondo::work_queue<stubborn> work(1);
    work.put(stubborn(1));
    CHECK(work.try_put(s) == send_status::full);
    CHECK(s.n == 5);
}

TEST_CASE("who stops early in a loop has taken nothing too much", "[channel]") {
    const channel<int> line(5);
    for (int i = 0; i < 5; ++i) line.send(i);
    int sum = 0;
    for (int v : line | std::views::take(3)) sum += v;
    CHECK(sum == 0 + 1 + 2);
    CHECK(line.size() == 2);
    auto at = line.begin();
    ++at;                                             // past one that nobody has looked at
    CHECK(*at == 4);
    line.close();
    ++at;
    CHECK(at == line.end());
}

TEST_CASE("a container that is given away is sent by moves", "[channel]") {
    const channel<std::unique_ptr<int>> line(2);
    std::vector<std::unique_ptr<int>> all;
    all.push_back(std::make_unique<int>(1));
    all.push_back(std::make_unique<int>(2));
    CHECK(line.send_all(std::move(all)) == 2);
    CHECK(*line.receive() == 1);
    CHECK(*line.receive() == 2);
    const channel<std::string> words(2);
    const std::vector<std::string> kept{"a", "b"};
    CHECK(words.send_all(kept) == 2);
    CHECK(kept == std::vector<std::string>{"a", "b"});
    CHECK(words.send_all(kept | std::views::take(0)) == 0);
}

TEST_CASE("one channel serves two runtimes and a plain thread, and outlives them", "[channel][threads]") {
    const channel<int> line(GENERATE(std::size_t{0}, std::size_t{4}));
    constexpr int each = 2000;
    long sum = 0;
    {
        rondo::runtime one({.workers = 2}), other({.workers = 1});
        auto first = one.spawn([=] { for (int i = 0; i < each; ++i) line.send(1); });
        auto second = other.spawn([=] { for (int i = 0; i < each; ++i) line.send(2); });
        std::thread third([=] { for (int i = 0; i < each; ++i) line.send(3); });
        auto taker = other.spawn([=] {
            long got = 0;
            for (int i = 0; i < each; ++i) got += line.receive();
            return got;
        });
        for (int i = 0; i < 2 * each; ++i) sum += line.receive();
        sum += taker.join();
        first.join();
        second.join();
        third.join();
    }
    CHECK(sum == 6L * each);
    CHECK(line.try_send(1) == (line.capacity() ? send_status::done : send_status::full));
}

TEST_CASE("so many slots that it could mean no limit are a usage error", "[channel][limits]") {
    constexpr auto most = static_cast<std::size_t>(-1);
    CHECK_THROWS_AS(channel<int>(most), rondo::usage_error);
    CHECK_THROWS_AS(rondo::work_queue<int>(most), rondo::usage_error);
    CHECK_THROWS_AS(rondo::broadcast<int>(most), rondo::usage_error);
}

TEST_CASE("a loop over a channel takes values that can only be moved, too", "[channel]") {
    const channel<std::unique_ptr<int>> line(3);
    const channel<std::string> words(3);
    for (int n : {1, 2, 3}) {
        line.send(std::make_unique<int>(n));
        words.send(std::string(100, 'a'));
    }
    line.close();
    words.close();
    int sum = 0;
    for (std::unique_ptr<int> p : line) sum += *p;
    CHECK(sum == 6);
    std::size_t letters = 0;
    for (auto& w : words) letters += w.size();            // no copy is made
    CHECK(letters == 300);
}

TEST_CASE("a closed work_queue says so by its own name", "[work_queue]") {
    const rondo::work_queue<int> q;
    q.close();
    CHECK_THROWS_WITH(q.put(1), Catch::Contains("the work_queue is closed"));
    CHECK_THROWS_WITH(q.get(), Catch::Contains("the work_queue is closed"));
}
