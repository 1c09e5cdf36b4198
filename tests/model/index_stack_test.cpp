// The real index_stack, of cell_store.cpp, under the model's atomics: nobody has what another one has, and nothing is lost.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <utility>

#include "channels/src/index_stack.hpp"

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct store {
    struct segment {
        atomic<std::uint32_t> link{0};
        model::plain<int> content{0};                 // touched by who has it
        bool is_taken = false;
    };
    index_stack free;
    std::array<segment, 4> segments;                  // 0 is none

    auto link() {
        return [this](std::uint32_t i) -> atomic<std::uint32_t>& { return segments[i].link; };
    }
    explicit store(std::uint32_t n) {
        for (auto i = n; i > 0; --i) free.push(i, link());
    }
    std::uint32_t take() {
        const auto i = free.pop(link());
        if (i == 0) return 0;
        model::check(!std::exchange(segments[i].is_taken, true), "nobody else has it");
        segments[i].content = segments[i].content + 1;
        return i;
    }
    void give_back(std::uint32_t i) {
        if (i == 0) return;
        segments[i].is_taken = false;
        segments[i].content = segments[i].content + 1;
        free.push(i, link());
    }
    void check_free(unsigned n) {
        while (take()) --n;
        model::check(n == 0, "all are there again");
    }
};

}  // namespace

TEST_CASE("who is late takes nothing that came back meanwhile for what it was before", "[index_stack]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 2}, [] {
        store s(2);
        model::threads({[&] { s.give_back(s.take()); },
                        [&] {
                            const auto first = s.take(), second = s.take();
                            s.give_back(first);
                            s.give_back(second);
                        }});
        s.check_free(2);
    });
    CHECK(seen);
}

TEST_CASE("three take and give back", "[index_stack]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 1}, [] {
        store s(3);
        const auto once = [&s] { s.give_back(s.take()); };
        model::threads({once, once, [&] {
                            const auto first = s.take(), second = s.take();
                            s.give_back(first);
                            s.give_back(second);
                        }});
        s.check_free(3);
    });
    CHECK(seen);
}
