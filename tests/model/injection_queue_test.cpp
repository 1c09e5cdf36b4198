// The real injection_queue under the model's atomics: nothing lost, nothing doubled, each pusher's in order.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>

#include "runtime/src/injection_queue.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct element {
    model::plain<element*> next{nullptr};
    model::plain<int> payload{0};
    int pusher = 0, number = 0, taken = 0;
};

struct table {
    injection_queue<element> queue;
    std::array<std::array<element, 2>, 2> elements;          // of each pusher

    void push(unsigned pusher, unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            element& x = elements[pusher][i];
            x.pusher = static_cast<int>(pusher);
            x.number = static_cast<int>(i);
            x.payload = 1;
            queue.push(&x);
        }
    }
    void take_all() {
        std::array<int, 2> newest{-1, -1};
        for (element* x = queue.take_all(); x; x = x->next) {
            model::check(x->payload == 1, "a taker sees what was written before the push");
            model::check(++x->taken == 1, "no element is taken twice");
            int& before = newest[static_cast<unsigned>(x->pusher)];
            model::check(x->number > before, "one pusher's elements come in the order in which they were pushed");
            before = x->number;
        }
    }
    void check_each_taken(unsigned a, unsigned b) {
        take_all();
        model::check(queue.empty(), "nothing is left");
        for (unsigned i = 0; i < a; ++i) model::check(elements[0][i].taken == 1, "each element is taken");
        for (unsigned i = 0; i < b; ++i) model::check(elements[1][i].taken == 1, "each element is taken");
    }
};

}  // namespace

TEST_CASE("two push into an injection queue and two take: nothing is lost or doubled", "[injection_queue]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 3}, [] {
        table t;
        model::threads({[&] { t.push(0, 2); }, [&] { t.push(1, 2); }, [&] { t.take_all(); }, [&] { t.take_all(); }});
        t.check_each_taken(2, 2);
    });
    CHECK(seen);
}

TEST_CASE("one who takes again and again gets each pusher's elements in order", "[injection_queue]") {
    const auto seen = model::explore({.preemptions = 4 + model::deep, .stale_reads = 4}, [] {
        table t;
        model::threads({[&] { t.push(0, 2); }, [&] { t.push(1, 1); },
                        [&] {
                            t.take_all();
                            t.take_all();
                        }});
        t.check_each_taken(2, 1);
    });
    CHECK(seen);
}
