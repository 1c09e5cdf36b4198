// What the owner of a wait, its winner and a stop do to the word (lowlevel/wait.hpp has its states). In wait.cpp these steps lie
// between things that a model cannot have, stacks and futexes; so they are here, for both.
// Checked:  tests/model/{wait_word,cell_queue,slots,mutex}_test.cpp.
#pragma once

#include <cstdint>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::lowlevel {

/// early: claim_published() was faster. refused: a stop came first, or a partner that enlisting has missed; the word says which.
enum class published : std::uint8_t { open, early, refused };

/// By the owner's worker, once the owner has left its stack: from here on the wait can be ended.
[[gnu::always_inline]] inline published publish_word(waiter& me, std::uint32_t generation, bool is_shielded) noexcept {
    using namespace rondo::detail;
    auto now = me.word.load(relaxed);
    bool opened;
    std::uint64_t next;
    do {
        if (waiter::generation_of(now) == generation) return published::early;
        const bool stops = (now & waiter::stop_flag) && !is_shielded;
        opened = !stops && !(now & waiter::missed_flag);
        next = (static_cast<std::uint64_t>(generation) << 32) | (now & waiter::kept);
        if (opened) next |= (is_shielded ? waiter::shield_flag : 0) | waiter::open_flag;
        else next |= static_cast<std::uint64_t>(stops ? wake::stopped : wake::none) << 8;
        // release: the claimer sees our frame. seq_cst: in one order with a stop of a tasklet below us. acquire:
        // pairs with the release in claim(), if it has set `missed`.
    } while (!me.word.compare_exchange_weak(now, next, seq_cst, relaxed));
    return opened ? published::open : published::refused;
}

/// The same for a plain thread, which nobody stops.
inline published publish_thread_word(waiter& me, std::uint32_t generation) noexcept {
    using namespace rondo::detail;
    const auto open = (static_cast<std::uint64_t>(generation) << 32) | waiter::open_flag;
    for (auto now = me.word.load(relaxed);;) {
        if (waiter::generation_of(now) == generation) return published::early;
        const bool missed = now & waiter::missed_flag;
        // release: the claimer sees our frame. acquire: pairs with the release in claim(), which has set `missed`.
        if (me.word.compare_exchange_weak(now, missed ? open & ~waiter::open_flag : open, acq_rel, relaxed))
            return missed ? published::refused : published::open;
    }
}

/// An early wait has two to sign; true: the caller is the second, and makes the owner go on.
[[gnu::always_inline]] inline bool sign_left(waiter& me) noexcept {
    // acq_rel, here and in sign_settled(): each pairs with the other, whichever comes first. After this `me` may have gone on.
    return me.word.fetch_or(waiter::left_flag, rondo::detail::acq_rel) & waiter::settled_flag;
}
[[gnu::always_inline]] inline bool sign_settled(waiter& who) noexcept {
    return who.word.fetch_or(waiter::settled_flag, rondo::detail::acq_rel) & waiter::left_flag;
}

/// Instead of publish_word(): what has been enlisted is out again.
inline void end_enlisting_word(waiter& me) noexcept {
    using namespace rondo::detail;
    auto now = me.word.load(relaxed);
    std::uint64_t next;
    do next = (static_cast<std::uint64_t>(waiter::generation_of(now) + 1) << 32) | (now & waiter::kept);
    // acquire: pairs with the release in claim(), which may have set `missed`.
    while (!me.word.compare_exchange_weak(now, next, acquire, relaxed));
}

/// The word after a stop. `ends_wait`: it ends a wait, so who has stored it must resume the waiter.
inline std::uint64_t stopped_word(std::uint64_t w, bool& ends_wait) noexcept {
    ends_wait = (w & waiter::open_flag) && !(w & waiter::shield_flag);
    if (ends_wait)
        w = (w & ~(waiter::open_flag | std::uint64_t{0xff00})) | (static_cast<std::uint64_t>(wake::stopped) << 8);
    return w | waiter::stop_flag;
}

/// A scope of `who` fails, or no longer. interrupt_word() is true if that ends a wait: as stopped_word().
inline bool interrupt_word(waiter& who) noexcept {
    using namespace rondo::detail;
    bool ends_wait;
    std::uint64_t next, now = who.word.load(relaxed);
    do next = stopped_word(now + waiter::one_failing_scope, ends_wait);
    // seq_cst: in one order with publish_word() of whoever runs on top of `who`. acquire: pairs with its release.
    while (!who.word.compare_exchange_weak(now, next, seq_cst, relaxed));
    return ends_wait;
}
inline void forgive_word(waiter& who) noexcept {
    using namespace rondo::detail;
    std::uint64_t next, now = who.word.load(relaxed);
    do {
        next = now - waiter::one_failing_scope;
        if (!(next & std::uint64_t{0xffff0000})) next &= ~waiter::stop_flag;
        // acq_rel: between the interrupt_word() that it answers and a later one; hands on what those have released.
    } while (!who.word.compare_exchange_weak(now, next, acq_rel, relaxed));
}

}  // namespace rondo::lowlevel
