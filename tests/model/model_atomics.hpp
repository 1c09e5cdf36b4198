// A small model checker: the atomics of rondo/detail/atomic.hpp, for tests that walk through every interleaving.
//
// A model test includes this file before the real ones, which then get these atomics. explore() runs a body again and
// again; its model threads are contexts on one OS thread, every access to an atomic may hand over to another one, and
// every load may return any value that C++20 lets it see. What it can and cannot find: README.md.
//
// After B. Norris and B. Demsky, "CDSChecker: checking concurrent data structures written with C/C++ atomics" (2013),
// for the exploration; J. Kang et al., "A promising semantics for relaxed-memory concurrency" (2017), for the views;
// M. Musuvathi and S. Qadeer, "Iterative context bounding" (2007), for the bound on preemptions.
#pragma once

// rondo/detail/atomic.hpp includes what this names, in place of <atomic>. All that it needs is below.
#ifndef RONDO_MODEL_ATOMICS
#define RONDO_MODEL_ATOMICS <version>
#endif

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iosfwd>
#include <source_location>
#include <string>
#include <type_traits>
#include <vector>

#include "support/sanitized.hpp"

namespace rondo::model {

#ifdef RONDO_MODEL_DEEP
inline constexpr unsigned deep = 1;
#else
inline constexpr unsigned deep = 0;      ///< 1: take your time
#endif

/// Under a sanitizer everything takes ten times as long, and what a model finds does not depend on it.
using support::sanitized;

/// How far explore() goes. Within the bounds it misses nothing.
struct bounds {
    unsigned preemptions = 3;            ///< switches away from a thread that could go on; others are free
    unsigned stale_reads = 3;            ///< loads that return something older than the newest value
    std::uint64_t random = 0;            ///< > 0: so many random executions instead, without those two bounds
    std::uint64_t seed = 1;
    std::uint64_t most = 20'000'000;     ///< more executions than that count as a failure of the test
};

/// What explore() has seen. True: no execution failed. Prints as a report, with the schedule that failed.
struct outcome {
    std::string failure;                 ///< what did not hold; empty: everything did
    std::string schedule;                ///< for RONDO_MODEL_REPLAY
    std::string trace;                   ///< each access of the execution that failed
    std::uint64_t executions = 0;
    std::size_t longest = 0;             ///< accesses in the longest one
    bounds within;
    explicit operator bool() const noexcept { return failure.empty(); }
};
std::ostream& operator<<(std::ostream&, const outcome&);

/// Runs `body` once for each way in which it can go. It makes its objects afresh each time, calls threads(), checks.
/// It must depend on nothing else that varies. With RONDO_MODEL_REPLAY in the environment it runs that schedule only.
outcome explore(const bounds&, const std::function<void()>& body);

enum class at_end : std::uint8_t { ended, may_wait };

/// From the body: runs the functions as model threads 1, 2, ... and returns when all have ended. A failure if they
/// cannot: each one that is left waits for another; may_wait: those that are in atomic::wait() stay there for ever, and their
/// frames are never left (they must own nothing).
void threads(const std::vector<std::function<void()>>&, at_end = at_end::ended);

/// From anywhere: ends this execution, as a failure, unless `holds`.
void check(bool holds, const char* what);

inline constexpr unsigned max_threads = 6;        // the body included
inline constexpr unsigned max_locations = 160;    // atomics alive or dead in one execution

namespace detail {

using bits = std::uint64_t;
using order = std::memory_order;
using place = std::source_location;

unsigned new_location(bits initial);
void end_location(unsigned location) noexcept;
bits load(unsigned location, order, const place&);
void store(unsigned location, bits, order, const place&);
bits begin_update(unsigned location, order, const place&);        // a read-modify-write: the newest value,
void end_update(unsigned location, bits, order, const place&);    // and what becomes of it; nothing comes in between
bool compare_exchange(unsigned location, bits& expected, bits desired, order success, order failure, const place&);
void wait(unsigned location, bits old, order, const place&);
void fence_seq_cst(const place&);
void fence_heavy(const place&);
void relax(const place&);

/// Who has touched a plain variable, and when by his own clock.
struct accesses {
    unsigned writer = 0;
    std::uint16_t written = 0;
    std::array<std::uint16_t, max_threads> read{};
};
void note_read(accesses&);
void note_write(accesses&);

}  // namespace detail

/// A variable that is not atomic: two accesses, one of them a write, must be ordered by something else.
template <class T>
class plain {
public:
    plain(T value = T{}) : value_(std::move(value)) { detail::note_write(accesses_); }
    plain(const plain&) = delete;
    plain& operator=(const plain&) = delete;
    plain& operator=(T value) {
        detail::note_write(accesses_);
        value_ = std::move(value);
        return *this;
    }
    operator T() const {
        detail::note_read(accesses_);
        return value_;
    }

private:
    T value_;
    mutable detail::accesses accesses_;
};

}  // namespace rondo::model

namespace rondo::detail {

inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;
inline constexpr auto seq_cst = std::memory_order_seq_cst;

/// As std::atomic. Each operation knows its line, for the trace.
template <class T>
class atomic {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(model::detail::bits));
    using order = std::memory_order;
    using place = std::source_location;

public:
    atomic(T value = T{}) : location_(model::detail::new_location(pack(value))) {}
    ~atomic() { model::detail::end_location(location_); }
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(order o = seq_cst, place at = place::current()) const noexcept {
        return unpack(model::detail::load(location_, o, at));
    }
    void store(T value, order o = seq_cst, place at = place::current()) noexcept {
        model::detail::store(location_, pack(value), o, at);
    }
    T exchange(T value, order o = seq_cst, place at = place::current()) noexcept {
        return update([&](T) { return value; }, o, at);
    }
    template <class N>
    T fetch_add(N n, order o = seq_cst, place at = place::current()) noexcept {
        return update([&](T old) { return static_cast<T>(old + n); }, o, at);
    }
    template <class N>
    T fetch_sub(N n, order o = seq_cst, place at = place::current()) noexcept {
        return update([&](T old) { return static_cast<T>(old - n); }, o, at);
    }
    T fetch_and(T mask, order o = seq_cst, place at = place::current()) noexcept {
        return update([&](T old) { return static_cast<T>(old & mask); }, o, at);
    }
    T fetch_or(T mask, order o = seq_cst, place at = place::current()) noexcept {
        return update([&](T old) { return static_cast<T>(old | mask); }, o, at);
    }
    bool compare_exchange_strong(T& expected, T desired, order success, order failure,
                                 place at = place::current()) noexcept {
        auto old = pack(expected);
        const bool done = model::detail::compare_exchange(location_, old, pack(desired), success, failure, at);
        if (!done) expected = unpack(old);
        return done;
    }
    /// Never fails for no reason: every caller tries again, so nothing new would happen.
    bool compare_exchange_weak(T& expected, T desired, order success, order failure,
                               place at = place::current()) noexcept {
        return compare_exchange_strong(expected, desired, success, failure, at);
    }
    /// Until it is something else than `old`. Needs no notification: the model wakes when the value changes.
    void wait(T old, order o = seq_cst, place at = place::current()) const noexcept {
        model::detail::wait(location_, pack(old), o, at);
    }

private:
    static model::detail::bits pack(T value) noexcept {
        model::detail::bits b = 0;
        std::memcpy(&b, &value, sizeof(T));
        return b;
    }
    static T unpack(model::detail::bits b) noexcept {
        T value;
        std::memcpy(&value, &b, sizeof(T));
        return value;
    }
    template <class F>
    T update(F f, order o, const place& at) noexcept {
        const T old = unpack(model::detail::begin_update(location_, o, at));
        model::detail::end_update(location_, pack(f(old)), o, at);
        return old;
    }

    unsigned location_;
};

inline void fence_seq_cst(std::source_location at = std::source_location::current()) noexcept {
    model::detail::fence_seq_cst(at);
}
inline void fence_light() noexcept {}
inline void fence_heavy(std::source_location at = std::source_location::current()) noexcept {
    model::detail::fence_heavy(at);
}
inline bool has_asymmetric_fences() noexcept { return true; }
/// A thread that spins goes on only after another one has written something, and then sees what is newest.
inline void cpu_relax(std::source_location at = std::source_location::current()) noexcept { model::detail::relax(at); }
inline void fetch_to_write(const void*) noexcept {}

}  // namespace rondo::detail
