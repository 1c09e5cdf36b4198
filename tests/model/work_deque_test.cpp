// The real work_deque under the model's atomics: whatever the owner and the thieves do, each element leaves it once.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string_view>

#include "runtime/src/work_deque.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct element {
    model::plain<int> payload{0};        // written before the push: a taker that is not ordered after it races
    int taken = 0;
};

// A deque with two slots to start with, and a few elements.
struct table {
    explicit table(std::int64_t most_private) : deque(most_private, 2) {}
    work_deque<element> deque;
    std::array<element, 6> elements;
    unsigned pushed = 0;

    // The owner's.
    void push(unsigned n = 1) {
        for (; n > 0; --n) {
            elements[pushed].payload = 1;
            deque.push(&elements[pushed++]);
        }
    }
    bool take_newest(unsigned i) { return deque.take_bottom_if(&elements[i], false) && count(&elements[i]); }
    bool take_oldest_if(unsigned i) { return deque.take_top_if(&elements[i], false) && count(&elements[i]); }
    bool take_oldest() { return count(deque.take_top(false)); }
    unsigned take_oldest_ones(std::size_t most) {
        std::array<element*, 4> these{};
        const auto n = deque.take_top_many(these.data(), most);
        model::check(n <= most, "no more than asked for");
        for (std::size_t i = 0; i < n; ++i) {
            count(these[i]);
            model::check(i == 0 || these[i] == these[i - 1] + 1, "the oldest ones, in order");
        }
        return static_cast<unsigned>(n);
    }
    bool take_any_newest() { return count(deque.take_bottom(false)); }
    // A thief's: s: from the public part, p: from the private one too.
    void steal(std::string_view how) {
        for (char c : how) count(c == 's' ? deque.steal() : deque.steal_private());
    }
    // At the end, on no model thread.
    void check_each_taken_once() {
        while (element* x = deque.take_top(true)) count(x);
        for (unsigned i = 0; i < pushed; ++i) model::check(elements[i].taken == 1, "each element is taken");
    }

    bool count(element* x) {
        if (!x) return false;
        model::check(x >= elements.data() && x < elements.data() + pushed, "what is taken was pushed");
        model::check(x->payload == 1, "a taker sees what was written before the push");
        model::check(++x->taken == 1, "no element is taken twice");
        return true;
    }
};

// The owner's work, and what each thief does.
model::outcome explore(const model::bounds& b, const std::function<void(table&)>& owner,
                       std::vector<std::string_view> thieves, std::int64_t most_private = 0) {
    return model::explore(b, [&] {
        table t(most_private);
        std::vector<std::function<void()>> threads{[&] { owner(t); }};
        for (auto how : thieves) threads.push_back([&t, how] { t.steal(how); });
        model::threads(threads);
        t.check_each_taken_once();
    });
}

}  // namespace

TEST_CASE("an owner whom no thief disturbs gets from his deque what he asks for", "[work_deque]") {
    const auto seen = explore({}, [](table& t) {
        t.push(3);
        model::check(!t.take_newest(1) && t.take_newest(2), "the newest, if it is the one");
        model::check(!t.take_oldest_if(1) && t.take_oldest_if(0), "the oldest, if it is the one");
        model::check(t.take_newest(1) && !t.take_oldest(), "the last one, and then nothing");
        t.push();
        model::check(t.take_oldest() && !t.take_newest(3), "the only one, once");
    }, {});
    CHECK(seen);
}

TEST_CASE("the owner and a thief share the last element of a deque: one of them gets it", "[work_deque]") {
    const auto seen = explore({.preemptions = 4}, [](table& t) {
        t.push();
        t.take_newest(0);
        t.push();
    }, {"ss"});
    CHECK(seen);
}

TEST_CASE("the owner and two thieves share the last element of a deque: one of them gets it", "[work_deque]") {
    const auto seen = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [](table& t) {
        t.push();
        t.take_newest(0);
    }, {"s", "s"});
    CHECK(seen);
}

TEST_CASE("the owner takes the newest of a deque while thieves take the oldest", "[work_deque]") {
    const auto one = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [](table& t) {
        t.push(2);
        t.take_newest(1);
        t.take_newest(0);
    }, {"ss"});
    CHECK(one);
    const auto two = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [](table& t) {
        t.push(2);
        t.take_newest(1);
        t.take_newest(0);
    }, {"s", "s"});
    CHECK(two);
}

TEST_CASE("the owner takes the oldest of a deque while thieves do the same", "[work_deque]") {
    const auto seen = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [](table& t) {
        t.push(2);
        t.take_oldest();
        t.take_oldest_if(1);
    }, {"s", "s"});
    CHECK(seen);
}

TEST_CASE("the owner takes several of the oldest at once, undisturbed", "[work_deque]") {
    for (std::int64_t most_private : {0, 4}) {
        const auto seen = explore({}, [](table& t) {
            model::check(t.take_oldest_ones(2) == 0, "none");
            t.push(3);
            model::check(t.take_oldest_ones(2) == 2 && t.deque.offered() == 1, "two; what is left goes in order now");
            t.push(2);
            model::check(t.take_newest(4) && t.take_oldest_ones(4) == 2 && t.take_oldest_ones(4) == 0, "all that is left");
        }, {}, most_private);
        CHECK(seen);
    }
}

TEST_CASE("the owner takes several of the oldest at once while thieves take them one by one", "[work_deque]") {
    for (std::int64_t most_private : {0, 4}) {
        const auto owner = [](table& t) {
            t.push(2);
            t.take_oldest_ones(2);
            t.push();                    // into a slot that has been emptied
            t.take_oldest_ones(2);
        };
        const auto with_newest = [](table& t) {
            t.push(3);
            t.take_oldest_ones(2);
            t.take_newest(2);
        };
        for (auto how : {"ss", "sp", "pp"}) {
            if (most_private == 0 && std::string_view(how) != "ss") continue;
            const auto several = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, owner, {how}, most_private);
            CHECK(several);
            const auto both_ends = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, with_newest, {how}, most_private);
            CHECK(both_ends);
        }
        const auto two = explore({.preemptions = 2, .stale_reads = 1 + model::deep}, owner, {"s", "s"}, most_private);
        CHECK(two);
    }
}

TEST_CASE("a deque grows under the hands of its thieves", "[work_deque]") {
    const auto one = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [](table& t) {
        t.push(3);
        t.take_newest(2);
    }, {"ss"});
    CHECK(one);
    const auto two = explore({.preemptions = 2, .stale_reads = 1 + model::deep}, [](table& t) { t.push(3); }, {"s", "s"});
    CHECK(two);
}

TEST_CASE("a slot of a deque is used again only when its thief has read it", "[work_deque]") {
    const auto seen = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [](table& t) {
        t.push(2);
        t.take_oldest();
        t.push();
        t.take_newest(2);
        t.push();
    }, {"ss"});
    CHECK(seen);
}

TEST_CASE("a deque loses nothing in long random runs", "[work_deque]") {
    const auto seen = explore({.random = 100'000 + 2'000'000 * model::deep}, [](table& t) {
        t.push(2);
        t.take_newest(1);
        t.push(2);
        t.take_oldest();
        t.take_newest(3);
        t.push(2);
        t.take_oldest_if(2);
        t.take_newest(5);
        t.take_newest(4);
    }, {"sps", "ssp"});
    CHECK(seen);
}

TEST_CASE("the private part of a deque costs its owner no fence and loses nothing", "[work_deque]") {
    const auto hidden = explore({}, [](table& t) {
        t.push(3);
        model::check(t.deque.size() == 3 && t.deque.offered() == 1, "the newest two are private");
        model::check(t.take_any_newest() && t.take_any_newest() && t.deque.offered() == 1, "and are taken first");
        t.push(2);
        model::check(t.take_oldest() && t.deque.offered() == 2, "who takes the oldest gives up the private part");
    }, {}, 4);
    CHECK(hidden);

    const auto owner = [](table& t) {
        t.push(2);
        t.take_newest(1);
        t.take_newest(0);
        t.push();
    };
    for (std::int64_t most_private : {1, 4}) {
        const auto one = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, owner, {"ss"}, most_private);
        CHECK(one);
        const auto stuck = explore({.preemptions = 3, .stale_reads = 2 + model::deep}, owner, {"pp"}, most_private);
        CHECK(stuck);
        const auto both = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, owner, {"s", "p"}, most_private);
        CHECK(both);
    }
}

TEST_CASE("what becomes public and private again is taken once", "[work_deque]") {
    const auto owner = [](table& t) {
        t.push(3);
        t.take_newest(2);
        t.take_newest(1);
        t.push();
        t.take_newest(3);
        t.take_newest(0);
    };
    for (auto how : {"ss", "sp", "ps"}) {
        const auto seen = explore({.preemptions = 2 + model::deep, .stale_reads = 2}, owner, {how}, 4);
        CHECK(seen);
    }
}

TEST_CASE("a deque with a private part loses nothing in long random runs", "[work_deque]") {
    const auto seen = explore({.random = 100'000 + 2'000'000 * model::deep}, [](table& t) {
        t.push(2);
        t.take_newest(1);
        t.push(2);
        t.take_any_newest();
        t.take_any_newest();
        t.push(2);
        t.take_oldest();
        t.take_any_newest();
        t.take_any_newest();
    }, {"sps", "ssp"}, 2);
    CHECK(seen);
}

TEST_CASE("a deque whose owner takes several at once loses nothing in long random runs", "[work_deque]") {
    const auto seen = explore({.random = 100'000 + 2'000'000 * model::deep}, [](table& t) {
        t.push(3);
        t.take_oldest_ones(2);
        t.push(2);
        t.take_any_newest();
        t.take_oldest_ones(3);
        t.push();
        t.take_oldest_ones(2);
    }, {"sps", "ssp"}, 2);
    CHECK(seen);
}

// worker::detach_own()
TEST_CASE("what the owner writes into the newest is his alone, and whoever takes it sees it", "[work_deque]") {
    // how: s: the owner makes it public in the end, and steal() takes it; p: steal_private() does.
    for (const char how : {'s', 'p'})
        for (const unsigned n : {1u, 2u, 3u}) {
            bool written = false;
            const auto seen = model::explore({.preemptions = 3, .stale_reads = 3}, [&] {
                table t(4);
                model::threads({[&] {
                                    t.push(n);
                                    auto& newest = t.elements[n - 1];
                                    written |= t.deque.with_private_bottom(&newest, [&] { newest.payload = 1; });
                                    if (how == 's') t.push(2);
                                },
                                [&] { t.steal(how == 's' ? "sss" : "ppp"); }});
                t.check_each_taken_once();
            });
            CHECK(seen);
            CHECK(written == (n > 1));
        }
}
