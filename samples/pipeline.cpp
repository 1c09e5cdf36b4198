// A pipeline with back-pressure: each stage is a tasklet, between two stages lies a channel with few slots. When the last
// stage is slow the channels fill up, from the end to the beginning, and the source waits: it is never far ahead, whatever
// the amount of work. Nothing has to be told to slow down.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

constexpr std::size_t slots_each = 4;

struct order {
    int number;
    std::string text;
};

struct counts {
    int made = 0, done = 0, most_under_way = 0;
};

/// Makes orders as fast as it may.
void source(int how_many, rondo::channel<order> out, counts& c) {
    for (int n = 1; n <= how_many; ++n) {
        c.most_under_way = std::max(c.most_under_way, ++c.made - c.done);
        out.send({n, fmt::format("order {}", n)});
    }
    out.close();                                         // ends the next stage's loop, and so on down the line
}

template <class Work>
void stage(rondo::channel<order> in, rondo::channel<order> out, Work work) {
    for (order o : in) {
        work(o);
        out.send(std::move(o));
    }
    out.close();
}

/// Slow: lets everybody else run ten times before it takes the next one.
void sink(rondo::channel<order> in, counts& c) {
    for (order o : in) {
        for (int i = 0; i < 10; ++i) rondo::yield();
        if (++c.done % 250 == 0) fmt::print("{}\n", o.text);
    }
}

int main() {
    const int orders = 1000;
    rondo::run({.workers = 1}, [=] {                     // one worker, so that the output is always the same
        counts c;
        rondo::scope([&](rondo::group& line) {
            const rondo::channel<order> made{slots_each}, packed{slots_each}, addressed{slots_each};
            line.spawn([&, made] { source(orders, made, c); });
            line.spawn([=] { stage(made, packed, [](order& o) { o.text += ", packed"; }); });
            line.spawn([=] { stage(packed, addressed, [](order& o) { o.text += ", addressed"; }); });
            line.spawn([&, addressed] { sink(addressed, c); });
        });
        // Three channels of four, and one in the hands of each of the four tasklets.
        fmt::print("{} made, {} done, never more than {} under way (of at most {})\n", c.made, c.done, c.most_under_way,
                   3 * slots_each + 4);
    });
}
