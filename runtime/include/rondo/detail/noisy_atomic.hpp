// An atomic before each of whose operations the calling thread may pause: in builds with RONDO_NOISE the lock-free code, and
// what waits for it, meet interleavings that a quiet machine hardly ever shows.
//
// After O. Edelstein et al., "Framework for testing multi-threaded Java programs" (2003), whose noise makers sleep or yield at
// random where threads share data. It finds neither data races (ThreadSanitizer does) nor stale reads (tests/model does), but
// what goes wrong, in the library or in a test, when somebody comes late.
#pragma once

#include <atomic>
#include <cstddef>
#include <type_traits>

namespace rondo::detail {

/// Seldom yields the processor, more seldom sleeps for some microseconds, and hardly ever for some milliseconds. $RONDO_NOISE says
/// how often: each step from 0 (never) to 9 doubles it; 5 without it. $RONDO_NOISE_SEED: for another sequence in each thread.
void make_noise() noexcept;

template <class T>
struct noisy_atomic : std::atomic<T> {
    using order = std::memory_order;
    using quiet = std::atomic<T>;
    using step = std::conditional_t<std::is_pointer_v<T>, std::ptrdiff_t, T>;
    static constexpr auto seq_cst = std::memory_order_seq_cst;

    constexpr noisy_atomic() noexcept = default;
    constexpr noisy_atomic(T v) noexcept : quiet(v) {}
    using quiet::operator=;

    T load(order o = seq_cst) const noexcept { return make_noise(), quiet::load(o); }
    void store(T v, order o = seq_cst) noexcept { make_noise(), quiet::store(v, o); }
    T exchange(T v, order o = seq_cst) noexcept { return make_noise(), quiet::exchange(v, o); }
    T fetch_add(step v, order o = seq_cst) noexcept { return make_noise(), quiet::fetch_add(v, o); }
    T fetch_sub(step v, order o = seq_cst) noexcept { return make_noise(), quiet::fetch_sub(v, o); }
    T fetch_and(T v, order o = seq_cst) noexcept { return make_noise(), quiet::fetch_and(v, o); }
    T fetch_or(T v, order o = seq_cst) noexcept { return make_noise(), quiet::fetch_or(v, o); }
    template <class... Orders>
    bool compare_exchange_weak(T& expected, T v, Orders... o) noexcept {
        return make_noise(), quiet::compare_exchange_weak(expected, v, o...);
    }
    template <class... Orders>
    bool compare_exchange_strong(T& expected, T v, Orders... o) noexcept {
        return make_noise(), quiet::compare_exchange_strong(expected, v, o...);
    }
};

}  // namespace rondo::detail
