// Random programs from a seed: tasklets that spawn, join, yield, sleep, send, receive and stop each other. The same seed
// makes the same choices; how they interleave is up to the workers. Used by graph_test.cpp and soak.cpp.
//
// What must hold at the end of each: it ends at all; every tasklet that was spawned has ended; every value that was sent
// was received once, or still lay in a slot; no value lives any more.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/mutex.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/time.hpp>

namespace rondo_stress {

using namespace std::chrono_literals;

struct graph {
    std::uint64_t seed = 1;
    unsigned workers = 1;
    bool force_migration = false;
    int operations = 1000;                        // about so many in all
    std::size_t spawn_backlog = 256;
    bool large_stacks = false;
    int plain_threads = 0;
};
struct outcome {
    std::string problem = {};                     // empty: all is well
    long tasklets = 0, sent = 0, received = 0;
};

// One of a kind: says where it was lost or made twice.
class value {
public:
    explicit value(std::atomic<long>& live) noexcept : live_(&live) { ++*live_; }
    value(value&& other) noexcept : live_(std::exchange(other.live_, nullptr)) {}
    value& operator=(value&& other) noexcept {
        std::swap(live_, other.live_);
        return *this;
    }
    ~value() {
        if (live_) --*live_;
    }

private:
    std::atomic<long>* live_;
};

class player {
public:
    explicit player(const graph& g) : g_(g), left_(g.operations) {
        for (std::size_t slots : {0u, 0u, 0u, 1u, 4u}) channels_.emplace_back(slots);
        channels_.emplace_back(rondo::handoff::sender);
        channels_.emplace_back(rondo::handoff::none);
    }

    outcome play() {
        outcome end;
        try {
            rondo::run({.workers = g_.workers, .spawn_backlog = g_.spawn_backlog,
                        .force_migration = g_.force_migration}, [this] {
                std::vector<rondo::tasklet<void>> roots;
                for (std::uint64_t i = 0; i < 8; ++i) roots.push_back(rondo::spawn([this, i] { body(g_.seed * 1009 + i, 0); }));
                for (auto& t : roots) quietly([&] { t.join(); });
            });
        } catch (const std::exception& e) {
            end.problem = std::string("run threw ") + e.what();
        } catch (...) {
            end.problem = "run threw something";
        }
        for (auto& c : channels_) {
            if (c.balance() != 0) end.problem += "; somebody still waits on a channel";
            received_ += static_cast<long>(c.size());
        }
        channels_.clear();
        end.tasklets = begun_;
        end.sent = sent_;
        end.received = received_;
        if (begun_ != ended_) end.problem += "; begun " + std::to_string(begun_) + ", ended " + std::to_string(ended_);
        if (sent_ != received_) end.problem += "; sent " + std::to_string(sent_) + ", received " + std::to_string(received_);
        if (live_ != 0) end.problem += "; values that live: " + std::to_string(live_);
        if (inside_ != 0) end.problem += "; somebody is still inside the mutex";
        if (overlaps_ != 0) end.problem += "; two were inside the mutex";
        return end;
    }

private:
    using generator = std::minstd_rand;

    template <class F>
    static void quietly(F&& f) {                  // stops and closed channels are part of the game
        try {
            f();
        } catch (const rondo::stopped&) {
        } catch (const rondo::closed&) {
        } catch (const int&) {
        }
    }

    void body(std::uint64_t seed, int depth) {
        ++begun_;
        struct at_end {
            std::atomic<long>& n;
            ~at_end() { ++n; }
        } note{ended_};
        generator random(static_cast<generator::result_type>(seed % 2147483646 + 1));
        std::vector<rondo::tasklet<void>> children;
        const auto steps = 5 + random() % 40;
        for (unsigned i = 0; i < steps && left_-- > 0; ++i) step(random, depth, children);
        for (auto& t : children) {
            if (random() % 4 == 0) t.stop();
            if (random() % 4 != 0) quietly([&] { t.join(); });
        }                                         // the others are dropped
        if (random() % 16 == 0) throw static_cast<int>(random() % 100);
    }

    void step(generator& random, int depth, std::vector<rondo::tasklet<void>>& children) {
        auto& c = channels_[random() % channels_.size()];
        const auto limit = std::chrono::microseconds(random() % 300);
        switch (random() % 16) {
            case 0:
            case 1:
            case 2:
                if (depth < 12) spawn(random, depth, children);
                break;
            case 3:
                if (!children.empty()) {
                    auto t = std::move(children.back());
                    children.pop_back();
                    quietly([&] { t.join(); });
                }
                break;
            case 4:
                if (!children.empty()) {
                    auto& t = children[random() % children.size()];
                    quietly([&] {
                        if (t.joinable() && t.join_for(limit)) t = {};
                    });
                    if (!t.joinable()) std::swap(t, children.back()), children.pop_back();
                }
                break;
            case 5:
            case 6:
                quietly([] { rondo::yield(); });
                break;
            case 7:
                quietly([&] { rondo::sleep_for(limit); });
                break;
            case 8:
            case 9:
                quietly([&] {
                    if (c.send_for(value(live_), limit)) ++sent_;
                });
                break;
            case 10:
            case 11:
                quietly([&] {
                    if (c.receive_for(limit)) ++received_;
                });
                break;
            case 12:
                if (auto got = c.try_receive()) ++received_;
                if (c.try_send(value(live_))) ++sent_;
                break;
            case 13:
                if (!children.empty()) children[random() % children.size()].stop();
                break;
            case 14:
                quietly([&] {
                    std::lock_guard hold(mutex_);
                    if (inside_++ != 0) ++overlaps_;
                    struct leave {
                        std::atomic<int>& n;
                        ~leave() { --n; }
                    } note{inside_};
                    if (random() % 2) rondo::yield();
                });
                break;
            default:
                quietly([&] { deeper(random, depth); });
        }
    }

    void spawn(generator& random, int depth, std::vector<rondo::tasklet<void>>& children) {
        const auto seed = random();
        auto f = [this, seed, depth] { quietly_counted(seed, depth); };
        quietly([&] {
            if (g_.large_stacks && seed % 5 == 0)
                children.push_back(rondo::spawn({.name = "large", .stack_bytes = 1 << 20}, f));
            else
                children.push_back(rondo::spawn(f));
        });
    }
    void quietly_counted(std::uint64_t seed, int depth) {
        quietly([&] { body(seed, depth + 1); });
    }

    void deeper(generator& random, int depth) {
        const auto seed = random();
        const auto limit = std::chrono::microseconds(random() % 500);
        auto& c = channels_[random() % channels_.size()];
        switch (random() % 4) {
            case 0:
                rondo::scope([&](rondo::group& g) {
                    for (unsigned i = 0; i < 3 && depth < 12; ++i)
                        g.spawn([this, i, seed, depth] { body(seed + i, depth + 1); });
                    if (seed % 3 == 0) g.stop();
                    if (seed % 5 == 0) throw 1;
                });
                break;
            case 1: {
                // Counted inside: the deadline may come right after the receive.
                const bool done = rondo::within(limit, [&] {
                    c.receive();
                    ++received_;
                });
                static_cast<void>(done);
                break;
            }
            case 2: {
                const bool done = rondo::within(limit, [&] {
                    c.send(value(live_));
                    ++sent_;
                });
                static_cast<void>(done);
                break;
            }
            default:
                if (depth < 12) {
                    auto t = rondo::spawn([this, seed, depth] { quietly_counted(seed, depth); });
                    t.join();
                }
        }
    }

    graph g_;
    std::vector<rondo::channel<value>> channels_;
    rondo::mutex mutex_;
    std::atomic<int> inside_{0}, overlaps_{0};
    std::atomic<long> left_, begun_{0}, ended_{0}, sent_{0}, received_{0}, live_{0};
};

inline outcome play(const graph& g) { return player(g).play(); }

// Senders and receivers on one channel, some of them plain threads, while others stop them, let their time run out, and
// close the channel in the end.
inline outcome count_messages(const graph& g, std::size_t slots) {
    outcome end;
    std::atomic<long> sent{0}, received{0}, live{0};
    const auto random_from = [&](int n) {
        return std::minstd_rand(static_cast<std::minstd_rand::result_type>(g.seed * 7919 + static_cast<unsigned>(n) + 1));
    };
    {
        rondo::channel<value> line(slots);
        const auto send = [&, line](int n) {
            auto random = random_from(n);
            try {
                for (int i = 0; i < g.operations; ++i) switch (random() % 4) {
                    case 0:
                        if (line.send_for(value(live), std::chrono::microseconds(random() % 100))) ++sent;
                        break;
                    case 1:
                        if (line.try_send(value(live))) ++sent;
                        break;
                    case 2:
                        static_cast<void>(rondo::within(std::chrono::microseconds(random() % 100), [&] {
                            line.send(value(live));
                            ++sent;
                        }));
                        break;
                    default:
                        line.send(value(live));
                        ++sent;
                }
            } catch (const rondo::closed&) {
            } catch (const rondo::stopped&) {
            }
        };
        const auto receive = [&, line](int n) {
            auto random = random_from(n);
            try {
                for (;;) switch (random() % 4) {
                    case 0:
                        if (line.receive_for(std::chrono::microseconds(random() % 100))) ++received;
                        break;
                    case 1:
                        if (line.try_receive()) ++received;
                        else rondo::yield();
                        break;
                    case 2:
                        static_cast<void>(rondo::within(std::chrono::microseconds(random() % 100), [&] {
                            line.receive();
                            ++received;
                        }));
                        break;
                    default:
                        line.receive();
                        ++received;
                }
            } catch (const rondo::closed&) {
            } catch (const rondo::stopped&) {
            }
        };
        rondo::runtime rt({.workers = g.workers, .force_migration = g.force_migration});
        std::vector<rondo::tasklet<void>> senders, receivers;
        std::vector<std::thread> sending, receiving;
        for (int i = 0; i < 4; ++i) receivers.push_back(rt.spawn(receive, i));
        for (int i = 0; i < g.plain_threads; ++i) receiving.emplace_back(receive, 100 + i);
        for (int i = 0; i < 4; ++i) senders.push_back(rt.spawn(send, 10 + i));
        for (int i = 0; i < g.plain_threads; ++i) sending.emplace_back(send, 200 + i);
        // The first of each kind are stopped in the midst of it.
        auto trouble = rt.spawn([&] {
            auto random = random_from(1000);
            for (auto i = random() % 50; i > 0; --i) rondo::yield();
            senders[0].stop();
            receivers[0].stop();
            rondo::sleep_for(std::chrono::microseconds(random() % 500));
            senders[1].stop();
            receivers[1].stop();
            if (random() % 3 == 0) line.close();
        });
        trouble.join();
        const auto join = [](rondo::tasklet<void>& t) {
            try {
                t.join();
            } catch (const rondo::stopped&) {         // before it began
            }
        };
        for (auto& t : senders) join(t);
        for (auto& t : sending) t.join();
        line.close();
        for (auto& t : receivers) join(t);
        for (auto& t : receiving) t.join();
        if (line.balance() != 0) end.problem += "; somebody still waits on the channel";
        received += static_cast<long>(line.size());
    }
    end.sent = sent;
    end.received = received;
    if (sent != received) end.problem += "; sent " + std::to_string(sent) + ", received " + std::to_string(received);
    if (live != 0) end.problem += "; values that live: " + std::to_string(live);
    return end;
}

}  // namespace rondo_stress
