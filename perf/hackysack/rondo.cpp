// How many kicks a second do tasklets, or actors, make, in one circle and in a thousand at once?
//
// A tasklet's inbox is a rendezvous channel for one ball; for several it has 16 slots, since two players that kick at each
// other would both wait in send for ever. Who kicks goes on (handoff::none), to wait for the next ball while its stack is in
// the cache; by default the receiver would run at once, as in Stackless. An actor's mailbox has no limit, as the rivals'.
#include <rondo/rondo.hpp>

#include "../common/peer.hpp"
#include "../common/workloads.hpp"

using peer::u64;

namespace {

class tasklets {
public:
    explicit tasklets(const peer::hackysack_game& game) {
        for (u64 i = 0; i < game.all_players(); ++i) inbox_.emplace_back(game.balls > 1 ? 16 : 0, rondo::handoff::none);
        for (u64 me = 0; me < game.all_players(); ++me)
            players_.push_back(rondo::spawn([this, &game, me] {
                for (peer::ball ball : inbox_[me]) {
                    if (ball.kicks == 0) {
                        finished_.send(ball.sum);
                    } else {
                        const auto to = game.kick(ball, me);
                        inbox_[to].send(ball);
                    }
                }
            }));
    }
    void throw_to(u64 to, peer::ball ball) { inbox_[to].send(ball); }
    u64 next_sum() { return finished_.receive(); }
    void go_home() {
        for (auto& i : inbox_) i.close();
        for (auto& p : players_) p.join();
    }

private:
    std::vector<rondo::channel<peer::ball>> inbox_;
    std::vector<rondo::tasklet<void>> players_;
    rondo::channel<u64> finished_{16};
};

class actors {
public:
    explicit actors(const peer::hackysack_game& game) {
        players_.reserve(game.all_players());
        for (u64 me = 0; me < game.all_players(); ++me)
            players_.push_back(rondo::start<player>({.mailbox_slots = 0}, *this, game, me));
    }
    void throw_to(u64 to, peer::ball ball) { players_[to].tell(ball); }
    u64 next_sum() { return finished_.receive(); }
    void go_home() {
        for (auto& p : players_) p.stop();
        for (auto& p : players_) p.join();
    }

private:
    class player {
    public:
        player(actors& all, const peer::hackysack_game& game, u64 me) : all_(all), game_(game), me_(me) {}
        void on(peer::ball ball) {
            if (ball.kicks == 0) {
                all_.finished_.send(ball.sum);
            } else {
                const auto to = game_.kick(ball, me_);
                all_.throw_to(to, ball);
            }
        }

    private:
        actors& all_;
        const peer::hackysack_game& game_;
        u64 me_;
    };

    std::vector<rondo::actor_ref<player>> players_;
    rondo::channel<u64> finished_{rondo::unbounded};
};

template <class Players>
void play(const peer::hackysack_game& game) {
    u64 total = 0;
    const double ns = rondo::run({.workers = peer::workers}, [&] {
        Players players(game);

        const peer::stopwatch watch;
        auto thrower = rondo::spawn([&] {
            for (u64 x = 0; x < game.all_balls(); ++x) players.throw_to(game.first_player(x), game.make(x));
        });
        for (u64 x = 0; x < game.all_balls(); ++x) total += players.next_sum();
        const double taken = watch.ns();

        thrower.join();
        players.go_home();
        return taken;
    });

    peer::expect(total, game.expected_sum());
    peer::report("rate", game.all_kicks() / (ns / 1e9), "kicks/s", total);
}

}  // namespace

static void hackysack() {
    const peer::hackysack_game game{peer::size("C"), peer::size("P"), peer::size("B"), peer::size("K")};
    peer::flag("actors") ? play<actors>(game) : play<tasklets>(game);
}
static peer::program<> entry{"hackysack", hackysack};
