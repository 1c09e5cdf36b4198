// For tests of programs that use Rondo: a world that comes to a standstill and whose clock only moves when told to, and
// the exploration of schedules. How to use them: tests/README.md.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iosfwd>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
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
/// The end: tasklets that are left then are a leak, handlers of actors that wait among them; actors that are idle end with
/// the world. finish() says so with an exception; without it the destructor prints the report and throws `leaked` itself,
/// unless the test is failing already (it runs because of another exception).
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
    template <class F, class A, class B>
        requires detail::callable<F, A, B>
    auto spawn(F&& f, A&& a, B&& b, call_site where = call_site::current()) {
        return detail::spawn_plain(&runtime_.impl(), where, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
    }
    template <class F, class A, class B, class C>
        requires detail::callable<F, A, B, C>
    auto spawn(F&& f, A&& a, B&& b, C&& c, call_site where = call_site::current()) {
        return detail::spawn_plain(&runtime_.impl(), where, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                                   std::forward<C>(c));
    }
    template <class F, class A, class B, class C, class D, class... More>
        requires detail::callable<F, A, B, C, D, More...>
    auto spawn(F&& f, A&& a, B&& b, C&& c, D&& d, More&&... more) {
        return runtime_.spawn(std::forward<F>(f), std::forward<A>(a), std::forward<B>(b), std::forward<C>(c),
                              std::forward<D>(d), std::forward<More>(more)...);
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
    void advance(detail::time_span d);
    /// The time in this world. It begins with the time of the steady clock when the world was made.
    [[nodiscard]] lowlevel::time_point now() const noexcept;

    /// Tasklets may be left at the end: they are stopped then, without a word.
    void expect_leftovers() noexcept { leftovers_expected_ = true; }
    /// The last call: settle(), and throws `leaked` if tasklets are left.
    void finish();

    /// For calls that name a runtime: rondo::start_on<A>(w.in(), ...), rondo::registry(w.in()), rondo::dead_letters(w.in()).
    /// Not for run() and its like, which wait for real time.
    [[nodiscard]] rondo::runtime& in() noexcept { return runtime_; }
    [[nodiscard]] std::vector<tasklet_info> tasklets() const { return runtime_.tasklets(); }
    [[nodiscard]] runtime_stats stats() const { return runtime_.stats(); }
    void dump(std::ostream& to, dump_format how = dump_format::text) const { runtime_.dump(to, how); }

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

// ------------------------------------------------------------------------------------------------------------- explore

/// How explore() makes its schedules. The first one is always that of a plain run queue, first in, first out.
enum class schedules : std::uint8_t {
    mixed,          ///< seeds take turns: random, and priorities of depth 1, 2, ... up to `depth`
    random,         ///< at each step any of those that are ready, all alike
    priorities,     ///< PCT: strict random priorities, lowered at depth - 1 random steps. Finds a bug that needs d steps in
                    ///< a certain order, among n tasklets and k steps, with a chance of at least 1 / (n k^(d-1)) a seed
    exhaustive,     ///< depth first, every schedule with at most `preemptions`; seeds do not matter
};

struct explore_options {
    /// How many; 0: 1000, or just the one if `seed` is set. Before them the schedule first in, first out is run, too; if it never
    /// had a choice there are no others. Not of `exhaustive` and `replay`.
    std::uint64_t seeds = 0;
    std::optional<std::uint64_t> seed = {};       ///< the first one (1 if not set)
    schedules strategy = schedules::mixed;
    unsigned depth = 3;                           ///< of priorities
    unsigned preemptions = 2;                     ///< exhaustive: so often a tasklet that could go on, or is next, has to wait
    std::uint64_t schedules_max = 1'000'000;      ///< exhaustive: give up after so many (then it is not complete)
    std::uint64_t steps_max = 100'000;            ///< of one schedule; one that is longer has failed
    std::string replay = {};                      ///< this schedule alone: `replay` of an earlier failure
    bool throws = true;                           ///< a failure is printed and thrown; false: only the report tells of it
    bool twice = false;                           ///< run each schedule twice: do both go the same way?
    std::size_t stack_bytes = 0;                  ///< of a tasklet, as in runtime_options
};

enum class failure : std::uint8_t {
    none,
    threw,               ///< an exception came out of f, or out of a tasklet that nobody joined
    said_no,             ///< f returned false
    deadlock,            ///< f can never end: tasklets wait, and nobody is left to wake them
    leak,                ///< f has ended, and tasklets are left that can never go on
    too_long,            ///< more than steps_max steps: a livelock, perhaps
    not_deterministic,   ///< the same schedule went another way: something outside has a say (real time, addresses, threads)
};
[[nodiscard]] const char* to_string(failure what) noexcept;

/// What explore() has found.
struct explore_report {
    std::uint64_t schedules = 0;                  ///< run
    std::uint64_t steps = 0;                      ///< in all of them
    bool complete = false;                        ///< exhaustive: there are no others with so few preemptions
    bool bounded = false;                         ///< exhaustive: there are others with more preemptions
    std::uint64_t hash = 0;                       ///< of every step of every schedule: the same program, the same hash
    failure what = failure::none;
    std::uint64_t seed = 0;                       ///< the one that failed; explore({.seed = ..., .strategy = ...}, f) repeats it
    std::string replay;                           ///< and so does explore({.replay = ...}, f); as short as it could be made
    std::exception_ptr error;                     ///< failure::threw: what
    std::vector<tasklet_info> stuck;              ///< failure::deadlock, leak
    std::string text;                             ///< all of this for people, with the trace of switches

    [[nodiscard]] bool ok() const noexcept { return what == failure::none; }
};

/// A schedule has failed. what() says how, which seed or replay string repeats it, and who ran when.
class exploration_failed : public error {
public:
    explicit exploration_failed(explore_report report) : error(report.text), report_(std::move(report)) {}
    [[nodiscard]] const explore_report& report() const noexcept { return report_; }

private:
    explore_report report_;
};

/// To be called in a program that is explored: throws an error with this message when `condition` is false.
void check(bool condition, const char* what = "a condition that the test demands",
           std::source_location where = std::source_location::current());

/// A random number for the program: from the seed of the schedule, or of the world; elsewhere from a generator of its own.
[[nodiscard]] std::uint64_t random() noexcept;

/// For the template below.
explore_report explore_program(const explore_options& options, bool (*program)(void*), void* data,
                               std::source_location where);

/// Runs f again and again, each time from scratch and under another schedule, until one fails: f, or a tasklet that nobody
/// joined, throws; f returns false; tasklets are left that can never go on. So f makes all it needs itself, and leaves
/// nothing behind: no statics, no objects of the test that it changes (but to count).
///
/// Everything runs on one thread: between two steps nobody else runs. A tasklet can be interrupted in every call that may
/// suspend (before it takes effect), after spawn and after unlock; by yield() and checkpoint() it can be told to be
/// interruptible elsewhere, between the read and the write of a lost update, say. Time is virtual: it stands still while
/// anybody is ready and then goes on to the next timer. The program must be deterministic: time from rondo::now(), no
/// threads of its own. rondo::blocking() runs its function right there. Actors that are left when all tasklets have ended
/// end then, as they do with rondo::run; what their ends cause belongs to the schedule.
///
/// Blocks the calling thread; not from a tasklet (usage_error). Assertions of a test framework belong outside, on the
/// report or on what f returns; inside use testing::check, or whatever throws. A rondo::expect that fails ends the process,
/// as always, and prints the replay string first.
/// After a failure those that are left are stopped. One that waits in a destructor then, for ever, cannot be: the report
/// names it, and its frames, with the thread of the exploration, stay until the process ends.
/// Throws: exploration_failed (unless options.throws is false; printed, too), usage_error (options that make no sense; a replay
/// string that is none, or that does not fit the program).
/// Cost:   see tests/README.md; some microseconds for a small program.
/// Example: tests/runtime/explore_test.cpp. Strategies: S. Burckhardt, P. Kothari, M. Musuvathi and S. Nagarakatte, "A
/// randomized scheduler with probabilistic guarantees of finding bugs", 2010 (PCT); M. Musuvathi and S. Qadeer, "Iterative
/// context bounding for systematic testing of multithreaded programs", 2007 (exhaustive).
template <class F>
    requires std::invocable<F&>
explore_report explore(const explore_options& options, F&& f, call_site where = call_site::current()) {
    auto* program_at = std::addressof(f);         // f may be a plain function: no void* points to one
    return testing::explore_program(
        options,
        [](void* data) -> bool {
            auto& program = **static_cast<std::remove_reference_t<F>**>(data);
            if constexpr (std::is_same_v<std::invoke_result_t<F&>, bool>) {
                return program();
            } else {
                program();
                return true;
            }
        },
        &program_at, where);
}
template <class F>
    requires std::invocable<F&>
explore_report explore(F&& f, call_site where = call_site::current()) {
    return testing::explore(explore_options{}, std::forward<F>(f), where);
}

}  // namespace rondo::testing
