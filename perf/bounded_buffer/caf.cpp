#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <deque>
#include <vector>

using peer::u64;
using produce = caf::atom_constant<caf::atom("produce")>;
using item = caf::atom_constant<caf::atom("item")>;
using idle_again = caf::atom_constant<caf::atom("free")>;

static u64 work(u64 state, u64 steps) {
    for (; steps > 0; --steps) peer::xorshift64(state);
    return state;
}

static void bounded_buffer(cafs::actor_system& sys) {
    const u64 p = peer::size("producers"), c = peer::size("consumers"), items = peer::size("items"), slots = peer::size("slots"),
              steps = peer::size("steps");
    std::vector<caf::actor> producers(p), consumers(c);
    std::vector<u64> made(p), used(c);
    cafs::latch l(1);
    struct state { u64 left; std::deque<u64> kept, waiting, idle; };
    auto manager = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        auto s = std::make_shared<state>(state{p * items + c, {}, {}, {}});
        auto give = [&, s, self] {
            while (!s->kept.empty() && !s->idle.empty()) {
                self->send(consumers[s->idle.front()], item::value, s->kept.front());
                s->idle.pop_front();
                s->kept.pop_front();
            }
            while (!s->waiting.empty() && s->kept.size() < slots) {
                self->send(producers[s->waiting.front()], produce::value);
                s->waiting.pop_front();
            }
        };
        return {[=](item, u64 from, u64 value) {
                    s->kept.push_back(value);
                    s->waiting.push_back(from);
                    give();
                },
                [&, s, give](idle_again, u64 who) {
                    s->idle.push_back(who);
                    if (--s->left == 0) l.down();
                    give();
                }};
    });
    struct maker { u64 left, state; };
    for (u64 i = 0; i < p; ++i)
        producers[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            auto s = std::make_shared<maker>(maker{items, i + 1});
            return {[&, i, s, self](produce) {
                if (s->left == 0) return;
                --s->left;
                s->state = work(s->state, steps);
                made[i] += s->state;
                self->send(manager, item::value, i, s->state);
            }};
        });
    for (u64 i = 0; i < c; ++i)
        consumers[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            return {[&, i, self](item, u64 value) {
                volatile u64 done = work(value, steps);
                (void)done;
                used[i] += value;
                self->send(manager, idle_again::value, i);
            }};
        });
    const peer::stopwatch t;
    for (u64 i = 0; i < c; ++i) caf::anon_send(manager, idle_again::value, i);
    for (auto& a : producers) caf::anon_send(a, produce::value);
    l.wait();
    const double d = t.ns();
    u64 all_made = 0, all_used = 0;
    for (u64 m : made) all_made += m;
    for (u64 u : used) all_used += u;
    for (auto& a : producers) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    for (auto& a : consumers) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(manager, caf::exit_reason::user_shutdown);
    peer::expect(all_used, all_made);
    peer::report("time", d / static_cast<double>(p * items), "ns/item", all_used);
}
static cafs::program entry{"bounded_buffer", bounded_buffer};
