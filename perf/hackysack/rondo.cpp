// How many kicks a second do tasklets make, in one circle and in a thousand at once?
//
// An inbox is a rendezvous channel for one ball; for several it has 16 slots, since two players that kick at each other
// would both wait in send for ever. Who kicks goes on (handoff::none), to wait for the next ball while its stack is in the
// cache; by default the receiver would run at once, as in Stackless.
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

static void hackysack() {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    u64 total = 0;

    const double ns = rondo::run({.workers = peer::workers}, [&] {
        rondo::channel<u64> finished{16};
        std::vector<rondo::channel<peer::ball>> inbox;
        std::vector<rondo::tasklet<void>> players;
        for (u64 i = 0; i < game.all_players(); ++i) inbox.emplace_back(game.balls > 1 ? 16 : 0, rondo::handoff::none);
        for (u64 me = 0; me < game.all_players(); ++me)
            players.push_back(rondo::spawn([&, me] {
                for (peer::ball ball : inbox[me]) {
                    if (ball.kicks == 0) {
                        finished.send(ball.sum);
                    } else {
                        const auto to = game.kick(ball, me);
                        inbox[to].send(ball);
                    }
                }
            }));

        const peer::stopwatch watch;
        auto thrower = rondo::spawn([&] {
            for (u64 x = 0; x < game.all_balls(); ++x) inbox[game.first_player(x)].send(game.make(x));
        });
        for (u64 x = 0; x < game.all_balls(); ++x) total += finished.receive();
        const double taken = watch.ns();

        thrower.join();
        for (auto& i : inbox) i.close();
        for (auto& p : players) p.join();
        return taken;
    });

    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}
static peer::program<> entry{"hackysack", hackysack};
