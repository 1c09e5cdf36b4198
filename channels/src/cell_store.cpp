// Free segments are a stack (R. K. Treiber, 1986), linked by index; the head carries a count against ABA. Reading the link
// of a segment that somebody else has just taken is harmless: the memory stays what it is, and the count has changed.
//
//   word            who may change it        how                           next
//   free            release(), anybody       CAS acq_rel, count + 1        the segment, above those that were there
//                   allocate(), anybody      CAS acq_rel, count + 1        the one below it
//   segment::link   release(), whose it is   store relaxed, before that    the index of the one below it
//   used            allocate(), free empty   CAS relaxed, +1               one more has been given out, after it was opened
//   open            is_open(), under lock    store release                 the memory may be touched up to here
//
// I1  Whoever has taken an index off `free`, or has moved `used` past it, alone has that segment until release().
// Progress: lock-free, but for the first one of each 1024, which is opened under a lock.
// Checked:  tests/stress/channel_stress_test.cpp (TSan).
#include <rondo/detail/cell_store.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <mutex>

#include <rondo/detail/atomic.hpp>

namespace rondo::detail {

constinit cell_store::segment* cell_store::memory = nullptr;

template class cell_queue<cell_store>;
template class cell_queue<cell_store, true>;

namespace {

constexpr std::uint64_t index_mask = (1u << 24) - 1, one_count = 1u << 24;

struct pool {
    alignas(64) atomic<std::uint64_t> free{0};                  // {count:40 | index:24}
    alignas(64) atomic<std::uint32_t> used{1};                  // never given out yet: from here on; 0 is no segment
    std::uint32_t limit = 0;
    atomic<std::uint32_t> open{0};                              // the memory may be touched up to here
    std::mutex opening;
};
constinit pool all;

// Address space costs nothing, but a process may be limited in it; then there are fewer. It is opened piece by piece:
// memory checkers and core dumps go through all that may be touched.
std::uint32_t reserve(cell_store::segment*& memory) noexcept {
    for (std::size_t n = std::size_t{1} << 24; n >= 1024; n /= 4) {
        void* p = ::mmap(nullptr, n * sizeof(cell_store::segment), PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        memory = static_cast<cell_store::segment*>(p);          // zeros are what a new segment consists of
        return static_cast<std::uint32_t>(n);
    }
    return 0;
}

bool is_open(cell_store::segment* memory, std::uint32_t i) noexcept {
    // acquire: pairs with the release below.
    if (i < all.open.load(acquire)) return true;
    const std::lock_guard hold(all.opening);
    auto open = all.open.load(relaxed);
    while (i >= open) {
        const auto more = std::min(all.limit - open, std::uint32_t{1024});
        if (::mprotect(static_cast<void*>(memory + open), more * sizeof(cell_store::segment), PROT_READ | PROT_WRITE) != 0)
            return false;
        all.open.store(open += more, release);
    }
    return true;
}

}  // namespace

std::uint32_t cell_store::allocate() const noexcept {
    // acquire: pairs with the release of whoever put it there.
    auto head = all.free.load(acquire);
    while (const auto i = static_cast<std::uint32_t>(head & index_mask)) {
        const auto next = memory[i].link.load(relaxed);
        if (all.free.compare_exchange_weak(head, ((head & ~index_mask) + one_count) | next, acq_rel, acquire)) return i;
    }
    static std::once_flag reserved;
    std::call_once(reserved, [] { all.limit = reserve(memory); });
    auto i = all.used.load(relaxed);
    do
        if (i >= all.limit || !is_open(memory, i)) return 0;
    while (!all.used.compare_exchange_weak(i, i + 1, relaxed, relaxed));
    return i;
}

void cell_store::release(std::uint32_t index) const noexcept {
    auto head = all.free.load(relaxed);
    do memory[index].link.store(static_cast<std::uint32_t>(head & index_mask), relaxed);
    // release: pairs with the acquire in allocate(): who gets it sees that we are done with it.
    while (!all.free.compare_exchange_weak(head, ((head & ~index_mask) + one_count) | index, acq_rel, relaxed));
}

std::size_t cell_store::in_use() noexcept {
    std::size_t n = all.used.load(relaxed) - 1;
    for (auto i = static_cast<std::uint32_t>(all.free.load(acquire) & index_mask); i; i = memory[i].link.load(relaxed)) --n;
    return n;
}

}  // namespace rondo::detail
