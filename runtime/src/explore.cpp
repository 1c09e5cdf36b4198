// testing::explore: the choosers (which schedule), the driver (run it, judge it, clean up), and the report.
#include <rondo/testing.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string_view>

#include <fmt/format.h>

#include <rondo/lowlevel/wait.hpp>

#include "scheduler.hpp"
#include "simulation.hpp"
#include "splitmix.hpp"

namespace rondo::testing {
namespace {

using detail::chooser;
using detail::deviation;
using detail::deviations;
using detail::next_random;
using detail::simulation;
using detail::task;

// ---------------------------------------------------------------------------------------------- choosers

class first_in_first_out final : public chooser {
public:
    std::size_t choose(std::span<const std::uint32_t>, running) noexcept override { return 0; }
};

class uniform final : public chooser {
public:
    explicit uniform(std::uint64_t seed) : state_(seed ^ 0x6a09e667f3bcc909ull) {}
    std::size_t choose(std::span<const std::uint32_t> who, running) noexcept override {
        return static_cast<std::size_t>(next_random(state_) % who.size());
    }

private:
    std::uint64_t state_;
};

// Burckhardt et al. 2010. We differ in this: steps are those with a choice, their number k is that of the first schedule
// (or two or four times as many, as the seed says), and who yields falls below all others, so that nobody spins for ever.
class by_priority final : public chooser {
public:
    by_priority(std::uint64_t seed, unsigned depth, std::uint64_t steps) : state_(seed ^ 0xbb67ae8584caa73bull) {
        steps = std::max<std::uint64_t>(steps, 1) << (seed % 3);
        for (std::uint64_t i = 1; i < depth; ++i) changes_.push_back({next_random(state_) % steps, lowest_start + i});
        std::sort(changes_.begin(), changes_.end());
    }
    std::size_t choose(std::span<const std::uint32_t> who, running where) noexcept override {
        if (where == running::last) priority(who.back()) = --lowest_;
        auto best = highest(who);
        while (next_ < changes_.size() && changes_[next_].first <= step_) {
            priority(who[best]) = changes_[next_++].second;
            best = highest(who);
        }
        ++step_;
        return best;
    }

private:
    static constexpr std::uint64_t lowest_start = 1ull << 40;     // below: those who have yielded; above: the first ones
    std::uint64_t& priority(std::uint32_t number) {
        while (priorities_.size() <= number) priorities_.push_back(next_random(state_) | 1ull << 63);
        return priorities_[number];
    }
    std::size_t highest(std::span<const std::uint32_t> who) {
        std::size_t best = 0;
        for (std::size_t i = 1; i < who.size(); ++i)
            if (priority(who[i]) > priority(who[best])) best = i;
        return best;
    }
    std::uint64_t state_, step_ = 0, lowest_ = lowest_start;
    std::size_t next_ = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> changes_;
    std::vector<std::uint64_t> priorities_;
};

// Depth first over the tree of choices. To pick another than the running tasklet costs one of the preemptions; so does
// it, where one yields, to pick another than the next in the row: else two that yield could starve a third for ever.
class every final : public chooser {
public:
    explicit every(unsigned preemptions) : most_(preemptions) {}

    std::size_t choose(std::span<const std::uint32_t> who, running where) noexcept override {
        if (at_ == path_.size()) path_.push_back({0, who.size(), where});
        level& l = path_[at_++];
        if (l.count != who.size() || l.where != where) {
            diverged_ = true;
            return 0;
        }
        used_ += cost(l, l.chosen);
        return l.chosen;
    }
    /// To the next schedule. False: that was the last one.
    bool advance() noexcept {
        used_ = 0;
        for (auto& l : path_) used_ += cost(l, l.chosen);
        for (; !path_.empty(); path_.pop_back()) {
            level& l = path_.back();
            used_ -= cost(l, l.chosen);
            while (++l.chosen < l.count) {
                if (used_ + cost(l, l.chosen) <= most_) {
                    restart();
                    return true;
                }
                bounded_ = true;
            }
        }
        return false;
    }
    void restart() noexcept { at_ = 0, used_ = 0; }
    [[nodiscard]] bool bounded() const noexcept { return bounded_; }
    [[nodiscard]] bool diverged() const noexcept { return diverged_; }

private:
    struct level {
        std::size_t chosen, count;
        running where;
    };
    static unsigned cost(const level& l, std::size_t i) noexcept {
        return l.where != running::none && i != 0;
    }
    const unsigned most_;
    unsigned used_ = 0;
    std::size_t at_ = 0;
    bool bounded_ = false, diverged_ = false;
    std::vector<level> path_;
};

class repeat final : public chooser {
public:
    explicit repeat(std::vector<deviation> what) : what_(std::move(what)) {}
    std::size_t choose(std::span<const std::uint32_t> who, running) noexcept override {
        const auto now = step_++;
        if (next_ == what_.size() || what_[next_].at != now) return 0;
        const auto i = what_[next_++].index;
        if (i < who.size()) return i;
        fits_ = false;
        return 0;
    }
    /// Was there a choice for each deviation?
    [[nodiscard]] bool fitted() const noexcept { return fits_ && next_ == what_.size(); }

private:
    std::vector<deviation> what_;
    std::size_t next_ = 0, step_ = 0;
    bool fits_ = true;
};

std::vector<deviation> from_text(std::string_view text, std::uint64_t& seed) {
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&](auto& into) {
        const auto [after, problem] = std::from_chars(at, end, into);
        at = after;
        return problem == std::errc();
    };
    const auto next_is = [&](char c) { return at != end && *at++ == c; };
    std::vector<deviation> out;
    bool good = number(seed) && next_is('/');
    for (std::size_t from = 0; good && at != end;) {
        deviation d{};
        good = (from == 0 || next_is(',')) && number(d.at) && next_is(':') && number(d.index);
        d.at += from;
        from = d.at + 1;
        out.push_back(d);
    }
    if (!good) throw usage_error(fmt::format("explore_options::replay is \"{}\": give the text of a failed exploration, "
                                             "such as 17/3:1,0:2", text));
    return out;
}

// ---------------------------------------------------------------------------------------------- the driver

struct outcome {
    failure what = failure::none;
    std::exception_ptr error;
    std::uint64_t hash = 0, steps = 0;
    std::vector<std::uint32_t> choices;
    std::vector<tasklet_info> stuck;
    std::vector<tasklet_info> unstoppable;        // of them, or of others that were left
};

class explorer {
public:
    explorer(const explore_options& o, simulation& sim, bool (*program)(void*), void* data, std::source_location where)
        : o_(o), sim_(sim), program_(program), data_(data), where_(where) {}

    /// In the driver's tasklet.
    explore_report explore() {
        if (!o_.replay.empty()) explore_replay();
        else if (o_.strategy == schedules::exhaustive) explore_all();
        else explore_seeds();
        return std::move(report_);
    }
    /// An exception that nobody joined.
    void unhandled(const std::exception_ptr& error) noexcept { fail(failure::threw, error); }

private:
    void explore_replay() {
        std::uint64_t seed = 0;
        repeat by(from_text(o_.replay, seed));
        if (try_one(by, seed) && !by.fitted())
            throw usage_error(fmt::format("explore_options::replay is \"{}\": the program has not so many choices; it has "
                                          "changed since that failure, or the text is another program's", o_.replay));
    }
    void explore_all() {
        every by(o_.preemptions);
        const auto seed = o_.seed.value_or(1);
        do {
            if (report_.schedules == o_.schedules_max) break;
            if (!try_one(by, seed)) return;
            if (by.diverged()) return not_deterministic(seed);
            report_.complete = !by.advance();
        } while (!report_.complete);
        report_.bounded = by.bounded();
    }
    void explore_seeds() {
        const auto first = o_.seed.value_or(1);
        const auto n = o_.seeds ? o_.seeds : o_.seed ? 1 : 1000;
        first_in_first_out plain;
        if (!try_one(plain, first)) return;
        const auto k = sim_.choices.size();
        if (k == 0) return;                       // there is only the one
        for (auto seed = first; seed - first < n; ++seed)
            if (!try_one(*chooser_for(seed, k), seed)) return;
    }
    [[nodiscard]] std::unique_ptr<chooser> chooser_for(std::uint64_t seed, std::size_t k) const {
        const auto depth = std::max(1u, o_.depth);
        if (o_.strategy == schedules::priorities) return std::make_unique<by_priority>(seed, depth, k);
        if (o_.strategy == schedules::random || seed % 2 == 0) return std::make_unique<uniform>(seed);
        return std::make_unique<by_priority>(seed, 1 + static_cast<unsigned>(seed / 2 % depth), k);
    }

    // False: it has failed; the report is complete.
    bool try_one(chooser& by, std::uint64_t seed) {
        auto end = run_once(by, seed, false);
        ++report_.schedules;
        report_.steps += end.steps;
        report_.hash = (report_.hash ^ end.hash) * 0x100000001b3ull;
        if (end.what == failure::none && o_.twice) {
            repeat again(deviations(end.choices));
            const auto second = run_once(again, seed, false);
            if (second.hash != end.hash || second.what != failure::none) {
                end.what = failure::not_deterministic;
            }
        }
        if (end.what == failure::none) return true;
        report_failure(std::move(end), seed);
        return false;
    }
    void not_deterministic(std::uint64_t seed) {
        outcome o;
        o.what = failure::not_deterministic;
        o.choices = sim_.choices;
        report_failure(std::move(o), seed);
    }

    outcome run_once(chooser& by, std::uint64_t seed, bool keep_trace) {
        outcome_ = {};
        bool ended = false;
        detail::scheduler& home = detail::worker::current()->home;
        {
            const auto body = [this, &ended] {
                try {
                    if (!program_(data_)) fail(failure::said_no, {});
                } catch (const stopped&) {
                    if (outcome_.what == failure::none) fail(failure::threw, std::current_exception());
                } catch (...) {
                    fail(failure::threw, std::current_exception());
                }
                ended = true;
            };
            auto main = keep_trace ? spawn({.name = "main", .where = where_}, body) : spawn(body, where_);
            const auto end = sim_.run_schedule({&by, seed, o_.steps_max, keep_trace});
            outcome_.steps = sim_.steps;
            outcome_.hash = sim_.hash;
            outcome_.choices = sim_.choices;
            if (end == simulation::end::stuck) {
                outcome_.what = ended ? failure::leak : failure::deadlock;
                outcome_.stuck = left(home);
            } else if (end == simulation::end::too_long) {
                outcome_.what = failure::too_long;
                outcome_.stuck = left(home);
            }
            if (end != simulation::end::all_ended) clean_up(home);
            // The next schedule begins without anything of this one: names, counts, ids.
            // acquire: as in every look at it.
            if (auto* layer = home.above.exchange(nullptr, detail::acquire)) layer->home_is_gone();
        }
        return std::move(outcome_);
    }
    void fail(failure what, const std::exception_ptr& error) noexcept {
        if (outcome_.what != failure::none || cleaning_) return;
        outcome_.what = what;
        outcome_.error = error;
        sim_.fail();
    }
    [[nodiscard]] static std::vector<tasklet_info> left(detail::scheduler& home) {
        auto all = home.list(false);
        std::erase_if(all, [](auto& info) { return info.id == this_tasklet::id(); });
        return all;
    }
    void clean_up(detail::scheduler& home) {
        // One after the other, the youngest first: they may refer to the frames of those that have spawned them.
        cleaning_ = true;
        const auto actors_live = [&] {
            auto* layer = home.above.load(detail::acquire);
            return layer && layer->live() != 0;
        };
        auto& counters = detail::worker::current()->counters;
        for (int round = 0; home.live() > 1 || actors_live(); ++round) {
            expect(round < 100, "a tasklet that testing::explore stops, since its schedule has failed, must end");
            const auto ended_before = counters.ended();
            if (actors_live()) home.above.load(detail::acquire)->end();
            for (auto& ref : home.living())
                if (ref.id != this_tasklet::id() && !detail::task_done(ref)) {
                    detail::stop_task(ref);
                    sim_.run_rest(ref, round > 0);
                }
            // All have been told, time has gone by, and nobody has ended: then nobody will.
            if (round > 0 && counters.ended() == ended_before && !actors_live()) abandon(home);
        }
        cleaning_ = false;
    }
    // What is unwinding is not stopped a second time: so a destructor may wait for ever.
    void abandon(detail::scheduler& home) {
        outcome_.unstoppable = left(home);
        for (auto& ref : home.living())
            if (ref.id != this_tasklet::id() && !sim_.abandon(ref)) return;
    }

    // ---- the report
    void report_failure(outcome first, std::uint64_t seed) {
        const auto what = first.what;
        auto path = deviations(first.choices);
        repeat again(path);
        auto last = run_once(again, seed, true);
        const bool same = last.what == what && last.hash == first.hash;
        if (same) {
            path = shortened(std::move(path), what, seed);
            repeat shortest(path);
            last = run_once(shortest, seed, true);
        } else {
            last.error = first.error;
            last.stuck = std::move(first.stuck);
            last.unstoppable = std::move(first.unstoppable);
        }
        report_.what = what;
        report_.seed = seed;
        report_.replay = detail::replay_text(seed, path);
        report_.error = last.error;
        report_.stuck = std::move(last.stuck);
        report_.text = headline(what, last) + how_to_repeat(same, path.size());
        if (same || what == failure::not_deterministic) report_.text += trace_text();
        for (auto& info : report_.stuck) report_.text += "\n  left: " + describe(info);
        for (auto& info : last.unstoppable) report_.text += "\n  not even a stop has ended: " + describe(info);
    }

    // Drops deviations for as long as it still fails the same way: halves, quarters, ..., single ones (delta debugging).
    std::vector<deviation> shortened(std::vector<deviation> path, failure what, std::uint64_t seed) {
        int tries = 300;
        for (auto chunk = std::max<std::size_t>(1, path.size() / 2);; chunk = std::max<std::size_t>(1, chunk / 2)) {
            bool dropped = false;
            for (std::size_t at = 0; at < path.size() && tries > 0;) {
                auto fewer = path;
                const auto n = std::min(chunk, fewer.size() - at);
                fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at), fewer.begin() + static_cast<std::ptrdiff_t>(at + n));
                --tries;
                repeat by(fewer);
                if (auto end = run_once(by, seed, false); end.what == what) {
                    path = deviations(end.choices);         // those that did not apply are gone
                    if (path.size() > fewer.size()) path = std::move(fewer);
                    dropped = true;
                } else {
                    at += n;
                }
            }
            if (tries == 0 || (chunk == 1 && !dropped)) return path;
        }
    }

    [[nodiscard]] std::string headline(failure what, const outcome& end) const {
        std::string text = fmt::format("rondo::testing::explore: schedule {}: {}", report_.schedules, to_string(what));
        if (what == failure::threw && end.error) {
            try {
                std::rethrow_exception(end.error);
            } catch (const std::exception& e) {
                text += fmt::format(": {}", e.what());
            } catch (const stopped& e) {
                text += fmt::format(": {}", e.what());
            } catch (...) {
                text += ": not a std::exception";
            }
        }
        return text;
    }
    [[nodiscard]] std::string how_to_repeat(bool same, std::size_t deviations) const {
        if (!same && report_.what != failure::not_deterministic)
            return "\n  It did not fail again under the same schedule: the program depends on something outside (real time, "
                   "addresses, threads).";
        static constexpr std::array names{"mixed", "random", "priorities", "exhaustive"};
        std::string text = fmt::format("\n  repeat it: explore({{.replay = \"{}\"}}, f)", report_.replay);
        if (o_.replay.empty() && o_.strategy != schedules::exhaustive) {
            text += fmt::format("\n  or, unshortened: explore({{.seed = {}, .strategy = rondo::testing::schedules::{}", report_.seed,
                                names[static_cast<std::size_t>(o_.strategy)]);
            if (o_.depth != explore_options{}.depth) text += fmt::format(", .depth = {}", o_.depth);
            text += "}, f)";
        }
        text += fmt::format("\n  {} of its choices differ{} from first in, first out", deviations, deviations == 1 ? "s" : "");
        return text;
    }
    [[nodiscard]] std::string name_of(std::uint32_t number) const {
        if (number >= sim_.tasklets.size()) return "?";
        auto& t = sim_.tasklets[number];
        if (!t.role.empty()) return fmt::format("#{}, {}", number, t.role);
        return t.name.empty() ? fmt::format("#{}", number) : fmt::format("#{} {}", number, lowlevel::quoted(t.name));
    }
    // As the subject of a sentence.
    [[nodiscard]] std::string subject(std::uint32_t number) const {
        const bool has_role = number < sim_.tasklets.size() && !sim_.tasklets[number].role.empty();
        return has_role ? name_of(number) + "," : name_of(number);
    }
    // Who took part.
    [[nodiscard]] std::string cast_text() const {
        std::string text;
        for (std::uint32_t i = 0; i < sim_.tasklets.size(); ++i) {
            auto& t = sim_.tasklets[i];
            if (i == 30 && sim_.tasklets.size() > 32) return text + fmt::format("\n  ... and {} more", sim_.tasklets.size() - i);
            if (i == 0) text += "\n  #0 \"main\": f itself";
            else if (t.spawn_site.empty()) text += fmt::format("\n  {}", name_of(i));
            else text += fmt::format("\n  {}: {} at {}", name_of(i), t.role.empty() ? "spawned" : "started", t.spawn_site);
        }
        return text;
    }
    [[nodiscard]] std::string wait_text(const simulation::event& e) const {
        const char* const what = detail::describe(e.kind);
        if (e.object == simulation::nobody) return what;
        return fmt::format("{} {}", what, e.kind == lowlevel::wait_kind::join ? name_of(e.object) : sim_.objects[e.object]);
    }
    [[nodiscard]] std::string event_text(const simulation::event& e) const {
        using enum simulation::step;
        const auto calls = fmt::format("after {} call{}", e.after, e.after == 1 ? "" : "s");
        switch (e.what) {
            case interrupted: return fmt::format("{} is interrupted {}", subject(e.who), calls);
            case yielded: return fmt::format("{} yields {}", subject(e.who), calls);
            case ended: return fmt::format("{} ends {}", subject(e.who), calls);
            case waits: return fmt::format("{} waits for {}, {}", subject(e.who), wait_text(e), calls);
            case time: return fmt::format("all wait: the clock moves on to {} s", static_cast<double>(e.at_ns) / 1e9);
        }
        return "?";
    }
    [[nodiscard]] std::string trace_text() const {
        constexpr std::size_t most = 400;
        const auto skip = sim_.trace.size() > most ? sim_.trace.size() - most : 0;
        std::string text = cast_text();
        text += skip ? fmt::format("\n  switches, the last {}:", most) : "\n  switches:";
        for (auto at = skip; at < sim_.trace.size(); ++at) text += fmt::format("\n  {:>5}  {}", at + 1, event_text(sim_.trace[at]));
        return text;
    }

    const explore_options& o_;
    simulation& sim_;
    bool (*const program_)(void*);
    void* const data_;
    const std::source_location where_;
    outcome outcome_;
    bool cleaning_ = false;
    explore_report report_;
};

}  // namespace

const char* to_string(failure what) noexcept {
    switch (what) {
        case failure::none: return "nothing failed";
        case failure::threw: return "an exception";
        case failure::said_no: return "the program returned false";
        case failure::deadlock: return "a deadlock: the program can never end";
        case failure::leak: return "a leak: the program has ended, and tasklets are left that can never go on";
        case failure::too_long: return "more steps than steps_max: a livelock, or a long program";
        case failure::not_deterministic: return "the program went another way under the same schedule";
    }
    return "?";
}

void check(bool condition, const char* what, std::source_location where) {
    if (!condition) throw error(fmt::format("{}:{}: this must hold: {}", where.file_name(), where.line(), what));
}

std::uint64_t random() noexcept {
    detail::worker* w = detail::worker::current();
    if (w && w->home.options.world) return w->home.options.world->random();
    static detail::atomic<std::uint64_t> state{0};
    return next_random(state);
}

namespace {

void check(const explore_options& o) {
    constexpr unsigned deepest = 10'000;
    if (o.steps_max == 0) throw usage_error("explore_options::steps_max is 0: a schedule needs a step at least");
    if (o.schedules_max == 0) throw usage_error("explore_options::schedules_max is 0: nothing would be run");
    if (o.depth > deepest) throw usage_error(fmt::format("explore_options::depth is {}: give {} at most", o.depth, deepest));
    if (o.strategy > schedules::exhaustive) throw usage_error("explore_options::strategy is none of testing::schedules");
}

// What an exploration happens in.
struct stage {
    stage(const explore_options& o, bool (*program)(void*), void* data, std::source_location where)
        : all(o, sim, program, data, where),
          rt({.workers = 1,
              .stack_bytes = o.stack_bytes,
              .spawn_backlog = 0,
              .on_unhandled = [this](const std::exception_ptr& error, const tasklet_info&) { all.unhandled(error); },
              .world = &sim}) {}
    simulation sim;
    explorer all;
    runtime rt;
};

// The frames of abandoned tasklets, and all that they refer to, stay.
void keep_for_ever(std::unique_ptr<stage> one) {
    static auto& kept = *new std::vector<std::unique_ptr<stage>>;
    static std::mutex lock;
    const std::lock_guard hold(lock);
    kept.push_back(std::move(one));
}

}  // namespace

explore_report explore_program(const explore_options& options, bool (*program)(void*), void* data,
                               std::source_location where) {
    if (detail::worker* w = detail::worker::current(); w && w->running)
        throw usage_error("testing::explore is for the test's own thread, not for a tasklet");
    check(options);
    auto own = std::make_unique<stage>(options, program, data, where);
    auto report = own->rt.spawn({.name = "explore", .stack_bytes = 1 << 20}, [&] { return own->all.explore(); }).join();
    if (own->sim.abandoned() != 0) keep_for_ever(std::move(own));
    if (!report.ok() && options.throws) {
        fmt::print(stderr, "{}\n", report.text);
        throw exploration_failed(std::move(report));
    }
    return report;
}

}  // namespace rondo::testing
