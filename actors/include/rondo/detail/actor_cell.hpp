// An actor as the library sees it, without its class: who refers to it, its mailbox, what its runner does. Idle it is
// this, 128 bytes, and the object behind it; no stack, no tasklet, nothing in any queue.
//
//   phase     who may leave it                 next
//   alive     the runner (crash, halt, end)    down, ended
//   down      the runner, told by `restart`    alive, ended      the object is gone; the mailbox may go on filling
//   ended     nobody                           (freed once nobody refers to it)
//
// The runner is the one activation (a job) that the mailbox's protocol allows (mailbox.hpp, I1). Everything that
// changes an actor goes through it; others leave an order (one bit) and nudge.
//
// An actor whose class is declared reentrant is run by turns: a handler that waits is put aside (`flights`) and the role of
// the runner goes on to another activation; once its wait has ended it lines up (`returning`) and gets the role back from
// whoever has it, between two messages. What ends a life waits until no handler is in flight. src/reentrant.cpp.
//
// Counts: `strong` are handles that can send. When the last one goes the actor ends once its mailbox is empty. `weak`
// keep the memory: one for all strong ones together, one for the living actor, one for each entry in a list of
// somebody else's. A strong count that has been 0 may rise again only by the runner's own doing (this_actor::ref).
//
// Orders, where an operation does not say otherwise:
//   extra          set once, by a release (need_extra(), end()): every acquire pairs with that
//   orders         release in give_order(); every acquire, all of them the runner's, pairs with that
//   runner.t       release by whoever becomes the runner; acquire in kill_now() and in dumps: they see its id
//   strong, weak   who drops one releases, who finds that it was the last acquires: it sees what the others have done
//   now            relaxed: the runner's own, but for a glance of a dump
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/detail/mailbox.hpp>
#include <rondo/detail/message.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/job.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo {

/// Why an actor ended.
enum class exit_kind : std::uint8_t {
    stopped,        ///< stop(), by itself or by somebody else
    unreferenced,   ///< nobody could send to it any more
    shutdown,       ///< its runtime, or its supervisor, ended
    killed,         ///< kill()
    crashed,        ///< an exception came out of a handler: see error
    linked,         ///< an actor that it was linked with failed: see error
    gave_up         ///< a supervisor: too many restarts; see error
};
[[nodiscard]] const char* to_string(exit_kind kind) noexcept;

struct exit_reason {
    exit_kind kind = exit_kind::stopped;
    std::exception_ptr error = nullptr;
    /// Not an end that anybody asked for.
    [[nodiscard]] bool is_failure() const noexcept { return kind >= exit_kind::killed; }
    [[nodiscard]] std::string text() const;       ///< "crashed: out of salt"
};

/// An ask that nobody will answer: the actor has ended, or ended before its turn came. Or the answer was owed by one
/// (its object, its mailbox or a timer had the rondo::reply) that has ended, or was made anew.
class actor_ended : public error {
public:
    actor_ended(const std::string& who, exit_reason why)
        : error(who + " cannot answer: it has ended (" + why.text() + ")"), why_(std::move(why)) {}
    [[nodiscard]] const exit_reason& why() const noexcept { return why_; }

private:
    exit_reason why_;
};

/// An ask whose reply<R> was dropped without an answer, by an actor that goes on or by somebody else.
class no_answer : public error {
public:
    no_answer() : error("the handler dropped its rondo::reply without answering") {}
};

/// Thrown out of a handler, it (or what derives from it) is the answer to the asker, and the actor goes on: for what an
/// asker must expect, as "not enough money". Every other exception is a crash. Of a tell, it goes nowhere.
class refused : public error {
public:
    using error::error;
};

enum class when_full : std::uint8_t {
    wait,           ///< tell suspends a tasklet, blocks a plain thread
    drop_newest,    ///< the message that would not fit becomes a dead letter
    drop_oldest     ///< the oldest waiting message does, at once: never more wait than there are slots
};

enum class dead_letter_reason : std::uint8_t { ended, dropped_newest, dropped_oldest, restarted };
inline constexpr std::size_t dead_letter_reasons = 4;
[[nodiscard]] const char* to_string(dead_letter_reason reason) noexcept;

struct actor_options;

namespace detail {

class actor_system;
class actor_cell;
struct actor_extra;
struct supervised;

/// A message that this_actor::after and every may send to actors of a class, found by type at run time.
struct known_message {
    const message_ops* ops;
    known_message* next = nullptr;
};

/// One per class of actors.
struct actor_class {
    const type_tag* type;
    std::size_t lines;                                    // of the whole cell
    void (*destroy_state)(actor_cell&) noexcept;
    const message_ops* on_started;                        // what it also handles; nullptr: it does not
    const message_ops* on_down;
    const message_ops* on_idle;
    std::size_t mailbox_slots;
    when_full full;
    bool is_reentrant;
    bool ends_at_once;                                    // told to end, or dropped, it ends the waits of its handler: supervisors
    atomic<known_message*>* known;
};

class alignas(64) actor_cell {
public:
    using box = mailbox<message_node>;
    enum class phase : std::uint8_t { alive, down, ended };
    enum order : std::uint8_t { stop = 1, kill = 2, shutdown = 4, linked = 8, halt = 16, restart = 32, failed = 64 };
    static constexpr unsigned batch = 64;                 // messages an activation handles before others get a turn, or fewer
    static constexpr unsigned first_of_batch = 4;         // in a millisecond, at which it looks after so many;
    static constexpr std::chrono::microseconds longest_relief{100};      // or, if senders waited, what comes in so long a time

    actor_cell(actor_system& in, const actor_class& what, std::size_t slots, when_full full) noexcept
        : system(in),
          messages(slots, false, full == when_full::drop_newest),
          full_policy(slots ? full : when_full::wait),
          flags(what.is_reentrant ? is_reentrant : 0),
          of(what) {}
    actor_cell(const actor_cell&) = delete;
    actor_cell& operator=(const actor_cell&) = delete;

    // ---- anybody who has a handle
    void add_ref() noexcept { strong.fetch_add(1, relaxed); }
    void drop_ref() noexcept;
    // acquire: pairs with the release of those who have dropped theirs.
    [[nodiscard]] bool has_one_weak() const noexcept { return weak.load(acquire) == 1; }
    void add_weak() noexcept { weak.fetch_add(1, relaxed); }
    void drop_weak() noexcept {
        // acq_rel: what the others did to the memory comes before its end.
        if (has_one_weak() || weak.fetch_sub(1, acq_rel) == 1) free_memory();
    }
    void give_order(order o) noexcept;
    void tell_to_end(order o) noexcept;                   // stop, shutdown, halt
    void kill_now() noexcept;                             // with the handler that is under way
    void interrupt() noexcept;                            // that one's waits, after an order
    void post_system(message_node* m) noexcept;           // takes it; disposes of it if the actor has ended
    [[nodiscard]] actor_extra& need_extra();              // throws std::bad_alloc
    [[nodiscard]] std::string label() const;              // actor 7 "ann" (account)
    [[nodiscard]] std::string started_at() const;         // file:line; empty: unknown
    [[nodiscard]] bool has_ended() const noexcept { return messages.is_closed(); }
    [[nodiscard]] void* state() noexcept { return reinterpret_cast<char*>(this) + sizeof(actor_cell); }

    // ---- the runner
    static void run(void* cell, bool stopped);
    void add_own_ref() noexcept {                         // strong may have been 0
        if (strong.fetch_add(1, relaxed) == 0) add_weak();
    }
    void schedule() noexcept;                             // by whom the mailbox told to

    // ---- one that drops its oldest messages: senders make room, so the mailbox's I7 holds
    void make_room() noexcept;
    [[nodiscard]] std::unique_lock<lowlevel::spin_lock> hold_mailbox() noexcept {
        return full_policy == when_full::drop_oldest ? lock_mailbox() : std::unique_lock<lowlevel::spin_lock>();
    }

    // What senders touch, up to the first half of the mailbox, and what the runner does, from there on: a line each.
    atomic<std::uint32_t> strong{1};
    atomic<std::uint32_t> weak{2};
    actor_system& system;
    std::uint64_t id = 0;
    actor_cell* prev = nullptr;                           // the system's list of the living
    actor_cell* next = nullptr;
    [[no_unique_address]] box messages;                   // its last bytes are free for the next members
    const when_full full_policy;
    atomic<phase> now{phase::alive};
    atomic<std::uint8_t> orders{0};
    std::uint8_t shard = 0;
    exit_kind end_kind = exit_kind::stopped;
    std::uint8_t flags = 0;
    const actor_class& of;
    atomic<actor_extra*> extra{nullptr};
    message_node* current = nullptr;                      // what is being handled
    lowlevel::job_record runner;                          // who runs it; t: nullptr while nobody does, or a moment longer

    static constexpr std::uint8_t has_timers = 1, has_behaviour = 4, has_idle = 16, is_reentrant = 32;
    static constexpr std::uint8_t by_behaviour = 2, is_consumed = 8;    // how the current message is being handled
    static constexpr std::uint8_t lets_go = 64;           // from the end of an object to the next one
    static constexpr std::uint8_t puts_aside = 128;       // a handler that has put its message aside goes on with it
    /// Of the life that is over, or that the caller's handler is leaving because it was stopped; nullopt: it goes on.
    [[nodiscard]] std::optional<exit_reason> end_of_owing() const noexcept;
    /// Of a handler that an exception is leaving, perhaps: an answer it owed to another message than its own. Kept until it
    /// is known what becomes of the actor. False: no memory.
    [[nodiscard]] bool keep_lost(reply_cell& r) noexcept;
    /// The same of the answer to its own message, which is kept there.
    void notice_loss() noexcept;
    /// From the handler's tasklet, which begins to wait: if no exception is on its way any more, then whoever is owed an
    /// answer that one has taken along hears now that none will come. He may be whom it waits for.
    void own_up() noexcept;

    /// The first n that were put aside, for unstash(); not those in the hands of a handler, if not `held_too`.
    void put_back_stash(actor_extra& e, std::size_t n, bool held_too) noexcept;

    // ---- reentrant ones: the waits of their handlers, from the handlers' tasklets
    void put_aside(lowlevel::watched_wait& w) noexcept;
    void line_up(lowlevel::watched_wait& w) noexcept;

private:
    [[nodiscard]] std::unique_lock<lowlevel::spin_lock> lock_mailbox() noexcept;
    void activate(bool was_stopped);
    bool look_round();
    bool obey(std::uint8_t o, message_node*& list);
    bool end_as_ordered(std::uint8_t o) noexcept;
    bool handle(message_node& m);
    bool handle_one(message_node& m);                     // the same, out of line
    bool fail(message_node& m, std::exception_ptr error);
    [[nodiscard]] bool is_supervised() const noexcept;
    [[nodiscard]] bool is_heard() const noexcept;
    bool end_life(exit_reason why, bool is_reported) noexcept;
    [[nodiscard]] bool has_flights() noexcept;            // handlers that wait, or want to go on
    bool give_way() noexcept;
    void stop_flights() noexcept;
    bool is_idle_too_early() noexcept;
    bool go_down(const exit_reason& why) noexcept;
    bool start_over() noexcept;
    bool stay_down() noexcept;
    void end(exit_reason why, bool is_reported) noexcept;
    bool tell_of_end(actor_extra& e, const exit_reason& why) noexcept;
    void empty_for_good(const exit_reason& why) noexcept;
    void report(const std::exception_ptr& error) const noexcept;      // a crash, as that of its handler's tasklet
    void end_object(const exit_reason& why) noexcept;
    void tell_links(const exit_reason& why) noexcept;
    [[nodiscard]] bool is_awaited(const message_node& down) noexcept;
    void stop_watching() noexcept;
    void settle_lost(const exit_reason* why) noexcept;    // of the calling handler; nullptr: the actor goes on
    void let_out_of_hand(const message_node& m) noexcept; // its handler, which had put it aside, is through
    message_node* take() noexcept;
    message_node* take_under_lock() noexcept;             // of one that drops its oldest, as the next two
    bool rest() noexcept;
    bool rest_under_lock() noexcept;
    void admit_waiting() noexcept;
    void discard(message_node& m) noexcept;               // handled
    void free_handled(message_node& m, std::uintptr_t lines) noexcept;
    void free_under_lock(message_node& m, std::uintptr_t lines) noexcept;
    void empty_mailbox(dead_letter_reason why, const exit_reason& end) noexcept;
    void bury_left(message_node& m, dead_letter_reason why, const exit_reason& end) noexcept;
    void hand_over() noexcept;                            // to a new activation, at the tail
    void free_memory() noexcept;                          // of one that its system does not know any more
    void destroy() noexcept;                              // the same, and it has been counted
    [[nodiscard]] bool is_stray_stop() const noexcept;
    [[nodiscard]] bool is_dropped() const noexcept;
    [[nodiscard]] bool is_only_dropped() const noexcept;
    [[nodiscard]] bool may_live_again(std::uint8_t o) const noexcept;
    [[nodiscard]] exit_reason ordered_end(std::uint8_t o) const noexcept;
    [[nodiscard]] exit_reason why_stopped() const noexcept;
    void let_go(const exit_reason& why) noexcept;
};
static_assert(sizeof(actor_cell) == 128);

// ---- what the templates call

/// The system of the calling tasklet's runtime; usage_error with what to do on a plain thread.
[[nodiscard]] actor_system& system_here(const char* call);
[[nodiscard]] actor_system& system_of(lowlevel::home& at);
/// Throws usage_error, as runtime::spawn does, from outside after shutdown().
[[nodiscard]] actor_system& system_to_start_in(lowlevel::home& at);
/// Gives a new cell its place among the living.
void enroll(actor_cell& c, const actor_options& o, std::shared_ptr<supervised>&& under);
[[noreturn]] void throw_too_many_slots(std::size_t slots);

/// Counts the operation, looks for a stop; gives memory for a message.
[[nodiscard]] fresh_block begin_tell(std::size_t lines);
/// What has become of a message that was told.
enum class told : std::uint8_t {
    taken,          ///< it is in the mailbox
    dropped,        ///< a dead letter, by the mailbox's policy
    ended,          ///< a dead letter of an actor that has ended
    late            ///< destroyed: `until` came first
};
/// Takes the message.
told finish_tell(actor_cell& to, message_node* m, lowlevel::time_point until);
inline void finish_tell(actor_cell& to, message_node* m) {
    switch (to.messages.push(m)) {
        case actor_cell::box::pushed::queued: return;
        case actor_cell::box::pushed::scheduled: return to.schedule();
        default: (void)finish_tell(to, m, lowlevel::no_deadline);
    }
}
actor_cell::box::pushed try_push(actor_cell& to, message_node* m) noexcept;
/// Never waits, bound or not: for timers, topics, what the library itself sends. A dead actor: a dead letter.
void push_past_bound(actor_cell& to, message_node* m) noexcept;
void bury(actor_cell& to, message_node* m, dead_letter_reason why) noexcept;

/// The actor whose handler is calling; usage_error if none.
[[nodiscard]] actor_cell& actor_here(const char* call);
[[nodiscard]] actor_cell* actor_here_or_null() noexcept;
/// Does the caller run in a handler of c's, or in what that waits for in rondo::blocking?
[[nodiscard]] bool holds_up(const actor_cell& c) noexcept;
[[noreturn]] void wrong_class(const actor_cell& c, const type_tag& wanted, const char* call);
[[noreturn]] void wrong_answer(const message_ops& ops, const type_tag& wanted);
[[noreturn]] void no_such_actor();
void add_known(atomic<known_message*>& list, known_message& one) noexcept;
[[nodiscard]] const message_ops& known_ops(const actor_cell& c, const type_tag& message, const char* call);
/// Why it has ended, once it has; nullopt: `until` came first. Throws stopped, usage_error.
std::optional<exit_reason> wait_for_end(actor_cell& c, lowlevel::time_point until);
/// Why it has ended; nullopt: not yet, and the node, if there is one, waits for it among the joiners.
std::optional<exit_reason> end_or_enlist(actor_cell& c, lowlevel::wait_node* node);
void withdraw_joiner(actor_cell& c, lowlevel::wait_node& node) noexcept;
void check_ask(const actor_cell& to);

template <class A>
[[nodiscard]] A& state_of(actor_cell& c) noexcept {
    return *static_cast<A*>(c.state());
}

}  // namespace detail
}  // namespace rondo
