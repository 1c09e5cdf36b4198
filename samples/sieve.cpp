// The sieve of Eratosthenes as a chain of tasklets: each prime is a filter that lets pass what it does not divide, and the
// first number that comes out at the end of the chain is the next prime. (Doug McIlroy's, known from Go.)
#include <fmt/format.h>

#include <rondo/rondo.hpp>

using numbers = rondo::channel<int>;

void count_from(int first, numbers to) {
    for (int n = first;; ++n) to.send(n);
}

void let_pass_what(int prime, numbers from, numbers to) {
    for (int n : from)
        if (n % prime != 0) to.send(n);
}

void sieve(int how_many) {
    rondo::scope([=](rondo::group& chain) {
        numbers end;
        chain.spawn(count_from, 2, end);
        for (int i = 0; i < how_many; ++i) {
            const int prime = end.receive();
            fmt::print("{}{}", prime, (i + 1) % 10 == 0 ? '\n' : ' ');
            const numbers next;
            chain.spawn(let_pass_what, prime, end, next);
            end = next;
        }
        chain.stop();                                    // the chain would go on for ever
    });
}

int main() {
    rondo::run([] { sieve(100); });
}
