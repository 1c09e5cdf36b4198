// What may cross: messages that hide their address.
#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/tasklet.hpp>

using namespace std::chrono_literals;
using rondo::channel;

namespace {

struct hidden {
    int n;
    hidden* operator&() = delete;
    const hidden* operator&() const = delete;
};

}  // namespace

TEST_CASE("a type with an operator& of its own crosses channels and joins", "[channel][values]") {
    const auto slots = GENERATE(std::size_t{0}, std::size_t{1});
    const int sum = rondo::run({.workers = GENERATE(1u, 2u)}, [slots] {
        channel<hidden> line(slots);
        auto sender = rondo::spawn([line] {
            line.send({1});
            line.send_for({10}, 1h);
            rondo::select(rondo::to(line, hidden{100}, [] {}));
            return hidden{1000};
        });
        int n = line.receive().n + line.next()->n;
        rondo::select(rondo::from(line, [&](hidden h) { n += h.n; }));
        return n + sender.join().n;
    });
    CHECK(sum == 1111);
}
