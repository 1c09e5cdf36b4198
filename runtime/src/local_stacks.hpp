// The default stacks that a worker has at hand, so that a tasklet that suspends, or ends, costs no lock of the arena's.
#pragma once

#include <cstddef>

#include "stack_arena.hpp"

namespace rondo::detail {

/// One worker's own.
class local_stacks {
public:
    explicit local_stacks(stack_arena& arena) noexcept : arena_(arena) {}

    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// Only if not empty().
    [[nodiscard]] stack& take() noexcept {
        stack* const s = first_;
        first_ = s->next;
        --count_;
        return *s;
    }
    /// When empty(): some more, n at most. False: no memory.
    bool fetch(std::size_t n = batch) noexcept {
        first_ = arena_.get_batch(n);
        for (stack* s = first_; s; s = s->next) ++count_;
        return first_ != nullptr;
    }
    /// One that nobody stands on any more, of whichever size.
    void keep(stack& s) noexcept {
        if (s.size != arena_.default_bytes() || s.canary) return arena_.put(&s);
        if (count_ >= most) give_half_back();
        s.next = first_;
        first_ = &s;
        ++count_;
    }

private:
    static constexpr std::size_t batch = 16, most = 2 * batch;

    [[gnu::noinline]] void give_half_back() noexcept {    // the one used last
        stack* last = first_;
        for (std::size_t i = 1; i < batch; ++i) last = last->next;
        stack* const rest = last->next;
        last->next = nullptr;
        arena_.put_batch(first_, last);
        first_ = rest;
        count_ -= batch;
    }

    stack_arena& arena_;
    stack* first_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace rondo::detail
