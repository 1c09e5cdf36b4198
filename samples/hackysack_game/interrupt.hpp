// Ctrl-C ends the game in order: a thread of its own waits for the signal, and players look at a flag.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <pthread.h>

namespace hackysack {

/// Make it before any other thread: they inherit its signal mask, so no other thread ever sees SIGINT or SIGTERM and
/// nothing runs in a signal handler. A second Ctrl-C ends the program at once, but not one that comes with the first
/// (timeout sends its signal to the child, and to the group). Once the game is over, so does the first.
class interrupt {
public:
    interrupt() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        waiting_ = std::thread([this] { wait_for_signals(); });
    }
    ~interrupt() {
        ended_.store(true);
        pthread_kill(waiting_.native_handle(), SIGTERM);
        waiting_.join();
    }
    interrupt(const interrupt&) = delete;
    interrupt& operator=(const interrupt&) = delete;

    /// Should the game end? Costs one load: players ask before every kick.
    [[nodiscard]] bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }

    /// The game is over: should it have ended? What is left to do does not ask; it may wait for ever for somebody to
    /// read a FIFO.
    [[nodiscard]] bool game_over() {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
        return requested();
    }

private:
    void wait_for_signals() {
        for (int signal = 0;;) {
            if (sigwait(&signals_, &signal) != 0) continue;
            if (ended_.load()) return;
            const auto now = std::chrono::steady_clock::now();
            const std::lock_guard lock(mutex_);    // so that none is lost between the game and its end
            if (requested() ? now - first_ > std::chrono::milliseconds(300) : is_over_) std::_Exit(128 + signal);
            if (!requested_.exchange(true)) first_ = now;
        }
    }

    sigset_t signals_{};
    alignas(64) std::atomic<bool> requested_ = false;
    std::atomic<bool> ended_ = false;
    std::mutex mutex_;
    bool is_over_ = false;
    std::chrono::steady_clock::time_point first_;
    std::thread waiting_;
};

}  // namespace hackysack
