// Who waits in the models of channels and locks, and what those ask of the runtime (tasklets.cpp). What is done to the word of
// a waiter is the real wait_word.hpp's.
#pragma once

#include "model_atomics.hpp"

#include <cstdint>

#include <rondo/lowlevel/wait.hpp>

#include "runtime/src/wait_word.hpp"

namespace rondo::model {

struct tasklet : lowlevel::waiter {
    rondo::detail::atomic<unsigned> resumed{0};
    unsigned waits = 0;
    plain<int> frame{0};            // where the value comes from or goes to

    void resume() { resumed.fetch_add(1, rondo::detail::release); }

    // wait.cpp: publish(), under that lock if there is one; then until somebody resumes us.
    lowlevel::wake suspend_published(std::uint32_t generation, lowlevel::spin_lock* held = nullptr) {
        using lowlevel::published;
        const published how = publish_word(*this, generation, shield != 0);
        if (held) held->unlock();
        if (how == published::refused || (how == published::early && sign_left(*this))) resume();
        resumed.wait(waits++, rondo::detail::acquire);
        return outcome_of(word.load(rondo::detail::relaxed));
    }
    void settle(hold how) {
        if (how != hold::early || sign_settled(*this)) resume();
    }
    // A stop: wait.cpp: interrupt().
    void request_stop() {
        if (interrupt_word(*this)) resume();
    }
    void forget_stop() { forgive_word(*this); }                       // and begin a new life
    void begin_enlisting() { word.fetch_or(enlisting_flag, rondo::detail::relaxed); }
    [[nodiscard]] bool missed() const { return word.load(rondo::detail::relaxed) & missed_flag; }
    void end_enlisting() { end_enlisting_word(*this); }
};

// Who calls. Set just before a call: enter() and self() come before its first access to an atomic.
extern tasklet* running;
extern lowlevel::soloist* alone;         // the same: of whom the call is, if its worker is its runtime's only one
extern lowlevel::soloist* maker;         // of whom a channel is made; nobody tries on it

}  // namespace rondo::model
