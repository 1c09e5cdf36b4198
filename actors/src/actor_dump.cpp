// What dumps show of actors: who started whom, how much waits, what each handler waits for.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "actor_system.hpp"

namespace rondo::detail {
namespace {

struct seen_actor {
    std::uint64_t id = 0, parent = 0;
    bool is_supervised = false;
    std::string name, type, where;
    const char* state = "";
    std::size_t waiting = 0, stashed = 0, slots = 0;
    std::uint32_t restarts = 0;
    std::vector<std::uint64_t> handlers;                  // tasklets
    std::chrono::steady_clock::time_point started;        // unset for one that keeps no extra
    unsigned depth = 0;

    bool is_before(const seen_actor& other) const { return std::tie(started, id) < std::tie(other.started, other.id); }
};

// Under its shard's lock, so it is alive; all the rest may change meanwhile.
seen_actor look_at(const actor_cell& c) {
    seen_actor a;
    a.id = c.id;
    a.type = c.of.type->name();
    a.waiting = c.messages.depth();
    a.slots = c.messages.slots();
    const bool is_run = c.runner.t.load(acquire) != nullptr;
    a.state = c.now.load(relaxed) == actor_cell::phase::down ? "down" : c.messages.is_idle() ? "idle" : is_run ? "active" : "ready";
    if (is_run) a.handlers.push_back(c.runner.id.load(relaxed));
    auto* e = c.extra.load(acquire);                      // pairs with the release in need_extra()
    if (!e) return a;
    a.restarts = e->restarts.load(relaxed);
    a.stashed = e->stashed.load(relaxed);
    {
        std::lock_guard hold(e->flights_guard);
        for (auto* w = e->flights; w; w = w->next) a.handlers.push_back(w->who.id);
    }
    a.where = c.started_at();
    std::lock_guard hold(e->guard);
    a.name = e->name;
    a.parent = e->starter;
    a.started = e->started;
    if (!e->under) return a;
    std::lock_guard hold_boss(e->under->guard);
    if (!e->under->boss) return a;
    a.parent = e->under->boss->id;
    a.is_supervised = true;
    return a;
}

// Parents before their children, those in the order of their start. One whose parent has ended stands alone.
std::vector<seen_actor> in_tree_order(std::vector<seen_actor> all) {
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return b.is_before(a); });
    std::unordered_map<std::uint64_t, std::vector<std::size_t>> children;
    std::unordered_map<std::uint64_t, bool> lives;
    for (auto& a : all) lives[a.id] = true;
    std::vector<std::size_t> next;                        // the last one first
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!lives.contains(all[i].parent) || all[i].parent == all[i].id) {
            all[i].parent = 0;
            next.push_back(i);
        } else {
            children[all[i].parent].push_back(i);
        }
    }
    std::vector<seen_actor> out;
    out.reserve(all.size());
    while (!next.empty()) {
        seen_actor& a = all[next.back()];
        next.pop_back();
        for (const auto i : children[a.id]) {
            all[i].depth = a.depth + 1;
            next.push_back(i);
        }
        out.push_back(std::move(a));
    }
    return out;
}

// Those of a span of tasklet_info, sorted by id, const or not.
template <class Info, class F>
void for_each_of(const std::vector<std::uint64_t>& ids, std::span<Info> tasklets, F&& f) {
    for (const auto id : ids) {
        const auto at = std::lower_bound(tasklets.begin(), tasklets.end(), id,
                                         [](const tasklet_info& t, std::uint64_t n) { return t.id < n; });
        if (at != tasklets.end() && at->id == id) f(*at);
    }
}

template <class System>
std::vector<seen_actor> look_at_all(System& in) {
    std::vector<seen_actor> all;
    in.for_each([&](const actor_cell& c) { all.push_back(look_at(c)); });
    return in_tree_order(std::move(all));
}

}  // namespace

void actor_system::describe(std::span<tasklet_info> tasklets) {
    const auto is = [](tasklet_info& t, std::string role, std::string where) {
        t.role = std::move(role);
        t.spawn_site = std::move(where);                  // else a place in this library
    };
    for_each([&](const actor_cell& c) {
        if (c.runner.t.load(acquire) == nullptr && !c.of.is_reentrant) return;
        const auto a = look_at(c);
        for_each_of(a.handlers, tasklets, [&](tasklet_info& t) { is(t, "handler of " + c.label(), a.where); });
    });
    for_each_of({timers.keeper_id()}, tasklets, [&](tasklet_info& t) { is(t, "the timers of all actors", ""); });
}

void actor_system::describe_job(lowlevel::job_function run, const void* what, tasklet_info& info) {
    if (run == &actor_timers::keep_time) {
        info.role = "the timers of all actors";
        info.spawn_site.clear();
    } else if (run == &actor_cell::run) {
        const auto& c = *static_cast<const actor_cell*>(what);
        info.role = "handler of " + c.label();
        info.spawn_site = c.started_at();
    }
}

// The same in the words of actor_cell::label().
bool actor_system::put_running(void (*put)(const char* text)) noexcept {
    const actor_cell* const c = actor_here_or_null();
    if (!c) return false;
    const auto put_number = [put](std::uint64_t n) {
        char digits[24];
        *std::to_chars(digits, digits + sizeof digits - 1, n).ptr = 0;
        put(digits);
    };
    const auto* const e = c->extra.load(acquire);
    put(", handler of actor ");
    put_number(c->id);
    if (e && !e->name.empty()) {
        put(" \"");
        put(e->name.c_str());
        put("\"");
    }
    put(" (");
    char type[200];
    const auto whole = c->of.type->view();
    type[whole.copy(type, sizeof type - 1)] = 0;
    put(type);
    put(")");
    if (e && e->where.line() != 0) {
        put(", started at ");
        put(e->where.file_name());
        put(":");
        put_number(e->where.line());
    }
    return true;
}

std::string actor_system::dump(std::span<const tasklet_info> tasklets) {
    constexpr std::size_t most = 1000;
    constexpr unsigned deepest = 20;
    const auto all = look_at_all(*this);
    if (all.empty()) return {};
    std::string out = fmt::format("{} actor{}\n", all.size(), all.size() == 1 ? "" : "s");
    for (std::size_t i = 0; i < std::min(most, all.size()); ++i) {
        const auto& a = all[i];
        const std::string indent(2 * std::min(a.depth, deepest), ' ');
        out += fmt::format("{}actor {}{} ({}), {}, {} message{} wait{}", indent, a.id,
                           a.name.empty() ? "" : " " + lowlevel::quoted(a.name), a.type, a.state, a.waiting,
                           a.waiting == 1 ? "" : "s", a.waiting == 1 ? "s" : "");
        if (a.stashed) out += fmt::format(", {} stashed", a.stashed);
        if (a.restarts) out += fmt::format(", {} restart{}", a.restarts, a.restarts == 1 ? "" : "s");
        if (!a.where.empty()) out += fmt::format("; started at {}", a.where);
        out += '\n';
        for_each_of(a.handlers, tasklets, [&](const tasklet_info& t) {
            out += fmt::format("{}  its handler, tasklet {}, is {}", indent, t.id, to_string(t.state));
            if (!t.waits_for.empty()) out += fmt::format(", waits for {}", t.waits_for);
            if (!t.held_by.empty()) out += fmt::format(" (held by {})", t.held_by);
            out += '\n';
        });
    }
    if (all.size() > most) out += fmt::format("... and {} more\n", all.size() - most);
    return out;
}

std::string actor_system::dump_json(std::span<const tasklet_info> tasklets) {
    using lowlevel::json_string;
    std::string out = ", \"actors\": [";
    const char* comma = "\n";
    for (const auto& a : look_at_all(*this)) {
        std::string handlers;
        for_each_of(a.handlers, tasklets, [&](const tasklet_info& t) {
            handlers += fmt::format(R"({}{{"tasklet": {}, "state": {}, "waits_for": {}, "held_by": {}, "waited_ns": {}}})",
                                    handlers.empty() ? "" : ", ", t.id, json_string(to_string(t.state)),
                                    json_string(t.waits_for), json_string(t.held_by),
                                    std::chrono::duration_cast<std::chrono::nanoseconds>(t.waited).count());
        });
        out += fmt::format(R"({}{{"id": {}, "parent": {}, "supervised": {}, "name": {}, "class": {}, "state": {}, )"
                           R"("mailbox": {}, "slots": {}, "restarts": {}, "stashed": {}, "started_at": {}, "handlers": [{}]}})",
                           std::exchange(comma, ",\n"), a.id, a.parent, a.is_supervised, json_string(a.name),
                           json_string(a.type), json_string(a.state), a.waiting, a.slots, a.restarts, a.stashed,
                           json_string(a.where), handlers);
    }
    return out + "\n]";
}

}  // namespace rondo::detail
