#include <rondo/run.hpp>

#include <ostream>

#include <rondo/lowlevel/wait.hpp>

#include "blocking_threads.hpp"
#include "precise.hpp"
#include "scheduler.hpp"

namespace rondo {

runtime::runtime(runtime_options options) : scheduler_(new detail::scheduler(std::move(options))) {}
runtime::~runtime() = default;

void runtime::deleter::operator()(detail::scheduler* s) const noexcept {
    const auto* w = detail::worker::current();
    expect((!w || &w->home != s) && detail::blocking_threads::serves != s,
           "a runtime must not be destroyed by one of its own tasklets, whose end it would wait for: let its last owner be "
           "outside (a handle in what a tasklet was spawned with goes when that one ends; exit() destroys what is static, "
           "std::quick_exit() does not)");
    delete s;
}

void runtime::check_may_block(const char* call) const {
    detail::worker* w = detail::worker::current();
    if (w && w->running)
        throw usage_error(std::string(call) + " from inside a tasklet would hold up its worker: use rondo::spawn and "
                                              "join, or rondo::scope");
}
void runtime::check_may_wait(const char* call) const {
    check_may_block(call);
    if (detail::blocking_threads::serves == &*scheduler_)
        throw usage_error(std::string(call) + " from rondo::blocking would wait for its own caller's end: spawn and join there, or "
                                              "use a thread of your own");
}
void runtime::wait_for_end(detail::task_ref main) { scheduler_->wait_for_end(main); }

idle_report runtime::run_until_idle() {
    check_may_wait("runtime::run_until_idle");
    return scheduler_->run_until_idle();
}
std::vector<tasklet_info> runtime::shutdown(detail::time_span drain) {
    check_may_block("runtime::shutdown");
    return scheduler_->shutdown(drain);
}
runtime_stats runtime::stats() const { return scheduler_->stats(); }
std::vector<tasklet_info> runtime::tasklets() const { return scheduler_->list(true); }
unsigned runtime::workers() const noexcept { return scheduler_->options.workers; }

void runtime::dump(std::ostream& to, dump_format how) const {
    const auto all = scheduler_->list(true);
    auto* layer = detail::precise::seen(scheduler_->above);    // pairs with the release in attach()
    if (how == dump_format::json) {
        to << "{\"workers\": " << workers() << ", \"tasklets\": [";
        const char* comma = "\n";
        for (auto& info : all) to << std::exchange(comma, ",\n") << detail::json_of(info);
        to << "\n]";
        if (layer) to << layer->dump_json(all);
        to << "}\n";
        return;
    }
    to << all.size() << (all.size() == 1 ? " tasklet on " : " tasklets on ") << workers()
       << (workers() == 1 ? " worker\n" : " workers\n");
    for (auto& info : all) {
        to << describe(info) << '\n';
        for (auto& frame : info.backtrace) to << "    at " << frame << '\n';
    }
    if (layer) to << layer->dump(all);
}

namespace detail {

void run_blocking(void (*call)(void*), void* data) {
    worker* w = worker::current();
    if (!w || !w->running) return call(data);
    scheduler& home = w->home;
    lowlevel::waiter& me = lowlevel::enter();
    if (home.simulated) return call(data);        // one thread: nobody is held up
    lowlevel::shield until_done;                  // f works on our frame: we must not leave before it ends
    struct shared {
        lowlevel::spin_lock lock;
        lowlevel::wait_node node;
        scheduler& home;
    } s{{}, lowlevel::wait_node(me), home};
    // The lock is held until we have left our stack, so the helper cannot finish too early.
    s.lock.lock();
    home.operation_begins();
    try {
        home.blocking->submit({call, data,
                               [](void* p) {
                                   auto& done = *static_cast<shared*>(p);
                                   scheduler& rt = done.home;
                                   done.lock.lock();
                                   lowlevel::waiter* who = done.node.claim(lowlevel::wake::ready) ? done.node.who : nullptr;
                                   done.lock.unlock();
                                   if (who) lowlevel::resume(*who, lowlevel::placement::tail);
                                   rt.operation_ends();
                               },
                               &s, w->running});
    } catch (...) {
        s.lock.unlock();
        home.operation_ends();
        throw;
    }
    lowlevel::suspend(me, {lowlevel::wait_kind::blocking, nullptr}, &s.lock);
}

}  // namespace detail
}  // namespace rondo
