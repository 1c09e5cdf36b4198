// The real taken_ahead under the model's atomics: whatever the owner and the raiders do, each item leaves it once.
#include "raids.hpp"

#include <array>

#include "runtime/src/taken_ahead.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

using item = model::raided_item;

struct table {
    taken_ahead<item, 2> ahead;
    std::array<item, 6> items;
    unsigned filled = 0;
    int raided = 0;

    void fill(unsigned n) {
        std::array<item*, 2> these{};
        for (unsigned i = 0; i < n; ++i) {
            items[filled].payload = 1;
            these[i] = &items[filled++];
        }
        ahead.fill(these.data(), n);
    }
    void take() { count(ahead.take()); }
    void raid() {
        if (count(ahead.raid())) ++raided;
    }
    // As a worker does: all there is, and then more.
    void fill_and_empty(unsigned n) {
        fill(n);
        while (!ahead.empty()) take();
    }
    bool count(item* x) {
        if (!x) return false;
        model::check(x >= items.data() && x < items.data() + filled, "what is taken was filled in");
        model::check(x->payload == 1, "a taker sees what was written before");
        model::check(++x->taken == 1, "no item is taken twice");
        return true;
    }
    void check_each_taken_once() {
        while (item* x = ahead.take()) count(x);
        for (unsigned i = 0; i < filled; ++i) model::check(items[i].taken == 1, "each item is taken");
    }
};

}  // namespace

TEST_CASE("an owner and a raider take each item once", "[taken_ahead]") {
    model::check_raids<table>({.preemptions = 3, .stale_reads = 2 + model::deep},
                              [](table& t) {
                                  t.fill_and_empty(2);
                                  t.fill_and_empty(1);
                              },
                              {[](table& t) {
                                  t.raid();
                                  t.raid();
                              }});
}

TEST_CASE("two raiders beside an owner take each item once", "[taken_ahead]") {
    const auto raid = [](table& t) { t.raid(); };
    model::check_raids<table>({.preemptions = 2 + model::deep, .stale_reads = 2},
                              [](table& t) {
                                  t.fill_and_empty(2);
                                  t.fill_and_empty(1);
                              },
                              {raid, raid});
}

TEST_CASE("an owner that is stuck loses all that waits behind it to a raider", "[taken_ahead]") {
    const auto seen = model::explore({}, [] {
        table t;
        t.fill(2);
        t.take();
        t.raid();
        model::check(t.raided == 1 && t.ahead.empty(), "what waits is taken");
        t.raid();
        model::check(t.raided == 1, "and then there is nothing");
    });
    CHECK(seen);
}
