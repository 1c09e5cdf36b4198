#include "theft_ledger.hpp"

#include <algorithm>

#include "stamp.hpp"
#include "worker.hpp"

namespace rondo::detail {

namespace {

constexpr std::uint64_t move_stamps = 10'000;        // what moving a started tasklet costs all in all, both ways
constexpr std::uint64_t highest_bar = 640'000;

}  // namespace

void theft_ledger::note(const worker& robbed) noexcept {
    if (taken_++ != 0) return;
    first_stamp_ = stamp();
    robbed_ = &robbed;
    robbed_moves_ = robbed.moves_and_parks();
}

// Out of work again, we know. Unless their worker is still busy with what it was busy with then, after a search that found
// nothing: they would be waiting for it yet.
void theft_ledger::judge(bool after_search) noexcept {
    if (taken_ == 0) return;
    const auto paid = stamp() - first_stamp_ >= taken_ * move_stamps;
    const auto waits_yet = robbed_->moves_and_parks() == robbed_moves_;
    if (!paid && waits_yet && !after_search) return;      // that can only be said later
    taken_ = 0;
    const auto bar = bar_.load(relaxed);
    set_bar(paid || waits_yet ? bar / 2 : bar * 2);
}

void theft_ledger::forget_a_little() noexcept {
    const auto bar = bar_.load(relaxed);
    set_bar(bar - bar / 8);
}

void theft_ledger::set_bar(std::uint64_t stamps) noexcept {
    bar_.store(std::clamp(stamps, worker::soon_stamps, highest_bar), relaxed);
}

}  // namespace rondo::detail
