// expect: one_message_callable
// links: rondo
// A member function is no handler for become: it would need its object.
#include <rondo/rondo.hpp>

struct deposit {};
struct freeze {};
struct account {
    void on(deposit) {}
    void on(freeze) { rondo::this_actor::become(&account::refuse); }
    void refuse(deposit) {}
};
