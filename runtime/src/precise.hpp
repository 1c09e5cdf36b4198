// What ThreadSanitizer is told in its precise mode (RONDO_TSAN_PRECISE, cmake/sanitizers.cmake). In every other build all of
// this is empty.
//
// In its ordinary mode it watches all of Rondo, scheduler and all, and each switch of stacks orders what comes before it and
// what comes after: two tasklets that one worker runs in turn never race. In the precise mode it does not watch the core
// (runtime/src but for what stands on lowlevel/wait.hpp alone). Each tasklet is a thread of its own to it, a "fiber", and so is
// each worker's loop; a switch orders nothing. What does order two tasklets is said here, by edges:
//
//   from here                          to here                                 over                 said in
//   submit, of a tasklet or a job      its body begins                         the tasklet          tasklet.cpp, job.cpp
//   its body has ended                 join, select, done() have found that    the tasklet          run_body.hpp, tasklet.cpp
//                                      the end of its scope                    the group            scope.cpp
//   join, if it runs it itself         the result is written for the joiner    where it goes        tasklet.cpp, task.hpp
//   resume(), settle()                 the return of suspend()                 the waiter           wait.cpp
//   suspend() with a lock              whoever locks it next                   the lock             wait.cpp
//   stop, interrupt()                  `stopped` is thrown; stop_requested()   the tasklet          tasklet.cpp, wait.cpp
//   a tasklet leaves its stack, ends   it is quiet: run() and settle() return  the scheduler        leave.hpp, scheduler.cpp
//   a worker's thread begins           a body begins there, or goes on there   the worker           precise.cpp
//   attach()                           seen()                                  the pointer          job.cpp
//
// Channels, locks and actors stand on the doors (lowlevel/{wait,job}.hpp) and are watched as the user's code is: the orders of
// their own atomics are the other edges. A timer that fires, and the scheduler's own work on a tasklet's stack (what comes next,
// who is stolen), order nobody: on_loop.
//
// Whoever used a piece of memory before is no concern of who has it now: forget(), for descriptors, stacks and errno. No public
// call of the sanitizer says that; __tsan_java_alloc, made for garbage collectors, does.
//
// The core has no watched copies of its own functions, but may get some that it shares with others from the linker, who takes
// the first. These cost precision at most: what they order is ordered, for those who use the same object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>

#include <rondo/detail/task.hpp>

namespace rondo::detail {

struct stack;
class worker;

namespace precise {

enum class on_top_of : std::uint8_t { loop, joiner };

#ifdef RONDO_TSAN_PRECISE

inline constexpr bool is_on = true;

/// Whoever calls to_here(x) comes after all who have called from_here(x).
void from_here(const void* at) noexcept;
void to_here(const void* at) noexcept;
/// The tasklet of that id. May be called when it has gone.
void from_here(std::uint64_t id) noexcept;
void to_here(std::uint64_t id) noexcept;
void from_here(const lowlevel::waiter& who) noexcept;
void to_here(const lowlevel::waiter& who) noexcept;
/// The caller has been stopped: itself, or one of those on whose stack it runs.
void to_here_from_stop(const lowlevel::waiter& me) noexcept;
void from_end_of(const task& t) noexcept;

/// What the calling thread does is its worker's work, and is not watched, but for what it does as a tasklet.
void begin_loop(const worker& w) noexcept;
void end_loop() noexcept;

void forget(void* from, std::size_t bytes) noexcept;
void forget_errno() noexcept;                          // which tasklets on one thread share, and which the switch keeps
void forget_last_tasklet_in(task& t) noexcept;

/// The calling thread is this tasklet while it lives. Made on the stack `s`, where the tasklet is about to run; afterwards the
/// thread may be another one.
class as_tasklet {
public:
    as_tasklet(task& t, const stack& s, on_top_of what) noexcept;
    ~as_tasklet();
    as_tasklet(const as_tasklet&) = delete;
    as_tasklet& operator=(const as_tasklet&) = delete;

private:
    void* const joiner_;                              // nullptr: there is none
    void* const own_;
};

/// A tasklet's thread does its worker's work meanwhile, and may be another one afterwards. On plain threads: nothing.
class on_loop {
public:
    on_loop() noexcept;
    ~on_loop();
    on_loop(const on_loop&) = delete;
    on_loop& operator=(const on_loop&) = delete;

private:
    const worker* const from_;
    void* me_ = nullptr;                              // it was doing that already
};

/// What the core does with library functions that the sanitizer watches everywhere: malloc, memcpy, mutexes.
class unseen {
public:
    unseen() noexcept;
    ~unseen();
    unseen(const unseen&) = delete;
    unseen& operator=(const unseen&) = delete;
};

/// What a user's std::stop_token shares with us. Watched, since his side is (stop_source.cpp).
void request_stop(std::stop_source& source);           // calls back
void delete_extra(task_extra* extra) noexcept;

#else

inline constexpr bool is_on = false;
template <class T>
void from_here(const T&) noexcept {}
template <class T>
void to_here(const T&) noexcept {}
inline void to_here_from_stop(const lowlevel::waiter&) noexcept {}
inline void from_end_of(const task&) noexcept {}
inline void begin_loop(const worker&) noexcept {}
inline void end_loop() noexcept {}
inline void forget(void*, std::size_t) noexcept {}
inline void forget_errno() noexcept {}
inline void forget_last_tasklet_in(task&) noexcept {}
struct as_tasklet {
    as_tasklet(task&, const stack&, on_top_of) noexcept {}
};
struct on_loop {
    on_loop() noexcept {}
};
struct unseen {
    unseen() noexcept {}
};
inline void request_stop(std::stop_source& source) { source.request_stop(); }
inline void delete_extra(task_extra* extra) noexcept { delete extra; }

#endif

/// What another thread has made and published there by from_here(&published).
template <class T>
[[nodiscard]] T* seen(const atomic<T*>& published) noexcept {
    T* const p = published.load(acquire);             // pairs with the release of who has published it
    to_here(static_cast<const void*>(&published));
    return p;
}

}  // namespace precise
}  // namespace rondo::detail
