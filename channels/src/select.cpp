// select: waits for the first of several things.
//
// Each round first asks every clause whether it can go ahead now. If none can, the clauses link their nodes one after
// the other ("enlisting", lowlevel/wait.hpp); each link happens under its own object's protection, together with a last
// look, so no two objects are ever held at once. A partner that finds one of the nodes before the wait is open drops it
// and marks the word, so that the wait does not open: next round. Else the select suspends, and who claims a node has
// chosen its clause. In each case every node is taken out again before anything else happens.
//
// I1  At most one clause goes ahead: while enlisting nobody can claim us, so the owner decides alone; once the wait is
//     open the claim decides.
// I2  A partner that was there while we enlisted is found in this round or in the next: it has either seen our node, and
//     has marked the word, or we have seen it.
// I3  After each round no list holds a node of ours.
// I4  A stop that ends the wait has claimed it: no clause has gone ahead then, nor will one of this round. So it can be
//     thrown, or be the choice of a clause that takes it.
// Progress: nobody else ever waits for a select. Two selects that enlist with one another at the same time may both have
//     to begin anew; a random pause, longer each time, parts them (obstruction-free, as in Kotlin's select).
// Dropped: locking all channels in the order of their addresses, as Go does: n locks, held over a switch, and none of it
//     works for a channel without a lock.
#include <rondo/lowlevel/select_clause.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <rondo/error.hpp>

namespace rondo::lowlevel {

class selection {
public:
    selection(std::span<select_clause* const> clauses, const select_options& options)
        : clauses_(clauses), options_(options), takes_stop_(std::ranges::any_of(clauses, &select_clause::takes_stop)),
          me_(enter_select()) {
        for (std::size_t i = 0; i < clauses.size(); ++i) order_[i] = static_cast<std::uint8_t>(i);
        if (options.in_order) return;
        shuffle();
        if (takes_stop_)                     // as where it throws: a stop comes before all else
            std::ranges::partition(order_.begin(), order_.begin() + clauses.size(),
                                   [&](std::uint8_t i) { return clauses_[i]->takes_stop; });
    }
    ~selection() {
        for (auto* c : clauses_) c->finish();
        if (!met_.who) return;
        if (met_.runs_now) settle_now(*met_.who, met_.how);
        else settle(*met_.who, met_.how, placement::tail);
    }
    selection(const selection&) = delete;
    selection& operator=(const selection&) = delete;

    int run() {
        if (chosen_by_stop_ != none) return chosen_by_stop_;
        for (unsigned round = 0;; ++round) {
            if (const int chosen = try_all(); chosen != none) return chosen;
            if (all_closed()) return select_closed;
            if (options_.otherwise) return select_otherwise;
            if (const int chosen = enlist_and_wait(); chosen != none) return chosen;
            if (missed_) pause(round);
        }
    }

private:
    static constexpr int none = -100;

    waiter& enter_select() {
        if (takes_stop_) return enter_though_stopped();
        try {
            return enter();
        } catch (const stopped&) {
            if ((chosen_by_stop_ = that_outlasts_stop()) == none) throw;
            return self();
        }
    }
    [[nodiscard]] int that_outlasts_stop() const noexcept {
        for (std::size_t i = 0; i < clauses_.size(); ++i)
            if (clauses_[i]->outlasts_stop()) return static_cast<int>(i);
        return none;
    }

    int try_all() {
        for (const auto i : order()) {
            select_clause& c = *clauses_[i];
            if (c.closed_) continue;
            switch (c.attempt(me_, false, met_)) {
                case progress::done: return i;
                case progress::closed: c.closed_ = true; break;
                case progress::waits: break;
            }
        }
        return none;
    }

    int enlist_and_wait() {
        struct cleaner {                     // also when a clause throws
            selection& s;
            bool suspended = false;
            ~cleaner() {
                s.withdraw_all();
                if (!suspended) end_enlisting(s.me_);
            }
        };
        begin_enlisting(me_);
        cleaner clean{*this};
        for (const auto i : order()) {
            select_clause& c = *clauses_[i];
            if (c.closed_) continue;
            const progress p = c.attempt(me_, true, met_);     // may throw
            if (p == progress::done) return i;
            if (p == progress::closed) {
                c.closed_ = true;
                missed_ = false;
                return none;
            }
            c.enlisted_ = true;
            if ((missed_ = missed(me_))) return none;
        }
        clean.suspended = true;
        const wake outcome = suspend(me_, {wait_kind::select, parts()}, nullptr, options_.until);
        missed_ = outcome == wake::none;
        for (const auto i : order()) {
            select_clause& c = *clauses_[i];
            if (!c.enlisted_) continue;
            const wake end = c.ended(outcome);
            if (end == wake::ready) return i;
            if (end == wake::closed) c.closed_ = true;
        }
        if (outcome == wake::stopped && takes_stop_)
            for (const auto i : order())
                if (clauses_[i]->takes_stop) return i;
        if (outcome == wake::stopped)
            if (const int chosen = that_outlasts_stop(); chosen != none) return chosen;
        raise(outcome);
        return outcome == wake::timed_out ? select_timed_out : none;
    }

    void withdraw_all() noexcept {
        for (auto* c : clauses_)
            if (std::exchange(c->enlisted_, false)) c->withdraw();
    }

    // What we wait for, for reports, in the order of the clauses.
    [[nodiscard]] const wait_part* parts() noexcept {
        const wait_part* first = nullptr;
        for (auto i = clauses_.size(); i-- > 0;) {
            select_clause& c = *clauses_[i];
            if (!c.enlisted_) continue;
            c.part_.next = first;
            first = &c.part_;
        }
        return first;
    }

    [[nodiscard]] bool all_closed() const noexcept {
        bool any = false;
        for (const auto* c : clauses_)
            if (c->can_close) {
                if (!c->closed_) return false;
                any = true;
            }
        return any;
    }

    void shuffle() noexcept {
        std::uint32_t dice = random();
        for (std::uint32_t i = static_cast<std::uint32_t>(clauses_.size()); i > 1; --i) {
            if (i % 8 == 0) dice = random();              // 8! < 2^32: enough for the next seven
            std::swap(order_[i - 1], order_[dice % i]);
            dice /= i;
        }
    }
    [[nodiscard]] std::span<const std::uint8_t> order() const noexcept { return {order_.data(), clauses_.size()}; }

    const std::span<select_clause* const> clauses_;
    const select_options& options_;
    const bool takes_stop_;
    int chosen_by_stop_ = none;
    waiter& me_;
    partner met_;
    bool missed_ = false;
    std::array<std::uint8_t, most_clauses> order_;
};

int select(std::span<select_clause* const> clauses, const select_options& options) {
    return selection(clauses, options).run();
}

}  // namespace rondo::lowlevel
