// Messages that no handler will get: how many of which kind, and who is told of each.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <rondo/actor.hpp>

namespace rondo::detail {

class dead_letter_log {
public:
    void add(actor_cell& to, const message_node& m, dead_letter_reason why) noexcept;
    [[nodiscard]] dead_letter_counts counts() const noexcept;
    void observe(std::function<void(const dead_letter&)> f);

private:
    std::array<atomic<std::uint64_t>, dead_letter_reasons> counts_{};
    atomic<bool> is_observed_{false};
    std::mutex lock_;
    std::shared_ptr<std::function<void(const dead_letter&)>> observer_;
    std::vector<const lowlevel::waiter*> observing_;      // who is in it now
};

}  // namespace rondo::detail
