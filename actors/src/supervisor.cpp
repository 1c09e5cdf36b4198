// Supervisors are actors as any other. Their handlers wait for their children to obey, so the strategies read as what
// they are: take down in reverse order, make again in order.
#include <rondo/supervisor.hpp>

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "actor_system.hpp"

namespace rondo {
namespace {

using detail::actor_cell;
using detail::any_actor;
using detail::supervised;

struct child_went_down {
    std::uint64_t id;
    std::uint32_t life;                                   // which life of the child: an old one is no news
    exit_reason why;
    bool is_final;
};
struct are_you_there {};
struct start_child {
    child_spec spec;
};
struct stop_child_named {
    std::string name;
};
struct find_child {
    std::string name;
    const detail::type_tag* type;
};
struct list_children {};

class supervisor_actor;

}  // namespace

template <>
constexpr const char* detail::name_of_type<supervisor_actor>() {
    return "T = rondo::supervisor]";                      // what users know it as
}

namespace {

std::string called_already(std::string_view name) {
    return fmt::format("a child is called {} already", lowlevel::quoted(name));
}

class supervisor_actor {
public:
    // A back-off, or a child that takes its time, is no reason to go on for one that shall end. Its destructor does the
    // rest, as after a failure.
    static constexpr bool ends_at_once = true;

    supervisor_actor(const supervise_options& o, std::string name, std::vector<child_spec> specs)
        : options_(o), name_(std::move(name)), specs_(std::move(specs)) {}
    ~supervisor_actor() {
        while (!children_.empty()) {
            end_child(children_.back());
            children_.pop_back();
        }
    }

    void on(started) {
        for (const auto& spec : specs_) add(spec);
    }
    void on(are_you_there) const {}

    void on(const child_went_down& news) {
        const auto found = by_id_.find(news.id);
        // Its end for good is news of whichever life: it may have ended before make_again() saw it live.
        if (found == by_id_.end() || (!news.is_final && found->second->life != news.life)) return;
        const place at = found->second;
        // seq_cst: whoever drops the last handle after this finds the handler to interrupt (actor_cell::hand_over).
        if (detail::actor_here("supervisor").strong.load(detail::seq_cst) == 0) return;
        if (news.is_final) return (void)forget(at);       // stopped, and not to be restarted
        if (at->spec.options.when == restart_when::never) {
            end_child(*at);
            forget(at);
            return;
        }
        bring_back(at, news.why);
    }

    void on(const start_child& s, reply<void> r) {        // what the constructor throws is the asker's affair
        try {
            add(s.spec);
        } catch (const stopped&) {
            throw;
        } catch (...) {
            return r.fail(std::current_exception());
        }
        r.send();
    }
    bool on(const stop_child_named& s) {
        const auto found = by_name_.find(s.name);
        if (found == by_name_.end()) return false;
        const place at = found->second;
        end_child(*at);
        forget(at);
        return true;
    }
    any_actor on(const find_child& f) {
        const auto found = by_name_.find(f.name);
        if (found == by_name_.end()) throw refused(fmt::format("no child is called {}", lowlevel::quoted(f.name)));
        const member& m = *found->second;
        if (m.spec.type != f.type)
            throw refused(fmt::format("child {} is no {}; it is {}", lowlevel::quoted(f.name), f.type->name(),
                                      m.spec.type->name()));
        return m.who;
    }
    std::vector<child_info> on(list_children) const {
        std::vector<child_info> all;
        for (const auto& m : children_) all.push_back({m.spec.name, m.who.id(), m.life});
        return all;
    }

private:
    struct member {
        child_spec spec;
        any_actor who;
        std::shared_ptr<supervised> link;
        std::uint32_t life = 0;
    };

    class resting {
    public:
        explicit resting(detail::actor_system& in) noexcept : in_(in) { in_.begin_rest(); }
        resting(const resting&) = delete;
        ~resting() { in_.end_rest(); }

    private:
        detail::actor_system& in_;
    };

    using place = std::list<member>::iterator;

    place forget(place at) noexcept {                     // gives the one after it
        if (!at->spec.name.empty()) by_name_.erase(at->spec.name);
        if (at->who) by_id_.erase(at->who.id());
        return children_.erase(at);
    }

    void add(const child_spec& spec) {
        if (by_name_.contains(spec.name))
            throw refused(called_already(spec.name));
        auto& me = detail::actor_here("supervisor");
        auto link = std::make_shared<supervised>();
        link->make = spec.make;
        link->keep_messages = spec.options.keep_messages;
        link->even_if_stopped = spec.options.when == restart_when::ended;
        link->boss = &me;
        me.add_weak();
        link->tell_boss = &tell;
        const actor_options o{.name = spec.name,
                              .mailbox_slots = spec.options.mailbox_slots,
                              .full = spec.options.full,
                              .where = spec.options.where};
        const place at = children_.insert(children_.end(), {spec, {}, link});
        try {
            if (!spec.name.empty()) by_name_.emplace(at->spec.name, at);
            {
                const detail::making object(me);
                at->who = spec.start(me.system, link, o);
            }
            by_id_.emplace(at->who.id(), at);
        } catch (...) {
            if (at->who) end_child(*at);
            forget(at);
            throw;
        }
    }

    static void tell(actor_cell& boss, actor_cell& child, const exit_reason& why, std::uint32_t life,
                     bool is_final) noexcept {
        if (boss.has_ended()) return;
        boss.post_system(detail::make_message<child_went_down>(detail::ops_of<supervisor_actor, child_went_down>,
                                                               child_went_down{child.id, life, why, is_final}));
    }

    // Its supervisor ends: it ends for good.
    void end_child(member& m) {
        m.who.cell().tell_to_end(actor_cell::shutdown);
        if (!m.who.join_for(detail::ticks(m.spec.options.shutdown))) {
            m.who.kill();
            (void)m.who.join();
        }
    }

    void take_down(member& m) {
        m.link->obeyed.reset();
        m.who.cell().tell_to_end(actor_cell::halt);
        if (m.who.has_ended()) return (void)m.who.join(); // it may still be at it
        if (m.link->obeyed.wait_for(detail::ticks(m.spec.options.shutdown))) return;
        m.who.cell().kill_now();
        m.link->obeyed.wait();
    }

    void note_restart(const exit_reason& why, const member& of) {
        const auto now = lowlevel::now();
        restarts_.push_back(now);
        while (now - restarts_.front() > detail::ticks(options_.within)) restarts_.pop_front();
        if (restarts_.size() > options_.max_restarts) {
            const auto n = restarts_.size() - 1;
            const std::chrono::duration<double> seconds(detail::ticks(options_.within));
            throw too_many_restarts(fmt::format("supervisor {}: {} restart{} in {:.1f} s; the last of {}, which {}",
                                                name_.empty() ? "without a name" : lowlevel::quoted(name_), n, n == 1 ? "" : "s",
                                                seconds.count(), of.who.label(), why.text()));
        }
        detail::time_span pause = options_.backoff;
        if (pause <= detail::time_span()) return;
        for (std::size_t i = 1; i < restarts_.size() && pause < options_.longest_backoff; ++i) pause = pause + pause;
        const resting here(detail::actor_here("supervisor").system);
        sleep_for(detail::ticks(std::min(pause, options_.longest_backoff)));
    }

    void bring_back(place failed, const exit_reason& why) {
        note_restart(why, *failed);
        place first = failed, last = std::next(failed);
        if (options_.strategy != restart::one_for_one) last = children_.end();
        if (options_.strategy == restart::one_for_all) first = children_.begin();
        for (place at = last; at != first;) {
            if (--at == failed) continue;
            if (at->spec.options.when == restart_when::never) {    // it goes with the others, and does not come back
                end_child(*at);
                const bool was_first = at == first;
                at = forget(at);
                if (was_first) first = at;
            } else {
                take_down(*at);
            }
        }
        for (place at = first; at != last; ++at) make_again(*at);
    }

    void make_again(member& m) {
        for (;;) {
            m.link->obeyed.reset();
            m.who.cell().give_order(actor_cell::restart);
            if (m.who.has_ended()) return;                // its own news will say so
            m.link->obeyed.wait();
            if (m.who.has_ended()) return;
            if (!m.link->failure) break;
            note_restart({exit_kind::crashed, m.link->failure}, m);
        }
        ++m.life;
    }

    supervise_options options_;                           // its `name` is not used
    std::string name_;
    std::vector<child_spec> specs_;
    std::list<member> children_;                          // in the order of their start
    std::unordered_map<std::string_view, place> by_name_; // those that have one: the children hold the text
    std::unordered_map<std::uint64_t, place> by_id_;
    std::deque<lowlevel::time_point> restarts_;
};

bool refuses(const actor_cell& boss) noexcept {
    auto* e = boss.extra.load(detail::acquire);           // pairs with the release in need_extra()
    if (!e) return false;
    std::lock_guard hold(e->guard);                       // its record goes with its end
    return e->under && e->under->refuses.load(detail::relaxed);
}

void check_time(detail::time_span d, const char* what) {
    if (d < detail::time_span()) throw usage_error(fmt::format("{} must not be negative", what));
}
void check_child(const child_spec& spec) {
    if (!spec.start) throw usage_error("a child_spec without a class: make it by rondo::child or rondo::subtree");
    check_time(spec.options.shutdown, "child_options::shutdown");
    if (const auto slots = spec.options.mailbox_slots.value_or(0); slots > actor_cell::box::most_slots)
        detail::throw_too_many_slots(slots);
}
// Before anybody is started: what is wrong is the caller's to hear, also of a subtree that is started later.
void check(const supervise_options& o, const std::vector<child_spec>& children) {
    check_time(o.within, "supervise_options::within");
    check_time(o.backoff, "supervise_options::backoff");
    check_time(o.longest_backoff, "supervise_options::longest_backoff");
    std::unordered_set<std::string_view> names;
    for (const auto& c : children) {
        check_child(c);
        if (!c.name.empty() && !names.insert(c.name).second) throw usage_error(called_already(c.name));
    }
}

template <class M>
auto ask(const any_actor& boss, M message) {
    using R = answer_t<supervisor_actor, M>;
    // It may be waiting for whoever asks: see actor_cell::go_down().
    if (refuses(boss.cell())) throw actor_ended(boss.cell().label(), {exit_kind::shutdown});
    const auto is_not_refused = [&to = boss.cell()](detail::reply_cell& r) {
        detail::fence_seq_cst();                          // keeps the message apart from the look: go_down()
        if (!refuses(to)) return;
        const std::lock_guard hold(r.lock);
        if (!r.is_done) throw actor_ended(to.label(), {exit_kind::shutdown});
    };
    return detail::ask<R, M>(boss.cell(), detail::ops_of<supervisor_actor, M>, std::move(message), is_not_refused);
}

}  // namespace

child_spec subtree(const supervise_options& options, std::vector<child_spec> children) {
    check(options, children);
    child_options o{.name = options.name, .where = options.where};
    // Its children take their time to end, one after the other.
    for (const auto& c : children) o.shutdown = o.shutdown + c.options.shutdown;
    return child<supervisor_actor>(o, options, std::string(options.name), std::move(children));
}

supervisor supervise(const supervise_options& options, std::vector<child_spec> children) {
    check(options, children);
    supervisor boss(detail::start_in<supervisor_actor>(detail::system_here("rondo::supervise"),
                                                       actor_options{.name = options.name, .where = options.where}, options,
                                                       std::string(options.name), std::vector<child_spec>{}));
    // Not on(started): what a constructor throws here is the caller's, not a failure of the supervisor.
    try {
        for (auto& c : children) ask(boss, start_child{std::move(c)});
    } catch (const refused& e) {
        throw usage_error(e.what());
    }
    return boss;
}

any_actor supervisor::find(std::string_view name, const detail::type_tag& type) const {
    try {
        return ask(*this, find_child{std::string(name), &type});
    } catch (const refused& e) {
        throw usage_error(std::string("supervisor::ref: ") + e.what());
    }
}
supervisor supervisor::find_subtree(std::string_view name) const {
    return supervisor(find(name, detail::tag_of<supervisor_actor>));
}
void supervisor::start(child_spec spec) const {
    check_child(spec);
    try {
        ask(*this, start_child{std::move(spec)});
    } catch (const refused& e) {
        throw usage_error(std::string("supervisor::start: ") + e.what());
    }
}
bool supervisor::stop_child(std::string_view name) const { return ask(*this, stop_child_named{std::string(name)}); }
std::vector<child_info> supervisor::children() const { return ask(*this, list_children{}); }

}  // namespace rondo
