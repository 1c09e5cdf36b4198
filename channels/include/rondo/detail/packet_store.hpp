// The values that lie in a channel behind a spin lock, in order.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include <rondo/detail/packet.hpp>
#include <rondo/detail/slot_pool.hpp>

namespace rondo::detail {

/// slots: how many packets there is room for; a ring that allocates once. no_limit: a queue that grows.
template <class T>
class packet_store {
public:
    explicit packet_store(std::size_t slots) : slots_(slots) {
        if (slots_ != 0 && slots_ != no_limit) ring_ = std::make_unique<packet<T>[]>(slots_);
    }
    [[nodiscard]] std::size_t slots() const noexcept { return slots_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool full() const noexcept { return size_ == slots_; }
    /// With a limit: not when full(); never throws. Without: may throw std::bad_alloc; `p` stays as it was.
    void push(packet<T>&& p) {
        if (slots_ == no_limit) queue_.push_back(std::move(p));
        else ring_[at_ + size_ < slots_ ? at_ + size_ : at_ + size_ - slots_] = std::move(p);
        ++size_;
    }
    packet<T> pop() noexcept {
        --size_;
        if (slots_ == no_limit) {
            packet<T> p(std::move(queue_.front()));
            queue_.pop_front();
            return p;
        }
        packet<T> p(std::move(ring_[at_]));
        at_ = at_ + 1 == slots_ ? 0 : at_ + 1;
        return p;
    }

private:
    std::size_t slots_, size_ = 0, at_ = 0;
    std::unique_ptr<packet<T>[]> ring_;
    std::deque<packet<T>> queue_;
};

}  // namespace rondo::detail
