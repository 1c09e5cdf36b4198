// expect: has_handler_for<A, .*A = account; V = withdraw|has_handler_for<account, .*withdraw
// links: rondo
// Telling an actor what its class has no on(...) for.
#include <rondo/rondo.hpp>

struct deposit {};
struct withdraw {};
struct account {
    void on(deposit) {}
};

void pay(const rondo::actor_ref<account>& a) { a.tell(withdraw{}); }
