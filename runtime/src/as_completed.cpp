// as_completed: one wait for the end of many tasklets. As a select does (channels/src/select.cpp), it links a node into each
// one while it enlists, then suspends; whoever finds a node in between marks the wait as missed, and it begins anew.
#include <rondo/as_completed.hpp>

#include <deque>
#include <vector>

namespace rondo::detail {

struct completions::state {
    struct entry {
        task_ref ref;
        std::size_t index;
    };
    std::size_t count = 0;
    std::vector<entry> running;
    std::deque<std::size_t> ended;

    void collect() {
        std::erase_if(running, [&](const entry& e) {
            if (!task_done(e.ref)) return false;
            ended.push_back(e.index);
            return true;
        });
    }
    void wait_for_one();
};

completions::completions() : state_(std::make_unique<state>()) {}
completions::completions(completions&&) noexcept = default;
completions& completions::operator=(completions&&) noexcept = default;
completions::~completions() = default;

void completions::add(task_ref r) { state_->running.push_back({r, state_->count++}); }
bool completions::empty() const noexcept { return state_->running.empty() && state_->ended.empty(); }

std::size_t completions::next() {
    state& s = *state_;
    for (unsigned round = 0; s.ended.empty(); ++round) {
        s.collect();
        if (!s.ended.empty()) break;
        s.wait_for_one();
        if (round > 8) lowlevel::pause(round);
    }
    const auto first = s.ended.front();
    s.ended.pop_front();
    return first;
}

void completions::state::wait_for_one() {
    lowlevel::waiter& me = lowlevel::enter();
    std::deque<lowlevel::wait_node> nodes;
    struct cleaner {                                   // also when it throws
        state& s;
        lowlevel::waiter& me;
        std::deque<lowlevel::wait_node>& nodes;
        bool suspended = false;
        ~cleaner() {
            for (std::size_t i = 0; i < nodes.size(); ++i) withdraw_from(s.running[i].ref, nodes[i]);
            if (!suspended) lowlevel::end_enlisting(me);
        }
    };
    lowlevel::begin_enlisting(me);
    cleaner clean{*this, me, nodes};
    for (const auto& e : running) {
        nodes.emplace_back(me);
        if (ended_or_enlist(e.ref, nodes.back()) || lowlevel::missed(me)) return;
    }
    clean.suspended = true;
    lowlevel::raise(lowlevel::suspend(me, {lowlevel::wait_kind::join, nullptr}, nullptr, lowlevel::no_deadline));
}

}  // namespace rondo::detail
