// Ping and pong, two functions that need each other. Written as calls, each stroke stays on the stack below the next,
// and a long game overflows it. Written as two tasklets with a channel each, neither waits for the other to return:
// they hand the ball over, and a million rounds need no more memory than ten.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include <rondo/rondo.hpp>

// ---- as calls: ping calls pong, which calls ping, which calls pong...

volatile int returned = 0;

/// Gives where on the stack the last stroke happens.
[[gnu::noinline]] std::uintptr_t pong(int strokes_left);
[[gnu::noinline]] std::uintptr_t ping(int strokes_left) {
    if (strokes_left == 0) return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const std::uintptr_t last = pong(strokes_left - 1);
    returned = returned + 1;    // what every stroke still has to do keeps its frame on the stack
    return last;
}
std::uintptr_t pong(int strokes_left) {
    if (strokes_left == 0) return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const std::uintptr_t last = ping(strokes_left - 1);
    returned = returned + 1;
    return last;
}

// ---- as tasklets: each is a loop

struct score {
    std::string_view last_cry = "PONG";
    long strokes = 0, out_of_turn = 0;
};

void player(std::string_view cry, rondo::channel<long> mine, rondo::channel<long> other, score& all) {
    for (long strokes_left : mine) {
        if (all.strokes < 6) fmt::print("{}\n", cry);
        if (all.last_cry == cry) ++all.out_of_turn;
        all.last_cry = cry;
        ++all.strokes;
        if (strokes_left > 1) {
            other.send(strokes_left - 1);
        } else {
            mine.close();
            other.close();
        }
    }
}

score play(long rounds, score all = {}) {
    rondo::run({.workers = 1}, [&] {
        const rondo::channel<long> ping, pong;
        rondo::spawn({.name = "ping"}, [&, ping, pong] { player("PING", ping, pong, all); });
        rondo::spawn({.name = "pong"}, [&, ping, pong] { player("PONG", pong, ping, all); });
        ping.send(2 * rounds);    // without it both would wait for ever, and run() would throw rondo::deadlock
    });
    return all;
}

std::size_t resident_bytes() {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

int main() {
    const auto stack_used = ping(10) - ping(1'010);
    fmt::print("As calls, a thousand strokes more lie {} on the stack:\n"
               "a game without end overflows it.\n\n",
               stack_used > 8'000 ? "a thousand frames deeper" : "no deeper");

    fmt::print("As tasklets:\n");
    const score warm_up = play(1'000);
    const std::size_t before = resident_bytes();
    const score game = play(1'000'000, warm_up);
    const std::size_t after = resident_bytes();

    // Whatever was kept of each stroke would make 32 MB or more; some MB are for the sanitizers' own books.
    const bool is_constant = after < before + 16'000'000;
    fmt::print("... {} strokes, {} of them out of turn, memory {}\n", game.strokes, game.out_of_turn,
               is_constant ? "constant" : "GREW");
    return is_constant && game.out_of_turn == 0 ? 0 : 1;
}
