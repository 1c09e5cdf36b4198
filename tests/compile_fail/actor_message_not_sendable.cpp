// expect: sendable<M>.*M = int ?\[3\]|int ?\[3\].* does not satisfy .sendable
// links: rondo
// A message is moved into the mailbox, which an array cannot be.
#include <span>

#include <rondo/rondo.hpp>

struct adder {
    void on(std::span<const int>) {}
};

void add(const rondo::actor_ref<adder>& a) {
    const int numbers[] = {1, 2, 3};
    a.tell(numbers);
}
