#include "../common/caf.hpp"

#include <vector>

using peer::u64;
using change = caf::atom_constant<caf::atom("change")>;

static unsigned complement(unsigned a, unsigned b) { return a == b ? a : 3 - a - b; }

static void chameneos(cafs::actor_system& sys) {
    const u64 n = peer::size("chameneos"), meetings = peer::size("meetings");
    std::vector<u64> met(n);
    cafs::latch l(1);
    struct state { u64 left, away = 0; caf::actor first; };
    auto mall = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        auto s = std::make_shared<state>(state{meetings, 0, {}});
        return {[&, s, self](const caf::actor& who, unsigned has) {
            if (s->left == 0) { if (++s->away == n) l.down(); }
            else if (!s->first) s->first = who;
            else { --s->left; self->send(s->first, who, has); s->first = nullptr; }
        }};
    });
    std::vector<caf::actor> all;
    for (u64 i = 0; i < n; ++i)
        all.push_back(sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            auto has = std::make_shared<unsigned>(static_cast<unsigned>(i % 3));
            auto again = [&, has, self] { self->send(mall, caf::actor(self), *has); };
            return {[=](cafs::go) { again(); },
                    [&, i, has, self, again](const caf::actor& who, unsigned other) {
                        *has = complement(*has, other);
                        self->send(who, change::value, *has);
                        ++met[i];
                        again();
                    },
                    [&, i, has, again](change, unsigned to) { *has = to; ++met[i]; again(); }};
        }));
    const peer::stopwatch t;
    for (auto& a : all) caf::anon_send(a, cafs::go::value);
    l.wait();
    const double d = t.ns();
    u64 sum = 0;
    for (u64 m : met) sum += m;
    for (auto& a : all) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(mall, caf::exit_reason::user_shutdown);
    peer::expect(sum, 2 * meetings);
    peer::report("time", d / static_cast<double>(meetings), "ns/meeting", sum);
}
static cafs::program entry{"chameneos", chameneos};
