// What is thrown when memory is out, made while there was some. All that fail share one exception: a hundred thousand tasklets
// may end with it, and an exception for each would use up what the C++ runtime keeps for this case, and then the process
// ends.
#pragma once

namespace rondo::detail {

enum class no_memory_for { a_tasklet, a_stack_to_go_on, a_wanted_stack };

void make_memory_errors();               ///< every runtime does, when it begins
[[noreturn]] void throw_out_of_memory(no_memory_for what);

}  // namespace rondo::detail
