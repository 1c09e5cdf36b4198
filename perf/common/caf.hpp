// CAF 0.17: event-based actors on its work-stealing scheduler. It has neither tasks that wait nor channels; an actor
// and its mailbox take their place.
#pragma once
#include <caf/all.hpp>
#include <condition_variable>
#include <mutex>

#include "peer.hpp"

namespace cafs {

using peer::u64;
using caf::actor;
using caf::actor_system;
using caf::behavior;
using caf::event_based_actor;
using go = caf::atom_constant<caf::atom("go")>;
using program = peer::program<actor_system&>;

/// What the main thread waits on until n have counted down.
class latch {
public:
    explicit latch(u64 n) : left_(n) {}
    void down() {
        std::lock_guard lock(mutex_);
        if (--left_ == 0) all_down_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        all_down_.wait(lock, [this] { return left_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable all_down_;
    u64 left_;
};

}  // namespace cafs
