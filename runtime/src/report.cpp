// What a person reads about tasklets: lists, dumps, backtraces of suspended ones.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include <rondo/lowlevel/wait_part.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/tasklet_info.hpp>

#include "precise.hpp"
#include "scheduler.hpp"
#include "simulation.hpp"
#include "stack_probe.hpp"
#include "unwatched.hpp"

#ifdef RONDO_HAVE_LIBBACKTRACE
#include <backtrace.h>
#endif

namespace rondo {

const char* to_string(tasklet_state state) noexcept {
    switch (state) {
        case tasklet_state::fresh: return "not started";
        case tasklet_state::ready: return "ready";
        case tasklet_state::running: return "running";
        case tasklet_state::suspended: return "suspended";
        case tasklet_state::done: return "done";
    }
    return "?";
}

std::string describe(const tasklet_info& info) {
    std::string line = fmt::format("tasklet {}", info.id);
    if (!info.name.empty()) line += " " + lowlevel::quoted(info.name);
    if (!info.role.empty()) line += ", " + info.role;
    line += fmt::format(", {}", to_string(info.state));
    if (!info.waits_for.empty()) line += fmt::format(", waits for {}", info.waits_for);
    if (!info.held_by.empty()) line += fmt::format(" (held by {})", info.held_by);
    if (const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(info.waited).count(); ms >= 100)
        line += fmt::format(" since {:.1f} s", static_cast<double>(ms) / 1000);
    if (!info.spawn_site.empty()) line += fmt::format("; {} at {}", info.role.empty() ? "spawned" : "started", info.spawn_site);
    return line;
}

namespace lowlevel {
namespace {

// The length of the UTF-8 character that s begins with; 0: it is none.
std::size_t length_of_character(std::string_view s) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const auto first = byte(0);
    const std::size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (n == 0 || n > s.size()) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    const bool out_of_range = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
    return overlong || out_of_range ? 0 : n;
}

// In quotes. `control` and `broken` say how to write a control character and a byte that is no UTF-8.
std::string quoted_with(std::string_view text, const char* control, const char* broken) {
    std::string out = "\"";
    while (!text.empty()) {
        const auto n = length_of_character(text);
        const unsigned c = static_cast<unsigned char>(text[0]);
        if (n == 0) out += fmt::format(fmt::runtime(broken), c);
        else if (c == '"' || c == '\\') (out += '\\') += text[0];
        else if (c < 0x20 || c == 0x7f) out += fmt::format(fmt::runtime(control), c);
        else out += text.substr(0, n);
        text.remove_prefix(std::max<std::size_t>(n, 1));
    }
    return out + '"';
}

}  // namespace

std::string json_string(std::string_view text) { return quoted_with(text, "\\u{:04x}", "\\ufffd"); }
std::string quoted(std::string_view text) { return quoted_with(text, "\\x{:02x}", "\\x{:02x}"); }

}  // namespace lowlevel

namespace detail {

std::string site_text(const std::source_location& where) {
    if (where.line() == 0) return {};
    return fmt::format("{}:{} ({})", where.file_name(), where.line(), where.function_name());
}

std::string json_of(const tasklet_info& info) {
    using lowlevel::json_string;
    std::string frames;
    for (auto& frame : info.backtrace) frames += (frames.empty() ? "" : ", ") + json_string(frame);
    return fmt::format(R"({{"id": {}, "parent": {}, "name": {}, "role": {}, "state": {}, "waits_for": {}, "held_by": {}, )"
                       R"("waited_ns": {}, "spawn_site": {}, "backtrace": [{}]}})",
                       info.id, info.parent, json_string(info.name), json_string(info.role),
                       json_string(to_string(info.state)), json_string(info.waits_for), json_string(info.held_by),
                       std::chrono::duration_cast<std::chrono::nanoseconds>(info.waited).count(),
                       json_string(info.spawn_site), frames);
}

const char* describe(lowlevel::wait_kind k) noexcept {
    using enum lowlevel::wait_kind;
    switch (k) {
        case none: return "";
        case send: return "a receiver on channel";
        case receive: return "a sender on channel";
        case select: return "select";
        case join: return "the end of tasklet";
        case sleep: return "sleep";
        case mutex: return "mutex";
        case shared_mutex: return "shared_mutex";
        case condition: return "condition_variable";
        case semaphore: return "semaphore";
        case event: return "event";
        case wait_group: return "wait_group";
        case barrier: return "barrier";
        case latch: return "latch";
        case once: return "once";
        case scope: return "the children of a scope";
        case blocking: return "a blocking call";
        case yield: return "";
        case work_queue: return "work_queue";
        case mailbox: return "room in the mailbox of";
        case reply: return "a reply from";
        case ending: return "the end of";
        case stop: return "a stop";
        case other: return "something";
    }
    return "?";
}

bool is_layers_own(lowlevel::wait_kind k) noexcept {
    using enum lowlevel::wait_kind;
    return k == mailbox || k == reply || k == ending;
}

namespace {

std::string name_of(const lowlevel::waiter* who) {
    if (!who) return {};
    if (!who->is_tasklet) return "a plain thread";
    auto& t = *const_cast<task*>(static_cast<const task*>(who));
    std::lock_guard hold(t.guard);
    const precise::unseen under_its_guard;
    const auto id = t.id.load(relaxed);
    if (!id) return {};
    auto* extra = t.extra.load(acquire);          // pairs with the release in name_task()
    return extra && !extra->name.empty() ? fmt::format("tasklet {} {}", id, lowlevel::quoted(extra->name)) : fmt::format("tasklet {}", id);
}

std::string text_of(const lowlevel::wait_site& site, lowlevel::attachment* layer) {
    if (layer && is_layers_own(site.kind))
        if (const auto name = layer->name_of(site.object); !name.empty()) return fmt::format("{} {}", describe(site.kind), name);
    if (site.kind == lowlevel::wait_kind::join)
        return site.object ? "the end of " + name_of(static_cast<const task*>(site.object))
                           : "the first of several tasklets to end";
    const bool has_parts = site.kind == lowlevel::wait_kind::select;      // which are the object
    return site.object && !has_parts ? fmt::format("{} {}", describe(site.kind), site.object) : describe(site.kind);
}

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return text ? text.get() : name;
}

// What runs at an address: the function, before it those inlined into it.
void append_functions_at(const void* pc, std::vector<std::string>& out) {
#ifdef RONDO_HAVE_LIBBACKTRACE
    static std::mutex one_at_a_time;                  // it reads the program's debug information on first use
    const std::lock_guard hold(one_at_a_time);
    static backtrace_state* state = backtrace_create_state(nullptr, 1, [](void*, const char*, int) {}, nullptr);
    const auto before = out.size();
    if (state)
        backtrace_pcinfo(
            state, reinterpret_cast<std::uintptr_t>(pc) - 1,
            [](void* to, std::uintptr_t, const char* file, int line, const char* function) {
                if (!function) return 0;
                auto text = demangled(function);
                if (file) text += fmt::format(" ({}:{})", file, line);
                static_cast<std::vector<std::string>*>(to)->push_back(std::move(text));
                return 0;                             // the next one outwards
            },
            [](void*, const char*, int) {}, &out);
    if (state && out.size() == before)                // no debug information: the symbol table may know
        backtrace_syminfo(
            state, reinterpret_cast<std::uintptr_t>(pc) - 1,
            [](void* to, std::uintptr_t, const char* symbol, std::uintptr_t, std::uintptr_t) {
                if (symbol) static_cast<std::vector<std::string>*>(to)->push_back(demangled(symbol));
            },
            [](void*, const char*, int) {}, &out);
    if (out.size() != before) return;
#endif
    Dl_info info;
    const bool known = ::dladdr(pc, &info) && info.dli_sname;
    out.push_back(known ? demangled(info.dli_sname) : fmt::format("{}", pc));
}

RONDO_UNWATCHED std::source_location where_of(const task& t) noexcept { return t.where; }
// Reads another tasklet's stack by its frame pointers. It may be resumed meanwhile: then the frames are nonsense, but
// every read stays inside its stack.
RONDO_UNWATCHED std::size_t walk(const task& t, const void** frames, std::size_t most) noexcept {
#if defined(__x86_64__)
    const stack* on = t.on.load(relaxed);
    const char* context = static_cast<const char*>(t.context.load(relaxed));
    if (!on || !context) return 0;
    const char* low = on->limit;
    const char* high = on->base + on->size - 2 * sizeof(void*);
    if (context < low || context + 0x48 > high) return 0;
    // Boost.Context's saved registers on x86-64: rbp at +38h, rip at +40h.
    const char* rbp = *reinterpret_cast<const char* const*>(context + 0x38);
    frames[0] = *reinterpret_cast<const void* const*>(context + 0x40);
    return follow_frames(*on, low, rbp, frames, most);
#else
    (void)t, (void)frames, (void)most;
    return 0;
#endif
}

// What a select waits for. As with walk(): should it have ended meanwhile, then what we read is nonsense, inside its stack.
RONDO_UNWATCHED std::size_t walk(const task& t, const lowlevel::wait_part* part, lowlevel::wait_site* sites,
                                 std::size_t most) noexcept {
    const stack* on = t.on.load(relaxed);
    std::size_t n = 0;
    while (on && n < most) {
        const auto* at = reinterpret_cast<const char*>(part);
        if (at < on->limit || at + sizeof *part > on->base + on->size || reinterpret_cast<std::uintptr_t>(at) % 8 != 0) break;
        sites[n].kind = part->site.kind;              // not as a whole: a copy of it would be watched
        sites[n].object = part->site.object;
        ++n;
        part = part->next;
    }
    return n;
}

std::vector<lowlevel::wait_site> parts_of(const task& t, const lowlevel::wait_part* first) {
    // acquire: pairs with the release in publish_word(): the parts are there while that wait is open.
    const auto before = t.word.load(acquire);
    std::vector<lowlevel::wait_site> sites(64);
    sites.resize(walk(t, first, sites.data(), sites.size()));
    fence_seq_cst();                                  // keeps the reads above apart from the load below
    if (t.word.load(relaxed) != before || !(before & lowlevel::waiter::open_flag)) sites.clear();
    return sites;
}

}  // namespace

// Who holds the lock that somebody waits for: the lock knows. It may be gone by the time it is asked, so its word is copied by
// the kernel, which refuses where a load would end the process; the asker looks afterwards whether the wait goes on.
// (Telling those who wait cost every contended unlock several cache lines.)
class lock_holders {
public:
    lock_holders() = default;
    lock_holders(const lock_holders&) = delete;
    lock_holders& operator=(const lock_holders&) = delete;
    ~lock_holders() {
        for (const int end : ends_)
            if (end >= 0) ::close(end);
    }
    /// nullptr: nobody, or it is not known.
    const lowlevel::waiter* of(const lowlevel::wait_site& site) noexcept {
        switch (site.kind) {
            case lowlevel::wait_kind::mutex:
                return waiter_in(word_at(&static_cast<const mutex*>(site.object)->word_) &
                                 ~(mutex::contended | mutex::plain_thread));
            case lowlevel::wait_kind::shared_mutex:
                return waiter_in(word_at(&static_cast<const shared_mutex*>(site.object)->writer_));
            case lowlevel::wait_kind::once: return waiter_in(word_at(&static_cast<const once*>(site.object)->runner_));
            default: return nullptr;
        }
    }

private:
    static const lowlevel::waiter* waiter_in(std::uintptr_t word) noexcept {
        return reinterpret_cast<const lowlevel::waiter*>(word);      // never freed: see detail/task.hpp, and wait.cpp
    }
    std::uintptr_t word_at(const void* from) noexcept {
        std::uintptr_t word = 0;
        if (ends_[0] < 0 && ::pipe2(ends_, O_CLOEXEC) != 0) return 0;
        // Not ::write(), which sanitizers watch: this read may meet a store.
        if (::syscall(SYS_write, ends_[1], from, sizeof word) != sizeof word) return 0;
        return ::read(ends_[0], &word, sizeof word) == sizeof word ? word : 0;
    }
    int ends_[2] = {-1, -1};
};

RONDO_UNWATCHED std::uint64_t parent_of(const task& t) noexcept { return t.parent; }
// volatile: std::atomic's member functions would be watched again, and clang's sanitizer watches atomic loads everywhere. The
// descriptor may have been made just now.
RONDO_UNWATCHED std::uint64_t running_on(const worker& w) noexcept {
    const task* t = *const_cast<task* const volatile*>(&w.running);
    return t ? *reinterpret_cast<const volatile std::uint64_t*>(&t->id) : 0;
}

namespace {

RONDO_UNWATCHED task* task_on(const worker& w) noexcept { return *const_cast<task* const volatile*>(&w.running); }

// What one look at a descriptor gives, under its guard. The addresses are put into words afterwards, without it.
struct glance {
    tasklet_info info;
    lowlevel::wait_site site;
    const lowlevel::waiter* holder = nullptr;
    std::vector<lowlevel::wait_site> parts;           // of a select, and who holds them
    std::vector<const lowlevel::waiter*> part_holders;
    std::vector<const void*> frames;
};

// Of one whose wait was open when `word` was read.
void look_at_wait(const task& t, std::uint64_t word, std::int64_t now_ns, lock_holders& holders, glance& g) {
    const auto kind = t.kind.load(relaxed);
    g.info.state = tasklet_state::suspended;
    g.site = {kind, t.wait_object.load(relaxed)};
    if (kind == lowlevel::wait_kind::select) g.parts = parts_of(t, static_cast<const lowlevel::wait_part*>(g.site.object));
    g.holder = holders.of(g.site);
    for (auto& part : g.parts) g.part_holders.push_back(holders.of(part));
    fence_seq_cst();                                  // keeps the reads in there apart from the load below
    if (t.word.load(relaxed) != word) {               // it waits no more: that may have been anything
        g.holder = nullptr;
        g.part_holders.assign(g.parts.size(), nullptr);
    }
    g.info.waited = std::max(std::chrono::nanoseconds(now_ns - t.wait_since_ns.load(relaxed)), std::chrono::nanoseconds(0));
}

// False: no tasklet lives there.
bool look_at(task& t, std::int64_t now_ns, lock_holders& holders, bool with_frames, glance& g) {
    std::lock_guard hold(t.guard);
    const precise::unseen under_its_guard;
    g.info.id = t.id.load(acquire);
    const auto state = t.state.load(acquire);
    if (!g.info.id || state == task::phase::free || state == task::phase::finished) return false;
    g.info.parent = parent_of(t);
    // acquire: pairs with the release in name_task().
    if (auto* extra = t.extra.load(acquire)) g.info.name = extra->name;
    g.info.spawn_site = site_text(where_of(t));
    if (state == task::phase::fresh) return true;
    const auto word = t.word.load(acquire);           // pairs with the release in publish_word()
    if (word & lowlevel::waiter::open_flag) {
        look_at_wait(t, word, now_ns, holders, g);
    } else if (const task* child = t.above.load(relaxed)) {
        g.info.state = tasklet_state::suspended;
        g.site = {lowlevel::wait_kind::join, child};
    } else {
        g.info.state = tasklet_state::ready;
    }
    if (with_frames && g.info.state == tasklet_state::suspended) {
        g.frames.resize(64);
        g.frames.resize(walk(t, g.frames.data(), g.frames.size()));
    }
    return true;
}

void put_into_words(glance& g, lowlevel::attachment* layer) {
    if (g.info.state != tasklet_state::suspended) return;
    g.info.waits_for = text_of(g.site, layer);
    for (std::size_t i = 0; i < g.parts.size(); ++i) {
        g.info.waits_for += (i == 0 ? " of " : ", ") + text_of(g.parts[i], layer);
        if (const auto by = name_of(g.part_holders[i]); !by.empty()) g.info.waits_for += " (held by " + by + ")";
    }
    g.info.held_by = name_of(g.holder);
}

}  // namespace

std::vector<tasklet_info> scheduler::list(bool with_backtraces) const {
    std::vector<tasklet_info> all;
    std::unordered_map<std::uint64_t, std::vector<const void*>> frames_of;     // of the first ones
    const auto now = const_cast<scheduler*>(this)->now_ns();
    constexpr std::size_t most_backtraces = 200;
    lock_holders holders;
    auto* const layer = precise::seen(above);              // pairs with the release in attach()
    tasks.for_each([&](task& t) {
        glance g;
        if (!look_at(t, now, holders, with_backtraces && all.size() < most_backtraces, g)) return;
        if (t.id.load(acquire) != g.info.id) return;  // it ended meanwhile: this may be about two of them
        put_into_words(g, layer);
        if (!g.frames.empty()) frames_of.emplace(g.info.id, std::move(g.frames));
        all.push_back(std::move(g.info));
    });
    for (auto& w : workers)
        if (const auto id = running_on(*w))
            for (auto& info : all)
                if (info.id == id && info.state == tasklet_state::ready) info.state = tasklet_state::running;
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.id < b.id; });
    if (auto* now_there = precise::seen(above)) now_there->describe(all);
    // Under nobody's lock, and after the last look: the first address reads the program's debug information.
    for (auto& info : all)
        if (const auto found = frames_of.find(info.id); found != frames_of.end())
            for (const void* pc : found->second) append_functions_at(pc, info.backtrace);
    return all;
}

bool scheduler::look_at_running(const worker& w, std::uint64_t id, tasklet_info& info) const {
    task* const t = task_on(w);
    lock_holders holders;
    glance g;
    if (!t || !look_at(*t, 0, holders, false, g) || g.info.id != id) return false;
    g.frames.resize(64);
    g.frames.resize(probe_stack(w, thread_of(w), g.frames.data(), g.frames.size()));
    if (running_on(w) != id) return false;
    g.info.state = tasklet_state::running;
    std::vector<tasklet_info> one{std::move(g.info)};
    if (auto* layer = precise::seen(above)) layer->describe(one);      // pairs with the release in attach()
    info = std::move(one.front());
    for (const void* pc : g.frames) append_functions_at(pc, info.backtrace);
    return true;
}

void expectation_failed(const char* what, std::source_location where) noexcept {
    std::fprintf(stderr, "rondo: %s:%u: this must hold: %s\n", where.file_name(), where.line(), what);
    if (const worker* w = worker::current(); w && w->home.simulated)
        std::fprintf(stderr, "rondo: repeat it: explore({.replay = \"%s\"}, f)\n", w->home.simulated->replay().c_str());
    std::abort();
}

}  // namespace detail
}  // namespace rondo
