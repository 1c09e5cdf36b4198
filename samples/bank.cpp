// A bank on actors: accounts, and tellers that move money between them. Accounts crash at random and are restarted by
// their supervisor; what an account owns is kept in the bank's vault, as a database would. However it goes, no money is
// lost and none is made.
//
//     bank [accounts [transfers [seed]]]
#include <atomic>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <rondo/rondo.hpp>

#include "command_line.hpp"

using vault = std::vector<long>;             // outlives the accounts; each touches its own place only

struct deposit {
    long cents;
};
struct withdraw {
    long cents;
};
struct balance {};

class account {
public:
    account(vault* in, std::size_t number, std::atomic<long>* crashes)
        : kept_(&(*in)[number]), cents_(*kept_), crashes_(crashes) {}

    bool on(withdraw w) {                    // all or nothing: a crash comes before the money moves
        stumble();
        if (cents_ < w.cents) return false;
        *kept_ = cents_ -= w.cents;
        return true;
    }
    bool on(deposit d) {
        stumble();
        *kept_ = cents_ += d.cents;
        return true;
    }
    long on(balance) const { return cents_; }

private:
    void stumble() {
        static std::atomic<unsigned> operations{0};
        if ((operations.fetch_add(1) * 2654435761u >> 16) % 200 != 0) return;
        crashes_->fetch_add(1);
        throw std::runtime_error("the account's clerk fainted");
    }
    long* kept_;
    long cents_;
    std::atomic<long>* crashes_;
};

/// Asks until there is an answer: an account that crashed did nothing, and is back in a moment.
template <class Message>
bool insist(const rondo::actor_ref<account>& at, Message m) {
    for (;;) {
        try {
            return at.ask(m);
        } catch (const std::runtime_error& e) {
            if (at.has_ended()) throw;
        }
    }
}

struct transfer {
    std::size_t from, to;
    long cents;
};

/// Moves money; its handler waits for both accounts, and holds up nobody else meanwhile.
struct teller {
    std::vector<rondo::actor_ref<account>> accounts;
    long moved = 0;
    void on(transfer t) {
        if (insist(accounts[t.from], withdraw{t.cents})) {
            insist(accounts[t.to], deposit{t.cents});
            ++moved;
        }
    }
    long on(balance) const { return moved; }
};

int move_money(std::size_t accounts, std::size_t transfers, unsigned seed) {
    constexpr long each = 10'000;
    vault money(accounts, each);
    std::atomic<long> crashes{0};

    const long total = rondo::run([&] {
        std::vector<rondo::child_spec> seats;
        for (std::size_t i = 0; i < accounts; ++i)
            seats.push_back(rondo::child<account>(std::to_string(i), &money, i, &crashes));
        const auto bank = rondo::supervise({.max_restarts = 1'000'000, .name = "bank"}, std::move(seats));
        std::vector<rondo::actor_ref<account>> all;
        for (std::size_t i = 0; i < accounts; ++i) all.push_back(bank.ref<account>(std::to_string(i)));

        std::mt19937 chance(seed);
        std::vector<rondo::actor_ref<teller>> tellers;
        for (int i = 0; i < 8; ++i) tellers.push_back(rondo::start<teller>(teller{all}));
        for (std::size_t i = 0; i < transfers; ++i)
            tellers[i % tellers.size()].tell(transfer{chance() % accounts, chance() % accounts, static_cast<long>(chance() % 5000)});

        long moved = 0, sum = 0;
        for (const auto& t : tellers) moved += t.ask(balance{});
        for (const auto& a : all) sum += a.ask(balance{});
        fmt::print(stderr, "{} of {} transfers went through; {} crashes\n", moved, transfers, crashes.load());
        return sum;
    });
    fmt::print("{} accounts, {} cents before and {} after\n", accounts, static_cast<long>(accounts) * each, total);
    return total == static_cast<long>(accounts) * each ? 0 : 1;
}

int main(int argc, char** argv) {
    return samples::run_main("bank", [&] {
        const samples::arguments given(argc, argv, "[ACCOUNTS [TRANSFERS [SEED]]]", 3);
        return move_money(given.number(1, "ACCOUNTS", 50, 2, 100'000), given.number(2, "TRANSFERS", 20'000, 0, 1'000'000'000),
                          static_cast<unsigned>(given.number(3, "SEED", 1, 0, 4'294'967'295)));
    });
}
