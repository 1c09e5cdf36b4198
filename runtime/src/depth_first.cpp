#include "depth_first.hpp"

#include <algorithm>

namespace rondo::detail {

task* depth_first::pick(work_deque<task>& fresh, work_deque<task>& ready, bool alone) noexcept {
    if (!ready.empty()) {
        const task* const first = ready.peek_top();
        const bool yields = first && first->kind.load(relaxed) == lowlevel::wait_kind::yield;
        if (yields && first != yielder_) {
            yielder_ = first;
            go_first_ = fresh.size();
        }
        if (++ready_in_row_ > most_ready_in_row) {
            ready_in_row_ = 0;
            if (task* t = fresh.take_top(alone)) return t;
        }
        if (!yields || go_first_ == 0) {
            yielder_ = nullptr;
            if (task* t = ready.take_top(alone)) return t;
        } else {
            --go_first_;
        }
    }
    // What has been pushed since the last time is one group, the newest at the bottom; turn it round.
    const auto end = fresh.bottom();
    if (end - std::max(group_, fresh.top()) > 1) {
        std::size_t n = 0;
        while (n < newest_first_.size() && fresh.bottom() > group_) {
            task* const t = fresh.take_bottom(alone);
            if (!t) break;
            newest_first_[n++] = t;
        }
        for (std::size_t i = 0; i < n; ++i) fresh.push(newest_first_[i]);      // there is room
    }
    group_ = fresh.bottom();
    ready_in_row_ = 0;
    task* const t = fresh.take_bottom(alone);
    group_ = std::min(group_, fresh.bottom());
    return t ? t : ready.take_top(alone);
}

}  // namespace rondo::detail
