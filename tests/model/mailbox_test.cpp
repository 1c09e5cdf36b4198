// The real mailbox of actors under the model's atomics: one runner at a time, each message handled once and in its
// sender's order, no wake-up, signal or waiting sender left behind, memory freed once.
//
// What actor_cell.cpp does around it (a runner's round, a sender that waits) is repeated here in small. Whoever changes
// the one must change the other.
#include "model_atomics.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <mutex>

#include <rondo/detail/mailbox.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

using namespace rondo::detail;
namespace model = rondo::model;
using rondo::lowlevel::spin_lock;

namespace {

struct alignas(64) message {
    model::plain<message*> next{nullptr};
    model::plain<int> payload{0};
    model::plain<bool> spent{false};
    int sender = 0, number = 0, handled = 0, freed = 0;
    [[nodiscard]] bool is_spent() const noexcept { return spent; }
};
using box = mailbox<message>;

struct table {
    box mail;
    std::array<std::array<message, 2>, 3> messages;
    std::array<int, 3> newest{-1, -1, -1};
    model::plain<int> runner{0};             // of whoever runs the actor: two at once are a race
    int handled = 0;
    message system;                          // the one signal of a test
    bool signal_seen = false;
    spin_lock lock;                          // of the list of waiting senders
    std::array<message*, 3> waiting{};
    unsigned waits = 0;
    std::array<atomic<int>, 3> admitted{0, 0, 0};    // by sender
    bool drops_oldest = false;               // then `lock` is that of I7
    int dropped = 0;

    explicit table(std::size_t slots, bool is_held = false) : mail(slots, is_held) {
        for (int s = 0; s < 3; ++s)
            for (int i = 0; i < 2; ++i) {
                auto& m = messages[static_cast<unsigned>(s)][static_cast<unsigned>(i)];
                m.sender = s;
                m.number = i;
            }
    }
    static void free(message* m) { model::check(++m->freed == 1, "memory is freed once"); }

    void handle(message& m) {
        runner = runner + 1;
        model::check(m.payload == 1, "the runner sees what was written before the push");
        model::check(++m.handled == 1, "no message is handled twice");
        int& before = newest[static_cast<unsigned>(m.sender)];
        model::check(before == -2 || m.number == before + 1, "one sender's messages are handled in order");
        before = m.number;
        ++handled;
        discard(m);
    }
    void discard(message& m) {               // actor_cell::discard()
        const auto alone = hold();
        m.spent = true;
        if (!mail.is_kept(&m)) free(&m);
    }
    std::unique_lock<spin_lock> hold() {     // actor_cell::hold_mailbox()
        return drops_oldest ? std::unique_lock(lock) : std::unique_lock<spin_lock>();
    }
    message* take() {
        const auto alone = hold();
        return mail.take(free);
    }
    bool rest() {
        const auto alone = hold();
        return mail.rest(free);
    }
    void make_room() {                       // actor_cell::make_room()
        message* m = nullptr;
        {
            const auto alone = hold();
            m = mail.take_if_full(free);
            if (m) ++dropped;
        }
        if (!m) return;
        model::check(m->payload == 1, "who drops it sees what was written before the push");
        model::check(++m->handled == 1, "no message is dropped that was handled, nor twice");
        discard(*m);
    }
    void admit() {                           // actor_cell::admit_waiting()
        std::array<message*, 3> in{};
        unsigned n = 0;
        lock.lock();
        while (waits > 0 && mail.has_room()) {
            message* m = waiting[0];
            waiting = {waiting[1], waiting[2], nullptr};
            --waits;
            (void)mail.push(m, true);
            in[n++] = m;
        }
        if (waits == 0) mail.end_waiting();
        lock.unlock();
        for (unsigned i = 0; i < n; ++i) admitted[static_cast<unsigned>(in[i]->sender)].store(1, release);
    }
    void run() {                             // actor_cell::activate()
        for (;;) {
            if (mail.is_urgent() || mail.is_signalled()) {
                mail.see_signal();
                if (mail.take_system()) signal_seen = true;
                runner = runner + 1;
            }
            if (message* m = take()) {
                if (mail.has_waiting()) admit();
                handle(*m);
                continue;
            }
            if (mail.has_waiting()) {
                admit();
                continue;
            }
            if (mail.is_signalled()) continue;
            if (rest()) return;
        }
    }
    void tell(int sender, unsigned number) {
        message& m = messages[static_cast<unsigned>(sender)][number];
        m.payload = 1;
        for (;;) {
            switch (mail.push(&m)) {
                case box::pushed::scheduled: return run();
                case box::pushed::queued: return;
                case box::pushed::closed: return;
                case box::pushed::full: break;
            }
            if (drops_oldest) {
                make_room();
                continue;
            }
            lock.lock();                     // actor_cell.cpp: wait_for_room()
            if (!mail.begin_waiting(waits == 0)) {
                lock.unlock();
                continue;
            }
            waiting[waits++] = &m;
            lock.unlock();
            admitted[static_cast<unsigned>(sender)].wait(0, acquire);
            return;
        }
    }
    void check_all(int told) {
        model::check(handled + dropped == told, "each message is handled, or dropped");
        model::check(mail.is_idle(), "the actor is idle in the end");
        for (auto& of_sender : messages)
            for (auto& m : of_sender) model::check(m.handled == m.freed, "what was handled is freed");
    }
};

}  // namespace

TEST_CASE("two senders and the runner that one of them becomes: each message once, in order, none left", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 2}, [] {
        table t(0);
        model::threads({[&] {
                            t.tell(0, 0);
                            t.tell(0, 1);
                        },
                        [&] {
                            t.tell(1, 0);
                            t.tell(1, 1);
                        }});
        t.check_all(4);
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("three senders: nobody's message is left in an idle mailbox", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t(0);
        model::threads({[&] { t.tell(0, 0); }, [&] { t.tell(1, 0); }, [&] { t.tell(2, 0); }});
        t.check_all(3);
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("a sender that waits for room is admitted", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t(1);
        model::threads({[&] { t.tell(0, 0); }, [&] { t.tell(1, 0); }, [&] { t.tell(2, 0); }});
        t.check_all(3);
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("senders who drop the oldest message leave each handled or dropped, once", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t(1);
        t.drops_oldest = true;
        for (int& n : t.newest) n = -2;      // some are left out
        model::threads({[&] {
                            t.tell(0, 0);
                            t.tell(0, 1);
                        },
                        [&] { t.tell(1, 0); }});
        t.check_all(3);
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("a signal is seen by the runner there is, or makes one", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 2}, [] {
        table t(0);
        model::threads({[&] { t.tell(0, 0); },
                        [&] {
                            bool late = false;
                            if (t.mail.signal(&t.system, &late)) t.run();
                        }});
        t.check_all(1);
        model::check(t.signal_seen, "the signal is seen");
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("a held mailbox fills up in peace, a signal makes the one runner", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 2 + model::deep, .stale_reads = 2}, [] {
        table t(0, true);
        std::array<bool, 2> ran{};
        const auto nudge = [&](unsigned i) {
            bool late = false;
            if ((ran[i] = t.mail.nudge(&late))) t.run();
        };
        model::threads({[&] { t.tell(0, 0); }, [&] { nudge(0); }, [&] { nudge(1); }});
        model::check(ran[0] || ran[1], "somebody runs");
        t.check_all(1);
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("after close nothing enters, and what came before is there to be buried", "[mailbox]") {
    const auto seen = model::explore({.preemptions = 3 + model::deep, .stale_reads = 2}, [] {
        table t(0);
        int entered = 0, refused = 0;
        t.messages[0][0].payload = 1;
        (void)t.mail.push(&t.messages[0][0]);                      // the closer is its runner
        model::threads({[&] {
                            t.mail.close();
                            while (message* m = t.mail.take(table::free)) t.handle(*m);
                            t.mail.forget_kept(table::free);
                        },
                        [&] {
                            message& m = t.messages[1][0];
                            m.payload = 1;
                            (t.mail.push(&m) == box::pushed::closed ? refused : entered)++;
                        }});
        model::check(t.handled == 1 + entered && entered + refused == 1, "each is handled or refused");
        model::check(t.messages[0][0].freed == 1 && t.messages[1][0].freed == entered, "what entered is freed");
    });
    INFO(seen);
    CHECK(seen);
}

TEST_CASE("who finds a mailbox closed sees why its actor has ended", "[mailbox]") {
    const bool asks = GENERATE(false, true);
    const auto seen = model::explore({.preemptions = 3, .stale_reads = 2}, [asks] {
        table t(0);
        auto& own = t.messages[0][0];
        own.payload = 1;
        (void)t.mail.push(&own);
        model::plain<int> why{0};                // actor_cell::end_kind
        model::threads({[&] {                    // actor_cell::end()
                            why = 7;
                            t.mail.close();
                            while (message* m = t.take()) t.handle(*m);
                            t.mail.forget_kept(table::free);
                        },
                        [&] {
                            auto& late = t.messages[1][0];
                            late.payload = 1;
                            const bool closed = asks ? t.mail.is_closed() : t.mail.push(&late) == box::pushed::closed;
                            if (closed) model::check(why == 7, "why it has ended is seen");
                        }});
    });
    INFO(seen);
    CHECK(seen);
}
