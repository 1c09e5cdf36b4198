// Stackless Python's face on Rondo, so that its programs port almost word for word.
//
//     void ping() { while (ping_ch.receive()) { fmt::print("PING\n"); pong_ch.send(1); } }
//     int main() {
//         tasklet(ping)();
//         tasklet(pong)();
//         tasklet([] { ping_ch.send(1); })();
//         run();
//     }
//
// As in Stackless every thread has tasklets of its own, in a ring, and a main tasklet: the thread itself. One runs at a
// time; who, is decided by run, schedule, channels and so on exactly as Stackless 3.7.5 does it. Nothing has to be set
// up. A session with several workers runs the same program in parallel: then the order is nobody's promise, but each
// tasklet still runs once, each value still arrives once, and run() still ends when nothing can go on.
//
// Different on purpose (each has a test in tests/conformance/):
//   kill             is sticky: whoever swallows tasklet_exit gets it again at its next call that may switch.
//   close            wakes receivers with `closed`; values of waiting senders can still be received. No open().
//   a dropped channel  ends the waits of those who wait on it with `closed`; nobody stays paused for ever.
//   end of thread    kills what is left of its tasklets, so that every destructor runs. No tasklet outlives its thread.
//   run              says how many tasklets are left waiting; parked_tasklets() says which, and for what.
//   run(timeout)     counts calls of checkpoint(): C++ has no bytecodes to count. With several workers each tasklet's slice
//                    counts its own; the first that has used up its limit is paused, and run returns it, while the others
//                    go on in parallel, without a limit until the next run(timeout).
//   main, waiting    sleeps in the system while other threads of the process could still wake it; else rule by rule the
//                    deadlock errors of Stackless.
//   native waits     (rondo::sleep_for, rondo::channel, a mutex) hold up the whole ring, as a blocking call did; with
//                    several workers they hold up nobody. rondo::within reaches the waits of this layer.
//   finished tasklets can be set up again, but a finished one's stack goes back to the pool in between.
//   preference       with several workers says who keeps the worker on which two tasklets meet, ahead of all that is queued
//                    there; the other one may go on at once elsewhere. Main keeps its thread, whatever the preference.
//   several workers  need no run() to go on: what is made ready (also by kill and raise_exception, which then are always
//                    as with `pending`) runs as soon as a worker is free. So who is queued counts as begun: unbind()
//                    refuses it, remove() is a request, kill() ends it when its turn comes. switch_trap concerns them all.
//   left out         pickling, soft switching, nesting levels, moving a tasklet to another thread.
//
// Attributes are calls: c.balance(), c.preference(1), t.alive(). RuntimeError is usage_error, a Deadlock error is
// rondo::deadlock, TaskletExit is tasklet_exit, StopIteration is stop_iteration, bombs are exceptions.
// What may cross a channel<T> is any T whose move does not throw; channel<> carries std::any.
#pragma once

#include <any>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <rondo/detail/packet.hpp>
#include <rondo/detail/receiving_iterator.hpp>
#include <rondo/detail/stackless_core.hpp>
#include <rondo/error.hpp>
#include <rondo/tasklet_info.hpp>

namespace rondo::stackless {

/// Ends a tasklet silently. Not a std::exception. Let it pass; clean up in destructors.
class tasklet_exit : public stopped {
public:
    [[nodiscard]] const char* what() const noexcept override { return "the tasklet was killed"; }
};

/// Sent with send_exception, it ends the receiver's `for (auto v : channel)`.
class stop_iteration : public error {
public:
    stop_iteration() : error("the iteration has come to its end") {}
};

/// The handle of a tasklet, as cheap to copy as a Python reference; copies name the same tasklet. A tasklet that is
/// alive needs no handle. Made by tasklet(f)(args...), by bind(), or empty (a handle of nothing).
///
/// Calls about a tasklet of another thread are allowed where Stackless allows them; then the tasklet is only made ready
/// on its own thread. Suspends: insert, remove, bind, setup and the questions never; run, switch_to, kill and
/// raise_exception switch to the tasklet (those with `pending` do not).
class tasklet_ref {
public:
    tasklet_ref() noexcept = default;

    /// Gives it something to run. With arguments it is alive and paused: insert() it. Throws usage_error for one that is
    /// alive.
    template <class Call, class... Args>
        requires std::invocable<Call&, Args&...>
    tasklet_ref& bind(Call f, Args... args) {
        detail::bind(make(), call_of(std::move(f), std::move(args)...), true);
        return *this;
    }
    /// Takes it away again. Throws usage_error for one that has begun: its stack must unwind; kill() it.
    tasklet_ref& unbind() {
        detail::unbind(core());
        return *this;
    }
    /// To the tail of its ring. Nothing if it is there. Throws usage_error if it is blocked or dead.
    tasklet_ref& insert() {
        detail::insert(core());
        return *this;
    }
    /// Out of the ring: it is paused. Nothing if it is paused. Throws usage_error if it is current, blocked or dead. With
    /// several workers it is a request, honoured at the tasklet's next switch.
    tasklet_ref& remove() {
        detail::remove(core());
        return *this;
    }
    /// Runs it now; the caller stays in the ring. Throws usage_error if it is blocked or dead.
    void run() { detail::run_now(core()); }
    /// Runs it now; the caller is paused until somebody inserts it. Throws usage_error if it is blocked, dead or another
    /// thread's.
    void switch_to() { detail::switch_to(core()); }
    /// Ends it with tasklet_exit, wherever it waits; at once, or with `pending` when its turn comes. One that has not
    /// begun never begins. Nothing if it is dead. Sticky.
    void kill(bool pending = false) { detail::kill(core(), pending); }
    /// Makes its wait throw. Throws usage_error if it is dead (unless the error is a `stopped`).
    void throw_exception(std::exception_ptr e, bool pending = false) {
        detail::throw_into(core(), std::move(e), pending);
    }
    template <class E, class... Args>
    void raise_exception(Args&&... args) {
        auto e = std::make_exception_ptr(E(std::forward<Args>(args)...));
        throw_exception(std::move(e));
    }

    [[nodiscard]] bool alive() const noexcept {
        const auto p = state();
        return p != detail::phase::unbound && p != detail::phase::bound && p != detail::phase::done;
    }
    /// Alive and in no queue; the main tasklet too while it is inside run().
    [[nodiscard]] bool paused() const noexcept {
        return state() == detail::phase::paused || state() == detail::phase::watching;
    }
    [[nodiscard]] bool blocked() const noexcept { return state() == detail::phase::blocked; }
    /// In the ring or in a channel's queue.
    [[nodiscard]] bool scheduled() const noexcept {
        const auto p = state();
        return p == detail::phase::ready || p == detail::phase::running || p == detail::phase::blocked ||
               p == detail::phase::handed;
    }
    [[nodiscard]] bool is_current() const noexcept { return core_ && detail::is_current(*core_); }
    [[nodiscard]] bool is_main() const noexcept { return core_ && core_->is_main; }
    /// While set, an operation of this tasklet that would have to wait throws usage_error instead.
    [[nodiscard]] bool block_trap() const { return core().block_trap; }
    void block_trap(bool on) { core().block_trap = on; }
    /// What schedule() and schedule_remove() will return in it.
    [[nodiscard]] std::any& tempval() { return core().tempval; }
    [[nodiscard]] std::uint64_t id() const noexcept { return core_ ? core_->id : 0; }
    /// For reports.
    tasklet_ref& set_name(std::string name) {
        detail::set_name(core(), std::move(name));
        return *this;
    }
    [[nodiscard]] const std::string& name() const { return core().name; }

    explicit operator bool() const noexcept { return core_ != nullptr; }
    /// Handles may be the keys of maps: std::hash, and the order in which the tasklets were made.
    friend bool operator==(const tasklet_ref& a, const tasklet_ref& b) noexcept { return a.core_ == b.core_; }
    friend auto operator<=>(const tasklet_ref& a, const tasklet_ref& b) noexcept { return a.id() <=> b.id(); }

    /// For the library.
    explicit tasklet_ref(detail::context_ptr c) noexcept : core_(std::move(c)) {}

protected:
    template <class Call, class... Args>
    static std::unique_ptr<detail::callable> call_of(Call f, Args... args) {
        return detail::make_callable([f = std::move(f), args = std::tuple(std::move(args)...)]() mutable {
            std::apply(f, std::move(args));
        });
    }
    [[nodiscard]] detail::context& core() const {
        if (!core_) [[unlikely]] throw usage_error("this handle names no tasklet: make one with tasklet(f)(args...)");
        return *core_;
    }
    detail::context& make() {
        if (!core_) core_ = detail::make_context();
        return *core_;
    }

private:
    [[nodiscard]] detail::phase state() const noexcept {
        return core_ ? detail::phase_of(*core_) : detail::phase::unbound;
    }
    detail::context_ptr core_;
};

/// What tasklet(f) gives: bound to f, not alive until it gets its arguments.
template <class F>
class bound_tasklet : public tasklet_ref {
public:
    explicit bound_tasklet(F f) : f_(std::move(f)) { detail::bind(make(), nullptr, false); }

    /// To the tail of the ring; runs f(args...) when its turn comes. Arguments are copied, as for std::thread. Again once
    /// it has ended: runs it again.
    template <class... Args>
        requires std::invocable<F&, Args...>
    tasklet_ref& operator()(Args... args) {
        detail::setup(core(), call_of(f_, std::move(args)...));
        return *this;
    }
    template <class... Args>
        requires std::invocable<F&, Args...>
    tasklet_ref& setup(Args... args) {
        return (*this)(std::move(args)...);
    }

private:
    F f_;
};

/// tasklet(f)(args...): a tasklet that runs f(args...) when its turn comes. (A function, because with a class of this name
/// C++ would read the statement as the declaration of a variable f.)
template <class F>
[[nodiscard]] bound_tasklet<F> tasklet(F f) {
    return bound_tasklet<F>(std::move(f));
}

// ------------------------------------------------------------------------------------------------------- the scheduler

struct run_options {
    std::uint64_t timeout = 0;       ///< calls of checkpoint() in a slice until its tasklet is interrupted; 0: no limit
    bool total = false;              ///< counted over all tasklets of this run, not for each slice
    bool soft = false;               ///< interrupts nobody: run() returns at the next switch after the limit
};
struct run_result {
    std::size_t finished = 0;        ///< tasklets that ended meanwhile
    std::size_t parked = 0;          ///< tasklets left that wait for something, or are paused
    tasklet_ref interrupted;           ///< who used up the timeout (of the last run, if that threw an error instead); it is
                                       ///< paused: insert() it to let it go on
};

/// Runs the tasklets until nobody can go on. The caller is out of the ring meanwhile. May be called in a tasklet: inner
/// runs return before outer ones. Throws the error that a tasklet ended with (the innermost run does); the other tasklets
/// go on at the next run. An outer run with a timeout makes inner timeouts be ignored.
run_result run(const run_options& options);
inline run_result run(std::uint64_t timeout = 0) { return run(run_options{.timeout = timeout}); }

/// To the tail of the ring; everybody else in it runs first. Several workers: everybody who was ready on this worker.
void schedule();
/// The same; gives `value`, or what somebody has put into tempval() meanwhile.
std::any schedule_value(std::any value);
template <class T>
T schedule(T value) {
    return std::any_cast<T>(schedule_value(std::any(std::move(value))));
}
/// Out of the ring: paused until somebody inserts the caller. Gives tempval(), else `value`.
std::any schedule_remove(std::any value = {});

/// Counts a tick of run(timeout), and may be interrupted there. For long computations.
void checkpoint();

[[nodiscard]] tasklet_ref getcurrent();
[[nodiscard]] tasklet_ref getmain();
/// Tasklets in the ring, the caller included.
[[nodiscard]] std::size_t getruncount();
[[nodiscard]] std::uint64_t getcurrentid();
/// Threads that have used this layer and still live.
[[nodiscard]] std::size_t getthreadcount();
/// This thread's tasklets that wait or are paused: name, state, what they wait for.
[[nodiscard]] std::vector<tasklet_info> parked_tasklets();

/// While it lives, run(timeout) does not interrupt the tasklet. Nests. Does not stop it from switching by itself.
class atomic {
public:
    atomic();
    ~atomic();
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

private:
    detail::context_ptr me_;
};

/// Adds to the thread's trap counter; gives the old value. While it is above 0, what would switch to another tasklet of
/// this thread throws usage_error ("switch_trap") and changes nothing.
int switch_trap(int add);

// ----------------------------------------------------------------------------------------------------------- channels

/// What all channels have, whatever they carry. A handle; copies name the same channel.
class channel_base {
public:
    channel_base(const channel_base& other) noexcept : core_(other.core_) { core_->add_handle(); }
    channel_base& operator=(const channel_base& other) noexcept {
        other.core_->add_handle();
        std::exchange(core_, other.core_)->drop_handle();
        return *this;
    }
    ~channel_base() { core_->drop_handle(); }

    /// > 0: so many senders wait; < 0: so many receivers.
    [[nodiscard]] std::ptrdiff_t balance() const noexcept { return core_->balance(); }
    /// -1 (default): the receiver goes on first; 1: the sender; 0: whoever acts. Other values count by their sign. Between
    /// tasklets of one session; with several workers: on the worker where they meet.
    [[nodiscard]] int preference() const noexcept { return core_->preference(); }
    void preference(int p) const noexcept { core_->preference(p); }
    /// Overrides preference: the partner to the tail, and the caller yields.
    [[nodiscard]] bool schedule_all() const noexcept { return core_->schedule_all(); }
    void schedule_all(bool on) const noexcept { core_->schedule_all(on); }
    /// The first that waits; empty if nobody does.
    [[nodiscard]] tasklet_ref queue() const noexcept { return tasklet_ref(core_->first()); }
    /// From now on nobody waits on it any more: receivers that wait get `closed`, values of senders that wait can still be
    /// received, other operations throw `closed`.
    void close() const noexcept { core_->close(); }
    [[nodiscard]] bool closing() const noexcept { return core_->closing(); }
    /// Closing, and nobody waits any more.
    [[nodiscard]] bool closed() const noexcept { return core_->closing() && core_->balance() == 0; }
    /// Handles may be the keys of maps, as in Python: std::hash, and some order, which says nothing.
    friend bool operator==(const channel_base& a, const channel_base& b) noexcept { return a.core_ == b.core_; }
    friend std::strong_ordering operator<=>(const channel_base& a, const channel_base& b) noexcept {
        return std::compare_three_way()(a.core_, b.core_);
    }

    /// For the library.
    [[nodiscard]] std::size_t hash() const noexcept { return std::hash<const void*>()(core_); }
    explicit channel_base(detail::channel_core* core) noexcept : core_(core) {}

protected:
    [[nodiscard]] detail::channel_core& core() const noexcept { return *core_; }

private:
    detail::channel_core* core_;
};

/// Stackless's channel: sender and receiver wait for each other. Safe from every thread and from Rondo's own tasklets;
/// between threads the value crosses and the partner is made ready on its own thread.
template <class T = std::any>
class channel : public channel_base {
    using packet = rondo::detail::packet<T>;

public:
    using value_type = T;
    channel() : channel_base(new detail::channel_core(&move_packet)) {}

    /// Suspends: until a receiver has the value, and then as preference() says.
    /// Throws: `closed`, what the tasklet is thrown (kill, raise_exception), usage_error (block_trap, switch_trap),
    /// deadlock (nobody is left who could receive).
    void send(T value) const {
        packet p(std::move(value));
        core().send(&p);
    }
    /// The mirror image.
    T receive() const {
        packet p;
        core().receive(&p);
        return p.take();
    }
    /// A send whose receiver throws.
    template <class E, class... Args>
    void send_exception(Args&&... args) const {
        auto e = std::make_exception_ptr(E(std::forward<Args>(args)...));
        send_throw(std::move(e));
    }
    void send_throw(std::exception_ptr e) const {
        packet p(rondo::detail::as_error{std::move(e)});
        core().send(&p);
    }
    /// Sends every element, those of a container that is given away moved; gives their number.
    template <std::ranges::input_range Range>
        requires std::constructible_from<T, rondo::detail::element_of<Range>>
    std::size_t send_sequence(Range&& range) const {
        std::size_t n = 0;
        for (auto&& v : range) {
            send(T(static_cast<rondo::detail::element_of<Range>>(v)));
            ++n;
        }
        return n;
    }

    /// for (T v : c): ends at stop_iteration, or when the channel is closed and nobody waits to send.
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;
        explicit iterator(const channel& c) : from_(&c), value_(c.next()) {}
        T& operator*() const noexcept { return *value_; }
        iterator& operator++() {
            value_.reset();
            if (auto next = from_->next()) value_.emplace(std::move(*next));
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return !i.value_; }

    private:
        const channel* from_;
        mutable std::optional<T> value_;
    };
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    static void move_packet(void* to, void* from) noexcept {
        *static_cast<packet*>(to) = std::move(*static_cast<packet*>(from));
    }
    std::optional<T> next() const {
        if (closing() && balance() <= 0) return std::nullopt;
        packet p;
        try {
            core().receive(&p);
            return p.take();
        } catch (const stop_iteration&) {
        } catch (const rondo::closed&) {          // closed while we waited
        }
        return std::nullopt;
    }
};

// ---------------------------------------------------------------------------------------------------------- observers

using schedule_callback = std::function<void(const tasklet_ref& previous, const tasklet_ref& next)>;
using channel_callback =
    std::function<void(const channel_base& on, const tasklet_ref& who, bool is_sending, bool will_block)>;
using error_handler = std::function<void(std::exception_ptr)>;

/// Called at every switch of this thread's tasklets, by the one arrived at. An empty function takes it away. Gives the one
/// before. What it throws is printed; what would switch inside it throws usage_error.
schedule_callback set_schedule_callback(schedule_callback f);
[[nodiscard]] schedule_callback get_schedule_callback();
/// Called before every send and receive. A channel operation inside it throws usage_error.
channel_callback set_channel_callback(channel_callback f);
[[nodiscard]] channel_callback get_channel_callback();
/// Called in the dying tasklet with an error that it ends with, which then does not come out of run(). What the handler
/// throws does.
error_handler set_error_handler(error_handler f);

// ------------------------------------------------------------------------------------------------------------ sessions

struct session_options {
    unsigned workers = 1;            ///< 1: Stackless's order, one tasklet at a time. More: in parallel. 0: as many as a
                                     ///< runtime_options::workers of 0 gives ($RONDO_WORKERS, else one per usable core)
};

/// What a thread's tasklets live in. The first call of this layer makes one with one worker, for the life of the thread;
/// make one yourself for several workers, or to end them earlier. Tasklets belong to the thread's youngest session.
///
/// Its end kills what is left, so that all destructors run. Inside a tasklet making one throws usage_error, and the end of one
/// ends the process with a message.
class session {
public:
    explicit session(session_options options = {});
    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

private:
    std::shared_ptr<detail::session_core> core_;
    std::shared_ptr<detail::session_core> before_;
};

}  // namespace rondo::stackless

template <>
struct std::hash<rondo::stackless::tasklet_ref> {
    std::size_t operator()(const rondo::stackless::tasklet_ref& t) const noexcept { return std::hash<std::uint64_t>()(t.id()); }
};
template <>
struct std::hash<rondo::stackless::channel_base> {
    std::size_t operator()(const rondo::stackless::channel_base& c) const noexcept { return c.hash(); }
};
template <class T>
struct std::hash<rondo::stackless::channel<T>> : std::hash<rondo::stackless::channel_base> {};
