// The free descriptors that a worker has at hand, so that a spawn, or an end, costs no lock of the pool's.
#pragma once

#include <cstddef>

#include "task_pool.hpp"

namespace rondo::detail {

/// One worker's own.
class local_tasks {
public:
    explicit local_tasks(task_pool& pool) noexcept : pool_(pool) {}

    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// Only if not empty().
    [[nodiscard]] task& take() noexcept {
        task* const t = first_;
        first_ = t->next;
        --count_;
        return *t;
    }
    /// When empty(): some more. False: no memory.
    bool fetch() noexcept {
        first_ = pool_.take(batch);
        for (task* t = first_; t; t = t->next) ++count_;
        return first_ != nullptr;
    }
    void put(task& t) noexcept {
        if (count_ >= most) [[unlikely]] give_some_back();
        t.next = first_;
        first_ = &t;
        ++count_;
    }

private:
    static constexpr std::size_t batch = 128, most = 4 * batch;

    [[gnu::noinline]] void give_some_back() noexcept {    // those used last
        task* last = first_;
        for (std::size_t i = 1; i < batch; ++i) last = last->next;
        task* const rest = last->next;
        last->next = nullptr;
        pool_.give(first_, last);
        first_ = rest;
        count_ -= batch;
    }

    task_pool& pool_;
    task* first_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace rondo::detail
