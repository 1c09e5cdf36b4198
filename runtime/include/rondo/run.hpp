// Runtimes: where tasklets run. `run` makes one for a program; `runtime` is for embedding.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include <rondo/tasklet.hpp>
#include <rondo/tasklet_info.hpp>

namespace rondo {
namespace detail {
class simulation;
}

/// Where a runtime takes its time and its chances from. The default is the steady clock and a generator per worker;
/// a testing world puts virtual time and a seed here, and the same program runs in it.
class environment {
public:
    virtual ~environment() = default;
    virtual lowlevel::time_point now() noexcept = 0;
    virtual std::uint64_t random() noexcept = 0;
    /// Who decides, step by step, which tasklet goes on: nobody (the workers' own queues do), or testing::explore's
    /// simulation, on one worker.
    virtual detail::simulation* simulated() noexcept { return nullptr; }
};

/// A tasklet that has kept its worker for long: runtime_options::stall_limit.
struct stall {
    tasklet_info who;                                ///< with the backtrace of where it is; empty: it did not answer
    unsigned worker = 0;
    std::chrono::nanoseconds held{};                 ///< so far, at least
    bool is_relieved = false;                        ///< a spare worker goes on in its place
};
/// As tasklet_info's, how long, and the backtrace, one frame a line.
[[nodiscard]] std::string describe(const stall& s);

struct runtime_options {
    /// 0: $RONDO_WORKERS, else one per usable core (affinity mask and cgroup CPU quotas respected). At most 1024.
    unsigned workers = 0;
    bool pin = false;                                ///< bind each worker to a core
    /// Default stack of a tasklet; 0: 64 KiB (256 KiB under sanitizers). At least 16 KiB; rounded up to a power of two; at
    /// most 1 GiB.
    std::size_t stack_bytes = 0;
    std::size_t stack_memory_bytes = 0;              ///< at most so much address space for stacks; 0: no limit
    std::size_t spawn_backlog = 256;                 ///< unstarted tasklets per worker before spawn yields
    /// Tasklets start in the order of their creation as long as no more than so many per worker are suspended. With more, the
    /// children of whoever ran last start first, so that a tree of tasklets needs stacks for its depth and not for its
    /// breadth (and a yield lets as many others go first as are waiting to, but not always the same ones). SIZE_MAX: always
    /// in the order of creation.
    std::size_t breadth_limit = 128;
    /// Called in the dying tasklet with an exception that nobody can join any more. Unset: the exception comes out of
    /// `run` or `run_until_idle`; what neither has given, since shutdown() does not throw, the runtime's destructor prints.
    std::function<void(std::exception_ptr, const tasklet_info&)> on_unhandled = {};
    /// A tasklet that keeps its worker for longer than this without a call that lets others go on (a long computation, a
    /// system call, a std::mutex) is reported to on_stall with its stack, and again each time that has doubled. 0:
    /// $RONDO_STALL_MS, else nobody looks. A thread of its own looks four times in each limit while workers run, and not at
    /// all while everybody waits; it interrupts the one it reports by SIGURG. Nobody looks under a world's virtual time.
    std::chrono::milliseconds stall_limit{0};
    /// Called on that thread, one report at a time; must not wait for the tasklet's end. Unset: the report goes to stderr.
    std::function<void(const stall&)> on_stall = {};
    /// So many more workers that begin when one is reported to be kept, so that what waits behind it goes on even if all are,
    /// and leave again when it is kept no more, and their work is done or handed over. Unset: one, or none beside one worker:
    /// its tasklets would no longer take turns, and no thief means cheaper queues. At most 1024. Needs a stall_limit.
    std::optional<unsigned> spare_workers = {};
    environment* world = nullptr;                    ///< for tests: virtual time and seeded chance
    bool force_migration = false;                    ///< for tests: resumed tasklets go to another worker when possible
};

/// What one worker has done since the runtime began.
struct worker_stats {
    std::uint64_t spawned = 0;                       ///< by its tasklets
    std::uint64_t finished = 0;                      ///< tasklets that have ended on it
    std::uint64_t dispatched = 0;                    ///< the same, and how often it has gone on with one that had suspended
    std::uint64_t steals = 0;                        ///< tasklets that it has taken out of other workers' queues
    std::uint64_t switches = 0;                      ///< from one stack to another
    std::uint64_t parks = 0;                         ///< how often it has found nothing to do, and was about to sleep
    std::uint64_t inline_joins = 0;                  ///< tasklets that had not begun when they were joined: run as calls
};
/// The sums of all workers' counters, and more; taken while they run, so they may be some operations apart.
struct runtime_stats {
    std::size_t workers = 0;                         ///< without spare ones
    std::uint64_t spawned = 0;                       ///< from outside, too: by plain threads, and other runtimes' tasklets
    std::uint64_t finished = 0, dispatched = 0, steals = 0, switches = 0, parks = 0, inline_joins = 0;
    std::uint64_t wakes = 0;                         ///< how often a parked worker has been woken, since there was work
    std::uint64_t stalls = 0;                        ///< reports of tasklets that keep their workers
    std::uint64_t spares_called = 0;                 ///< how often a spare worker has begun
    std::size_t live = 0;                            ///< tasklets that have not ended
    std::size_t stacks = 0;                          ///< made so far; they are reused
    std::vector<worker_stats> per_worker;            ///< the spare ones last
};

struct idle_report {
    std::size_t finished = 0;                        ///< tasklets that ended since the last report
    std::vector<tasklet_info> parked;                ///< those that wait for something
    std::vector<std::exception_ptr> errors;          ///< exceptions that nobody joined
};

enum class dump_format : std::uint8_t {
    text,                                            ///< for people
    json                                             ///< for programs: one value, UTF-8
};

/// Workers, their queues and their tasklets. Any number of them in a process, each with its own. What a process has once: memory
/// for descriptors, channels and actors that nobody uses now; the numbers of tasklets; the list of its runtimes, for a tasklet
/// of one may wait for another's; the handler of stack overflows.
class runtime {
public:
    /// Starts the workers. Throws: usage_error (an option out of range, RONDO_WORKERS not a number), out_of_memory,
    /// std::system_error (no thread).
    explicit runtime(runtime_options options = {});
    /// Lets the tasklets go on until those that are left only wait for each other (sleepers go on; for at most 5
    /// seconds), then asks these to stop, and waits until all have ended: no destructor of theirs is skipped. Call
    /// shutdown() before, with another limit, to have it otherwise. Blocks the calling thread, which must not be one of its
    /// own workers.
    ~runtime();
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;

    /// As rondo::spawn, from any thread. Throws usage_error after shutdown().
    template <class F>
        requires detail::callable<F>
    auto spawn(F&& f, call_site where = call_site::current()) {
        return detail::spawn_plain(&*scheduler_, where, std::forward<F>(f));
    }
    template <class F, class A>
        requires detail::callable<F, A>
    auto spawn(F&& f, A&& a, call_site where = call_site::current()) {
        return detail::spawn_plain(&*scheduler_, where, std::forward<F>(f), std::forward<A>(a));
    }
    template <class F, class A, class B>
        requires detail::callable<F, A, B>
    auto spawn(F&& f, A&& a, B&& b, call_site where = call_site::current()) {
        return detail::spawn_plain(&*scheduler_, where, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
    }
    template <class F, class A, class B, class C>
        requires detail::callable<F, A, B, C>
    auto spawn(F&& f, A&& a, B&& b, C&& c, call_site where = call_site::current()) {
        return detail::spawn_plain(&*scheduler_, where, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                                   std::forward<C>(c));
    }
    template <class F, class A, class B, class C, class D, class... More>
        requires detail::callable<F, A, B, C, D, More...>
    auto spawn(F&& f, A&& a, B&& b, C&& c, D&& d, More&&... more) {        // the place of the call cannot be told
        return detail::spawn_plain(&*scheduler_, detail::somewhere, std::forward<F>(f), std::forward<A>(a),
                                   std::forward<B>(b), std::forward<C>(c), std::forward<D>(d),
                                   std::forward<More>(more)...);
    }
    template <class F, class... Args>
        requires detail::callable<F, Args...>
    auto spawn(const spawn_options& options, F&& f, Args&&... args) {
        return detail::spawn_in(&*scheduler_, options, std::forward<F>(f), std::forward<Args>(args)...);
    }

    /// Runs f as a tasklet and returns its result once f and every tasklet of the runtime have ended. Blocks the
    /// thread; not from inside a tasklet, nor from a rondo::blocking of this runtime (usage_error). Throws what f threw,
    /// else the first exception that nobody joined, else `deadlock` if tasklets are left that nothing can wake: not while
    /// the process has other threads than those of runtimes, unless they are blocked in Rondo, since each of them might
    /// yet send, close or stop; nor where that cannot be told (no /proc, or no file descriptor to read it).
    template <class F>
        requires detail::callable<F>
    auto run(F&& f, std::source_location where = std::source_location::current()) -> detail::result_of_call<F> {
        check_may_wait("runtime::run");
        auto main = spawn(spawn_options{.name = "main", .where = where}, std::forward<F>(f));
        wait_for_end(main.ref());
        return main.join();
    }

    /// Lets everything run until nothing can go on without the outside (Stackless's run()). Sleeping tasklets count as
    /// able to go on. Blocks the calling thread.
    idle_report run_until_idle();

    /// Waits up to `drain` for the tasklets to end, then asks those left to stop and waits again as long; gives those
    /// that would not end. No tasklet can be spawned from outside afterwards. Blocks the calling thread.
    std::vector<tasklet_info> shutdown(detail::time_span drain = std::chrono::seconds(5));

    [[nodiscard]] runtime_stats stats() const;
    /// Every live tasklet, one line each, with the backtraces of suspended ones, and the tree of actors. A snapshot, taken
    /// while it runs. As JSON: {"workers": n, "tasklets": [...], "actors": [...]}, each with a "parent"; "actors" may be
    /// missing where there have been none.
    void dump(std::ostream& to, dump_format how = dump_format::text) const;
    [[nodiscard]] std::vector<tasklet_info> tasklets() const;
    [[nodiscard]] unsigned workers() const noexcept;

    /// For the library.
    [[nodiscard]] detail::scheduler& impl() noexcept { return *scheduler_; }
    [[nodiscard]] const detail::scheduler& impl() const noexcept { return *scheduler_; }

private:
    void check_may_block(const char* call) const;
    void check_may_wait(const char* call) const;
    void wait_for_end(detail::task_ref main);
    struct deleter {
        void operator()(detail::scheduler*) const noexcept;
    };
    std::unique_ptr<detail::scheduler, deleter> scheduler_;
};

/// Runs f as the main tasklet of a runtime of its own; see runtime::run.
template <class F>
    requires detail::callable<F>
auto run(const runtime_options& options, F&& f, std::source_location where = std::source_location::current())
    -> detail::result_of_call<F> {
    runtime rt(options);
    return rt.run(std::forward<F>(f), where);
}
template <class F>
    requires detail::callable<F>
auto run(F&& f, std::source_location where = std::source_location::current()) -> detail::result_of_call<F> {
    return rondo::run(runtime_options{}, std::forward<F>(f), where);
}

/// Runs f on a helper thread and suspends the calling tasklet meanwhile, so that a blocking call does not hold up this
/// worker. Gives f's result or throws what it threw. f must not call anything that suspends. On a plain thread, and under
/// testing::explore, f runs right there.
///
/// Suspends: until f has ended; may resume on another worker.
/// Stop:     throws `stopped` if it came before; f has not been called then. Once f runs neither a stop nor a deadline ends
///           the wait: a system call cannot be ended.
/// Throws:   what f throws; std::system_error if there is no thread and none can be had.
/// Cost:     two switches, and a thread woken each way; a thread for each call under way, kept for later ones for 10 seconds.
template <class F>
    requires detail::callable<F>
auto blocking(F&& f) -> detail::result_of_call<F>;

namespace detail {
void run_blocking(void (*call)(void*), void* data);
}

template <class F>
    requires detail::callable<F>
auto blocking(F&& f) -> detail::result_of_call<F> {
    using R = detail::result_of_call<F>;
    struct frame {
        F& f;
        std::optional<detail::stored_t<R>> result;
        std::exception_ptr error;
    } data{f, {}, {}};
    detail::run_blocking(
        [](void* p) {
            auto& d = *static_cast<frame*>(p);
            try {
                if constexpr (std::is_void_v<R>) d.f();
                else if constexpr (std::is_lvalue_reference_v<R>) d.result = std::addressof(d.f());
                else d.result.emplace(d.f());
            } catch (...) {
                d.error = std::current_exception();
            }
        },
        &data);
    if (data.error) std::rethrow_exception(data.error);
    if constexpr (std::is_lvalue_reference_v<R>) return **data.result;
    else if constexpr (!std::is_void_v<R>) return std::move(*data.result);
}

}  // namespace rondo
