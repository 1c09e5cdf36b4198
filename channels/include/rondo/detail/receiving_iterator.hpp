// What `for (T v : source)` goes along: any source with next().
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

namespace rondo::detail {

/// Receives when it is asked for a value, or whether there is one; not before, so that who stops early takes nothing too
/// much.
template <class Source>
class receiving_iterator {
public:
    using value_type = typename Source::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit receiving_iterator(Source& from) noexcept : from_(&from) {}
    /// A variable of the iterator's own, which `for (auto& v : source)` may refer to. What can only be moved is given away, so
    /// that `for (T v : source)` takes it; to refer to that write auto&&. (A vector of such things says that it can be copied,
    /// and cannot: it needs `for (auto& v : source)`.)
    std::conditional_t<std::copy_constructible<value_type>, value_type&, value_type&&> operator*() const {
        look();
        return static_cast<decltype(**this)>(*value_);
    }
    receiving_iterator& operator++() {
        look();
        value_.reset();
        has_looked_ = false;
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const receiving_iterator& i, std::default_sentinel_t) {
        i.look();
        return !i.value_;
    }

private:
    void look() const {
        if (has_looked_) return;
        if (auto next = from_->next()) value_.emplace(std::move(*next));
        has_looked_ = true;
    }
    Source* from_;
    mutable std::optional<value_type> value_;
    mutable bool has_looked_ = false;
};

/// How an element of a range is handed on: moved out of a container that is given away, else as the range gives it.
template <class Range>
using element_of = std::conditional_t<std::is_lvalue_reference_v<Range> || std::ranges::view<std::remove_cvref_t<Range>>,
                                      std::ranges::range_reference_t<Range>, std::ranges::range_rvalue_reference_t<Range>>&&;

}  // namespace rondo::detail
