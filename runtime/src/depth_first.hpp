// The order while very many tasklets are suspended (runtime_options::breadth_limit): depth first, so that a tree of
// tasklets needs stacks for its depth and not for its breadth.
//
// Ready ones first, since they need no stack and may end; then the newest group of unstarted siblings, in order. A tasklet that
// yields lets as many others start first as were waiting to when its turn had come; and while ready ones keep each other going for
// ever, now and then the oldest unstarted one has its turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/task.hpp>

#include "work_deque.hpp"

namespace rondo::detail {

/// One worker's own.
class depth_first {
public:
    [[nodiscard]] bool is_on() const noexcept { return is_on_; }
    void begin(const work_deque<task>& fresh) noexcept {
        is_on_ = true;
        group_ = fresh.top();
    }
    void end() noexcept { is_on_ = false; }
    /// nullptr: none is left. `alone`: nobody steals from these two.
    task* pick(work_deque<task>& fresh, work_deque<task>& ready, bool alone) noexcept;

private:
    static constexpr std::size_t longest_group = 512;
    static constexpr unsigned most_ready_in_row = 256;

    bool is_on_ = false;
    unsigned ready_in_row_ = 0;                           // so many since an unstarted one
    const task* yielder_ = nullptr;                       // at the head of the ready ones,
    std::size_t go_first_ = 0;                            // and how many start before it
    std::int64_t group_ = 0;                              // up to here the unstarted ones have been turned round
    std::array<task*, longest_group> newest_first_;       // not on the stack: it is a tasklet's, and should be one page
};

}  // namespace rondo::detail
