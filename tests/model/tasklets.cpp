// What channels and locks need of the runtime, in a model: nobody has a worker, a stack or a clock.
#include "tasklets.hpp"

#include <cstdlib>
#include <source_location>

#include <rondo/error.hpp>

namespace rondo::model {

tasklet* running = nullptr;
lowlevel::soloist *alone = nullptr, *maker = nullptr;

}  // namespace rondo::model

namespace rondo::lowlevel {

waiter& self() noexcept { return *model::running; }
waiter& enter() {
    waiter& me = self();
    if (me.stop_requested()) throw stopped();
    return me;
}
entry enter_here() {
    soloist* const here = model::alone;
    return {enter(), here};
}
soloist* soloist_here() noexcept { return model::maker; }
bool others_may_run() noexcept { return true; }
void point(waiter&) noexcept {}

wake suspend_published(waiter& me, std::uint32_t generation, const wait_site&, time_point) noexcept {
    return static_cast<model::tasklet&>(me).suspend_published(generation);
}
wake suspend(waiter& me, const wait_site&, spin_lock* lock, time_point) noexcept {
    const auto generation = waiter::generation_of(me.word.load(rondo::detail::relaxed)) + 1;
    return static_cast<model::tasklet&>(me).suspend_published(generation, lock);
}
void settle(waiter& who, waiter::hold how, placement) noexcept { static_cast<model::tasklet&>(who).settle(how); }
void resume(waiter& who, placement) noexcept { static_cast<model::tasklet&>(who).resume(); }
void raise(wake outcome) {
    if (outcome == wake::stopped) throw stopped();
}

}  // namespace rondo::lowlevel

void rondo::detail::expectation_failed(const char* what, std::source_location) noexcept {
    model::check(false, what);
    std::abort();
}
