// How an object becomes a clause of rondo::select.
//
// Derive a class from select_clause, give it a `void run()` that calls the user's function once the clause has been
// chosen, and hand it to select. It is made in the call's full expression and never moved:
//
//     template <class F>
//     class raised final : public rondo::lowlevel::select_clause {       // an event has been set
//     public:
//         raised(my_event& e, F f)
//             : select_clause({rondo::lowlevel::wait_kind::event, &e}), event_(e), f_(std::move(f)) {}
//         progress attempt(rondo::lowlevel::waiter& me, bool enlists, partner&) override {
//             std::lock_guard hold(event_.lock);
//             if (event_.set) return progress::done;                     // what is to be taken is taken here
//             if (enlists) event_.waiters.push_back(fresh_node(me));
//             return progress::waits;
//         }
//         void withdraw() noexcept override { unlink(event_.lock, event_.waiters, node()); }
//         void run() { f_(); }
//     };
//
// Who makes it possible to go on calls claim_front() on the list, as for any waiter, and resume()s whom it gives.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <rondo/lowlevel/wait.hpp>
#include <rondo/lowlevel/wait_part.hpp>

namespace rondo::lowlevel {

/// What a clause can do at the moment.
enum class progress : std::uint8_t {
    done,       ///< it has gone ahead: this is the one
    waits,      ///< not yet
    closed      ///< never again
};

/// Whom a clause that has gone ahead at once has claimed, if anybody; select resumes it when all else is tidied up.
struct partner {
    waiter* who = nullptr;
    bool runs_now = false;          ///< takes over this worker, rather than going to the tail
    waiter::hold how = waiter::hold::open;
};

class select_clause {
public:
    /// `what`: shown in dumps and deadlock reports.
    explicit select_clause(const wait_site& what = {}) noexcept : part_{what} {}
    select_clause(const select_clause&) = delete;
    select_clause& operator=(const select_clause&) = delete;

    /// Goes ahead if that is possible now. If not and `enlists`, links fresh_node(me), in the same critical section in
    /// which it was found impossible. Whoever claims that node has made the clause go ahead (wake::ready), or has closed
    /// what it waits for (wake::closed). Must not suspend. May throw, with the node not linked: select throws it on.
    virtual progress attempt(waiter& me, bool enlists, partner& met) = 0;
    /// Takes the node out, if it is still in; no one may know it afterwards. Called once for each time that `attempt`
    /// has linked it, whichever way the wait ended.
    virtual void withdraw() noexcept = 0;
    /// The last call before select goes on: with run() if this clause was chosen.
    virtual void finish() noexcept {}
    /// The wait has ended through this clause's node: how.
    virtual wake ended(wake outcome) noexcept { return node_ && node_->claimed ? outcome : wake::none; }

    /// Chosen where select would throw `stopped`, if no clause takes that: its run() then knows what to do.
    [[nodiscard]] virtual bool outlasts_stop() const noexcept { return false; }

    /// select returns false once it has clauses that can close and all of them have.
    bool can_close = false;
    /// Chosen where select would throw `stopped`; attempt() must be done while stop_is_due(me).
    bool takes_stop = false;

protected:
    ~select_clause() = default;
    wait_node& fresh_node(waiter& me) noexcept { return node_.emplace(me); }
    wait_node& node() noexcept { return *node_; }

private:
    friend class selection;
    wait_part part_;
    std::optional<wait_node> node_;
    bool closed_ = false;
    bool enlisted_ = false;
};

/// What select() comes to, if no clause has gone ahead.
enum : int { select_closed = -1, select_timed_out = -2, select_otherwise = -3 };

/// How a select goes about it.
struct select_options {
    bool in_order = false;
    bool otherwise = false;         ///< does not wait
    time_point until = no_deadline;
};

inline constexpr std::size_t most_clauses = 64;

/// The index of the clause that has gone ahead, or one of the above. The untyped core of rondo::select.
int select(std::span<select_clause* const> clauses, const select_options& options);

}  // namespace rondo::lowlevel
