// Free segments are a stack (index_stack.hpp); those that have never been given out lie behind `used`.
//
//   word     who may change it        how                     next
//   used     allocate(), none free    CAS relaxed, +1         one more has been given out, after it was opened
//   open     is_open(), under lock    store release           the memory may be touched up to here
//
// I1  Whoever has moved `used` past an index, or has taken it off the stack, alone has that segment until release().
// Progress: lock-free, but for the first one of each 1024, which is opened under a lock.
// Checked:  tests/model/index_stack_test.cpp; all of it: tests/stress/channel_stress_test.cpp (TSan).
#include <rondo/detail/cell_store.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <mutex>

#include <rondo/detail/atomic.hpp>

#include "index_stack.hpp"

namespace rondo::detail {

constinit cell_store::segment* cell_store::memory = nullptr;

template class cell_queue<cell_store>;
template class cell_queue<cell_store, true>;

namespace {

struct pool {
    index_stack free;
    alignas(64) atomic<std::uint32_t> used{1};                  // never given out yet: from here on; 0 is no segment
    std::uint32_t limit = 0;
    atomic<std::uint32_t> open{0};                              // the memory may be touched up to here
    std::mutex opening;
};
constinit pool all;

// Address space costs nothing, but a process may be limited in it; then there are fewer. It is opened piece by piece:
// memory checkers and core dumps go through all that may be touched.
std::uint32_t reserve(cell_store::segment*& memory) noexcept {
    for (std::size_t n = index_stack::index_mask + 1; n >= 1024; n /= 4) {
        void* p = ::mmap(nullptr, n * sizeof(cell_store::segment), PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        memory = static_cast<cell_store::segment*>(p);          // zeros are what a new segment consists of
        return static_cast<std::uint32_t>(n);
    }
    return 0;
}

constexpr auto link_of = [](std::uint32_t i) noexcept -> atomic<std::uint32_t>& { return cell_store()[i].link; };

bool is_open(cell_store::segment* memory, std::uint32_t i) noexcept {
    // acquire: pairs with the release below: the memory is there.
    if (i < all.open.load(acquire)) return true;
    const std::lock_guard hold(all.opening);
    auto open = all.open.load(relaxed);
    while (i >= open) {
        const auto more = std::min(all.limit - open, std::uint32_t{1024});
        if (::mprotect(static_cast<void*>(memory + open), more * sizeof(cell_store::segment), PROT_READ | PROT_WRITE) != 0)
            return false;
        all.open.store(open += more, release);                  // pairs with the acquire above
    }
    return true;
}

}  // namespace

std::uint32_t cell_store::allocate() const noexcept {
    if (const auto i = all.free.pop(link_of)) return i;
    // Not std::call_once, which passes its function through thread-locals: tasklets of one worker would seem to race for them.
    [[maybe_unused]] static const std::uint32_t reserved = all.limit = reserve(memory);
    auto i = all.used.load(relaxed);
    do
        if (i >= all.limit || !is_open(memory, i)) return 0;
    while (!all.used.compare_exchange_weak(i, i + 1, relaxed, relaxed));
    return i;
}

void cell_store::release(std::uint32_t index) const noexcept { all.free.push(index, link_of); }

std::size_t cell_store::in_use() noexcept { return all.used.load(relaxed) - 1 - all.free.size(link_of); }

}  // namespace rondo::detail
