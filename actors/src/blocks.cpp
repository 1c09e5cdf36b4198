// Memory for messages, answers and actors: blocks of 64, 128, ... bytes in magazines per thread and size, exchanged with a
// common store, so that a message that is made on one worker and freed on another costs no lock (after J. Bonwick, J. Adams,
// "Magazines and vmem", 2001).
// Never given back to the system. (Under AddressSanitizer, and in ThreadSanitizer's precise mode: the system's own, so that they
// see use after free and leaks, and who uses a block next is not taken for its last user's rival.)
#include <rondo/detail/message.hpp>

#include <array>
#include <mutex>
#include <new>
#include <utility>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

#if defined(RONDO_ASAN) || defined(RONDO_TSAN_PRECISE)
void* take_block(std::size_t lines) { return ::operator new(lines * 64, std::align_val_t{64}); }
fresh_block take_next_block(std::size_t lines) { return {take_block(lines), nullptr}; }
void give_block(void* block, std::size_t) noexcept { ::operator delete(block, std::align_val_t{64}); }
#else
namespace {

constexpr std::size_t pooled_lines = 4, batch = 64, chunk_batches = 8;
constexpr std::ptrdiff_t ahead = 6, behind = 8;

// Blocks by their addresses: neither taking nor giving one touches it, and those that come next can be fetched from the
// cache of the worker that has freed them while one is being filled.
struct magazine {
    magazine* next = nullptr;    // in the store
    void** top = at();           // one past the last block; of an open one: see cache
    // So that a look at what comes next, or was before, stays inside.
    std::array<void*, ahead + batch + behind> entries{};

    void** at() noexcept { return entries.data() + ahead; }
    [[nodiscard]] bool is_empty() noexcept { return top == at(); }
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
        auto& list = m->is_empty() ? empty : filled;
        m->next = list;
        list = m;
    }
};

// Two magazines, so that taking and giving at a boundary does not go to the store each time. Neither at first.
struct cache {
    void** top = nullptr;                  // of the open one
    void** bottom = nullptr;
    void** end = nullptr;                  // how far `top` may go
    magazine* open = nullptr;
    magazine* other = nullptr;             // full or empty

    void use(magazine* m) noexcept {
        open = m;
        top = m->top;
        bottom = m->at();
        end = m->at() + batch;
    }
    magazine* release() noexcept {         // the open one
        if (open) open->top = top;
        return std::exchange(open, nullptr);
    }
    void exchange() noexcept {
        magazine* const m = release();
        use(other);
        other = m;
    }
};

thread_local constinit std::array<cache, pooled_lines> mine{};
thread_local bool is_registered = false;

// Gives a thread's magazines to the store when it ends. (What is given afterwards, by later destructors, stays with it.)
struct at_thread_end {
    ~at_thread_end() {
        for (std::size_t i = 0; i < pooled_lines; ++i) {
            cache c = std::exchange(mine[i], {});
            auto& s = store::all()[i];
            std::lock_guard hold(s.lock);
            if (magazine* const m = c.release()) s.put(m);
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

// So that the open one has a block.
void refill(cache& c, std::size_t size) {
    if (!is_registered) register_thread();
    if (c.other && !c.other->is_empty()) return c.exchange();
    auto& s = store::all()[size];
    {
        std::lock_guard hold(s.lock);
        if (magazine* const m = s.filled) {
            s.filled = m->next;
            if (magazine* const before = c.release()) s.put(before);
            return c.use(m);
        }
    }
    if (!c.open) c.use(new magazine);
    {
        std::lock_guard hold(s.lock);
        for (; s.loose && c.top != c.end; s.loose = s.loose->next) *c.top++ = s.loose;
    }
    if (c.top != c.bottom) return;
    const std::size_t bytes = (size + 1) * 64;
    char* const first = take_fresh(s, bytes * batch);
    for (std::size_t i = batch; i-- > 0;) *c.top++ = first + i * bytes;
}

// So that the open one has room. False: there is no memory for a magazine.
bool spill(cache& c, std::size_t size) noexcept {
    if (!is_registered) register_thread();
    if (!c.other || !c.other->is_empty()) {
        auto& s = store::all()[size];
        std::lock_guard hold(s.lock);
        magazine* const fresh = s.empty ? std::exchange(s.empty, s.empty->next) : new (std::nothrow) magazine;
        if (!fresh) return false;
        if (c.other) s.put(c.other);
        c.other = fresh;
    }
    c.exchange();
    return true;
}

fresh_block take_at(cache& c) noexcept {
    void** const top = --c.top;
    fetch_to_write(top[-ahead]);
    return {*top, top[behind]};            // what has been taken still stands there
}
[[gnu::noinline]] fresh_block take_slowly(std::size_t lines) {
    if (lines > pooled_lines) return {::operator new(lines * 64, std::align_val_t{64}), nullptr};
    cache& c = mine[lines - 1];
    refill(c, lines - 1);
    return take_at(c);
}
[[gnu::noinline]] void give_slowly(void* block, std::size_t lines) noexcept {
    if (lines > pooled_lines) return ::operator delete(block, std::align_val_t{64});
    cache& c = mine[lines - 1];
    if (spill(c, lines - 1)) {
        *c.top++ = block;
        return;
    }
    auto& s = store::all()[lines - 1];
    std::lock_guard hold(s.lock);
    s.loose = ::new (block) loose_block{s.loose};
}

}  // namespace

// Out of line: nobody keeps a thread-local's address over a call that may suspend.
[[gnu::noinline]] fresh_block take_next_block(std::size_t lines) {
    if (lines > pooled_lines || mine[lines - 1].top == mine[lines - 1].bottom) [[unlikely]] return take_slowly(lines);
    return take_at(mine[lines - 1]);
}
void* take_block(std::size_t lines) { return take_next_block(lines).at; }

[[gnu::noinline]] void give_block(void* block, std::size_t lines) noexcept {
    if (lines > pooled_lines || mine[lines - 1].top == mine[lines - 1].end) [[unlikely]] return give_slowly(block, lines);
    *mine[lines - 1].top++ = block;
}
#endif

}  // namespace rondo::detail
