// What the actors of one runtime share: the list of the living, the timers, the dead letters, the names. It lives as long
// as its runtime or any actor's memory does.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <rondo/actor.hpp>
#include <rondo/supervisor.hpp>
#include <rondo/lowlevel/job.hpp>

#include "actor_timers.hpp"
#include "dead_letter_log.hpp"
#include "name_table.hpp"

namespace rondo::detail {

/// What a crash by somebody else's rondo::stopped is told as. That itself would say that whoever asked, or runs it all, was
/// stopped.
class foreign_stop final : public error {
public:
    foreign_stop()
        : error("rondo::stopped came out of its handler, though the actor was not stopped: does it join a tasklet that "
                "was?") {}
};

/// Actors, each as often as it was put in; the oldest first, so that nothing depends on where they lie (testing::explore).
/// Empty it is a pointer: few actors have any.
class cell_set {
public:
    void insert(actor_cell& c) {
        if (!cells_) cells_ = std::make_unique<cells>();
        cells_->insert(&c);
    }
    [[nodiscard]] bool contains(actor_cell& c) const noexcept { return cells_ && cells_->contains(&c); }
    /// Once. False: it was not there.
    bool erase(actor_cell& c) noexcept {
        if (!contains(c)) return false;
        cells_->erase(cells_->find(&c));
        return true;
    }
    [[nodiscard]] bool empty() const noexcept { return !cells_ || cells_->empty(); }
    template <class F>
    void for_each(F&& f) const {
        if (cells_)
            for (actor_cell* c : *cells_) f(*c);
    }

private:
    struct older {
        bool operator()(const actor_cell* a, const actor_cell* b) const noexcept {
            if (a->id != b->id) return a->id < b->id;
            return std::less<>()(a, b);                   // of two runtimes
        }
    };
    using cells = std::multiset<actor_cell*, older>;
    std::unique_ptr<cells> cells_;
};

/// What only some actors have. `guard` protects all that others than the runner touch.
struct actor_extra {
    // These four are written by enroll(), before anybody knows of the actor.
    std::string name;
    std::source_location where;
    std::uint64_t starter = 0;                            // the actor whose handler started it; 0: none
    std::chrono::steady_clock::time_point started;        // ids do not tell it: each shard counts for itself

    lowlevel::spin_lock guard;
    bool has_ended = false;
    exit_reason why;                                      // until it has ended the runner's own: of the life before
    std::vector<std::string> names;                       // in the registry

    lowlevel::spin_lock mailbox_guard;                    // of one that drops its oldest messages
    lowlevel::wait_list senders;                          // that wait for room; wait_node::slot: the message
    lowlevel::wait_list joiners;
    cell_set watchers;                                    // each with a weak reference
    std::vector<actor_cell*> links;                       // each with a weak reference
    exit_reason linked_why;                               // what the order `linked` is about

    // The runner's own.
    cell_set watching;                                    // whose ends this life awaits; each with a weak reference
    std::shared_ptr<behaviour> now;                       // its handlers hold it, too, while they run
    message_node* stash_first = nullptr;
    message_node* stash_last = nullptr;
    atomic<std::size_t> stashed{0};                       // relaxed: dumps look at it
    // While handlers that have put their messages aside go on with them, unstash() must wait for these handlers: of one that
    // is not reentrant it is so many, the oldest, of the stash; of a reentrant one, whose others need not wait, these.
    std::size_t stash_due = 0;
    struct held_message {
        message_node* m;
        bool is_due;
    };
    std::vector<held_message> held;
    struct lost_reply {
        const lowlevel::waiter* by;                       // whose handler
        reply_cell* what;
    };
    std::vector<lost_reply> lost;                         // see actor_cell::keep_lost()
    std::vector<std::uint64_t> timers;                    // their numbers; some may be over
    std::chrono::steady_clock::duration idle_after{};
    std::uint64_t idle_timer = 0;
    lowlevel::time_point last_message{};
    // Of a reentrant actor. Nothing else is locked under flights_guard but what a job needs.
    lowlevel::spin_lock flights_guard;
    lowlevel::watched_wait* flights = nullptr;            // handlers that wait
    lowlevel::wait_list returning;                        // those whose wait has ended
    exit_reason first_failure;                            // the order `failed` is about; the runner's, as the next
    bool is_failure_reported = false;

    bool makes_object = false;                            // the runner's own: see making

    std::shared_ptr<supervised> under;                    // its supervisor's record of it; goes under `guard`
    atomic<std::uint32_t> restarts{0};
};

/// What an actor has as its extra once it has ended, if it had none and there is no error to keep: one for all, never destroyed.
[[nodiscard]] actor_extra* ended_extra(exit_kind kind) noexcept;

/// While a child's constructor runs, in a handler of its supervisor or, at a restart, in the child's own tasklet: neither
/// is the constructor's to speak for, so for it there is no this_actor.
class making {
public:
    explicit making(actor_cell& c) : e_(c.need_extra()) { e_.makes_object = true; }
    making(const making&) = delete;
    ~making() { e_.makes_object = false; }

private:
    actor_extra& e_;
};

/// The end of `of`, for one that watches it: see watching.cpp.
[[nodiscard]] message_node* make_down(const actor_cell& to, actor_cell& of, const exit_reason& why);

class actor_system final : public lowlevel::attachment {
public:
    explicit actor_system(lowlevel::home& at) : home(at) {}

    static actor_system& at(lowlevel::home& h);

    [[nodiscard]] bool is_ending() const noexcept { return is_ending_.load(acquire); }       // pairs with the release in end()

    // ---- lowlevel::attachment
    std::size_t background() noexcept override;
    void end() noexcept override;
    std::size_t live() noexcept override;
    std::string name_of(const void* object) override;
    bool comes_of_the_end(const std::exception_ptr& error) noexcept override;
    void describe(std::span<tasklet_info> tasklets) override;
    void describe_job(lowlevel::job_function run, const void* what, tasklet_info& info) override;
    bool put_running(void (*put)(const char* text)) noexcept override;
    std::string dump(std::span<const tasklet_info> tasklets) override;
    std::string dump_json(std::span<const tasklet_info> tasklets) override;
    void wait_begins(lowlevel::watched_wait& w) noexcept override;
    void wait_has_ended(lowlevel::watched_wait& w) noexcept override;
    void home_is_gone() noexcept override;

    // ---- supervisors that wait before a restart: run need not wait for that. release: pairs with the acquire in background()
    void begin_rest() noexcept { resting_.fetch_add(1, release); }
    void end_rest() noexcept { resting_.fetch_sub(1, release); }

    // ---- the living
    void enroll(actor_cell& c) noexcept;
    // It has ended. True: nobody else refers to it, and its memory has been counted as freed. Else that stays for a while; with
    // only_if_last nothing has happened then.
    [[nodiscard]] bool strike_off(actor_cell& c, bool only_if_last) noexcept;
    void memory_is_freed(unsigned shard) noexcept;        // `this` may be gone afterwards
    template <class F>
    void for_each(F&& f) {                                // under a shard's lock
        for (auto& s : shards_) {
            std::lock_guard hold(s.lock);
            for (actor_cell* c = s.first; c; c = c->next) f(*c);
        }
    }

    name_table& names() noexcept { return names_; }
    void forget(actor_cell& c, std::vector<std::string> names) noexcept;  // it has ended

    lowlevel::home& home;
    actor_timers timers{*this};
    dead_letter_log dead;

private:
    static constexpr std::size_t shard_count = 16;
    struct alignas(64) shard {
        lowlevel::spin_lock lock;
        actor_cell* first = nullptr;
        std::size_t living = 0, in_memory = 0;
        bool is_home_gone = false;
        std::uint64_t numbered = 0;
        void add(actor_cell& c) noexcept;
        void remove(actor_cell& c) noexcept;
    };
    void let_go() noexcept;

    std::array<shard, shard_count> shards_;
    atomic<std::size_t> users_{1};                        // the home; when that has gone, each shard with something in memory
    atomic<bool> is_ending_{false};
    atomic<std::size_t> resting_{0};

    name_table names_;                                    // for the registry
};

}  // namespace rondo::detail
