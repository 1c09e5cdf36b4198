#include "actor_system.hpp"

#include <algorithm>
#include <mutex>

#include <cxxabi.h>

#include <fmt/format.h>

namespace rondo::detail {

using lowlevel::wake;

std::string_view type_tag::view() const noexcept {        // "... [with T = account]", "... [T = account]"
    std::string_view s = text;
    const auto from = s.find("T = ");
    if (from == s.npos) return s;
    s.remove_prefix(from + 4);
    int depth = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
        const char c = s[i];
        if (c == '<' || c == '(' || c == '{' || c == '[') ++depth;
        else if (c == '>' || c == ')' || c == '}') --depth;
        else if (c == ']' && depth-- == 0) return s.substr(0, i);
        else if (c == ';' && depth == 0) return s.substr(0, i);
    }
    return s;
}

std::string type_tag::name() const { return std::string(view()); }

// ---------------------------------------------------------------------------------------------- finding it

actor_system& actor_system::at(lowlevel::home& h) {
    return static_cast<actor_system&>(
        lowlevel::attach(h, [](lowlevel::home& at) -> lowlevel::attachment* { return new actor_system(at); }));
}
actor_system& system_of(lowlevel::home& at) { return actor_system::at(at); }
actor_system& system_to_start_in(lowlevel::home& at) {
    if (lowlevel::is_closing(at) && lowlevel::home_here() != &at)
        throw usage_error("rondo::start_on after shutdown: this runtime takes no more actors");
    return system_of(at);
}
actor_system& system_here(const char* call) {
    if (auto* h = lowlevel::home_here()) return actor_system::at(*h);
    throw usage_error(fmt::format("{} outside any runtime: call it from a tasklet or a handler (in rondo::run, say), or "
                                  "use the form that names a runtime (rondo::start_on<A>(rt, ...))",
                                  call));
}

// ---------------------------------------------------------------------------------------------- the living

void enroll(actor_cell& c, std::string_view name, std::source_location where, std::shared_ptr<supervised> under) {
    if (!name.empty() || where.line() != 0 || under || c.of.is_reentrant || c.full_policy == when_full::drop_oldest) {
        auto& e = c.need_extra();
        e.name = name;
        e.where = where;
        e.started = std::chrono::steady_clock::now();
        if (auto* here = actor_here_or_null()) e.starter = here->id;
        e.under = std::move(under);
    }
    c.system.enroll(c);
}

void actor_system::enroll(actor_cell& c) noexcept {
    const auto at = lowlevel::worker_here() % shard_count;
    shard& s = shards_[at];
    c.shard = static_cast<std::uint8_t>(at);
    std::lock_guard hold(s.lock);
    c.id = ++s.numbered * shard_count + at - shard_count + 1;
    c.next = s.first;
    if (s.first) s.first->prev = &c;
    s.first = &c;
    ++s.living;
    ++s.in_memory;
}

bool actor_system::strike_off(actor_cell& c) noexcept {
    shard& s = shards_[c.shard];
    std::lock_guard hold(s.lock);
    (c.prev ? c.prev->next : s.first) = c.next;
    if (c.next) c.next->prev = c.prev;
    --s.living;
    const bool is_last = c.has_one_weak();       // and nobody can find it any more
    if (is_last) --s.in_memory;
    return is_last;
}

void actor_system::memory_is_freed(unsigned at) noexcept {
    shard& s = shards_[at];
    {
        std::lock_guard hold(s.lock);
        if (--s.in_memory != 0 || !is_home_gone_.load(acquire)) return;
    }
    free_if_unused();
}

void actor_system::home_is_gone() noexcept {
    names_.clear();
    is_home_gone_.store(true, seq_cst);
    free_if_unused();
}

// Whoever finds, with every shard locked, that nothing refers to it any more. The last memory is freed once, so there
// may be two of them: home_is_gone() and the last memory_is_freed().
void actor_system::free_if_unused() noexcept {
    static lowlevel::spin_lock one_at_a_time;
    std::lock_guard only(one_at_a_time);
    bool unused = true;
    for (auto& s : shards_) {
        std::lock_guard hold(s.lock);
        unused = unused && s.in_memory == 0;
    }
    if (!unused) return;
    delete this;
}

std::size_t actor_system::live() noexcept {
    std::size_t n = 0;
    for (auto& s : shards_) {
        std::lock_guard hold(s.lock);
        n += s.living;
    }
    return n;
}

void actor_system::end() noexcept {
    is_ending_.store(true, release);
    // Orders go out under the shard's lock: whoever lives stays in memory that long. They only schedule; an interruption may
    // run somebody's stop callback.
    std::vector<actor_cell*> to_interrupt;
    for_each([&](actor_cell& c) {
        c.give_order(actor_cell::shutdown);
        if (!c.of.ends_at_once) return;
        try {
            to_interrupt.push_back(&c);
            c.add_weak();
        } catch (...) {}                                  // no memory: it ends when its handler is through
    });
    for (actor_cell* c : to_interrupt) {
        c->interrupt();
        c->drop_weak();
    }
}

std::string actor_system::name_of(const void* object) {
    std::string name;
    for_each([&](actor_cell& c) {
        if (&c == object) name = c.label();
    });
    return name;
}

// Who asks an actor that the end of the runtime has stopped, and does not catch what he gets. Or whose handler joins a tasklet
// that the end has stopped first.
bool actor_system::comes_of_the_end(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const actor_ended& e) {
        return e.why().kind == exit_kind::shutdown;
    } catch (const foreign_stop&) {
        return true;
    } catch (...) {
        return false;
    }
}

// ---------------------------------------------------------------------------------------------- dead letters

void actor_system::count(actor_cell& to, const message_node& m, dead_letter_reason why) noexcept {
    dead_[static_cast<std::size_t>(why)].fetch_add(1, relaxed);
    if (!is_observed_.load(relaxed)) return;
    std::shared_ptr<std::function<void(const dead_letter&)>> f;
    const lowlevel::waiter* const me = &lowlevel::self();
    try {
        std::lock_guard hold(observer_lock_);
        // What an observer itself tells the dead is counted, and not shown to it again.
        if (std::find(observing_.begin(), observing_.end(), me) != observing_.end()) return;
        observing_.push_back(me);
        f = observer_;
    } catch (...) {
        return;
    }
    try {
        if (f && *f) (*f)({why, to.label(), m.ops->type->name()});
    } catch (...) {}                                      // an observer's own error is its own business
    std::lock_guard hold(observer_lock_);
    observing_.erase(std::find(observing_.begin(), observing_.end(), me));
}
dead_letter_counts actor_system::counts() const noexcept {
    return {dead_[0].load(relaxed), dead_[1].load(relaxed), dead_[2].load(relaxed), dead_[3].load(relaxed)};
}
void actor_system::observe(std::function<void(const dead_letter&)> f) {
    const bool any = static_cast<bool>(f);
    auto shared = std::make_shared<std::function<void(const dead_letter&)>>(std::move(f));
    std::lock_guard hold(observer_lock_);
    observer_ = any ? std::move(shared) : nullptr;
    is_observed_.store(any, relaxed);
}

// ---------------------------------------------------------------------------------------------- timers

// One tasklet per runtime keeps the time for all actors: it sleeps until the first timer, and ends when there is none.
void actor_system::keep_time(void* self, bool) { static_cast<actor_system*>(self)->run_timers(); }

std::size_t actor_system::background() noexcept {
    return (is_background_.load(acquire) ? 1 : 0) + resting_.load(acquire);
}

std::uint64_t actor_system::start_timer(actor_cell& to, std::chrono::steady_clock::duration d, message_node* m,
                                        message_node* (*copy)(message_node&), bool is_idle) {
    if (copy && d <= d.zero()) throw usage_error("this_actor::every: the period must be positive");
    const auto at = limit_after(d) == at_once ? lowlevel::now() : limit_after(d);
    schedule one;                                         // allocates outside the lock
    one.emplace(at, timed{&to, m, copy, d, 0, is_idle});
    lowlevel::waiter* keeper = nullptr;
    bool is_first_of_all = false;
    std::uint64_t number;
    {
        std::lock_guard hold(timer_lock_);
        number = ++last_timer_;
        const auto entry = by_number_.emplace(number, timers_.end()).first;       // may throw: nothing has happened yet
        auto node = one.extract(one.begin());
        node.mapped().number = number;
        const auto where = timers_.insert(std::move(node));
        entry->second = where;
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
        const auto j = lowlevel::make_job(home, &keep_time, this, std::source_location::current());
        keeper_id_.store(j.id, relaxed);
        lowlevel::submit_job(home, j, lowlevel::placement::tail);
    }
    if (keeper) lowlevel::resume(*keeper, lowlevel::placement::tail);
    return number;
}

void actor_system::dispose(timed& t) noexcept {
    if (t.message) destroy_message(*t.message);
    if (t.is_idle) t.to->drop_weak();
    else t.to->drop_ref();
}

void actor_system::forget_past(std::vector<std::uint64_t>& numbers) noexcept {
    std::lock_guard hold(timer_lock_);
    std::erase_if(numbers, [this](std::uint64_t n) { return !by_number_.contains(n); });
}

void actor_system::cancel_timers(const actor_cell& of, const std::uint64_t* numbers, std::size_t n) noexcept {
    schedule gone;
    lowlevel::waiter* keeper = nullptr;
    {
        std::lock_guard hold(timer_lock_);
        for (; n > 0; --n, ++numbers) {
            const auto found = by_number_.find(*numbers);
            if (found == by_number_.end() || found->second->second.to != &of) continue;
            if (found->second->second.keeps_alive()) --pending_;
            gone.insert(timers_.extract(found->second));
            by_number_.erase(found);
        }
        if (timers_.empty() || pending_ == 0)             // it has to end, or to become background
            if (auto* waiting = keeper_.claim_front(wake::ready)) keeper = waiting->who;
    }
    for (auto& [at, t] : gone) dispose(t);
    if (keeper) lowlevel::resume(*keeper, lowlevel::placement::tail);
}

void actor_system::run_timers() {
    const lowlevel::shield from_stop;                     // a runtime that ends stops the actors, and they their timers
    for (;;) {
        schedule due;
        const auto now = lowlevel::now();
        timer_lock_.lock();
        while (!timers_.empty() && timers_.begin()->first <= now) {
            auto node = timers_.extract(timers_.begin());
            timed& t = node.mapped();
            if (t.copy) {                                 // the next one; a late one is not made up for
                auto tick = due.end();
                try {
                    tick = due.emplace(node.key(), t);
                    tick->second.message = t.copy(*t.message);
                    t.to->add_ref();
                } catch (...) {                           // no memory, or its copy threw: this tick is left out
                    if (tick != due.end()) due.erase(tick);
                }
                const auto next = node.key() + t.period;
                node.key() = next > now ? next : now + t.period;
                by_number_[t.number] = timers_.insert(std::move(node));
            } else {
                by_number_.erase(t.number);
                due.insert(std::move(node));
            }
        }
        if (due.empty()) {
            if (timers_.empty()) {
                is_keeper_there_ = false;
                is_background_.store(false, release);
                timer_lock_.unlock();
                return;
            }
            lowlevel::ensure_stack();
            lowlevel::waiter& me = lowlevel::self();
            lowlevel::wait_node node(me);
            is_background_.store(pending_ == 0, release);
            keeper_.push_back(node);
            const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::sleep, nullptr}, &timer_lock_,
                                                   timers_.begin()->first);
            if (outcome != wake::ready) lowlevel::unlink(timer_lock_, keeper_, node);
            is_background_.store(false, release);
            continue;
        }
        timer_lock_.unlock();
        std::size_t kept_alive = 0;
        for (auto& [at, t] : due) {
            if (t.keeps_alive()) ++kept_alive;
            // A tick for whom others wait already is left out, as one that its mailbox drops.
            const auto slots = t.to->messages.slots();
            if (!t.copy || !slots || t.to->messages.depth() < slots) {
                message_node* m = std::exchange(t.message, nullptr);
                if (t.is_idle) t.to->post_system(m);
                else push_past_bound(*t.to, m);
            } else {
                count(*t.to, *t.message, dead_letter_reason::dropped_newest);
            }
            dispose(t);
        }
        rondo::yield();                                   // periods may be shorter than a round
        if (kept_alive) {
            std::lock_guard hold(timer_lock_);
            pending_ -= kept_alive;
        }
    }
}

}  // namespace rondo::detail

namespace rondo {

dead_letter_counts dead_letters() { return detail::system_here("rondo::dead_letters").counts(); }
dead_letter_counts dead_letters(runtime& rt) { return detail::system_of(rt.impl()).counts(); }
void observe_dead_letters(std::function<void(const dead_letter&)> f) {
    detail::system_here("rondo::observe_dead_letters").observe(std::move(f));
}
void observe_dead_letters(runtime& rt, std::function<void(const dead_letter&)> f) {
    detail::system_of(rt.impl()).observe(std::move(f));
}
std::size_t live_actors(runtime& rt) { return detail::system_of(rt.impl()).live(); }
std::size_t live_actors() { return detail::system_here("rondo::live_actors").live(); }

}  // namespace rondo
