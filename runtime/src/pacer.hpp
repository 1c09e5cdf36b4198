// How many events may go by until somebody looks at a clock: so many that about a fifth of a millisecond passes, as the last ones
// went. Long events come to one look each; short ones to one look in many, so that they cost next to nothing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rondo::detail {

/// One worker's own. Events are numbered by whoever has a pacer.
class pacer {
public:
    static constexpr std::uint64_t period_stamps = 520'000;

    /// adapts: false: always that many.
    pacer(std::uint64_t most, bool adapts) noexcept : most_(most), step_(adapts ? 1 : most), due_(step_), adapts_(adapts) {}

    [[nodiscard]] bool is_due(std::uint64_t event) const noexcept { return event >= due_; }
    /// Events since the last look.
    [[nodiscard]] std::uint64_t since(std::uint64_t event) const noexcept { return event - last_; }
    [[nodiscard]] std::uint64_t looked_at() const noexcept { return stamp_; }
    /// Gives the average of the events since the last look, of which there is one at least.
    std::uint64_t look(std::uint64_t event, std::uint64_t now) noexcept {
        const auto average = (now - stamp_) / std::max<std::uint64_t>(since(event), 1) + 1;
        if (adapts_) step_ = std::clamp<std::uint64_t>(period_stamps / average, 1, std::min(2 * step_, most_));
        begin(event, now);
        return average;
    }
    /// After a pause: nothing is known.
    void restart(std::uint64_t event, std::uint64_t now) noexcept {
        if (adapts_) step_ = 1;
        begin(event, now);
    }
    void leave_out(std::uint64_t stamps) noexcept { stamp_ += stamps; }

private:
    void begin(std::uint64_t event, std::uint64_t now) noexcept {
        last_ = event;
        due_ = event + step_;
        stamp_ = now;
    }

    std::uint64_t most_, step_, due_, last_ = 0, stamp_ = 0;
    bool adapts_;
};

}  // namespace rondo::detail
