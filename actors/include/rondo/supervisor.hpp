// Supervisors: actors that start others, and start them again when they fail.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/actor.hpp>
#include <rondo/event.hpp>

namespace rondo {

/// Who is restarted when a child fails.
enum class restart : std::uint8_t {
    one_for_one,     ///< that child
    one_for_all,     ///< all: the others are taken down in reverse order, then all made again in order
    rest_for_one     ///< that child and those after it, likewise
};

struct supervise_options {
    restart strategy = restart::one_for_one;
    unsigned max_restarts = 3;                             ///< more than so many ...
    detail::time_span within = std::chrono::seconds(5);    ///< ... in so long: it gives up
    /// The pause before a restart; doubled for each further restart `within`, up to the longest. rondo::run does not wait
    /// for it.
    detail::time_span backoff = {};
    detail::time_span longest_backoff = std::chrono::seconds(1);
    std::string_view name = {};
    std::source_location where = std::source_location::current();
};

/// After what ends a child is restarted. A failure: crashed, killed, linked with one that failed, gave up. One that is
/// `never` restarted ends for good, too, when its supervisor takes it down because of another child's failure.
enum class restart_when : std::uint8_t { failed, ended, never };

struct child_options {
    std::string_view name = {};                            ///< unique among its siblings
    restart_when when = restart_when::failed;              ///< ended: after stop(), too
    /// What waits in its mailbox when it fails, or comes before it is there again. Else it becomes dead letters, at the
    /// latest when the child is made anew: dead_letter_reason::restarted; askers get actor_ended.
    bool keep_messages = true;
    /// How long it may take to end its message when it is taken down; then it is killed.
    detail::time_span shutdown = std::chrono::seconds(5);
    std::optional<std::size_t> mailbox_slots = {};
    std::optional<when_full> full = {};
    std::source_location where = std::source_location::current();
};

/// What a supervisor fails with when there were too many restarts: it ends its children, and its own supervisor, if it
/// has one, decides; else it comes out of run, unless somebody has heard of it as of a crash (see rondo::start).
class too_many_restarts : public error {
public:
    using error::error;
};

namespace detail {

/// What a supervisor and its child share about it. `guard` protects `boss`.
struct supervised {
    lowlevel::spin_lock guard;
    actor_cell* boss = nullptr;                            // a weak reference; taken out when the child has ended
    void (*tell_boss)(actor_cell& boss, actor_cell& child, const exit_reason& why, std::uint32_t life,
                      bool is_final) noexcept = nullptr;
    std::function<void(actor_cell&)> make;                 // the child's object, again
    bool keep_messages = true;
    bool even_if_stopped = false;
    atomic<bool> refuses{false};                           // a supervisor that ends its children, to be made again
    event obeyed;                                          // the order halt, or restart, has been carried out
    std::exception_ptr failure;                            // what the restart threw
    ~supervised() {
        if (boss) boss->drop_weak();
    }
};

}  // namespace detail

/// How to start a child: made by rondo::child and rondo::subtree.
struct child_spec {
    std::string name;
    child_options options;                                 // its `name` is not used
    const detail::type_tag* type = nullptr;
    std::function<detail::any_actor(detail::actor_system&, std::shared_ptr<detail::supervised>, const actor_options&)> start;
    std::function<void(detail::actor_cell&)> make;
};

/// An A made from copies of these arguments, each time anew.
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, const std::decay_t<Args>&...>
child_spec child(const child_options& options, Args&&... args) {
    Noted::know_messages();
    auto kept = std::make_shared<const std::tuple<std::decay_t<Args>...>>(std::forward<Args>(args)...);
    return {std::string(options.name), options, &detail::tag_of<A>,
            [kept](detail::actor_system& in, std::shared_ptr<detail::supervised> under, const actor_options& o) {
                return std::apply(
                    [&](const auto&... a) -> detail::any_actor {
                        return detail::start_under<A>(std::move(under), in, o, a...);
                    },
                    *kept);
            },
            [kept](detail::actor_cell& c) {
                std::apply([&](const auto&... a) { detail::make_at<A>(c.state(), a...); }, *kept);
            }};
}
template <class A, class Noted = detail::noted_start<A>, class... Args>
    requires detail::actor_made_from<A, const std::decay_t<Args>&...>
child_spec child(std::string_view name, Args&&... args) {
    return rondo::child<A, Noted>(child_options{.name = name, .where = {}}, std::forward<Args>(args)...);
}

/// A supervisor as a child of another: when it gives up, that one decides. Throws usage_error as supervise.
[[nodiscard]] child_spec subtree(const supervise_options& options, std::vector<child_spec> children);
template <class... Spec>
    requires(std::same_as<std::remove_cvref_t<Spec>, child_spec> && ...)
child_spec subtree(const supervise_options& options, Spec&&... children) {
    return subtree(options, std::vector<child_spec>{std::forward<Spec>(children)...});
}

struct child_info {
    std::string name;
    std::uint64_t id = 0;
    std::size_t restarts = 0;
};

/// A handle to a supervisor. When the last one goes, it ends, and its children before it, in reverse order: at once, in a
/// back-off, too, as after stop(); then its children have their shutdown times, one after the other. From then on who asks
/// it gets actor_ended, and has_ended() is true; join() waits for the children. A subtree that is taken down to be made again
/// refuses who asks it in the same way until its children have ended; it keeps no messages from one life to the next.
class supervisor : public detail::any_actor {
public:
    supervisor() noexcept = default;
    explicit supervisor(any_actor a) noexcept : any_actor(std::move(a)) {}

    /// The child of this name; the handle stays good over restarts. Of a subtree: ref<rondo::supervisor>(name), a supervisor.
    /// Suspends: until the supervisor answers, while it restarts somebody, too. Throws: usage_error if there is none of
    /// that class; actor_ended.
    template <class A>
    [[nodiscard]] auto ref(std::string_view name) const {
        if constexpr (std::same_as<A, supervisor>) {
            return find_subtree(name);
        } else {
            any_actor a = find(name, detail::tag_of<A>);
            a.cell().add_ref();
            return actor_ref<A>(&a.cell());
        }
    }
    /// Starts one more. Throws: usage_error if there is one of that name, or an option is a negative time; what its
    /// constructor throws.
    void start(child_spec spec) const;
    /// Takes a child down and forgets it. False: there is none of that name.
    bool stop_child(std::string_view name) const;
    [[nodiscard]] std::vector<child_info> children() const;
    using any_actor::stop;

private:
    [[nodiscard]] any_actor find(std::string_view name, const detail::type_tag& type) const;
    [[nodiscard]] supervisor find_subtree(std::string_view name) const;
};

/// Starts a supervisor and its children, in order; returns when they are there.
/// Throws: what a constructor throws (those started before it are ended again); usage_error outside any runtime, if two
///         children have one name, or if an option is a negative time.
[[nodiscard]] supervisor supervise(const supervise_options& options, std::vector<child_spec> children);
template <class... Spec>
    requires(std::same_as<std::remove_cvref_t<Spec>, child_spec> && ...)
[[nodiscard]] supervisor supervise(const supervise_options& options, Spec&&... children) {
    return supervise(options, std::vector<child_spec>{std::forward<Spec>(children)...});
}

}  // namespace rondo

template <>
struct std::hash<rondo::supervisor> : std::hash<rondo::detail::any_actor> {};
