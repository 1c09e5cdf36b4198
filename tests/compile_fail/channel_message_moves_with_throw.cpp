// expect: what crosses a channel is an object, not const, that can be moved without throwing
// links: channels
#include <rondo/channel.hpp>

struct careless {
    careless() = default;
    careless(careless&&) noexcept(false) {}
};

void make() { rondo::channel<careless> c; }
