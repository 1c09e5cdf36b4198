#include "task_pool.hpp"

#include <mutex>
#include <new>

#include "precise.hpp"
#include "scheduler.hpp"

namespace rondo::detail {
namespace {

// Chunks that no runtime uses now. Never destroyed: a handle in a static object may outlive everything.
struct chunk_store {
    std::mutex lock;
    std::vector<task*> chunks;
    static chunk_store& get() {
        static auto* store = new chunk_store;
        return *store;
    }
};

}  // namespace

task_pool::~task_pool() {
    const precise::unseen under_a_lock;
    auto& store = chunk_store::get();
    std::lock_guard hold(store.lock);
    for (task* c : chunks_) {
        for (std::size_t i = 0; i < chunk_tasks; ++i) {
            // Left to a handle that was never joined: it frees itself (release_task finds no home).
            std::lock_guard guard(c[i].guard);
            c[i].home = nullptr;
        }
        store.chunks.push_back(c);
    }
}

task* task_pool::get_batch(std::size_t n) noexcept {
    const precise::unseen under_a_lock;
    std::lock_guard hold(lock_);
    if (!free_) {
        task* c = nullptr;
        try {
            chunks_.reserve(chunks_.size() + 1);
            auto& store = chunk_store::get();
            std::lock_guard guard(store.lock);
            store.chunks.reserve(store.chunks.size() + chunks_.size() + 1);   // so that our destructor cannot fail
            if (!store.chunks.empty()) {
                c = store.chunks.back();
                store.chunks.pop_back();
            }
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        if (!c) {
            c = static_cast<task*>(::operator new(sizeof(task) * chunk_tasks, std::align_val_t{alignof(task)},
                                                  std::nothrow));
            if (!c) return nullptr;
            for (std::size_t i = 0; i < chunk_tasks; ++i) ::new (c + i) task;
        }
        chunks_.push_back(c);
        for (std::size_t i = chunk_tasks; i-- > 0;) {
            std::lock_guard guard(c[i].guard);
            if (c[i].state.load(relaxed) != task::phase::free) continue;      // still held by a handle of old
            c[i].home = &home_;
            c[i].is_tasklet = home_.simulated ? lowlevel::waiter::simulated : 1;
            c[i].next = free_;
            free_ = c + i;
        }
        if (!free_) return nullptr;
    }
    task* first = free_;
    task* last = first;
    while (--n && last->next) last = last->next;
    free_ = last->next;
    last->next = nullptr;
    return first;
}

void task_pool::put_batch(task* first, task* last) noexcept {
    std::lock_guard hold(lock_);
    last->next = free_;
    free_ = first;
}

}  // namespace rondo::detail
