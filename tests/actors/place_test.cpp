// Where an actor runs: on the worker of whoever has told it something, where the message is warm, wherever it ran before. A
// worker without work may take it away from there, as any other tasklet: the "[stealing]" test in actor_test.cpp holds the
// teller's worker until that has happened. So here both are busy.
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <utility>

#include <rondo/lowlevel/job.hpp>
#include <rondo/rondo.hpp>

namespace {

struct where {};
struct note {
    std::atomic<unsigned>* noted;
};
constexpr unsigned nowhere = ~0u;

struct player {
    unsigned on(where) const { return rondo::lowlevel::worker_here(); }
    void on(note n) const { *n.noted = rondo::lowlevel::worker_here(); }
};
struct go_between {
    rondo::actor_ref<player> to;
    std::pair<unsigned, unsigned> on(where) const { return {rondo::lowlevel::worker_here(), to.ask(where{})}; }
};

// Two workers, and two tasklets that never both let go of theirs: while one does what `play` says the other one holds on to
// its worker. Then it is the other one's turn.
template <class Play>
void play_in_turns(Play play) {
    constexpr int turns = 400;
    std::atomic<int> there{0}, turn{0};
    const auto hold_on_until = [](auto&& holds) {
        while (!holds()) std::this_thread::yield();       // of the thread: the tasklet stays where it is
    };
    rondo::run({.workers = 2}, [&] {
        const auto ball = rondo::start<player>();
        const auto thrower = rondo::start<go_between>(ball);
        const auto sit = [&](int me) {
            ++there;
            hold_on_until([&] { return there == 2; });    // so each has a worker of its own
            for (int mine = me; mine < turns; mine += 2) {
                hold_on_until([&] { return turn == mine; });
                play(ball, thrower);
                ++turn;
            }
            hold_on_until([&] { return turn == turns; });
        };
        auto one = rondo::spawn(sit, 0);
        auto other = rondo::spawn(sit, 1);
        one.join();
        other.join();
    });
    CHECK(turn == turns);
}

}  // namespace

TEST_CASE("an actor runs where its sender is, though it ran elsewhere before", "[actor][place]") {
    long elsewhere = 0, moved = 0;                        // one counts at a time
    play_in_turns([&](const auto& ball, const auto&) {
        const auto here = rondo::lowlevel::worker_here();
        elsewhere += ball.ask(where{}) != here;           // asked
        std::atomic<unsigned> noted{nowhere};
        ball.tell(note{&noted});                          // and told
        while (noted == nowhere) rondo::yield();
        elsewhere += noted != here;
        moved += rondo::lowlevel::worker_here() != here;
    });
    CHECK(elsewhere == 0);
    CHECK(moved == 0);
}

TEST_CASE("an actor that another one asks runs where that one runs, which is where the first asker is", "[actor][place]") {
    long elsewhere = 0;
    play_in_turns([&](const auto&, const auto& thrower) {
        const auto here = rondo::lowlevel::worker_here();
        elsewhere += thrower.ask(where{}) != std::pair(here, here);
    });
    CHECK(elsewhere == 0);
}
