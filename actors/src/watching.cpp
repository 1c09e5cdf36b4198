// Why actors end, and who is told of it: watch and link.
//
// A watch is two entries: the watcher among the `watchers` of the other, where its end finds it, and that one in
// `watching` of the watcher, whose life it belongs to. The end takes the first and sends a `down`, which takes the
// second when its turn comes; a `down` that finds none was unwatched, or is for an earlier life, and goes. So both lists
// hold only the living and what is on its way, and a new life hears of no end that it did not ask for.
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

namespace detail {
namespace {

struct down_message final : message_with<down> {
    actor_cell* of;                                       // perhaps freed, unless it is among `watching`
};
static_assert(lines_of<down_message> == lines_of<message_with<down>>);

void forget_watcher(actor_cell& of, actor_cell& who) noexcept {
    auto& e = *of.extra.load(acquire);                    // watched, so it has one
    std::unique_lock hold(e.guard);
    if (!e.watchers.erase(who)) return;
    hold.unlock();
    who.drop_weak();                                      // never the last: it is alive
}

}  // namespace

message_node* make_down(const actor_cell& to, actor_cell& of, const exit_reason& why) {
    down d{of.id, of.extra.load(acquire)->name, why};
    void* const block = take_block(lines_of<down_message>);
    return ::new (block) down_message{{{nullptr, to.of.on_down, nullptr}, std::move(d)}, &of};
}

bool actor_cell::is_awaited(const message_node& m) noexcept {
    auto& all = extra.load(relaxed)->watching;
    actor_cell* const who = static_cast<const down_message&>(m).of;
    // Another actor may have come to lie where one that is no longer watched was.
    if (!all.contains(*who) || who->id != static_cast<const down_message&>(m).payload.id) return false;
    all.erase(*who);
    who->drop_weak();
    return true;
}

void actor_cell::stop_watching() noexcept {
    const auto watching = std::exchange(extra.load(relaxed)->watching, {});
    watching.for_each([&](actor_cell& who) {
        forget_watcher(who, *this);
        who.drop_weak();
    });
}

}  // namespace detail

std::string exit_reason::text() const {
    std::string out = to_string(kind);
    if (!error) return out;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        out += std::string(": ") + e.what();
    } catch (const stopped&) {
        out += ": rondo::stopped";
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
    auto& watching = me.need_extra().watching;
    watching.insert(c);
    try {
        std::unique_lock hold(e.guard);
        if (!e.has_ended) {
            e.watchers.insert(me);
            me.add_weak();
        } else {
            const auto why = e.why;
            hold.unlock();
            me.post_system(detail::make_down(me, c, why));
        }
    } catch (...) {
        watching.erase(c);
        throw;
    }
    c.add_weak();
}

void unwatch(const detail::any_actor& a) {
    auto& me = actor_here("rondo::unwatch");
    actor_cell& c = a.cell();
    auto* mine = me.extra.load(detail::relaxed);
    if (!mine) return;
    if (!mine->watching.erase(c)) return;
    detail::forget_watcher(c, me);
    c.drop_weak();                                        // never the last: the caller has a handle
}

void link(const detail::any_actor& a, const detail::any_actor& b) {
    actor_cell *first = &a.cell(), *second = &b.cell();
    if (first == second) throw usage_error("rondo::link: an actor cannot be linked with itself");
    if (second < first) std::swap(first, second);         // one order of locking
    auto &x = first->need_extra(), &y = second->need_extra();
    if (&x == &y) return;                                 // both have ended, and share what says so
    actor_cell* survivor = nullptr;
    {
        std::scoped_lock hold(x.guard, y.guard);
        if (!x.has_ended && !y.has_ended) {
            x.links.push_back(second);
            try {
                y.links.push_back(first);
            } catch (...) {
                x.links.pop_back();
                throw;
            }
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
        auto n = std::erase(e->links, other);
        hold.unlock();
        for (; n > 0; --n) other->drop_weak();            // never the last: the caller has a handle
    }
}

}  // namespace rondo
