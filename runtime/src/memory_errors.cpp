#include "memory_errors.hpp"

#include <array>
#include <exception>

#include <rondo/error.hpp>

namespace rondo::detail {
namespace {

const std::array<std::exception_ptr, 3>& errors() {
    static const std::array<std::exception_ptr, 3> made{
        std::make_exception_ptr(out_of_memory("no memory for a tasklet")),
        std::make_exception_ptr(out_of_memory(
            "no memory for a stack to go on with while this tasklet waits; fewer suspended tasklets, a smaller "
            "spawn_options::stack_bytes or a larger limit would help")),
        std::make_exception_ptr(out_of_memory("no memory for a stack of spawn_options::stack_bytes"))};
    return made;
}

}  // namespace

void make_memory_errors() { errors(); }
void throw_out_of_memory(no_memory_for what) { std::rethrow_exception(errors()[static_cast<std::size_t>(what)]); }

}  // namespace rondo::detail
