// The tests of channel_test.cpp, over the channels behind a spin lock: both kinds behave the same.
#include <catch2/catch.hpp>

#include <cstddef>

#include <rondo/channel.hpp>

namespace {

template <class T>
class channel : public rondo::channel<T> {
public:
    explicit channel(std::size_t slots = 0) : rondo::channel<T>(rondo::spin_locked, slots) {}
    explicit channel(rondo::handoff who) : rondo::channel<T>(rondo::spin_locked, 0, who) {}
    explicit channel(rondo::unbounded_t) : rondo::channel<T>(rondo::spin_locked, rondo::detail::no_limit) {}
};

}  // namespace

#define RONDO_TEST_CHANNEL
#undef TEST_CASE
#define TEST_CASE(name, tags) INTERNAL_CATCH_TESTCASE("spin lock: " name, tags)
#include "channel_test.cpp"
