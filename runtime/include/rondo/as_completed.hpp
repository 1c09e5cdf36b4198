// Tasklets in the order in which they end.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/tasklet.hpp>

namespace rondo {
namespace detail {

/// Which of many tasklets ends next.
class completions {
public:
    completions();
    completions(completions&&) noexcept;
    completions& operator=(completions&&) noexcept;
    ~completions();

    void add(task_ref r);                              // they count from 0
    [[nodiscard]] bool empty() const noexcept;         // each has been given
    [[nodiscard]] std::size_t next();                  // unless empty(). May suspend. Throws stopped, usage_error
private:
    struct state;
    std::unique_ptr<state> state_;
};

template <class T>
struct is_tasklet : std::false_type {};
template <class R>
struct is_tasklet<tasklet<R>> : std::true_type {};

template <std::ranges::view View>
class completion_view : public std::ranges::view_interface<completion_view<View>> {
public:
    explicit completion_view(View tasklets) : tasklets_(std::move(tasklets)) {}

    class iterator {
    public:
        using difference_type = std::ptrdiff_t;
        using value_type = std::ranges::range_value_t<View>;
        explicit iterator(completion_view& of) : of_(&of) {}
        value_type& operator*() const { return *of_->current_; }
        iterator& operator++() {
            of_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return !of_->current_; }

    private:
        completion_view* of_;
    };

    iterator begin() {
        for (auto& t : tasklets_) {
            if (!t.joinable())
                throw usage_error("rondo::as_completed: a handle in the range is empty (already joined, or moved from)");
            pending_.add(t.ref());
            handles_.push_back(std::addressof(t));
        }
        advance();
        return iterator(*this);
    }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    void advance() { current_ = pending_.empty() ? nullptr : handles_[pending_.next()]; }

    View tasklets_;
    completions pending_;
    std::vector<std::ranges::range_value_t<View>*> handles_;
    std::ranges::range_value_t<View>* current_ = nullptr;
};

}  // namespace detail

/// The tasklets of a range, each as soon as it has ended, so that join() on it does not wait:
///
///     for (auto& t : rondo::as_completed(tasklets)) use(t.join());
///
/// A lvalue range must outlive the loop, and stay as it is; an rvalue is kept. Those that have ended come in the order of
/// the range where nobody saw which was first. Can be gone through once.
///
/// Suspends: begin() and ++, until the next one has ended; may resume on another worker. A plain thread blocks.
/// Stop:     throws `stopped`; the tasklets go on. rondo::within gives the loop a deadline.
/// Throws:   usage_error if a handle is empty, or somebody else joins one of them.
/// Cost:     O(those left) for each time it has to wait.
template <std::ranges::forward_range Range>
    requires detail::is_tasklet<std::ranges::range_value_t<Range>>::value && std::ranges::viewable_range<Range>
[[nodiscard]] auto as_completed(Range&& tasklets) {
    return detail::completion_view<std::views::all_t<Range>>(std::views::all(std::forward<Range>(tasklets)));
}

}  // namespace rondo
