// The door through which channels, locks and actors reach the scheduler: how a tasklet, or a plain thread, waits.
//
// Waiter: whoever can wait (a tasklet or a plain thread). It waits for one thing at a time; several parties may reach
// for it at once (a partner, a timer, a stop request), and one compare-and-swap on `word` decides.
//
//   word      {generation:32 | failing scopes:15 | asked:1 | outcome:8 | flags:8}
//   state     who may leave it          how                                       next
//   closed    the owner's worker,       publish: CAS seq_cst; a plain thread's    open; closed, if a stop came first or
//             after the owner has left  wait: CAS acq_rel                         a partner was missed
//             its stack
//             the owner, enlisting      end_enlisting(): CAS acquire              closed
//             a partner, without lock   claim_published(): CAS acq_rel            early, with an outcome
//   open      partner, timer, stop      claim(): CAS acq_rel; stop_task() and     closed, with an outcome
//                                       interrupt(): CAS seq_cst
//   early     winner, owner's worker    |= settled, |= left: acq_rel              closed, once both have signed
//
// Each way out of closed begins the next generation.
//
// A wait with several nodes (select) links them one after the other while its owner still runs: `enlisting`. Whoever
// finds such a node cannot claim it yet. claim() then says so in the word (`missed`), the node is dropped, and publish
// fails: the owner comes back and begins anew. So nobody waits for an owner that is still enlisting, and no partner
// that came meanwhile is missed.
//
// A wait that is shown without a lock (a lock-free channel's) can be found before its owner has left its stack. Then
// claim_published() wins it early: the generation is the new one already, with an outcome and `early`. The winner moves
// the value; the owner's frame is there, since it cannot go on before both have signed: the winner `settled`, when it is
// done, the owner's worker `left`, once the stack is quiet. The second of the two makes the owner go on.
//
// I1  `open` only after the tasklet has left its stack: a winner never resumes a running tasklet.
// I2  The winner, and nobody else, calls resume(), once, after it has moved the value.
// I3  A node is in at most one list and is only touched under that list's lock; the owner unlinks it under the lock
//     before its frame ends (unlink), so nobody holds a pointer to a dead node.
// I4  A stop request that finds the word closed only sets the stop flag; publish then fails, and the post-switch action
//     claims the wait for the stop. So no stop is lost (Dekker's pattern, within one word).
//     The stop flag stands for two things that may come and go apart: somebody has asked the tasklet to stop (`asked`, for
//     good), or some of its own scopes are failing (their number), each until its end.
// I5  A timer is put into its wheel, and the word opened, under the wheel's lock; it fires under the same lock.
//     So it neither fires before the wait is open nor after cancel() has returned.
// Progress: claim() is lock-free; it retries only when a flag arrives in between. Two selects that enlist with each
//           other at the same time both begin anew: obstruction-free, with a random pause.
// Checked:  tests/model/wait_word_test.cpp walks through every interleaving of owner, partner, timer and stop; the owner's steps
//           are in runtime/src/wait_word.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/atomic.hpp>
#include <rondo/error.hpp>
#include <rondo/lowlevel/solo.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {
class lock_holders;      // how reports find out who holds a lock
}
namespace rondo::lowlevel {

/// Why a wait ended.
enum class wake : std::uint8_t {
    none,
    ready,        ///< a partner has done what was waited for
    closed,       ///< the object was closed
    timed_out,    ///< the `until` of this wait has passed
    stopped,      ///< the waiter was asked to stop: unlink, then raise()
    deadline,     ///< a deadline around the call has passed (rondo::within): unlink, then raise()
};

/// What is waited for: shown in dumps and deadlock reports.
enum class wait_kind : std::uint8_t {
    none, send, receive, select, join, sleep, mutex, shared_mutex, condition, semaphore, event, wait_group, barrier,
    latch, once, scope, blocking, yield, work_queue, mailbox, reply, ending, stop, other
};

using time_point = std::chrono::steady_clock::time_point;
inline constexpr time_point no_deadline = time_point::max();

class waiter;

/// How select waits for a lock, a count and the like: these let it in at two functions, done_or_enlist(me, node) (true: it
/// has gone ahead for `me`; else the node, if there is one, is linked now) and withdraw(node) (of one that was not claimed).
template <class Object, auto... How>
class clause_on;

/// The wait record: kind and object. Who holds that, if it is a lock, reports find there (runtime/src/report.cpp).
struct wait_site {
    wait_kind kind = wait_kind::other;
    const void* object = nullptr;
};

/// Whoever can wait: the base of a tasklet's descriptor and of a plain thread's record. Not for users to make.
class waiter {
public:
    static constexpr std::uint64_t open_flag = 1;
    static constexpr std::uint64_t stop_flag = 2;
    static constexpr std::uint64_t shield_flag = 4;     // this wait is not ended by a stop
    static constexpr std::uint64_t enlisting_flag = 8;  // nodes of the next wait are being linked; owner only
    static constexpr std::uint64_t missed_flag = 16;    // somebody found one of them; it has been dropped
    static constexpr std::uint64_t early_flag = 32;     // claimed before its owner had left
    static constexpr std::uint64_t settled_flag = 64;   // early: the winner is done
    static constexpr std::uint64_t left_flag = 128;     // early: the owner has left
    static constexpr std::uint64_t asked_flag = 1 << 16;         // why the stop flag is set: see I4
    static constexpr std::uint64_t one_failing_scope = 1 << 17;
    static constexpr std::uint64_t kept = stop_flag | 0xffff0000;        // from wait to wait

    // The order of the members is that of use: with the first four of detail::task they fill one cache line, all that a
    // yield or a wait touches.
    rondo::detail::atomic<std::uint64_t> word{0};
    std::int64_t deadline_ns = INT64_MAX;               ///< rondo::within; steady clock; touched by the owner only
    rondo::detail::atomic<const void*> wait_object{nullptr};
    rondo::detail::atomic<std::int64_t> wait_since_ns{0};
    rondo::detail::atomic<wait_kind> kind{wait_kind::none};
    static constexpr std::uint8_t simulated = 2;
    std::uint8_t is_tasklet = 0;                        ///< 0: a plain thread; 2: under testing::explore
    std::uint8_t shield = 0;                            ///< > 0: waits are not ended by a stop (scope ends)
    static constexpr std::uint8_t watched = 1, on_joiner = 2;
    rondo::detail::atomic<std::uint8_t> special{0};     ///< watched: a job whose layer is told of its waits: watch_waits();
                                                        ///< on_joiner: it runs on top of its joiner (detail::task::below)

    static constexpr std::uint32_t generation_of(std::uint64_t w) noexcept { return static_cast<std::uint32_t>(w >> 32); }
    static constexpr wake outcome_of(std::uint64_t w) noexcept { return static_cast<wake>((w >> 8) & 0xff); }

    /// True for the one caller that ends the wait `generation` with `outcome`; that caller must call resume().
    bool claim(std::uint32_t generation, wake outcome) noexcept {
        for (auto w = word.load(rondo::detail::relaxed);;) {
            if (generation_of(w) == generation && (w & open_flag)) {
                const auto next = (w & ~(open_flag | shield_flag | 0xff00)) | (static_cast<std::uint64_t>(outcome) << 8);
                // acq_rel: acquire pairs with the publishing CAS, so that the claimer sees the frame as its owner left
                // it; release hands on what the claimer wrote before. relaxed on failure: a loser reads nothing.
                if (word.compare_exchange_weak(w, next, rondo::detail::acq_rel, rondo::detail::relaxed)) return true;
            } else if (is_enlisting(w, generation) && !(w & missed_flag)) {
                // release: pairs with the owner's acquire when it begins anew; it then sees why. If this fails the wait
                // may have been opened meanwhile.
                if (word.compare_exchange_weak(w, w | missed_flag, rondo::detail::release, rondo::detail::relaxed))
                    return false;
            } else {
                return false;
            }
        }
    }
    enum class hold : std::uint8_t { none, open, early };
    /// As claim(), for a wait shown without a lock (suspend_published): it may be won before it is open. The winner must
    /// call settle() or settle_now(), with what this gives, in place of resume().
    hold claim_published(std::uint32_t generation, wake outcome) noexcept {
        auto w = word.load(rondo::detail::relaxed);
        while (generation_of(w) + 1 == generation && !(w & enlisting_flag)) {
            const auto next = (static_cast<std::uint64_t>(generation) << 32) | (w & kept) | early_flag |
                              (static_cast<std::uint64_t>(outcome) << 8);
            // release: pairs with the acquire of the owner, or its worker, when it signs (`left`); it hands on what the claimer
            // wrote before. What the owner has written came with the reference.
            if (word.compare_exchange_weak(w, next, rondo::detail::acq_rel, rondo::detail::relaxed)) return hold::early;
        }
        return claim(generation, outcome) ? hold::open : hold::none;
    }
    static constexpr bool is_enlisting(std::uint64_t w, std::uint32_t generation) noexcept {
        return (w & enlisting_flag) && generation_of(w) + 1 == generation;
    }
    [[nodiscard]] bool stop_requested() const noexcept { return word.load(rondo::detail::relaxed) & stop_flag; }
    [[nodiscard]] bool is_watched() const noexcept { return special.load(rondo::detail::relaxed) & watched; }
    [[nodiscard]] bool stop_asked() const noexcept { return word.load(rondo::detail::relaxed) & asked_flag; }
};

/// One waiter's entry in a wait list; lives in the waiting frame. One wait may own several (select).
struct wait_node {
    wait_node* prev = nullptr;
    wait_node* next = nullptr;
    waiter* who = nullptr;
    std::uint32_t generation = 0;
    bool linked = false;
    bool claimed = false;          ///< this node has ended the wait: which of a select's
    std::uint8_t tag = 0;          ///< free for the owner of the list
    void* slot = nullptr;          ///< free for the owner of the list: where the value goes to or comes from

    explicit wait_node(waiter& w) noexcept
        : who(&w), generation(waiter::generation_of(w.word.load(rondo::detail::relaxed)) + 1) {}
    wait_node(const wait_node&) = delete;
    wait_node& operator=(const wait_node&) = delete;

    /// True: the caller has ended the wait, and must resume() its owner.
    bool claim(wake outcome) noexcept {
        if (!who->claim(generation, outcome)) return false;
        claimed = true;            // the owner waits for our resume()
        return true;
    }
};

/// Waiters in order of arrival. No lock of its own: its owner's spin lock guards it. All operations O(1).
class wait_list {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] wait_node* front() const noexcept { return head_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push_back(wait_node& n) noexcept {
        n.prev = tail_;
        n.next = nullptr;
        (tail_ ? tail_->next : head_) = &n;
        tail_ = &n;
        n.linked = true;
        ++size_;
    }
    void erase(wait_node& n) noexcept {
        (n.prev ? n.prev->next : head_) = n.next;
        (n.next ? n.next->prev : tail_) = n.prev;
        n.linked = false;
        --size_;
    }
    /// Takes the first waiter whose wait is still open and ends it with `outcome`; those that a timer or a stop
    /// has claimed already are dropped on the way. nullptr: nobody waits. The caller must resume() the result.
    wait_node* claim_front(wake outcome) noexcept {
        while (wait_node* n = head_) {
            erase(*n);
            if (head_) fetch(*head_);
            if (n->claim(outcome)) return n;
        }
        return nullptr;
    }

private:
    // Who has waited for long is cold. Whose turn is next is asked for now, so that it is there by then: its record, and
    // its stack from where it was left to its caller's frame; of the one behind, the node, which says where those are.
    static void fetch(const wait_node& first) noexcept {
        __builtin_prefetch(first.next);
        const auto* const record = reinterpret_cast<const char*>(first.who);
        const auto* const frame = reinterpret_cast<const char*>(&first);
        for (int i = 0; i < 3; ++i) __builtin_prefetch(record + i * 64);
        for (int i = -6; i < 4; ++i) __builtin_prefetch(frame + i * 64);
    }

    wait_node* head_ = nullptr;
    wait_node* tail_ = nullptr;
    std::size_t size_ = 0;
};

/// Where a resumed tasklet goes.
enum class placement : std::uint8_t {
    next,    ///< this worker's next slot: it runs as soon as the current tasklet suspends. A queue while slices are long
    near,    ///< the same, if nobody is there and the tail is far, or is next as well; else the tail
    warm,    ///< as near, if it has been here a moment ago and there is no other worker; else the tail
    tail     ///< the tail of this worker's run queue
};

/// To be called first by every operation that may suspend, before it takes its lock.
///
/// Gives the calling tasklet's waiter, or the calling thread's. Counts the operation against the fairness budget and
/// yields when it is used up. Makes sure that a suspension cannot fail for want of a stack.
/// Throws: `stopped` (a stop was requested; unless shielded), `out_of_memory` (no stack to go on with).
/// Suspends: when the budget of the slice is used up.
waiter& enter();

/// The same, and soloist_here().
struct entry {
    waiter& me;
    soloist* alone;
};
entry enter_here();

/// Would enter() throw `stopped` now? (Not while a shield holds, nor while an exception is on its way.)
[[nodiscard]] bool stop_is_due(const waiter& me) noexcept;
/// Like enter(), for an operation that says itself what a stop comes to: throws no `stopped`.
waiter& enter_though_stopped();

/// Like enter(), for operations that never suspend (try_...): no budget, no stop, no stack.
waiter& self() noexcept;

/// For waits that may not fail: makes sure that a suspension has a stack to go on with; waits for memory if need be.
void ensure_stack() noexcept;

/// Suspends the calling tasklet, or blocks the calling thread, until somebody claims the wait and calls resume().
///
/// Call it with `lock` held and the node(s) linked; it is unlocked once the tasklet has left its stack. Returns the
/// outcome, without throwing; on timed_out, stopped and deadline a node may still be linked: call unlink().
wake suspend(waiter& me, const wait_site& site, spin_lock* lock, time_point until = no_deadline) noexcept;

/// As suspend(), for a wait that others could find before this call: its node's `generation` has been shown to them.
wake suspend_published(waiter& me, std::uint32_t generation, const wait_site& site, time_point until) noexcept;

/// The same without a limit.
wake suspend_published(waiter& me, std::uint32_t generation, wait_kind kind, const void* object) noexcept;

/// As suspend(), and runs `other` (claimed by the caller, a tasklet) on this worker at once.
wake suspend_into(waiter& me, waiter& other, const wait_site& site, spin_lock* lock,
                  time_point until = no_deadline) noexcept;

/// For a wait with several nodes: call begin_enlisting(), then link them one by one, each under its own list's lock, then
/// suspend() without a lock. suspend() gives wake::none if somebody has found a node in between: take all of them out,
/// pause(), begin anew. Until then missed() says the same, for those who would rather not link the rest.
void begin_enlisting(waiter& me) noexcept;
[[nodiscard]] bool missed(const waiter& me) noexcept;
/// Instead of suspend(), once all nodes are out again: there is no need to wait.
void end_enlisting(waiter& me) noexcept;
/// A short random pause, longer in later rounds.
void pause(unsigned round) noexcept;

/// Takes the node out of its list if it is still there. Call it when suspend() did not return ready.
inline void unlink(spin_lock& lock, wait_list& list, wait_node& node) noexcept {
    lock.lock();
    if (node.linked) list.erase(node);
    lock.unlock();
}

/// For the end of an operation that never suspends, such as unlock(): under testing::explore another tasklet may go on
/// here. Not while a spin lock is held.
void point(waiter& me) noexcept;
inline void after_operation(waiter& me) noexcept {
    if (me.is_tasklet == waiter::simulated) [[unlikely]] point(me);
}

/// Throws what `outcome` says: stopped or deadline. Returns for the others.
void raise(wake outcome);

/// Can anybody else make progress while the caller keeps its worker? Not on a runtime with one worker.
[[nodiscard]] bool others_may_run() noexcept;

/// A random number: the worker's, or a testing world's, or the thread's own.
[[nodiscard]] std::uint32_t random() noexcept;

/// The time that timeouts are measured in: the steady clock, or the virtual one of a testing world.
[[nodiscard]] time_point now() noexcept;

/// Makes a claimed waiter go on. From any thread. Never suspends.
void resume(waiter& who, placement where = placement::next) noexcept;

/// Makes a claimed waiter go on now: it takes over this worker, and the calling tasklet goes to the tail of the run
/// queue. Falls back to resume(who, tail) where that is impossible (plain thread, other runtime, budget used up).
/// Suspends: yes. Does not look for a stop.
void resume_now(waiter& who) noexcept;

/// As resume() and resume_now(), for what claim_published() has given. An early one goes on once it has left.
void settle(waiter& who, waiter::hold how, placement where) noexcept;
void settle_now(waiter& who, waiter::hold how) noexcept;

/// A scope of `who` fails: ends its current wait with a stop, and lets its later waits end the same way until forgive() has
/// been called as often, by `who`. From any thread, for as long as the caller knows that `who` lives.
void interrupt(waiter& who) noexcept;
void forgive(waiter& who) noexcept;

/// While it lives, the waits of the calling tasklet are not ended by a stop or by a deadline.
class shield {
public:
    shield() noexcept : me_(self()), deadline_(me_.deadline_ns) { ++me_.shield; me_.deadline_ns = INT64_MAX; }
    ~shield() { --me_.shield; me_.deadline_ns = deadline_; }
    shield(const shield&) = delete;
    shield& operator=(const shield&) = delete;

private:
    waiter& me_;
    std::int64_t deadline_;
};

}  // namespace rondo::lowlevel
