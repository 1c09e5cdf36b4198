// The second piece of code in README.md.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

TEST_CASE("what the README shows of scopes, limits and embedding does what it says") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], "salt", 4) == 4);
    const int fd = ends[0];
    char to[8] = {};
    const std::size_t size = sizeof to;

    const auto shown = [=, to = &to[0]] {
    rondo::channel<int> salt(1), slow;
    salt.send(1);
    // docs: scopes, limits, embedding
    rondo::scope([&](rondo::group& table) {                    // children end before the scope does
        for (auto who : {"mother", "father", "Ada", "Ben"})
            table.spawn({.name = who}, [=] { salt.receive(); rondo::sleep_for(20ms); salt.send(1); });
    });                                                        // the first failure stops the rest and is rethrown here

    std::optional<int> v = rondo::within(200ms, [&] { return slow.receive(); });     // nullopt: time was up

    rondo::runtime rt{{.workers = 4}};                         // embedding: any number in a process
    auto job = rt.spawn([=] { return rondo::blocking([=] { return ::read(fd, to, size); }); });
    job.join();                                                // a plain thread blocks; a tasklet suspends
    // docs: end
    CHECK(salt.size() == 1);
    CHECK(!v);
    };
    rondo::run(shown);
    CHECK(std::string_view(to) == "salt");
    ::close(ends[0]);
    ::close(ends[1]);
}
