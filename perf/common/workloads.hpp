// The sequential pieces that several workloads share, and the results that they check against.
#pragma once
#include <cstdint>

namespace peer {

using u64 = std::uint64_t;

inline u64 xorshift64(u64& state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

inline u64 sum_below(u64 n) { return n * (n - 1) / 2; }

inline u64 fib_value(u64 n) {
    u64 a = 0, b = 1;
    for (; n > 0; --n) {
        const u64 next = a + b;
        a = b;
        b = next;
    }
    return a;
}
inline double fib_tasks(u64 n) { return static_cast<double>(fib_value(n + 1) - 1); }    // calls with n >= 2

/// Sleeping times of the workload `sleep`, in the order in which the tasks are made.
class sleep_times {
public:
    u64 next_ms() { return xorshift64(state_) % 1001; }

private:
    u64 state_ = 42;
};

// ---- hackysack ----

/// One ball: its own generator, the kicks it has left, the sum of all players who received it.
struct ball {
    u64 state, kicks, sum;

    /// `me` kicks it; returns the player who receives it.
    u64 kick(u64 me, u64 players) {
        u64 to = xorshift64(state) % (players - 1);
        if (to >= me) ++to;
        sum += to;
        --kicks;
        return to;
    }
};

struct hackysack_game {
    u64 circles, players, balls, kicks;    ///< players, balls and kicks of each circle

    u64 all_players() const { return circles * players; }
    u64 all_balls() const { return circles * balls; }
    double all_kicks() const { return static_cast<double>(circles * (kicks / balls * balls)); }
    ball make(u64 index) const { return {(index + 1) * 0x9E3779B97F4A7C15ull, kicks / balls, 0}; }

    // Players are numbered through all circles.
    u64 first_player(u64 index) const { return index / balls * players + index % balls % players; }
    u64 kick(ball& b, u64 player) const { return player / players * players + b.kick(player % players, players); }

    /// The same game, played by one loop.
    u64 expected_sum() const {
        u64 total = 0;
        for (u64 index = 0; index < all_balls(); ++index) {
            ball b = make(index);
            u64 at = index % balls % players;
            while (b.kicks > 0) at = b.kick(at, players);
            total += b.sum;
        }
        return total;
    }
};

}  // namespace peer
