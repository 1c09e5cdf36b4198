// What a handler puts aside, or takes along: its message, the answer that it owes.
#include "actor_system.hpp"

#include <algorithm>
#include <exception>

namespace rondo::detail {

bool actor_cell::keep_lost(reply_cell& r) noexcept {
    try {
        need_extra().lost.push_back({&lowlevel::self(), &r});
    } catch (...) {
        return false;
    }
    notice_loss();
    return true;
}
void actor_cell::notice_loss() noexcept {
    flags |= puts_aside;                                  // so that handle() looks, if the exception stays in the handler
    lowlevel::watch_waits(true);                          // and own_up(), if it waits first
}
void actor_cell::own_up() noexcept {
    if (std::uncaught_exceptions() > 0) return;
    settle_lost(nullptr);
    if (current && current->reply) current->reply->own_up();
}
void actor_cell::settle_lost(const exit_reason* why) noexcept {
    if (!of.is_reentrant) lowlevel::watch_waits(false);
    auto* e = extra.load(relaxed);
    if (!e || e->lost.empty()) return;
    const auto* const me = &lowlevel::self();
    const auto mine = std::partition(e->lost.begin(), e->lost.end(), [me](const auto& l) { return l.by != me; });
    for (auto at = mine; at != e->lost.end(); ++at)
        if (why) at->what->fail_with([&] { return actor_ended(label(), *why); });
        else at->what->fail_with([] { return no_answer(); });
    e->lost.erase(mine, e->lost.end());
}

void actor_cell::put_back_stash(actor_extra& e, std::size_t n, bool held_too) noexcept {
    message_node *back = nullptr, *stay = nullptr;
    message_node **end_of_back = &back, **end_of_stay = &stay;
    message_node *last_back = nullptr, *last_stay = nullptr;
    std::size_t count = 0;
    if (held_too && n == e.stashed.load(relaxed)) {       // all, as is
        back = e.stash_first;
        last_back = e.stash_last;
        count = n;
    } else {
        const auto is_held = [&](const message_node* m) {
            return std::any_of(e.held.begin(), e.held.end(), [m](const auto& h) { return h.m == m; });
        };
        for (message_node* m = e.stash_first; m; m = m->next) {
            if (n > 0 && (held_too || !is_held(m))) {
                *end_of_back = last_back = m;
                end_of_back = &m->next;
                ++count;
            } else {
                *end_of_stay = last_stay = m;
                end_of_stay = &m->next;
            }
            if (n > 0) --n;
        }
        *end_of_back = *end_of_stay = nullptr;
    }
    e.stash_first = stay;
    e.stash_last = last_stay;
    e.stashed.store(e.stashed.load(relaxed) - count, relaxed);
    if (count == 0) return;
    const auto hold = hold_mailbox();
    messages.put_back(back, last_back, count);
}

void actor_cell::let_out_of_hand(const message_node& m) noexcept {
    auto* const x = extra.load(relaxed);                  // none: it has lost its answer, no more
    if (!of.is_reentrant) {
        flags &= static_cast<std::uint8_t>(~puts_aside);
        if (const auto n = x ? std::exchange(x->stash_due, 0) : 0) put_back_stash(*x, n, true);
        return;
    }
    auto& e = *x;                                         // see enroll()
    const auto found = std::find_if(e.held.begin(), e.held.end(), [&](const auto& h) { return h.m == &m; });
    const bool is_held = found != e.held.end(), is_due = is_held && found->is_due;
    if (is_held) e.held.erase(found);
    if (e.held.empty() && e.lost.empty()) flags &= static_cast<std::uint8_t>(~puts_aside);
    if (!is_due) return;
    message_node *before = nullptr, *mine = e.stash_first;
    while (mine != &m) before = std::exchange(mine, mine->next);
    (before ? before->next : e.stash_first) = mine->next;
    if (e.stash_last == mine) e.stash_last = before;
    e.stashed.store(e.stashed.load(relaxed) - 1, relaxed);
    const auto hold = hold_mailbox();
    messages.put_back(mine, mine, 1);
}

}  // namespace rondo::detail
