// Where descriptors come from, and the registry of live tasklets: a runtime's chunks hold all its descriptors, so
// walking them lists every tasklet, at no cost per spawn.
//
// The memory is type-stable for the life of the process, as a general allocator's would be: chunks go back to a store
// that later runtimes draw from and are never unmapped. So a handle may look at the `id` of a tasklet that ended long
// ago, in a runtime that is gone, and finds that it is not there any more.
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include <rondo/detail/task.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

class task_pool {
public:
    static constexpr std::size_t chunk_tasks = 256;

    explicit task_pool(scheduler& home) noexcept : home_(home) {}
    ~task_pool();
    task_pool(const task_pool&) = delete;
    task_pool& operator=(const task_pool&) = delete;

    /// About `n` free descriptors, linked by `next`; nullptr: no memory.
    task* get_batch(std::size_t n) noexcept;
    void put_batch(task* first, task* last) noexcept;

    template <class F>
    void for_each(F&& f) const {
        for (std::size_t n = 0;; ++n) {                   // without a copy of the list, for which there may be no memory
            task* c = nullptr;
            {
                std::lock_guard hold(lock_);
                if (n == chunks_.size()) return;
                c = chunks_[n];
            }
            for (std::size_t i = 0; i < chunk_tasks; ++i) f(c[i]);
        }
    }

private:
    scheduler& home_;
    mutable lowlevel::spin_lock lock_;
    task* free_ = nullptr;
    std::vector<task*> chunks_;
};

}  // namespace rondo::detail
