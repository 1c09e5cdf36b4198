// n tasklets suspended in a receive on one rendezvous channel; release() sends a 1 to each. Lives in a tasklet.
#pragma once
#include <atomic>
#include <chrono>
#include <rondo/rondo.hpp>
#include <vector>

#include "peer.hpp"

namespace peer {

class parked {
public:
    explicit parked(u64 n) : n_(n) {
        using namespace std::chrono_literals;
        tasklets_.reserve(n);
        for (u64 i = 0; i < n; ++i)
            tasklets_.push_back(rondo::spawn([this] {
                ++started_;
                sum_ += line_.receive();
            }));
        while (started_ != n) rondo::sleep_for(1ms);
        rondo::sleep_for(200ms);
        expect(static_cast<u64>(-line_.balance()), n);
    }
    void release() {
        for (u64 i = 0; i < n_; ++i) line_.send(1);
        for (auto& t : tasklets_) t.join();
        expect(sum_, n_);
    }

private:
    u64 n_;
    rondo::channel<u64> line_;
    std::atomic<u64> started_{0}, sum_{0};
    std::vector<rondo::tasklet<void>> tasklets_;
};

}  // namespace peer
