// How a worker parks, which of the parked looks after those that run, and how a push without a fence misses nobody for good.
//
// A push has no fence, which would cost a spawn more than all the rest, and wakes nobody for what is not worth a wake-up. Both may
// turn out wrong: somebody parks just then, or the slice that comes next is long. So while others run one of the parked comes back
// every few milliseconds and looks whether somebody is stuck before its queue, or its timers: it `looks`.
//
//   a worker     who may change that          how                                                next
//   running      itself, out of work          idle_workers::begin_search()                       searching
//   searching    itself, with work            found(): leaves counts_; the last one: any more?   running
//                itself, without              park(): offers to look; leaves counts_; offers     parked, and looks if nobody did
//                                             again; looks at all queues, twice
//   parked       itself: it has seen work, or take_back()                                        searching
//                its time is over
//                who has work for it          to_wake(), take_parked()                           searching
//
//   looks_       who may change it            how                                                next
//   false        who parks                    offer(): exchange                                  true
//   true         who looks, awake again       end(): store                                       false; it is searching
//                who looks: all are parked    go_on(): store, fence, are they still?             false; or true, if it offers again
//
// I1  Nobody parks for good while others run, but when he has seen, after he has left counts_, that somebody else looks.
// I2  Who has ended looking is a searcher, and leaves counts_ again. So either he sees who has parked meanwhile, or that one sees
//     that nobody looks, by the order of the read-modify-writes of counts_.
// I3  The last searcher that finds work while nobody looks wakes another one for anything that is left, however little. Before its
//     look at the queues it makes everybody who pushes execute a fence: either it sees the push, or the push sees that nobody looks,
//     nor searches, and wakes somebody. (No such fences, or nobody looks at all: then each push has one of its own.)
// I4  When all are parked nobody looks, for an idle runtime is idle. Who gives it up for that reason is not a searcher: it
//     looks again, after a fence, whether somebody has been woken meanwhile.
// Orders: looks_ publishes nothing. It is ordered by the read-modify-writes of counts_ (I2) and by fences (I3, I4), so all that is
// done to it itself is relaxed.
// Checked:  tests/model/lookout_test.cpp; tests/runtime/{scope,time}_test.cpp hold up workers.
#pragma once

#include <rondo/detail/atomic.hpp>

#include "idle_workers.hpp"

namespace rondo::detail {

class lookout {
public:
    /// is_on: under a virtual clock nobody looks.
    lookout(idle_workers& idle, bool is_on) noexcept : idle_(idle), is_on_(is_on) {}

    [[nodiscard]] bool somebody_looks() const noexcept { return looks_.load(relaxed); }

    /// Of a worker whose push has no fence (`lightly`), or before it looks at who is parked: keeps the two apart.
    static void after_push(bool lightly) noexcept {
        if (lightly) fence_light();               // pairs with the heavy one in found()
        else fence_seq_cst();                     // with those in idle_workers
    }

    /// Of a worker that has searched and found work: shall it wake another one? sees(anything): is something left in any
    /// queue, worth a wake-up or (anything) not?
    template <class Sees>
    [[nodiscard]] bool found(bool lightly, Sees sees) noexcept {
        if (!idle_.end_search() || !idle_.somebody_parked()) return false;
        const bool anything = !somebody_looks();
        if (anything && lightly && idle_.others_run()) fence_heavy();     // pairs with the light one in after_push()
        return sees(anything);
    }

    /// Returns when the worker is to search. It says what it sees, and how it sleeps: sees_work(), sees_work_later() (a moment
    /// later, when what was pushed before is visible), all_parked() (nobody is left), tidy_up(), sleep(looks), until_woken().
    template <class Worker>
    void park(Worker& me, unsigned index, bool searching) noexcept {
        // Known before it counts as parked, so that nobody wakes it for want of it.
        bool looks = offer();
        idle_.park(index, searching);
        looks = looks || offer();                 // who looked may have found work meanwhile: I1
        if (me.sees_work() || (is_on_ && !all_parked() && me.sees_work_later())) {
            if (looks) end();
            if (!idle_.take_back(index)) me.until_woken();
            return;
        }
        if (all_parked()) me.all_parked();
        me.tidy_up();
        looks = looks && go_on();
        me.sleep(looks);
        if (looks) end();
    }

private:
    [[nodiscard]] bool all_parked() const noexcept { return idle_workers::all_parked(idle_.snapshot()); }

    bool offer() noexcept { return is_on_ && !looks_.load(relaxed) && !looks_.exchange(true, relaxed); }
    void end() noexcept { looks_.store(false, relaxed); }
    bool go_on() noexcept {
        if (!all_parked()) return true;
        end();
        fence_seq_cst();                          // keeps that apart from the second look: somebody may have been woken since
        return !all_parked() && offer();
    }

    idle_workers& idle_;
    const bool is_on_;
    atomic<bool> looks_{false};
};

}  // namespace rondo::detail
