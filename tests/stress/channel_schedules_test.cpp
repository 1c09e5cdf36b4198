// Channels under random sends, receives, selects, tries, limits, stops, closes and dropped handles, each seed another
// program and another schedule, on one thread in virtual time. In the end everything is known about every value, and is
// checked: received once or still its sender's, who was told so, and in order.
//
// Whatever fails prints its seed and a replay string. RONDO_SEEDS=100000 for more of them, RONDO_REPLAY='...' for that
// schedule again: RONDO_REPLAY='4/2:1' stress_tests "the name of the test".
#include <catch2/catch.hpp>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/sanitized.hpp"
#include "support/seeds.hpp"

using namespace std::chrono_literals;
using rondo::testing::check;
using support::one_in;
using support::seeds_or;
using support::up_to;

namespace {

constexpr long never = LONG_MAX;

// What is known about one value. Times are those of history::clock; a call lasts from its first to its second.
struct record {
    std::size_t lane = 0;
    bool sent = false;                                    // says its sender
    int received = 0;                                     // so often
    long send_begins = never, send_ends = never, receive_begins = never, receive_ends = never;
};
struct history {                                          // of one schedule; one thread, so no locks
    long clock = 0;
    long parcels = 0;                                     // that exist
    std::vector<record> values;
};

class parcel {                                            // move-only; a moved-from one holds nothing
public:
    parcel(history& h, std::size_t number) : h_(&h), number_(number) { ++h_->parcels; }
    parcel(parcel&& other) noexcept : h_(std::exchange(other.h_, nullptr)), number_(other.number_) {}
    parcel& operator=(parcel&& other) noexcept {
        std::swap(h_, other.h_);
        std::swap(number_, other.number_);
        return *this;
    }
    ~parcel() {
        if (h_) --h_->parcels;
    }
    [[nodiscard]] bool holds(std::size_t number) const noexcept { return h_ && number_ == number; }
    [[nodiscard]] std::size_t number() const {
        check(h_, "what is received holds something");
        return number_;
    }

private:
    history* h_;
    std::size_t number_;
};
struct broken_parcel : std::runtime_error {               // sent in a value's place
    explicit broken_parcel(std::size_t n) : std::runtime_error("broken parcel"), number(n) {}
    std::size_t number;
};
using line = rondo::channel<parcel>;

struct lane {
    std::optional<line> handle;                           // the last one, if it may be dropped
    std::size_t slots = 0;
    bool may_be_dropped = false, is_dropped = false;
    long closed_at = never;
    std::size_t lost = 0;                                 // lay in its slots when it was dropped
    std::ptrdiff_t senders = 0, receivers = 0;            // clauses inside a call

    [[nodiscard]] bool is_closed() const { return closed_at != never; }
};

// In all schedules together: so that nobody believes a test in which nothing happens.
struct totals {
    long sent = 0, received = 0, errors = 0, kept = 0, timed_out = 0, closed = 0, stopped = 0, tries_failed = 0, otherwise = 0,
         selected_sends = 0, selected_receives = 0, closings = 0, drops = 0, lost = 0, waited_at_close = 0,
         waited_at_drop = 0;
};

class traffic : public std::enable_shared_from_this<traffic> {
public:
    traffic(totals& t, bool spin) : totals_(t), spin_(spin) {}

    void run() {
        open();
        for (unsigned n = up_to(8); n > 0; --n) disturb();
        stand_still();
        for (auto& l : lanes_)
            if (!l.is_closed() && !(l.may_be_dropped && drop(l))) close(l);
        stand_still();
        for (const auto& p : players_) check(p->has_ended, "whoever waits on a channel that is closed goes on");
        drain();
        audit();
    }

private:
    struct player {
        unsigned sends_in_8 = 0;                          // of its calls
        std::vector<std::optional<line>> handles;         // of its own: to lanes that are not dropped
        rondo::tasklet<void> task;
        std::vector<const lane*> waits_on;                // one lane, or those of a select
        bool was_stopped = false, has_ended = false, is_joined = false;
    };
    // A clause of a call.
    class inside {
    public:
        inside(player& who, lane& l, std::ptrdiff_t lane::*side) : who_(who), n_(l.*side) {
            who_.waits_on.push_back(&l);
            ++n_;
        }
        ~inside() {
            who_.waits_on.pop_back();
            --n_;
        }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;

    private:
        player& who_;
        std::ptrdiff_t& n_;
    };
    // The clock stands still while anybody is ready: so whoever has a limit goes on at that time or before.
    class limit {
    public:
        limit() : for_(std::chrono::milliseconds(up_to(8))), until_(rondo::now() + for_) {}
        [[nodiscard]] std::chrono::milliseconds d() const { return for_; }
        [[nodiscard]] rondo::lowlevel::time_point until() const { return until_; }
        void ended(bool timed_out) const {
            check(rondo::now() <= until_, "a limit ends the call in time");
            check(!timed_out || rondo::now() == until_, "no limit ends a call before its time");
        }

    private:
        std::chrono::milliseconds for_;
        rondo::lowlevel::time_point until_;
    };

    // ---- the program

    void open() {
        lanes_.resize(1 + up_to(3));
        for (auto& l : lanes_) {
            l.may_be_dropped = one_in(4);
            make(l);
        }
        const std::size_t senders = 1 + up_to(6), receivers = 1 + up_to(6), both = up_to(4);
        for (std::size_t i = 0; i < senders + receivers + both; ++i) {
            auto& me = *players_.emplace_back(std::make_unique<player>());
            me.sends_in_8 = i < senders ? 7 : i < senders + receivers ? 1 : 4;
            for (const auto& l : lanes_) me.handles.push_back(l.may_be_dropped ? std::nullopt : l.handle);
            // Who fails leaves others behind: they must not outlive what they look at.
            me.task = rondo::spawn([self = shared_from_this(), &me] { self->play(me); });
        }
    }
    void make(lane& l) {
        constexpr std::size_t slots[] = {0, 0, 1, 2, 7, SIZE_MAX};
        l.slots = slots[up_to(std::size(slots))];
        const auto who = static_cast<rondo::handoff>(up_to(3));
        if (l.slots == SIZE_MAX) l.handle.emplace(rondo::unbounded);
        else if (spin_) l.handle.emplace(rondo::spin_locked, l.slots, l.slots ? rondo::handoff::none : who);
        else if (l.slots == 0) l.handle.emplace(who);
        else l.handle.emplace(l.slots);
    }
    void play(player& me) {
        struct at_end {
            bool& has_ended;
            ~at_end() { has_ended = true; }
        } ends{me.has_ended};
        try {
            for (unsigned n = 1 + up_to(16); n > 0; --n) {
                if (up_to(8) < me.sends_in_8) send_somehow(me);
                else receive_somehow(me);
                if (one_in(6)) rondo::yield();
                if (one_in(8)) rondo::sleep_for(std::chrono::milliseconds(up_to(8)));
            }
        } catch (const rondo::stopped&) {
            check(me.was_stopped, "nobody else is stopped");
            ++totals_.stopped;
            stop_again(me);
            throw;
        }
    }
    void stop_again(player& me) {                         // also where it could go ahead at once
        const auto a = up_to(lanes_.size());
        const line* c = handle(me, a);
        if (!c) return;
        try {
            if (one_in(2)) (void)receiving(me, a, [&](long) { (void)c->next(); });
            else c->send(parcel(h_, begin(a)));
        } catch (const rondo::stopped&) {
            return;
        }
        check(false, "a stop is sticky");
    }
    void disturb() {
        auto& l = lanes_[up_to(lanes_.size())];
        switch (up_to(12)) {
            case 0: close(l); break;
            case 1:
            case 2: {
                auto& p = *players_[up_to(players_.size())];
                p.was_stopped = true;
                p.task.stop();
                break;
            }
            case 3:
                if (l.may_be_dropped && !l.is_dropped) (void)drop(l);
                break;
            case 4:
            case 5: rondo::yield(); break;
            default: rondo::sleep_for(std::chrono::milliseconds(up_to(8)));
        }
    }
    void close(lane& l) {
        if (l.is_dropped) return;
        totals_.closings += !l.is_closed();
        totals_.waited_at_close += l.senders + l.receivers;
        if (!l.is_closed()) l.closed_at = ++h_.clock;
        l.handle->close();
        check(l.handle->is_closed(), "a channel that was closed is closed");
    }
    // The last handle goes while others wait; not while somebody is on his way into a call: he needs it. (For one that is
    // closed already this asks too much: a select may have done with it.)
    bool drop(lane& l) {
        if (l.senders + l.receivers != std::abs(l.handle->balance())) return false;
        ++totals_.drops;
        totals_.waited_at_drop += l.senders + l.receivers;
        if (!l.is_closed()) l.closed_at = ++h_.clock;
        l.is_dropped = true;
        l.lost = l.handle->size();
        l.handle.reset();
        return true;
    }

    // ---- calls

    const line* handle(const player& me, std::size_t at) const {
        const auto& l = lanes_[at];
        const auto& h = l.may_be_dropped ? l.handle : me.handles[at];
        return h ? &*h : nullptr;
    }
    std::size_t begin(std::size_t at) {
        h_.values.push_back({.lane = at, .send_begins = ++h_.clock});
        return h_.values.size() - 1;
    }
    void sent(std::size_t number, std::size_t at) {
        auto& r = h_.values[number];
        check(!r.sent, "a value is sent once");
        r.lane = at;
        r.sent = true;
        r.send_ends = ++h_.clock;
        ++totals_.sent;
    }
    void kept(const parcel& p, std::size_t number) {
        check(p.holds(number), "a variable that was not sent keeps its value");
        ++totals_.kept;
    }
    void received(std::size_t number, std::size_t at, long since) {
        auto& r = h_.values[number];
        ++r.received;
        check(r.received == 1, "no value is received twice");
        check(!r.sent || r.lane == at, "a value is received where it was sent");
        r.receive_begins = since;
        r.receive_ends = ++h_.clock;
        ++totals_.received;
    }
    void was_closed(std::size_t at) {
        const auto& l = lanes_[at];
        check(l.is_closed(), "only a closed channel says that it is closed");
        ++totals_.closed;
    }
    void has_been_emptied(std::size_t at) {               // what a receiver relies on
        was_closed(at);
        if (!lanes_[at].is_dropped) check(lanes_[at].handle->size() == 0, "a closed channel is received from until it is empty");
    }

    void send_somehow(player& me) {
        const auto a = up_to(lanes_.size());
        const line* c = handle(me, a);
        if (!c) return;
        auto& l = lanes_[a];
        if (up_to(9) >= 6) return send_by_select(me, a, *c);
        const auto number = begin(a);
        parcel p(h_, number);
        const inside in(me, l, &lane::senders);
        try {
            switch (up_to(6)) {
                case 0: {
                    const limit most;
                    const auto end = c->send_for(std::move(p), most.d());
                    if (end) sent(number, a);
                    else timed_out(most);
                    most.ended(!end);
                    break;
                }
                case 1: {
                    const limit most;
                    const bool end = rondo::within(most.d(), [&] { c->send(std::move(p)); });
                    if (end) sent(number, a);
                    else timed_out(most);
                    break;
                }
                case 2: try_send(*c, l, p, number, a); break;
                case 3:
                    c->send_error(std::make_exception_ptr(broken_parcel(number)));
                    sent(number, a);
                    break;
                default:
                    c->send(std::move(p));
                    sent(number, a);
            }
        } catch (const rondo::closed&) {
            was_closed(a);
        } catch (const rondo::stopped&) {
            kept(p, number);
            throw;
        }
        if (!h_.values[number].sent) kept(p, number);
    }
    void try_send(const line& c, lane& l, parcel& p, std::size_t number, std::size_t a) {
        const auto end = c.try_send(p);
        if (end) return sent(number, a);
        ++totals_.tries_failed;
        if (end == rondo::send_status::closed) return was_closed(a);
        check(end == rondo::send_status::full && !l.is_closed(), "a try that has failed says why");
        check(l.slots != SIZE_MAX && c.size() == l.slots, "a try to send finds the slot that is empty");
    }
    void timed_out(const limit& most) {
        most.ended(true);
        ++totals_.timed_out;
    }

    void receive_somehow(player& me) {
        const auto a = up_to(lanes_.size());
        const line* c = handle(me, a);
        if (!c) return;
        if (up_to(9) >= 6) return receive_by_select(me, a, *c);
        receiving(me, a, [&](long since) {
            const auto got = [&](parcel p) { received(p.number(), a, since); };
            switch (up_to(6)) {
                case 0: {
                    const limit most;
                    if (auto p = c->receive_for(most.d())) got(std::move(*p));
                    else timed_out(most);
                    most.ended(false);
                    break;
                }
                case 1: {
                    const limit most;
                    auto p = rondo::within(most.d(), [&] { return c->next(); });
                    most.ended(!p);
                    if (!p) timed_out(most);
                    else if (*p) got(std::move(**p));
                    else has_been_emptied(a);
                    break;
                }
                case 2:
                    if (auto p = c->try_receive()) {
                        got(std::move(*p));
                    } else {
                        ++totals_.tries_failed;
                        check(c->size() == 0, "a try to receive finds what lies there");
                    }
                    break;
                case 3: got(c->receive()); break;
                default:
                    if (auto p = c->next()) got(std::move(*p));
                    else has_been_emptied(a);
            }
        });
    }
    // f(when it begins). Errors are received, too.
    template <class F>
    void receiving(player& me, std::size_t a, F f) {
        const long since = ++h_.clock;
        const inside in(me, lanes_[a], &lane::receivers);
        try {
            f(since);
        } catch (const broken_parcel& e) {
            received(e.number, h_.values[e.number].lane, since);
            ++totals_.errors;
        } catch (const rondo::closed&) {
            has_been_emptied(a);
        }
    }

    // Two clauses and perhaps a third, that ends the wait.
    template <class F, class... Clauses>
    void select(F all_are_closed, Clauses&&... clauses) {
        const limit most;
        const auto select_it = [&](auto&&... more) {
            return one_in(3) ? rondo::select(rondo::in_order, std::move(clauses)..., std::move(more)...)
                             : rondo::select(std::move(clauses)..., std::move(more)...);
        };
        bool any = true;
        switch (up_to(5)) {
            case 0:
                any = select_it(rondo::after(most.d(), [&] { timed_out(most); }));
                most.ended(false);
                break;
            case 1: any = select_it(rondo::otherwise([&] { ++totals_.otherwise; })); break;
            case 2: {
                const auto end = rondo::within(most.d(), [&] { return select_it(); });
                if (!end) timed_out(most);
                any = end.value_or(true);
                break;
            }
            default: any = select_it();
        }
        if (!any) all_are_closed();
    }
    void send_by_select(player& me, std::size_t a, const line& c) {
        const auto b = up_to(lanes_.size());
        const line* d = handle(me, b);
        if (!d) return;
        const auto number = begin(a);
        parcel p(h_, number);
        const inside in_a(me, lanes_[a], &lane::senders);
        if (one_in(2) && b != a) return send_or_receive(me, p, number, a, c, b, *d);
        const inside in_b(me, lanes_[b], &lane::senders);
        const auto to = [&](const line& there, std::size_t at) {
            return rondo::to(there, p, [this, at, number] {
                sent(number, at);
                ++totals_.selected_sends;
            });
        };
        select(
            [&] {
                was_closed(a);
                was_closed(b);
            },
            to(c, a), to(*d, b));
        if (!h_.values[number].sent) kept(p, number);
    }
    void send_or_receive(player& me, parcel& p, std::size_t number, std::size_t a, const line& c, std::size_t b, const line& d) {
        receiving(me, b, [&](long since) {
            select(
                [&] {
                    was_closed(a);
                    has_been_emptied(b);
                },
                rondo::to(c, p,
                          [&] {
                              sent(number, a);
                              ++totals_.selected_sends;
                          }),
                rondo::from(d, [&](parcel q) {
                    received(q.number(), b, since);
                    ++totals_.selected_receives;
                }));
        });
        if (!h_.values[number].sent) kept(p, number);
    }
    void receive_by_select(player& me, std::size_t a, const line& c) {
        const auto b = up_to(lanes_.size());
        const line* d = handle(me, b);
        if (!d) return;
        const inside in_b(me, lanes_[b], &lane::receivers);
        receiving(me, a, [&](long since) {
            const auto from = [&](const line& there, std::size_t at) {
                return rondo::from(there, [this, at, since](parcel p) {
                    received(p.number(), at, since);
                    ++totals_.selected_receives;
                });
            };
            select(
                [&] {
                    has_been_emptied(a);
                    has_been_emptied(b);
                },
                from(c, a), from(*d, b));
        });
    }

    // ---- what must hold

    // Time goes on only when nobody can: afterwards all have ended, or wait for others.
    void stand_still() {
        rondo::sleep_for(1h);
        for (auto& p : players_) {
            if (!p->has_ended && !p->task.done()) {
                check(!p->was_stopped, "a stop ends every wait");
                check(std::any_of(p->waits_on.begin(), p->waits_on.end(), [](const lane* l) { return !l->is_closed(); }),
                      "who waits waits for something that can happen");
                continue;
            }
            if (std::exchange(p->is_joined, true)) continue;
            p->has_ended = true;                          // some never begin: they are stopped before
            try {
                p->task.join();                           // throws what failed there
            } catch (const rondo::stopped&) {
                check(p->was_stopped, "nobody else is stopped");
            }
        }
        for (const auto& l : lanes_) {
            if (l.is_closed()) {                          // selects may wait on for others
                check(l.is_dropped || l.handle->balance() == 0, "nobody waits on a channel that is closed");
                continue;
            }
            check(l.senders == 0 || l.receivers == 0, "a sender and a receiver that wait for each other meet");
            check(l.handle->balance() == l.senders - l.receivers, "the balance counts those who wait, and nobody else");
            check(l.receivers == 0 || l.handle->size() == 0, "nobody waits for a value while there is one");
            check(l.senders == 0 || l.handle->size() == l.slots, "nobody waits for a slot while there is one");
        }
    }
    void drain() {
        player nobody;
        for (std::size_t a = 0; a < lanes_.size(); ++a) {
            auto& l = lanes_[a];
            if (l.is_dropped) continue;
            while (l.handle->size() > 0)
                receiving(nobody, a, [&](long since) {
                    auto p = l.handle->try_receive();
                    check(p.has_value(), "a try to receive finds what lies there");
                    received(p->number(), a, since);
                });
            check(l.handle->balance() == 0, "nobody waits any more");
        }
    }
    void audit() {
        std::vector<std::vector<record>> by_lane(lanes_.size());
        for (const auto& r : h_.values) {
            check(r.received == 0 || r.sent, "what is received has been sent, says its sender");
            if (r.sent) by_lane[r.lane].push_back(r);
        }
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            const auto& l = lanes_[i];
            const auto& all = by_lane[i];
            const auto lost = std::count_if(all.begin(), all.end(), [](const record& r) { return r.received == 0; });
            check(static_cast<std::size_t>(lost) == l.lost, "what is sent is received, but for what lay in a channel that was dropped");
            totals_.lost += lost;
            for (const auto& a : all) {
                check(a.send_begins < l.closed_at, "nothing is sent after the close");
                std::size_t lies_there = 0;               // when a has been sent
                for (const auto& b : all) {
                    check(a.send_ends > b.send_begins || b.receive_ends > a.receive_begins || b.received == 0,
                          "what is sent first is received first");
                    lies_there += b.send_ends <= a.send_ends && b.receive_begins > a.send_ends;
                }
                check(lies_there <= l.slots, "a send without a slot ends once somebody receives");
            }
        }
        lanes_.clear();
        for (const auto& p : players_) p->handles.clear();
        check(h_.parcels == 0, "every value is destroyed");
    }

    totals& totals_;
    const bool spin_;
    history h_;
    std::vector<lane> lanes_;
    std::vector<std::unique_ptr<player>> players_;
};

rondo::testing::explore_report explore(bool spin, const rondo::testing::explore_options& options, totals& all) {
    return rondo::testing::explore(options, [&] { std::make_shared<traffic>(all, spin)->run(); });
}

rondo::testing::explore_report in_every_schedule(bool spin) {
    const unsigned seeds = seeds_or(spin && support::sanitized ? 1'000 : 10'000);
    const char* replay = std::getenv("RONDO_REPLAY");
    const auto cells_before = rondo::detail::cell_store::in_use();
    totals all;
    auto report = explore(spin, {.seeds = seeds, .replay = replay ? replay : ""}, all);
    CHECK(report.ok());
    fmt::print("{} schedules, {} steps: {} values sent, {} by select; {} received, {} of them errors, {} by select; {} kept, "
               "{} lost in {} drops; {} limits, {} failed tries, {} otherwise, {} stops; {} calls closed, {} waited for the "
               "{} closings, {} for a drop\n",
               report.schedules, report.steps, all.sent, all.selected_sends, all.received, all.errors,
               all.selected_receives, all.kept, all.lost, all.drops, all.timed_out, all.tries_failed, all.otherwise,
               all.stopped, all.closed, all.waited_at_close, all.closings, all.waited_at_drop);
    CHECK(rondo::detail::cell_store::in_use() == cells_before);
    if (replay || seeds < 1'000) return report;           // too few to say how much happens
    CHECK(report.schedules > seeds);
    const auto schedules = static_cast<long>(report.schedules);
    CHECK(all.sent > 8 * schedules);
    CHECK(std::min({all.selected_sends, all.selected_receives, all.kept, all.timed_out, all.tries_failed, all.closings,
                    all.closed, all.waited_at_close}) > schedules);
    CHECK(std::min({all.errors, all.otherwise, all.stopped, all.drops, all.waited_at_drop, all.lost}) > schedules / 10);
    return report;
}

}  // namespace

TEST_CASE("channels in every schedule: each value once and in order, each sender told, nobody left waiting", "[channel]") {
    in_every_schedule(false);
}

// Nobody runs at the same time here: so both have to take the same steps in each of these schedules.
TEST_CASE("lock-free and spin-locked channels go the same way in every schedule", "[channel][spin]") {
    const auto spin = in_every_schedule(true);
    if (std::getenv("RONDO_REPLAY")) return;
    totals all;
    if (explore(false, {.seeds = spin.schedules - 1}, all).hash == spin.hash) return;
    for (std::uint64_t seed = 1; seed < spin.schedules; ++seed) {
        const rondo::testing::explore_options one{.seeds = 1, .seed = seed};
        INFO("explore({.seed = " << seed << "}, f)");
        REQUIRE(explore(false, one, all).hash == explore(true, one, all).hash);
    }
}
