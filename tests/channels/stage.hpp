// What the tests of channels share.
#pragma once

#include <atomic>
#include <utility>

#include "support/helpers.hpp"

using support::end_of;
using support::lines;
using support::one_worker;
using support::stage;

/// Counts how many of its kind live; moved-from ones hold nothing.
class token {
public:
    explicit token(std::atomic<int>& live) : live_(&live) { ++*live_; }
    token(token&& other) noexcept : live_(std::exchange(other.live_, nullptr)) {}
    token& operator=(token&& other) noexcept {
        std::swap(live_, other.live_);
        return *this;
    }
    ~token() {
        if (live_) --*live_;
    }
    [[nodiscard]] bool holds() const noexcept { return live_ != nullptr; }

private:
    std::atomic<int>* live_;
};
