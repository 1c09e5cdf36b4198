// The table behind the registry: oneTBB's, with a lock per entry.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <tbb/concurrent_hash_map.h>

#include <rondo/actor.hpp>

namespace rondo::detail {

struct name_key {
    const type_tag* type;
    std::string name;
    friend bool operator==(const name_key&, const name_key&) = default;
};
struct name_hash {
    static std::size_t hash(const name_key& k) {
        return std::hash<std::string>{}(k.name) * 31 + std::hash<const void*>{}(k.type);
    }
    static bool equal(const name_key& a, const name_key& b) { return a == b; }
};
using name_table = tbb::concurrent_hash_map<name_key, any_actor, name_hash>;

}  // namespace rondo::detail
