// Some of what a store that all workers share has, at hand for one worker, so that taking and putting back costs no lock. T has
// `next`; the store gives and takes linked batches.
#pragma once

#include <cstddef>

namespace rondo::detail {

template <class T, class Store, std::size_t batch, std::size_t most>
class local_cache {
    static_assert(batch < most);

public:
    explicit local_cache(Store& store) noexcept : store_(store) {}

    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// Only if not empty().
    [[nodiscard]] T& take() noexcept {
        T* const x = first_;
        first_ = x->next;
        --count_;
        return *x;
    }
    /// When empty(): some more, about n. False: no memory.
    bool fetch(std::size_t n = batch) noexcept {
        first_ = store_.get_batch(n);
        for (T* x = first_; x; x = x->next) ++count_;
        return first_ != nullptr;
    }
    void put(T& x) noexcept {
        if (count_ >= most) [[unlikely]] give_batch_back();
        x.next = first_;
        first_ = &x;
        ++count_;
    }

private:
    [[gnu::noinline]] void give_batch_back() noexcept {   // those used last
        T* const first = first_;
        T* last = first;
        for (std::size_t i = 1; i < batch; ++i) last = last->next;
        first_ = last->next;
        last->next = nullptr;
        store_.put_batch(first, last);
        count_ -= batch;
    }

    Store& store_;
    T* first_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace rondo::detail
