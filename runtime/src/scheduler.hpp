// What the workers of one runtime share.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <rondo/lowlevel/job.hpp>
#include <rondo/run.hpp>

#include "idle_workers.hpp"
#include "lookout.hpp"
#include "soloists.hpp"
#include "stack_arena.hpp"
#include "task_pool.hpp"
#include "wait_word.hpp"
#include "watchdog.hpp"
#include "worker.hpp"

namespace rondo::lowlevel {
/// After a stop request on the tasklet `id` that was not waiting: ends the wait of the child that it runs as a plain call.
void pass_stop_on(rondo::detail::task& t, std::uint64_t id) noexcept;
/// Of a tasklet that joins again and again, each child a plain call: others may have their turn.
void pass_turn_after_joins() noexcept;
/// Around a wait of a watched job.
void watch_wait(rondo::detail::task& t, bool begins, watched_wait& w) noexcept;
/// attachment::describe_job, if t is a job.
void describe_job(rondo::detail::task& t, tasklet_info& info);
}  // namespace rondo::lowlevel

namespace rondo::detail {

class blocking_threads;
class simulation;

class scheduler {
public:
    explicit scheduler(runtime_options options);
    ~scheduler();

    // ---- from any thread
    void inject(task& t) noexcept;                        // a fresh or resumed tasklet from outside
    void inject_to(unsigned worker_index, task& t) noexcept;
    void migrate(task& t) noexcept;                       // force_migration: to another worker than it suspended on
    void wake_for_work() noexcept;                        // somebody parked, unless somebody searches
    void report_unhandled(task& t, std::uint64_t id) noexcept;
    [[nodiscard]] bool comes_of_the_end(const std::exception_ptr& error) noexcept;
    void report_unhandled(std::exception_ptr error, const tasklet_info& who) noexcept;
    [[nodiscard]] std::int64_t now_ns() noexcept;

    void wait_for_end(task_ref main);
    idle_report run_until_idle();
    std::vector<tasklet_info> shutdown(std::chrono::steady_clock::duration drain);
    void stop_everything() noexcept;
    [[nodiscard]] std::size_t live() const noexcept;
    [[nodiscard]] std::vector<task_ref> living() const;   // the youngest first
    [[nodiscard]] std::size_t stacks_out() const noexcept;            // held by suspended tasklets, about
    [[nodiscard]] std::vector<tasklet_info> list(bool with_backtraces) const;
    [[nodiscard]] std::size_t workers_and_spares() const noexcept { return options.workers + *options.spare_workers; }
    /// A spare worker. False: it is not on its bench.
    bool call_in(worker& spare) noexcept;
    /// w's thread, while it runs.
    [[nodiscard]] pthread_t thread_of(const worker& w) const noexcept {
        return const_cast<std::thread&>(threads_[w.index]).native_handle();
    }
    /// Of the tasklet `id`, which w runs for long, with the backtrace of where it is. False: w runs it no more.
    [[nodiscard]] bool look_at_running(const worker& w, std::uint64_t id, tasklet_info& info) const;
    [[nodiscard]] runtime_stats stats() const;
    std::vector<std::exception_ptr> take_errors();

    /// Blocks until nothing can go on by itself: no worker runs, no queue holds work, and (unless ignore_timers) no
    /// timer is armed. False: `until` came first.
    bool wait_until_quiet(lowlevel::time_point until, bool ignore_timers);
    [[nodiscard]] bool is_quiet(bool ignore_timers) const noexcept;
    /// Quiet, and nobody in this process could change that: its other threads are blocked in Rondo without a limit of
    /// time, or belong to runtimes that are quiet too.
    [[nodiscard]] bool is_cut_off() const;
    /// To be called when quiet. False: cut off. True: something may have happened since.
    bool wait_for_others();
    [[nodiscard]] deadlock make_deadlock() const;
    void all_parked() noexcept;                           // called by the last worker to park
    // seq_cst: keeps it apart from this worker's leaving (idle_workers): who finds all parked has seen it, in is_quiet().
    void operation_begins() noexcept { outside_operations.fetch_add(1, seq_cst); }
    void operation_ends() noexcept;

    runtime_options options;
    simulation* const simulated;                          // under testing::explore; else nullptr
    const std::size_t deep_above;                         // so many stacks: options.breadth_limit for each worker
    const bool alone;                                     // one worker, no spare ones: no thieves, so no fences
    const soloist_ptr soloist;                            // its worker's; nullptr: there are more, or it has to be without
    stack_arena stacks;
    task_pool tasks;
    idle_workers idle;
    lookout look;                                         // who of the parked looks after stalled workers
    std::vector<std::unique_ptr<worker>> workers;         // options.workers, then the spare ones
    atomic<bool> terminating{false};
    /// How much ready work (the time it takes its worker) a theft must promise; theft_ledger learns it.
    atomic<std::uint64_t> worth_a_theft{worker::soon_stamps};
    atomic<bool> is_ending{false};                        // what is left is being stopped
    atomic<bool> closing{false};                          // no more spawns from outside
    atomic<std::uint64_t> injected{0};                    // spawned from outside
    atomic<std::uint64_t> wakes{0};
    atomic<std::uint32_t> outside_operations{0};          // blocking() calls under way: not quiet
    atomic<std::uint64_t> stalls{0}, spares_called{0};
    std::unique_ptr<blocking_threads> blocking;
    const std::unique_ptr<watchdog> dog;                  // nullptr: nobody looks
    atomic<lowlevel::attachment*> above{nullptr};         // what the layer above keeps with us; each acquire of it pairs with
                                                          // the release in attach(): we see what has been made

private:
    void start_thread(unsigned worker);
    void end_workers() noexcept;
    [[nodiscard]] bool is_virtual() const noexcept { return options.world != nullptr; }   // timers wait for a test
    /// Tasklets that only wait in the background, for timers of a layer above, do not count.
    [[nodiscard]] bool only_background_left() const noexcept;
    [[nodiscard]] bool nothing_left() const noexcept;
    [[nodiscard]] bool has_failed(task_ref main) const;   // or a tasklet that nobody joined has
    void keep(std::exception_ptr error) noexcept;
    void tell_watchers() noexcept;                        // wait_until_quiet(), wait_while_still()
    void wait_while_still(std::uint64_t seen, lowlevel::time_point until);
    void stop_in_order(lowlevel::time_point limit);
    void stop_one_by_one(lowlevel::time_point limit) noexcept;
    template <class F>
    void for_each_living(F&& f) const;
    void print_left() const noexcept;
    void print_errors() noexcept;
    void print_further_errors() noexcept;

    std::vector<std::thread> threads_;
    mutable std::mutex lock_;
    std::condition_variable quiet_changed_;
    atomic<std::uint32_t> watchers_{0};
    atomic<std::uint32_t> visitors_{0};                   // other threads that are inside inject(): we must outlive them
    static constexpr std::size_t most_errors = 100;
    std::vector<std::exception_ptr> errors_;              // room for so many: failures may be many, and memory short
    std::size_t further_errors_ = 0;
    std::uint64_t finished_before_ = 0;
    bool drained_ = false;                                // shutdown() has given them their time
    atomic<unsigned> next_inbox_{0};
};

/// Usable cores: the affinity mask, cut down by the cgroup CPU quotas of this process and all ancestors.
unsigned usable_cores();
unsigned workers_wanted(const runtime_options& o);
void pin_to_core(unsigned worker_index);
/// Threads in this process that may yet wake something: all but `known` ones and those that are blocked in Rondo.
std::size_t foreign_threads(std::size_t known);
/// Threads of this process that are blocked inside Rondo without a limit of time.
atomic<int>& blocked_foreign_threads() noexcept;
void install_overflow_handler();
/// The running tasklet t has used more than its stack. Says so, as the handler does, and aborts.
[[noreturn]] void end_for_overflow(worker& w, task& t) noexcept;
void* alternate_signal_stack_begin();
void alternate_signal_stack_end(void* memory) noexcept;
/// The id of the tasklet that w runs; 0: none. A glance, for other threads.
[[nodiscard]] std::uint64_t running_on(const worker& w) noexcept;
/// Of whoever lives in the descriptor now: check its id afterwards, if that matters.
[[nodiscard]] std::uint64_t parent_of(const task& t) noexcept;
[[nodiscard]] std::string site_text(const std::source_location& where);       // file:line (function); empty: not known
[[nodiscard]] std::string json_of(const tasklet_info& info);
[[nodiscard]] const char* describe(lowlevel::wait_kind k) noexcept;     // "mutex", "a sender on channel", ...
[[nodiscard]] bool is_layers_own(lowlevel::wait_kind k) noexcept;       // its object has a name: attachment::name_of

}  // namespace rondo::detail
