// The soloists of all runtimes with one worker (lowlevel/solo.hpp). Never destroyed: what was made on one may outlive it.
#pragma once

#include <memory>

#include <rondo/lowlevel/solo.hpp>

namespace rondo::detail {

struct give_soloist_back {
    void operator()(lowlevel::soloist* s) const noexcept;
};
using soloist_ptr = std::unique_ptr<lowlevel::soloist, give_soloist_back>;

/// nullptr: there are no asymmetric fences, so nobody may be alone; or no memory.
soloist_ptr take_soloist() noexcept;

}  // namespace rondo::detail
