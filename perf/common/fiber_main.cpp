// The program of Boost.Fiber: algo=0 round_robin (one worker only), 1 shared_work, 2 work_stealing.
//
// glibc is told to keep freed memory: with its default trimming a spawn costs 20 times as much. Idle threads of the last
// two spin by default; where idling is what is measured, suspend is set.
#include <malloc.h>

#include <boost/fiber/algo/shared_work.hpp>
#include <boost/fiber/algo/work_stealing.hpp>
#include <thread>

#include "fiber.hpp"

namespace {

enum algorithm : peer::u64 { round_robin, shared_work, work_stealing };

class runtime {
public:
    runtime(peer::u64 algorithm, bool suspend) : algorithm_(algorithm), suspend_(suspend) {
        for (unsigned i = 1; i < peer::workers; ++i)
            threads_.emplace_back([this] {
                install();
                std::unique_lock lock(mutex_);
                stopped_.wait(lock, [this] { return stop_; });
            });
        install();
    }

private:
    void install() const {
        namespace algo = boost::fibers::algo;
        using boost::fibers::use_scheduling_algorithm;
        if (algorithm_ == round_robin) use_scheduling_algorithm<algo::round_robin>();
        else if (algorithm_ == shared_work) use_scheduling_algorithm<algo::shared_work>(suspend_);
        else use_scheduling_algorithm<algo::work_stealing>(peer::workers, suspend_);
    }

    peer::u64 algorithm_;
    bool suspend_;
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable stopped_;
    bool stop_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

int main(int argc, char** argv) {
    peer::start("fiber", argc, argv);
    mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
    mallopt(M_TOP_PAD, 16 << 20);
    mallopt(M_ARENA_MAX, peer::workers > 1 ? 2 : 1);

    const peer::u64 algorithm = peer::given.contains("algo") ? peer::given["algo"]
                                : peer::workers == 1         ? round_robin
                                                             : shared_work;
    if (algorithm > work_stealing) peer::refuse("algo must be 0, 1 or 2");
    static constexpr const char* names[] = {"fiber-rr", "fiber-sw", "fiber-ws"};
    peer::name = names[algorithm];
    const auto& w = peer::workload;
    const bool idles = w == "idle_cpu" || w == "sleep" || w == "parked_memory";

    // These two start a second thread with a scheduler of its own.
    if (w == "latency" || w == "cold_wake") return peer::program<>::run_chosen(), 0;
    auto* running = new runtime(algorithm, idles);
    peer::program<>::run_chosen();
    static_cast<void>(running);
    std::_Exit(0);    // all results are out; the algorithms race when torn down
}
