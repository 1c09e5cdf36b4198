// The word decides who holds the mutex; the spin lock guards the list of those who wait.
//
//   word              who may change it                    how                       next
//   0                 anybody                              CAS acquire               holder
//   holder            the holder                           CAS release               0
//                     a waiter, under the spin lock        CAS relaxed               holder|contended
//   holder|contended  the holder, under the spin lock      store release             the heir, or 0 if nobody waits
//
// I1  While somebody waits the word is never 0: nobody can slip in before the heir.
// I2  The holder is the heir from the moment its wait is claimed; a stop that comes later finds the mutex locked.
// Progress: lock() and unlock() of who meets nobody are one CAS; the rest is behind the spin lock.
// Checked:  tests/model/mutex_test.cpp, tests/runtime/sync_test.cpp, tests/stress/sync_stress_test.cpp (TSan).
#include <rondo/mutex.hpp>

#include <exception>

#include "locks.hpp"

namespace rondo {

using detail::acquire;
using detail::relaxed;
using detail::release;
using lowlevel::waiter;

mutex::~mutex() {
    detail::expect_nobody_waits(lock_, waiters_, "a mutex must not be destroyed while somebody waits for it");
    // An exception on its way says more about what went wrong than the end of the process.
    if (std::uncaught_exceptions() != 0 && held_by(lowlevel::self())) return;
    expect(word_.load(relaxed) == 0, "a mutex must not be destroyed while somebody holds it");
}

// With the spin lock held. True: the mutex is ours. False: somebody else's, and (if we may wait) whoever unlocks it will
// look at the list. Throws without the lock.
bool mutex::take_or_contend(waiter& me, bool may_wait) {
    for (auto now = word_.load(relaxed);;) {
        if (now == 0) {
            // acquire: as in take().
            if (word_.compare_exchange_weak(now, word_of(me), acquire, relaxed)) return true;
            continue;
        }
        if ((now & ~contended) == word_of(me)) {
            lock_.unlock();
            throw usage_error("mutex::lock: the caller holds this mutex already and would wait for itself for ever; "
                              "lock it once, or split the function into a part that locks and a part that does not");
        }
        // relaxed: the spin lock orders what the holder will find when it sees this bit.
        if (!may_wait || (now & contended) || word_.compare_exchange_weak(now, now | contended, relaxed, relaxed))
            return false;
    }
}

namespace {

constexpr unsigned spin_rounds = 100;               // some microseconds: less than a switch away and back costs

}  // namespace

// A holder that runs on another core will soon be done: wait for it on ours, as long as nobody is in the list.
bool mutex::take_soon(waiter& me) noexcept {
    if (!lowlevel::others_may_run()) return false;
    for (unsigned round = 0; round < spin_rounds; ++round) {
        const auto now = word_.load(relaxed);
        if (now == 0) {
            if (take(me)) return true;
            continue;
        }
        if (now & (contended | plain_thread)) return false;
        // Its record is type-stable: at worst this is about whoever lives in it now.
        const auto* holder = reinterpret_cast<const waiter*>(now);
        if (holder == &me || holder->kind.load(relaxed) != lowlevel::wait_kind::none) return false;
        detail::cpu_relax();
    }
    return false;
}

bool mutex::lock_slowly(waiter& me, lowlevel::time_point until) {
    if (until != detail::at_once && !(word_.load(relaxed) & contended) && take_soon(me)) return true;
    lowlevel::wait_node node(me);
    lock_.lock();
    const bool mine = take_or_contend(me, until != detail::at_once);
    if (mine || until == detail::at_once) {
        lock_.unlock();
        return mine;
    }
    waiters_.push_back(node);
    const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::mutex, this}, &lock_, until);
    if (outcome == lowlevel::wake::ready) return true;
    lowlevel::unlink(lock_, waiters_, node);
    lowlevel::raise(outcome);
    return false;
}

bool mutex::done_or_enlist(waiter& me, lowlevel::wait_node* node) {
    if (take(me)) return true;
    if (!node) return false;
    lock_.lock();
    const bool mine = take_or_contend(me, true);
    if (!mine) waiters_.push_back(*node);
    lock_.unlock();
    return mine;
}

void mutex::lock_again(waiter& me) noexcept {
    // No enter(): it would throw a stop. We have just been resumed, so there is a stack to go on with.
    if (take(me)) return;
    lowlevel::shield to_the_end;
    lock_slowly(me, lowlevel::no_deadline);
}

void mutex::unlock_slowly(waiter& me) noexcept {
    lock_.lock();
    expect(held_by(me), "a mutex must be unlocked by the tasklet (or plain thread) that holds it");
    lowlevel::wait_node* next = waiters_.claim_front(lowlevel::wake::ready);
    waiter* heir = next ? next->who : nullptr;
    const auto word = heir ? word_of(*heir) | (waiters_.empty() ? 0 : contended) : 0;
    word_.store(word, release);                         // pairs with the acquire in take()
    lock_.unlock();
    if (heir) lowlevel::resume(*heir, lowlevel::placement::tail);
}

}  // namespace rondo
