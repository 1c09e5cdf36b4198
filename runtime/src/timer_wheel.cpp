#include "timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace rondo::detail {
namespace {

// Merge sort of a list linked by `next`: the earliest deadline first, equal ones in the order in which they were armed.
timer_entry* sorted(timer_entry* list) noexcept {
    if (!list || !list->next) return list;
    timer_entry *slow = list, *fast = list->next;
    while (fast && fast->next) slow = slow->next, fast = fast->next->next;
    timer_entry* right = sorted(std::exchange(slow->next, nullptr));
    timer_entry* left = sorted(list);
    timer_entry* result = nullptr;
    timer_entry** end = &result;
    while (left && right) {
        const bool right_first = right->deadline_ns < left->deadline_ns ||
                                 (right->deadline_ns == left->deadline_ns && right->number < left->number);
        timer_entry*& from = right_first ? right : left;
        timer_entry* const e = from;
        from = e->next;
        *end = e;
        end = &e->next;
    }
    *end = left ? left : right;
    return result;
}

}  // namespace

void timer_wheel::link(timer_entry& e) noexcept {
    const auto tick = std::max(tick_of(e.deadline_ns), elapsed_);
    const auto differing = (tick ^ elapsed_) | (slots - 1);
    auto level = static_cast<unsigned>(63 - std::countl_zero(differing)) / bits;
    if (level >= levels) level = levels - 1;
    const auto slot = static_cast<unsigned>(tick >> (level * bits)) & (slots - 1);
    const auto place = level * slots + slot;
    e.place = static_cast<std::uint16_t>(place);
    e.prev = nullptr;
    e.next = head_[place];
    if (e.next) e.next->prev = &e;
    head_[place] = &e;
    occupied_[level] |= 1ull << slot;
    e.linked = true;
}

void timer_wheel::remove(timer_entry& e) noexcept {
    (e.prev ? e.prev->next : head_[e.place]) = e.next;
    if (e.next) e.next->prev = e.prev;
    if (!head_[e.place]) occupied_[e.place / slots] &= ~(1ull << (e.place % slots));
    e.linked = false;
}

void timer_wheel::insert_locked(timer_entry& e) noexcept {
    e.home = this;
    e.number = ++armed_;
    link(e);
    size_.store(size_.load(relaxed) + 1, relaxed);
    if (e.deadline_ns < hint_.load(relaxed)) hint_.store(e.deadline_ns, relaxed);
}

void timer_wheel::insert(timer_entry& e) noexcept {
    lock();
    insert_locked(e);
    unlock();
}

void timer_wheel::cancel(timer_entry& e) noexcept {
    if (!e.home) return;
    timer_wheel& w = *e.home;
    w.lock();
    if (e.linked) {
        w.remove(e);
        w.size_.store(w.size_.load(relaxed) - 1, relaxed);
        if (w.size_.load(relaxed) == 0) w.hint_.store(never, relaxed);
    }
    w.unlock();
}

bool timer_wheel::first_slot(unsigned& level, unsigned& slot, std::uint64_t& tick) const noexcept {
    for (level = 0; level < levels; ++level) {
        if (!occupied_[level]) continue;
        const auto now_slot = static_cast<unsigned>(elapsed_ >> (level * bits)) & (slots - 1);
        const auto distance =
            static_cast<unsigned>(std::countr_zero(std::rotr(occupied_[level], static_cast<int>(now_slot))));
        slot = (now_slot + distance) & (slots - 1);
        const auto span = 1ull << (level * bits);
        tick = (elapsed_ & ~(span * slots - 1)) + slot * span;
        if (tick < (elapsed_ & ~(span - 1))) tick += span * slots;      // the next lap of the last level
        tick = std::max(tick, elapsed_);
        return true;
    }
    return false;
}

std::int64_t timer_wheel::first_deadline() const noexcept {
    unsigned level, slot;
    std::uint64_t tick;
    if (!first_slot(level, slot, tick)) return never;
    // The first slot holds the first deadline. In a crowded slot that is still far off its beginning will do.
    auto first = never;
    unsigned seen = 0;
    for (auto* e = head_[level * slots + slot]; e; e = e->next) {
        if (level > 0 && ++seen > 64) return static_cast<std::int64_t>(tick << shift);
        first = std::min(first, e->deadline_ns);
    }
    return first;
}

std::int64_t timer_wheel::next_deadline() noexcept {
    if (size() == 0) return never;
    lock();
    const auto first = first_deadline();
    hint_.store(first, relaxed);
    unlock();
    return first;
}

timer_entry* timer_wheel::expire(std::int64_t now_ns) noexcept {
    timer_entry* due = nullptr;
    timer_entry** end = &due;
    lock();
    const auto now = tick_of(now_ns);
    unsigned level, slot;
    std::uint64_t tick;
    while (first_slot(level, slot, tick) && tick <= now) {
        elapsed_ = std::max(elapsed_, tick);
        const auto place = level * slots + slot;
        timer_entry* e = head_[place];
        head_[place] = nullptr;
        occupied_[level] &= ~(1ull << slot);
        bool left_some = false;
        while (e) {
            timer_entry* after = e->next;
            e->linked = false;
            if (e->deadline_ns > now_ns) {
                link(*e);                            // further out, or later within this tick
                left_some |= tick_of(e->deadline_ns) <= elapsed_;
            } else {
                size_.store(size_.load(relaxed) - 1, relaxed);
                if (e->fire) {
                    e->fire(*e);
                } else if (e->who->claim(e->generation, e->outcome)) {
                    e->next = nullptr;               // its frame waits for our resume, so it stays valid
                    *end = e;
                    end = &e->next;
                }
            }
            e = after;
        }
        if (left_some) break;
    }
    elapsed_ = std::max(elapsed_, std::min(now, first_slot(level, slot, tick) ? tick : now));
    hint_.store(first_deadline(), relaxed);
    unlock();
    return sorted(due);                              // its depth is the logarithm of their number
}

}  // namespace rondo::detail
