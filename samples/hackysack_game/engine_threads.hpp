// Hackysack as the tutorial had it first: every player is a thread of the operating system, every inbox a queue with a
// lock. Here for comparison.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <queue>
#include <system_error>
#include <thread>
#include <vector>

#include "game.hpp"
#include "interrupt.hpp"
#include "live_line.hpp"
#include "machine.hpp"
#include "outcome.hpp"

namespace hackysack {

/// A queue that a thread can wait at.
class thread_inbox {
public:
    void put(const bag& b) {
        {
            std::lock_guard lock(mutex_);
            bags_.push(b);
        }
        changed_.notify_one();
    }
    /// The next bag; nothing once the inbox is closed and empty.
    std::optional<bag> get() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !bags_.empty() || is_closed_; });
        if (bags_.empty()) return {};
        const bag b = bags_.front();
        bags_.pop();
        return b;
    }
    void close() {
        {
            std::lock_guard lock(mutex_);
            is_closed_ = true;
        }
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::queue<bag> bags_;
    bool is_closed_ = false;
};

class thread_game {
public:
    thread_game(const game& g, live_line& live, const interrupt& stop) : game_(g), live_(live), stop_(stop) {}

    outcome play() {
        outcome result{.played = game_};
        result.refused = refuses_threads(game_.all_players());
        if (!result.refused.empty()) return result;

        const confined_to some_cores(game_.workers);
        const double memory_before = resident_bytes();
        stopwatch watch;
        result.refused = seat_players();
        result.set_up_s = watch.lap_s();
        if (result.refused.empty()) result.bags = play_bags();
        result.play_s = watch.lap_s();
        result.bytes_per_player =
            (resident_bytes() - memory_before) / static_cast<double>(std::max<std::size_t>(1, players_.size()));
        watch.lap_s();
        send_home();
        result.end_s = watch.lap_s();
        result.interrupted = stop_.requested();
        return result;
    }

private:
    /// Why the operating system did not make all the threads; empty if it did.
    std::string seat_players() {
        const std::size_t all = game_.all_players();
        inboxes_ = std::vector<thread_inbox>(all);
        players_.reserve(all);
        for (std::size_t i = 0; i < all && !stop_.requested(); ++i) {
            try {
                players_.emplace_back([this, i] { be_player(i / game_.players * game_.players, i % game_.players); });
            } catch (const std::system_error& e) {
                return fmt::format("there were {} when it said: {}", grouped(players_.size()), e.code().message());
            } catch (const std::bad_alloc&) {
                return fmt::format("there were {} when {}", grouped(players_.size()), memory_is_used_up);
            }
        }
        return {};
    }

    void be_player(std::size_t circle, std::size_t me) {
        thread_inbox& mine = inbox(circle + me);
        while (auto b = mine.get()) {
            if (b->kicks_left == 0 || stop_.requested()) {
                dropped_.put(*b);
            } else {
                live_.note(*b);
                const std::size_t next = b->kick(me, game_.players);
                inbox(circle + next).put(*b);
            }
        }
    }
    thread_inbox& inbox(std::size_t player) { return inboxes_[player]; }

    std::vector<bag> play_bags() {
        std::size_t in_play = 0;
        for (; in_play < game_.all_bags() && !stop_.requested(); ++in_play)
            inbox(in_play / game_.bags * game_.players + first_player(game_, in_play)).put(new_bag(game_, in_play));
        std::vector<bag> back;
        back.reserve(in_play);
        while (back.size() < in_play) back.push_back(*dropped_.get());
        return back;
    }

    void send_home() {
        for (auto& each : inboxes_) each.close();
        for (auto& player : players_) player.join();
    }

    const game game_;
    live_line& live_;
    const interrupt& stop_;
    std::vector<thread_inbox> inboxes_;     // of all circles, one after the other
    thread_inbox dropped_;
    std::vector<std::thread> players_;
};

}  // namespace hackysack
