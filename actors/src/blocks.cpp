// Memory for messages, answers and actors: blocks of 64, 128, ... bytes in magazines per thread and size, exchanged with a
// common store, so that a message that is made on one worker and freed on another costs no lock (after J. Bonwick, J. Adams,
// "Magazines and vmem", 2001).
// Never given back to the system. (Under AddressSanitizer: the system's own, so that it sees use after free and leaks.)
#include <rondo/detail/message.hpp>

#include <array>
#include <mutex>
#include <new>
#include <utility>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

#ifdef RONDO_ASAN
void* take_block(std::size_t lines) { return ::operator new(lines * 64, std::align_val_t{64}); }
fresh_block take_next_block(std::size_t lines) { return {take_block(lines), nullptr}; }
void give_block(void* block, std::size_t) noexcept { ::operator delete(block, std::align_val_t{64}); }
#else
namespace {

constexpr std::size_t pooled_lines = 4, batch = 64, chunk_batches = 8, ahead = 6, behind = 8;

// Blocks by their addresses: neither taking nor giving one touches it, and those that come next can be fetched from the
// cache of the worker that has freed them while one is being filled.
struct magazine {
    std::size_t count = 0;
    magazine* next = nullptr;    // in the store
    std::array<void*, batch> at{};
};

struct loose_block {
    loose_block* next;
};

struct store {
    lowlevel::spin_lock lock;
    magazine* filled = nullptr;
    magazine* empty = nullptr;
    loose_block* loose = nullptr;          // given when there was no memory for a magazine
    char *fresh = nullptr, *end = nullptr; // of a chunk: never taken yet
    static std::array<store, pooled_lines>& all() {
        static auto* stores = new std::array<store, pooled_lines>;      // never destroyed: threads end at any time
        return *stores;
    }
    void put(magazine* m) noexcept {
        auto& list = m->count ? filled : empty;
        m->next = list;
        list = m;
    }
};

// Two magazines, so that taking and giving at a boundary does not go to the store each time. Neither at first.
struct cache {
    magazine* open = nullptr;
    magazine* other = nullptr;             // full or empty
};

thread_local constinit std::array<cache, pooled_lines> mine{};
thread_local bool is_registered = false;

// Gives a thread's magazines to the store when it ends. (What is given afterwards, by later destructors, stays with it.)
struct at_thread_end {
    ~at_thread_end() {
        for (std::size_t i = 0; i < pooled_lines; ++i) {
            const cache c = std::exchange(mine[i], {});
            auto& s = store::all()[i];
            std::lock_guard hold(s.lock);
            if (c.open) s.put(c.open);
            if (c.other) s.put(c.other);
        }
    }
};

[[gnu::noinline]] void register_thread() noexcept {
    static thread_local at_thread_end end;
    (void)end;
    is_registered = true;
}

// Memory for a batch. Throws std::bad_alloc.
char* take_fresh(store& s, std::size_t bytes) {
    for (;;) {
        {
            std::lock_guard hold(s.lock);
            if (s.fresh != s.end) return std::exchange(s.fresh, s.fresh + bytes);
        }
        char* const chunk = static_cast<char*>(::operator new(bytes * chunk_batches, std::align_val_t{64}));
        std::unique_lock hold(s.lock);
        if (s.fresh == s.end) {
            s.fresh = chunk + bytes;
            s.end = chunk + bytes * chunk_batches;
            return chunk;
        }
        hold.unlock();                     // somebody else was faster
        ::operator delete(chunk, std::align_val_t{64});
    }
}

// So that `open` has a block.
[[gnu::noinline]] void refill(std::size_t size) {
    cache& c = mine[size];
    if (!is_registered) register_thread();
    if (c.other && c.other->count) return std::swap(c.open, c.other);
    auto& s = store::all()[size];
    {
        std::lock_guard hold(s.lock);
        if (magazine* const m = s.filled) {
            s.filled = m->next;
            if (c.open) s.put(c.open);
            c.open = m;
            return;
        }
    }
    if (!c.open) c.open = new magazine;
    {
        std::lock_guard hold(s.lock);
        for (; s.loose && c.open->count < batch; s.loose = s.loose->next) c.open->at[c.open->count++] = s.loose;
    }
    if (c.open->count) return;
    const std::size_t bytes = (size + 1) * 64;
    char* const first = take_fresh(s, bytes * batch);
    for (std::size_t i = 0; i < batch; ++i) c.open->at[i] = first + (batch - 1 - i) * bytes;
    c.open->count = batch;
}

// So that `open` has room. False: there is no memory for a magazine.
[[gnu::noinline]] bool spill(std::size_t size) noexcept {
    cache& c = mine[size];
    if (!is_registered) register_thread();
    if (!c.other || c.other->count) {
        auto& s = store::all()[size];
        std::lock_guard hold(s.lock);
        magazine* const fresh = s.empty ? std::exchange(s.empty, s.empty->next) : new (std::nothrow) magazine;
        if (!fresh) return false;
        if (c.other) s.put(c.other);
        c.other = fresh;
    }
    std::swap(c.open, c.other);
    return true;
}

}  // namespace

// Out of line: nobody keeps a thread-local's address over a call that may suspend.
[[gnu::noinline]] fresh_block take_next_block(std::size_t lines) {
    if (lines > pooled_lines) [[unlikely]] return {::operator new(lines * 64, std::align_val_t{64}), nullptr};
    cache& c = mine[lines - 1];
    if (!c.open || c.open->count == 0) [[unlikely]] refill(lines - 1);
    magazine& m = *c.open;
    const auto n = --m.count;
    if (n >= ahead) fetch_to_write(m.at[n - ahead]);
    return {m.at[n], n + behind < batch ? m.at[n + behind] : nullptr};       // what has been taken still stands there
}
void* take_block(std::size_t lines) { return take_next_block(lines).at; }

[[gnu::noinline]] void give_block(void* block, std::size_t lines) noexcept {
    if (lines > pooled_lines) [[unlikely]] return ::operator delete(block, std::align_val_t{64});
    cache& c = mine[lines - 1];
    if ((!c.open || c.open->count == batch) && !spill(lines - 1)) [[unlikely]] {
        auto& s = store::all()[lines - 1];
        std::lock_guard hold(s.lock);
        s.loose = ::new (block) loose_block{s.loose};
        return;
    }
    c.open->at[c.open->count++] = block;
}
#endif

}  // namespace rondo::detail
