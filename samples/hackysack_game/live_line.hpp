// The line that shows how the game is going, for whoever sits at a terminal.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "game.hpp"
#include "numbers.hpp"

namespace hackysack {

/// Shows the kicks so far on standard error, ten times a second, for as long as it lives. Shows nothing where standard
/// error is not a terminal.
class live_line {
public:
    live_line(std::string title, std::uint64_t kicks_wanted) : title_(std::move(title)), wanted_(kicks_wanted) {
        if (isatty(STDERR_FILENO)) drawing_ = std::jthread([this](std::stop_token stop) { draw_until(stop); });
    }
    live_line(const live_line&) = delete;
    live_line& operator=(const live_line&) = delete;

    /// Players call it before each kick. Only every 256th kick of a bag is written down: a counter that all of them
    /// wrote to all the time would cost more than the game.
    void note(const bag& b) noexcept {
        if (b.kicks_made % batch == batch - 1) kicks_.fetch_add(batch, std::memory_order_relaxed);
    }

private:
    static constexpr std::uint64_t batch = 256;

    void draw_until(const std::stop_token& stop) {
        using namespace std::chrono_literals;
        const auto start = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex_);
        while (!ended_.wait_for(lock, stop, 100ms, [&] { return stop.stop_requested(); }) && !stop.stop_requested()) {
            const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            draw(kicks_.load(std::memory_order_relaxed), seconds);
        }
        fmt::print(stderr, "\r\x1b[K");
        std::fflush(stderr);
    }
    void draw(std::uint64_t kicks, double seconds) const {
        const double part = static_cast<double>(kicks) / static_cast<double>(wanted_);
        const auto before = fmt::format("{:<22} [", title_);
        const auto behind = fmt::format("] {:3.0f} %  {} kicks, {}/s", part * 100, rounded(static_cast<double>(kicks)),
                                        rounded(static_cast<double>(kicks) / seconds));
        // A line that goes on in the terminal's next row would not be cleared by the next drawing.
        const std::size_t room = columns() - 1, taken = before.size() + behind.size();
        const std::size_t width = std::min<std::size_t>(30, room - std::min(room, taken));
        const std::string bar(std::min(width, static_cast<std::size_t>(part * static_cast<double>(width))), '#');
        fmt::print(stderr, "\r\x1b[K{:.{}}", fmt::format("{}{:<{}}{}", before, bar, width, behind), room);
        std::fflush(stderr);
    }
    /// Of the terminal.
    static std::size_t columns() noexcept {
        ::winsize size{};
        return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    }

    const std::string title_;
    const std::uint64_t wanted_;
    alignas(64) std::atomic<std::uint64_t> kicks_ = 0;
    std::mutex mutex_;
    std::condition_variable_any ended_;
    std::jthread drawing_;
};

}  // namespace hackysack
