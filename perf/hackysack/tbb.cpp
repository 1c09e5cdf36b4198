// A player is a serial function node that puts the ball into another player's node: a callback that cannot wait.
#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <deque>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

static void hackysack() {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    tbb::flow::graph graph;
    std::atomic<peer::u64> total{0};
    std::deque<tbb::flow::function_node<peer::ball>> players;
    for (peer::u64 me = 0; me < game.all_players(); ++me)
        players.emplace_back(graph, tbb::flow::serial, [&, me](peer::ball ball) {
            if (ball.kicks == 0) {
                total += ball.sum;
            } else {
                const auto to = game.kick(ball, me);
                players[to].try_put(ball);
            }
            return tbb::flow::continue_msg();
        });

    const peer::stopwatch watch;
    for (peer::u64 x = 0; x < game.all_balls(); ++x) players[game.first_player(x)].try_put(game.make(x));
    graph.wait_for_all();
    const double ns = watch.ns();

    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}
static peer::program<> entry{"hackysack", hackysack};
