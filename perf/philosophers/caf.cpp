#include "../common/caf.hpp"

#include <vector>

using peer::u64;
using hungry = caf::atom_constant<caf::atom("hungry")>;
using full = caf::atom_constant<caf::atom("full")>;
using eat = caf::atom_constant<caf::atom("eat")>;
using refused = caf::atom_constant<caf::atom("refused")>;

static void philosophers(cafs::actor_system& sys) {
    const u64 n = peer::size("philosophers"), meals = peer::size("meals");
    std::vector<caf::actor> guests(n);
    std::vector<char> taken(n);
    u64 sum = 0;
    cafs::latch l(n);
    auto waiter = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&, self](hungry, u64 who) {
                    char &left = taken[who], &right = taken[(who + 1) % n];
                    if (left || right) return self->send(guests[who], refused::value);
                    left = right = 1;
                    ++sum;
                    self->send(guests[who], eat::value);
                },
                [&](full, u64 who) { taken[who] = taken[(who + 1) % n] = 0; }};
    });
    for (u64 i = 0; i < n; ++i)
        guests[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            auto left = std::make_shared<u64>(meals);
            auto ask = [&, i, self] { self->send(waiter, hungry::value, i); };
            return {[=](cafs::go) { ask(); }, [=](refused) { ask(); },
                    [&, i, left, self, ask](eat) {
                        self->send(waiter, full::value, i);
                        if (--*left == 0) l.down();
                        else ask();
                    }};
        });
    const peer::stopwatch t;
    for (auto& g : guests) caf::anon_send(g, cafs::go::value);
    l.wait();
    const double d = t.ns();
    for (auto& g : guests) caf::anon_send_exit(g, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(waiter, caf::exit_reason::user_shutdown);
    peer::expect(sum, n * meals);
    peer::report("time", d / static_cast<double>(n * meals), "ns/meal", sum);
}
static cafs::program entry{"philosophers", philosophers};
