#include "precise.hpp"

#ifdef RONDO_TSAN_PRECISE

#include <sanitizer/tsan_interface.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "stack_arena.hpp"
#include "worker.hpp"

extern "C" {
// Of the sanitizer's run-time library, which declares them in no header that it installs.
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
void __tsan_java_alloc(std::uintptr_t from, std::uintptr_t bytes);
void __tsan_java_free(std::uintptr_t from, std::uintptr_t bytes);
}

namespace rondo::detail::precise {
namespace {

struct loop {
    void* fiber = nullptr;
    const worker* of = nullptr;
};
thread_local constinit loop loop_of_this_thread;

[[gnu::noinline]] loop loop_here() noexcept {
    loop* here = &loop_of_this_thread;
    asm volatile("" : "+r"(here));                    // as in worker::current()
    return *here;
}

void switch_to(void* fiber) noexcept {
    if (fiber != __tsan_get_current_fiber()) __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}

void ignore(bool yes) noexcept {
    if (yes) {
        AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    } else {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
        AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    }
}

// A tasklet's, by its id. Those that share one are so far apart that nothing is lost; nothing is wrong if they meet.
std::array<std::uint64_t, 1 << 14> words;
std::uint64_t& word_of(std::uint64_t id) noexcept { return words[id % words.size()]; }

const void* word_of(const lowlevel::waiter& who) noexcept {
    return who.is_tasklet ? static_cast<const void*>(&word_of(static_cast<const task&>(who).id.load(relaxed))) : &who;
}

// Those of the last tasklets that have ended. The sanitizer reports a race only if it still knows where both were, and of
// threads that have ended it remembers 64. More than these would be for nothing: it has 255 clocks, which threads use in turn,
// and takes whoever had one before for ordered as soon as the next one is.
class ended_fibers {
public:
    void add(void* fiber) noexcept {
        // acq_rel: whoever destroys it comes after the thread that it was last on.
        void* const oldest = kept_[next_.fetch_add(1, relaxed) % kept_.size()].exchange(fiber, acq_rel);
        if (oldest) __tsan_destroy_fiber(oldest);
    }

private:
    std::array<atomic<void*>, 256> kept_{};
    atomic<std::size_t> next_{0};
};
constinit ended_fibers ended;

// By a loop, which passes nothing on: else a fiber begins with what its maker has seen.
void* fiber_of(const task& t) noexcept {
    const on_loop maker;
    void* const fiber = __tsan_create_fiber(0);
    std::array<char, 64> text;                        // as much as the sanitizer keeps
    const auto id = static_cast<unsigned long long>(t.id.load(relaxed));
    if (const auto* extra = t.extra.load(relaxed); extra && !extra->name.empty()) {
        std::snprintf(text.data(), text.size(), "tasklet %llu \"%s\"", id, extra->name.c_str());
    } else if (t.where.line() != 0) {
        const char* const path = t.where.file_name();
        const char* const slash = std::strrchr(path, '/');
        std::snprintf(text.data(), text.size(), "tasklet %llu, %.30s:%u", id, slash ? slash + 1 : path,
                      static_cast<unsigned>(t.where.line()));
    } else {
        std::snprintf(text.data(), text.size(), "tasklet %llu", id);
    }
    __tsan_set_fiber_name(fiber, text.data());
    return fiber;
}

// What others have left below `frame`, as deep as any of them has been. Who switched from the arena's stacks to others of the
// same memory has forgotten, too.
[[gnu::noinline]] void forget_below(const stack& s, char* frame) noexcept {
    const auto page = stack::page();
    std::array<unsigned char, 256> is_there;
    char* from = s.limit;
    while (from < frame) {                            // up to the lowest page that has ever been written to
        const auto pages = std::min(is_there.size(), (static_cast<std::size_t>(frame - from) + page - 1) / page);
        if (::mincore(from, pages * page, is_there.data()) != 0) break;
        const auto* const first = std::find_if(is_there.data(), is_there.data() + pages, [](unsigned char c) { return c & 1; });
        from += static_cast<std::size_t>(first - is_there.data()) * page;
        if (first != is_there.data() + pages) break;
    }
    if (from < frame) forget(from, static_cast<std::size_t>(frame - from) / 8 * 8);
}

}  // namespace

void begin_loop(const worker& w) noexcept {
    loop_of_this_thread = {__tsan_get_current_fiber(), &w};
    from_here(static_cast<const void*>(&w));
    ignore(true);
}
void end_loop() noexcept { ignore(false); }

void from_here(const void* at) noexcept { __tsan_release(const_cast<void*>(at)); }
void to_here(const void* at) noexcept { __tsan_acquire(const_cast<void*>(at)); }
void from_here(std::uint64_t id) noexcept { from_here(static_cast<const void*>(&word_of(id))); }
void to_here(std::uint64_t id) noexcept { to_here(static_cast<const void*>(&word_of(id))); }
void from_here(const lowlevel::waiter& who) noexcept { from_here(word_of(who)); }
void to_here(const lowlevel::waiter& who) noexcept { to_here(word_of(who)); }

void to_here_from_stop(const lowlevel::waiter& me) noexcept {
    to_here(me);
    if (!me.is_tasklet) return;
    for (const task* t = static_cast<const task&>(me).joiner_below(); t; t = t->joiner_below()) to_here(*t);
}

void from_end_of(const task& t) noexcept {
    from_here(t);
    if (const auto* g = t.in_group.load(relaxed)) from_here(static_cast<const void*>(g));
}

void forget(void* from, std::size_t bytes) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(from);
    __tsan_java_alloc(address, bytes);
    __tsan_java_free(address, bytes);                 // and what it says of locks and atomics there
}

void forget_errno() noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(&errno);
    forget(reinterpret_cast<void*>(address & ~std::uintptr_t{7}), 8);
}

// All but the word, which others may be reaching for.
void forget_last_tasklet_in(task& t) noexcept {
    auto* const from = reinterpret_cast<char*>(&t.deadline_ns);
    forget(from, static_cast<std::size_t>(reinterpret_cast<char*>(&t + 1) - from));
}

as_tasklet::as_tasklet(task& t, const stack& s, on_top_of what) noexcept
    : joiner_(what == on_top_of::joiner ? __tsan_get_current_fiber() : nullptr), own_(fiber_of(t)) {
    forget_below(s, static_cast<char*>(__builtin_frame_address(0)));
    forget_errno();
    switch_to(own_);
    to_here(static_cast<const void*>(loop_here().of));
    to_here(t);
}
as_tasklet::~as_tasklet() {
    from_here(static_cast<const void*>(&loop_here().of->home));
    switch_to(joiner_ ? joiner_ : loop_here().fiber);
    ended.add(own_);
}

on_loop::on_loop() noexcept : from_(loop_here().of) {
    void* const loop = loop_here().fiber;
    if (!loop || loop == __tsan_get_current_fiber()) return;
    me_ = __tsan_get_current_fiber();
    switch_to(loop);
}
on_loop::~on_loop() {
    if (!me_) return;
    switch_to(me_);
    const worker* const now = loop_here().of;
    if (now != from_) to_here(static_cast<const void*>(now));     // the thread-locals there have been made by now
}

unseen::unseen() noexcept { ignore(true); }
unseen::~unseen() { ignore(false); }

}  // namespace rondo::detail::precise

#endif
