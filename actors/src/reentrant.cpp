// Reentrant actors: handlers that wait let others in. See detail/actor_cell.hpp.
//
// R1  One runs at a time: the role of the runner belongs to one activation, whose handler runs. It is given up where a
//     handler waits (put_aside), and given to one that has waited by the runner alone, between two messages (give_way).
// R2  A handler that has waited is in `returning` before it nudges the mailbox, and whoever clears the signal looks at
//     `returning` after that; so none is left behind.
// R3  A handler in flight is in `flights` before the next runner can exist. Who stops all first writes the order down and
//     then looks at the list, under its lock; who enters the list looks at the orders after that. So none is missed.
#include "actor_system.hpp"

#include <array>
#include <cstdint>
#include <mutex>

namespace rondo::detail {

void actor_system::wait_begins(lowlevel::watched_wait& w) noexcept {
    auto& a = *static_cast<actor_cell*>(w.what);
    a.own_up();
    if (a.flags & actor_cell::is_reentrant) a.put_aside(w);
}
void actor_system::wait_has_ended(lowlevel::watched_wait& w) noexcept {
    auto& a = *static_cast<actor_cell*>(w.what);
    if (a.of.is_reentrant) a.line_up(w);                  // its flags are the runner's, who is another one by now
}

// It still runs, but nothing of the handler does: it is on its way out of lowlevel::suspend().
void actor_cell::put_aside(lowlevel::watched_wait& w) noexcept {
    auto& e = *extra.load(acquire);
    // Messages lie at multiples of 64: there is room for how it is handled.
    constexpr std::uint8_t how = by_behaviour | is_consumed;
    w.data = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(std::exchange(current, nullptr)) | (flags & how));
    flags &= static_cast<std::uint8_t>(~how);
    {
        std::lock_guard hold(e.flights_guard);
        w.next = e.flights;
        if (w.next) w.next->prev = &w;
        e.flights = &w;
    }
    if (orders.load(relaxed) & (kill | linked | failed)) lowlevel::stop_job(w.who);
    hand_over();
}

void actor_cell::line_up(lowlevel::watched_wait& w) noexcept {
    auto& e = *extra.load(acquire);
    {
        const lowlevel::shield whatever_comes;
        lowlevel::ensure_stack();
        lowlevel::waiter& me = lowlevel::self();
        lowlevel::wait_node node(me);
        e.flights_guard.lock();
        e.returning.push_back(node);
        bool late = false;
        if (messages.nudge(&late)) schedule();
        lowlevel::suspend(me, {lowlevel::wait_kind::other, this}, &e.flights_guard);
    }
    std::lock_guard hold(e.flights_guard);                // we are the runner
    (w.prev ? w.prev->next : e.flights) = w.next;
    if (w.next) w.next->prev = w.prev;
    const auto data = reinterpret_cast<std::uintptr_t>(w.data);
    current = reinterpret_cast<message_node*>(data & ~std::uintptr_t{63});
    flags |= static_cast<std::uint8_t>(data & 63);
}

bool actor_cell::has_flights() noexcept {
    if (!of.is_reentrant) return false;
    auto& e = *extra.load(acquire);
    std::lock_guard hold(e.flights_guard);
    return e.flights != nullptr;
}

// True: a handler that has waited is the runner now; the caller is none any more.
bool actor_cell::give_way() noexcept {
    auto& e = *extra.load(acquire);
    std::lock_guard hold(e.flights_guard);
    lowlevel::wait_node* n = e.returning.claim_front(lowlevel::wake::ready);
    if (!n) return false;
    task* const t = static_cast<task*>(n->who);
    runner.id.store(t->id.load(relaxed), relaxed);
    runner.t.exchange(t, seq_cst);                        // as in hand_over()
    bool late = false;
    (void)messages.nudge(&late);                          // it looks round for the rest: others, orders, system messages
    lowlevel::resume(*t, lowlevel::placement::next);
    return true;
}

void actor_cell::stop_flights() noexcept {
    auto* e = extra.load(acquire);
    if (!e) return;
    // In batches, so that no lock is held while they are stopped; those that are stopped once more take no harm.
    std::array<lowlevel::job, 16> some;
    for (std::size_t done = 0;;) {
        std::size_t n = 0, i = 0;
        {
            std::lock_guard hold(e->flights_guard);
            for (auto* w = e->flights; w && n < some.size(); w = w->next)
                if (i++ >= done) some[n++] = w->who;
        }
        for (std::size_t k = 0; k < n; ++k) lowlevel::stop_job(some[k]);
        done += n;
        if (n < some.size()) return;
    }
}

}  // namespace rondo::detail
