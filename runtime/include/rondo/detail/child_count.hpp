// How many children a scope has, and whether it stops: one word, and a few children counted in advance.
//
//   live_      {children that have not ended, and spare_ more : 62 | open: the scope does not wait for them : 1 | stopping : 1}
//   spare_     children that live_ counts in advance, for the scope's own tasklet to enter without an atomic operation
//   changed by                    how                                          and then
//   enter      the scope          spare_ -= 1; the child is shown; light       stopping is seen: stops its own child
//                                 fence; reads live_
//              the scope, at 0    live_ += a batch, acq_rel; then as above
//              anybody else       the child is shown; live_ += 1, acq_rel      stopping was set: stops its own child
//   stop       anybody            |= stopping, acq_rel; open: heavy fence      stops every child that has been shown
//   leave      the children       -= those that have ended, acq_rel            the last, and not open: wakes the scope
//   close      the scope          -= spare_, and open, acq_rel                 no child is left: goes on; else waits
//   reopen     the scope          |= open, acq_rel                             no child was left: the last is still leaving
//
// I1  A stop finds each child, or the child's spawner finds the stop. By anybody else: their order in live_ decides, and the
//     acquire of a later stop sees what was shown before the release. By the scope: Dekker's pattern. It shows the child,
//     then reads live_; the stop sets live_, then looks at who is shown; the light and the heavy fence keep each apart.
//     Not open: the scope is in close() or later, it enters nobody.
// I2  While open, live_ is never 0: nobody is the last. After close() there is no spare, so the last child is known.
// I3  What the children wrote before they left is seen by who closes, or is woken (acq_rel on live_, one after the other).
// Progress: wait-free.
// Checked:  tests/model/child_count_test.cpp
#pragma once

#include <cstdint>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

class child_count {
public:
    /// in_advance: how many the scope's own tasklet counts at once; 0: none, for want of asymmetric fences.
    explicit child_count(std::uint32_t in_advance) noexcept : in_advance_(in_advance) {}

    /// One more child. show() makes it visible to those who stop. True: the group stops, so must it.
    template <class Show>
    bool enter(bool by_the_scope, Show show) noexcept {
        if (!by_the_scope || in_advance_ == 0) {
            show();
            return live_.fetch_add(child, acq_rel) & stopping;
        }
        if (!has_spare()) {
            live_.fetch_add(in_advance_ * child, acq_rel);
            spare_.store(in_advance_, relaxed);
        }
        return enter_spare(show);
    }
    /// The scope's own: has one been counted in advance? Then enter_spare() is enter() without an atomic operation.
    [[nodiscard]] bool has_spare() const noexcept { return spare_.load(relaxed) != 0; }
    template <class Show>
    [[gnu::always_inline]] bool enter_spare(Show show) noexcept {
        spare_.store(spare_.load(relaxed) - 1, relaxed);
        show();
        fence_light();                        // pairs with the heavy one in stop()
        return live_.load(relaxed) & stopping;
    }
    /// Afterwards the caller stops all children that it finds.
    void stop() noexcept {
        if ((live_.fetch_or(stopping, acq_rel) & open) && in_advance_ != 0) fence_heavy();
    }
    /// So many children have ended. True: they were the last, and the scope waits for them, or will do.
    [[nodiscard]] bool leave(std::uint64_t n) noexcept {
        return (live_.fetch_sub(n * child, acq_rel) & ~stopping) == n * child;
    }

    /// The scope's own. False: no child is left, and it is open again.
    [[nodiscard]] bool close() noexcept {
        const auto gone = spare_.load(relaxed) * child + open;
        spare_.store(0, relaxed);
        if (live_.fetch_sub(gone, acq_rel) - gone >= child) return true;
        live_.fetch_or(open, relaxed);
        return false;
    }
    /// The scope's own: it does not wait any more. False: the last child is between leave() and what it does then.
    [[nodiscard]] bool reopen() noexcept { return live_.fetch_or(open, acq_rel) >= child; }

    [[nodiscard]] bool is_stopping() const noexcept { return live_.load(relaxed) & stopping; }
    /// A snapshot; exact for the scope's own tasklet, and while nobody enters or leaves.
    [[nodiscard]] std::uint64_t size() const noexcept {
        std::uint64_t live = 0, spare = 0;
        // acquire, both: no partner. They keep the second look at live_ behind the other two: as it was before, so it was between.
        for (int i = 0; i < 10; ++i) {
            live = live_.load(acquire) / child;
            spare = spare_.load(acquire);
            if (live_.load(relaxed) / child == live) break;
        }
        return live > spare ? live - spare : 0;
    }

private:
    static constexpr std::uint64_t child = 4, open = 2, stopping = 1;
    atomic<std::uint64_t> live_{open};
    atomic<std::uint64_t> spare_{0};          // the scope's tasklet writes it
    const std::uint64_t in_advance_;
};

}  // namespace rondo::detail
