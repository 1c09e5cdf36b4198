// What the stress tests of channels share: chance, and who has sent and received what.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <random>
#include <vector>

#include <rondo/run.hpp>

#include "support/seeds.hpp"

namespace stress {

struct dice {
    std::minstd_rand next;
    explicit dice(unsigned seed) : next(seed * 2654435761u + 1) {}
    unsigned below(unsigned n) { return static_cast<unsigned>(next() % n); }
    std::chrono::microseconds up_to_us(unsigned most) { return std::chrono::microseconds(next() % most); }
};

inline rondo::runtime_options options_for(unsigned workers, bool migrate) {
    rondo::runtime_options o;
    o.workers = workers;
    o.force_migration = migrate;
    return o;
}

// Move-only, and a leak or a double free shows. What it holds is an index of marks.
using value = std::unique_ptr<std::size_t>;

// Each value may be sent once and received once.
struct ledger {
    struct mark {
        std::atomic<unsigned char> sent{0}, received{0};
    };
    explicit ledger(std::size_t n) : marks(n) {}
    std::vector<mark> marks;
    std::atomic<long> twice{0};
    std::atomic<long> not_kept{0};
    void sent(std::size_t v) { twice += marks[v].sent.fetch_add(1) != 0; }
    void received(std::size_t v) { twice += marks[v].received.fetch_add(1) != 0; }
    [[nodiscard]] long lost_or_made() const {
        long n = 0;
        for (const auto& m : marks) n += m.sent != m.received;
        return n;
    }
};

// A value on its way: at the end of its send, whichever, it has been sent or is still there.
class parcel {
public:
    parcel(std::size_t v, ledger& all) : p(std::make_unique<std::size_t>(v)), v_(v), all_(all) {}
    ~parcel() { all_.not_kept += is_sent_ ? p != nullptr : !p || *p != v_; }
    parcel(const parcel&) = delete;
    parcel& operator=(const parcel&) = delete;
    void sent() {
        is_sent_ = true;
        all_.sent(v_);
    }
    value p;

private:
    const std::size_t v_;
    ledger& all_;
    bool is_sent_ = false;
};

inline unsigned seeds_of_each(unsigned combinations) {
    return std::max(1u, support::seeds_or(3 * combinations) / combinations);
}

template <class Tasklets>
bool all_done(const Tasklets& some) {
    return std::all_of(some.begin(), some.end(), [](const auto& t) { return t.done(); });
}
// Also those that were stopped.
template <class Tasklets>
void join_all(Tasklets& some) {
    for (auto& t : some) {
        try {
            t.join();
        } catch (const rondo::stopped&) {
        }
    }
}

}  // namespace stress
