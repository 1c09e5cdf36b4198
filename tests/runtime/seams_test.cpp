// What belongs to a tasklet and must travel with it: exceptions in flight, caught ones, errno; and what belongs to the
// thread. Every tasklet here goes on on another worker each time it is resumed.
#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/event.hpp>
#include <rondo/lowlevel/job.hpp>
#include <rondo/mutex.hpp>
#include <rondo/run.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/time.hpp>

#include "support/helpers.hpp"

using namespace std::chrono_literals;
using namespace support;

namespace {

// Out of line, as a library's functions are: the compiler may not keep what they gave over a call that suspends.
[[gnu::noinline]] std::thread::id this_thread() {
    asm volatile("");
    return std::this_thread::get_id();
}
thread_local int per_thread = 0;
[[gnu::noinline]] int& per_thread_here() {
    asm volatile("");
    return per_thread;
}

std::string message_of(const std::exception_ptr& error) {
    if (!error) return "nothing";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "something";
    }
}
std::string caught_now() { return message_of(std::current_exception()); }

// How often the tasklet has waited, and how often it went on where it was.
class journey {
public:
    void note(unsigned worker_before, std::thread::id thread_before) {
        ++waits_;
        stayed_ += rondo::lowlevel::worker_here() == worker_before || this_thread() == thread_before;
    }
    [[nodiscard]] std::string wrong() const {
        if (waits_ == 0) return "it has not waited";
        return stayed_ == 0 ? "" : std::to_string(stayed_) + " times of " + std::to_string(waits_) + " it went on where it was";
    }

private:
    int waits_ = 0, stayed_ = 0;
};

// Suspends in some way; the tasklet goes on on another worker.
enum class way { yield, sleep, receive };
void suspend(way how, journey& trip) {
    const auto worker = rondo::lowlevel::worker_here();
    const auto thread = this_thread();
    switch (how) {
        case way::yield: rondo::yield(); break;
        case way::sleep: rondo::sleep_for(1us); break;
        case way::receive: {
            rondo::channel<int> line;
            auto sender = rondo::spawn([line] {
                while (line.balance() == 0) rondo::yield();       // so that it has to wait for us
                line.send(1);
            });
            line.receive();
            trip.note(worker, thread);
            sender.join();
            return;
        }
    }
    trip.note(worker, thread);
}

// Many at once, so that every worker has its hands full of other tasklets' exceptions.
template <class F>
lines results_of_many(F f) {
    return rondo::run({.workers = 2, .force_migration = true}, [&] {
        std::vector<rondo::tasklet<std::string>> tasklets;
        for (int i = 0; i < 24; ++i)
            tasklets.push_back(rondo::spawn([&, i] {
                journey trip;
                auto result = f(std::to_string(i), trip);
                if (result.empty()) result = trip.wrong();
                return result.empty() ? "" : std::to_string(i) + ": " + result;
            }));
        lines wrong;
        for (auto& t : tasklets)
            if (auto text = t.join(); !text.empty()) wrong.push_back(text);
        return wrong;
    });
}

// Its destructor makes calls that may suspend.
struct tidies_up {
    rondo::mutex& m;
    int& n;
    bool lingers = false;
    ~tidies_up() {
        std::lock_guard hold(m);
        if (lingers) {
            rondo::yield();                           // elsewhere, perhaps
            rondo::sleep_for(1ms);
        }
        ++n;
    }
};

}  // namespace

TEST_CASE("under forced migration whoever has waited goes on elsewhere", "[seams]") {
    const auto workers = GENERATE(2u, 3u, 4u);
    static constexpr int times = 200;
    const int stayed = rondo::run({.workers = workers, .force_migration = true}, [] {
        int n = 0;
        for (int i = 0; i < times; ++i) {
            const auto before = rondo::lowlevel::worker_here();
            if (i % 2) rondo::yield();
            else rondo::sleep_for(std::chrono::microseconds(1));
            n += rondo::lowlevel::worker_here() == before;
        }
        return n;
    });
    CHECK(stayed == 0);
}

TEST_CASE("a tasklet may suspend inside a try block and catch what is thrown afterwards", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        std::string caught;
        for (int round = 0; round < 20; ++round) try {
                suspend(how, trip);
                throw std::runtime_error(me);
            } catch (const std::exception& e) {
                caught = e.what();
                if (caught != me) return "caught " + caught;
            }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("a tasklet may suspend inside a catch block and still has its own exception", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        for (int round = 0; round < 20; ++round) try {
                throw std::runtime_error(me);
            } catch (const std::exception& e) {
                suspend(how, trip);
                if (me != e.what()) return std::string("holds ") + e.what();
                if (caught_now() != me) return "current_exception is " + caught_now();
            }
        return caught_now() == "nothing" ? "" : "an exception is left";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("a throw without operand right after a suspension rethrows the tasklet's own exception", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        for (int round = 0; round < 20; ++round) try {
                try {
                    throw std::runtime_error(me);
                } catch (...) {
                    suspend(how, trip);
                    throw;
                }
            } catch (const std::exception& e) {
                if (me != e.what()) return std::string("rethrew ") + e.what();
            }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("a tasklet may suspend in a destructor while an exception passes through it", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        struct at_end {
            way how;
            journey& trip;
            int& uncaught;
            ~at_end() {
                const int before = std::uncaught_exceptions();
                suspend(how, trip);
                uncaught = before == std::uncaught_exceptions() ? before : -1;
            }
        };
        for (int round = 0; round < 20; ++round) {
            int uncaught = 0;
            try {
                const at_end waits{how, trip, uncaught};
                throw std::runtime_error(me);
            } catch (const std::exception& e) {
                if (me != e.what()) return std::string("caught ") + e.what();
                if (uncaught != 1) return "uncaught_exceptions was " + std::to_string(uncaught);
            }
            if (std::uncaught_exceptions() != 0) return "an exception is still in flight";
            {
                const at_end waits{how, trip, uncaught};
            }
            if (uncaught != 0) return "uncaught_exceptions without any was " + std::to_string(uncaught);
        }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("nested exceptions keep their nesting over suspensions at every level", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        for (int round = 0; round < 10; ++round) try {
                throw std::runtime_error("outer " + me);
            } catch (const std::exception& outer) {
                suspend(how, trip);
                try {
                    try {
                        throw std::runtime_error("inner " + me);
                    } catch (const std::exception& inner) {
                        suspend(how, trip);
                        if (caught_now() != "inner " + me) return "inside it is " + caught_now();
                        std::throw_with_nested(std::runtime_error("around " + me));
                    }
                } catch (const std::exception& around) {
                    suspend(how, trip);
                    if ("around " + me != around.what()) return std::string("around is ") + around.what();
                    try {
                        std::rethrow_if_nested(around);
                        return "nothing was nested";
                    } catch (const std::exception& nested) {
                        suspend(how, trip);
                        if ("inner " + me != nested.what()) return std::string("nested is ") + nested.what();
                    }
                }
                suspend(how, trip);
                if (caught_now() != "outer " + me) return "outside it is " + caught_now();
                if ("outer " + me != outer.what()) return std::string("outer is ") + outer.what();
            }
        return caught_now() == "nothing" ? "" : "an exception is left";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("an exception passes through frames that were suspended on other workers", "[seams]") {
    const auto wrong = results_of_many([](const std::string& me, journey& trip) -> std::string {
        struct deep {
            static int down(int n, const std::string& text, journey& t) {
                suspend(way::yield, t);
                if (n == 0) throw std::runtime_error(text);
                return down(n - 1, text, t) + 1;
            }
        };
        try {
            deep::down(20, me, trip);
        } catch (const std::exception& e) {
            return me == e.what() ? "" : std::string("caught ") + e.what();
        }
        return "nothing was thrown";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("a stop that arrives while an exception is handled leaves that exception alone", "[seams]") {
    const auto ends = rondo::run({.workers = 2, .force_migration = true}, [] {
        lines all;
        for (int i = 0; i < 20; ++i) {
            std::string text;
            auto t = rondo::spawn([&text] {
                try {
                    throw std::runtime_error("mine");
                } catch (const std::exception& e) {
                    try {
                        rondo::event().wait();
                    } catch (const rondo::stopped&) {
                        text = "stopped, ";
                    }
                    text += e.what();
                    text += ", " + caught_now();
                }
            });
            rondo::yield();
            t.stop();
            try {
                t.join();
            } catch (const rondo::stopped&) {
                text = "stopped, mine, mine";       // before it began
            }
            all.push_back(text);
        }
        return all;
    });
    CHECK(ends == lines(20, "stopped, mine, mine"));
}

TEST_CASE("a child joined inside a catch block sees no exception of its joiner's once it runs elsewhere", "[seams]") {
    const auto seen = rondo::run({.workers = 2, .force_migration = true}, [] {
        lines all;
        for (int i = 0; i < 20; ++i) try {
                throw std::runtime_error("joiner's");
            } catch (...) {
                auto child = rondo::spawn([] {
                    std::string mine;
                    try {
                        throw std::runtime_error("child's");
                    } catch (...) {
                        rondo::yield();
                        mine = caught_now();
                    }
                    return mine;
                });
                all.push_back(child.join() + ", " + caught_now());
            }
        return all;
    });
    CHECK(seen == lines(20, "child's, joiner's"));
}

TEST_CASE("an exception travels from the worker that threw it to the one that joins", "[seams]") {
    const auto ends = rondo::run({.workers = 2, .force_migration = true}, [] {
        lines all;
        for (int i = 0; i < 50; ++i) {
            auto t = rondo::spawn([i] {
                rondo::yield();
                throw std::runtime_error(std::to_string(i));
            });
            rondo::yield();
            try {
                t.join();
            } catch (const std::exception& e) {
                all.push_back(e.what() == std::to_string(i) ? "right" : e.what());
            }
        }
        return all;
    });
    CHECK(ends == lines(50, "right"));
}

TEST_CASE("errno travels with its tasklet", "[seams]") {
    const auto how = GENERATE(way::yield, way::sleep, way::receive);
    const auto wrong = results_of_many([how](const std::string& me, journey& trip) -> std::string {
        const int mine = std::stoi(me) + 1;
        for (int round = 0; round < 20; ++round) {
            set_errno(mine);
            suspend(how, trip);
            if (get_errno() != mine) return "errno is " + std::to_string(get_errno());
        }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("thread-local variables belong to the worker: ask again after each call that suspends", "[seams]") {
    const auto wrong = results_of_many([](const std::string&, journey& trip) -> std::string {
        for (int round = 0; round < 20; ++round) {
            int* const here = &per_thread_here();
            const auto thread = this_thread();
            suspend(way::yield, trip);
            if ((this_thread() == thread) != (&per_thread_here() == here)) return "the accessor gave another thread's";
        }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("the id of a tasklet stays while its thread changes", "[seams]") {
    const auto wrong = results_of_many([](const std::string&, journey& trip) -> std::string {
        const auto id = rondo::this_tasklet::id();
        for (int round = 0; round < 20; ++round) {
            suspend(way::yield, trip);
            if (rondo::this_tasklet::id() != id) return "another id";
        }
        return "";
    });
    CHECK(wrong == lines{});
}

TEST_CASE("a destructor may wait while a stop or a deadline passes through it", "[seams][stop]") {
    const auto workers = GENERATE(1u, 2u);
    const auto how = GENERATE(0, 1);
    int tidied = 0;
    rondo::run({.workers = workers, .force_migration = workers > 1}, [&] {
        rondo::mutex m;
        rondo::event never;
        auto t = rondo::spawn([&] {
            tidies_up at_end{m, tidied, true};
            if (how == 0) never.wait();
            else CHECK_FALSE(rondo::within(1ms, [&] {
                tidies_up inner{m, tidied, true};
                never.wait();
            }));
        });
        rondo::sleep_for(2ms);
        if (how == 0) t.stop();
        CHECK(end_of([&] { t.join(); }) == (how == 0 ? "stopped" : "returned"));
    });
    CHECK(tidied == 1 + how);
}

TEST_CASE("on a plain thread too, a destructor may wait while a deadline passes through it", "[seams][stop]") {
    int tidied = 0;
    bool in_time = true;
    rondo::mutex m;
    rondo::event never;
    std::thread([&] {
        in_time = rondo::within(1ms, [&] {
            tidies_up inner{m, tidied, true};
            never.wait();
        });
    }).join();
    CHECK_FALSE(in_time);
    CHECK(tidied == 1);
}

TEST_CASE("a deadlock is reported although those who are in it wait in their destructors too", "[seams][deadlock]") {
    rondo::mutex m;
    int tidied = 0;
    std::string report;
    try {
        rondo::run({.workers = 1}, [&] {
            rondo::spawn({.name = "worker bee"}, [&] {
                tidies_up at_end{m, tidied};
                rondo::event().wait();
            });
        });
    } catch (const rondo::deadlock& d) {
        report = d.what();
    }
    CHECK(has(report, "worker bee"));
    CHECK(tidied == 1);
}
