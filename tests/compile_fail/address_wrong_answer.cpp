// expect: could not convert .* to .*address<int|no viable conversion from .* to function return type .*address<int
// links: rondo
// What one address says of an answer the next one cannot say otherwise.
#include <rondo/rondo.hpp>

struct balance {};

rondo::address<int(balance)> of(const rondo::address<long(balance)>& a) { return a; }
