// Hackysack on tasklets: every player is a tasklet, every inbox a channel.
#pragma once

#include <cstddef>
#include <exception>
#include <vector>

#include <rondo/rondo.hpp>

#include "game.hpp"
#include "interrupt.hpp"
#include "live_line.hpp"
#include "on_runtime.hpp"
#include "outcome.hpp"

namespace hackysack {

class tasklet_game {
public:
    tasklet_game(const game& g, live_line& live, const interrupt& stop) : game_(g), live_(live), stop_(stop) {}

    outcome play() { return play_on_runtime(game_, stop_, *this); }

private:
    friend outcome play_on_runtime<>(const game&, const interrupt&, tasklet_game&);
    using inbox = rondo::channel<bag>;

    void seat_players() {
        inboxes_.reserve(game_.all_players());
        for (std::size_t circle = 0; circle < game_.circles; ++circle)
            for (std::size_t me = 0; me < game_.players && !is_over(); ++me) {
                // Who kicks goes on, to wait for the next bag while his stack is still in the cache; by default whoever
                // catches would run at once.
                inboxes_.push_back(game_.slots ? inbox(game_.slots) : inbox(rondo::handoff::none));
                rondo::spawn([this, circle, me] { sit_down(inboxes_.data() + circle * game_.players, me); });
            }
    }
    [[nodiscard]] bool is_over() const noexcept { return stop_.requested() || failure_.happened(); }

    /// A player who cannot go on (there is no memory for him, say) ends the game for all: nobody waits any longer to kick
    /// to him, or for the bag that he may have had.
    void sit_down(inbox* circle, std::size_t me) {
        try {
            be_player(circle, me);
        } catch (const std::exception&) {
            failure_.note(std::current_exception());
            circle[me].close();
            dropped_.close();
        }
    }

    /// The whole life of a player. It ends when his inbox is closed.
    void be_player(inbox* circle, std::size_t me) {
        for (bag b : circle[me]) {
            if (b.kicks_left == 0 || stop_.requested()) {
                dropped_.send(b);
            } else {
                live_.note(b);
                const std::size_t next = b.kick(me, game_.players);
                circle[next].send(b);
            }
        }
    }

    std::vector<bag> play_bags() {
        std::size_t in_play = 0;
        for (; in_play < game_.all_bags() && !is_over(); ++in_play) {
            const std::size_t circle = in_play / game_.bags;
            inboxes_[circle * game_.players + first_player(game_, in_play)].send(new_bag(game_, in_play));
        }
        std::vector<bag> back;
        back.reserve(in_play);
        while (back.size() < in_play) back.push_back(dropped_.receive());
        return back;
    }

    [[nodiscard]] std::size_t seated() const { return inboxes_.size(); }
    void send_home() {
        for (auto& each : inboxes_) each.close();
    }

    const game game_;
    live_line& live_;
    const interrupt& stop_;
    std::vector<inbox> inboxes_;             // of all circles, one after the other; never moved once players sit
    rondo::channel<bag> dropped_;            // where a bag goes after its last kick
    first_failure failure_;
};

}  // namespace hackysack
