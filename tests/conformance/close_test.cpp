// Close and iteration: K01 to K07.
#include <catch2/catch.hpp>

#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "stage.hpp"

using namespace conformance;

TEST_CASE("an empty closed channel refuses send and receive", "[K01]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    CHECK_FALSE(c.closing());
    c.close();
    CHECK(c.closing());
    CHECK(c.closed());
    CHECK(end_of([&] { c.send(1); }) == "closed");
    CHECK(end_of([&] { c.receive(); }) == "closed");
    c.close();                                        // a second close does nothing
}

TEST_CASE("the value of a waiting sender can still be received after close", "[K02]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::string sender;
    sl::tasklet([&] { sender = end_of([&] { c.send(5); }); })();
    sl::run();
    c.close();
    CHECK_FALSE(c.closed());                          // not before it is drained
    CHECK(c.receive() == 5);
    CHECK(c.closed());
    CHECK(end_of([&] { c.receive(); }) == "closed");
    sl::run();
    CHECK(sender == "returned");
}

TEST_CASE("close wakes waiting receivers with closed", "[K03]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::string receiver;
    sl::tasklet([&] { receiver = end_of([&] { c.receive(); }); })();
    sl::run();
    c.close();
    CHECK(sl::run().parked == 0);                     // Rondo: Stackless's close wakes nobody
    CHECK(receiver == "closed");
    CHECK(c.balance() == 0);
}

TEST_CASE("a loop over a channel takes exactly what was sent, and ends at stop_iteration", "[K05]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::vector<int> got, wanted(20);
    std::iota(wanted.begin(), wanted.end(), 0);
    std::size_t sent = 0;
    sl::tasklet([&] {
        for (int v : c) got.push_back(v);
    })();
    sl::tasklet([&] {
        sent = c.send_sequence(wanted);
        c.send_exception<sl::stop_iteration>();
    })();
    CHECK(sl::run().parked == 0);
    CHECK(got == wanted);
    CHECK(sent == 20);
}

TEST_CASE("a loop over a channel ends when it is closed while the loop waits", "[K05]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    std::vector<int> got;
    sl::tasklet([&] {
        for (int v : c) got.push_back(v);
    })();
    sl::tasklet([&] {
        c.send_sequence(std::vector{1, 2, 3});
        c.close();
    })();
    CHECK(sl::run().parked == 0);
    CHECK(got == std::vector{1, 2, 3});
}

TEST_CASE("a sequence that is given away is moved from, one that is not keeps its elements", "[K05]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<std::shared_ptr<int>> c;
    std::vector<long> owners;                         // as each receiver sees it
    sl::tasklet([&] {
        for (const auto& v : c) owners.push_back(v.use_count());
    })();
    sl::tasklet([&] {
        std::vector<std::shared_ptr<int>> values;
        values.push_back(std::make_shared<int>(1));
        CHECK(c.send_sequence(values) == 1);
        CHECK(c.send_sequence(std::move(values)) == 1);
        c.close();
    })();
    CHECK(sl::run().parked == 0);
    CHECK(owners == std::vector<long>{2, 1});
}

TEST_CASE("a loop over an empty closed channel ends at once", "[K06]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    c.close();
    int n = 0;
    for (int v : c) n += v + 1;
    CHECK(n == 0);
    bool has_ended = false;
    sl::tasklet([&] {
        for (int v : c) n += v + 1;
        has_ended = true;
    })();
    CHECK(sl::run().parked == 0);
    CHECK(has_ended);
    CHECK(n == 0);
}

TEST_CASE("three waiting senders, close, loop: three values, then the end", "[K07]") {
    sl::session s({.workers = GENERATE(1u, 2u)});
    sl::channel<int> c;
    for (int i = 1; i <= 3; ++i) {
        sl::tasklet([&, i] { c.send(i); })();
        sl::run();
    }
    c.close();
    std::vector<int> got;
    for (int v : c) got.push_back(v);
    CHECK(got == std::vector{1, 2, 3});
    CHECK(sl::run().parked == 0);
}
