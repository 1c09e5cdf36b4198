#include "soloists.hpp"

#include <mutex>
#include <new>
#include <vector>

namespace rondo::detail {
namespace {

struct soloists {
    std::mutex lock;
    std::vector<lowlevel::soloist*> idle;
    std::size_t made = 0;
    static soloists& get() {
        static auto* all = new soloists;
        return *all;
    }
};

}  // namespace

soloist_ptr take_soloist() noexcept {
    if (!has_asymmetric_fences()) return nullptr;
    try {
        auto& all = soloists::get();
        std::lock_guard hold(all.lock);
        if (all.idle.empty()) {
            all.idle.reserve(all.made + 1);           // so that giving it back cannot fail
            all.idle.push_back(new lowlevel::soloist);
            ++all.made;
        }
        soloist_ptr s(all.idle.back());
        all.idle.pop_back();
        return s;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// The lock hands on what its thread has done: the next one owns its objects, too.
void give_soloist_back::operator()(lowlevel::soloist* s) const noexcept {
    s->opened.store(0, relaxed);
    auto& all = soloists::get();
    std::lock_guard hold(all.lock);
    all.idle.push_back(s);
}

}  // namespace rondo::detail
