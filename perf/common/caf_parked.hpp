// n actors that wait for a message; release() sends one to each.
#pragma once
#include <atomic>
#include <vector>

#include "caf.hpp"

namespace cafs {

class parked {
public:
    parked(actor_system& system, u64 n) : done_(n) {
        actors_.reserve(n);
        for (u64 i = 0; i < n; ++i)
            actors_.push_back(system.spawn([this](event_based_actor* self) -> behavior {
                ++started_;
                return {[self, this](go) {
                    done_.down();
                    self->quit();
                }};
            }));
        while (started_ != n) usleep(1'000);
        usleep(200'000);
    }
    void release() {
        for (auto& a : actors_) caf::anon_send(a, go::value);
        done_.wait();
    }

private:
    latch done_;
    std::atomic<u64> started_{0};
    std::vector<actor> actors_;
};

}  // namespace cafs
