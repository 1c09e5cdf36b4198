// Helper threads for rondo::blocking: as many as there are calls under way. Each is kept for the next ones, and ends when none has
// come for some seconds; who ends joins the one that has ended before it.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace rondo::detail {

class scheduler;
struct task;

class blocking_threads {
public:
    /// Whose call this thread works on; nullptr: it is none of these.
    static inline thread_local constinit const scheduler* serves = nullptr;
    /// The tasklet that waits for that call.
    static inline thread_local constinit task* serves_task = nullptr;
    /// How long one waits for the next call. Tests change it, before there are any.
    static inline std::chrono::milliseconds idle_limit{10'000};

    struct job {
        void (*call)(void*);
        void* data;
        void (*done)(void*);
        void* whom;
        task* who;
    };

    explicit blocking_threads(const scheduler& home) : home_(home) {}
    ~blocking_threads() {
        {
            std::lock_guard hold(lock_);
            ending_ = true;
        }
        changed_.notify_all();
        for (auto& t : threads_) t.join();                // none of them leaves any more
        for (auto& t : gone_) t.join();
    }

    /// Throws std::system_error when no thread can be had and none exists.
    void submit(const job& j) {
        std::lock_guard hold(lock_);
        if (waiting_ <= jobs_.size()) {
            try {
                threads_.emplace_back([this] { work(); });
            } catch (const std::system_error& e) {
                if (threads_.empty())                 // else one of those there will come to it
                    throw std::system_error(e.code(), "rondo::blocking: no thread to run it on; larger limits (ulimit -u, -v) "
                                                      "would help");
            }
        }
        jobs_.push_back(j);
        changed_.notify_one();
    }
    std::size_t size() {
        std::lock_guard hold(lock_);
        return threads_.size();
    }

private:
    void work() {
        serves = &home_;
        std::unique_lock hold(lock_);
        for (;;) {
            ++waiting_;
            const bool is_wanted = changed_.wait_for(hold, idle_limit, [this] { return ending_ || !jobs_.empty(); });
            --waiting_;
            if (!is_wanted) return leave(hold);
            if (jobs_.empty()) return;
            const job j = jobs_.front();
            jobs_.pop_front();
            hold.unlock();
            serves_task = j.who;
            j.call(j.data);
            serves_task = nullptr;
            j.done(j.whom);
            hold.lock();
        }
    }
    void leave(std::unique_lock<std::mutex>& hold) {
        std::list<std::thread> before;
        before.splice(before.end(), gone_);
        const auto me = std::find_if(threads_.begin(), threads_.end(),
                                     [](const std::thread& t) { return t.get_id() == std::this_thread::get_id(); });
        gone_.splice(gone_.end(), threads_, me);
        hold.unlock();
        for (auto& t : before) t.join();
    }

    const scheduler& home_;
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<job> jobs_;
    std::size_t waiting_ = 0;
    bool ending_ = false;
    std::list<std::thread> threads_, gone_;               // gone: those that end, or have ended; the last one's joins the others
};

}  // namespace rondo::detail
