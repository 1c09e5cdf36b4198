// For tests of programs that use Rondo: a world that comes to a standstill and whose clock only moves when told to.
// How to use it: tests/README.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include <rondo/error.hpp>
#include <rondo/run.hpp>
#include <rondo/tasklet.hpp>

namespace rondo::testing {

/// Tasklets were left at the end of a world. what() is the whole report.
class leaked : public error {
public:
    leaked(const std::string& report, std::vector<tasklet_info> left) : error(report), left_(std::move(left)) {}
    /// Who was left: its name, spawn site, and what it waits for.
    [[nodiscard]] const std::vector<tasklet_info>& tasklets() const noexcept { return left_; }

private:
    std::vector<tasklet_info> left_;
};

/// A runtime for a test: real workers, virtual time. Nothing in it happens by itself once settle() has returned: sleeps,
/// timeouts, deadlines and `after` of its tasklets follow a clock that stands still until advance() moves it (rondo::now()
/// tells its time). So a test never sleeps to "give it time", and a program that waits for hours takes milliseconds.
///
/// The test's own thread is not part of the world: what it waits for itself (t.join_for(1s)) is measured in real time.
/// All calls block that thread; none may be made inside a tasklet (usage_error). An exception of a tasklet that nobody
/// can join any more comes out of the next settle(), advance(), run() or finish().
///
/// The end: tasklets that are left then are a leak. finish() says so with an exception; without it the destructor prints
/// the report and throws `leaked` itself, unless the test is failing already (it runs because of another exception).
/// Example: tests/runtime/world_test.cpp.
class world {
public:
    /// Throws: as runtime's; usage_error if options.world is set.
    explicit world(runtime_options options = {});
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    /// Throws `leaked` if tasklets are left, or the exception that nobody joined; see above.
    ~world() noexcept(false);

    /// As rondo::spawn, from the test's thread.
    template <class F>
        requires detail::callable<F>
    auto spawn(F&& f, call_site where = call_site::current()) {
        return detail::spawn_plain(&runtime_.impl(), where, std::forward<F>(f));
    }
    template <class F, class A>
        requires detail::callable<F, A>
    auto spawn(F&& f, A&& a, call_site where = call_site::current()) {
        return detail::spawn_plain(&runtime_.impl(), where, std::forward<F>(f), std::forward<A>(a));
    }
    template <class F, class A, class B, class... More>
        requires detail::callable<F, A, B, More...>
    auto spawn(F&& f, A&& a, B&& b, More&&... more) {
        return runtime_.spawn(std::forward<F>(f), std::forward<A>(a), std::forward<B>(b), std::forward<More>(more)...);
    }
    template <class F, class... Args>
        requires detail::callable<F, Args...>
    auto spawn(const spawn_options& options, F&& f, Args&&... args) {
        return runtime_.spawn(options, std::forward<F>(f), std::forward<Args>(args)...);
    }

    /// Runs f as a tasklet and returns its result (or throws what it threw) once it has ended and everything stands
    /// still. Others may be left. While f cannot go on the clock moves on by itself, from timer to timer. Throws
    /// `deadlock` if f can never end: nothing goes on, no timer is armed, and no thread outside could wake anybody.
    template <class F>
        requires detail::callable<F>
    auto run(F&& f, call_site where = call_site::current()) -> detail::result_of_call<F> {
        check_outside("testing::world::run");
        auto main = spawn(spawn_options{.name = "main", .where = where}, std::forward<F>(f));
        run_until_done(main.ref());
        return main.join();
    }

    /// Returns once every tasklet has ended or is suspended. The clock stands still.
    void settle();
    /// settle(), then lets so much time pass: the timers fire one after the other, each when the clock shows its
    /// deadline, and everything settles in between. Throws usage_error if d is negative.
    void advance(std::chrono::steady_clock::duration d);
    /// The time in this world. It begins with the time of the steady clock when the world was made.
    [[nodiscard]] lowlevel::time_point now() const noexcept;

    /// Tasklets may be left at the end: they are stopped then, without a word.
    void expect_leftovers() noexcept { leftovers_expected_ = true; }
    /// The last call: settle(), and throws `leaked` if tasklets are left.
    void finish();

    [[nodiscard]] std::vector<tasklet_info> tasklets() const { return runtime_.tasklets(); }
    [[nodiscard]] runtime_stats stats() const { return runtime_.stats(); }
    void dump(std::ostream& to) const { runtime_.dump(to); }

private:
    class virtual_clock;
    void check_outside(const char* call) const;
    void run_until_done(detail::task_ref main);
    bool fire_next(lowlevel::time_point until);
    void stand_still();
    void throw_errors();

    std::unique_ptr<virtual_clock> clock_;
    rondo::runtime runtime_;
    const int exceptions_before_;
    bool leftovers_expected_ = false, finished_ = false;
};

}  // namespace rondo::testing
