// Supervised and free actors under random tells, asks, kills, crashes, stops and restarts, each seed another program and
// another schedule, on one thread in virtual time: whatever fails prints its seed and a replay string, and does it again.
// RONDO_SEEDS=100000 for more of them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/rondo.hpp>

#include "actor_states.hpp"
#include "support/seeds.hpp"

using namespace std::chrono_literals;
using namespace actor_states;
using rondo::testing::check;
using support::one_in;
using support::seeds_or;
using support::up_to;

namespace {

// What has happened in one schedule. One thread, so no locks.
struct history {
    struct seat {
        int made = 0, gone = 0;
        bool was_stopped = false, was_killed = false, was_linked = false;
        std::vector<std::string> crashes;                 // what its handlers threw, or was injected
        std::map<int, int> last;                          // by sender: the number handled last
    };
    std::vector<seat> seats;
    long messages = 0;                                    // that exist
    long sent = 0, perhaps_sent = 0, handled = 0, dead = 0;
    std::map<std::pair<int, int>, int> times_handled;
    std::set<std::pair<int, int>> put_aside;              // once each
    std::map<std::uint64_t, std::vector<std::string>> downs;
    int chains = 0;                                       // handlers that have sent notes of their own
    rondo::mutex door;
    ends ended{};
};

struct note {                                             // counts itself
    history* h;
    int sender, number;
    unsigned what;
    note(history* to, int s, int n, unsigned w) : h(to), sender(s), number(n), what(w) { ++h->messages; }
    note(const note& other) : h(other.h), sender(other.sender), number(other.number), what(other.what) { ++h->messages; }
    note& operator=(const note&) = default;
    ~note() { --h->messages; }
};
struct tick {};
struct beat {};
std::chrono::milliseconds up_to_ms(unsigned n) { return std::chrono::milliseconds(up_to(n)); }
int answer_to(int sender, int number) { return sender * 1000 + number; }

template <bool IsReentrant>
struct basic_clerk {
    static constexpr bool reentrant = IsReentrant;
    using team = std::vector<rondo::actor_ref<basic_clerk>>;
    history* h;
    std::size_t seat;
    rondo::channel<int> gate;
    const team* staff;                                    // complete before the first note
    std::vector<std::pair<rondo::reply<int>, int>> owed;
    bool has_every = false, has_idle_timeout = false, has_watch = false;

    basic_clerk(history* to, std::size_t s, rondo::channel<int> g, const team* all)
        : h(to), seat(s), gate(std::move(g)), staff(all) {
        if (one_in(4)) wait_in(constructing, h->ended, [] { rondo::sleep_for(up_to_ms(10)); });
        ++h->seats[seat].made;
    }
    basic_clerk(const basic_clerk&) = delete;
    ~basic_clerk() {
        if (!owed.empty()) ++h->ended[owing];
        if (has_every) ++h->ended[with_every];
        if (has_idle_timeout) ++h->ended[with_idle_timeout];
        if (has_watch) ++h->ended[with_watch];
        if (one_in(4)) linger(h->ended, up_to_ms(10));
        ++h->seats[seat].gone;
    }

    void on(rondo::started) {
        if (one_in(4)) wait_in(starting, h->ended, [] { rondo::sleep_for(up_to_ms(10)); });
    }
    void on(const note& n, rondo::reply<int> r) {
        auto& mine = h->seats[seat];
        const std::pair me(n.sender, n.number);
        const bool was_aside = h->put_aside.contains(me);
        if (!IsReentrant && n.what % 36 == 9 && !was_aside) {
            h->put_aside.insert(me);
            return rondo::this_actor::stash();            // with its asker
        }
        note_handling(n, was_aside);
        switch (n.what % 36) {
            case 0:
                mine.crashes.push_back("note " + std::to_string(answer_to(n.sender, n.number)));
                throw std::runtime_error(mine.crashes.back());
            case 1:
                mine.was_stopped = true;
                rondo::this_actor::stop();
                break;
            case 2: owed.emplace_back(std::move(r), answer_to(n.sender, n.number)); return;
            case 3: rondo::yield(); break;
            case 4: wait_in(sleeping, h->ended, [] { rondo::sleep_for(up_to_ms(40)); }); break;
            case 5: rondo::this_actor::after(up_to_ms(40), tick{}); break;
            case 6: throw rondo::refused("not today");
            case 7: wait_in(on_channel, h->ended, [&] { (void)gate.receive_for(50ms); }); break;
            case 8: on(tick{}); break;
            default: wait_or_begin(n.what % 36);
        }
        r.send(answer_to(n.sender, n.number));
    }
    void on(tick) {
        for (auto& [r, value] : owed) r.send(value);
        owed.clear();
        rondo::this_actor::unstash();
    }
    void on(beat) {}
    void on(rondo::idle) {}
    void on(const rondo::down&) { has_watch = false; }

private:
    void note_handling(const note& n, bool was_aside) {
        auto& mine = h->seats[seat];
        ++h->handled;
        check(++h->times_handled[{n.sender, n.number}] == 1, "no message is handled twice");
        auto [last, is_first] = mine.last.try_emplace(n.sender, n.number);
        check(is_first || was_aside || last->second < n.number, "messages of one sender come in order");
        last->second = std::max(last->second, n.number);
        check(mine.made == mine.gone + 1, "a handler has its object");
    }
    const rondo::actor_ref<basic_clerk>& next_door() const { return (*staff)[(seat + 1) % staff->size()]; }
    // The first of a sender's own. Each handler is one, so that the order says something.
    note first_of_chain() { return {h, 1000 + ++h->chains, 0, up_to(1200)}; }

    // Each for a while only: then all go on who wait for each other in a circle.
    void wait_or_begin(unsigned which) {
        if (staff->size() == 1) return;                   // its own neighbour
        switch (which) {
            case 10: return wait_in(asking, h->ended, [&] { ask_next_door(); });
            case 11:
            case 12: return wait_in(telling, h->ended, [&] { tell_next_door(); });
            case 13:
            case 14:
                return wait_in(locking, h->ended, [&] {
                    const std::lock_guard hold(h->door);
                    rondo::sleep_for(up_to_ms(10));
                });
            case 15:
                return wait_in(selecting, h->ended, [&] {
                    rondo::select(rondo::from(gate, [](int) {}), rondo::joined(next_door(), [](const auto&) {}),
                                  rondo::after(50ms, [] {}));
                });
            case 16:
                return wait_in(joining_actor, h->ended, [&] { (void)rondo::within(50ms, [&] { next_door().join(); }); });
            case 17:
                return wait_in(joining_tasklet, h->ended,
                               [] { rondo::spawn([d = up_to_ms(20)] { rondo::sleep_for(d); }).join(); });
            case 18: return behave();
            case 19:
                if (!has_watch) rondo::watch(next_door());
                has_watch = true;
                return;
            case 20: return begin_timers();
            default: return;
        }
    }
    void ask_next_door() {
        ++h->perhaps_sent;
        try {
            const auto n = first_of_chain();
            const auto answer = rondo::within(50ms, [&] { return next_door().ask(n); });
            check(!answer || *answer == answer_to(n.sender, n.number), "an answer is that to the question");
        } catch (const std::exception&) {}                // its neighbour's affair
    }
    void tell_next_door() {
        auto n = first_of_chain();
        for (; n.number < 4; ++n.number) {
            ++h->perhaps_sent;
            (void)rondo::within(20ms, [&] { next_door().tell(n); });
        }
    }
    // For one message.
    void behave() {
        rondo::this_actor::become([this](const note& n) {
            note_handling(n, h->put_aside.contains({n.sender, n.number}));
            wait_in(behaving, h->ended, [] { rondo::sleep_for(up_to_ms(20)); });
            rondo::this_actor::become();
            return answer_to(n.sender, n.number);
        });
    }
    void begin_timers() {
        if (!has_every) rondo::this_actor::every(100ms + up_to_ms(100), beat{});
        has_every = true;
        rondo::this_actor::idle_timeout(50ms + up_to_ms(100));
        has_idle_timeout = true;
    }
};

using clerk = basic_clerk<false>;
using reentrant_clerk = basic_clerk<true>;

struct look {
    rondo::detail::any_actor at;
};
struct witness {                                          // watches, so that no crash is unseen
    history* h;
    void on(const look& l) { rondo::watch(l.at); }
    void on(const rondo::down& d) { h->downs[d.id].push_back(d.why.text()); }
};

// In all schedules together: so that nobody believes a test in which nothing happens.
struct totals {
    long handled = 0, dead = 0, answered = 0, refused = 0, lost = 0, crashed = 0, restarts = 0;
    std::map<rondo::exit_kind, long> ends;
    std::array<long, states> in_state{};
};

template <class Clerk>
class office {
public:
    explicit office(totals& t) : totals_(t) {}

    void open() {
        rondo::observe_dead_letters([this](const rondo::dead_letter& d) {
            if (d.message.ends_with("note")) ++h_.dead;
        });
        witness_ = rondo::start<witness>(&h_);
        children_ = 1 + up_to(4);
        const std::size_t all = children_ + up_to(3);
        h_.seats.resize(all);
        std::vector<rondo::child_spec> specs;
        for (std::size_t i = 0; i < children_; ++i)
            specs.push_back(rondo::child<Clerk>(
                rondo::child_options{.name = std::to_string(i),
                                     .when = one_in(8) ? rondo::restart_when::never : static_cast<rondo::restart_when>(up_to(2)),
                                     .keep_messages = one_in(2),
                                     .shutdown = std::chrono::milliseconds(up_to(20)),
                                     .mailbox_slots = 1 + up_to(4),
                                     .full = static_cast<rondo::when_full>(up_to(3))},
                &h_, i, gate_, &staff_));
        boss_ = rondo::supervise({.strategy = static_cast<rondo::restart>(up_to(3)),
                                  .max_restarts = one_in(4) ? 2u : 1000u,
                                  .within = 1h,
                                  .backoff = std::chrono::milliseconds(up_to(3))},
                                 std::move(specs));
        for (std::size_t i = 0; i < children_; ++i) staff_.push_back(boss_.ref<Clerk>(std::to_string(i)));
        for (std::size_t i = children_; i < all; ++i)
            staff_.push_back(
                rondo::start<Clerk>(rondo::actor_options{.mailbox_slots = 1 + up_to(4)}, &h_, i, gate_, &staff_));
        witness_.ask(look{boss_});
        for (const auto& a : staff_) witness_.ask(look{a});
        if (all >= children_ + 2) {                       // two free ones, for better or worse
            rondo::link(staff_[children_], staff_[children_ + 1]);
            h_.seats[children_].was_linked = h_.seats[children_ + 1].was_linked = true;
        }
    }

    void work() {
        rondo::scope([&](rondo::group& g) {
            const int senders = 1 + static_cast<int>(up_to(5));
            for (int s = 0; s < senders; ++s)
                g.spawn([this, s] {
                    const int n = 1 + static_cast<int>(up_to(12));
                    for (int i = 0; i < n; ++i) send_one(s, i);
                });
            g.spawn([this] {
                for (unsigned i = up_to(16); i > 0; --i) disturb();
            });
        });
    }

    void close() {
        // Those who owe answers, or stand at the gate, end too; so every asker is through by now, and boss can end them.
        boss_.stop();
        const auto end_of_boss = boss_.join();
        using enum rondo::exit_kind;
        check(end_of_boss.kind == stopped || end_of_boss.kind == gave_up, "a supervisor is stopped, or gives up");
        for (std::size_t i = children_; i < staff_.size(); ++i) staff_[i].stop();
        for (std::size_t i = 0; i < staff_.size(); ++i) check_end(i, staff_[i].join());
        for (const auto& a : staff_) see_down(a, a.join());
        see_down(boss_, end_of_boss);
        check(h_.messages == 0, "every message is destroyed");
        check(h_.handled + h_.dead >= h_.sent && h_.handled + h_.dead <= h_.sent + h_.perhaps_sent,
              "each message that was sent is handled, or a dead letter");
        for (const auto& s : h_.seats) check(s.made == s.gone && s.made >= 1, "every object is destroyed");
        rondo::observe_dead_letters({});

        totals_.handled += h_.handled;
        totals_.dead += h_.dead;
        ++totals_.ends[end_of_boss.kind];
        for (const auto& a : staff_) ++totals_.ends[a.join().kind];
        for (const auto& s : h_.seats) totals_.restarts += s.made - 1;
        for (unsigned s = 0; s < states; ++s) totals_.in_state[s] += h_.ended[s];
    }

private:
    void send_one(int sender, int number) {
        const auto& to = staff_[up_to(static_cast<unsigned>(staff_.size()))];
        note n(&h_, sender, number, up_to(1200));
        try {
            switch (up_to(4)) {
                case 0: (to.try_tell(n) ? h_.sent : h_.perhaps_sent) += 1; break;
                case 1:
                    to.tell(n);
                    ++h_.sent;
                    break;
                case 2: {
                    ++h_.perhaps_sent;
                    const auto answer = to.ask_for(n, std::chrono::milliseconds(up_to(30)));
                    check(!answer || *answer == answer_to(sender, number), "an answer is that to the question");
                    break;
                }
                default:
                    ++h_.sent;
                    asked(to, n);
            }
        } catch (const rondo::refused&) {
            ++totals_.refused;
        } catch (const rondo::actor_ended&) {
            ++totals_.lost;
        } catch (const rondo::no_answer&) {
            ++totals_.lost;
        } catch (const std::runtime_error& e) {           // its own crash, or a mailbox that dropped it
            ++totals_.crashed;
            const std::string_view text = e.what();
            check(text == "note " + std::to_string(answer_to(sender, number)) || text.find("mailbox of") != text.npos ||
                      text == "injected",
                  e.what());
        }
    }
    // Whoever is owed an answer is let go in the end: by a tick, by the next life, or by a kill.
    void asked(const rondo::actor_ref<Clerk>& to, const note& n) {
        auto helper = rondo::spawn([to] {
            rondo::sleep_for(1s);
            while (!to.has_ended() && to.try_tell(tick{}) == rondo::send_status::full) rondo::sleep_for(1s);
        });
        check(to.ask(n) == answer_to(n.sender, n.number), "an answer is that to the question");
        ++totals_.answered;
    }
    void disturb() {
        const auto i = up_to(static_cast<unsigned>(staff_.size()));
        auto& s = h_.seats[i];
        switch (up_to(6)) {
            case 0:
                s.was_killed = true;
                staff_[i].kill();
                break;
            case 1:
                s.was_stopped = true;
                staff_[i].stop();
                break;
            case 2:
                s.crashes.emplace_back("injected");
                rondo::testing::crash(staff_[i], std::runtime_error("injected"));
                break;
            case 3: (void)gate_.try_send(1); break;
            case 4: rondo::sleep_for(std::chrono::milliseconds(up_to(20))); break;
            default: (void)boss_.has_ended(); rondo::yield();
        }
    }
    void check_end(std::size_t i, const rondo::exit_reason& why) {
        const auto& s = h_.seats[i];
        const bool supervised = i < children_;
        switch (why.kind) {
            using enum rondo::exit_kind;
            case stopped: break;                          // by itself, by us, by close()
            case shutdown: check(supervised, "only supervised actors are shut down"); break;
            case killed: check(s.was_killed || supervised, "killed by whom?"); break;
            case crashed: {
                const auto text = why.text();
                check(std::any_of(s.crashes.begin(), s.crashes.end(), [&](auto& c) { return text == "crashed: " + c; }),
                      "a crash is told with its error");
                break;
            }
            case linked: check(s.was_linked, "linked with whom?"); break;
            case unreferenced: check(false, "we still have a handle"); break;
            case gave_up: check(false, "a clerk is no supervisor"); break;
        }
        if (supervised && why.kind == rondo::exit_kind::stopped) check(s.was_stopped, "stopped by whom?");
    }
    void see_down(const rondo::detail::any_actor& who, const rondo::exit_reason& why) {
        for (int i = 0; i < 1000 && h_.downs[who.id()].empty(); ++i) rondo::sleep_for(1ms);
        const auto& told = h_.downs[who.id()];
        check(told.size() == 1 && told[0] == why.text(), "who watches is told once, and why");
    }

    totals& totals_;
    history h_;
    rondo::channel<int> gate_;
    std::size_t children_ = 0;
    rondo::supervisor boss_;
    std::vector<rondo::actor_ref<Clerk>> staff_;
    rondo::actor_ref<witness> witness_;
};

template <class Clerk>
void in_every_schedule() {
    totals all;
    const auto report = rondo::testing::explore({.seeds = seeds_or(10'000)}, [&] {
        office<Clerk> o(all);
        o.open();
        o.work();
        o.close();
    });
    CHECK(report.ok());
    fmt::print("{} schedules, {} steps: {} messages handled, {} dead letters, {} restarts; asks: {} answered, {} refused, "
               "{} of the dead, {} crashes\n",
               report.schedules, report.steps, all.handled, all.dead, all.restarts, all.answered, all.refused, all.lost,
               all.crashed);
    CHECK(report.schedules > seeds_or(10'000));
    using enum rondo::exit_kind;
    for (const auto kind : {stopped, shutdown, killed, crashed, linked, gave_up}) {
        INFO(rondo::to_string(kind));
        CHECK(all.ends[kind] > 0);
    }
    const auto schedules = static_cast<long>(report.schedules);
    for (unsigned s = 0; s < states; ++s) {
        INFO("killed " << state_names[s]);
        CHECK(all.in_state[s] >= schedules / 1000);
    }
    CHECK(all.handled > 3 * schedules);
    CHECK(all.restarts > schedules / 2);
    CHECK(std::min({all.dead, all.answered, all.refused, all.lost, all.crashed}) > schedules / 10);
}

}  // namespace

TEST_CASE("actors in every schedule: each message once and in order, each asker told, each end with its reason", "[actor]") {
    in_every_schedule<clerk>();
}

TEST_CASE("reentrant actors in every schedule: the same", "[actor][reentrant]") { in_every_schedule<reentrant_clerk>(); }
