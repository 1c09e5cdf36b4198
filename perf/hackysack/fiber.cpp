#include "../common/fiber.hpp"
#include "../common/workloads.hpp"

template <class Channel>
static void play(std::deque<Channel>& inbox, const peer::hackysack_game& game) {
    boost::fibers::buffered_channel<peer::u64> finished(4096);
    std::vector<fibers::fiber> players;
    players.reserve(game.all_players());
    for (peer::u64 me = 0; me < game.all_players(); ++me)
        players.push_back(fibers::dispatch([&, me] {
            peer::ball ball{};
            while (fibers::receive(inbox[me], ball)) {
                if (ball.kicks == 0) {
                    finished.push(ball.sum);
                } else {
                    const auto to = game.kick(ball, me);
                    inbox[to].push(ball);
                }
            }
        }));

    const peer::stopwatch watch;
    auto thrower = fibers::post([&] {
        for (peer::u64 x = 0; x < game.all_balls(); ++x) inbox[game.first_player(x)].push(game.make(x));
    });
    peer::u64 total = 0, sum = 0;
    for (peer::u64 x = 0; x < game.all_balls(); ++x) {
        finished.pop(sum);
        total += sum;
    }
    const double ns = watch.ns();

    for (auto& i : inbox) i.close();
    thrower.join();
    fibers::join_all(players);
    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}

static void hackysack() {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    if (game.balls == 1) {
        std::deque<boost::fibers::unbuffered_channel<peer::ball>> inbox(game.all_players());
        play(inbox, game);
    } else {
        std::deque<boost::fibers::buffered_channel<peer::ball>> inbox;
        for (peer::u64 i = 0; i < game.all_players(); ++i) inbox.emplace_back(16);
        play(inbox, game);
    }
}
static peer::program<> entry{"hackysack", hackysack};
