// Why actors end, and who is told of it: watch and link.
#include <algorithm>
#include <mutex>
#include <utility>

#include "actor_system.hpp"

namespace rondo {

using detail::actor_cell;
using detail::actor_here;

const char* to_string(exit_kind kind) noexcept {
    switch (kind) {
        case exit_kind::stopped: return "stopped";
        case exit_kind::unreferenced: return "nobody had a handle any more";
        case exit_kind::shutdown: return "shut down";
        case exit_kind::killed: return "killed";
        case exit_kind::crashed: return "crashed";
        case exit_kind::linked: return "ended with an actor that it was linked with";
        case exit_kind::gave_up: return "gave up: too many restarts";
    }
    return "?";
}
const char* to_string(dead_letter_reason reason) noexcept {
    switch (reason) {
        case dead_letter_reason::ended: return "the actor has ended";
        case dead_letter_reason::dropped_newest: return "the mailbox was full; the newest was dropped";
        case dead_letter_reason::dropped_oldest: return "the mailbox was full; the oldest was dropped";
        case dead_letter_reason::restarted: return "the actor was restarted without its messages";
    }
    return "?";
}

std::string exit_reason::text() const {
    std::string out = to_string(kind);
    if (!error) return out;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        out += std::string(": ") + e.what();
    } catch (...) {
        out += ": an exception that is no std::exception";
    }
    return out;
}

namespace {

void check_other(const detail::any_actor& a, const actor_cell& me, const char* call) {
    if (a.cell_or_null() == &me) throw usage_error(std::string(call) + ": an actor cannot be told of its own end");
}

}  // namespace

void watch(const detail::any_actor& a) {
    auto& me = actor_here("rondo::watch");
    actor_cell& c = a.cell();
    check_other(a, me, "rondo::watch");
    if (!me.of.on_down) throw usage_error("rondo::watch: " + me.label() + " has no on(rondo::down)");
    auto& e = c.need_extra();
    exit_reason why;
    {
        std::lock_guard hold(e.guard);
        if (!e.has_ended) {
            e.watchers.push_back(&me);
            me.add_weak();
            return;
        }
        why = e.why;
    }
    me.post_system(detail::make_message<down>(*me.of.on_down, down{c.id, e.name, why}));
}

void unwatch(const detail::any_actor& a) {
    auto& me = actor_here("rondo::unwatch");
    auto* e = a.cell().extra.load(detail::acquire);
    if (!e) return;
    std::lock_guard hold(e->guard);
    auto at = std::find(e->watchers.begin(), e->watchers.end(), &me);
    if (at == e->watchers.end()) return;
    e->watchers.erase(at);
    me.drop_weak();                                       // never the last: it is alive
}

void link(const detail::any_actor& a, const detail::any_actor& b) {
    actor_cell *first = &a.cell(), *second = &b.cell();
    if (first == second) throw usage_error("rondo::link: an actor cannot be linked with itself");
    if (second < first) std::swap(first, second);         // one order of locking
    auto &x = first->need_extra(), &y = second->need_extra();
    actor_cell* survivor = nullptr;
    {
        std::scoped_lock hold(x.guard, y.guard);
        if (!x.has_ended && !y.has_ended) {
            x.links.push_back(second);
            y.links.push_back(first);
            first->add_weak();
            second->add_weak();
            return;
        }
        if (x.has_ended != y.has_ended) {
            auto& dead = x.has_ended ? x : y;
            auto& alive = x.has_ended ? y : x;
            if (!dead.why.is_failure()) return;
            alive.linked_why = {exit_kind::linked, dead.why.error};
            survivor = x.has_ended ? second : first;
        }
    }
    if (!survivor) return;
    survivor->give_order(actor_cell::linked);
    survivor->kill_now();
}

void unlink(const detail::any_actor& a, const detail::any_actor& b) {
    for (auto [one, other] : {std::pair(&a.cell(), &b.cell()), std::pair(&b.cell(), &a.cell())}) {
        auto* e = one->extra.load(detail::acquire);
        if (!e) continue;
        std::unique_lock hold(e->guard);
        auto at = std::find(e->links.begin(), e->links.end(), other);
        if (at == e->links.end()) continue;
        e->links.erase(at);
        hold.unlock();
        other->drop_weak();                               // never the last: the caller has a handle
    }
}

}  // namespace rondo
