// The rows of the table of all waits that are about the runtime and channels.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "support/matrix.hpp"

namespace matrix {

// For whatever has receive(), next() and so on; `wanted` is what must arrive.
template <class Source>
calls receives(std::shared_ptr<Source> from, int wanted) {
    calls by;
    const auto is = [=](const std::optional<int>& v, const char* none) {
        return !v ? none : *v == wanted ? "done" : "?";
    };
    by.plain = [=] { return is(from->receive(), "?"); };
    by.another = [=] { return is(from->next(), "closed"); };
    by.attempt = [=] { return is(from->try_receive(), "not now"); };
    by.for_some_time = [=](auto d) { return is(from->receive_for(d), "late"); };
    by.until = [=](auto tp) { return is(from->receive_until(tp), "late"); };
    add_selects(by, [=](auto f) {
        return rondo::from(*from, [=](int v) {
            if (v == wanted) f();
        });
    });
    return by;
}

std::vector<row> channels();
std::vector<row> locks();
std::vector<row> ends();

}  // namespace matrix
