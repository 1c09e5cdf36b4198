// An actor's mailbox: any number of senders, one runner at a time. One compare-and-swap both puts a message in and
// decides who schedules the actor (the idea is Pony's: S. Clebsch et al., "Fully concurrent garbage collection of
// actors on many-core machines", 2013, whose senders use an exchange; ours counts in the same word, so that a bound
// costs no second operation). Messages form a stack that the runner turns round (R. K. Treiber, 1986).
//
//   word_   {pushes:16 | newest message:42 | flags:6}
//   flag      set by                          cleared by                 means
//   idle      the runner, CAS, when empty     a sender, CAS              nobody runs or will run the actor
//   held      the runner, CAS                 signal(), CAS              only a signal schedules it
//   signalled signal(), CAS                   the runner, CAS            the system lane has something
//   waiting   a sender that found it full,    the runner, or a sender    senders wait for room
//             CAS, under the list's lock      that finds room after all:
//                                             fetch_and, under that lock
//   closed    the runner; stays               nobody                     the actor has ended (one that nobody refers to any
//                                                                        more ends without it)
//
//   rounds_   the sender whose push brings `pushes` round to 0 adds one, a moment later
//   handled_  the runner only: how many messages have left (mod 2^32), but for a few that it counts in unpublished_
//   fifo_, kept_  the runner only: taken messages, oldest first; the message that word_ still points to
//   system_   anybody pushes (CAS), the runner takes all (exchange): the system lane, never bounded
//   urgent_   who signals sets it, before and after its CAS, the runner clears it and then `signalled`: a copy of that in the
//             runner's own line. A hint, all relaxed: what it misses is found before the runner rests (I2)
//
// The depth is rounds_ * 2^16 + pushes - handled_, of which a reader may miss some rounds: while less than 2^16 wait it
// is exact all the same, since a difference below 0 tells; beyond, it may seem a multiple of 2^16 less for a moment.
//
// I1  Whoever clears idle or held schedules the actor, once; nobody else does. So there is one runner at a time, and
//     the runner's fields are handed on through word_ and the run queue.
// I2  The runner does not go idle while signalled or waiting is set, nor while a message is there: its CAS expects
//     exactly {pushes, kept_, no flags}. So no signal, no message and no waiting sender is left behind.
// I3  word_ points to the newest message until the runner goes idle; its memory stays valid that long (kept_), even
//     if it has been handled. A sender only copies that pointer into its own message's link and never follows it.
// I4  A full mailbox is one with `waiting` set or pushes - handled_ >= slots. A sender that sets `waiting` and then,
//     still, sees no room, may sleep: the runner looks at `waiting` after it has stored handled_, with a fence between
//     if the mailbox was half full or is a small one (it would have to fill up while a store becomes visible), and
//     before it rests by a read-modify-write in any case.
// I5  After close() nothing enters. A signal that came too late is taken out by the one who sees `closed`.
// I6  Who calls signal() or nudge() keeps the mailbox alive meanwhile.
// I7  Where senders may take the oldest message out (take_if_full), they and the runner do what is the runner's under
//     one lock; then the mailbox never holds more than its slots, and nobody waits for room.
// I8  The link of a message that has not been taken also says where an earlier one lies (way_to). That is a hint: what is
//     there is asked for, never read.
// Progress: push is lock-free, take wait-free but for what it must turn round.
// Dropped:  a queue with a stub node (one more message per idle actor); a separate counter for the bound (5 ns a tell);
//           a runner that has caught up with a sender and pauses, so that its next look finds more (no faster);
//           leaving it to the runner to drop what is too much: one that waits in a handler does not come to it.
// Checked:  tests/model/mailbox_test.cpp; tests/stress/actor_stress_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

/// Node: has `next`, `is_spent()` and lies at a multiple of 64 below 2^48.
template <class Node>
class mailbox {
public:
    enum class pushed : std::uint8_t {
        queued,     ///< whoever runs the actor will see it
        scheduled,  ///< the same, and the caller must schedule the actor
        full,       ///< not taken
        closed      ///< not taken
    };
    static constexpr std::size_t most_slots = 32'767;

    /// slots: 0: no bound. Idle from the start, or held by the caller. `is_exact`: room that a large one has is seen at
    /// once, by senders who would not wait for it; else up to 15 messages later.
    explicit mailbox(std::size_t slots, bool is_held = false, bool is_exact = false) noexcept
        : word_(is_held ? held : idle),
          slots_(static_cast<std::uint16_t>(slots)),
          unpublished_(0),
          publishes_at_once_(is_exact || slots < 64) {}

    // ---- anybody

    /// `force`: bound or not. n->next may name a node that was put in some time before, best by the same sender.
    pushed push(Node* n, bool force = false) noexcept {
        const auto earlier = way_to(n, n->next);
        const bool is_bounded = slots_ != 0 && !force;
        const auto r = is_bounded ? rounds() : 0;
        auto w = word_.load(relaxed);
        for (;;) {
            if (w & closed) {
                (void)word_.load(acquire);               // pairs with close(): why it ended is then seen
                return pushed::closed;
            }
            if (is_bounded && ((w & waiting) || depth_of(w, r) >= slots_)) [[unlikely]] {
                // An old word_ beside a new handled_ would seem full, so we look again. relaxed: it is not older than
                // what the runner saw that stored handled_, with which depth_of() synchronizes.
                if (const auto before = std::exchange(w, word_.load(relaxed)); before != w) continue;
                return pushed::full;
            }
            n->next = link_to(node_of(w), earlier);
            const auto next = ((w & ~(node_bits | idle)) + one_push) | bits_of(n);
            // acq_rel: release pairs with the acquire in take(), which then sees *n; acquire pairs with the release in
            // rest(), so that what the last runner did reaches the next one by way of us. relaxed on failure: retried.
            if (!word_.compare_exchange_weak(w, next, acq_rel, relaxed)) continue;
            // release: pairs with the acquire in depth_of(): who sees the new round sees no word_ of the old one.
            if (next < one_push) [[unlikely]] rounds_.fetch_add(1, release);
            return w & idle ? pushed::scheduled : pushed::queued;
        }
    }

    /// Puts a system message in. True: the caller must schedule the actor. False with `*late` set: the actor has ended,
    /// and the caller must take_system() and dispose of what it gets.
    bool signal(Node* n, bool* late) noexcept {
        Node* head = system_.load(relaxed);
        do n->next = head;
        // release: pairs with the acquire in take_system().
        while (!system_.compare_exchange_weak(head, n, release, relaxed));
        return nudge(late);
    }
    /// A signal without a message: the runner shall look round.
    bool nudge(bool* late) noexcept {
        urgent_.store(true, relaxed);
        auto w = word_.load(relaxed);
        for (;;) {
            if (w & closed) {
                *late = true;
                return false;
            }
            // acq_rel: as in push().
            if (word_.compare_exchange_weak(w, (w & ~(idle | held)) | signalled, acq_rel, acquire)) {
                urgent_.store(true, relaxed);            // again: the runner may have cleared it in between
                return w & (idle | held);
            }
        }
    }
    /// Oldest first.
    Node* take_system() noexcept {
        // relaxed: what came with a signal that has been seen, or before close(), is there; for the rest another will come.
        if (!has_system()) return nullptr;
        Node* newest = system_.exchange(nullptr, acquire);   // pairs with the release in signal()
        Node* oldest = nullptr;
        while (newest) {
            Node* after = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = after;
        }
        return oldest;
    }

    /// Under the lock of the list of waiting senders: shall this one wait? False: try again.
    bool begin_waiting(bool list_is_empty) noexcept {
        const auto r = rounds();
        auto w = word_.load(relaxed);
        for (;;) {
            if (w & closed) return false;
            if ((w & waiting) && !list_is_empty) return true;
            if (depth_of(w, r) < slots_) {
                if (w & waiting) end_waiting();          // those who waited have given up
                return false;
            }
            // seq_cst: see I4. If the runner's CAS came first we now see its handled_; and it keeps this store apart
            // from our load of handled_, as the fence in count_handled() keeps that store apart from the runner's look.
            if (word_.compare_exchange_weak(w, w | waiting, seq_cst, relaxed)) {
                fence_seq_cst();
                if (depth_of(w, r) >= slots_) return true;
                end_waiting();
                return false;
            }
        }
    }
    /// How many messages wait. A snapshot.
    [[nodiscard]] std::size_t depth() const noexcept { return depth_of(); }
    // acquire: pairs with the release in close(): who finds it closed sees how the actor has ended.
    [[nodiscard]] bool is_closed() const noexcept { return word_.load(acquire) & closed; }
    [[nodiscard]] bool is_idle() const noexcept { return word_.load(relaxed) & (idle | held); }
    [[nodiscard]] std::size_t slots() const noexcept { return slots_; }

    // ---- the runner

    /// Has anything been signalled since the last see_signal()? To be looked at before each message.
    [[nodiscard]] bool is_urgent() const noexcept { return urgent_.load(relaxed); }
    /// The same, when there is nothing else to do.
    [[nodiscard]] bool is_signalled() const noexcept { return word_.load(relaxed) & signalled; }
    /// Has a signal brought anything? Known once the signal has been seen.
    [[nodiscard]] bool has_system() const noexcept { return system_.load(relaxed) != nullptr; }
    /// Takes note of the signal; then take_system().
    void see_signal() noexcept {
        urgent_.store(false, relaxed);
        word_.fetch_and(~signalled, acq_rel);            // pairs with nudge(): a later one sets urgent_ after this
    }

    /// The oldest message, or nullptr. Free: how to give back a message that word_ pointed to.
    template <class Free>
    Node* take(Free&& free) noexcept {
        if (!fifo_) {
            const auto w = word_.load(acquire);          // pairs with the release in push()
            Node* const newest = node_of(w);
            if (newest == kept_) return nullptr;
            for (Node* n = newest; n != kept_;) {
                Node* const older = follow(n);
                n->next = fifo_;
                fifo_ = n;
                n = older;
            }
            Node* const before = kept_;
            kept_ = newest;
            if (before && before->is_spent()) free(before);
        }
        Node* n = fifo_;
        fifo_ = n->next;
        count_handled();
        return n;
    }
    /// May this handled message be freed? If not, take() or rest() will, once it is_spent().
    [[nodiscard]] bool is_kept(const Node* n) const noexcept { return n == kept_; }
    /// Puts messages that were taken back in front.
    void put_back(Node* oldest, Node* newest, std::size_t n) noexcept {
        newest->next = fifo_;
        fifo_ = oldest;
        publish_handled(-static_cast<std::int32_t>(n));
    }
    /// After take(): has the number of handled ones been published, so that others may see new room?
    [[nodiscard]] bool has_published() const noexcept { return unpublished_ == 0; }
    [[nodiscard]] bool has_waiting() const noexcept { return word_.load(relaxed) & waiting; }
    [[nodiscard]] bool has_room() const noexcept { return !slots_ || depth_of() < slots_; }
    /// For senders, under the lock of I7: the oldest message if there is no room, else nullptr.
    template <class Free>
    Node* take_if_full(Free&& free) noexcept {
        publish_handled();
        return has_room() ? nullptr : take(free);
    }
    /// Under the lock of the list of waiting senders, when it is empty.
    void end_waiting() noexcept { word_.fetch_and(~waiting, acq_rel); }   // pairs with begin_waiting()

    /// Goes idle if there is nothing to do; true: the runner is none any more. Call it when take() gave nullptr.
    template <class Free>
    bool rest(Free&& free) noexcept {
        auto w = word_.load(relaxed);
        Node* const before = kept_;
        if (fifo_ || node_of(w) != before || (w & flag_bits)) return false;
        const bool spent = before && before->is_spent();
        if (unpublished_ != 0) publish_handled();
        kept_ = nullptr;
        // release: pairs with the acquire in push() and nudge(). On failure there is more to do.
        if (!word_.compare_exchange_strong(w, (w & ~node_bits) | idle, acq_rel, relaxed)) {
            kept_ = before;
            return false;
        }
        // If it is spent it is ours alone; the next runner may be at work, and *this be gone.
        if (spent) free(before);
        return true;
    }
    /// From now on only a signal schedules the actor; false: there is one.
    bool hold() noexcept {
        publish_handled();
        auto w = word_.load(relaxed);
        do {
            if (w & signalled) return false;
        } while (!word_.compare_exchange_weak(w, w | held, acq_rel, relaxed));    // as in rest()
        return true;
    }
    /// Nothing enters from now on. What had come in can still be taken.
    void close() noexcept { word_.fetch_or(closed, acq_rel); }     // release: pairs with the acquire in push(), is_closed()
    /// After close(), or once nobody can push any more, when take() gives nullptr.
    template <class Free>
    void forget_kept(Free&& free) noexcept {
        Node* const before = kept_;
        kept_ = nullptr;
        // Nobody pushes any more. A sender that has just found room after all may yet take `waiting` out: no matter who wins.
        // release: as close(), for who finds it closed reads this (push(), is_closed()).
        word_.store(word_.load(relaxed) & ~node_bits, release);
        if (before && before->is_spent()) free(before);
    }

private:
    static constexpr std::uint64_t idle = 1, held = 2, signalled = 4, waiting = 8, closed = 16, flag_bits = 63;
    static constexpr unsigned push_shift = 48;
    static constexpr std::uint64_t one_push = std::uint64_t{1} << push_shift;
    static constexpr std::uint64_t node_bits = (one_push - 1) & ~flag_bits;

    static Node* node_of(std::uint64_t w) noexcept { return reinterpret_cast<Node*>(w & node_bits); }
    static std::uint64_t bits_of(const Node* n) noexcept { return reinterpret_cast<std::uint64_t>(n); }
    std::uint32_t depth_of(std::uint64_t w, std::uint32_t rounds) const noexcept {
        // acquire: pairs with the release in publish_handled(); see push().
        const auto pushes = rounds << 16 | static_cast<std::uint32_t>(w >> push_shift);
        const std::uint32_t n = pushes - handled_.load(acquire);
        return n < std::uint32_t{1} << 31 ? n : n & 0xffff;    // below 0: rounds are missing, or w is old
    }
    // acquire: pairs with the release in push(); a word_ that is looked at afterwards is not of a round before.
    std::uint32_t rounds() const noexcept { return rounds_.load(acquire); }
    std::uint32_t depth_of() const noexcept {
        const auto r = rounds();
        return depth_of(word_.load(relaxed), r);
    }
    void count_handled() noexcept {
        // Small mailboxes: at once. Large ones: now and then, so that senders do not miss their cache each time.
        if (fifo_ && !publishes_at_once_ && unpublished_ < 15) {
            ++unpublished_;
            return;
        }
        publish_handled(1);
        if (slots_ && (slots_ < 64 || (!is_last() && 2 * depth_of() >= slots_))) fence_seq_cst();    // see I4
    }
    // Nothing has come since what has been taken, which is nothing any more: most often so, and sooner said than how many.
    [[nodiscard]] bool is_last() const noexcept { return !fifo_ && node_of(word_.load(relaxed)) == kept_; }
    // more: so many that are not in unpublished_; of those put back, less than none. release: pairs with the acquire in depth_of().
    void publish_handled(std::int32_t more = 0) noexcept {
        const auto n = handled_.load(relaxed) + unpublished_ + static_cast<std::uint32_t>(more);
        unpublished_ = 0;
        handled_.store(n, release);
    }

    // The link of a message that has not been taken: {lines to an earlier one:22 | the one before:42}. That one follows only
    // once this one has come from the sender's cache; the earlier one, which will be needed soon, is asked for meanwhile.
    static std::uint64_t way_to(const Node* n, const Node* earlier) noexcept {
        return earlier ? (bits_of(earlier) - bits_of(n)) / 64 << 42 : 0;
    }
    static Node* link_to(Node* before, std::uint64_t earlier) noexcept {
        return reinterpret_cast<Node*>(bits_of(before) / 64 | earlier);
    }
    static Node* follow(const Node* n) noexcept {
        const auto link = bits_of(n->next);
        fetch_to_write(reinterpret_cast<const char*>(n) + (static_cast<std::int64_t>(link) >> 42) * 64);
        return reinterpret_cast<Node*>((link & ((std::uint64_t{1} << 42) - 1)) * 64);
    }

    // Senders' and runner's in separate lines, if a line ends after 24 bytes (actor_cell.hpp).
    atomic<std::uint64_t> word_;
    atomic<Node*> system_{nullptr};
    atomic<std::uint32_t> handled_{0};
    const std::uint16_t slots_;
    atomic<std::uint16_t> rounds_{0};

    Node* fifo_ = nullptr;
    Node* kept_ = nullptr;
    atomic<bool> urgent_{false};
    // What is small comes last: an actor's own small members follow.
    std::uint8_t unpublished_ : 7;
    const std::uint8_t publishes_at_once_ : 1;
};

}  // namespace rondo::detail
