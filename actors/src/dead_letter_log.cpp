#include "dead_letter_log.hpp"

#include <algorithm>

#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

void dead_letter_log::add(actor_cell& to, const message_node& m, dead_letter_reason why) noexcept {
    counts_[static_cast<std::size_t>(why)].fetch_add(1, relaxed);
    if (!is_observed_.load(relaxed)) return;
    std::shared_ptr<std::function<void(const dead_letter&)>> f;
    const lowlevel::waiter* const me = &lowlevel::self();
    try {
        std::lock_guard hold(lock_);
        // What an observer itself tells the dead is counted, and not shown to it again.
        if (std::find(observing_.begin(), observing_.end(), me) != observing_.end()) return;
        observing_.push_back(me);
        f = observer_;
    } catch (...) {
        return;
    }
    try {
        if (f && *f) (*f)({why, to.label(), m.ops->type->name()});
    } catch (...) {}                                      // an observer's own error is its own business
    std::lock_guard hold(lock_);
    observing_.erase(std::find(observing_.begin(), observing_.end(), me));
}
dead_letter_counts dead_letter_log::counts() const noexcept {
    return {counts_[0].load(relaxed), counts_[1].load(relaxed), counts_[2].load(relaxed), counts_[3].load(relaxed)};
}
void dead_letter_log::observe(std::function<void(const dead_letter&)> f) {
    const bool any = static_cast<bool>(f);
    auto shared = std::make_shared<std::function<void(const dead_letter&)>>(std::move(f));
    std::lock_guard hold(lock_);
    observer_ = any ? std::move(shared) : nullptr;
    is_observed_.store(any, relaxed);
}

}  // namespace rondo::detail
