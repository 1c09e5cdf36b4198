// Scopes: children end before the scope does; the first failure stops the rest and comes out of the scope.
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include <rondo/detail/child_count.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/time.hpp>

namespace rondo {

/// A scope's deadline passed before its children had ended; they were stopped.
class deadline_exceeded : public error {
public:
    deadline_exceeded() : error("the scope's deadline passed before all its tasklets had ended; they were stopped") {}
};

struct scope_options {
    std::optional<detail::time_span> deadline = {};   ///< any duration: for the scope and all its children
};

/// The children of a scope. Made by rondo::scope; safe from any tasklet and thread while the scope lasts.
class group {
public:
    group() noexcept;
    group(const group&) = delete;
    group& operator=(const group&) = delete;
    ~group() = default;

    /// As rondo::spawn, in the scope's runtime; the scope does not end before the child has. The handle may be joined, or
    /// dropped. After stop() the child ends before it begins.
    template <class F, class... Args>
        requires detail::callable<F, Args...>
    auto spawn(const spawn_options& options, F&& f, Args&&... args) {
        const auto made = detail::make_task(home(), options.where, std::forward<F>(f), std::forward<Args>(args)...);
        if (!options.name.empty() || options.stack_bytes) detail::name_task(*made.t, options.name, options.stack_bytes);
        tasklet<detail::result_of_call<F, Args...>> handle(detail::task_ref{made.t, made.t->id.load(detail::relaxed)});
        submit(made);
        return handle;
    }
    template <class F>
        requires detail::callable<F>
    auto spawn(F&& f, call_site where = call_site::current()) {
        return spawn(spawn_options{.where = where}, std::forward<F>(f));
    }
    template <class F, class A>
        requires detail::callable<F, A>
    auto spawn(F&& f, A&& a, call_site where = call_site::current()) {
        return spawn(spawn_options{.where = where}, std::forward<F>(f), std::forward<A>(a));
    }
    template <class F, class A, class B>
        requires detail::callable<F, A, B>
    auto spawn(F&& f, A&& a, B&& b, call_site where = call_site::current()) {
        return spawn(spawn_options{.where = where}, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
    }
    template <class F, class A, class B, class C>
        requires detail::callable<F, A, B, C>
    auto spawn(F&& f, A&& a, B&& b, C&& c, call_site where = call_site::current()) {
        return spawn(spawn_options{.where = where}, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                     std::forward<C>(c));
    }
    template <class F, class A, class B, class C, class D, class... More>
        requires detail::callable<F, A, B, C, D, More...>
    auto spawn(F&& f, A&& a, B&& b, C&& c, D&& d, More&&... more) {        // the place of the call cannot be told
        return spawn(spawn_options{.where = detail::somewhere}, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                     std::forward<C>(c), std::forward<D>(d), std::forward<More>(more)...);
    }

    /// Asks all children, present and future, to stop. Suspends: never. Cost: O(children) for the first eight that the scope's own
    /// tasklet spawns. If there are more, or others spawn, too: O(descriptors of the runtime), for it goes through them all.
    void stop();
    [[nodiscard]] bool stop_requested() const noexcept;
    /// Children that have not ended; a snapshot.
    [[nodiscard]] std::size_t size() const noexcept;

    /// For the library: records a failure and stops the children. True: it is the first, which counts.
    bool fail(std::exception_ptr error);
    /// For the library: waits for all children, then throws the first failure, or the stop or deadline that came.
    void finish(bool own_deadline_passed, const detail::deadline_scope* own_deadline);
    /// For the library: a child has ended, in whatever way. It is still counted, and found by a stop: in_group must be reset, and
    /// count_out() must follow. If it has failed, stop callbacks may run, and do anything: afterwards the caller may be on another
    /// worker.
    void note_end(detail::task& t) noexcept;
    /// For the library: so many of those are counted no more. The group may be gone afterwards.
    void count_out(std::uint64_t children) noexcept;

private:
    [[nodiscard]] detail::scheduler* home() const { return home_ ? home_ : throw_no_home(); }
    [[noreturn]] static detail::scheduler* throw_no_home();
    void submit(detail::new_task made) noexcept;  // enters it into the group, and shows it to the workers
    void submit_slowly(detail::new_task made) noexcept;
    void submit_stopped(detail::new_task made) noexcept;
    lowlevel::wake wait_for_children() noexcept;
    void show(detail::task& t) noexcept;          // to those who stop: by the scope's own tasklet
    void show_hidden(detail::task& t) noexcept;   // by somebody else
    static constexpr unsigned most_known = 8;

    // The protocol is in detail/child_count.hpp and scope.cpp.
    detail::child_count live_;
    mutable lowlevel::spin_lock lock_;
    bool last_has_left_ = false;
    lowlevel::wait_list waiting_;
    std::exception_ptr first_;
    detail::scheduler* home_ = nullptr;           // the runtime of the scope's tasklet, and of the children
    lowlevel::waiter* owner_ = nullptr;           // the scope's tasklet
    bool interrupted_ = false;                    // by the child that failed first
    detail::atomic<bool> has_hidden_{false};      // children that are not among those:
    detail::atomic<unsigned> known_{0};           // the first that the owner has spawned; one more than there are: there are others
    struct {
        detail::task* t;
        std::uint64_t id;
    } first_children_[most_known];
};

/// Calls f(group&) and returns what it returns, once every tasklet of the group has ended.
///
/// The first exception, of f or of a child, stops the rest and is rethrown here; later ones are dropped. If a child fails,
/// then f's own waits throw `stopped` until the scope has ended. A stop or a deadline that reaches the calling tasklet stops
/// the children too. So children may refer to the caller's locals.
/// Suspends: until all children have ended. Throws: as said; deadline_exceeded when the scope's own deadline passed.
template <class F>
    requires std::invocable<F&, group&>
auto scope(const scope_options& options, F&& f) -> detail::handed_on<std::invoke_result_t<F&, group&>> {
    using R = detail::handed_on<std::invoke_result_t<F&, group&>>;
    group g;
    std::optional<detail::deadline_scope> deadline;
    if (options.deadline) deadline.emplace(detail::deadline_after(*options.deadline));
    bool passed = false;
    std::optional<detail::stored_t<R>> result;
    try {
        if constexpr (std::is_void_v<R>) f(g);
        else if constexpr (std::is_lvalue_reference_v<R>) result.emplace(std::addressof(f(g)));
        else result.emplace(f(g));
    } catch (const detail::deadline_passed&) {
        passed = true;
        if (!deadline || !deadline->is_mine()) g.fail(std::current_exception());
    } catch (...) {
        g.fail(std::current_exception());
    }
    g.finish(passed, deadline ? &*deadline : nullptr);
    if constexpr (std::is_lvalue_reference_v<R>) return **result;
    else if constexpr (!std::is_void_v<R>) return std::move(*result);
}
template <class F>
    requires std::invocable<F&, group&>
auto scope(F&& f) -> detail::handed_on<std::invoke_result_t<F&, group&>> {
    return rondo::scope(scope_options{}, std::forward<F>(f));
}

/// Runs all of them at once, each as a tasklet of a scope; gives their results as a tuple (of a void one an empty struct,
/// references as such). The first failure stops the rest and is rethrown.
/// Suspends: until all have ended. Stop: stops them, then throws `stopped`. Throws: the first failure; as spawn.
template <class... F>
    requires(detail::callable<F> && ...)
auto all(F&&... f) {
    return rondo::scope([&](group& g) {
        auto handles = std::make_tuple(g.spawn(spawn_options{.where = detail::somewhere}, std::forward<F>(f))...);
        const auto get = [](auto& h) -> decltype(auto) {
            if constexpr (std::is_void_v<typename std::decay_t<decltype(h)>::result_type>) {
                h.join();
                return detail::nothing{};
            } else {
                return h.join();
            }
        };
        return std::apply([&](auto&... h) { return std::tuple<std::remove_const_t<decltype(get(h))>...>{get(h)...}; }, handles);
    });
}

/// Runs all of them at once; gives the result of the first to end, stops the others and waits until they have ended. If the
/// first to end fails, that is rethrown; how the others end makes no difference.
/// Suspends: until all have ended. Stop: stops them, then throws `stopped`, as when all of them have been stopped. Throws: what
/// the first to end has thrown; as spawn.
template <class F, class... More>
    requires(detail::callable<F> && (detail::callable<More> && ...) &&
             (std::same_as<detail::result_of_call<F>, detail::result_of_call<More>> && ...))
auto race(F&& f, More&&... more) -> detail::result_of_call<F> {
    using R = detail::result_of_call<F>;
    std::optional<detail::stored_t<R>> winner;
    lowlevel::spin_lock lock;
    rondo::scope([&](group& g) {
        const auto run = [&](auto&& call) {
            auto child = [&winner, &lock, &g, call = std::forward<decltype(call)>(call)]() mutable {
                const auto is_over = [&] {
                    std::lock_guard hold(lock);
                    return winner.has_value();
                };
                try {
                    if constexpr (std::is_void_v<R>) {
                        call();
                        std::lock_guard hold(lock);
                        if (!winner) winner.emplace();
                    } else if constexpr (std::is_lvalue_reference_v<R>) {
                        auto* const value = std::addressof(call());
                        std::lock_guard hold(lock);
                        if (!winner) winner.emplace(value);
                    } else {
                        R value = call();
                        std::lock_guard hold(lock);
                        if (!winner) winner.emplace(std::move(value));
                    }
                } catch (const stopped&) {
                    throw;
                } catch (...) {
                    if (!is_over()) throw;             // else it has lost anyway
                }
                g.stop();
            };
            g.spawn(spawn_options{.where = detail::somewhere}, std::move(child));
        };
        run(std::forward<F>(f));
        (run(std::forward<More>(more)), ...);
    });
    if (!winner) throw stopped();
    if constexpr (std::is_lvalue_reference_v<R>) return **winner;
    else if constexpr (!std::is_void_v<R>) return std::move(*winner);
}

}  // namespace rondo
