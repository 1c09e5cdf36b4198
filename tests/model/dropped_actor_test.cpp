// The end of an actor to which nobody refers any more, on the real mailbox under the model's atomics: however the last handle,
// system messages and the end of the runtime meet, everything is handled, the actor ends once, and its memory is freed once.
//
// What actor_{cell,life,system}.cpp do around the mailbox (activate(), end(), drop_ref(), drop_weak(), strike_off()) is
// repeated here in small. Whoever changes the one must change the other.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <mutex>
#include <utility>

#include <rondo/detail/mailbox.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

using namespace rondo::detail;
namespace model = rondo::model;

namespace {

struct alignas(64) message {
    model::plain<message*> next{nullptr};
    model::plain<bool> spent{false};
    int handled = 0;
    [[nodiscard]] bool is_spent() const noexcept { return spent; }
};
using box = mailbox<message>;

struct cell {
    box mail{0};
    atomic<std::uint32_t> strong, weak;
    atomic<std::uint8_t> orders{0};
    atomic<int> extra{0};
    rondo::lowlevel::spin_lock shard;                 // outlives it
    model::plain<int> memory{0};                      // who touches it reads this, who frees it writes it
    model::plain<int> is_listed{1};                   // under `shard`
    int freed = 0, ended = 0, messages = 0, systems = 0;
    std::array<message, 2> told;
    message system;

    explicit cell(std::uint32_t handles = 1, std::uint32_t others = 0) : strong(handles), weak(2 + others) {}

    void touch() { model::check(memory == 0, "it is not used after it has been freed"); }
    void free_memory() {
        memory = 1;
        model::check(++freed == 1, "memory is freed once");
    }
    bool has_one_weak() {
        touch();
        return weak.load(acquire) == 1;
    }
    void drop_weak() {
        if (has_one_weak() || weak.fetch_sub(1, acq_rel) == 1) free_memory();
    }
    void drop_ref() {
        touch();
        if (strong.fetch_sub(1, acq_rel) != 1) return;
        bool late = false;
        if (mail.nudge(&late)) activate();
        drop_weak();
    }
    void tell(unsigned n) {
        touch();
        if (mail.push(&told[n]) == box::pushed::scheduled) activate();
    }
    void post_system() {
        touch();
        bool late = false;
        if (mail.signal(&system, &late)) return activate();
        if (late) take_system();
    }

    static void keep(message*) {}
    int take_system() {
        int n = 0;
        for (message* m = mail.take_system(); m; ++n) {
            model::check(++m->handled == 1, "no system message is handled twice");
            m = m->next;
        }
        return n;
    }
    bool is_only_dropped() {
        return strong.load(acquire) == 0 && !mail.has_system() && orders.load(relaxed) == 0;
    }
    bool look_round() {
        mail.see_signal();
        const auto o = orders.load(acquire);
        systems += take_system();
        if (o) end();
        return !o;
    }
    void empty() {
        while (message* m = mail.take(keep)) {
            ++m->handled;
            m->spent = true;
        }
        mail.forget_kept(keep);
        take_system();
    }
    bool strike_off(bool only_if_last) {
        std::lock_guard hold(shard);
        const bool is_last = has_one_weak();
        if (is_last || !only_if_last) is_listed = 0;
        return is_last;
    }
    void end() {
        ++ended;
        if (!extra.load(acquire) && has_one_weak() && strike_off(true)) {
            empty();
            return free_memory();
        }
        mail.close();
        int none = 0;
        extra.compare_exchange_strong(none, 1, acq_rel, acquire);
        empty();
        if (strike_off(false)) free_memory();
        else drop_weak();
    }
    void activate() {
        for (bool looked_again = false;;) {
            bool nobody_tells = false;
            if (mail.is_urgent()) {
                while (!(nobody_tells = is_only_dropped())) {
                    if (!look_round()) return;
                    if (!mail.is_urgent()) break;
                }
            }
            if (message* m = mail.take(keep)) {
                model::check(++m->handled == 1, "no message is handled twice");
                ++messages;
                m->spent = true;
                looked_again = false;
                continue;
            }
            if (nobody_tells) return end();
            if (mail.is_signalled() && !is_only_dropped()) {
                if (!look_round()) return;
                continue;
            }
            if (strong.load(acquire) == 0) {
                if (!std::exchange(looked_again, true)) continue;
                return end();
            }
            if (mail.rest(keep)) return;
        }
    }
};

constexpr model::bounds within{.preemptions = 3, .stale_reads = 2};

}  // namespace

TEST_CASE("an actor whose two handles tell and go ends after both messages", "[mailbox]") {
    const auto seen = model::explore(within, [] {
        cell c(2);
        model::threads({[&] {
                            c.tell(0);
                            c.drop_ref();
                        },
                        [&] {
                            c.tell(1);
                            c.drop_ref();
                        }});
        model::check(c.freed == 1 && c.ended == 1 && c.messages == 2, "handled, ended and freed");
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("a system message that comes while the last handle goes is handled or given back", "[mailbox]") {
    const auto seen = model::explore(within, [] {
        cell c(1, 1);
        model::threads({[&] {
                            c.tell(0);
                            c.drop_ref();
                        },
                        [&] {
                            c.post_system();
                            c.drop_weak();
                        }});
        model::check(c.freed == 1 && c.ended == 1 && c.messages == 1 && c.system.handled == 1, "handled, ended and freed");
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("a system message before the same handle goes is handled by the living actor", "[mailbox]") {
    const auto seen = model::explore(within, [] {
        cell c(2);
        model::threads({[&] {
                            c.post_system();
                            c.drop_ref();
                        },
                        [&] {
                            c.tell(0);
                            c.drop_ref();
                        }});
        model::check(c.freed == 1 && c.ended == 1 && c.messages == 1 && c.systems == 1, "handled, ended and freed");
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("the runtime may end while the last handle goes", "[mailbox]") {
    const auto seen = model::explore(within, [] {
        cell c;
        model::threads({[&] {
                            c.tell(0);
                            c.drop_ref();
                        },
                        [&] {                         // actor_system::end(), for one that is in the list yet
                            bool is_there, runs = false;
                            {
                                std::lock_guard hold(c.shard);
                                if ((is_there = c.is_listed != 0)) {
                                    c.touch();
                                    c.orders.fetch_or(1, release);
                                    bool late = false;
                                    runs = c.mail.nudge(&late);
                                    c.weak.fetch_add(1, relaxed);
                                }
                            }
                            if (runs) c.activate();
                            if (is_there) c.drop_weak();
                        }});
        model::check(c.freed == 1 && c.ended == 1, "ended and freed");
    });
    INFO(seen);
    CHECK(seen);
}
