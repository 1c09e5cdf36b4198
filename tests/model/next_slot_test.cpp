// The real next_slot under the model's atomics: whatever the owner and the raiders do, who waits there leaves it once.
#include "raids.hpp"

#include <array>

#include "runtime/src/next_slot.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

using item = model::raided_item;

struct table {
    next_slot<item> slot;
    std::array<item, 3> items;
    unsigned puts = 0;
    int raided = 0;
    int times = 1;                       // each of them may be put there

    // As a worker does: who is there goes to the tail first.
    void put(item& x) {
        take();
        x.payload = 1;
        ++puts;
        slot.put(x);
    }
    void take() { count(slot.take()); }
    void raid() {
        if (count(slot.raid())) ++raided;
    }
    bool count(item* x) {
        if (!x) return false;
        model::check(x->payload == 1, "a taker sees what was written before");
        ++x->taken;
        return true;
    }
    void check_each_taken_once() {
        take();
        model::check(slot.empty(), "nobody is left");
        int all = 0;
        for (auto& x : items) {
            model::check(x.taken <= times, "nobody is taken twice");
            all += x.taken;
        }
        model::check(all == static_cast<int>(puts), "everybody is taken");
    }
};

}  // namespace

TEST_CASE("an owner and a raider take who is next once", "[next_slot]") {
    model::check_raids<table>({.preemptions = 3, .stale_reads = 2 + model::deep},
                              [](table& t) {
                                  t.put(t.items[0]);
                                  t.take();
                                  t.put(t.items[1]);
                                  t.put(t.items[2]);
                              },
                              {[](table& t) {
                                  t.raid();
                                  t.raid();
                              }});
}

TEST_CASE("two raiders beside an owner take who is next once", "[next_slot]") {
    const auto raid = [](table& t) { t.raid(); };
    model::check_raids<table>({.preemptions = 2 + model::deep, .stale_reads = 2},
                              [](table& t) {
                                  t.put(t.items[0]);
                                  t.put(t.items[1]);
                                  t.take();
                              },
                              {raid, raid});
}

// The same one again: that a raider has had it before says nothing about now.
TEST_CASE("who has been raided may be put there again", "[next_slot]") {
    model::check_raids<table>({.preemptions = 3, .stale_reads = 2},
                              [](table& t) {
                                  t.put(t.items[0]);
                                  t.take();
                              },
                              {[](table& t) { t.raid(); }},
                              [](table& t) {
                                  t.times = 2;
                                  t.put(t.items[0]);
                                  t.raid();
                                  model::check(t.raided == 1 && t.slot.empty(), "who waits is taken");
                                  t.raid();
                                  model::check(t.raided == 1, "and then there is nobody");
                              });
}
