// What rondo::stackless keeps behind its handles; the untyped part. Its one lock, the rules and the invariants are told in
// channels/src/stackless_session.hpp.
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/wait.hpp>
#include <rondo/tasklet_info.hpp>

namespace rondo::stackless::detail {

struct session_core;
class channel_core;

/// What a tasklet runs, once.
struct callable {
    virtual ~callable() = default;
    virtual void call() = 0;
};
template <class Call>
struct callable_of final : callable {
    explicit callable_of(Call c) : f(std::move(c)) {}
    void call() override { f(); }
    Call f;
};
template <class Call>
std::unique_ptr<callable> make_callable(Call c) {
    return std::make_unique<callable_of<Call>>(std::move(c));
}

enum class phase : std::uint8_t {
    unbound,     ///< nothing to run
    bound,       ///< a function, no arguments yet
    paused,      ///< alive, in no queue
    ready,       ///< in the ring, not its head
    running,     ///< the head of the ring (several workers: anywhere between ready and its next wait)
    blocked,     ///< in a channel's queue
    handed,      ///< out of a channel's queue; its value is being moved
    watching,    ///< inside run()
    done
};

/// One tasklet, or a thread's main tasklet, or a passing guest (a Rondo tasklet that uses a channel).
struct context : std::enable_shared_from_this<context> {
    context() = default;
    context(const context&) = delete;
    context& operator=(const context&) = delete;
    ~context();

    std::shared_ptr<session_core> home;           // nullptr: a guest, or its thread has ended
    std::uint64_t id = 0;
    std::string name;
    std::unique_ptr<callable> body;
    std::shared_ptr<context> self;                // while it is alive nobody need keep a handle
    phase at = phase::unbound;
    bool is_main = false;
    bool started = false;                         // it has a stack, or is about to get one
    rondo::detail::atomic<bool> killed{false};    // sticky: every later call that may switch throws tasklet_exit
    bool block_trap = false;
    bool expired = false;                         // a deadline of rondo::within ended its wait
    bool found_closed = false;                    // its wait was ended by close()
    rondo::detail::atomic<bool> remove_wanted{false};      // several workers: pause at the next switch
    unsigned atomic_depth = 0;
    std::uint64_t ticks = 0, limited_run = 0;     // of its slice, and in which run(timeout) they were counted
    std::any tempval;

    context* prev = nullptr;                      // the ring, or a channel's queue
    context* next = nullptr;
    context* prev_live = nullptr;                     // all live ones of the session
    context* next_live = nullptr;
    bool listed = false;

    lowlevel::waiter* who = nullptr;
    lowlevel::wait_node* node = nullptr;          // while `waits`
    bool waits = false;
    bool granted = false;                         // it is its turn
    channel_core* channel = nullptr;              // while blocked
    bool is_sending = false;
    void* slot = nullptr;                         // its packet
    std::exception_ptr pending;                   // thrown when it goes on
    rondo::detail::atomic<bool> has_pending{false};
    std::shared_ptr<context> interrupted;         // a runner: who used up the budget
};

using context_ptr = std::shared_ptr<context>;

class channel_core {
public:
    using mover = void (*)(void* to, void* from) noexcept;

    explicit channel_core(mover move) noexcept : move_(move) {}
    void add_handle() noexcept { handles_.fetch_add(1, rondo::detail::relaxed); }
    void drop_handle() noexcept;

    /// `from` and `to` are packets of the channel's type. Throws what the tasklet is thrown, closed, usage_error, deadlock.
    void send(void* from);
    void receive(void* to);

    void close() noexcept;
    [[nodiscard]] bool closing() const noexcept;
    [[nodiscard]] std::ptrdiff_t balance() const noexcept;
    [[nodiscard]] context_ptr first() const noexcept;
    [[nodiscard]] int preference() const noexcept { return preference_.load(rondo::detail::relaxed); }
    void preference(int p) noexcept { preference_.store(p < 0 ? -1 : p > 0 ? 1 : 0, rondo::detail::relaxed); }
    [[nodiscard]] bool schedule_all() const noexcept { return schedule_all_.load(rondo::detail::relaxed); }
    void schedule_all(bool on) noexcept { schedule_all_.store(on, rondo::detail::relaxed); }

private:
    friend struct access;
    void transfer(void* mine, bool sending);
    void meet(context& me, context& partner, bool sending);
    void wait(context& me, void* mine, bool sending);

    const mover move_;
    context* first_ = nullptr;
    context* last_ = nullptr;
    std::ptrdiff_t balance_ = 0;
    bool closing_ = false;
    rondo::detail::atomic<int> preference_{-1};
    rondo::detail::atomic<bool> schedule_all_{false};
    rondo::detail::atomic<std::size_t> handles_{1};
};

context_ptr make_context();
void bind(context& c, std::unique_ptr<callable> body, bool has_arguments);
void unbind(context& c);
void setup(context& c, std::unique_ptr<callable> body);
void insert(context& c);
void remove(context& c);
void run_now(context& c);
void switch_to(context& c);
void throw_into(context& c, std::exception_ptr error, bool pending);
void kill(context& c, bool pending);
[[nodiscard]] phase phase_of(const context& c) noexcept;
[[nodiscard]] bool is_current(const context& c) noexcept;
void set_name(context& c, std::string name);

}  // namespace rondo::stackless::detail
