// Every wait of the runtime and of channels, in every form, everywhere: one table (matrix_rows.hpp), all its combinations
// (support/matrix_walk.hpp). Those of actors: ../actors/matrix_test.cpp.
#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/time.hpp>

#include "matrix_rows.hpp"
#include "support/matrix_walk.hpp"

using namespace std::chrono_literals;
using namespace matrix;

namespace {

rows all_rows() {
    rows all = channels();
    for (auto& r : locks()) all.push_back(std::move(r));
    for (auto& r : ends()) all.push_back(std::move(r));
    return all;
}

}  // namespace

TEST_CASE("every form of every wait is there, or it is said why not", "[channel][matrix]") {
    every_form_is_there_or_it_is_said_why(all_rows());
}

TEST_CASE("every wait, in every form, everywhere", "[channel][matrix]") { every_wait_everywhere(all_rows()); }

TEST_CASE("a stop reaches every wait, in every form", "[channel][matrix][stop]") {
    a_stop_reaches_every_wait(all_rows());
}

// A sleep waits for nothing but time.
TEST_CASE("a sleep in every form, everywhere", "[matrix][time]") {
    struct sleep {
        const char* name;
        std::function<void(std::chrono::milliseconds)> f;
    };
    const std::array<sleep, 5> sleeps{{
        {"for", [](auto d) { rondo::sleep_for(d); }},
        {"until", [](auto d) { rondo::sleep_until(rondo::now() + d); }},
        {"until, by another clock", [](auto d) { rondo::sleep_until(std::chrono::system_clock::now() + d); }},
        {"select, after", [](auto d) { rondo::select(rondo::after(d, [] {})); }},
        {"select, at", [](auto d) { rondo::select(rondo::at(rondo::now() + d, [] {})); }},
    }};
    const auto done = [](const sleep& s, std::chrono::milliseconds d) { return [=, f = s.f] { return f(d), "done"; }; };
    for (const auto& where : places())
        for (const auto& s : sleeps) {
            INFO(where.name << "; " << s.name);
            const auto before = std::chrono::steady_clock::now();
            CHECK(where.run(done(s, 2ms), nothing_meanwhile) == "done");
            CHECK(std::chrono::steady_clock::now() - before >= 1ms);
            CHECK(where.run([&] { return rondo::within(2ms, done(s, 1h)) ? "done" : "late"; }, nothing_meanwhile) == "late");
            CHECK(where.run(done(s, -1h), nothing_meanwhile) == "done");
        }
    for (const unsigned workers : {1u, 2u}) {
        rondo::runtime rt({.workers = workers});
        for (const auto& s : sleeps) {
            INFO(workers << " workers; " << s.name);
            caller c;
            auto t = rt.spawn([&] { c.call(done(s, 1h)); });
            c.until_it_waits();
            t.stop();
            t.join();
            CHECK(c.result() == "stopped");
        }
    }
}
