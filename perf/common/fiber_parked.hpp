// n fibers that all wait in a receive on one channel; release() sends a 1 to each.
#pragma once
#include <atomic>
#include <chrono>

#include "fiber.hpp"

namespace fibers {

class parked {
public:
    explicit parked(u64 n) : n_(n) {
        using namespace std::chrono_literals;
        fibers_.reserve(n);
        for (u64 i = 0; i < n; ++i)
            fibers_.push_back(dispatch([this] {
                u64 value = 0;
                ++started_;
                line_.pop(value);
                sum_ += value;
            }));
        while (started_ != n) boost::this_fiber::sleep_for(1ms);
        boost::this_fiber::sleep_for(200ms);
    }
    void release() {
        for (u64 i = 0; i < n_; ++i) line_.push(1);
        join_all(fibers_);
        peer::expect(sum_, n_);
    }

private:
    u64 n_;
    boost::fibers::buffered_channel<u64> line_{1024};
    std::atomic<u64> started_{0}, sum_{0};
    std::vector<fiber> fibers_;
};

}  // namespace fibers
