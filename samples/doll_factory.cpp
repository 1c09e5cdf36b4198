// The doll factory: stations that pull what they need from each other ("pull" dataflow), in virtual time. A station is a
// tasklet with a loop; between stations lie channels; waiting for parts and working both just wait. The factory's clock
// moves on when everybody waits. (The Stackless Python tutorial's factory, without its polling and without its crash.)
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

/// Virtual seconds. One worker, so nothing here needs a lock.
class factory_clock {
public:
    /// False: the day is over.
    bool sleep(int seconds) {
        const rondo::channel<bool> alarm;
        sleepers_.emplace(now_ + seconds, alarm);
        return alarm.next().has_value();
    }
    /// Wakes whoever is due next, up to `end`; after that everybody goes home.
    bool advance(int end) {
        if (sleepers_.empty() || sleepers_.begin()->first > end) {
            for (auto& [when, alarm] : std::exchange(sleepers_, {})) alarm.close();
            return false;
        }
        now_ = sleepers_.begin()->first;
        const auto alarm = sleepers_.extract(sleepers_.begin()).mapped();
        alarm.send(true);
        return true;
    }
    [[nodiscard]] int now() const { return now_; }

private:
    int now_ = 0;
    std::multimap<int, rondo::channel<bool>> sleepers_;
};

struct part {};
using parts = rondo::channel<part>;

struct storeroom {
    int stock;
    bool take(int amount) {
        if (amount > stock) return false;                // empty: the station stops, in order
        stock -= amount;
        return true;
    }
};

struct factory {
    factory_clock clock;
    storeroom plastic, rivets;                           // in tenths of a pound; pieces
    parts arms{rondo::unbounded}, legs{rondo::unbounded}, heads{rondo::unbounded}, torsos{rondo::unbounded};
    parts with_legs{rondo::unbounded}, with_arms{rondo::unbounded};
    std::map<std::string, int> made;
    int last = 0;                                        // when the last doll was finished

    factory(int plastic_stock, int rivet_stock) : plastic{plastic_stock}, rivets{rivet_stock} {}

    void molder(const char* what, int tenths, int seconds, parts to) {
        while (plastic.take(tenths) && clock.sleep(seconds)) {
            ++made[what];
            to.send({});
        }
        to.close();                                      // whoever waits for these parts stops too
    }
    void assembly(const char* what, int seconds, parts base, parts addition, parts to) {
        while (base.next() && addition.next() && rivets.take(1) && clock.sleep(seconds)) {
            ++made[what];
            to.send({});
        }
        to.close();
    }
    void shipping(parts dolls) {
        while (dolls.next()) {
            last = clock.now();
            if (++made["dolls"] <= 4) fmt::print("  a doll at {} s\n", last);
        }
    }
    void run(int seconds) {
        rondo::runtime rt{{.workers = 1}};
        const parts dolls{rondo::unbounded};
        rt.spawn([&] { molder("pairs of arms", 2, 6, arms); });
        rt.spawn([&] { molder("pairs of legs", 2, 5, legs); });
        rt.spawn([&] { molder("heads", 1, 4, heads); });
        rt.spawn([&] { molder("torsos", 5, 10, torsos); });
        rt.spawn([&] { assembly("torsos with legs", 2, torsos, legs, with_legs); });
        rt.spawn([&] { assembly("torsos with arms", 2, with_legs, arms, with_arms); });
        rt.spawn([&] { assembly("whole ones", 3, with_arms, heads, dolls); });
        rt.spawn([&, dolls] { shipping(dolls); });
        do rt.run_until_idle();                          // everybody waits now
        while (clock.advance(seconds));
        const auto waiting = rt.run_until_idle().parked.size();
        fmt::print("  the last doll at {} s; {} tasklets left\n", last, waiting);
    }
};

int main() {
    fmt::print("1000 seconds, with plastic enough:\n");
    factory rich(10'000, 1000);
    rich.run(1000);
    for (const char* what : {"pairs of arms", "pairs of legs", "heads", "torsos", "dolls"})
        fmt::print("  {} {}\n", rich.made[what], what);

    fmt::print("100 pounds of plastic, until it is used up:\n");
    factory poor(1000, 1000);
    poor.run(100'000);
    fmt::print("  {} dolls; {} tenths of a pound of plastic and {} rivets left\n", poor.made["dolls"], poor.plastic.stock,
               poor.rivets.stock);
}
