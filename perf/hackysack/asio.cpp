// A player is a strand, a throw a handler posted to it: a callback without a stack, which cannot wait.
#include <atomic>

#include "../common/asio.hpp"
#include "../common/workloads.hpp"

namespace {

struct table {
    peer::hackysack_game game;
    std::vector<asios::strand> players;
    std::atomic<peer::u64> total{0};

    void throw_to(peer::u64 player, peer::ball ball) {
        boost::asio::post(players[player], [this, player, ball] { receive(player, ball); });
    }
    void receive(peer::u64 me, peer::ball ball) {
        if (ball.kicks == 0) {
            total += ball.sum;
        } else {
            const auto to = game.kick(ball, me);
            throw_to(to, ball);
        }
    }
};

}  // namespace

static void hackysack(asios::pool& pool) {
    table t{{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")}, {}};
    t.players.reserve(t.game.all_players());
    for (peer::u64 i = 0; i < t.game.all_players(); ++i) t.players.emplace_back(pool.get_executor());

    const peer::stopwatch watch;
    for (peer::u64 x = 0; x < t.game.all_balls(); ++x) t.throw_to(t.game.first_player(x), t.game.make(x));
    pool.join();
    const double ns = watch.ns();

    peer::expect(t.total, t.game.expected_sum());
    peer::report("rate", t.game.all_kicks() / (ns / 1e9), "kicks/s", t.total);
}
static asios::program entry{"hackysack", hackysack};
