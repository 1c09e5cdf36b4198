// expect: what a tasklet returns is moved to whoever joins it
// links: runtime
#include <rondo/tasklet.hpp>

struct fixed {
    fixed() = default;
    fixed(const fixed&) = delete;
};

void start() { rondo::spawn([] { return fixed(); }).join(); }
