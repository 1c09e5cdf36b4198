// Something that must be done once, by whoever comes first.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <utility>

#include <rondo/detail/time_limit.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo {

/// The first caller runs its function, which may suspend; the others wait until it has ended. If it throws, it does not
/// count: the caller gets the exception, and whoever has waited longest tries its own. Safe from any tasklet and any
/// thread; may be destroyed as soon as no call is under way.
class once {
public:
    constexpr once() noexcept = default;
    ~once();
    once(const once&) = delete;
    once& operator=(const once&) = delete;

    /// Returns when some caller's function has run to its end.
    ///
    /// Suspends: while another caller's function runs; may resume on another worker. On a plain thread: blocks it.
    /// Stop:     throws `stopped`; the function has not been called, unless it is what threw.
    /// Throws:   what f throws; usage_error when called from inside f.
    /// Cost:     one load once it is done; else O(1), no allocation; for the one that has run it O(waiters).
    template <class F, class... Args>
        requires std::invocable<F, Args...>
    void call(F&& f, Args&&... args) {
        call_by(lowlevel::no_deadline, std::forward<F>(f), std::forward<Args>(args)...);
    }
    /// As call(), but false if another caller's function is running. (Waits only as f does.)
    template <class F, class... Args>
        requires std::invocable<F, Args...>
    [[nodiscard]] bool try_call(F&& f, Args&&... args) {
        return call_by(detail::at_once, std::forward<F>(f), std::forward<Args>(args)...);
    }
    /// As call(), but stops waiting for another caller's function after a while: false. One's own is not interrupted.
    template <class Rep, class Period, class F, class... Args>
        requires std::invocable<F, Args...>
    [[nodiscard]] bool call_for(std::chrono::duration<Rep, Period> d, F&& f, Args&&... args) {
        return call_by(detail::limit_after(d), std::forward<F>(f), std::forward<Args>(args)...);
    }
    template <class Clock, class Duration, class F, class... Args>
        requires std::invocable<F, Args...>
    [[nodiscard]] bool call_until(std::chrono::time_point<Clock, Duration> tp, F&& f, Args&&... args) {
        return call_by(detail::limit_at(tp), std::forward<F>(f), std::forward<Args>(args)...);
    }
    /// Has it been done? Suspends: never. What the function did is then seen.
    [[nodiscard]] bool done() const noexcept { return state_.load(detail::acquire) == state::done; }  // end()

private:
    friend class detail::lock_holders;
    friend class lowlevel::clause_on<once>;
    enum class state : std::uint8_t { idle, running, done };
    enum class turn : std::uint8_t { run, done, timed_out };

    turn begin(lowlevel::time_point until);             // run: the caller must run its function, and then call end()
    void end(bool is_done) noexcept;
    turn begin_and_unlock(lowlevel::waiter& me);
    bool done_or_enlist(lowlevel::waiter& me, lowlevel::wait_node* node);     // true, but not done(): it is our turn
    void withdraw(lowlevel::wait_node& node) noexcept { lowlevel::unlink(lock_, waiters_, node); }

    template <class F, class... Args>
    void run(F&& f, Args&&... args) {                   // it is the caller's turn
        struct ending {                                 // also when f throws
            once& of;
            bool is_done = false;
            ~ending() { of.end(is_done); }
        } at_end{*this};
        std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
        at_end.is_done = true;
    }

    template <class F, class... Args>
    bool call_by(lowlevel::time_point until, F&& f, Args&&... args) {
        const turn what = begin(until);
        if (what != turn::run) return what == turn::done;
        run(std::forward<F>(f), std::forward<Args>(args)...);
        return true;
    }

    detail::atomic<state> state_{state::idle};          // changed under lock_ only
    lowlevel::spin_lock lock_;
    const lowlevel::waiter* runner_ = nullptr;
    lowlevel::wait_list waiters_;
};

}  // namespace rondo
