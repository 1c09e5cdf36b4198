// Channels: C01 to C11; who goes first when two meet: P01 to P07.
#include <catch2/catch.hpp>

#include <any>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stage.hpp"

using namespace conformance;

TEST_CASE("a send without a receiver waits at the head of the queue until a receive", "[C01]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::atomic<bool> sent{false};
    auto t = sl::tasklet([&] {
        c.send(7);
        sent = true;
    })();
    sl::run();
    CHECK(t.blocked());
    CHECK(c.balance() == 1);
    CHECK(c.queue() == t);
    CHECK_FALSE(sent);
    CHECK(c.receive() == 7);
    CHECK(c.balance() == 0);
    sl::run();
    CHECK(sent);
}

TEST_CASE("a receive without a sender waits until a send", "[C02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::atomic<int> got{0};
    auto t = sl::tasklet([&] { got = c.receive(); })();
    sl::run();
    CHECK(t.blocked());
    CHECK(c.balance() == -1);
    c.send(7);
    CHECK(c.balance() == 0);
    sl::run();
    CHECK(got == 7);
}

TEST_CASE("receivers are served in order of arrival", "[C03]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    sl::channel<int> c;
    std::vector<int> got(4);
    for (std::size_t i = 0; i < got.size(); ++i) {
        sl::tasklet([&, i] { got[i] = c.receive(); })();
        sl::run();
    }
    CHECK(c.balance() == -4);
    for (int v : {10, 11, 12, 13}) c.send(v);
    sl::run();
    CHECK(got == std::vector{10, 11, 12, 13});
}

TEST_CASE("sender and receiver never wait both", "[C05]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    sl::channel<int> c;
    for (int i = 0; i < 100; ++i) {
        sl::tasklet([&] { c.send(1); })();
        sl::tasklet([&] { c.receive(); })();
    }
    CHECK(sl::run().parked == 0);
    CHECK(c.balance() == 0);
}

TEST_CASE("four producers and two consumers: every value once, each producer's in order", "[C06]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    sl::channel<std::pair<int, int>> c;
    std::vector<std::vector<std::pair<int, int>>> got(2);
    for (int p = 0; p < 4; ++p)
        sl::tasklet([&, p] {
            for (int i = 0; i < 50; ++i) c.send({p, i});
        })();
    for (auto& mine : got)
        sl::tasklet([&] {
            for (int i = 0; i < 100; ++i) mine.push_back(c.receive());
        })();
    CHECK(sl::run().parked == 0);
    std::vector<std::vector<int>> seen(4, std::vector<int>(50));
    for (auto& mine : got) {
        std::vector<int> last(4, -1);
        for (auto [p, i] : mine) {
            ++seen[static_cast<std::size_t>(p)][static_cast<std::size_t>(i)];
            CHECK(last[static_cast<std::size_t>(p)] < i);
            last[static_cast<std::size_t>(p)] = i;
        }
    }
    for (auto& of : seen) CHECK(of == std::vector<int>(50, 1));
}

TEST_CASE("a killed receiver leaves the queue, and the next one gets the value", "[C07]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::atomic<int> got{0};
    auto first = sl::tasklet([&] { c.receive(); })();
    sl::run();
    auto second = sl::tasklet([&] { got = c.receive(); })();
    sl::run();
    first.kill();
    CHECK(c.balance() == -1);
    CHECK(c.queue() == second);
    c.send(3);
    sl::run();
    CHECK(got == 3);
    CHECK_FALSE(first.alive());
}

TEST_CASE("whatever can be moved crosses: nothing, a move-only value, a channel", "[C09]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<> any;                                // std::any, as untyped as Python's
    sl::channel<std::unique_ptr<int>> owner;
    sl::channel<sl::channel<int>> of_channels;
    bool empty = false;
    int owned = 0, through = 0;
    sl::tasklet([&] { empty = !any.receive().has_value(); })();
    sl::tasklet([&] { owned = *owner.receive(); })();
    sl::tasklet([&] { of_channels.receive().send(9); })();
    sl::run();
    any.send({});
    owner.send(std::make_unique<int>(5));
    sl::channel<int> back;
    of_channels.send(back);
    through = back.receive();
    sl::run();
    CHECK(empty);
    CHECK(owned == 5);
    CHECK(through == 9);
}

TEST_CASE("a sender's next statement does not run before its value was taken", "[C10]") {
    sl::session s({.workers = GENERATE(1u, 2u, 4u)});
    sl::channel<int> c;
    c.preference(GENERATE(-1, 0, 1));
    std::atomic<bool> asked{false}, early{false}, wrong{false};
    sl::tasklet([&] {
        for (int i = 0; i < 100; ++i) {
            c.send(i);
            if (!asked.exchange(false)) early = true;
        }
    })();
    sl::tasklet([&] {
        for (int i = 0; i < 100; ++i) {
            while (asked) sl::schedule();
            asked = true;
            if (c.receive() != i) wrong = true;
        }
    })();
    CHECK(sl::run().parked == 0);
    CHECK_FALSE(early);
    CHECK_FALSE(wrong);
}

TEST_CASE("when the last handle of a channel goes, those who wait on it get closed", "[C11]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    std::string receiver, sender;
    std::optional<sl::channel<int>> a(std::in_place), b(std::in_place);
    auto* const pa = &*a;
    auto* const pb = &*b;
    auto t = sl::tasklet([&] { receiver = end_of([&] { pa->receive(); }); })();
    sl::tasklet([&] { sender = end_of([&] { pb->send(1); }); })();
    CHECK(sl::run().parked == 2);
    a.reset();
    b.reset();
    CHECK(sl::run().parked == 0);                     // Rondo: Stackless would leave them paused for ever
    CHECK(receiver == "closed");
    CHECK(sender == "closed");
    CHECK_FALSE(t.alive());
}

// ------------------------------------------------------------------------------------------------------- who goes first

TEST_CASE("the receiver goes first by default, other preferences count by their sign", "[P01]") {
    sl::channel<int> c;
    CHECK(c.preference() == -1);
    CHECK_FALSE(c.schedule_all());
    for (const auto& [set, get] : {std::pair(5, 1), {-7, -1}, {0, 0}}) {
        c.preference(set);
        CHECK(c.preference() == get);
    }
}

namespace {

// A tasklet waits already; then the other one comes, with A queued behind it.
lines meeting(int preference, bool all, bool receiver_waits) {
    sl::session s;
    journal j;
    sl::channel<int> c;
    c.preference(preference);
    c.schedule_all(all);
    const auto receiver = [&] {
        c.receive();
        j.say("R");
    };
    const auto sender = [&] {
        c.send(1);
        j.say("S");
    };
    if (receiver_waits) sl::tasklet(receiver)();
    else sl::tasklet(sender)();
    sl::run();
    if (receiver_waits) sl::tasklet(sender)();
    else sl::tasklet(receiver)();
    sl::tasklet([&] { j.say("A"); })();
    sl::run();
    return j.said();
}

}  // namespace

TEST_CASE("receiver first: a send to a waiting receiver lets it go on at once", "[P02]") {
    CHECK(meeting(-1, false, true) == lines{"R", "A", "S"});
}
TEST_CASE("receiver first: a receive from a waiting sender goes on, the sender goes to the tail", "[P03]") {
    CHECK(meeting(-1, false, false) == lines{"R", "A", "S"});
}
TEST_CASE("sender first: a send to a waiting receiver goes on, the receiver goes to the tail", "[P04]") {
    CHECK(meeting(1, false, true) == lines{"S", "A", "R"});
}
TEST_CASE("sender first: a receive from a waiting sender lets it go on at once", "[P05]") {
    CHECK(meeting(1, false, false) == lines{"S", "A", "R"});
}
TEST_CASE("preference none: the caller goes on, the partner goes to the tail", "[P06]") {
    CHECK(meeting(0, false, true) == lines{"S", "A", "R"});
    CHECK(meeting(0, false, false) == lines{"R", "A", "S"});
}
TEST_CASE("schedule_all: the caller yields, the partner goes to the tail", "[P07]") {
    CHECK(meeting(GENERATE(-1, 0, 1), true, true) == lines{"A", "R", "S"});
}

TEST_CASE("with several workers both go on, whatever the preference", "[P02][P06][several]") {
    sl::session s({.workers = GENERATE(2u, 4u)});
    journal j;
    sl::channel<int> c;
    c.preference(GENERATE(-1, 0, 1));
    c.schedule_all(GENERATE(false, true));
    sl::tasklet([&] {
        c.receive();
        j.say("R");
    })();
    sl::tasklet([&] {
        c.send(1);
        j.say("S");
    })();
    CHECK(sl::run().parked == 0);
    CHECK(j.sorted() == lines{"R", "S"});
}
