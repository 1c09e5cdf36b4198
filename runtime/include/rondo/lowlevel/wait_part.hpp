// What a wait for several things (wait_kind::select) consists of, for dumps and deadlock reports.
#pragma once

#include <rondo/lowlevel/wait.hpp>

namespace rondo::lowlevel {

/// One of the things. The wait's own site has the first part as its object. The parts lie on the waiting stack; a report
/// reads them while the wait goes on or ends, so it checks each address, and drops all if the wait has ended meanwhile.
struct wait_part {
    wait_site site;
    const wait_part* next = nullptr;
};

}  // namespace rondo::lowlevel
