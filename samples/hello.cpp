#include <rondo/rondo.hpp>

int main() {
    rondo::run([] {                                        // returns when every tasklet has ended
        rondo::channel<int> ping, pong;
        auto player = rondo::spawn([=] { for (int n : ping) pong.send(n + 1); });
        for (int n = 0; n < 3; n = pong.receive()) ping.send(n);
        ping.close();                                      // ends the player's loop
        player.join();
        fmt::print("three kicks, nobody left over\n");
    });
}
