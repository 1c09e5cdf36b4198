// A worker out of work: it looks at the others, then parks.
#include <algorithm>

#include "scheduler.hpp"
#include "stamp.hpp"

namespace rondo::detail {

namespace {

constexpr unsigned search_rounds = 160;              // about 20 us
static_assert(timer_wheel::never == no_limit_ns);     // park() hands the one on as the other
constexpr unsigned stuck_rounds = 40;                // of a search, about 5 us: who has not moved in that time is stuck

}  // namespace

// ---------------------------------------------------------------------------------------------- theft

// We may be wrong about what runs there now, so from one who does not move for a while a thief takes `whatever` there is.
task* worker::steal_from(worker& victim, bool whatever) noexcept {
    if (whatever) {
        task* t = victim.next_.raid();
        if (!t) t = victim.ahead_.raid();
        if (t) {
            ++counters.steals;
            return t;
        }
    }
    // Fresh ones first: nothing of them is in a cache, and no stack moves. The oldest is the largest part of a
    // divide-and-conquer; of a long flat list take more at once.
    if (whatever ? !victim.fresh_.empty() : victim.offers_fresh(*this)) {
        const auto n = victim.fresh_.offered();
        task* first = n ? victim.fresh_.steal() : nullptr;
        if (!first && whatever) first = victim.fresh_.steal_private();
        if (first) {
            ++counters.steals;
            for (auto more = std::min<std::size_t>(n / 8, 31); more > 0; --more) {
                task* t = victim.fresh_.steal();
                if (!t) break;
                ++counters.steals;
                if (!put_fresh(*t)) {
                    inbox.push(t);
                    break;
                }
            }
            return first;
        }
    }
    if (home.options.force_migration) return nullptr;     // what has been sent elsewhere stays there
    if (const auto n = whatever || victim.offers_ready() ? victim.ready_.size() : 0) {
        if (task* first = victim.ready_.steal()) {
            ++counters.steals;
            thefts_.note(victim);
            for (auto more = std::min<std::size_t>(n / 2, 16); more > 1; --more) {
                task* t = victim.ready_.steal();
                if (!t) break;
                ++counters.steals;
                thefts_.note(victim);
                if (!put_ready(*t)) {
                    inbox.push(t);
                    break;
                }
            }
            return first;
        }
    }
    if (!victim.inbox.empty()) {
        accept_inbox(victim);
        return pick_local();
    }
    return nullptr;
}

// ---------------------------------------------------------------------------------------------- search

task* worker::find_work() noexcept {
    bool searching = false;
    for (;;) {
        task* t = pick();
        if (!t) {
            if (ended_in_.load(relaxed)) count_out();
            if (!inbox.empty()) accept_inbox(*this);
            if (wheel.size()) poll_timers();
            t = pick();
        }
        if (!t) {
            if (polls_.since(tick_) >= 8) measure_slices();
            thefts_.judge(false);
            if (!searching && !is_dismissed()) searching = home.idle.begin_search();
            if (searching && !is_dismissed()) t = search();
            if (!t) thefts_.judge(true);
        }
        if (t) {
            if (searching) found_while_searching();
            look_pause_ns_ = first_look_ns;
            budget = slice_length;
            return t;
        }
        if (home.terminating.load(acquire)) {
            if (searching) home.idle.end_search();
            return nullptr;
        }
        searching = park(searching);
        if (home.dog) home.dog->somebody_unparks();
        now_ns_ = home.now_ns();
        polls_.restart(tick_, stamp());
    }
}

task* worker::search() noexcept {
    const auto n = static_cast<std::uint32_t>(home.workers.size());
    for (unsigned round = 0; round < search_rounds; ++round) {
        for (std::uint32_t i = 0, at = random() % n; i < n; ++i, at = at + 1 == n ? 0 : at + 1) {
            worker& victim = *home.workers[at];
            if (&victim == this) continue;
            const auto moves = victim.counters.moves();
            const bool is_stuck = round >= stuck_rounds && moves == seen_moves_[at];
            if (round == 0) seen_moves_[at] = moves;
            if (task* t = steal_from(victim, is_stuck)) return t;
            if (victim.wheel.next_hint() <= now_ns_ && victim.wheel.size()) {
                resume_expired(victim.wheel.expire(home.now_ns()));       // it is busy: its timers are ours
                if (task* t = pick()) return t;
            }
        }
        if (!inbox.empty()) {
            accept_inbox(*this);
            if (task* t = pick()) return t;
        }
        if (home.terminating.load(relaxed)) return nullptr;
        for (unsigned i = 0; i < 1 + std::min(round, 6u); ++i) cpu_relax();
        if (round % 16 == 15) now_ns_ = home.now_ns();
    }
    return nullptr;
}

void worker::found_while_searching() noexcept {
    const bool wakes = home.look.found(wakes_lightly_, [this](bool anything) {
        for (auto& w : home.workers)
            if (w->offers_fresh(*this) || w->offers_ready() || !w->inbox.empty() || (anything && w->maybe_has_work())) return true;
        return anything && is_looked_after_ && timers_need_a_look();
    });
    if (wakes) home.wake_for_work();
}

// Who runs may be held up when his timers are due: somebody must be awake then who looks, and be it for timers of his own.
bool worker::timers_need_a_look() const noexcept {
    auto due = timer_wheel::never, awake = timer_wheel::never;
    for (auto& w : home.workers)
        if (w->wheel.size()) {
            auto& first = home.idle.is_parked(w->index) ? awake : due;
            first = std::min(first, w->wheel.next_hint());
        }
    return due != timer_wheel::never && awake - longest_look_ns > due;
}

// Called after home.idle.park(). Under forced migration nobody takes from another's inbox.
bool worker::sees_work() noexcept {
    if (home.terminating.load(relaxed) || wheel.next_hint() <= home.now_ns()) return true;
    for (auto& w : home.workers) {
        if (w.get() == this ? w->maybe_has_work()
            : home.options.force_migration ? !w->fresh_.empty() || !w->ready_.empty()
                                           : w->offers_fresh(*this) || w->offers_ready() || !w->inbox.empty())
            return true;
    }
    return false;
}

bool worker::sees_work_later() noexcept {
    for (int i = 0; i < 30; ++i) cpu_relax();     // about a microsecond
    return sees_work();
}

// Is it searching afterwards?
bool worker::park(bool searching) noexcept {
    ++counters.parks;
    if (is_dismissed() && wheel.size() == 0) return sit_down(searching), false;
    home.look.park(*this, index, searching);
    return true;
}

// A spare worker, which has nothing left. Somebody else has to look for what it may have missed.
void worker::sit_down(bool searching) noexcept {
    home.idle.sit_down(searching);
    home.wake_for_work();
    if (duty.sit_down(home.terminating)) token_.wait();
    else home.idle.leave_bench();
    mind_duty();
}

void worker::all_parked() noexcept { home.all_parked(); }

// Nothing to do: gives back the depth of idle stacks, a few at a time.
void worker::tidy_up() noexcept {
    while (!token_.has_come() && home.stacks.trim(4)) {}
}

void worker::sleep(bool looks) noexcept {
    auto until = home.options.world ? timer_wheel::never : wheel.next_deadline();
    if (looks) {
        until = std::min(until, home.now_ns() + look_pause_ns_);
        look_pause_ns_ = std::min(look_pause_ns_ * 2, longest_look_ns);
    }
    token_.wait(until, [this] { return home.now_ns(); }, [this] { return home.idle.take_back(index); });
    if (looks) thefts_.forget_a_little();
}

void worker::until_woken() noexcept { token_.wait(); }

void worker::unpark() noexcept { token_.wake(); }

}  // namespace rondo::detail
