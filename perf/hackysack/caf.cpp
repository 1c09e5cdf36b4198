// A player is an actor, whose mailbox has no limit.
#include <atomic>

#include "../common/caf.hpp"
#include "../common/workloads.hpp"

static void hackysack(cafs::actor_system& system) {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    std::vector<cafs::actor> players(game.all_players());
    std::atomic<peer::u64> total{0};
    cafs::latch finished(game.all_balls());
    for (peer::u64 me = 0; me < game.all_players(); ++me)
        players[me] = system.spawn([&, me](cafs::event_based_actor* self) -> cafs::behavior {
            return {[&, me, self](peer::u64 state, peer::u64 kicks, peer::u64 sum) {
                if (kicks == 0) {
                    total += sum;
                    finished.down();
                    return;
                }
                peer::ball ball{state, kicks, sum};
                const auto to = game.kick(ball, me);
                self->send(players[to], ball.state, ball.kicks, ball.sum);
            }};
        });

    const peer::stopwatch watch;
    for (peer::u64 x = 0; x < game.all_balls(); ++x) {
        const auto ball = game.make(x);
        caf::anon_send(players[game.first_player(x)], ball.state, ball.kicks, ball.sum);
    }
    finished.wait();
    const double ns = watch.ns();

    for (auto& p : players) caf::anon_send_exit(p, caf::exit_reason::user_shutdown);
    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}
static cafs::program entry{"hackysack", hackysack};
