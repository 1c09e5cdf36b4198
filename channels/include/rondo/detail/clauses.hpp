// The clauses of select that come with the library, and wait for something: what from(), to(), joined() and the others in
// select.hpp give. How to write another one: lowlevel/select_clause.hpp.
#pragma once

#include <concepts>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <rondo/channel.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/tasklet.hpp>

namespace rondo::lowlevel {

// ---- channels and tasklets

/// On a channel, which it pins when it first enlists: after the wait its node is taken out of there.
template <class T>
class channel_clause : public select_clause {
public:
    void finish() noexcept override {
        if (std::exchange(pinned_, false)) core_->unpin();
    }
    [[nodiscard]] const void* object() const noexcept { return core_; }

protected:
    channel_clause(wait_kind kind, rondo::detail::channel_core<T>& core) : select_clause({kind, &core}), core_(&core) {
        can_close = true;
    }
    ~channel_clause() = default;
    wait_node& fresh_pinned_node(waiter& me) noexcept {
        if (!std::exchange(pinned_, true)) core_->pin();
        return this->fresh_node(me);
    }
    rondo::detail::channel_core<T>* core_;
    void* place_ = nullptr;

private:
    bool pinned_ = false;
};

template <class T, class F>
class receive_clause final : public channel_clause<T> {
public:
    receive_clause(const channel<T>& c, F f) : channel_clause<T>(wait_kind::receive, c.core()), f_(std::move(f)) {}
    progress attempt(waiter& me, bool enlists, partner& met) override {
        if (!enlists) return this->core_->select_receive(into_, met);
        return this->core_->select_receive(into_, this->fresh_pinned_node(me), this->place_, met);
    }
    void withdraw() noexcept override { this->core_->withdraw_receive(this->node(), this->place_); }
    void run() { std::invoke(f_, into_.take()); }

private:
    F f_;
    rondo::detail::packet<T> into_;
};

/// Source is T& (the caller's variable: moved from when the value is sent, untouched if not), T (a value of our own), or
/// a packet with an error in it.
template <class T, class Source, class F>
class send_clause final : public channel_clause<T> {
public:
    send_clause(const channel<T>& c, Source value, F f)
        : channel_clause<T>(wait_kind::send, c.core()), value_(std::forward<Source>(value)), f_(std::move(f)) {}
    progress attempt(waiter& me, bool enlists, partner& met) override {
        if (!enlists) return this->core_->select_send(value_, met);
        return this->core_->select_send(value_, this->fresh_pinned_node(me), this->place_, met);
    }
    void withdraw() noexcept override { this->core_->withdraw_send(this->node(), this->place_); }
    wake ended(wake outcome) noexcept override {
        const wake end = channel_clause<T>::ended(outcome);
        return end == wake::ready && this->node().tag == rondo::detail::value_is_back ? wake::closed : end;
    }
    void run() { std::invoke(f_); }

private:
    Source value_;
    F f_;
};

template <class R, class F>
class join_clause final : public select_clause {
public:
    join_clause(tasklet<R>& t, F f)
        : select_clause({wait_kind::join, t.ref().t}), tasklet_(t), f_(std::move(f)) {}
    progress attempt(waiter& me, bool enlists, partner&) override {
        if (!enlists && tasklet_.joinable()) return tasklet_.done() ? progress::done : progress::waits;
        return rondo::detail::ended_or_enlist(tasklet_.ref(), fresh_node(me)) ? progress::done : progress::waits;
    }
    void withdraw() noexcept override { rondo::detail::withdraw_from(tasklet_.ref(), node()); }
    bool outlasts_stop() const noexcept override { return rondo::detail::has_failed(tasklet_.ref()); }
    void run() {
        if constexpr (std::is_void_v<R>) {
            tasklet_.join();
            std::invoke(f_);
        } else {
            std::invoke(f_, tasklet_.join());
        }
    }

private:
    tasklet<R>& tasklet_;
    F f_;
};

// ---- locks and their kin

/// `How`: what there is to say about the way in which it is waited for (shared_mutex).
template <class Object, auto... How>
class clause_on : public select_clause {
public:
    progress attempt(waiter& me, bool enlists, partner&) override {
        return on_.done_or_enlist(me, enlists ? &fresh_node(me) : nullptr, How...) ? progress::done : progress::waits;
    }
    // Whoever has claimed our node has taken it out; and the object may be gone: somebody else who was woken may end it.
    void withdraw() noexcept override {
        if (!node().claimed) on_.withdraw(node());
    }

protected:
    clause_on(wait_kind kind, Object& on) noexcept : select_clause({kind, &on}), on_(on) {}
    ~clause_on() = default;
    template <class F>
    void call_in_turn(F& f) {                           // a once's: the clause has gone ahead, so it is done or it is our turn
        if (!on_.done()) on_.run(f);
    }
    Object& on_;
};

/// Calls f().
template <class F, class Object>
class done_clause final : public clause_on<Object> {
public:
    done_clause(wait_kind kind, Object& on, F f) : clause_on<Object>(kind, on), f_(std::move(f)) {}
    void run() { std::invoke(f_); }

private:
    F f_;
};

template <class M>
concept lock_for_select = std::same_as<M, mutex> || std::same_as<M, shared_mutex>;

/// Calls f(guard).
template <class Guard, class F, class Object, auto... How>
class lock_clause final : public clause_on<Object, How...> {
public:
    lock_clause(wait_kind kind, Object& on, F f) : clause_on<Object, How...>(kind, on), f_(std::move(f)) {}
    void run() {
        Guard guard(this->on_, std::adopt_lock);
        std::invoke(f_, guard);
    }

private:
    F f_;
};

template <class G, class F>
class once_clause final : public clause_on<once> {
public:
    once_clause(once& o, G g, F f) : clause_on<once>(wait_kind::once, o), g_(std::move(g)), f_(std::move(f)) {}
    void run() {
        call_in_turn(g_);
        std::invoke(f_);
    }

private:
    G g_;
    F f_;
};

// ---- stops

/// Nothing of its own to wait for: select chooses it where it would throw `stopped`.
template <class F>
class stop_clause final : public select_clause {
public:
    explicit stop_clause(F f) : select_clause({wait_kind::stop}), f_(std::move(f)) { takes_stop = true; }
    progress attempt(waiter& me, bool, partner&) override {
        return stop_is_due(me) ? progress::done : progress::waits;
    }
    void withdraw() noexcept override {}
    void run() { std::invoke(f_); }

private:
    F f_;
};

/// The node is in no list: the token's callback reaches for it, and once that is gone nobody does.
class token_clause : public select_clause {
public:
    progress attempt(waiter& me, bool enlists, partner&) override {
        if (takes_stop) return stop_is_due(me) ? progress::done : progress::waits;     // as a stop_clause
        if (token_.stop_requested()) return progress::done;
        if (enlists) callback_.emplace(token_, end_wait{&fresh_node(me)});     // may be called here and now
        return progress::waits;
    }
    void withdraw() noexcept override { callback_.reset(); }                    // waits while it is being called

protected:
    explicit token_clause(std::stop_token token) : select_clause({wait_kind::stop}), token_(std::move(token)) {
        takes_stop = rondo::detail::is_own_token(token_);
    }
    ~token_clause() = default;

private:
    struct end_wait {
        wait_node* mine;
        void operator()() const noexcept {
            waiter& who = *mine->who;
            if (mine->claim(wake::ready)) resume(who, placement::tail);
        }
    };
    std::stop_token token_;
    std::optional<std::stop_callback<end_wait>> callback_;
};
template <class F>
class stopped_by_clause final : public token_clause {
public:
    stopped_by_clause(std::stop_token token, F f) : token_clause(std::move(token)), f_(std::move(f)) {}
    void run() { std::invoke(f_); }

private:
    F f_;
};

// ---- what select itself looks after
template <class F>
struct time_clause {
    time_point until;
    F f;
    void run() { std::invoke(f); }
};
template <class F>
struct otherwise_clause {
    F f;
    void run() { std::invoke(f); }
};

template <class C>
inline constexpr bool is_time_clause = false;
template <class F>
inline constexpr bool is_time_clause<time_clause<F>> = true;
template <class C>
inline constexpr bool is_otherwise_clause = false;
template <class F>
inline constexpr bool is_otherwise_clause<otherwise_clause<F>> = true;
template <class C>
inline constexpr bool is_send_clause = false;
template <class T, class S, class F>
inline constexpr bool is_send_clause<send_clause<T, S, F>> = true;
template <class C>
inline constexpr bool is_receive_clause = false;
template <class T, class F>
inline constexpr bool is_receive_clause<receive_clause<T, F>> = true;

template <class C>
concept waiting_clause = std::derived_from<C, select_clause>;

/// What select takes: what the functions in select.hpp give, or a class of your own.
template <class C>
concept clause = (waiting_clause<C> || is_time_clause<C> || is_otherwise_clause<C>) && requires(C& c) { c.run(); };

}  // namespace rondo::lowlevel
