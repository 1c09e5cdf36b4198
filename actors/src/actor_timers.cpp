#include "actor_timers.hpp"

#include <mutex>
#include <utility>

#include "actor_system.hpp"

namespace rondo::detail {

using lowlevel::wake;

std::uint64_t actor_timers::start(actor_cell& to, duration d, message_node* m, copy_message copy, kind k) {
    const bool is_idle = k == kind::idle;
    if (copy && d <= d.zero()) throw usage_error("this_actor::every: the period must be positive");
    const auto at = limit_after(d) == at_once ? lowlevel::now() : limit_after(d);
    schedule one;                                         // allocates outside the lock
    one.emplace(at, timed{&to, m, copy, d, 0, is_idle});
    lowlevel::waiter* keeper = nullptr;
    bool is_first_of_all = false;
    std::uint64_t number;
    {
        std::lock_guard hold(lock_);
        number = ++last_;
        const auto entry = by_number_.emplace(number, place{timers_.end(), &to}).first;       // may throw: nothing has happened yet
        auto node = one.extract(one.begin());
        node.mapped().number = number;
        const auto where = timers_.insert(std::move(node));
        entry->second.where = where;
        if (where->second.keeps_alive()) {
            ++pending_;
            is_background_.store(false, release);
        }
        if (!is_keeper_there_) is_keeper_there_ = is_first_of_all = true;
        else if (where == timers_.begin())
            if (auto* n = keeper_.claim_front(wake::ready)) keeper = n->who;
    }
    if (is_idle) to.add_weak();
    else to.add_own_ref();
    if (is_first_of_all) {
        const auto j = lowlevel::make_job(system_.home, &keep_time, this, std::source_location::current());
        keeper_id_.store(j.id, relaxed);
        lowlevel::submit_job(system_.home, j, lowlevel::placement::tail);
    }
    if (keeper) lowlevel::resume(*keeper, lowlevel::placement::tail);
    return number;
}

void actor_timers::dispose(timed& t) noexcept {
    if (t.message) destroy_message(*t.message);
    if (t.is_idle) t.to->drop_weak();
    else t.to->drop_ref();
}

void actor_timers::forget_past(std::vector<std::uint64_t>& numbers) noexcept {
    std::lock_guard hold(lock_);
    std::erase_if(numbers, [this](std::uint64_t n) { return !by_number_.contains(n); });
}

void actor_timers::cancel(const actor_cell& of, const std::uint64_t* numbers, std::size_t n) noexcept {
    schedule gone;
    lowlevel::waiter* keeper = nullptr;
    {
        std::lock_guard hold(lock_);
        for (; n > 0; --n, ++numbers) {
            const auto found = by_number_.find(*numbers);
            if (found == by_number_.end() || found->second.to != &of) continue;
            if (const auto where = found->second.where; where != timers_.end()) {
                if (where->second.keeps_alive()) --pending_;
                gone.insert(timers_.extract(where));
            }
            by_number_.erase(found);
        }
        if (timers_.empty() || pending_ == 0)             // it has to end, or to become background
            if (auto* waiting = keeper_.claim_front(wake::ready)) keeper = waiting->who;
    }
    for (auto& [at, t] : gone) dispose(t);
    if (keeper) lowlevel::resume(*keeper, lowlevel::placement::tail);
}

void actor_timers::take_due(schedule& due) noexcept {
    const auto now = lowlevel::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        auto node = timers_.extract(timers_.begin());
        const timed& t = node.mapped();
        if (t.copy) by_number_.find(t.number)->second.where = timers_.end();
        else by_number_.erase(t.number);
        due.insert(std::move(node));
    }
}

// nullptr: this tick is left out. Without the lock, since the message's copy constructor is the user's code.
message_node* actor_timers::copy_of(const timed& t) noexcept {
    try {
        return t.copy(*t.message);
    } catch (const std::bad_alloc&) {
    } catch (...) {
        lowlevel::report_unhandled(system_.home, std::current_exception());
    }
    return nullptr;
}

void actor_timers::deliver_one(timed& t, message_node* m) noexcept {
    // A tick for whom others wait already is left out, as one that its mailbox drops.
    const auto slots = t.to->messages.slots();
    if (t.copy && slots && t.to->messages.depth() >= slots) {
        system_.dead.add(*t.to, *m, dead_letter_reason::dropped_newest);
        destroy_message(*m);
    } else if (t.is_idle) {
        t.to->post_system(m);
    } else {
        push_past_bound(*t.to, m);
    }
}

void actor_timers::put_back(schedule& due) noexcept {
    const auto now = lowlevel::now();
    for (auto one = due.begin(); one != due.end();) {
        const auto at = one++;
        if (!at->second.copy) continue;
        const auto known = by_number_.find(at->second.number);
        if (known == by_number_.end()) continue;                           // cancelled meanwhile
        auto node = due.extract(at);
        const auto next = node.key() + node.mapped().period;               // a late one is not made up for
        node.key() = next > now ? next : now + node.mapped().period;
        known->second.where = timers_.insert(std::move(node));
    }
}

void actor_timers::deliver(schedule& due) noexcept {
    std::size_t kept_alive = 0;
    for (auto& [at, t] : due) {
        if (t.keeps_alive()) ++kept_alive;
        if (auto* const m = t.copy ? copy_of(t) : std::exchange(t.message, nullptr)) deliver_one(t, m);
    }
    lock_.lock();
    put_back(due);
    lock_.unlock();
    for (auto& [at, t] : due) dispose(t);
    rondo::yield();                                       // periods may be shorter than a round
    if (!kept_alive) return;
    std::lock_guard hold(lock_);
    pending_ -= kept_alive;
}

void actor_timers::keep_time(void* self, bool) { static_cast<actor_timers*>(self)->run(); }

void actor_timers::run() {
    const lowlevel::shield from_stop;                     // a runtime that ends stops the actors, and they their timers
    for (;;) {
        schedule due;
        lock_.lock();
        take_due(due);
        if (!due.empty()) {
            lock_.unlock();
            deliver(due);
            continue;
        }
        if (timers_.empty()) {
            is_keeper_there_ = false;
            is_background_.store(false, release);
            lock_.unlock();
            return;
        }
        lowlevel::ensure_stack();
        lowlevel::waiter& me = lowlevel::self();
        lowlevel::wait_node node(me);
        is_background_.store(pending_ == 0, release);
        keeper_.push_back(node);
        const auto outcome =
            lowlevel::suspend(me, {lowlevel::wait_kind::sleep, nullptr}, &lock_, timers_.begin()->first);
        if (outcome != wake::ready) lowlevel::unlink(lock_, keeper_, node);
        is_background_.store(false, release);
    }
}

}  // namespace rondo::detail
