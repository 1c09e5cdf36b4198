// Channels: C01 to C11; who goes first when two meet: P01 to P07.
#include <catch2/catch.hpp>

#include <algorithm>
#include <any>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/lowlevel/job.hpp>

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
    sl::session s({.workers = GENERATE(1u, 2u)});
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

namespace {

// What the two who meet say before and after, and A, queued meanwhile on the same worker: as that worker saw it, whoever
// else has taken A. The one who acts spawns A, so that it is queued there.
lines meeting_on_a_worker(unsigned workers, int preference, bool receiver_waits) {
    sl::session s({.workers = workers});
    sl::channel<int> c;
    c.preference(preference);
    std::mutex lock;
    std::vector<std::pair<unsigned, std::string>> said;
    const auto say = [&](const char* what) {
        const std::lock_guard hold(lock);
        said.emplace_back(rondo::lowlevel::worker_here(), what);
    };
    const auto act = [&](bool sends) {
        say("begins");
        if (sends) c.send(1);
        else c.receive();
        say(sends ? "S" : "R");
    };
    sl::tasklet(act)(!receiver_waits);
    sl::run();
    said.clear();
    sl::tasklet([&] {
        for (int i = 0; i < 3; ++i) sl::tasklet([&] { say("A"); })();
        act(receiver_waits);
    })();
    CHECK(sl::run().parked == 0);
    CHECK(said.size() == 6);
    const auto began = std::find_if(said.begin(), said.end(), [](auto& x) { return x.second == "begins"; });
    lines there;
    for (auto i = began; i != said.end(); ++i)
        if (i->first == began->first) there.push_back(i->second);
    return there;
}
// What comes right after the second one begins to send, or receive, on that worker.
std::string next_there(int preference, bool receiver_waits) {
    const auto said = meeting_on_a_worker(GENERATE(2u, 4u), preference, receiver_waits);
    return said.size() < 2 ? "nothing" : said[1];
}

}  // namespace

TEST_CASE("with several workers the receiver goes on where it was sent to, ahead of that worker's queue", "[P02][several]") {
    CHECK(next_there(-1, true) == "R");
}
TEST_CASE("with several workers a receiver that finds a sender keeps its worker", "[P03][several]") {
    CHECK(next_there(-1, false) == "R");
}
TEST_CASE("with several workers and sender first a sender that finds a receiver keeps its worker", "[P04][several]") {
    CHECK(next_there(1, true) == "S");
}
TEST_CASE("with several workers and sender first the sender goes on where it was received from", "[P05][several]") {
    CHECK(next_there(1, false) == "S");
}
TEST_CASE("with several workers and no preference the caller never loses its worker", "[P06][several]") {
    CHECK(next_there(0, true) == "S");
    CHECK(next_there(0, false) == "R");
}
TEST_CASE("with several workers and schedule_all somebody else goes on first", "[P07][several]") {
    sl::session s({.workers = 2});
    const held_workers held(1, 2);                    // nobody takes A away from the other one
    sl::channel<int> c;
    c.preference(GENERATE(-1, 0, 1));
    c.schedule_all(true);
    journal j;
    auto r = sl::tasklet([&] {
        c.receive();
        j.say("R");
    })();
    while (!r.blocked()) std::this_thread::yield();
    auto t = sl::tasklet([&] {
        sl::tasklet([&] { j.say("A"); })();
        c.send(1);
        j.say("S");
    })();
    while (t.alive() || r.alive()) std::this_thread::yield();
    const auto said = j.said();
    REQUIRE(said.size() >= 2);
    CHECK(said.back() == "S");
}

// Rondo: main is a thread of its own then, and goes on whatever the preference.
TEST_CASE("with several workers main keeps its thread when it meets a tasklet", "[P02][several]") {
    sl::session s({.workers = 2});
    sl::channel<int> c;
    c.preference(GENERATE(-1, 0, 1));
    auto r = sl::tasklet([&] { c.receive(); })();
    sl::run();
    const held_workers held(2);
    c.send(1);                                        // returns though r cannot go on
    CHECK(r.scheduled());
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
