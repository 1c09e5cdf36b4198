// n threads that all wait in a receive on one channel; release() sends a 1 to each.
#pragma once
#include <atomic>

#include "thread.hpp"

namespace plain {

class parked {
public:
    explicit parked(u64 n) : n_(n) {
        threads_ = launch(n, [this](u64) {
            return [this] {
                ++started_;
                sum_ += *line_.receive();
            };
        });
        while (started_ != n) usleep(1'000);
        usleep(200'000);
    }
    void release() {
        for (u64 i = 0; i < n_; ++i) line_.send(1);
        join_all(threads_);
        peer::expect(sum_, n_);
    }

private:
    u64 n_;
    channel<u64> line_{1024};
    std::atomic<u64> started_{0}, sum_{0};
    std::vector<thread> threads_;
};

}  // namespace plain
