// expect: taken_by_one_of.*withdraw
// links: rondo
// What an address made from several handles lists, one of them must take.
#include <rondo/rondo.hpp>

struct deposit {};
struct balance {};
struct withdraw {};

void pay(const rondo::address<deposit>& in, const rondo::address<balance>& in_sight) {
    const rondo::address<deposit, withdraw> both{in, in_sight};
    both.tell(withdraw{});
}
