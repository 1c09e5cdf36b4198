// A session's beginning and its end, and finding the one that a caller belongs to: a thread has one of its own from its
// first call on, a stackless::session object takes its place, a tasklet is in the one that made it.
#include "stackless_session.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <unordered_map>

namespace rondo::stackless::detail {

lowlevel::spin_lock lock;
constinit thread_local rondo::detail::atomic<bool> is_in_callback{false};

context::~context() {                                    // never with the lock held
    if (!home) return;
    const hold_lock hold;
    access::unlist(*home, *this);
}

namespace {

rondo::detail::atomic<std::uint64_t> last_id{0};

thread_local std::shared_ptr<session_core> session_of_thread;            // of a plain thread
// Atomic: as is_in_callback.
thread_local constinit rondo::detail::atomic<session_core*> session_of_worker{nullptr};      // is_ring: of its only worker
thread_local context_ptr last_on_worker;                                 // several workers: for on_switch

[[gnu::noinline]] session_core* worker_session() noexcept {
    asm volatile("" ::: "memory");
    return session_of_worker.load(relaxed);
}

// Several workers: a tasklet may go on on any of them, so it is found by its waiter.
std::unordered_map<const lowlevel::waiter*, context*>& context_of_waiter() {
    static std::unordered_map<const lowlevel::waiter*, context*> all;
    return all;
}
rondo::detail::atomic<std::size_t> contexts_of_waiters{0};

}  // namespace

std::uint64_t new_id() noexcept { return last_id.fetch_add(1, relaxed) + 1; }

std::unique_ptr<runtime> new_runtime(unsigned workers) {
    // No backlog: a spawn under the lock must not yield.
    return std::make_unique<runtime>(
        runtime_options{.workers = workers, .spawn_backlog = std::numeric_limits<std::size_t>::max()});
}

std::vector<session_core*>& all_sessions() {
    static std::vector<session_core*> all;
    return all;
}

void set_worker_session(session_core& s) noexcept { session_of_worker.store(&s, relaxed); }

void remember_waiter(context& c) {
    context_of_waiter().emplace(c.who, &c);
    contexts_of_waiters.fetch_add(1, relaxed);
}
void forget_waiter(const context& c) noexcept {
    context_of_waiter().erase(c.who);
    contexts_of_waiters.fetch_sub(1, relaxed);
}

context_ptr& last_of(session_core& s) noexcept { return s.is_ring ? s.last : last_on_worker; }

namespace {

std::shared_ptr<session_core> new_session(unsigned workers) {
    std::unique_ptr<runtime> rt;
    if (workers == 0) {                                  // as many as the runtime takes by itself
        rt = new_runtime(0);
        workers = rt->workers();
    }
    auto s = std::make_shared<session_core>(workers);
    s->rt = std::move(rt);
    s->main = std::make_shared<context>();
    context& m = *s->main;
    m.home = s;
    m.id = new_id();
    m.name = "main";
    m.is_main = m.started = m.granted = true;
    m.who = &lowlevel::self();
    const hold_lock hold;
    all_sessions().reserve(all_sessions().size() + 1);      // so that nothing below fails halfway
    access::enter_ring(*s, m);
    m.at = phase::running;
    if (s->is_ring) s->set_current(&m);
    all_sessions().push_back(s.get());
    return s;
}

void print_unseen(const std::exception_ptr& e) noexcept {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        std::fprintf(stderr, "rondo::stackless: nobody took the error that a tasklet ended with: %s\n", x.what());
    } catch (...) {
        std::fprintf(stderr, "rondo::stackless: nobody took the exception that a tasklet ended with\n");
    }
}

void end_session(session_core& s) noexcept {
    const auto outer = std::exchange(session_of_thread, s.main->home);
    s.traps.store(0, relaxed);
    exchange_observer(s.on_switch, {});
    exchange_observer(s.on_channel, {});
    const auto ends_if_empty = [&] {                     // from then on nobody comes to life in it
        const hold_lock hold;
        if (s.live != 0) return false;
        s.ended.store(true, relaxed);
        return true;
    };
    for (int round = 0; !ends_if_empty();) {
        const auto all = live_ones(s);
        if (all.empty()) {                               // another thread is just letting go of the last one
            std::this_thread::yield();
            continue;
        }
        expect(++round < 1000, "a stackless tasklet must end when it is killed: one of this thread swallows tasklet_exit");
        for (auto& c : all) kill(*c, true);
        try {
            stackless::run();
        } catch (const stopped&) {
        } catch (const closed&) {                        // its channel went before it: the usual end of a service
        } catch (...) {
            print_unseen(std::current_exception());
        }
    }
    std::unique_ptr<runtime> rt;
    std::vector<std::exception_ptr> unseen;
    context_ptr last, interrupted;
    std::shared_ptr<session_core> self;
    {
        const hold_lock hold;
        std::erase(all_sessions(), &s);
        rt = std::move(s.rt);
        unseen = std::move(s.more_errors);
        if (s.main->pending) unseen.push_back(std::move(s.main->pending));
        s.main->pending = nullptr;
        s.main->at = phase::done;
        last = std::move(s.last);
        interrupted = std::move(s.main->interrupted);    // that no run has given
        self = std::move(s.main->home);                  // it held itself
    }
    for (auto& e : unseen) print_unseen(e);
    rt.reset();
    session_of_thread = outer == self ? nullptr : outer;
}

// A thread's own session, ended with the thread.
struct own_session {
    std::shared_ptr<session_core> core = new_session(1);
    ~own_session() {
        end_session(*core);
        if (session_of_thread == core) session_of_thread.reset();
    }
};
session_core& thread_session() {
    // It may have been ended on another thread, or before a younger one.
    if (!session_of_thread || session_of_thread->ended.load(relaxed)) {
        static thread_local own_session own;
        session_of_thread = own.core;
    }
    return *session_of_thread;
}

}  // namespace

caller::caller() {
    lowlevel::waiter& w = lowlevel::self();
    if (!w.is_tasklet) {
        me_ = thread_session().main.get();
        return;
    }
    if (session_core* s = worker_session()) {
        if (s->current_who.load(relaxed) == &w) me_ = s->current;
    } else if (contexts_of_waiters.load(relaxed) != 0) {
        const hold_lock hold;
        if (auto it = context_of_waiter().find(&w); it != context_of_waiter().end()) me_ = it->second;
    }
    if (me_) return;
    guest_ = std::make_shared<context>();                // one of Rondo's own tasklets
    guest_->started = guest_->granted = true;
    guest_->at = phase::running;
    guest_->who = &w;
    me_ = guest_.get();
}

}  // namespace rondo::stackless::detail

namespace rondo::stackless {

session::session(session_options options) {
    if (lowlevel::self().is_tasklet)
        throw usage_error("a stackless::session belongs to a thread: make it outside of all tasklets");
    core_ = detail::new_session(options.workers);
    before_ = std::exchange(detail::session_of_thread, core_);
}
session::~session() {
    expect(!lowlevel::self().is_tasklet, "a stackless::session must end outside of all tasklets");
    detail::end_session(*core_);
    if (!detail::session_of_thread) detail::session_of_thread = before_;      // else it was not this thread's youngest
}

}  // namespace rondo::stackless
