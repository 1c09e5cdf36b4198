#include "stack_arena.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#include "precise.hpp"
#include "unwatched.hpp"

#ifdef RONDO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
#include <sanitizer/tsan_interface.h>
#endif
#ifdef RONDO_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

namespace rondo::detail {
namespace {

constexpr int madv_guard_install = 102;        // MADV_GUARD_INSTALL, Linux 6.13; not in older headers
constexpr std::size_t canary_bytes = 1024;     // below the limit; frames that leave no trace in so many are rare
constexpr std::size_t colours = 16, colour_bytes = 128;

// mprotect splits mappings: leave the rest of the process most of vm.max_map_count.
constexpr std::size_t most_mprotected = 12'000;
std::atomic<std::size_t> mprotected{0};        // by all arenas: that limit is the process's

#ifdef RONDO_ASAN
constexpr std::size_t chunk_bytes = 4 << 20;   // LeakSanitizer reads a chunk as a root: keep them small
constexpr bool may_install = false;            // and it must see the guards in the process's map
#else
constexpr std::size_t chunk_bytes = 64 << 20;
constexpr bool may_install = true;
#endif

bool guard_install(char* page, std::size_t bytes) noexcept {
    static std::atomic<int> known{-1};         // what the kernel answered the first time
    if (known.load(relaxed) == 0) return false;
    const bool ok = ::madvise(page, bytes, madv_guard_install) == 0;
    if (known.load(relaxed) < 0) known.store(ok ? 1 : 0, relaxed);
    return ok;
}

}  // namespace

constinit guard_limits stack_arena::guards{may_install, most_mprotected};

std::size_t stack::page() noexcept {
    static const std::size_t bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return bytes;
}

std::size_t stack_arena::class_bytes(std::size_t wanted) noexcept {
    return std::bit_ceil(std::clamp(wanted, smallest_bytes, largest_bytes));
}

stack_arena::stack_arena(std::size_t default_bytes, std::size_t limit_bytes)
    : default_bytes_(class_bytes(default_bytes)), limit_bytes_(limit_bytes) {
    for (auto bytes = smallest_bytes; bytes <= largest_bytes; bytes *= 2) classes_.push_back({.bytes = bytes});
}

stack_arena::~stack_arena() {
    for (auto& c : chunks_) {
        for (std::size_t i = 0; i < c.count; ++i) {
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
            if (c.records[i].tsan_fiber) __tsan_destroy_fiber(c.records[i].tsan_fiber);
#endif
#ifdef RONDO_HAVE_VALGRIND
            if (c.records[i].base) VALGRIND_STACK_DEREGISTER(c.records[i].valgrind_id);
#endif
        }
#ifdef RONDO_ASAN
        __lsan_unregister_root_region(c.base, c.bytes);
        __asan_unpoison_memory_region(c.base, c.bytes);
#endif
        ::munmap(c.base, c.bytes);
    }
    mprotected.fetch_sub(made(guard_kind::mprotected), relaxed);
}

stack_arena::size_class& stack_arena::class_of(std::size_t bytes) noexcept {
    return classes_[static_cast<std::size_t>(std::countr_zero(class_bytes(bytes)) - std::countr_zero(smallest_bytes))];
}

bool stack_arena::new_chunk(size_class& c) noexcept {
    auto bytes = std::max(chunk_bytes, c.bytes);
    if (limit_bytes_) {
        const auto left = limit_bytes_ > reserved_ ? limit_bytes_ - reserved_ : 0;
        bytes = std::min(bytes, left / c.bytes * c.bytes);
        if (bytes == 0) return false;
    }
    for (;; bytes /= 2) {
        void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            ::madvise(p, bytes, MADV_NOHUGEPAGE);      // a huge page would make every stack resident
            const auto count = bytes / c.bytes;
            try {
                chunks_.push_back({static_cast<char*>(p), bytes, std::make_unique<stack[]>(count), count});
            } catch (const std::bad_alloc&) {
                ::munmap(p, bytes);
                return false;
            }
            break;
        }
        if (bytes / 2 < c.bytes) return false;
    }
#ifdef RONDO_ASAN
    __lsan_register_root_region(chunks_.back().base, bytes);
#endif
    reserved_ += bytes;
    c.carving = &chunks_.back();
    c.carved = 0;
    return true;
}

guard_kind stack_arena::guard(char* page, bool is_lowest) noexcept {
    const auto bytes = stack::page();
    if (guards_.may_install && guard_install(page, bytes)) return guard_kind::installed;
    const bool has_room = mprotected.fetch_add(1, relaxed) < guards_.most_mprotected;
    if ((has_room || is_lowest) && ::mprotect(page, bytes, PROT_NONE) == 0) return guard_kind::mprotected;
    mprotected.fetch_sub(1, relaxed);
    return guard_kind::canary;
}

stack* stack_arena::carve(size_class& c) noexcept {
    if ((!c.carving || c.carved == c.carving->count) && !new_chunk(c)) return nullptr;
    stack& s = c.carving->records[c.carved];
    s.base = c.carving->base + c.carved * c.bytes;
    s.size = c.bytes;
    s.size_class = static_cast<std::uint8_t>(&c - classes_.data());
    s.top = s.base + s.size - (c.carved % colours) * colour_bytes;
    s.limit = s.base + stack::page();
    s.guard = guard(s.base, c.carved == 0);
    ++c.carved;
    made_[static_cast<std::size_t>(s.guard)].fetch_add(1, relaxed);
#if defined(RONDO_TSAN) && !defined(RONDO_TSAN_PRECISE)
    s.tsan_fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(s.tsan_fiber, "rondo stack");
#endif
#ifdef RONDO_HAVE_VALGRIND
    s.valgrind_id = VALGRIND_STACK_REGISTER(s.base, s.base + s.size);
#endif
    return &s;
}

stack* stack_arena::get(std::size_t bytes) noexcept {
    const precise::unseen under_a_lock;
    std::lock_guard hold(lock_);
    auto& c = class_of(bytes);
    for (auto* list : {&c.used, &c.trimmed})
        if (stack* s = *list) {
            *list = s->next;
            return s;
        }
    return carve(c);
}

stack* stack_arena::get_batch(std::size_t n) noexcept {
    stack* first = nullptr;
    while (n--) {
        stack* s = get(default_bytes_);
        if (!s) break;
        s->next = first;
        first = s;
    }
    return first;
}

void stack_arena::put(stack* s) noexcept {
    std::lock_guard hold(lock_);
    auto& c = classes_[s->size_class];
    s->next = c.used;
    c.used = s;
}

void stack_arena::put_batch(stack* first, stack* last) noexcept {
    std::lock_guard hold(lock_);
    auto& c = classes_[first->size_class];
    last->next = c.used;
    c.used = first;
}

bool stack_arena::trim(std::size_t n) noexcept {
    for (auto& c : classes_) {
        for (;;) {
            stack* s;
            {
                std::lock_guard hold(lock_);
                s = c.used;
                if (!s) break;
                if (n-- == 0) return true;
                c.used = s->next;
            }
            const auto page = stack::page();
            char* from = s->limit;
            char* to = s->base + s->size - page;
            if (from < to) {
                precise::forget(from, static_cast<std::size_t>(to - from));
                ::madvise(from, static_cast<std::size_t>(to - from), MADV_FREE);
            }
            std::lock_guard hold(lock_);
            s->next = c.trimmed;
            c.trimmed = s;
        }
    }
    return false;
}

bool stack_arena::in_guard(const stack& s, const void* address) noexcept {
    const auto* a = static_cast<const char*>(address);
    return !s.native && a >= s.base && a < s.base + stack::page();
}

// Where a frame has been there may be what AddressSanitizer put round its variables.
RONDO_UNWATCHED bool stack_arena::has_traces(const stack& s) noexcept {
    const auto* const end = reinterpret_cast<const std::uint64_t*>(s.limit);
    std::uint64_t any = 0;
    for (const auto* at = end - canary_bytes / sizeof *end; at != end; ++at) any |= *at;
    return any != 0;
}

bool stack_arena::kernel_installs_guards() noexcept {
    const auto bytes = stack::page();
    void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    const bool does = ::madvise(page, bytes, madv_guard_install) == 0;
    ::munmap(page, bytes);
    return does;
}

}  // namespace rondo::detail
