// Who is searching, who is parked, and how nobody sleeps through work.
//
//   counts_   {version:28 | parked:12 | unparked:12 | searching:12}; one line, written only on these transitions
//   parked_   a bit for each parked worker; whoever clears a bit wakes that worker and counts it as searching
//
// Lost wake-ups cannot happen (Dekker's pattern). Producer: write a queue; full fence; read counts_. Parker: leave
// counts_ (read-modify-write); full fence; read all queues. One of the two sees the other's write. A producer that
// sees a searcher need not wake: the last searcher re-checks all queues after it has left counts_, and a searcher that
// finds work wakes the next one (the chain).
// At most one wake is under way per burst: nobody wakes while somebody searches. So a burst costs its producer one
// system call (6 to 13 us), and the number of awake workers doubles with each round of the chain.
// Orders: counts_ is only changed by seq_cst read-modify-writes. Those of who leaves are the parker's store in this pattern, with
// the fence after them; the others are in one order with them, so that snapshot() sees who was there. A bit of parked_ is set by a
// seq_cst and cleared by an acq_rel operation, and each pairs with the other: who clears it sees what its worker has done before
// it parked, and that worker, if it finds the bit gone, that somebody is waking it. relaxed loads are glances, which decide nothing
// that is not looked at again.
// A worker on the bench (a spare one: spare_duty.hpp) is neither parked nor unparked. Who goes there looks at no queue afterwards, but
// wakes one of the parked, if nobody searches, to look in its place.
// `version` moves at every unpark; "all parked" seen twice with the same version means: parked all the time between.
// rested_ is the version with which the last one parked, once it has looked at the queues, too: whoever finds it beside the same
// version in counts_, all parked, knows that nobody will go on by himself. Two may write it at once, when one has been woken
// before the other has got so far; what stays must be the later version. So each looks again after it has written: who
// writes last sees what is so, or somebody unparked, who will write after it.
// Checked:  tests/model/idle_workers_test.cpp, tests/stress.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

class idle_workers {
public:
    static constexpr int nobody = -1;

    /// `spares` more, with the indices after theirs, sit on the bench.
    explicit idle_workers(unsigned workers, unsigned spares = 0)
        : words_((workers + spares + 63) / 64), parked_(new atomic<std::uint64_t>[words_]) {
        for (unsigned i = 0; i < words_; ++i) parked_[i].store(0, relaxed);
        counts_.store(workers * unparked_one, relaxed);
        rested_.store(~0ull, relaxed);
    }

    /// Is somebody parked while nobody searches? A glance: exact only after a full fence.
    [[nodiscard]] bool would_wake() const noexcept {
        const auto c = counts_.load(relaxed);
        return searching(c) == 0 && parked(c) != 0;
    }
    /// After work has been published: the worker that the caller must unpark, already counted as searching; or nobody.
    int to_wake() noexcept {
        fence_seq_cst();                          // keeps the caller's queue write apart from the load below
        const auto c = counts_.load(relaxed);
        if (searching(c) != 0 || parked(c) == 0) return nobody;
        return take_parked();
    }
    /// The same without looking for searchers.
    int take_parked() noexcept {
        for (unsigned i = 0; i < words_; ++i) {
            auto bits = parked_[i].load(relaxed);
            while (bits) {
                const auto lowest = bits & (~bits + 1);
                // The one who clears the bit owns the wake-up.
                const auto before = parked_[i].fetch_and(~lowest, acq_rel);
                if (before & lowest) {
                    counts_.fetch_add(unpark + search_one, seq_cst);
                    return static_cast<int>(i * 64 + static_cast<unsigned>(std::countr_zero(lowest)));
                }
                bits = before & ~lowest;
            }
        }
        return nobody;
    }

    /// False: enough others search already.
    bool begin_search() noexcept {
        const auto c = counts_.load(relaxed);
        if (2 * searching(c) >= unparked(c) && searching(c) != 0) return false;
        counts_.fetch_add(search_one, seq_cst);
        return true;
    }
    /// True: the caller was the last searcher; if it found work it must wake another.
    bool end_search() noexcept {
        if (searching(counts_.fetch_sub(search_one, seq_cst)) != 1) return false;
        fence_seq_cst();                          // keeps leaving apart from the caller's look at the queues
        return true;
    }

    /// The caller must re-check every queue afterwards, and then wait for its token, or take itself back.
    void park(unsigned me, bool was_searching) noexcept {
        parked_[me / 64].fetch_or(bit(me), seq_cst);
        counts_.fetch_add(parked_one - unparked_one - (was_searching ? search_one : 0), seq_cst);
        fence_seq_cst();                          // keeps leaving apart from the caller's look at the queues
    }
    /// True: the caller is awake again, counted as searching. False: somebody is waking it: the token will come.
    bool take_back(unsigned me) noexcept {
        if (!(parked_[me / 64].fetch_and(~bit(me), acq_rel) & bit(me))) return false;
        counts_.fetch_add(unpark + search_one, seq_cst);
        return true;
    }

    /// One from the bench: it is awake, and does not search yet.
    void leave_bench() noexcept { counts_.fetch_add(unparked_one + version_one, seq_cst); }
    /// The caller, which is awake, must see to it afterwards that somebody else looks: to_wake().
    void sit_down(bool was_searching) noexcept { counts_.fetch_sub(unparked_one + (was_searching ? search_one : 0), seq_cst); }

    /// Of a parked worker that has found nothing in any queue, and nobody unparked.
    void note_rest() noexcept {
        for (auto c = snapshot(); all_parked(c);) {
            rested_.store(version(c), seq_cst);
            const auto now = snapshot();
            if (now == c) return;
            c = now;
        }
    }
    /// Had everybody found nothing by the time of this snapshot?
    [[nodiscard]] bool is_at_rest(std::uint64_t c) const noexcept {
        return all_parked(c) && rested_.load(seq_cst) == version(c);
    }

    [[nodiscard]] std::uint64_t snapshot() const noexcept { return counts_.load(seq_cst); }
    static bool all_parked(std::uint64_t c) noexcept { return unparked(c) == 0; }
    [[nodiscard]] bool is_parked(unsigned i) const noexcept { return parked_[i / 64].load(relaxed) & bit(i); }
    [[nodiscard]] bool somebody_searches() const noexcept { return searching(counts_.load(relaxed)) != 0; }
    [[nodiscard]] bool others_run() const noexcept { return unparked(counts_.load(relaxed)) > 1; }
    [[nodiscard]] bool somebody_parked() const noexcept { return parked(counts_.load(relaxed)) != 0; }

private:
    static constexpr std::uint64_t search_one = 1, unparked_one = 1ull << 12, parked_one = 1ull << 24, version_one = 1ull << 36;
    static constexpr std::uint64_t unpark = unparked_one - parked_one + version_one;
    static unsigned searching(std::uint64_t c) noexcept { return static_cast<unsigned>(c & 0xfff); }
    static unsigned unparked(std::uint64_t c) noexcept { return static_cast<unsigned>((c >> 12) & 0xfff); }
    static unsigned parked(std::uint64_t c) noexcept { return static_cast<unsigned>((c >> 24) & 0xfff); }
    static std::uint64_t version(std::uint64_t c) noexcept { return c >> 36; }
    static std::uint64_t bit(unsigned i) noexcept { return 1ull << (i % 64); }

    alignas(64) atomic<std::uint64_t> counts_;
    atomic<std::uint64_t> rested_;
    unsigned words_;
    std::unique_ptr<atomic<std::uint64_t>[]> parked_;
};

}  // namespace rondo::detail
