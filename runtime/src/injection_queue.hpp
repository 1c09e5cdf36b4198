// Tasklets that arrive from outside: from plain threads, other runtimes, other workers. One per worker; anybody may
// push, anybody may take all. A stack of links that is taken whole and turned round (after R. K. Treiber, "Systems
// programming: coping with parallelism", 1986); since nothing is popped singly there is no ABA problem.
//
//   head_     anybody      push: CAS release, x -> x.next = head      take_all: exchange acquire, -> null
//
// I1  After the exchange the taker alone owns the whole chain.
// Progress: push is lock-free, take_all wait-free. Order: first in, first out within what one take_all gets.
// Checked:  tests/model/injection_queue_test.cpp.
#pragma once

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

template <class T>
class injection_queue {
public:
    void push(T* x) noexcept {
        T* head = head_.load(relaxed);
        do x->next = head;
        // release: pairs with the acquire in take_all(); the taker sees *x. relaxed on failure: head is only a link.
        while (!head_.compare_exchange_weak(head, x, release, relaxed));
    }
    /// The oldest first, linked by `next`. nullptr: empty.
    T* take_all() noexcept {
        T* newest = head_.exchange(nullptr, acquire);
        T* oldest = nullptr;
        while (newest) {
            T* after = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = after;
        }
        return oldest;
    }
    [[nodiscard]] bool empty() const noexcept { return head_.load(relaxed) == nullptr; }

private:
    atomic<T*> head_{nullptr};
};

}  // namespace rondo::detail
