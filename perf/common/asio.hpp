// Boost.Asio: C++20 coroutines on a thread_pool and experimental channels; a strand stands for a player or a mutex.
#pragma once
#include <boost/asio.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "peer.hpp"

namespace asios {

using peer::u64;
using boost::asio::awaitable;
using boost::asio::use_awaitable;
using boost::system::error_code;
using pool = boost::asio::thread_pool;
using executor = pool::executor_type;
using strand = boost::asio::strand<executor>;
using program = peer::program<pool&>;

template <class T>
using plain_channel = boost::asio::experimental::channel<executor, void(error_code, T)>;
template <class T>
using locked_channel = boost::asio::experimental::concurrent_channel<executor, void(error_code, T)>;

/// Hands f a channel type of u64: with one worker the unlocked one is enough.
template <class F>
void with_channel(F f) {
    if (peer::workers == 1) f.template operator()<plain_channel<u64>>();
    else f.template operator()<locked_channel<u64>>();
}

template <class F>
void spawn(executor where, F f) {
    boost::asio::co_spawn(where, std::move(f), boost::asio::detached);
}
template <class Channel, class T>
auto send(Channel& channel, T value) {
    return channel.async_send({}, value, use_awaitable);
}
template <class Channel>
auto receive(Channel& channel) {
    return channel.async_receive(use_awaitable);
}

/// What the main thread waits on.
class latch {
public:
    void open() {
        std::lock_guard lock(mutex_);
        is_open_ = true;
        opened_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [this] { return is_open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool is_open_ = false;
};

}  // namespace asios
