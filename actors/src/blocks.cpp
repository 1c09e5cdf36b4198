// Memory for messages, answers and actors: blocks of 64, 128, ... bytes in chains per thread and size, exchanged in
// batches with a common store, so that a message that is made on one worker and freed on another costs no lock.
// Never given back to the system. (Under AddressSanitizer: the system's own, so that it sees use after free and leaks.)
#include <rondo/detail/message.hpp>

#include <array>
#include <mutex>
#include <new>

#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

#ifdef RONDO_ASAN
void* take_block(std::size_t lines) { return ::operator new(lines * 64, std::align_val_t{64}); }
void give_block(void* block, std::size_t) noexcept { ::operator delete(block, std::align_val_t{64}); }
#else
namespace {

constexpr std::size_t pooled_lines = 4, batch = 64, chunk_blocks = 256;

struct link {
    link* next;                  // in a batch
    link* next_batch;            // of a batch's first
};

struct store {
    lowlevel::spin_lock lock;
    link* batches = nullptr;
    static std::array<store, pooled_lines>& all() {
        static auto* stores = new std::array<store, pooled_lines>;      // never destroyed: threads end at any time
        return *stores;
    }
};

// Two chains of up to `batch` each, so that taking and giving at a boundary does not go to the store each time.
struct cache {
    link* first = nullptr;
    std::size_t count = 0;
    link* full = nullptr;        // a whole batch, or nullptr
};

thread_local constinit std::array<cache, pooled_lines> mine{};
thread_local bool is_registered = false;

void put_batch(std::size_t size, link* first) noexcept {
    auto& s = store::all()[size];
    std::lock_guard hold(s.lock);
    first->next_batch = s.batches;
    s.batches = first;
}

// Gives a thread's chains to the store when it ends. (What is given afterwards, by later destructors, stays with them.)
struct at_thread_end {
    ~at_thread_end() {
        for (std::size_t i = 0; i < pooled_lines; ++i) {
            cache& c = mine[i];
            if (c.first) put_batch(i, c.first);
            if (c.full) put_batch(i, c.full);
            c = {};
        }
    }
};

[[gnu::noinline]] void register_thread() noexcept {
    static thread_local at_thread_end end;
    (void)end;
    is_registered = true;
}

std::size_t length(const link* l) noexcept {
    std::size_t n = 0;
    for (; l; l = l->next) ++n;
    return n;
}

[[gnu::noinline]] void refill(std::size_t size) {
    cache& c = mine[size];
    if (!is_registered) register_thread();
    if (c.full) {
        c.first = std::exchange(c.full, nullptr);
        c.count = batch;
        return;
    }
    {
        auto& s = store::all()[size];
        std::lock_guard hold(s.lock);
        if (s.batches) {
            c.first = s.batches;
            s.batches = c.first->next_batch;
        }
    }
    if (c.first) {
        c.count = length(c.first);
        return;
    }
    const std::size_t bytes = (size + 1) * 64;
    char* chunk = static_cast<char*>(::operator new(bytes * chunk_blocks, std::align_val_t{64}));
    for (std::size_t b = 0; b < chunk_blocks / batch; ++b) {
        link* first = nullptr;
        for (std::size_t i = batch; i-- > 0;) first = ::new (chunk + (b * batch + i) * bytes) link{first, nullptr};
        if (b > 0) put_batch(size, first);
        else c.first = first;
    }
    c.count = batch;
}

[[gnu::noinline]] void spill(std::size_t size) noexcept {
    cache& c = mine[size];
    if (!is_registered) register_thread();
    if (c.full) put_batch(size, c.full);
    c.full = std::exchange(c.first, nullptr);
    c.count = 0;
}

}  // namespace

// Out of line: nobody keeps a thread-local's address over a call that may suspend.
[[gnu::noinline]] void* take_block(std::size_t lines) {
    if (lines > pooled_lines) [[unlikely]] return ::operator new(lines * 64, std::align_val_t{64});
    cache& c = mine[lines - 1];
    if (!c.first) [[unlikely]] refill(lines - 1);
    link* l = c.first;
    c.first = l->next;
    --c.count;
    return l;
}

[[gnu::noinline]] void give_block(void* block, std::size_t lines) noexcept {
    if (lines > pooled_lines) [[unlikely]] return ::operator delete(block, std::align_val_t{64});
    cache& c = mine[lines - 1];
    if (c.count >= batch) [[unlikely]] spill(lines - 1);
    c.first = ::new (block) link{c.first, nullptr};
    ++c.count;
}
#endif

}  // namespace rondo::detail
