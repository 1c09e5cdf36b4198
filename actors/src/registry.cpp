#include <rondo/registry.hpp>

#include <algorithm>
#include <mutex>

#include "actor_system.hpp"
#include "name_table.hpp"

namespace rondo::detail {

// Whoever holds an entry may lock the guard of an actor, not the other way round.
bool register_name(actor_system& in, const type_tag& type, std::string_view name, const any_actor& who) {
    if (who.has_ended()) return false;
    actor_extra& e = who.cell().need_extra();
    std::string noted(name);
    any_actor before;                                     // let go of after the entry's lock
    name_table::accessor at;
    if (!in.names().insert(at, {&type, noted})) {
        if (!at->second.has_ended()) return at->second == who;
        before = std::move(at->second);
    }
    at->second = who;
    if (&who.cell().system != &in) return true;
    try {
        std::lock_guard hold(e.guard);
        if (!e.has_ended) {
            e.names.push_back(std::move(noted));
            return true;
        }
    } catch (...) {
        in.names().erase(at);
        throw;
    }
    in.names().erase(at);                                 // it has ended just now
    return false;
}

void actor_system::forget(actor_cell& c, std::vector<std::string> names) noexcept {
    for (auto& name : names) {
        any_actor last;
        name_table::accessor at;
        if (!names_.find(at, {c.of.type, std::move(name)}) || at->second.cell_or_null() != &c) continue;
        last = std::move(at->second);
        names_.erase(at);
    }
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
    any_actor last;
    name_table::accessor at;
    if (!in.names().find(at, {&type, std::string(name)})) return false;
    last = std::move(at->second);
    in.names().erase(at);
    at.release();
    auto* e = last.cell().extra.load(acquire);            // pairs with the release in need_extra()
    if (!e) return true;
    std::lock_guard hold(e->guard);
    const auto noted = std::find(e->names.begin(), e->names.end(), name);
    if (noted != e->names.end()) e->names.erase(noted);
    return true;
}

std::size_t count_names(actor_system& in) { return in.names().size(); }

}  // namespace rondo::detail
