// The second door, for layers whose objects run now and then and must cost next to nothing in between: jobs, and what
// such a layer keeps with a runtime.
//
// A job is a function that runs as a fresh tasklet, with nothing to join: it costs a descriptor while it runs, and a
// stack only if it suspends. What a layer keeps with a runtime (an `attachment`) takes part in its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include <rondo/detail/task.hpp>
#include <rondo/lowlevel/wait.hpp>
#include <rondo/tasklet_info.hpp>

namespace rondo::lowlevel {

using home = rondo::detail::scheduler;

/// `stopped`: a stop came before it began; its waits are then shielded. What it throws is reported as the unhandled
/// exception of a tasklet.
using job_function = void (*)(void* what, bool stopped);

/// A tasklet that has not been submitted yet: nobody but its maker knows of it.
using job = rondo::detail::task_ref;

/// Never fails: waits for memory if need be. From any thread. Suspends: never. Each job must be submitted.
[[nodiscard]] job make_job(home& at, job_function run, void* what, std::source_location where) noexcept;

/// Lets it run: `next` means as soon as the calling tasklet leaves this worker, `tail` that anybody may take it.
void submit_job(home& at, job j, placement where) noexcept;

/// Which job it is that runs something now; others may read it at any time.
struct job_record {
    rondo::detail::atomic<std::uint64_t> id{0};
    rondo::detail::atomic<rondo::detail::task*> t{nullptr};
};
/// Both: `next` if the caller is such a job itself, where what it has at hand is warm, else `tail`. It is written down before it
/// can begin, the id first, t with release.
void start_job(home& at, job_function run, void* what, std::source_location where, job_record& in) noexcept;

/// Asks the tasklet of a job to stop, if it still is that job. From any thread.
void stop_job(job j) noexcept;

/// For a job that does many things in a run, some of them before it asks: how many more, at most `most`, may it do before it asks
/// again, so that it does not go on for much longer than a millisecond? 0: let others have their turn. Suspends: never. Cost: 10 ns.
[[nodiscard]] unsigned operations_in_time(unsigned most) noexcept;

/// The `what` of the job `run` that is calling; nullptr if the caller is something else.
[[nodiscard]] void* running_job(job_function run) noexcept;
/// The same of whoever waits in rondo::blocking for what is calling.
[[nodiscard]] void* blocking_job(job_function run) noexcept;

/// From now on, or no more: the layer is told before each wait of the calling job, and after it (not of yields, and not
/// while the job runs a child that it joins as a plain call).
void watch_waits(bool yes) noexcept;

/// One of these waits. Lives in the waiting frame.
struct watched_wait {
    job who;
    void* what;                                          ///< the job's
    void* data = nullptr;                                ///< the layer's, as the next two
    watched_wait* prev = nullptr;
    watched_wait* next = nullptr;
};

/// The runtime of the calling tasklet; nullptr on a plain thread.
[[nodiscard]] home* home_here() noexcept;
/// A number for the calling worker, to spread things by; 0 on a plain thread.
[[nodiscard]] unsigned worker_here() noexcept;

/// What a layer above keeps with one runtime, from its first use until the runtime is gone.
class attachment {
public:
    /// Tasklets that wait for timers only and do not keep `run` from returning.
    [[nodiscard]] virtual std::size_t background() noexcept = 0;
    /// The runtime ends: everything that still lives shall end, by jobs if need be. May be called again.
    virtual void end() noexcept = 0;
    /// What has not ended. Not 0: the runtime waits.
    [[nodiscard]] virtual std::size_t live() noexcept = 0;
    /// How a report names an object of this layer that somebody waits for; empty: it is none. Whoever is about to wait for it
    /// may hold its spin lock.
    [[nodiscard]] virtual std::string name_of(const void* object) = 0;
    /// Says of those among these tasklets that are its jobs what they are: `role`, and where what they do was asked for. In
    /// the order of their ids.
    virtual void describe(std::span<tasklet_info> tasklets) = 0;
    /// The same of one job, which has not begun: in a simulation, where nobody else runs. Whoever is about to wait may hold a spin
    /// lock.
    virtual void describe_job(job_function run, const void* what, tasklet_info& info) = 0;
    /// While a runtime that ends stops what is left in it: is this error no more than what that does to others?
    [[nodiscard]] virtual bool comes_of_the_end(const std::exception_ptr& error) noexcept = 0;
    /// For rondo::runtime::dump: a paragraph about what lives; its handlers are among these tasklets.
    [[nodiscard]] virtual std::string dump(std::span<const tasklet_info> tasklets) = 0;
    /// The same as members of a JSON object, each with a comma before it: `, "actors": [...]`.
    [[nodiscard]] virtual std::string dump_json(std::span<const tasklet_info> tasklets) = 0;
    /// The calling job is about to wait, and may hold a spin lock of what it waits for: no lock that is ever held while one
    /// waits for another may be taken.
    virtual void wait_begins(watched_wait&) noexcept {}
    /// It has waited, and may be on another worker. Waits of its own are not watched here.
    virtual void wait_has_ended(watched_wait&) noexcept {}
    /// The runtime is gone; `this` may be, too, afterwards.
    virtual void home_is_gone() noexcept = 0;
    /// Of the calling tasklet, which has run out of stack: if it is a job of this layer, puts what it does and where that was
    /// asked for. False: it is none. Called in a signal handler, so it must not allocate, nor lock.
    virtual bool put_running(void (*put)(const char* text)) noexcept {
        (void)put;
        return false;
    }

protected:
    ~attachment() = default;
};

/// A string of JSON, with its quotes. What is no UTF-8 becomes U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);
/// For a line of text, in quotes: what would end or garble the line is written as \xNN.
[[nodiscard]] std::string quoted(std::string_view text);

/// The attachment of this runtime, made by the first caller. Throws what `make` throws.
attachment& attach(home& at, attachment* (*make)(home&));

/// Reports an exception as that of a tasklet which nobody joined; `who`: for runtime_options::on_unhandled.
void report_unhandled(home& at, std::exception_ptr error, const tasklet_info& who = {}) noexcept;

/// Is the runtime being shut down? Jobs still run; nothing else should begin.
[[nodiscard]] bool is_closing(const home& at) noexcept;

/// The virtual time or the steady clock of a runtime, for callers that are not in it.
[[nodiscard]] time_point now_at(home& at) noexcept;

}  // namespace rondo::lowlevel
