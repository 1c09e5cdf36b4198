#include "../common/thread.hpp"
#include "../common/workloads.hpp"

static void hackysack() {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    plain::channel<peer::u64> finished(1024);
    std::deque<plain::channel<peer::ball>> inbox;
    for (peer::u64 i = 0; i < game.all_players(); ++i) inbox.emplace_back(game.balls > 1 ? game.balls : 0);
    auto players = plain::launch(game.all_players(), [&](peer::u64 me) {
        return [&, me] {
            while (auto ball = inbox[me].receive()) {
                if (ball->kicks == 0) finished.send(ball->sum);
                else inbox[game.kick(*ball, me)].send(*ball);
            }
        };
    });

    const peer::stopwatch watch;
    for (peer::u64 x = 0; x < game.all_balls(); ++x) inbox[game.first_player(x)].send(game.make(x));
    peer::u64 total = 0;
    for (peer::u64 x = 0; x < game.all_balls(); ++x) total += *finished.receive();
    const double ns = watch.ns();

    for (auto& i : inbox) i.close();
    plain::join_all(players);
    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}
static peer::program<> entry{"hackysack", hackysack};
