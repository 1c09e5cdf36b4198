// Where others stand: by the frame pointers on their stacks; a thread that does not stop for us is told to look itself, by a
// signal.
#pragma once

#include <pthread.h>

#include <cstddef>

namespace rondo::detail {

class worker;
struct stack;

/// By frame pointers, after the innermost address, which is in frames[0] already; gives how many there are then. Every read
/// stays in that stack, from `lowest` on: whose stack it is may be changing it, and then they are nonsense.
std::size_t follow_frames(const stack& on, const char* lowest, const char* frame, const void** frames, std::size_t most) noexcept;

/// Writes the return addresses of what `thread`, w's own, runs on the stack of w's tasklet, innermost first, and gives how many
/// there are. 0: it did not answer (the signal is blocked, or the thread is inside the kernel and cannot be interrupted). A
/// system call that it is in goes on (SA_RESTART), but for those that never do: poll, sleep and the like end with EINTR.
/// Blocks for at most 100 ms. One at a time in the process. The first call installs a handler for SIGURG, which nobody
/// else's signals miss: what we have not sent goes to the handler before it.
std::size_t probe_stack(const worker& w, pthread_t thread, const void** frames, std::size_t most) noexcept;

}  // namespace rondo::detail
