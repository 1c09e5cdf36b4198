// Who looks whether a tasklet keeps its worker for too long: a thread of its own, for a worker that is kept cannot look, and all
// of them may be.
//
// It looks several times in each limit. A worker that has run the same tasklet from one look to the next, with no sign that it
// looks after the others (a dispatch, an operation that counts against the budget, a yield), is marked; once a mark is as
// old as the limit the tasklet is reported, and again each time that has doubled. So a report is never early, and late by
// a quarter of the limit. One that the kernel has not let run is not to blame: half of the limit must have been its CPU
// time, unless it is inside the kernel. Its stack is asked of the thread itself, by a signal (stack_probe.hpp).
//
// For each worker that is kept a spare one is called in, while there are any (spare_duty.hpp): a thief like the others, but nothing
// comes to it from outside. Once fewer are kept it is dismissed: it hands over what lies in its queues, and sits down when it has
// nothing left to run, nor timers.
//
//   state_     who may change it                      how                  next
//   watching   the watchdog, when all are parked      CAS seq_cst          asleep
//   asleep     the watchdog, if somebody is not       CAS seq_cst          watching
//              whoever unparks                        CAS seq_cst          watching, then wakes it
//   any        end()                                  exchange             ending
//
// I1  While somebody runs it watches (Dekker's pattern): it writes `asleep`, then reads idle_workers::counts_; whoever unparks
//     has changed counts_, then reads state_. All four are seq_cst. While all are parked it sleeps without a limit.
// Source: Go's sysmon, Seastar's stall detector.
// Checked: tests/runtime/watchdog_test.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/threads.hpp>
#include <rondo/run.hpp>

namespace rondo::detail {

class scheduler;
class worker;

class watchdog {
public:
    watchdog(scheduler& home, std::chrono::milliseconds limit) noexcept;
    ~watchdog() { end(); }
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;

    /// Once all workers have their threads. Throws std::system_error.
    void begin();
    /// Before the first of them ends. Workers may call us all the same.
    void end() noexcept;
    void somebody_unparks() noexcept {
        if (state_.load(seq_cst) == asleep) [[unlikely]] wake();
    }
    [[nodiscard]] lowlevel::watch state() const noexcept;

private:
    enum : std::uint32_t { watching, asleep, ending };

    /// What changes with everything that a tasklet does for the others.
    struct signs {
        std::uint64_t tasklet = 0, moves = 0, yields = 0;     // tasklet: its id; 0: none runs
        int budget = 0;
        bool operator==(const signs&) const = default;
    };
    struct mark {
        signs seen;
        std::int64_t since_ns = 0, due_ns = 0, cpu_ns = 0;    // cpu: what its thread had used by then
        bool is_kept = false;
    };

    static signs signs_of(const worker& w) noexcept;
    void thread_main() noexcept;
    void look_round();
    [[nodiscard]] std::int64_t cpu_ns_of(const worker& w) const noexcept;
    [[nodiscard]] bool is_to_blame(const worker& w, const mark& last) const noexcept;
    void report(const worker& w, const signs& seen, std::chrono::nanoseconds held, bool is_relieved);
    bool bring_in_spares() noexcept;
    void wake() noexcept;

    scheduler& home_;
    const std::int64_t limit_ns_;
    std::vector<mark> marks_;                             // by worker
    atomic<std::uint32_t> state_{watching};
    atomic<std::uint64_t> looks_{0};
    std::thread thread_;
};

/// options.stall_limit, or what $RONDO_STALL_MS says; 0: nobody looks. Throws usage_error.
std::chrono::milliseconds stall_limit_wanted(const runtime_options& o);
/// Once that is known. Throws usage_error.
unsigned spare_workers_wanted(const runtime_options& o);

}  // namespace rondo::detail
