// Actors in tests: a probe, which keeps what it is told until the test asks for it, and crashes at will. The rest is
// what testing.hpp gives: settle(), advance(), explore().
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <rondo/actor.hpp>
#include <rondo/channel.hpp>
#include <rondo/testing.hpp>

namespace rondo {
namespace testing {

/// A probe was told something else than was expected, or nothing. what() says what.
class unexpected : public error {
public:
    using error::error;
};

}  // namespace testing

namespace detail {

template <class... E>
struct probe_log {
    channel<std::variant<typename entry<E>::message...>> told{unbounded};
    std::tuple<channel<stored_t<typename entry<E>::answer>>...> answers{
        channel<stored_t<typename entry<E>::answer>>(unbounded)...};
};

// One overload of on() each; Self is only there to tell bases of different probes apart.
template <class Self, class Log, std::size_t I, class E>
struct probe_on {
    using message = typename entry<E>::message;
    typename entry<E>::answer on(message m) {
        Log& log = static_cast<Self&>(*this).log;
        log.told.send(typename Self::any_message(std::in_place_index<I>, std::move(m)));
        if constexpr (!std::is_void_v<typename entry<E>::answer>) return std::get<I>(log.answers).receive();
    }
};
template <class Is, class... E>
struct probe_actor;
template <std::size_t... I, class... E>
struct probe_actor<std::index_sequence<I...>, E...>
    : probe_on<probe_actor<std::index_sequence<I...>, E...>, probe_log<E...>, I, E>... {
    using any_message = std::variant<typename entry<E>::message...>;
    using probe_on<probe_actor, probe_log<E...>, I, E>::on...;
    explicit probe_actor(probe_log<E...> l) : log(std::move(l)) {}
    probe_log<E...> log;
};

struct injected_crash {
    std::exception_ptr error;
};
void inject_crash(const any_actor& who, std::exception_ptr error);

[[noreturn]] void fail_expectation(const type_tag& wanted, const type_tag* came, std::source_location where);

}  // namespace detail

namespace testing {

/// An actor for tests that stands for those whom the actor under test talks to. It takes these messages, as an
/// address<E...> does, and keeps them until the test expects them. A message M whose entry is `R(M)` is answered with what
/// the test says: answer<M>(value); its asker waits until then.
///
/// On the test's thread, with a world, expect() settles first and looks then: what is not there by then will not come. In a
/// tasklet (under explore, or in world::run) it waits, for at most `patience` of virtual time.
/// Example: tests/actors/testing_test.cpp.
template <class... E>
class probe {
public:
    using actor = detail::probe_actor<std::index_sequence_for<E...>, E...>;

    /// In a world, from the test's thread.
    explicit probe(world& w)
        : world_(&w), who_(start_on<actor>(w.in(), actor_options{.name = "probe", .mailbox_slots = 0}, log_)) {}
    /// In the runtime of the calling tasklet.
    probe() : who_(start<actor>(actor_options{.name = "probe", .mailbox_slots = 0}, log_)) {}

    /// Whoever takes its messages.
    template <class... F>
    operator address<F...>() const {    // NOLINT: as actor_ref
        return address<F...>(who_);
    }
    [[nodiscard]] const actor_ref<actor>& ref() const noexcept { return who_; }

    /// The next message, which must be an M. Throws: unexpected.
    template <class M>
    M expect(std::source_location where = std::source_location::current()) {
        auto m = next();
        if (!m) detail::fail_expectation(detail::tag_of<M>, nullptr, where);
        if (M* it = std::get_if<M>(&*m)) return std::move(*it);
        detail::fail_expectation(detail::tag_of<M>, type_of(*m), where);
    }
    /// Nothing has come. Throws: unexpected.
    void expect_nothing(std::source_location where = std::source_location::current()) {
        if (auto m = next()) detail::fail_expectation(detail::tag_of<void>, type_of(*m), where);
    }
    /// What the next M that is asked, or the one that is being asked, is answered with.
    template <class M, class R>
    void answer(R&& value) {
        std::get<detail::index_of<M, E...>()>(log_.answers).send(std::forward<R>(value));
    }
    detail::time_span patience = std::chrono::seconds(1);

private:
    std::optional<typename actor::any_message> next() {
        if (world_ && !on_tasklet()) {
            world_->settle();
            return log_.told.try_receive();
        }
        return log_.told.receive_for(detail::ticks(patience));
    }
    static bool on_tasklet() noexcept { return lowlevel::home_here() != nullptr; }
    static const detail::type_tag* type_of(const typename actor::any_message& m) {
        return std::visit([](const auto& it) { return &detail::tag_of<std::remove_cvref_t<decltype(it)>>; }, m);
    }

    world* world_ = nullptr;
    detail::probe_log<E...> log_;
    actor_ref<actor> who_;
};

/// As if the actor's next handler threw `error`: before whatever waits in its mailbox, and after the message that it is
/// handling (kill() is for the middle of that one). Its supervisor, and those who watch, see a crash. Nothing happens if it
/// has ended, or waits to be restarted. From anywhere. Suspends: never.
template <class Error>
    requires std::copy_constructible<Error>
void crash(const detail::any_actor& who, Error error) {
    detail::inject_crash(who, std::make_exception_ptr(std::move(error)));
}

}  // namespace testing
}  // namespace rondo
