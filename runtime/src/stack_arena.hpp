// Stacks: address space in large chunks, carved into guarded stacks of a few size classes, cached and reused.
//
// A guard page at the low end of every stack, installed by MADV_GUARD_INSTALL where the kernel has it (Linux 6.13): a
// million guards then cost no mapping. Else by mprotect for the first thousands of the process (vm.max_map_count allows
// 65,530 mappings, two a stack), and beyond by a canary: that page stays as it came from the kernel, zeros, and the loop
// that has run a tasklet looks whether it still is (worker.cpp). Looking makes no page resident, since the kernel shows its
// one page of zeros; a word of our own above it would double what a suspended tasklet takes. The lowest stack of a chunk has
// a true guard even then: a recursion without end tramples on its neighbours, but ends there, and is found out.
// Colour: the top of stack i lies (i mod 16) * 128 bytes lower, so that the hot lines of many suspended tasklets do
// not fall into the same cache sets (random resumes among 1,000 and more ran 1.8 times faster).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <rondo/detail/atomic.hpp>
#include <rondo/lowlevel/spin_lock.hpp>

namespace rondo::detail {

/// What is at the low end of a stack.
enum class guard_kind : std::uint8_t { installed, mprotected, canary };

/// Which guards there may be.
struct guard_limits {
    bool may_install;
    std::size_t most_mprotected;       // in the whole process
};

/// One stack. The record is apart from the memory, so that a suspended tasklet touches one page only.
struct stack {
    char* base = nullptr;              // lowest address; the guard page, if any, is the first page
    std::size_t size = 0;
    char* top = nullptr;               // where frames begin: the end less the colour
    char* limit = nullptr;             // the lowest address for frames: above the guard page, if there is one
    stack* next = nullptr;             // in a cache
    void* tsan_fiber = nullptr;
    std::uint8_t size_class = 0;
    guard_kind guard = guard_kind::installed;
    bool native = false;               // the worker thread's own stack
    unsigned valgrind_id = 0;

    static std::size_t page() noexcept;
};

class stack_arena {
public:
    static constexpr std::size_t smallest_bytes = 16 * 1024, largest_bytes = std::size_t{1} << 30;

    /// default_bytes: a power of two, as rounded by class_bytes(). limit_bytes: 0 for none.
    stack_arena(std::size_t default_bytes, std::size_t limit_bytes);
    ~stack_arena();

    /// A stack of at least so many bytes; nullptr: no memory (or over the limit). Thread-safe.
    stack* get(std::size_t bytes) noexcept;
    void put(stack* s) noexcept;
    /// Up to `n` default stacks, linked; at least one unless there is no memory.
    stack* get_batch(std::size_t n) noexcept;
    void put_batch(stack* first, stack* last) noexcept;

    /// Gives back the idle depth of up to n cached stacks (MADV_FREE: all but the top page). True: there are more.
    bool trim(std::size_t n) noexcept;

    [[nodiscard]] std::size_t default_bytes() const noexcept { return default_bytes_; }
    [[nodiscard]] std::size_t made() const noexcept {
        return made(guard_kind::installed) + made(guard_kind::mprotected) + made(guard_kind::canary);
    }
    static std::size_t class_bytes(std::size_t wanted) noexcept;
    [[nodiscard]] std::size_t made(guard_kind k) const noexcept { return made_[static_cast<std::size_t>(k)].load(relaxed); }
    /// Does the address lie in the guard of this stack?
    static bool in_guard(const stack& s, const void* address) noexcept;
    /// Has somebody used more than this stack? Only a canary tells.
    [[nodiscard]] static bool is_overrun(const stack& s) noexcept { return s.guard == guard_kind::canary && has_traces(s); }
    [[nodiscard]] static bool kernel_installs_guards() noexcept;

    /// Of arenas that are made from now on. Tests narrow them, to what other kernels have.
    static guard_limits guards;

private:
    struct chunk {
        char* base;
        std::size_t bytes;
        std::unique_ptr<stack[]> records;
        std::size_t count;
    };
    struct size_class {
        std::size_t bytes = 0;
        stack* used = nullptr;         // have held a tasklet since the last trim
        stack* trimmed = nullptr;
        chunk* carving = nullptr;
        std::size_t carved = 0;
    };
    size_class& class_of(std::size_t bytes) noexcept;
    stack* carve(size_class& c) noexcept;
    bool new_chunk(size_class& c) noexcept;
    guard_kind guard(char* page, bool is_lowest) noexcept;
    static bool has_traces(const stack& s) noexcept;

    const guard_limits guards_ = guards;
    std::size_t default_bytes_, limit_bytes_, reserved_ = 0;
    lowlevel::spin_lock lock_;
    std::vector<size_class> classes_;
    std::deque<chunk> chunks_;
    atomic<std::size_t> made_[3]{};        // by guard_kind
};

}  // namespace rondo::detail
