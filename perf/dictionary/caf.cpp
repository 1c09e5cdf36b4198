#include "../common/caf.hpp"
#include "../common/workloads.hpp"

#include <unordered_map>
#include <vector>

using peer::u64;
using reading = caf::atom_constant<caf::atom("read")>;
using writing = caf::atom_constant<caf::atom("write")>;
using found = caf::atom_constant<caf::atom("found")>;

static u64 value_of(u64 key) { return key * 1'000'003 + 1; }

static void dictionary(cafs::actor_system& sys) {
    const u64 n = peer::size("clients"), requests = peer::size("requests"), writes = peer::size("writes");
    std::vector<caf::actor> clients(n);
    std::unordered_map<u64, u64> table;
    u64 sum = 0;
    std::vector<u64> wrong(n);
    cafs::latch l(n);
    auto dict = sys.spawn([&](cafs::event_based_actor* self) -> cafs::behavior {
        return {[&, self](reading, u64 key, u64 from) {
                    ++sum;
                    const auto at = table.find(key);
                    self->send(clients[from], found::value, at == table.end() ? u64{0} : at->second);
                },
                [&, self](writing, u64 key, u64 value, u64 from) {
                    ++sum;
                    table[key] = value;
                    self->send(clients[from], found::value, value);
                }};
    });
    struct state { u64 left, chance, asked; };
    for (u64 i = 0; i < n; ++i)
        clients[i] = sys.spawn([&, i](cafs::event_based_actor* self) -> cafs::behavior {
            auto s = std::make_shared<state>(state{requests, i + 1, 0});
            auto next = [&, i, s, self] {
                s->asked = peer::xorshift64(s->chance) % 512;
                if (peer::xorshift64(s->chance) % 100 < writes) self->send(dict, writing::value, s->asked, value_of(s->asked), i);
                else self->send(dict, reading::value, s->asked, i);
            };
            return {[=](cafs::go) { next(); },
                    [&, i, s, next](found, u64 value) {
                        wrong[i] += value != 0 && value != value_of(s->asked);
                        if (--s->left == 0) l.down();
                        else next();
                    }};
        });
    const peer::stopwatch t;
    for (auto& c : clients) caf::anon_send(c, cafs::go::value);
    l.wait();
    const double d = t.ns();
    for (u64 w : wrong) sum += w;
    for (auto& c : clients) caf::anon_send_exit(c, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(dict, caf::exit_reason::user_shutdown);
    peer::expect(sum, n * requests);
    peer::report("time", d / static_cast<double>(n * requests), "ns/request", sum);
}
static cafs::program entry{"dictionary", dictionary};
