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

void enroll(actor_cell& c, const actor_options& o, std::shared_ptr<supervised>&& under) {
    if (!o.name.empty() || o.where.line() != 0 || under || c.of.is_reentrant || c.full_policy == when_full::drop_oldest) {
        auto& e = c.need_extra();
        e.name = o.name;
        e.where = o.where;
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
    s.add(c);
    ++s.in_memory;
}

inline void actor_system::shard::add(actor_cell& c) noexcept {
    c.next = first;
    if (first) first->prev = &c;
    first = &c;
    ++living;
}
inline void actor_system::shard::remove(actor_cell& c) noexcept {
    (c.prev ? c.prev->next : first) = c.next;
    if (c.next) c.next->prev = c.prev;
    --living;
}

bool actor_system::strike_off(actor_cell& c, bool only_if_last) noexcept {
    shard& s = shards_[c.shard];
    std::lock_guard hold(s.lock);
    const bool is_last = c.has_one_weak();       // and with the lock held nobody can find it
    if (!is_last && only_if_last) return false;
    s.remove(c);
    if (is_last) --s.in_memory;
    return is_last;
}

void actor_system::memory_is_freed(unsigned at) noexcept {
    shard& s = shards_[at];
    bool is_last;
    {
        std::lock_guard hold(s.lock);
        is_last = --s.in_memory == 0 && s.is_home_gone;
    }
    if (is_last) let_go();
}

void actor_system::home_is_gone() noexcept {
    names_.clear();
    for (auto& s : shards_) {
        std::lock_guard hold(s.lock);
        s.is_home_gone = true;                            // so nobody is enrolled any more
        // relaxed: the home still has its own part.
        if (s.in_memory != 0) users_.fetch_add(1, relaxed);
    }
    let_go();
}

void actor_system::let_go() noexcept {
    // acq_rel: each pairs with the last one, who frees what the others have used.
    if (users_.fetch_sub(1, acq_rel) == 1) delete this;
}

std::size_t actor_system::background() noexcept {
    // acquire: pairs with the releases in begin_rest() and end_rest().
    return (timers.is_background() ? 1 : 0) + resting_.load(acquire);
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
    is_ending_.store(true, release);                      // pairs with the acquire in is_ending()
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

}  // namespace rondo::detail

namespace rondo {

dead_letter_counts dead_letters() { return detail::system_here("rondo::dead_letters").dead.counts(); }
dead_letter_counts dead_letters(runtime& rt) { return detail::system_of(rt.impl()).dead.counts(); }
void observe_dead_letters(std::function<void(const dead_letter&)> f) {
    detail::system_here("rondo::observe_dead_letters").dead.observe(std::move(f));
}
void observe_dead_letters(runtime& rt, std::function<void(const dead_letter&)> f) {
    detail::system_of(rt.impl()).dead.observe(std::move(f));
}
std::size_t live_actors(runtime& rt) { return detail::system_of(rt.impl()).live(); }
std::size_t live_actors() { return detail::system_here("rondo::live_actors").live(); }

}  // namespace rondo
