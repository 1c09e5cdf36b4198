// Plain threads, the baseline: one kernel thread per task, queues made of a mutex and condition variables.
#pragma once
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "peer.hpp"

namespace plain {

using peer::u64;

/// std::thread with a stack of 64 KiB, so that tens of thousands fit.
class thread {
public:
    template <class F>
    explicit thread(F f) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 64 * 1024);
        const int error = pthread_create(&id_, &attributes, run<F>, new F(std::move(f)));
        pthread_attr_destroy(&attributes);
        if (error != 0) peer::refuse(std::string("pthread_create: ") + std::strerror(error));
    }
    void join() { pthread_join(id_, nullptr); }

private:
    template <class F>
    static void* run(void* f) {
        (*std::unique_ptr<F>(static_cast<F*>(f)))();
        return nullptr;
    }
    pthread_t id_{};
};

/// Threads 0 to n - 1; make(i) gives the function of thread i.
template <class F>
std::vector<thread> launch(u64 n, F make) {
    std::vector<thread> threads;
    threads.reserve(n);
    for (u64 i = 0; i < n; ++i) threads.emplace_back(make(i));
    return threads;
}
inline void join_all(std::vector<thread>& threads) {
    for (auto& t : threads) t.join();
}

/// Without slots, send returns only once its value has been taken.
template <class T>
class channel {
public:
    explicit channel(u64 slots = 0) : slots_(slots) {}

    void send(T value) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return queue_.size() < (slots_ ? slots_ : 1); });
        queue_.push_back(std::move(value));
        const u64 ticket = ++sent_;
        value_.notify_one();
        if (slots_ == 0) taken_one_.wait(lock, [&] { return taken_ >= ticket; });
    }
    std::optional<T> receive() {    // empty: closed
        std::unique_lock lock(mutex_);
        value_.wait(lock, [&] { return !queue_.empty() || closed_; });
        if (queue_.empty()) return std::nullopt;
        T value = std::move(queue_.front());
        queue_.pop_front();
        ++taken_;
        if (slots_ == 0) taken_one_.notify_all();
        room_.notify_one();
        return value;
    }
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        value_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable room_, value_, taken_one_;
    std::deque<T> queue_;
    u64 slots_, sent_ = 0, taken_ = 0;
    bool closed_ = false;
};

}  // namespace plain
