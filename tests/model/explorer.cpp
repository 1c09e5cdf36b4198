// The model checker behind model_atomics.hpp: who runs next, what a load returns, and how all of it is tried in turn.
//
// Exploration. Whatever can go in more than one way asks choose(): which thread goes on, which value a load returns.
// The answers of one execution are its path. The next execution repeats the path but for its last answer that has an
// alternative, and takes that (depth first); so nothing needs to be stored but one path, and a path replays a failure.
//
// Memory. The stores to a location, in the order in which they were executed, are its modification order. A thread
// has a view: for each location the oldest store that it may still read. Its own reads and writes move that forward; an
// acquire load joins the view that a release store left behind; a read-modify-write reads the newest store and passes
// the view of that store on (release sequence). What relaxed loads have found waits for the next fence, and relaxed
// stores carry the view of the last one. `order_` is the view of the total order S of seq_cst: a fence joins it both
// ways, a seq_cst access reads at least, and leaves, the entry of its own location. That is C++20's [atomics.order],
// but that S and every modification order agree with the order of execution (README.md says what is lost).
//
// Happens-before. A view also holds a vector clock, which travels with it through acquire and release but not through
// S. It finds data races of plain<T>, and atomics used before their construction is visible.
#include "model_atomics.hpp"

#include <boost/context/detail/fcontext.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <random>

#include <rondo/lowlevel/spin_lock.hpp>

#include "runtime/src/futex.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define RONDO_MODEL_ASAN
#endif

namespace rondo::model {
namespace {

using detail::bits;
using detail::order;
using detail::place;

constexpr std::size_t stack_bytes = 256 * 1024;
constexpr std::size_t most_steps = 5'000;         // of one execution; more: it does not end

bool is_seq_cst(order o) { return o == std::memory_order_seq_cst; }
bool acquires(order o) {
    return o == std::memory_order_acquire || o == std::memory_order_acq_rel || is_seq_cst(o);
}
bool releases(order o) {
    return o == std::memory_order_release || o == std::memory_order_acq_rel || is_seq_cst(o);
}

template <std::size_t N>
void raise(std::array<std::uint16_t, N>& to, const std::array<std::uint16_t, N>& at_least) {
    for (std::size_t i = 0; i < N; ++i) to[i] = std::max(to[i], at_least[i]);
}
using positions = std::array<std::uint16_t, max_locations>;       // in the modification order of each location

struct view {
    positions seen{};
    std::array<std::uint16_t, max_threads> clock{};
    void join(const view& other) {
        raise(seen, other.seen);
        raise(clock, other.clock);
    }
};

struct location {
    struct entry {
        bits value;
        view left;                       // for those who acquire it
    };
    std::vector<entry> stores;
    unsigned creator = 0;
    std::uint16_t created = 0;
    bool ended = false;
};

struct thread {
    enum class phase { ready, spins, waits, ended };
    phase state = phase::ready;
    view now;
    view acquired;                       // by relaxed loads; the next fence joins it
    view released;                       // what relaxed stores leave behind: the view at the last fence
    std::uint64_t writes = 0;            // its own
    std::uint64_t relaxed_at = ~std::uint64_t{0};     // spins: until those of the others differ from this
    unsigned waits_for = 0;              // waits: until this location
    bits old = 0;                        // is something else than this
    const std::function<void()>* body = nullptr;
    boost::context::detail::fcontext_t context = nullptr;
    const void* stack = nullptr;         // its low end; null: the stack that explore() was called on
};

struct failed {};                        // leaves the body

// AddressSanitizer has to know the stack it is on: an exception leaves frames without cleaning up around them, and it is
// the sanitizer that then cleans the whole stack.
class stack_switch {
#ifdef RONDO_MODEL_ASAN
public:
    void leave(const void* to, std::size_t bytes, bool for_good) {
        __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_, to, bytes);
    }
    void arrive() { __sanitizer_finish_switch_fiber(fake_, nullptr, nullptr); }
    // On a new stack: where it was come from.
    static void arrive_first(const void*& from, std::size_t& bytes) {
        __sanitizer_finish_switch_fiber(nullptr, &from, &bytes);
    }
    // Somebody has left it without returning from its frames.
    static void clean(const void* stack) { ASAN_UNPOISON_MEMORY_REGION(stack, stack_bytes); }

private:
    void* fake_ = nullptr;
#else
public:
    void leave(const void*, std::size_t, bool) {}
    void arrive() {}
    static void arrive_first(const void*&, std::size_t&) {}
    static void clean(const void*) {}
#endif
};

class explorer {
public:
    explorer(const bounds& b, const std::function<void()>& body) : bounds_(b), body_(body), random_(b.seed) {}
    outcome explore_all();

    // What the body calls.
    void run_threads(const std::vector<std::function<void()>>&, at_end);
    void fail(const char* what);

    // What the atomics call.
    unsigned new_location(bits initial);
    void end_location(unsigned l) noexcept { locations_[l].ended = true; }
    bits load(unsigned l, order o, const place& at);
    void store(unsigned l, bits value, order o, const place& at, const view* passed_on = nullptr);
    bits begin_update(unsigned l, order o, const place& at);
    void end_update(unsigned l, bits value, order o, const place& at);
    bool compare_exchange(unsigned l, bits& expected, bits desired, order success, order failure, const place& at);
    void wait(unsigned l, bits old, order o, const place& at);
    void fence(const place& at);
    void fence_everywhere(const place& at);
    void relax(const place& at);
    void enter();                                     // before every access: others may go first
    void note_read(detail::accesses& a);
    void note_write(detail::accesses& a);

private:
    struct choice {
        unsigned taken, of;
    };
    bool explore_within(const bounds& b, outcome& out);           // false: a failure, which is in `out`
    void run_once();
    unsigned choose(unsigned n, bool evenly = false);
    bool next_path();
    void read_schedule(const char* text);
    [[nodiscard]] std::string schedule() const;
    void hand_over(bool could_go_on);
    [[nodiscard]] bool can_go_on(const thread& t) const;
    [[nodiscard]] bool may_be_left(const thread& t) const;
    void switch_to(unsigned next);
    static void thread_main(boost::context::detail::transfer_t from);
    thread& me() { return threads_[running_]; }
    location& visible(unsigned l);
    [[nodiscard]] unsigned oldest(unsigned l, order o);
    bits read(unsigned l, std::size_t position, order o);
    void fence_of(unsigned thread);
    void tell(const place& at, const char* what, unsigned l, order o, bits value, std::size_t older = 0);

    bounds bounds_;
    const std::function<void()>& body_;
    std::mt19937_64 random_;
    std::vector<choice> path_;
    std::vector<std::unique_ptr<char[]>> stacks_;
    const void* own_stack_ = nullptr;    // that explore() was called on; known once a thread has run
    std::size_t own_stack_bytes_ = 0;
    bool is_tracing_ = false;

    // One execution.
    std::size_t position_ = 0;           // in the path
    std::array<thread, max_threads> threads_;
    unsigned running_ = 0, started_ = 0;
    at_end others_ = at_end::ended;
    std::vector<location> locations_;
    unsigned used_ = 0;                  // of locations_
    positions order_{};
    std::uint64_t writes_ = 0;
    std::size_t steps_ = 0;
    unsigned preemptions_left_ = 0, stale_reads_left_ = 0;
    std::string failure_, trace_;
};

explorer* current = nullptr;

explorer& here() {
    if (current) return *current;
    std::fputs("tests/model: an atomic outside of rondo::model::explore()\n", stderr);
    std::abort();
}

// ---------------------------------------------------------------------------------------------- all executions

outcome explorer::explore_all() {
    outcome out;
    out.within = bounds_;
    if (const char* text = std::getenv("RONDO_MODEL_REPLAY")) {
        read_schedule(text);
        is_tracing_ = true;
        run_once();
        out.executions = 1;
        out.longest = steps_;
        out.failure = failure_;
        out.schedule = text;
        out.trace = trace_;
        std::fprintf(stderr, "%s%s\n", trace_.c_str(), failure_.empty() ? "nothing failed" : failure_.c_str());
        return out;
    }
    if (explore_within(bounds_, out) || bounds_.random) return out;
    // The simplest way to fail reads best: look for it within smaller bounds.
    const bounds all = bounds_;
    for (bounds b = {.preemptions = 0, .most = all.most}; b.preemptions <= all.preemptions; ++b.preemptions)
        for (b.stale_reads = 0; b.stale_reads <= all.stale_reads; ++b.stale_reads)
            if (!explore_within(b, out)) return out;
    return out;
}

bool explorer::explore_within(const bounds& b, outcome& out) {
    bounds_ = b;
    out.within = b;
    path_.clear();
    do {
        if (b.random) path_.clear();
        run_once();
        ++out.executions;
        out.longest = std::max(out.longest, steps_);
        if (failure_.empty() && out.executions == b.most) failure_ = "too many executions: take smaller bounds";
        if (!failure_.empty()) {
            out.failure = failure_;
            out.schedule = schedule();
            is_tracing_ = true;
            run_once();
            is_tracing_ = false;
            out.trace = trace_;
            return false;
        }
    } while (b.random ? out.executions < b.random : next_path());
    return true;
}

void explorer::run_once() {
    if (!failure_.empty()) stacks_.clear();           // threads were left where they stood
    failure_.clear();
    trace_.clear();
    threads_ = {};
    order_ = {};
    position_ = steps_ = 0;
    running_ = used_ = 0;
    writes_ = 0;
    preemptions_left_ = bounds_.random ? ~0u : bounds_.preemptions;
    stale_reads_left_ = bounds_.random ? ~0u : bounds_.stale_reads;
    current = this;
    try {
        body_();
    } catch (const failed&) {
    }
    current = nullptr;
}

// The answer 0 is what happens undisturbed: the thread goes on, the load returns the newest value.
unsigned explorer::choose(unsigned n, bool evenly) {
    if (n == 1) return 0;
    if (position_ == path_.size()) {
        unsigned taken = 0;
        if (bounds_.random && (evenly || random_() % 4 == 0)) taken = static_cast<unsigned>(random_() % n);
        path_.push_back({taken, n});
    }
    choice& c = path_[position_++];
    if (c.of == 0) c.of = n;                          // from a schedule as text
    if (c.of != n) fail("the body does not do the same each time, or the schedule is another test's");
    return c.taken;
}

bool explorer::next_path() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().of) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    return true;
}

// The bounds, which decide what is asked, and the answers that are not 0: p3s2,which:answer,...
std::string explorer::schedule() const {
    std::string text = "random";
    if (!bounds_.random)
        text = "p" + std::to_string(bounds_.preemptions) + "s" + std::to_string(bounds_.stale_reads);
    for (std::size_t i = 0; i < path_.size(); ++i)
        if (path_[i].taken) text += "," + std::to_string(i) + ":" + std::to_string(path_[i].taken);
    return text;
}

void explorer::read_schedule(const char* text) {
    path_.assign(2 * most_steps, {0, 0});
    bounds_.random = std::sscanf(text, "p%us%u", &bounds_.preemptions, &bounds_.stale_reads) == 2 ? 0 : 1;
    unsigned which = 0, taken = 0;
    while ((text = std::strchr(text, ',')) && std::sscanf(++text, "%u:%u", &which, &taken) == 2)
        if (which < path_.size()) path_[which].taken = taken;
}

// ---------------------------------------------------------------------------------------------- threads

void explorer::run_threads(const std::vector<std::function<void()>>& bodies, at_end others) {
    if (bodies.empty() || bodies.size() >= max_threads) fail("no threads, or too many");
    started_ = static_cast<unsigned>(bodies.size());
    others_ = others;
    const view at_start = threads_[0].now;
    for (unsigned i = 1; i <= started_; ++i) {
        if (stacks_.size() < i) stacks_.push_back(std::make_unique<char[]>(stack_bytes));
        stack_switch::clean(stacks_[i - 1].get());
        threads_[i] = {};
        threads_[i].stack = stacks_[i - 1].get();
        threads_[i].now = at_start;
        ++threads_[i].now.clock[i];
        threads_[i].body = &bodies[i - 1];
        threads_[i].context =
            boost::context::detail::make_fcontext(stacks_[i - 1].get() + stack_bytes, stack_bytes, &thread_main);
    }
    ++threads_[0].now.clock[0];
    hand_over(false);                                 // comes back when they have ended
    started_ = 0;
    if (!failure_.empty()) throw failed{};
    for (auto& t : threads_) threads_[0].now.join(t.now);
}

void explorer::thread_main(boost::context::detail::transfer_t from) {
    thread& before = *static_cast<thread*>(from.data);
    before.context = from.fctx;
    explorer& e = here();
    const void* bottom = nullptr;
    std::size_t bytes = 0;
    stack_switch::arrive_first(bottom, bytes);
    if (!before.stack) {
        e.own_stack_ = bottom;
        e.own_stack_bytes_ = bytes;
    }
    (*e.me().body)();
    e.me().state = thread::phase::ended;
    e.hand_over(false);
}

bool explorer::can_go_on(const thread& t) const {
    switch (t.state) {
        case thread::phase::ready: return true;
        case thread::phase::spins: return t.relaxed_at != writes_ - t.writes;
        case thread::phase::waits: return locations_[t.waits_for].stores.back().value != t.old;
        case thread::phase::ended: break;
    }
    return false;
}

bool explorer::may_be_left(const thread& t) const {
    return t.state == thread::phase::ended || (t.state == thread::phase::waits && others_ == at_end::may_wait);
}

void explorer::hand_over(bool could_go_on) {
    std::array<unsigned, max_threads> who{};
    unsigned n = 0;
    if (could_go_on) who[n++] = running_;
    if (!could_go_on || preemptions_left_ > 0)
        for (unsigned i = 1; i <= started_; ++i)
            if (!(could_go_on && i == running_) && can_go_on(threads_[i])) who[n++] = i;
    if (n == 0) {
        for (unsigned i = 1; i <= started_; ++i)
            if (!may_be_left(threads_[i])) return fail("stuck: every thread left waits for another");
        return switch_to(0);
    }
    const unsigned next = who[choose(n, !could_go_on)];
    if (next == running_) return;
    if (could_go_on) --preemptions_left_;
    switch_to(next);
}

void explorer::switch_to(unsigned next) {
    thread& left = me();
    running_ = next;
    stack_switch stacks;
    stacks.leave(me().stack ? me().stack : own_stack_, me().stack ? stack_bytes : own_stack_bytes_,
                 left.state == thread::phase::ended);
    const auto from = boost::context::detail::jump_fcontext(me().context, &left);
    stacks.arrive();
    static_cast<thread*>(from.data)->context = from.fctx;
}

void explorer::fail(const char* what) {
    if (failure_.empty()) failure_ = what;
    if (is_tracing_) trace_ += "  " + std::to_string(running_) + "  FAILS: " + what + "\n";
    if (running_ == 0) throw failed{};
    switch_to(0);                                     // for good
}

// ---------------------------------------------------------------------------------------------- memory

unsigned explorer::new_location(bits initial) {
    if (used_ == max_locations) fail("too many atomics: raise max_locations");
    if (locations_.size() == used_) locations_.emplace_back();
    location& l = locations_[used_];
    l.stores.clear();
    l.stores.push_back({initial, {}});
    l.creator = running_;
    l.created = me().now.clock[running_];
    l.ended = false;
    return used_++;
}

void explorer::enter() {
    if (++steps_ > most_steps) fail("endless: too many steps in one execution");
    if (running_ != 0) hand_over(true);
}

location& explorer::visible(unsigned l) {
    location& x = locations_[l];
    if (x.ended) fail("an atomic is used after its end");
    if (me().now.clock[x.creator] < x.created) fail("an atomic is used before its construction is visible");
    return x;
}

unsigned explorer::oldest(unsigned l, order o) {
    return is_seq_cst(o) ? std::max(me().now.seen[l], order_[l]) : me().now.seen[l];
}

bits explorer::read(unsigned l, std::size_t position, order o) {
    thread& t = me();
    const auto& entry = locations_[l].stores[position];
    t.now.seen[l] = static_cast<std::uint16_t>(position);
    (acquires(o) ? t.now : t.acquired).join(entry.left);
    if (is_seq_cst(o)) order_[l] = std::max(order_[l], t.now.seen[l]);
    return entry.value;
}

bits explorer::load(unsigned l, order o, const place& at) {
    enter();
    const location& x = visible(l);
    const auto newest = x.stores.size() - 1;
    const unsigned older = stale_reads_left_ ? choose(static_cast<unsigned>(newest) - oldest(l, o) + 1) : 0;
    if (older) --stale_reads_left_;
    const bits value = read(l, newest - older, o);
    tell(at, "load", l, o, value, older);
    return value;
}

void explorer::store(unsigned l, bits value, order o, const place& at, const view* passed_on) {
    if (!passed_on) {
        enter();
        tell(at, "store", l, o, value);
    }
    thread& t = me();
    location& x = visible(l);
    t.now.seen[l] = static_cast<std::uint16_t>(x.stores.size());
    view left = releases(o) ? t.now : t.released;
    left.seen[l] = t.now.seen[l];
    if (passed_on) left.join(*passed_on);
    x.stores.push_back({value, left});
    if (is_seq_cst(o)) order_[l] = t.now.seen[l];
    ++t.now.clock[running_];                          // what comes later is not part of what was released
    ++t.writes;
    ++writes_;
}

bits explorer::begin_update(unsigned l, order o, const place& at) {
    enter();
    const bits value = read(l, visible(l).stores.size() - 1, o);
    tell(at, "update", l, o, value);
    return value;
}

void explorer::end_update(unsigned l, bits value, order o, const place& at) {
    tell(at, "  to", l, o, value);
    const view passed_on = locations_[l].stores.back().left;
    store(l, value, o, at, &passed_on);
}

// It succeeds on the newest store; it may fail on an older one, but not if that holds what is expected.
bool explorer::compare_exchange(unsigned l, bits& expected, bits desired, order success, order failure,
                                const place& at) {
    enter();
    const location& x = visible(l);
    const auto newest = x.stores.size() - 1;
    const auto may_fail_on = [&](std::size_t i) { return x.stores[i].value != expected; };
    unsigned n = 1;
    if (stale_reads_left_)
        for (auto i = newest; i-- > oldest(l, failure);) n += may_fail_on(i);
    auto position = newest;
    if (unsigned older = choose(n)) {
        while (!may_fail_on(--position) || --older) {}
        --stale_reads_left_;
    }
    const bool succeeds = x.stores[position].value == expected;
    const auto o = succeeds ? success : failure;
    const bits value = read(l, position, o);
    tell(at, succeeds ? "update" : "no update", l, o, value, newest - position);
    if (succeeds) end_update(l, desired, o, at);
    else expected = value;
    return succeeds;
}

void explorer::wait(unsigned l, bits old, order o, const place& at) {
    thread& t = me();
    if (running_ == 0) return fail("the body waits");
    enter();
    t.waits_for = l;
    t.old = old;
    t.state = thread::phase::waits;
    if (!can_go_on(t)) {
        tell(at, "wait", l, o, old);
        hand_over(false);
    }
    t.state = thread::phase::ready;
    tell(at, "go on", l, o, read(l, visible(l).stores.size() - 1, o));
}

void explorer::fence_of(unsigned i) {
    thread& t = threads_[i];
    t.now.join(t.acquired);
    raise(t.now.seen, order_);
    order_ = t.now.seen;
    t.released = t.now;
    ++t.now.clock[i];
}

void explorer::fence(const place& at) {
    enter();
    fence_of(running_);
    tell(at, "fence", max_locations, std::memory_order_seq_cst, 0);
}

// membarrier: a fence of ours, one of each of the others wherever they are, one of ours.
void explorer::fence_everywhere(const place& at) {
    enter();
    fence_of(running_);
    for (unsigned i = 1; i <= started_; ++i)
        if (i != running_) fence_of(i);            // those that have ended too: their stores are out
    fence_of(running_);
    tell(at, "heavy fence", max_locations, std::memory_order_seq_cst, 0);
}

void explorer::relax(const place& at) {
    if (++steps_ > most_steps) fail("endless: too many steps in one execution");
    if (running_ == 0) return fail("the body spins");
    thread& t = me();
    t.state = thread::phase::spins;
    tell(at, "spin", max_locations, std::memory_order_relaxed, 0);
    hand_over(false);
    t.state = thread::phase::ready;
    t.relaxed_at = writes_ - t.writes;
    for (unsigned l = 0; l < used_; ++l) t.now.seen[l] = static_cast<std::uint16_t>(locations_[l].stores.size() - 1);
}

void explorer::note_read(detail::accesses& a) {
    if (me().now.clock[a.writer] < a.written) fail("a data race: it reads what another thread has written");
    a.read[running_] = me().now.clock[running_];
}
void explorer::note_write(detail::accesses& a) {
    const auto& clock = me().now.clock;
    if (clock[a.writer] < a.written) fail("a data race: two threads write");
    for (unsigned i = 0; i < max_threads; ++i)
        if (clock[i] < a.read[i]) fail("a data race: it writes what another thread reads");
    a.writer = running_;
    a.written = clock[running_];
}

void explorer::tell(const place& at, const char* what, unsigned l, order o, bits value, std::size_t older) {
    if (!is_tracing_) return;
    static constexpr const char* names[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};
    const std::string file = at.file_name();
    char line[200];
    int n = std::snprintf(line, sizeof line, "  %u  %s:%u: %s", running_, file.substr(file.rfind('/') + 1).c_str(),
                          at.line(), what);
    if (l != max_locations)
        n += std::snprintf(line + n, sizeof line - static_cast<std::size_t>(n), " #%u %s %s%llx", l,
                           names[static_cast<int>(o)], value > 9 ? "0x" : "", static_cast<unsigned long long>(value));
    if (older)
        std::snprintf(line + n, sizeof line - static_cast<std::size_t>(n), " (%zu newer not seen)", older);
    trace_ += std::string(line) + "\n";
}

}  // namespace

// ---------------------------------------------------------------------------------------------- the face

outcome explore(const bounds& b, const std::function<void()>& body) { return explorer(b, body).explore_all(); }
void threads(const std::vector<std::function<void()>>& bodies, at_end others) { here().run_threads(bodies, others); }
void check(bool holds, const char* what) {
    if (!holds) here().fail(what);
}

std::ostream& operator<<(std::ostream& to, const outcome& o) {
    to << o.executions << (o.within.random ? " random" : "") << " executions of at most " << o.longest << " steps";
    if (!o.within.random)
        to << ", " << o.within.preemptions << " preemptions and " << o.within.stale_reads << " stale reads";
    if (!o) to << "\nFAILED: " << o.failure << "\nRONDO_MODEL_REPLAY=" << o.schedule << "\n" << o.trace;
    return to;
}

namespace detail {

unsigned new_location(bits initial) { return here().new_location(initial); }
void end_location(unsigned l) noexcept {
    if (current) current->end_location(l);
}
bits load(unsigned l, order o, const place& at) { return here().load(l, o, at); }
void store(unsigned l, bits value, order o, const place& at) { here().store(l, value, o, at); }
bits begin_update(unsigned l, order o, const place& at) { return here().begin_update(l, o, at); }
void end_update(unsigned l, bits value, order o, const place& at) { here().end_update(l, value, o, at); }
bool compare_exchange(unsigned l, bits& expected, bits desired, order success, order failure, const place& at) {
    return here().compare_exchange(l, expected, desired, success, failure, at);
}
void wait(unsigned l, bits old, order o, const place& at) { here().wait(l, old, o, at); }
void fence_seq_cst(const place& at) { here().fence(at); }
void fence_heavy(const place& at) { here().fence_everywhere(at); }
void relax(const place& at) { here().relax(at); }
void note_read(accesses& a) { here().note_read(a); }
void note_write(accesses& a) { here().note_write(a); }

}  // namespace detail
}  // namespace rondo::model

// The model's kernel: the runtime's own is not linked. Whoever has a limit finds it over at any time.
void rondo::detail::futex_wait_until(atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t until_ns) noexcept {
    if (until_ns == no_limit_ns) word.wait(value, relaxed);
}
void rondo::detail::futex_wake(const atomic<std::uint32_t>*) noexcept {}       // model threads that wait look by themselves
void rondo::lowlevel::detail::spin_wait(unsigned) noexcept { rondo::detail::cpu_relax(); }
