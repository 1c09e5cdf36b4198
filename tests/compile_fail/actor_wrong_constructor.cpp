// expect: actor_made_from<account, const char ?\(&\)\[4\]>|actor_made_from
// links: rondo
// An actor is made from what its class's constructor takes.
#include <rondo/rondo.hpp>

struct account {
    explicit account(long) {}
    void on(int) {}
};

void open() { (void)rondo::start<account>("ann"); }
