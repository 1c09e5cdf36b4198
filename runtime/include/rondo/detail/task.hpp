// The descriptor of a tasklet, and the typed shell around what it runs. A tasklet is this, 256 bytes, and nothing
// else until it suspends for the first time: it has no stack of its own before (runtime/README.md, "stacks on demand").
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/lowlevel/wait.hpp>

#ifdef RONDO_TSAN_PRECISE
#include <sanitizer/tsan_interface.h>
#endif

namespace rondo {
class group;
}
namespace rondo::detail {

class scheduler;
class worker;
struct stack;

/// What only some tasklets have; made on demand.
struct task_extra {
    std::string name;
    std::size_t stack_bytes = 0;
    std::stop_source stop_source{std::nostopstate};
};

/// The descriptor. Lives in type-stable memory (task_pool): a stale pointer may be read, and `id` tells whether the
/// tasklet that it meant is still there. `guard` protects id, state, joiner and detached against each other.
///
/// Orders, where an operation does not say otherwise: id and state are stored by release, when a tasklet begins and when it ends,
/// and extra when it is made. Each acquire pairs with that: who finds the id that he means, or the end, sees what was written before.
struct alignas(64) task : lowlevel::waiter {
    /// What can be done with the body, whose type only these functions know.
    struct operations {
        void (*run)(task&);                       // leaves the result in the body
        void (*run_into)(task&, void* into);      // leaves it there; the body is done with
        void (*discard)(task&);                   // destroys the callable, which will not run, and frees the body
        void (*take)(task&, void* into);          // moves the result there
        void (*destroy)(task&) noexcept;          // destroys the result, if there is one, and frees the body
        bool keeps;                               // there is a result: the descriptor stays until the handle lets go
        bool needs_destroy;                       // destroy() has something to do
    };
    // failing: its scope is about to hear of its error, and may be stopped by that; whoever joins it waits for the error.
    enum class phase : std::uint8_t { free, fresh, started, failing, finished };
    static constexpr std::size_t inline_bytes = 64;

    // With the waiter above, one cache line: all that a wait, and who ends it, needs of what may be cold.
    atomic<std::uint32_t> order{0};               // how many fresh ones this worker had had when it became ready; while
                                                  // suspended under force_migration: the worker it was on; on the only
                                                  // worker: how often that had switched
    scheduler* home = nullptr;                    // whose descriptor this is; set once per runtime
    atomic<void*> context{nullptr};               // where it goes on; null: it has not started. Atomic for fetch_ahead()
    atomic<stack*> on{nullptr};                   // a fresh one has it if it wants a larger stack

    // Written by spawn.
    task* next = nullptr;                         // free list, injection queue
    const operations* ops = nullptr;
    atomic<std::uint64_t> id{0};                  // unique in the process; 0: no tasklet here
    std::uint64_t parent = 0;
    std::source_location where;
    atomic<phase> state{phase::free};
    lowlevel::spin_lock guard;
    atomic<bool> detached{false};                 // nobody has a handle any more
    struct alignas(4) marks {                     // cleared by one store
        bool has_result = false;                  // the body holds a result
        bool was_stopped = false;                 // ended by `stopped`
        bool joined_error = false;                // the error has been reported to somebody
    } flags;
    lowlevel::wait_node* joiner = nullptr;
    atomic<task*> below{nullptr};                 // see joiner_below()

    // Null unless used: whoever sets one clears it before the descriptor is free again.
    atomic<task*> above{nullptr};                 // the child that this one runs on its own stack (inline join)
    void* heap_body = nullptr;                    // where the body lives if it does not fit inline (body_of knows)
    atomic<task_extra*> extra{nullptr};
    std::exception_ptr error;
    atomic<group*> in_group{nullptr};             // the scope that waits for this one

    /// The joiner on whose stack this one runs (inline join); null: it runs on none. Who waits finds that out
    /// without a look at the line that `below` is in.
    [[nodiscard]] task* joiner_below() const noexcept {
        return special.load(relaxed) & waiter::on_joiner ? below.load(relaxed) : nullptr;
    }

    alignas(64) std::byte body[inline_bytes];     // the last line: what the tasklet's own code goes to again and again
};
static_assert(sizeof(void*) != 8 || sizeof(task) == 256);

/// For the sanitizer: a result goes to the frame of who joins, and he has joined by now (runtime/src/precise.hpp).
inline void note_joined([[maybe_unused]] void* frame) noexcept {
#ifdef RONDO_TSAN_PRECISE
    __tsan_acquire(frame);
#endif
}

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
template <>
struct stored<void> {
    using type = nothing;
};
template <class R>
using stored_t = typename stored<R>::type;

/// The callable and its arguments until the tasklet has run; its result afterwards, in the same place: in the descriptor
/// if it fits.
template <class Call, class R>
union body_of {
    static_assert(std::is_void_v<R> || std::is_reference_v<R> || std::is_move_constructible_v<R>,
                  "what a tasklet returns is moved to whoever joins it: return something that can be moved, or a "
                  "std::unique_ptr to it");
    Call call;
    stored_t<R> result;
    body_of() noexcept {}
    ~body_of() {}

    static constexpr bool fits() noexcept { return sizeof(body_of) <= task::inline_bytes && alignof(body_of) <= 16; }
    static body_of& in(task& t) noexcept {
        if constexpr (fits()) return *std::launder(reinterpret_cast<body_of*>(t.body));
        else return *static_cast<body_of*>(t.heap_body);
    }
    static body_of& make(task& t) {
        if constexpr (fits()) return *::new (static_cast<void*>(t.body)) body_of;
        else return *::new (t.heap_body = ::operator new(sizeof(body_of), std::align_val_t{alignof(body_of)})) body_of;
    }
    static void give_memory_back(task& t) noexcept {
        if constexpr (!fits()) ::operator delete(std::exchange(t.heap_body, nullptr), std::align_val_t{alignof(body_of)});
    }

    void run(void* into) {
        struct destroy_call {                          // also when the call throws; its destructor must not throw
            Call* call;
            ~destroy_call() {
                if (call) std::destroy_at(call);
            }
        } guard{&call};
        if constexpr (std::is_void_v<R>) {
            call();
        } else if constexpr (std::is_lvalue_reference_v<R>) {
            auto* value = std::addressof(call());
            std::destroy_at(std::exchange(guard.call, nullptr));
            note_joined(into);
            ::new (into) stored_t<R>(value);
        } else {
            stored_t<R> value = call();
            std::destroy_at(std::exchange(guard.call, nullptr));     // it may live where the result goes
            note_joined(into);
            ::new (into) stored_t<R>(std::move(value));
        }
    }

    static void run_here(task& t) {
        body_of& self = in(t);
        self.run(std::addressof(self.result));
        t.flags.has_result = true;
    }
    static void run_into(task& t, void* into) {
        struct freeing {
            task& t;
            ~freeing() { give_memory_back(t); }
        } guard{t};
        in(t).run(into);
    }
    static void discard(task& t) noexcept {
        std::destroy_at(&in(t).call);
        give_memory_back(t);
    }
    static void take(task& t, void* into) { ::new (into) stored_t<R>(std::move(in(t).result)); }
    static void destroy(task& t) noexcept {
        if (t.flags.has_result) std::destroy_at(std::addressof(in(t).result));
        give_memory_back(t);
    }
    static constexpr task::operations operations{&run_here, &run_into, &discard, &take, &destroy,
                                                 /*keeps:*/ !std::is_void_v<R>,
                                                 /*needs_destroy:*/ !fits() ||
                                                     !std::is_trivially_destructible_v<stored_t<R>>};
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

/// What is handed on of a call that gives R: an rvalue reference would refer to what is gone by then, so it is a value.
template <class R>
using handed_on = std::conditional_t<std::is_rvalue_reference_v<R>, std::remove_cvref_t<R>, R>;
template <class F, class... Args>
using result_of_call = handed_on<std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>>;
/// The same, or that there is none: void says so by a bool, and an optional holds no references.
template <class R>
struct result_or_none {
    using type = std::optional<std::remove_cv_t<R>>;
};
template <>
struct result_or_none<void> {
    using type = bool;
};
template <class R>
struct result_or_none<R&> {
    using type = std::optional<std::reference_wrapper<R>>;
};
template <class R>
using result_or_none_t = typename result_or_none<R>::type;

template <class F, class... Args>
concept callable = std::invocable<std::decay_t<F>, std::decay_t<Args>...>;

/// A descriptor, and the worker that it is from, if the caller is still there; nullptr: that has to be looked up.
struct new_task {
    task* t;
    worker* by;
};
/// Takes a descriptor from `home` (nullptr: the runtime of the calling tasklet). Throws usage_error outside any
/// runtime, out_of_memory.
[[nodiscard]] new_task allocate_task(scheduler* home, std::source_location where);
void abandon_task(task& t) noexcept;               ///< gives a descriptor back whose body could not be made
void submit_task(new_task made, scheduler* home) noexcept;   ///< shows it to the workers; may yield (spawn_backlog)
void name_task(task& t, std::string_view name, std::size_t stack_bytes);

template <class F, class... Args>
new_task make_task(scheduler* home, std::source_location where, F&& f, Args&&... args) {
    using call = bound_call<std::decay_t<F>, std::decay_t<Args>...>;
    using body = body_of<call, result_of_call<F, Args...>>;
    const new_task made = allocate_task(home, where);
    task& t = *made.t;
    constexpr bool safe = body::fits() && std::is_nothrow_constructible_v<std::decay_t<F>, F&&> &&
                          (std::is_nothrow_constructible_v<std::decay_t<Args>, Args&&> && ...);
    auto construct = [&] {
        auto* at = static_cast<void*>(std::addressof(body::make(t).call));
        if constexpr (sizeof...(Args) == 0)
            ::new (at) call{std::forward<F>(f)};
        else
            ::new (at) call{std::forward<F>(f), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
    };
    if constexpr (safe) {
        construct();
    } else {
        try {
            construct();
        } catch (...) {
            if (t.heap_body) body::give_memory_back(t);
            abandon_task(t);
            throw;
        }
    }
    t.ops = &body::operations;
    // A constructor of the user's may have suspended.
    constexpr bool stays = safe && sizeof...(Args) == 0 && std::is_trivially_constructible_v<std::decay_t<F>, F&&>;
    return {&t, stays ? made.by : nullptr};
}

/// A handle without its type: which tasklet, and that it is still ours to join.
struct task_ref {
    task* t = nullptr;
    std::uint64_t id = 0;
};

/// What a handle holds. One may join, which empties it in the end, while others look at it or ask the tasklet to stop: so what
/// they find is the whole reference or none.
class held_task {
public:
    held_task() noexcept = default;
    explicit held_task(task_ref r) noexcept : t_(r.t), id_(r.id) {}
    held_task& operator=(task_ref r) noexcept {        // as the move of a handle: not while others look
        id_ = r.id;
        t_.store(r.t, relaxed);
        return *this;
    }
    [[nodiscard]] task_ref get() const noexcept { return {t_.load(relaxed), id_}; }
    void let_go() noexcept { t_.store(nullptr, relaxed); }
    [[nodiscard]] task_ref take() noexcept {           // the same
        const task_ref r = get();
        let_go();
        return r;
    }
    /// Of several who try only one gets it.
    [[nodiscard]] task* claim() noexcept { return t_.exchange(nullptr, relaxed); }

private:
    atomic<task*> t_{nullptr};
    std::uint64_t id_ = 0;                             // stays: a stale reference is known by it
};

/// Waits for the end, moves the result (unless void) to `into`, gives the descriptor back and empties `held`; or rethrows
/// what the tasklet ended with. False: `until` has passed. Throws stopped (`held` is kept), usage_error.
[[nodiscard]] bool join_task(held_task& held, lowlevel::time_point until, void* into);
[[nodiscard]] bool task_done(task_ref r) noexcept;
/// For select. True: it has ended, join_task() will not wait. False: it will claim `node` at its end. Throws usage_error.
[[nodiscard]] bool ended_or_enlist(task_ref r, lowlevel::wait_node& node);
void withdraw_from(task_ref r, lowlevel::wait_node& node) noexcept;
/// Has it ended, or failed in a scope, so that whoever is stopped by that gets its error all the same? join_task() sees to it.
[[nodiscard]] bool has_failed(task_ref r) noexcept;
void stop_task(task_ref r) noexcept;
/// Is it the running tasklet's own, this_tasklet::stop_token()?
[[nodiscard]] bool is_own_token(const std::stop_token& token) noexcept;
void detach_task(task_ref r) noexcept;

/// Room for what join_task() brings.
template <class R>
class joined_result {
public:
    joined_result() noexcept {}
    ~joined_result() {}
    joined_result(const joined_result&) = delete;
    joined_result& operator=(const joined_result&) = delete;
    void* address() noexcept { return std::addressof(value_); }
    /// Once, after join_task() has returned true.
    R take() {
        if constexpr (std::is_lvalue_reference_v<R>) {
            return static_cast<R>(*value_);
        } else {
            struct destroyer {
                stored_t<R>& v;
                ~destroyer() { std::destroy_at(std::addressof(v)); }
            } guard{value_};
            return std::move(value_);
        }
    }

private:
    union {
        stored_t<R> value_;
    };
};

}  // namespace rondo::detail
