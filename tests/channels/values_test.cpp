// What may cross: messages that carry channels of their own kind, that cannot be assigned, that hide their address.
#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rondo/broadcast.hpp>
#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/latest.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/stackless.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/wait_group.hpp>
#include <rondo/work_queue.hpp>

using namespace std::chrono_literals;
using rondo::channel;

namespace {

struct hidden {
    int n;
    hidden* operator&() = delete;
    const hidden* operator&() const = delete;
};

struct request {
    int n;
    channel<request> answer;
};
struct node {
    std::vector<channel<node>> next;
    std::optional<channel<node>> back;
};
struct told_once {
    int n;
    rondo::oneshot<told_once> answer;
};
struct job {
    int n;
    rondo::work_queue<job> more;
};
struct news {
    int n;
    rondo::broadcast<news> source;
    std::optional<rondo::subscription<news>> mine;
};
struct state {
    int n;
    std::optional<rondo::latest<state>> before;
    std::optional<rondo::latest_reader<state>> reader;
};
struct letter {
    int n;
    rondo::stackless::channel<letter> answer;
};

class player {                                       // what flies is known later
public:
    player();
    int play();

private:
    channel<struct ball> hands_;
};
struct ball {
    int kicks;
};
player::player() : hands_(1) {}
int player::play() {
    hands_.send({3});
    return hands_.receive().kicks;
}

}  // namespace

TEST_CASE("a message may carry a channel of its own kind", "[channel][values]") {
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1});
    const int sum = rondo::run({.workers = GENERATE(1u, 2u)}, [slots] {
        channel<request> line(slots), answers(slots);
        rondo::spawn([line] {
            for (const request& r : line) r.answer.send({r.n + 1, line});
        });
        int n = 0;
        while (n < 5) {
            line.send({n, answers});
            rondo::select(rondo::from(answers, [&](const request& r) { n = r.answer == line ? r.n : -1; }));
        }
        line.close();
        return n;
    });
    CHECK(sum == 5);
}

TEST_CASE("everything that hands values across may be part of what it carries", "[channel][values]") {
    channel<node> tree(1);
    tree.send({{tree, tree}, tree});
    node root = tree.receive();
    CHECK(root.next.size() == 2);
    CHECK(root.back == tree);

    const rondo::oneshot<told_once> once;
    once.send({1, once});
    CHECK(once.receive().answer == once);

    const rondo::work_queue<job> jobs;
    jobs.put({1, jobs});
    CHECK(jobs.get().more == jobs);

    const rondo::broadcast<news> radio(1);
    auto listener = radio.subscribe();
    radio.send({1, radio, radio.subscribe()});
    CHECK(listener.receive().source == radio);
    radio.send({2, rondo::broadcast<news>(1), {}});  // pushes out the first, which would keep itself in being

    const rondo::latest<state> now(state{1, {}, {}});
    auto reader = now.reader();
    now.set({2, rondo::latest<state>({3, {}, {}}), now.reader()});
    CHECK(reader.receive().before->get().n == 3);
    now.set({4, {}, {}});                            // it would keep itself in being

    const rondo::stackless::channel<letter> post;
    int read = 0;
    rondo::stackless::tasklet([&] { read = post.receive().n; })();
    post.send({5, post});
    rondo::stackless::run();
    CHECK(read == 5);

    CHECK(player().play() == 3);
}

TEST_CASE("a type with an operator& of its own crosses channels and joins", "[channel][values]") {
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1});
    const int sum = rondo::run({.workers = GENERATE(1u, 2u)}, [slots] {
        channel<hidden> line(slots);
        auto sender = rondo::spawn([line] {
            line.send({1});
            line.send_for({10}, 1h);
            rondo::select(rondo::to(line, hidden{100}, [] {}));
            return hidden{1000};
        });
        int n = line.receive().n + line.next()->n;
        rondo::select(rondo::from(line, [&](hidden h) { n += h.n; }));
        return n + sender.join().n;
    });
    CHECK(sum == 1111);
}

TEST_CASE("what cannot be assigned crosses, and stays with its sender where it is not taken", "[channel][values]") {
    struct fixed {
        const int n;
        int& count;
        std::string text;
    };
    int count = 0;
    const auto left = rondo::run({.workers = GENERATE(1u, 2u)}, [&count, slots = GENERATE(std::size_t{0}, std::size_t{1})] {
        channel<fixed> line(slots);
        auto receiver = rondo::spawn([line] {
            line.receive().count += 1;
            line.next()->count += 10;
            rondo::select(rondo::from(line, [](const fixed& v) { v.count += 100; }));
            for (auto& v : line) {
                v.count += 1000;
                if (v.n == 5) break;
            }
            line.close();
        });
        for (int i = 1; i <= 5; ++i) line.send({i, count, ""});
        receiver.join();
        fixed mine{6, count, "mine"};
        try {
            line.send(std::move(mine));
        } catch (const rondo::closed&) {
            mine.text += " still";
        }
        auto say = [text = std::string("said")](int n) { return text + std::to_string(n); };
        channel<decltype(say)> sayings(1);
        sayings.send(say);
        rondo::work_queue<fixed> jobs;
        jobs.put({7, count, sayings.receive()(7)});
        return mine.text + " " + jobs.get().text;
    });
    CHECK(left == "mine still said7");
    CHECK(count == 2111);

    const rondo::stackless::channel<fixed> post;
    rondo::stackless::tasklet([&] {
        for (auto& letter : post) letter.count += letter.n;
    })();
    post.send({100, count, ""});
    post.send({200, count, ""});
    post.close();
    rondo::stackless::run();
    CHECK(count == 2411);
}

TEST_CASE("a handle is a key of maps, and copies are the same key", "[channel][handles]") {
    const channel<int> a, b;
    const auto copy = a;
    std::map<channel<int>, int> sorted{{a, 1}, {b, 2}};
    std::unordered_map<channel<int>, int> hashed{{a, 1}, {b, 2}};
    CHECK(sorted.size() == 2);
    CHECK(sorted.at(copy) == 1);
    CHECK(hashed.at(copy) == 1);
    CHECK(hashed.at(b) == 2);

    const rondo::stackless::channel<int> c, d;
    std::map<rondo::stackless::channel<int>, int> by_order{{c, 1}, {d, 2}};
    std::unordered_map<rondo::stackless::channel<int>, int> by_hash{{c, 1}, {d, 2}};
    CHECK(by_order.at(d) == 2);
    CHECK(by_hash.at(c) == 1);
    std::map<rondo::stackless::tasklet_ref, int> seen;
    std::unordered_map<rondo::stackless::tasklet_ref, int> kept;
    const auto t = rondo::stackless::tasklet([&] {
        ++seen[rondo::stackless::getcurrent()];
        ++kept[rondo::stackless::getcurrent()];
    })();
    rondo::stackless::run();
    CHECK(seen.at(t) == 1);
    CHECK(kept.at(t) == 1);
}

TEST_CASE("a channel, an event and a wait_group can be made from {}", "[channel][handles]") {
    struct player {
        int number;
        channel<int> hands;
        rondo::event gone;
        rondo::wait_group balls;
    };
    const player one{1, {}, {}, {}}, two = {.number = 2, .hands = {}, .gone = {}, .balls = {}};
    CHECK_FALSE(one.hands == two.hands);
    const channel<int> four[4] = {};
    CHECK_FALSE(four[0] == four[3]);
    const auto made = []() -> channel<int> { return {}; }();
    CHECK(made.capacity() == 0);
}

TEST_CASE("whether something was sent is a bool, and no number", "[channel]") {
    const channel<int> line(1);
    const auto sent = [&]() -> bool { return line.try_send(1); };
    const bool first = sent(), second = sent(), late = line.send_for(1, 0ms);
    CHECK(first);
    CHECK_FALSE(second);
    CHECK_FALSE(late);
    const auto status = line.try_send(1);
    CHECK(status == rondo::send_status::full);
    STATIC_REQUIRE(std::is_convertible_v<rondo::send_status, bool>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<rondo::send_status, int>);
}
