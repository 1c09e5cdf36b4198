// expect: has_handler_for<A, .*A = account; V = const char|has_handler_for<account, .*const char
// links: rondo
// A literal is told as a std::string, to those that take one.
#include <rondo/rondo.hpp>

struct account {
    void on(int) {}
};

void pay(const rondo::actor_ref<account>& a) { a.tell("a lot"); }
