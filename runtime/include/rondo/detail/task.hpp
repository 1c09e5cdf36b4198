// The descriptor of a tasklet, and the typed shell around what it runs. A tasklet is this, 256 bytes, and nothing
// else until it suspends for the first time: it has no stack of its own before (runtime/README.md, "stacks on demand").
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

class scheduler;
struct stack;

/// What only some tasklets have; made on demand.
struct task_extra {
    std::string name;
    std::size_t stack_bytes = 0;
    std::stop_source stop_source{std::nostopstate};
};

/// The descriptor. Lives in type-stable memory (task_pool): a stale pointer may be read, and `id` tells whether the
/// tasklet that it meant is still there. `guard` protects id, state, joiner and detached against each other.
struct alignas(64) task : lowlevel::waiter {
    enum class op : std::uint8_t { run, discard, destroy };   // discard: the callable, instead of running it
    enum class phase : std::uint8_t { free, fresh, started, finished };
    static constexpr std::size_t inline_bytes = 64;

    // Written by spawn.
    void (*invoke)(task&, op) = nullptr;          // runs, or destroys the result of, what `body` holds
    atomic<std::uint64_t> id{0};                  // unique in the process; 0: no tasklet here
    std::uint64_t parent = 0;
    std::source_location where;
    atomic<task_extra*> extra{nullptr};
    void* heap_body = nullptr;                    // where the body lives if it does not fit inline
    std::exception_ptr error;
    scheduler* home = nullptr;                    // whose descriptor this is; set once per runtime

    atomic<phase> state{phase::free};
    lowlevel::spin_lock guard;
    struct marks {
        bool detached = false;                    // nobody has a handle any more
        bool has_result = false;                  // the body holds a result whose destructor must run
        bool was_stopped = false;                 // ended by `stopped`
        bool joined_error = false;                // the error has been reported to somebody
        bool keep = false;                        // returns a value: the descriptor stays until the handle lets go
    } flags;

    lowlevel::wait_node* joiner = nullptr;
    atomic<task*> below{nullptr};                 // the joiner on whose stack this one runs (inline join)
    atomic<task*> above{nullptr};                 // the child that this one runs on its own stack (inline join)
    task* next = nullptr;                         // free list, injection queue

    // Written when it suspends.
    void* context = nullptr;
    atomic<stack*> on{nullptr};                   // a fresh one has it if it wants a larger stack
    atomic<std::size_t> order{0};                      // position among the fresh ones at which it became ready;
                                                       // suspended under force_migration: the worker it was on

    alignas(16) std::byte body[inline_bytes];

    void* body_address() noexcept { return heap_body ? heap_body : static_cast<void*>(body); }
};

/// What a tasklet that returns nothing stores.
struct nothing {};

template <class R>
struct stored {
    using type = std::remove_cv_t<R>;
};
template <class R>
struct stored<R&> {
    using type = R*;
};
template <class R>
struct stored<R&&> {
    using type = std::remove_cv_t<R>;
};
template <>
struct stored<void> {
    using type = nothing;
};
template <class R>
using stored_t = typename stored<R>::type;

/// The callable and its arguments until the tasklet has run; its result afterwards, in the same place.
template <class Call, class R>
union body {
    Call call;
    stored_t<R> result;
    body() noexcept {}
    ~body() {}

    static void invoke(task& t, task::op what) {
        auto& self = *static_cast<body*>(t.body_address());
        if (what == task::op::discard) {
            std::destroy_at(&self.call);
            return;
        }
        if (what == task::op::destroy) {
            if constexpr (!std::is_trivially_destructible_v<stored_t<R>>)
                if (t.flags.has_result) std::destroy_at(&self.result);
            if (t.heap_body) release(t);
            return;
        }
        struct destroy_call {                          // also when the call throws; its destructor must not throw
            Call* call;
            ~destroy_call() {
                if (call) std::destroy_at(call);
            }
        } guard{&self.call};
        if constexpr (std::is_void_v<R>) {
            self.call();
        } else if constexpr (std::is_lvalue_reference_v<R>) {
            auto* result = std::addressof(self.call());
            guard.~destroy_call();
            guard.call = nullptr;
            std::construct_at(&self.result, result);
        } else {
            stored_t<R> result = self.call();
            guard.~destroy_call();
            guard.call = nullptr;
            std::construct_at(&self.result, std::move(result));
        }
        t.flags.has_result = !std::is_trivially_destructible_v<stored_t<R>>;
    }
    static void release(task& t) noexcept {
        ::operator delete(t.heap_body, std::align_val_t{alignof(body)});
        t.heap_body = nullptr;
    }
};

/// f(args...) as one callable that owns copies of them all, as std::thread does.
template <class F, class... Args>
struct bound_call {
    F f;
    std::tuple<Args...> args;
    decltype(auto) operator()() {
        return std::apply([this](Args&... a) -> decltype(auto) { return std::invoke(std::move(f), std::move(a)...); },
                          args);
    }
};
template <class F>
struct bound_call<F> {
    F f;
    decltype(auto) operator()() { return std::invoke(std::move(f)); }
};

template <class F, class... Args>
using result_of_call = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;

template <class F, class... Args>
concept callable = std::invocable<std::decay_t<F>, std::decay_t<Args>...>;

/// Takes a descriptor from `home` (nullptr: the runtime of the calling tasklet). Throws usage_error outside any
/// runtime, out_of_memory.
[[nodiscard]] task& allocate_task(scheduler* home, std::source_location where);
void abandon_task(task& t) noexcept;               ///< gives a descriptor back whose body could not be made
void submit_task(task& t, scheduler* home) noexcept;
void name_task(task& t, std::string_view name, std::size_t stack_bytes);

template <class F, class... Args>
task& make_task(scheduler* home, std::source_location where, F&& f, Args&&... args) {
    using call = bound_call<std::decay_t<F>, std::decay_t<Args>...>;
    using contents = body<call, result_of_call<F, Args...>>;
    task& t = allocate_task(home, where);
    constexpr bool fits = sizeof(contents) <= task::inline_bytes && alignof(contents) <= 16;
    constexpr bool safe = fits && std::is_nothrow_constructible_v<std::decay_t<F>, F&&> &&
                          (std::is_nothrow_constructible_v<std::decay_t<Args>, Args&&> && ...);
    auto construct = [&] {
        if constexpr (!fits) {
            t.heap_body = ::operator new(sizeof(contents), std::align_val_t{alignof(contents)});
        }
        auto* c = ::new (t.body_address()) contents;
        if constexpr (sizeof...(Args) == 0)
            ::new (static_cast<void*>(std::addressof(c->call))) call{std::forward<F>(f)};
        else
            ::new (static_cast<void*>(std::addressof(c->call)))
                call{std::forward<F>(f), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
    };
    if constexpr (safe) {
        construct();
    } else {
        try {
            construct();
        } catch (...) {
            if (t.heap_body) contents::release(t);
            abandon_task(t);
            throw;
        }
    }
    t.invoke = &contents::invoke;
    t.flags.keep = !std::is_void_v<result_of_call<F, Args...>>;
    return t;
}

/// A handle without its type: which tasklet, and that it is still ours to join.
struct task_ref {
    task* t = nullptr;
    std::uint64_t id = 0;
};

enum class join_result : std::uint8_t { finished_and_gone, finished, timed_out };

[[nodiscard]] join_result join_task(task_ref r, lowlevel::time_point until);   ///< throws stopped, usage_error
[[nodiscard]] bool task_done(task_ref r) noexcept;
void stop_task(task_ref r) noexcept;
void detach_task(task_ref r) noexcept;
void release_task(task& t) noexcept;               ///< after join_result::finished: destroys the body, frees
[[noreturn]] void rethrow_and_release(task& t);

template <class R>
R take_result(task& t) {
    struct releaser {
        task& t;
        ~releaser() { release_task(t); }
    } guard{t};
    if constexpr (std::is_lvalue_reference_v<R>)
        return static_cast<R>(**static_cast<stored_t<R>*>(t.body_address()));
    else
        return std::move(*static_cast<stored_t<R>*>(t.body_address()));
}

}  // namespace rondo::detail
