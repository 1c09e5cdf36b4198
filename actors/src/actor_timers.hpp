// The timers of the actors of one runtime: this_actor::after and every, idle timeouts. One tasklet keeps the time for all of
// them: it sleeps until the first one, and ends when there is none.
#pragma once

#include <chrono>
#include <map>
#include <unordered_map>
#include <vector>

#include <rondo/actor.hpp>
#include <rondo/lowlevel/job.hpp>

namespace rondo::detail {

class actor_timers {
public:
    using duration = std::chrono::steady_clock::duration;
    using copy_message = message_node* (*)(message_node&);
    enum class kind : std::uint8_t { message, idle };     // idle: on the system lane, and it keeps nobody alive

    explicit actor_timers(actor_system& of) noexcept : system_(of) {}

    /// Takes the message, unless it throws: usage_error, std::bad_alloc. `copy`: again and again. Returns the timer's number.
    std::uint64_t start(actor_cell& to, duration d, message_node* m, copy_message copy, kind k);
    void cancel(const actor_cell& of, const std::uint64_t* numbers, std::size_t n) noexcept;
    void forget_past(std::vector<std::uint64_t>& numbers) noexcept;       // keeps those still to come
    /// The tasklet that keeps the time waits, and only for periodic ones and idle timeouts.
    [[nodiscard]] bool is_background() const noexcept { return is_background_.load(acquire); }
    /// That tasklet's id, the last one's if there is none now.
    [[nodiscard]] std::uint64_t keeper_id() const noexcept { return keeper_id_.load(relaxed); }
    static void keep_time(void* self, bool stopped);      // that tasklet's job

private:
    struct timed {
        actor_cell* to;                                   // a strong reference; of an idle timeout a weak one
        message_node* message;
        copy_message copy;
        duration period;
        std::uint64_t number;
        bool is_idle;
        bool keeps_alive() const noexcept { return !copy && !is_idle; }
    };
    using schedule = std::multimap<lowlevel::time_point, timed>;

    void run();
    struct place {
        schedule::iterator where;                         // timers_.end(): the keeper has it, and puts it back
        const actor_cell* to;
    };

    void take_due(schedule& due) noexcept;                // under lock_
    void deliver(schedule& due) noexcept;
    void deliver_one(timed& t, message_node* m) noexcept;
    [[nodiscard]] message_node* copy_of(const timed& t) noexcept;
    void put_back(schedule& due) noexcept;                // under lock_: the periodic ones
    void dispose(timed& t) noexcept;

    actor_system& system_;
    lowlevel::spin_lock lock_;
    schedule timers_;                                     // under lock_, as what follows
    std::unordered_map<std::uint64_t, place> by_number_;
    std::uint64_t last_ = 0;
    std::size_t pending_ = 0;                             // that keep run from returning
    lowlevel::wait_list keeper_;                          // who keeps the time, while it waits
    bool is_keeper_there_ = false;
    atomic<std::uint64_t> keeper_id_{0};
    atomic<bool> is_background_{false};                   // each store: a release, for the acquire in is_background()
};

}  // namespace rondo::detail
