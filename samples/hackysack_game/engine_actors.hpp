// Hackysack on actors: every player is one, with a mailbox; so many bags can fly in one circle at once.
#pragma once

#include <cstddef>
#include <vector>

#include <rondo/rondo.hpp>

#include "game.hpp"
#include "interrupt.hpp"
#include "live_line.hpp"
#include "on_runtime.hpp"
#include "outcome.hpp"

namespace hackysack {

class actor_game {
public:
    actor_game(const game& g, live_line& live, const interrupt& stop) : game_(g), live_(live), stop_(stop) {}

    outcome play() { return play_on_runtime(game_, stop_, *this); }

private:
    friend outcome play_on_runtime<>(const game&, const interrupt&, actor_game&);
    /// All that a player is. One bag at a time; the others wait in the mailbox.
    class player {
    public:
        player(actor_game& in, std::size_t seat) noexcept : in_(in), seat_(seat) {}
        void on(bag b) {
            if (b.kicks_left == 0 || in_.stop_.requested()) {
                in_.dropped_.send(b);
            } else {
                in_.live_.note(b);
                const std::size_t me = seat_ % in_.game_.players, circle = seat_ - me;
                const std::size_t next = b.kick(me, in_.game_.players);
                in_.players_[circle + next].tell(b);
            }
        }

    private:
        actor_game& in_;
        const std::size_t seat_;             // counted over all circles
    };

    void seat_players() {
        players_.reserve(game_.all_players());
        const rondo::actor_options inbox{.mailbox_slots = game_.slots};      // 0: no bound
        for (std::size_t seat = 0; seat < game_.all_players() && !stop_.requested(); ++seat)
            players_.push_back(rondo::start<player>(inbox, *this, seat));
    }

    std::vector<bag> play_bags() {
        std::size_t in_play = 0;
        for (; in_play < game_.all_bags() && !stop_.requested(); ++in_play) {
            const std::size_t circle = in_play / game_.bags;
            players_[circle * game_.players + first_player(game_, in_play)].tell(new_bag(game_, in_play));
        }
        std::vector<bag> back;
        back.reserve(in_play);
        while (back.size() < in_play) back.push_back(dropped_.receive());
        return back;
    }

    [[nodiscard]] std::size_t seated() const { return players_.size(); }
    void send_home() {
        players_.clear();                    // nobody can kick to them any more: they go home
    }

    const game game_;
    live_line& live_;
    const interrupt& stop_;
    std::vector<rondo::actor_ref<player>> players_;    // of all circles; never moved once they sit
    rondo::channel<bag> dropped_{rondo::unbounded};    // where a bag goes after its last kick
    first_failure failure_;
};

}  // namespace hackysack
