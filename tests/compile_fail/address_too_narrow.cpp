// expect: (no matching function for call to|no matching member function for call to|is not satisfied|unsatisfied constraints)
// links: rondo
// An address takes only what is in its list.
#include <rondo/rondo.hpp>

struct deposit {};
struct balance {};

void pay(const rondo::address<deposit>& a) { a.tell(balance{}); }
