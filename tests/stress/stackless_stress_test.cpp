// Threads with tasklets of rondo::stackless, one or several workers each, and Rondo's own tasklets among them: all use the
// same channels, and run, insert, remove, kill and throw into each other's tasklets, while sessions end and stops and
// limits come. What must hold: it ends; every function that began has ended; no value lives any more.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/stackless.hpp>
#include <rondo/time.hpp>

#include "random_graph.hpp"
#include "support/sanitized.hpp"

using namespace std::chrono_literals;
namespace sl = rondo::stackless;
using rondo_stress::value;

namespace {

class draw {
public:
    explicit draw(std::uint64_t seed) : generator_(static_cast<std::minstd_rand::result_type>(seed % 2147483646 + 1)) {}
    unsigned operator()(unsigned below) { return static_cast<unsigned>(generator_() % below); }
    std::chrono::microseconds us(unsigned below) { return std::chrono::microseconds((*this)(below)); }
    std::uint64_t seed() { return generator_(); }

private:
    std::minstd_rand generator_;
};

class playground {
public:
    explicit playground(std::size_t channels) : lines_(channels) {}

    // What a thread does, as its main tasklet, and what its tasklets do.
    void play(std::uint64_t seed, int depth) {
        ++begun_;
        draw d(seed);
        for (int i = 0; i < (depth == 0 ? 50 : 8) && !is_over; ++i) try {
                step(d, depth);
            } catch (const rondo::stopped&) {
                if (depth > 0) break;
            } catch (const std::exception&) {
            } catch (int) {
            }
        ++ended_;
    }
    // One of Rondo's own tasklets.
    void play_as_guest(std::uint64_t seed) {
        draw d(seed);
        for (int i = 0; i < 30 && !is_over; ++i) try {
                const auto& c = line(d);
                if (d(2)) (void)rondo::within(d.us(100), [&] { exchange(c, d(2)); });
                else exchange(c, d(2));
            } catch (const std::exception&) {
            } catch (int) {
            }
    }
    void close_one(draw& d) { line(d).close(); }
    [[nodiscard]] bool is_cleared() const { return begun_ == ended_; }
    [[nodiscard]] long live() const { return live_; }
    void let_go() {
        tasklets_.clear();
        lines_.clear();
    }
    std::atomic<bool> is_over{false};

private:
    const sl::channel<value>& line(draw& d) const { return lines_[d(static_cast<unsigned>(lines_.size()))]; }
    void exchange(const sl::channel<value>& c, bool sends) {
        if (sends) c.send(value(live_));
        else c.receive();
    }
    void enter(sl::tasklet_ref t) {
        sl::tasklet_ref old;                              // dies without the lock
        const std::lock_guard hold(lock_);
        if (tasklets_.size() < 40) return tasklets_.push_back(std::move(t));
        old = std::exchange(tasklets_[next_++ % 40], std::move(t));
    }
    std::optional<sl::tasklet_ref> any(draw& d) {
        const std::lock_guard hold(lock_);
        if (tasklets_.empty()) return std::nullopt;
        return tasklets_[d(static_cast<unsigned>(tasklets_.size()))];
    }

    void step(draw& d, int depth) {
        const auto& c = line(d);
        if (d(3) == 0) {
            if (auto t = any(d)) return about(*t, d, depth);
        }
        switch (d(9)) {
            case 0:
            case 1:
            case 2:
                if (depth > 0 && d(2)) exchange(c, d(2));
                else (void)rondo::within(d.us(200), [&] { exchange(c, d(2)); });
                break;
            case 3:
                if (depth < 3) enter(sl::tasklet([this, seed = d.seed(), depth] { play(seed, depth + 1); })());
                break;
            case 4: sl::schedule(); break;
            case 5: (void)sl::run(d(2) ? 0 : 1 + d(20)); break;
            case 6: sl::checkpoint(); break;
            case 7:
                c.preference(static_cast<int>(d(3)) - 1);
                c.schedule_all(d(4) == 0);
                break;
            default:
                (void)sl::parked_tasklets();
                (void)rondo::within(d.us(100), [&] { c.send_exception<std::runtime_error>("sent"); });
        }
    }
    void about(sl::tasklet_ref t, draw& d, int depth) {
        switch (d(7)) {
            case 0: t.kill(d(2)); break;
            case 1: t.run(); break;
            case 2: t.insert(); break;
            case 3: t.remove(); break;
            case 4: t.set_name("somebody"); break;
            case 5:
                if (depth > 0) t.switch_to();
                break;
            default: t.throw_exception(std::make_exception_ptr(4), d(2));
        }
    }

    std::vector<sl::channel<value>> lines_;
    std::mutex lock_;
    std::vector<sl::tasklet_ref> tasklets_;
    std::size_t next_ = 0;
    std::atomic<long> begun_{0}, ended_{0}, live_{0};
};

}  // namespace

TEST_CASE("stackless tasklets of several threads at odds all end, and leave no value", "[stress][stackless]") {
#if defined(RONDO_TSAN) || defined(RONDO_ASAN)
    constexpr std::uint64_t seeds = 40;
#else
    constexpr std::uint64_t seeds = 300;
#endif
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        draw d(seed * 7919);
        playground all(1 + d(3));
        {
            std::vector<std::thread> threads;
            for (unsigned i = 0, n = 2 + d(2); i < n; ++i)
                threads.emplace_back([&, seed = d.seed(), workers = d(3)] {
                    std::optional<sl::session> s;         // else the thread's own
                    if (workers > 0) s.emplace(sl::session_options{.workers = workers});
                    all.play(seed, 0);
                });
            rondo::runtime rt({.workers = 1 + d(2), .force_migration = d(2) == 0});
            std::vector<rondo::tasklet<void>> guests;
            for (unsigned i = 0, n = d(4); i < n; ++i)
                guests.push_back(rt.spawn([&, seed = d.seed()] { all.play_as_guest(seed); }));
            if (d(4) == 0) all.close_one(d);
            if (!guests.empty()) guests.front().stop();
            for (auto& t : threads) t.join();
            all.is_over = true;
            for (auto& g : guests) g.stop();
        }
        all.let_go();
        CHECK(all.is_cleared());
        CHECK(all.live() == 0);
    }
}
