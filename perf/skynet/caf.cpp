#include "../common/caf.hpp"
#include "../common/workloads.hpp"

struct progress {
    peer::u64 sum = 0;
    int missing = 10;
};

static cafs::behavior node(caf::stateful_actor<progress>* self, cafs::actor parent, peer::u64 number, peer::u64 size) {
    if (size == 1) {
        self->send(parent, number);
        self->quit();
        return {};
    }
    for (peer::u64 i = 0; i < 10; ++i)
        self->spawn(node, caf::actor_cast<cafs::actor>(self), number + i * (size / 10), size / 10);
    return {[=](peer::u64 value) {
        self->state.sum += value;
        if (--self->state.missing == 0) {
            self->send(parent, self->state.sum);
            self->quit();
        }
    }};
}

static void skynet(cafs::actor_system& system) {
    const auto n = peer::size("n");
    peer::u64 result = 0;
    caf::scoped_actor self{system};

    const peer::stopwatch watch;
    self->spawn(node, caf::actor_cast<cafs::actor>(self), peer::u64{0}, n);
    self->receive([&](peer::u64 value) { result = value; });
    const double ns = watch.ns();

    peer::expect(result, peer::sum_below(n));
    peer::report("time", ns / 1e6, "ms", result);
}
static cafs::program entry{"skynet", skynet};
