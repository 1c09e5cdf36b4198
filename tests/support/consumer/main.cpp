#include <rondo/rondo.hpp>

struct question { int a, b; };
struct oracle {
    int on(question q) { return q.a * q.b; }
};

int main() {
    int answer = rondo::run([] { return rondo::spawn([](int a, int b) { return a * b; }, 6, 7).join(); });
    int other = rondo::run([] {
        rondo::channel<int> slot{1};
        slot.send(rondo::start<oracle>().ask(question{6, 7}));
        return slot.receive();
    });
    return answer == 42 && other == 42 ? 0 : 1;
}
