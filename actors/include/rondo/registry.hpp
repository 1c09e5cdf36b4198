// Finding actors by name.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <rondo/actor.hpp>

namespace rondo {

namespace detail {
bool register_name(actor_system& in, const type_tag& type, std::string_view name, const any_actor& who);
[[nodiscard]] any_actor find_name(actor_system& in, const type_tag& type, std::string_view name);
[[nodiscard]] std::size_t count_names(actor_system& in);
bool forget_name(actor_system& in, const type_tag& type, std::string_view name);
}  // namespace detail

/// The names of one runtime's actors: a name and a class together name one actor. What is registered has a handle here,
/// so it does not end for want of others; an entry goes when its actor ends (one of another runtime: when it is looked
/// for after that), or with the runtime. Safe from any tasklet and any thread; no call suspends.
class name_registry {
public:
    explicit name_registry(detail::actor_system& in) noexcept : in_(&in) {}

    /// False: another living actor of this class has the name, or `who` has ended; nothing changes. Throws usage_error if
    /// `who` is empty.
    template <class A>
    bool add(std::string_view name, const actor_ref<A>& who) const {
        if (!who) throw usage_error("registry: add was given an empty handle");
        return detail::register_name(*in_, detail::tag_of<A>, name, who);
    }
    /// nullopt: there is none, or it has ended.
    template <class A>
    [[nodiscard]] std::optional<actor_ref<A>> find(std::string_view name) const {
        detail::any_actor a = detail::find_name(*in_, detail::tag_of<A>, name);
        if (!a) return std::nullopt;
        a.cell().add_ref();
        return actor_ref<A>(&a.cell());
    }
    template <class A>
    bool remove(std::string_view name) const {
        return detail::forget_name(*in_, detail::tag_of<A>, name);
    }
    /// How many names there are, of all classes. A snapshot.
    [[nodiscard]] std::size_t size() const { return detail::count_names(*in_); }

private:
    detail::actor_system* in_;
};

/// Of the calling tasklet's runtime (usage_error outside), or of the one given.
[[nodiscard]] inline name_registry registry() { return name_registry(detail::system_here("rondo::registry")); }
[[nodiscard]] inline name_registry registry(runtime& rt) { return name_registry(detail::system_of(rt.impl())); }

}  // namespace rondo
