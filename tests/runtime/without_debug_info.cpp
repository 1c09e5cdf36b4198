// Compiled without debug information: what a backtrace still tells of such code.
#include <rondo/event.hpp>

namespace support {

[[gnu::noinline]] void wait_without_debug_info(rondo::event& e) {
    e.wait();
    asm volatile("");    // no tail call
}

}  // namespace support
