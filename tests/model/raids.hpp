// For models of what only its owner takes from, unless raiders come: taken_ahead.hpp, next_slot.hpp.
#pragma once

#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <vector>

namespace rondo::model {

/// What lies there. Its payload is written before it is put there: a taker that is not ordered after that races.
struct raided_item {
    plain<int> payload{0};
    int taken = 0;
};

/// An owner and his raiders at a table, in every way: each item is taken as often as the table says, and in some way the
/// raiders get two.
template <class Table>
void check_raids(const bounds& within, const std::function<void(Table&)>& owner,
                 const std::vector<std::function<void(Table&)>>& raiders,
                 const std::function<void(Table&)>& before = [](Table&) {}) {
    int most_raided = 0;
    const auto seen = explore(within, [&] {
        Table t;
        before(t);
        std::vector<std::function<void()>> all{[&] { owner(t); }};
        for (const auto& r : raiders) all.push_back([&] { r(t); });
        threads(all);
        t.check_each_taken_once();
        most_raided = std::max(most_raided, t.raided);
    });
    CHECK(seen);
    CHECK(most_raided == 2);
}

}  // namespace rondo::model
