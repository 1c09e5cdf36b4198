#include <rondo/registry.hpp>

#include "actor_system.hpp"
#include "name_table.hpp"

namespace rondo::detail {

bool register_name(actor_system& in, const type_tag& type, std::string_view name, const any_actor& who) {
    name_table::accessor at;
    any_actor before;                                     // let go of after the entry's lock
    if (!in.names().insert(at, {&type, std::string(name)})) {
        if (!at->second.has_ended()) return at->second == who;
        before = std::move(at->second);
    }
    at->second = who;
    return true;
}

any_actor find_name(actor_system& in, const type_tag& type, std::string_view name) {
    const name_key key{&type, std::string(name)};
    any_actor dead;
    {
        name_table::const_accessor at;
        if (!in.names().find(at, key)) return {};
        if (!at->second.has_ended()) return at->second;
    }
    name_table::accessor at;                              // looked at again: it may have been replaced
    if (!in.names().find(at, key)) return {};
    if (!at->second.has_ended()) return at->second;
    dead = std::move(at->second);
    in.names().erase(at);
    return {};
}

bool forget_name(actor_system& in, const type_tag& type, std::string_view name) {
    name_table::accessor at;
    if (!in.names().find(at, {&type, std::string(name)})) return false;
    const any_actor last = std::move(at->second);
    in.names().erase(at);
    return true;
}

}  // namespace rondo::detail
