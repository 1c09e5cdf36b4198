// Where senders and receivers meet without a lock: two-party cells on fetch-and-add tickets.
//
// After N. Koval, D. Alistarh, R. Elizarov, "Fast and scalable channels in Kotlin coroutines" (2023), reduced for
// tasklets with stacks: a cell never holds a value. A send and a receive take tickets from one counter each; equal tickets
// meet in one cell, which therefore has at most one visitor from either side. Who comes first leaves a reference to its
// waiting frame there and suspends; who comes second claims that wait, moves the value between the frames, resumes.
//
// A queue that keeps is the same with senders that never wait: post() leaves the address of what it sends, an item, in
// its cell and goes on. Channels with slots are made of two of these (slots_channel.hpp).
//
//   cell        who may change it                     how                             next
//   empty       the first visitor                     CAS release                     a wait_node's address
//               post()                                CAS release                     item
//               a try that comes before its post      CAS                             dead
//               close()                               CAS                             closed
//   item        the second visitor, or a try          store release                   done
//   node        the second visitor, or a try, after   store release                   done
//               it has tried to claim the wait
//               close(), likewise                     store release                   done
//               its owner, when its wait has ended    CAS                             dead
//               for another reason
//   dead        the second visitor, or trim()         store release                   done
//               sweep(), once the segment is unlinked store relaxed                   done
//   done, closed: nobody, until the segment is used again
//
// After close() tickets are refused; but a receive of a queue that keeps still gets those that a post has had (end_).
//
// Cells lie in segments, linked by `next`. A counter is one word: {closed | the segment's incarnation | its index | the
// position of the next ticket in it}, so that a ticket names its segment and nobody holds a pointer that might be stale:
// the owner of a ticket that has not visited its cell keeps the segment in place. Positions past the end mean that the
// word must be moved on to the next segment first; everybody who sees that helps, by compare-and-swap. Segments live in
// type-stable memory (cell_store): reading one that has been given back is harmless, and the incarnation in the word, and
// in `next`, makes the compare-and-swap fail that would follow from it.
//
//   segment     in use until both counters have left it (`left`) and all its cells are done, or until it has been unlinked:
//               then spare, or back to the store. If a second visitor is not done yet, or somebody walks along the
//               segments, it waits in limbo_ and is looked at again when the next one is left.
//   link        {a segment's incarnation | the index of the next | who has entered that}: the next is set once, by CAS;
//               a counter's `entered` by CAS, before it moves there; sweep() lets it name the one after the next, by CAS.
//
// I1  Tickets count up and are never given back. Try and trim take one only together with a partner, an item or a dead
//     cell that they have seen (compare-and-swap instead of fetch-and-add); or, in a queue that keeps, that of a post
//     which is on its way: it finds its cell dead and takes the next. So a try finds what has been posted before it,
//     though a post before that one has not come to its cell yet.
// I2  A cell's first visitor writes who_ and generation_ of its own side before it publishes its node; nobody else does.
// I3  A reference {waiter, generation} in a cell may be stale: its wait was ended by a stop or a limit. Claiming it
//     fails then, by the generation (waiters are type-stable). The node itself is touched only after a claim was won.
// I4  A plain operation can be claimed as soon as it is published, before it has left its stack (claim_published). So a
//     send and a receive that meet never both begin anew; only a select that is still enlisting makes its partner take
//     the next ticket.
// I5  Whoever gives up touches, after its wait, its cell (by a CAS that expects its own node's address, which nobody
//     else can have put anywhere) but never the queue, unless it holds a pin: close() may have ended with the queue gone.
// I6  Dead cells are passed over by the other side's next ticket, or trimmed: by whoever gives up with a pin, and each
//     time a counter goes on to the next segment. What is left between two who still wait goes by whole segments: once
//     there are twice as many as a sweep has left, the next one unlinks those of which all cells are dead. So there are
//     never more than twice as many as hold somebody who waits, or an item, and a few.
// I7  In a queue that keeps, cells hold items only between the receives' counter and the posts', waits only between the
//     posts' and the receives'; and whoever has a ticket before end_ meets its post, for that is on its way.
// I8  A segment is unlinked only while the counter behind has not entered it, which then it never will (both are changes
//     of one link), and after the one ahead has left it. It is used again only when nobody walks: a walker says so
//     (walkers_), then reads the counters; who frees has moved counters or links, then reads walkers_. Dekker's pattern:
//     one of them sees the other.
// I9  Of somebody who is alone with the queue (arrive_alone and so on: lowlevel/solo.hpp) a load and a store do for each
//     read-modify-write. But for walkers_ and the fence beside it: who only looks (balance) need not have opened the queue.
// I10 Beside its word a counter has hints for the processor: where the record and the frame lie of who enlisted last on that
//     side. They are prefetched and never read, so it does not matter that they are stale, or of two different waiters; nor, but
//     for the time, that of several who wait another one comes first.
// Orders, where an operation says nothing else:
//   a cell's state      a node or an item is left there by a release, and who comes second finds it by an acquire: it sees what
//                       that refers to. `done` likewise, for is_done(): the visitor has gone, the segment may be used again.
//   a counter's word,   moved on, or linked, by a release; who finds the segment there by an acquire sees it as it was made, and
//   a link              in the word what those have done who had the tickets before.
//   left, limbo_,       who puts a segment there releases, who takes it from there acquires: it is used again after all that was
//   spare_              done with it. Of who is alone the stores are releases for those who come after open().
// Progress: send, post and receive are lock-free: each step fails only because somebody else has got ahead. Select: see
//           channels/src/select.cpp. A post waits for memory if there is none for a segment.
// Dropped: publishing only after the tasklet has left its stack (then a late publisher may hit a cell that is used again,
//          or everybody needs hazard pointers); 1 as tickets' unit for try (it would burn tickets).
// Checked: tests/model/cell_queue_test.cpp, tests/stress/channel_stress_test.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/solo.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

enum class side : std::uint8_t { send, receive };
constexpr side other(side s) noexcept { return s == side::send ? side::receive : side::send; }

/// Where one send and one receive meet.
struct cell {
    static constexpr std::uintptr_t empty = 0, dead = 1, done = 2, closed = 3;
    static constexpr std::uintptr_t item = 4;       // the address of one, and this; else a wait_node's address

    atomic<std::uintptr_t> state{empty};
    lowlevel::waiter* who[2];                       // by side; see I2
    std::uint32_t generation[2];
};

/// Cells is how many a segment has: few in models.
template <std::size_t Cells>
struct alignas(64) cell_segment {
    static constexpr std::size_t cells = Cells;

    atomic<std::uint64_t> next{0};                  // {entered:2 | 0 | incarnation of this one:28 | index of the next:24}
    atomic<std::uint64_t> base{0};                  // the ticket of its first cell
    atomic<std::uint32_t> incarnation{0};
    atomic<std::uint32_t> left{0};                  // which counters have left it
    atomic<std::uint32_t> link{0};                  // in limbo_, or in the store
    cell at[Cells];
};

/// Who was met, or what else happened. Fits into two registers: by way of memory it cost as much as a locked instruction.
struct meeting {
    enum class kind : std::uint8_t { met, waits, closed, found, left };
    kind what = kind::waits;
    lowlevel::waiter::hold how = lowlevel::waiter::hold::none;
    void* with = nullptr;

    [[nodiscard]] bool is_met() const noexcept { return what == kind::met; }
    /// met: claimed; its slot is ours until settle().
    [[nodiscard]] lowlevel::wait_node& node() const noexcept { return *static_cast<lowlevel::wait_node*>(with); }
    /// waits: where our own node is. Else nullptr.
    [[nodiscard]] cell* at() const noexcept { return what == kind::waits ? static_cast<cell*>(with) : nullptr; }
    /// found: what lay there.
    template <class T>
    [[nodiscard]] T& item() const noexcept {
        return *static_cast<T*>(with);
    }
};
static_assert(sizeof(meeting) <= 2 * sizeof(void*));

/// Store: segment, segment& operator[](index), index allocate() (0: no memory), release(index), settle(waiter&, hold),
/// wait_for_memory(round), first_sweep: with how many segments the first sweep comes.
/// Keeps: senders never wait, and what they post is kept.
template <class Store, bool Keeps = false>
class cell_queue {
    using segment = typename Store::segment;
    using waiter = lowlevel::waiter;
    using wake = lowlevel::wake;

public:
    explicit cell_queue(Store store = {}) noexcept : store_(store) {}
    cell_queue(const cell_queue&) = delete;
    cell_queue& operator=(const cell_queue&) = delete;
    ~cell_queue() {                                 // nobody waits any more, and nobody is inside
        const auto s = index(counters_[0].word.load(relaxed)), r = index(counters_[1].word.load(relaxed));
        std::uint32_t at;
        if (s && r) at = store_[s].base.load(relaxed) < store_[r].base.load(relaxed) ? s : r;
        else at = next_in(first_.load(relaxed));
        while (at != 0) {
            const auto next = next_in(store_[at].next.load(relaxed));
            give_back(at);
            at = next;
        }
        for (at = limbo_.load(acquire); at != 0;) {
            const auto next = store_[at].link.load(relaxed);
            give_back(at);
            at = next;
        }
        if (at = spare_.load(relaxed); at != 0) store_.release(at);
    }

    /// Takes a ticket and meets whoever is there; else publishes `node` (its slot set). With what == waits the caller
    /// must suspend_published(), or, a select, suspend(). met: the claimed partner's. Throws std::bad_alloc.
    [[gnu::always_inline]] meeting arrive(side mine, waiter& me, lowlevel::wait_node& node) {
        if constexpr (!Keeps) fetch_waiter(other(mine));     // else nobody waits there, and others may be busy with that line
        for (;;) {
            cell* const c = take_ticket(mine);
            if (!c) return {.what = meeting::kind::closed};
            // acquire: pairs with the publishing CAS of the other side.
            auto seen = c->state.load(acquire);
            if (seen == cell::empty) {
                note_waiter(mine, me, node);
                c->who[static_cast<unsigned>(mine)] = &me;
                c->generation[static_cast<unsigned>(mine)] = node.generation;
                // release: whoever finds the node sees who, generation and our frame. acquire: as above.
                if (c->state.compare_exchange_strong(seen, reinterpret_cast<std::uintptr_t>(&node), acq_rel, acquire))
                    return {.what = meeting::kind::waits, .with = c};
            }
            if (seen == cell::closed) return {.what = meeting::kind::closed};
            if (seen & cell::item) return found(*c, seen);
            if (seen == cell::dead) {
                // release: pairs with the acquire in is_done(), as every `done` does.
                c->state.store(cell::done, release);
                continue;
            }
            if (const meeting m = meet(*c, seen, mine); m.is_met()) return m;
        }
    }
    /// The same, of who is alone with the queue (lowlevel/solo.hpp): the usual cases without locked instructions.
    meeting arrive_alone(side mine, waiter& me, lowlevel::wait_node& node) {
        const glance next = look_alone(mine);
        if (next.is_empty()) return wait_alone(*next.at, mine, me, node);
        if (const meeting m = meet_alone(next, mine); m.is_met()) return m;
        return arrive_out_of_line(mine, me, node);
    }
    /// One or the other. whose: the bias of what the queue belongs to; alone: whom it was claimed for.
    meeting arrive_in_turn(lowlevel::bias& whose, lowlevel::soloist* alone, side mine, waiter& me, lowlevel::wait_node& node) {
        if (alone)
            if (const lowlevel::turn ours(whose, *alone); ours) return arrive_alone(mine, me, node);
        return arrive_out_of_line(mine, me, node);
    }
    [[gnu::noinline]] meeting arrive_out_of_line(side mine, waiter& me, lowlevel::wait_node& node) {
        return arrive(mine, me, node);
    }
    /// Of who is alone with the queue: what is at our side's next ticket.
    struct glance {
        cell* at = nullptr;
        std::uintptr_t seen = cell::dead;           // the same if it cannot be said: it has to be done as others do it
        [[nodiscard]] bool is_node() const noexcept { return cell_queue::is_node(seen); }
        [[nodiscard]] bool is_empty() const noexcept { return seen == cell::empty; }
    };
    glance look_alone(side mine) noexcept {
        fetch_waiter(other(mine));
        cell* c = next_cell(mine);
        if (!c && !(c = next_segment_alone(mine))) [[unlikely]] return {};
        return {c, c->state.load(relaxed)};
    }
    /// Takes that ticket, where at is empty, and leaves the node there. In a later turn, too, if nobody has done anything since.
    meeting wait_alone(cell& at, side mine, waiter& me, lowlevel::wait_node& node) noexcept {
        pass(mine);
        note_waiter(mine, me, node);
        at.who[static_cast<unsigned>(mine)] = &me;
        at.generation[static_cast<unsigned>(mine)] = node.generation;
        at.state.store(reinterpret_cast<std::uintptr_t>(&node), release);
        return {.what = meeting::kind::waits, .with = &at};
    }
    /// Takes that ticket and meets who waits there. {}: nobody does, or does any more.
    meeting meet_alone(const glance& next, side mine) noexcept {
        if (!next.is_node()) return {};
        pass(mine);
        return meet(*next.at, next.seen, mine);
    }

    /// For others than who is alone: does somebody seem to wait for our side's next ticket?
    [[nodiscard]] bool is_awaited(side mine) noexcept {
        // acquire: as in take_ticket(). If w is stale it is not so for sure, which try_arrive() finds out.
        const auto w = counters_[static_cast<unsigned>(mine)].word.load(acquire);
        if (position(w) >= segment::cells || !is_node(store_[index(w)].at[position(w)].state.load(relaxed))) return false;
        fetch_waiter(other(mine));                  // not before: others may be busy with that line
        return true;
    }
    /// As arrive(), but only if somebody waits on the other side, or an item lies there.
    meeting try_arrive(side mine) noexcept { return advance_over(mine, true); }

    /// Only in a queue that keeps: hands `item` to who waits for one (met), or leaves it there. Else closed.
    meeting post(void* item) noexcept {
        for (unsigned round = 0;;) {
            cell* c;
            try {
                c = take_ticket(side::send);
            } catch (const std::bad_alloc&) {
                store_.wait_for_memory(round++);
                continue;
            }
            if (!c) return {.what = meeting::kind::closed};
            auto seen = c->state.load(acquire);
            if (seen == cell::empty) {
                // release: whoever finds the item sees what is in it. acquire: as in arrive().
                if (c->state.compare_exchange_strong(seen, reinterpret_cast<std::uintptr_t>(item) | cell::item, acq_rel,
                                                     acquire))
                    return {.what = meeting::kind::left};
            }
            if (seen == cell::dead) {
                c->state.store(cell::done, release);
                continue;
            }
            if (const meeting m = meet(*c, seen, side::send); m.is_met()) return m;
        }
    }

    /// Of who is alone with the queue. False: it has to be a post().
    bool post_alone(void* item) noexcept { return post_alone(look_alone(side::send), item); }
    bool post_alone(const glance& next, void* item) noexcept {
        if (!next.is_empty()) return false;
        pass(side::send);
        next.at->state.store(reinterpret_cast<std::uintptr_t>(item) | cell::item, release);
        return true;
    }
    /// The same. The oldest item; nullptr: it has to be an arrive().
    void* take_alone() noexcept {
        const glance next = look_alone(side::receive);
        if (!(next.seen & cell::item)) return nullptr;
        pass(side::receive);
        return found(*next.at, next.seen).with;
    }

    /// The wait is over and this node was not claimed: takes it out.
    void withdraw(cell& at, lowlevel::wait_node& node) noexcept {
        auto expected = reinterpret_cast<std::uintptr_t>(&node);
        // release: the other visitor, or trim(), may let the segment be used again; pairs with their acquire loads of the cell,
        // and is_dead()'s. relaxed: who was faster is done with us.
        at.state.compare_exchange_strong(expected, cell::dead, acq_rel, relaxed);
    }
    /// Passes over dead cells of `waiting` side at the front. Needs a pin, as every call but withdraw().
    void trim(side waiting) noexcept { advance_over(other(waiting), false); }

    /// From now on no tickets: those who wait get wake::closed.
    void close() noexcept {
        // acq_rel: whoever finds the bit sees what the closer did before; we see the segments that tickets came from.
        const auto s = counters_[0].word.fetch_or(closed_bit, acq_rel);
        if (s & closed_bit) return;
        const auto sends = tickets(s);
        if (Keeps) end_.store(sends, relaxed);     // with the next line's release
        const auto r = counters_[1].word.fetch_or(closed_bit, acq_rel);
        if (Keeps && !is_over(side::receive, r)) return;           // nobody waits for what has a ticket
        const auto receives = tickets(r);
        if (sends == receives) return;
        const side waiting = sends > receives ? side::send : side::receive;
        const walk walks(*this);
        each_cell(sends > receives ? r : s, sends > receives ? s : r, [&](cell& c) {
            auto seen = c.state.load(acquire);
            if (seen == cell::empty && c.state.compare_exchange_strong(seen, cell::closed, acq_rel, acquire)) return;
            if (seen <= cell::closed) return;
            waiter& who = *c.who[static_cast<unsigned>(waiting)];
            auto* const node = reinterpret_cast<lowlevel::wait_node*>(seen);
            const auto how = who.claim_published(c.generation[static_cast<unsigned>(waiting)], wake::closed);
            if (how != waiter::hold::none) node->claimed = true;
            c.state.store(cell::done, release);
            if (how != waiter::hold::none) store_.settle(who, how);
        });
    }
    [[nodiscard]] bool is_closed() const noexcept { return counters_[0].word.load(acquire) & closed_bit; }

    /// > 0: so many senders wait, < 0: receivers. A snapshot.
    [[nodiscard]] std::ptrdiff_t balance() noexcept {
        std::ptrdiff_t waiting = 0;
        const walk walks(*this);
        for (unsigned round = 0; round < 16; ++round) {
            const auto s = counters_[0].word.load(acquire), r = counters_[1].word.load(acquire);
            const auto sends = tickets(s), receives = tickets(r);
            const bool senders = sends > receives;
            waiting = 0;
            if (sends == receives || (Keeps && senders)) break;
            const bool whole = each_cell(senders ? r : s, senders ? s : r, [&](cell& c) {
                if (is_node(c.state.load(relaxed))) waiting += senders ? 1 : -1;
            });
            if (whole && s == counters_[0].word.load(acquire) && r == counters_[1].word.load(acquire)) break;
        }
        return waiting;
    }
    /// Only in a queue that keeps: has somebody a ticket for what has not been posted?
    [[nodiscard, gnu::always_inline]] bool is_wanted() noexcept {
        // seq_cst: pairs with the tickets of receive; for what, see slots_channel.hpp, I1.
        const auto r = counters_[1].word.load(seq_cst), s = counters_[0].word.load(seq_cst);
        return r != s && is_wanted(r, s);
    }
    /// Of who is alone with the queue: surely not. Else is_wanted() says more.
    [[nodiscard]] bool is_unused_alone() const noexcept {
        return counters_[0].word.load(relaxed) == counters_[1].word.load(relaxed);
    }
    /// Only in a queue that keeps: how many items lie in it. A snapshot.
    [[nodiscard]] std::size_t size() noexcept {
        for (;;) {
            const auto s = counters_[0].word.load(acquire), r = counters_[1].word.load(acquire);
            const auto sends = r & closed_bit ? end_.load(relaxed) : tickets(s), receives = tickets(r);
            if (same_segment(s, counters_[0].word.load(relaxed)) && same_segment(r, counters_[1].word.load(relaxed)))
                return sends > receives ? static_cast<std::size_t>(sends - receives) : 0;
        }
    }

private:
    static constexpr unsigned position_bits = 11, index_bits = 24;
    static constexpr std::uint64_t position_mask = (1u << position_bits) - 1, index_mask = (1u << index_bits) - 1,
                                   incarnation_mask = (1u << 28) - 1, closed_bit = 1ull << 63;
    static constexpr std::uint64_t no_position = segment::cells;
    static constexpr std::uint64_t entered(side s) noexcept { return s == side::send ? 1ull << 62 : 1ull << 63; }
    static constexpr std::uint64_t entered_mask = 3ull << 62;
    static constexpr std::uint32_t bit(side s) noexcept { return 1u << static_cast<unsigned>(s); }

    // While it lives no segment is used again that can be reached from the counters.
    class walk {
    public:
        explicit walk(cell_queue& q) noexcept : q_(q) {
            q_.walkers_.fetch_add(1, relaxed);
            fence_seq_cst();                        // with the one in retire(): see I8
        }
        ~walk() { q_.walkers_.fetch_sub(1, release); }
        walk(const walk&) = delete;
        walk& operator=(const walk&) = delete;

    private:
        cell_queue& q_;
    };

    [[gnu::noinline]] bool is_wanted(std::uint64_t r, std::uint64_t s) noexcept {
        for (;;) {
            if (same_segment(r, s)) return std::min(position(r), no_position) > std::min(position(s), no_position);
            const auto receives = tickets(r), sends = tickets(s);
            if (same_segment(s, counters_[0].word.load(relaxed)) && same_segment(r, counters_[1].word.load(relaxed)))
                return receives > sends;
            r = counters_[1].word.load(seq_cst);    // as at first
            s = counters_[0].word.load(seq_cst);
        }
    }
    static std::uint64_t position(std::uint64_t w) noexcept { return w & position_mask; }
    static std::uint32_t index(std::uint64_t w) noexcept {
        return static_cast<std::uint32_t>((w >> position_bits) & index_mask);
    }
    static std::uint64_t incarnation(std::uint64_t w) noexcept {
        return (w >> (position_bits + index_bits)) & incarnation_mask;
    }
    [[nodiscard]] std::uint64_t word_at(std::uint32_t i, std::uint64_t pos) noexcept {
        return ((store_[i].incarnation.load(relaxed) & incarnation_mask) << (position_bits + index_bits)) |
               (static_cast<std::uint64_t>(i) << position_bits) | pos;
    }
    // Nonsense if w is stale. acquire: pairs with the release in next_of(); whoever reads what the segment's next use has
    // written sees, in a second look at the counter, that it has been moved on.
    [[nodiscard]] std::uint64_t tickets(std::uint64_t w) noexcept {
        const auto pos = position(w) < segment::cells ? position(w) : segment::cells;
        return index(w) ? store_[index(w)].base.load(acquire) + pos : 0;
    }
    static bool same_segment(std::uint64_t a, std::uint64_t b) noexcept {
        return ((a ^ b) & ~(position_mask | closed_bit)) == 0;
    }
    // For who has seen the closed bit in w, a value of `mine`: will there be no tickets any more? If so the counter stays
    // in its segment from now on. False, too, if it has left it since.
    [[nodiscard]] bool is_over(side mine, std::uint64_t w) noexcept {
        if (mine == side::send || !Keeps) return true;
        return tickets(w) >= end_.load(relaxed) && same_segment(w, counters_[1].word.load(relaxed));
    }

    cell* take_ticket(side mine) {
        auto& word = counters_[static_cast<unsigned>(mine)].word;
        for (;;) {
            // acquire: pairs with the release that moved the word here: the segment's cells are made. release: close()
            // sees what we have seen. seq_cst: see is_wanted().
            const auto w = word.fetch_add(1, seq_cst);
            if ((w & closed_bit) && is_over(mine, w)) [[unlikely]] {
                word.fetch_sub(1, relaxed);         // so that positions never overflow
                return nullptr;
            }
            if (position(w) < segment::cells) [[likely]] return &store_[index(w)].at[position(w)];
            if (cell* c = move_on(mine)) return c;
        }
    }

    // For who is alone: the cell of the next ticket, which pass() takes. nullptr: closed, or it is in the next segment.
    cell* next_cell(side mine) noexcept {
        const auto w = counters_[static_cast<unsigned>(mine)].word.load(relaxed);
        if ((w & closed_bit) || position(w) >= segment::cells) [[unlikely]] return nullptr;
        return &store_[index(w)].at[position(w)];
    }
    static bool is_node(std::uintptr_t seen) noexcept { return seen > cell::closed && !(seen & cell::item); }
    // release, as of all that is done alone: pairs with the acquires of those who come once the queue is open to all.
    void pass(side mine) noexcept {
        auto& word = counters_[static_cast<unsigned>(mine)].word;
        word.store(word.load(relaxed) + 1, release);
    }

    // The same of who is alone, once its counter has come to the end of a segment: the cell of its next ticket, which pass() takes.
    // nullptr: closed, or there is no memory.
    [[gnu::noinline]] cell* next_segment_alone(side mine) noexcept {
        auto& word = counters_[static_cast<unsigned>(mine)].word;
        const auto w = word.load(relaxed);
        if (w & closed_bit) return nullptr;
        std::uint32_t next;
        try {
            next = enter_next<true>(w, mine, true);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        word.store(word_at(next, 0), release);
        leave<true>(index(w), mine);
        tidy_up(mine);
        return &store_[next].at[0];
    }

    // Each time a counter has gone on to the next segment.
    void tidy_up(side mine) noexcept {
        for (const side s : {mine, other(mine)})
            if (may_be_dead(other(s))) trim(s);
        if (segments_.load(relaxed) >= next_sweep_.load(relaxed)) sweep();
    }
    // A glance: would advance_over() go on?
    bool may_be_dead(side mine) noexcept {
        const auto w = counters_[static_cast<unsigned>(mine)].word.load(acquire);
        return position(w) >= segment::cells || store_[index(w)].at[position(w)].state.load(relaxed) == cell::dead;
    }

    // The record and the frame of who has waited for long are cold, and the way to them leads over the counter and the cell. So
    // whoever enlists says in its own side's counter where they are, and its partner asks for all of it at once.
    void note_waiter(side its, waiter& who, lowlevel::wait_node& node) noexcept {
        auto& c = counters_[static_cast<unsigned>(its)];
        c.who.store(&who, relaxed);
        c.node.store(&node, relaxed);
    }
    void fetch_waiter(side its) const noexcept {
        const auto& c = counters_[static_cast<unsigned>(its)];
        __builtin_prefetch(c.who.load(relaxed));
        const auto frame = reinterpret_cast<std::uintptr_t>(c.node.load(relaxed));
        // The node, and where its value goes to: its caller has that.
        for (std::uintptr_t i = 0; i < 4; ++i) __builtin_prefetch(reinterpret_cast<const void*>(frame + i * 64));
    }

    // Moves the word to the next segment, unless somebody else has, and takes that one's first ticket.
    [[gnu::noinline]] cell* move_on(side mine) {
        auto& word = counters_[static_cast<unsigned>(mine)].word;
        for (;;) {
            auto w = word.load(acquire);
            if (position(w) < segment::cells || ((w & closed_bit) && is_over(mine, w))) return nullptr;
            std::uint32_t next;
            try {
                next = enter_next(w, mine, true);
            } catch (...) {                         // who comes again and again must not make the position overflow
                word.compare_exchange_strong(w, (w & ~position_mask) | no_position, relaxed, relaxed);
                throw;
            }
            if (next == 0) continue;                // w is stale
            // seq_cst: see take_ticket(). If it succeeds, w was not stale, and so `next` is the one.
            if (!word.compare_exchange_strong(w, word_at(next, 1) | (w & closed_bit), seq_cst, relaxed)) continue;
            leave(index(w), mine);
            tidy_up(mine);
            return &store_[next].at[0];
        }
    }

    atomic<std::uint64_t>& link_after(std::uint32_t i) noexcept { return i ? store_[i].next : first_; }
    static std::uint32_t next_in(std::uint64_t link) noexcept { return static_cast<std::uint32_t>(link & index_mask); }
    static bool is_after(std::uint64_t link, std::uint64_t w) noexcept {
        return (link & ~(index_mask | entered_mask)) == incarnation(w) << index_bits;
    }

    // Read-modify-writes; Alone: of who is alone with the queue (I9).
    template <bool Alone, class T, class Order>
    static bool change(atomic<T>& word, T& expected, T next, Order won, Order lost) noexcept {
        if constexpr (!Alone) return word.compare_exchange_strong(expected, next, won, lost);
        word.store(next, release);
        return true;
    }
    template <bool Alone, class T, class Order>
    static T exchange(atomic<T>& word, T next, Order order) noexcept {
        if constexpr (!Alone) return word.exchange(next, order);
        const T before = word.load(relaxed);
        word.store(next, release);
        return before;
    }
    template <bool Alone>
    void count_segments(std::uint32_t difference) noexcept {
        if constexpr (Alone) segments_.store(segments_.load(relaxed) + difference, relaxed);
        else segments_.fetch_add(difference, relaxed);
    }

    // As next_of(), for who moves its counter there now.
    template <bool Alone = false>
    std::uint32_t enter_next(std::uint64_t w, side mine, bool make) {
        for (;;) {
            if (next_of<Alone>(w, make) == 0) return 0;
            auto& link = link_after(index(w));
            auto seen = link.load(acquire);         // as in next_of()
            if (!is_after(seen, w)) return 0;
            // relaxed: it says nothing but this to sweep(), which changes the same word.
            if ((seen & entered(mine)) || change<Alone>(link, seen, seen | entered(mine), relaxed, relaxed))
                return next_in(seen);
        }
    }

    // The segment after w's; 0: there is none (yet), or w is stale.
    template <bool Alone = false>
    std::uint32_t next_of(std::uint64_t w, bool make) {
        const auto i = index(w);
        auto& link = link_after(i);
        const auto mine = incarnation(w) << index_bits;
        auto seen = link.load(acquire);             // pairs with the CAS below
        if (!is_after(seen, w)) return 0;
        if (next_in(seen)) return next_in(seen);
        if (!make) return 0;
        const auto fresh = spare_.load(relaxed) ? exchange<Alone, std::uint32_t>(spare_, 0, acq_rel) : 0;
        const auto n = fresh ? fresh : store_.allocate();
        if (n == 0) throw std::bad_alloc();
        segment& s = store_[n];
        for (auto& c : s.at) c.state.store(cell::empty, relaxed);
        s.left.store(0, relaxed);
        s.base.store(i ? store_[i].base.load(relaxed) + segment::cells : 0, release);      // see tickets()
        s.next.store((s.incarnation.load(relaxed) & incarnation_mask) << index_bits, relaxed);
        // release: the segment is made. On failure somebody else has linked one, or w is stale.
        if (change<Alone>(link, seen, mine | n, acq_rel, acquire)) {
            count_segments<Alone>(1);
            return n;
        }
        recycle(n);
        return is_after(seen, w) ? next_in(seen) : 0;
    }

    // For who has found a node (`seen`) in its own ticket's cell.
    meeting meet(cell& c, std::uintptr_t seen, side mine) noexcept {
        waiter& who = *c.who[static_cast<unsigned>(other(mine))];
        const auto generation = c.generation[static_cast<unsigned>(other(mine))];
        auto* const node = reinterpret_cast<lowlevel::wait_node*>(seen);
        const auto how = who.claim_published(generation, wake::ready);
        if (how != waiter::hold::none) node->claimed = true;
        c.state.store(cell::done, release);
        if (how == waiter::hold::none) return {};
        return {.what = meeting::kind::met, .how = how, .with = node};
    }

    static meeting found(cell& c, std::uintptr_t seen) noexcept {
        c.state.store(cell::done, release);
        return {.what = meeting::kind::found, .with = reinterpret_cast<void*>(seen - cell::item)};
    }

    // Takes tickets for as long as a dead cell is next; and, for a try, one that somebody waits at, or has posted to.
    meeting advance_over(side mine, bool meets) noexcept {
        auto& word = counters_[static_cast<unsigned>(mine)].word;
        for (;;) {
            auto w = word.load(acquire);
            if ((w & closed_bit) && is_over(mine, w)) return {.what = meeting::kind::closed};
            if (position(w) >= segment::cells || index(w) == 0) {
                const auto next = enter_next(w, mine, false);
                if (next == 0) {
                    if (w == word.load(relaxed)) return {};         // nobody is ahead of us
                    continue;
                }
                if (word.compare_exchange_strong(w, word_at(next, 0) | (w & closed_bit), acq_rel, relaxed))
                    leave(index(w), mine);
                continue;
            }
            cell& c = store_[index(w)].at[position(w)];
            auto seen = c.state.load(acquire);
            if (seen == cell::empty) {
                // A post is on its way: see I1.
                const bool overtakes = meets && Keeps && mine == side::receive &&
                                       tickets(counters_[0].word.load(acquire)) > tickets(w);
                if (!overtakes) return {};
                if (!word.compare_exchange_strong(w, w + 1, acq_rel, relaxed)) continue;
                if (!c.state.compare_exchange_strong(seen, cell::dead, acq_rel, acquire)) return found(c, seen);
                continue;
            }
            if (!meets && seen != cell::dead) return {};
            if (seen == cell::closed) return {.what = meeting::kind::closed};
            if (seen == cell::done) continue;       // w is stale
            if (!word.compare_exchange_strong(w, w + 1, acq_rel, relaxed)) continue;
            // The ticket is ours. The node may have become dead by now.
            if (const auto now = c.state.load(acquire); now == cell::dead) c.state.store(cell::done, release);
            else if (now & cell::item) return found(c, now);
            else if (const meeting m = meet(c, now, mine); m.is_met()) return m;
        }
    }

    template <bool Alone = false>
    void leave(std::uint32_t i, side mine) noexcept {
        if (!i) return;
        auto& left = store_[i].left;
        if constexpr (Alone) {
            const auto before = left.load(relaxed);
            left.store(before | bit(mine), release);
            if (!before) return;
        } else {
            // acq_rel: the second to leave sees what the first has seen.
            if (!left.fetch_or(bit(mine), acq_rel)) return;
        }
        count_segments<Alone>(~std::uint32_t{0});       // one less
        retire<Alone>(i);
    }
    // 0: looks only at those that are in limbo.
    template <bool Alone = false>
    void retire(std::uint32_t i) noexcept {
        auto waiting = limbo_.load(relaxed) ? limbo_.exchange(0, acq_rel) : 0;
        fence_seq_cst();                            // with the one in walk: see I8
        // acquire: pairs with the release of a walk that has ended.
        const bool is_quiet = walkers_.load(acquire) == 0;
        for (;;) {
            if (i && is_quiet && is_done(i)) recycle<Alone>(i);
            else if (i) put_in_limbo(i);
            if (waiting == 0) return;
            i = waiting;
            waiting = store_[i].link.load(relaxed);
        }
    }
    void put_in_limbo(std::uint32_t i) noexcept {
        auto before = limbo_.load(relaxed);
        do store_[i].link.store(before, relaxed);
        // release: pairs with the exchange in retire(), which takes all: so there is no ABA.
        while (!limbo_.compare_exchange_weak(before, i, release, relaxed));
    }

    // Unlinks the segments that consist of dead cells between the two counters. One at a time; who comes second leaves it.
    [[gnu::noinline]] void sweep() noexcept {
        if (sweeping_.exchange(1, acquire)) return;     // pairs with the release below, of the sweep before
        {
            const walk walks(*this);
            const auto s = counters_[0].word.load(acquire), r = counters_[1].word.load(acquire);
            const side behind = tickets(s) < tickets(r) ? side::send : side::receive, ahead = other(behind);
            for (auto i = index(behind == side::send ? s : r);;) {
                auto& link = link_after(i);
                auto seen = link.load(acquire);
                const auto next = next_in(seen);
                if (next == 0) break;
                if ((seen & entered(behind)) || !(store_[next].left.load(acquire) & bit(ahead)) || !is_dead(next)) {
                    i = next;
                    continue;
                }
                // release: whoever goes on from here sees the segment after as it was made.
                const auto after = next_in(store_[next].next.load(acquire));
                if (!link.compare_exchange_strong(seen, (seen & ~index_mask) | after, acq_rel, relaxed)) continue;
                for (auto& c : store_[next].at) c.state.store(cell::done, relaxed);      // nobody comes here any more
                segments_.fetch_sub(1, relaxed);
                put_in_limbo(next);
            }
        }
        next_sweep_.store(2 * segments_.load(relaxed) + Store::first_sweep, relaxed);
        sweeping_.store(0, release);
        retire(0);
    }
    bool is_dead(std::uint32_t i) noexcept {
        for (auto& c : store_[i].at)
            if (c.state.load(acquire) != cell::dead) return false;
        return true;
    }
    bool is_done(std::uint32_t i) noexcept {
        for (auto& c : store_[i].at)
            if (c.state.load(acquire) != cell::done) return false;
        return true;
    }
    template <bool Alone = false>
    void recycle(std::uint32_t i) noexcept {
        renew(i);
        if (const auto before = exchange<Alone>(spare_, i, acq_rel)) store_.release(before);
    }
    void give_back(std::uint32_t i) noexcept {
        renew(i);
        store_.release(i);
    }
    void renew(std::uint32_t i) noexcept {
        // relaxed: whoever holds a word of the old incarnation finds out by a compare-and-swap, not by this.
        auto& n = store_[i].incarnation;
        n.store(n.load(relaxed) + 1, relaxed);
    }

    // Calls f for the cells of the tickets from `from` to `to`. False: a segment has been used again under our hands.
    template <class F>
    bool each_cell(std::uint64_t from, std::uint64_t to, F&& f) {
        auto at = from;
        for (;;) {
            const bool last = index(at) == index(to);
            const auto end = last && position(to) < segment::cells ? position(to) : segment::cells;
            if (index(at))
                for (auto p = position(at); p < end; ++p) f(store_[index(at)].at[p]);
            if (last) return true;
            const auto next = next_of(at, false);
            if (next == 0) return false;
            at = word_at(next, 0);
        }
    }

    struct alignas(64) counter {
        // The first ticket finds no segment (index 0, no cell left) and makes one.
        atomic<std::uint64_t> word{no_position};
        // Hints: see I10. atomic: both sides touch them.
        atomic<const void*> who{nullptr}, node{nullptr};
    };
    counter counters_[2];
    alignas(64) atomic<std::uint64_t> first_{0};    // as segment::next
    atomic<std::uint64_t> end_{0};                  // keeps, once closed: the first ticket that no post has had
    atomic<std::uint32_t> spare_{0}, limbo_{0}, walkers_{0};
    atomic<std::uint32_t> segments_{0}, next_sweep_{Store::first_sweep}, sweeping_{0};
    [[no_unique_address]] Store store_;
};

}  // namespace rondo::detail
