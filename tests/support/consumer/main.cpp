#include <rondo/rondo.hpp>

int main() {
    int answer = rondo::run([] { return rondo::spawn([](int a, int b) { return a * b; }, 6, 7).join(); });
    return answer == 42 ? 0 : 1;
}
