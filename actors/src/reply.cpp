// Answers: one cell of memory that the asker and whoever owes the answer share.
#include <rondo/detail/message.hpp>

#include <exception>
#include <mutex>

#include <rondo/detail/actor_cell.hpp>

namespace rondo::detail {

bool reply_cell::finish() noexcept {
    lock.lock();
    is_done = true;
    lowlevel::wait_node* n = std::exchange(asker, nullptr);
    lowlevel::waiter* who = n && n->claim(lowlevel::wake::ready) ? n->who : nullptr;
    if (n && !who) is_left = true;
    const bool is_awaited = !is_left;
    lock.unlock();
    let_go();
    if (who) lowlevel::resume(*who, lowlevel::placement::next);
    return is_awaited;
}

bool reply_cell::fail(std::exception_ptr e) noexcept {
    error = std::move(e);
    return finish();
}
bool reply_cell::fail_by_crash(std::exception_ptr e) noexcept {
    tells_crash = true;
    return fail(std::move(e));
}

void reply_cell::leave() noexcept {
    lock.lock();
    const bool is_lost = is_done && tells_crash && !is_left;
    is_left = true;
    lock.unlock();
    if (auto* const here = is_lost ? lowlevel::home_here() : nullptr) lowlevel::report_unhandled(*here, error);
}

namespace {

// The caller owed it. An actor that ends lets go of all it owes, in its handler, object, timers and mailbox.
void fail_dropped(reply_cell& r) noexcept {
    const actor_cell* const c = actor_here_or_null();
    auto why = c ? c->end_of_owing() : std::nullopt;
    if (why) r.fail_with([&] { return actor_ended(c->label(), std::move(*why)); });
    else r.fail_with([] { return no_answer(); });
}

}  // namespace

// An exception that leaves a handler destroys its rondo::reply on the way, before anybody has seen what it is; and a
// handler that has put its message aside leaves the asker to that. So it is only marked: leave_handler() decides. What the
// handler owed to others (a message may bring a rondo::reply) goes the same way: actor_cell::fail() decides, and handle();
// or, if the handler has caught the exception and waits, own_up().
void reply_cell::drop() noexcept {
    {
        const std::lock_guard hold(lock);
        if (in_handler && (stashed_as || std::uncaught_exceptions() > 0)) {
            is_dropped = true;
            if (auto* const c = actor_here_or_null()) c->notice_loss();
            return;
        }
    }
    actor_cell* const c = std::uncaught_exceptions() > 0 ? actor_here_or_null() : nullptr;
    if (c && !c->end_of_owing() && c->keep_lost(*this)) return;
    fail_dropped(*this);
}

void reply_cell::enter_handler() noexcept {
    in_handler = true;
    holders.fetch_add(1, relaxed);
}

void reply_cell::own_up() noexcept {
    {
        const std::lock_guard hold(lock);
        if (!in_handler || stashed_as || !std::exchange(is_dropped, false)) return;
    }
    fail_with([] { return no_answer(); });
}

void reply_cell::leave_handler(message_node& m, bool has_thrown) noexcept {
    lock.lock();
    in_handler = false;
    const bool is_owed = std::exchange(is_dropped, false);
    message_node* const heir = stashed_as ? std::exchange(stashed_as, nullptr) : has_thrown ? &m : nullptr;
    lock.unlock();
    m.reply = nullptr;
    if (heir) heir->reply = is_owed ? this : nullptr;     // of an error actor_cell::fail() makes the answer
    else if (is_owed) fail_dropped(*this);
    let_go();
}

void reply_cell::let_go() noexcept {
    // acq_rel: the other's use of it comes before its end.
    if (holders.load(acquire) != 1 && holders.fetch_sub(1, acq_rel) != 1) return;
    if (has_value) destroy(*this);
    const std::size_t n = lines;
    std::destroy_at(this);
    give_block(this, n);
}

bool reply_cell::wait(const void* from, lowlevel::time_point until) {
    using lowlevel::wake;
    lowlevel::waiter& me = lowlevel::enter();
    lock.lock();
    if (is_done) {
        lock.unlock();
    } else {
        lowlevel::wait_node node(me);
        asker = &node;
        const auto outcome = lowlevel::suspend(me, {lowlevel::wait_kind::reply, from}, &lock, until);
        if (outcome != wake::ready) {
            lock.lock();
            asker = nullptr;
            if (!is_done) is_left = true;
            lock.unlock();
            lowlevel::raise(outcome);
            return false;
        }
    }
    is_taken = true;
    if (error) std::rethrow_exception(error);
    return true;
}

}  // namespace rondo::detail
