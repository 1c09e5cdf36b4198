// Timers of one worker: a hierarchical wheel (after G. Varghese and T. Lauck, "Hashed and hierarchical timing wheels",
// 1987) of 8 levels of 64 slots; a tick is 131 us, but entries keep their exact deadline: nothing fires early, and a
// worker that parks sleeps until the exact first one.
//
// Arming and cancelling are O(1) under a spin lock that is almost never contended: a wait arms its timer on the worker
// it is on. An entry lives in the waiting frame. It fires under the lock, so once cancel() has returned it neither has
// fired later nor ever will.
#pragma once

#include <array>
#include <cstdint>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

class timer_wheel;

struct timer_entry {
    std::int64_t deadline_ns = 0;
    lowlevel::waiter* who = nullptr;
    std::uint32_t generation = 0;
    lowlevel::wake outcome = lowlevel::wake::timed_out;
    bool linked = false;
    timer_entry* prev = nullptr;
    timer_entry* next = nullptr;
    timer_wheel* home = nullptr;
    std::uint64_t number = 0;                                // of those armed here: equal deadlines fire in this order
    std::uint16_t place = 0;                                 // level * 64 + slot
    void (*fire)(timer_entry&) noexcept = nullptr;           // instead of claiming `who`; runs under the wheel's lock
};

class timer_wheel {
public:
    static constexpr std::int64_t never = INT64_MAX;

    explicit timer_wheel(std::int64_t now_ns) : elapsed_(tick_of(now_ns)) {}

    /// Begins anew at another time, also an earlier one; nothing happens while a timer is armed.
    void restart(std::int64_t now_ns) noexcept {
        if (size() == 0) elapsed_ = tick_of(now_ns), hint_.store(never, relaxed);
    }

    void lock() noexcept { lock_.lock(); }
    void unlock() noexcept { lock_.unlock(); }
    bool try_lock() noexcept { return lock_.try_lock(); }

    void insert_locked(timer_entry& e) noexcept;
    void insert(timer_entry& e) noexcept;
    /// Afterwards the entry has fired or never will. From any thread.
    static void cancel(timer_entry& e) noexcept;

    /// Ends the waits whose deadline has come; gives the claimed ones, linked by `next` in order of
    /// their deadlines, to be resumed.
    timer_entry* expire(std::int64_t now_ns) noexcept;

    /// No later than the first deadline, and nearly always exact; `never` if there is none.
    [[nodiscard]] std::int64_t next_deadline() noexcept;
    /// A cheap lower bound, from any thread.
    [[nodiscard]] std::int64_t next_hint() const noexcept { return hint_.load(relaxed); }
    [[nodiscard]] std::size_t size() const noexcept { return size_.load(relaxed); }

private:
    static constexpr unsigned levels = 8, bits = 6, slots = 64, shift = 17;
    static std::uint64_t tick_of(std::int64_t ns) noexcept {      // before the clock's epoch: long due
        return ns < 0 ? 0 : static_cast<std::uint64_t>(ns) >> shift;
    }
    void link(timer_entry& e) noexcept;
    void remove(timer_entry& e) noexcept;
    [[nodiscard]] bool first_slot(unsigned& level, unsigned& slot, std::uint64_t& tick) const noexcept;
    [[nodiscard]] std::int64_t first_deadline() const noexcept;

    lowlevel::spin_lock lock_;
    std::uint64_t elapsed_;
    std::uint64_t armed_ = 0;
    std::array<std::uint64_t, levels> occupied_{};
    std::array<timer_entry*, levels * slots> head_{};
    atomic<std::int64_t> hint_{never};
    atomic<std::size_t> size_{0};
};

}  // namespace rondo::detail
