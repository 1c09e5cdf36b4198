// The real bias and turn under the model's atomics: what the owner does in a turn and what others do once they have claimed
// an object never overlap.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

#include <rondo/lowlevel/solo.hpp>

using namespace rondo::detail;
using namespace rondo::lowlevel;
namespace model = rondo::model;

namespace {

// What is in `hands` is written by the owner in its turns, and by others once they have claimed it.
struct table {
    soloist owner;
    bias whose{&owner};
    model::plain<int> hands{0};
    int turns = 0, claims = 0;

    void work_as_owner() {
        auto* const me = whose.claim(&owner);
        if (!me) return;
        const turn mine(whose, *me);
        if (!mine) return;
        hands = hands + 1;
        ++turns;
    }
    void claim_as_another() {
        model::check(whose.claim(nullptr) == nullptr, "it is not theirs");
        ++claims;
    }
    void work_as_another() {
        claim_as_another();
        hands = hands + 1;
    }
    void check() {
        model::check(hands == turns + claims, "nothing that was done is lost");
        model::check(owner.inside.load(relaxed) == nullptr, "its owner has left it");
    }
};

}  // namespace

TEST_CASE("an owner's turns and what another does never overlap", "[solo]") {
    int most = 0, fewest = 2;
    const auto seen = model::explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [&] {
        table t;
        model::threads({[&] {
                            t.work_as_owner();
                            t.work_as_owner();
                        },
                        [&] { t.work_as_another(); }});
        t.check();
        most = std::max(most, t.turns);
        fewest = std::min(fewest, t.turns);
    });
    CHECK(seen);
    CHECK(most == 2);
    CHECK(fewest == 0);
}

// The second may find the first at it. Both work in the open, so only the owner's hands must be out by then.
TEST_CASE("whoever comes while another one opens it waits for the owner, too", "[solo]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [&] {
        table t;
        atomic<int> in_the_open{0};
        const auto other = [&] {
            t.claim_as_another();
            const int before = t.hands;
            in_the_open.fetch_add(1, relaxed);
            model::check(before == t.hands, "the owner is through");
        };
        model::threads({[&] {
                            t.work_as_owner();
                            t.work_as_owner();
                        },
                        other, other});
        model::check(t.hands == t.turns && in_the_open.load(relaxed) == 2, "nothing that was done is lost");
    });
    CHECK(seen);
}

// As the last handle of a channel does, whoever drops it.
TEST_CASE("whoever drops the last share works alone on it, without a fence", "[solo]") {
    bool last_is_owner = false, last_is_another = false;
    const auto seen = model::explore({.preemptions = 3, .stale_reads = 2 + model::deep}, [&] {
        table t;
        atomic<int> shares{2};
        const auto drop = [&](bool& is_last) {
            if (shares.fetch_sub(1, acq_rel) != 1) return;
            t.whose.open_unshared();
            t.work_as_another();
            is_last = true;
        };
        model::threads({[&] {
                            t.work_as_owner();
                            t.work_as_owner();
                            drop(last_is_owner);
                        },
                        [&] { drop(last_is_another); }});
        t.check();
        model::check(t.turns == 2 && t.claims == 1, "both have done all that they had to");
    });
    CHECK(seen);
    CHECK(last_is_owner);
    CHECK(last_is_another);
}

TEST_CASE("what others have opened stays open, and its owner makes no more after some", "[solo]") {
    CHECK(model::explore({}, [] {
        soloist owner;
        for (std::uint32_t i = 0; i < soloist::most_opened; ++i) {
            bias whose(&owner);
            model::check(whose.claim(&owner) == &owner, "it is the maker's");
            model::check(whose.claim(nullptr) == nullptr && whose.claim(&owner) == nullptr, "it is nobody's");
        }
        bias whose(&owner);
        model::check(whose.claim(&owner) == nullptr, "no more");
    }));
}
