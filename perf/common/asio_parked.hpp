// n coroutines that all wait in a receive on one channel; release() sends a 1 to each.
#pragma once
#include <atomic>

#include "asio.hpp"

namespace asios {

template <class Channel>
class parked {
public:
    parked(pool& workers, u64 n) : pool_(workers), n_(n), line_(workers.get_executor(), 0) {
        boost::asio::post(pool_, [this] {
            for (u64 i = 0; i < n_; ++i)
                spawn(pool_.get_executor(), [this]() -> awaitable<void> {
                    ++started_;
                    sum_ += co_await receive(line_);
                });
        });
        while (started_ != n_) usleep(1'000);
        usleep(200'000);
    }
    void release() {
        spawn(pool_.get_executor(), [this]() -> awaitable<void> {
            for (u64 i = 0; i < n_; ++i) co_await send(line_, u64{1});
        });
        pool_.join();
        peer::expect(sum_, n_);
    }

private:
    pool& pool_;
    u64 n_;
    Channel line_;
    std::atomic<u64> started_{0}, sum_{0};
};

}  // namespace asios
