// Power series as tasklets: each is a stream of rational coefficients that is computed when somebody asks for the next one.
// (M. Douglas McIlroy, "Squinting at Power Series", 1990; a test of Go's since its beginning.) Tasklets that make others,
// streams that are read at two places, recursion through channels. Our own words, on rondo's channels and select.
#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <rondo/channel.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>

namespace {

struct rational {
    std::int64_t numerator = 0, denominator = 1;
    rational() = default;
    rational(std::int64_t n, std::int64_t d = 1) {
        if (d == 0) throw std::domain_error("a division by zero");
        const auto g = std::gcd(n, d);
        const auto sign = d < 0 ? -1 : 1;
        numerator = sign * n / (g ? g : 1);
        denominator = sign * d / (g ? g : 1);
    }
    friend rational operator+(rational a, rational b) {
        const auto g = std::gcd(a.denominator, b.denominator);
        return {a.numerator * (b.denominator / g) + b.numerator * (a.denominator / g), a.denominator / g * b.denominator};
    }
    friend rational operator*(rational a, rational b) {
        const rational x(a.numerator, b.denominator), y(b.numerator, a.denominator);     // kept small
        return {x.numerator * y.numerator, x.denominator * y.denominator};
    }
    rational operator-() const { return {-numerator, denominator}; }
    [[nodiscard]] rational inverse() const { return {denominator, numerator}; }
    friend bool operator==(const rational&, const rational&) = default;
};

// Ask, then receive: nothing is computed that nobody wants.
struct series {
    rondo::channel<bool> wanted;
    rondo::channel<rational> coefficients;
    [[nodiscard]] rational next() const {
        wanted.send(true);
        return coefficients.receive();
    }
};

class algebra {
public:
    explicit algebra(rondo::group& g) : group_(g) {}

    series make(std::function<rational()> next) {
        const series s;
        group_.spawn([s, next = std::move(next)] {
            for (bool yes : s.wanted)
                if (yes) s.coefficients.send(next());
        });
        return s;
    }
    // Two readers of one: what one has read ahead is kept for the other. While the next coefficient is computed kept ones
    // can still be read: the computation itself may need them (fixed_point).
    std::array<series, 2> split(const series& from) {
        const std::array<series, 2> halves;
        group_.spawn([from, halves] {
            const series nobody;                      // never ready: Go's nil channel
            std::array<std::deque<rational>, 2> kept;
            std::array<bool, 2> waiting{};
            bool asked = false;
            for (;;) {
                for (std::size_t i : {0u, 1u}) {
                    if (!waiting[i]) continue;
                    if (!kept[i].empty()) {
                        halves[i].coefficients.send(kept[i].front());
                        kept[i].pop_front();
                        waiting[i] = false;
                    } else if (!std::exchange(asked, true)) {
                        from.wanted.send(true);
                    }
                }
                rondo::select(
                    rondo::from(waiting[0] ? nobody.wanted : halves[0].wanted, [&](bool yes) { waiting[0] = yes; }),
                    rondo::from(waiting[1] ? nobody.wanted : halves[1].wanted, [&](bool yes) { waiting[1] = yes; }),
                    rondo::from(asked ? from.coefficients : nobody.coefficients, [&](rational c) {
                        asked = false;
                        for (auto& k : kept) k.push_back(c);
                    }));
            }
        });
        return halves;
    }

    series ones() { return make([] { return rational(1); }); }
    series constant(rational c) {
        return make([c]() mutable { return std::exchange(c, rational(0)); });
    }
    series add(const series& f, const series& g) {
        return make([=] {
            const auto a = f.next();
            return a + g.next();
        });
    }
    series scale(rational c, const series& f) {
        return make([=] { return c * f.next(); });
    }
    series times_x(const series& f) {
        return make([f, first = true]() mutable { return std::exchange(first, false) ? rational(0) : f.next(); });
    }
    // (f + x F)(g + x G) = f g + x (f G + g F + x F G); the rest of it is made when it is first asked for.
    series multiply(const series& f, const series& g) {
        return make([this, f, g, rest = std::optional<series>(), begun = false]() mutable {
            if (!std::exchange(begun, true)) {
                const auto a = f.next(), b = g.next();
                const auto f2 = split(f), g2 = split(g);
                rest = add(add(scale(a, g2[0]), scale(b, f2[0])), times_x(multiply(f2[1], g2[1])));
                return a * b;
            }
            return rest->next();
        });
    }
    series derive(const series& f) {
        return make([f, n = std::int64_t{0}]() mutable {
            if (n == 0) (void)f.next();
            return rational(++n) * f.next();
        });
    }
    // c + the integral of what `f` makes from the result itself: the first coefficient comes before f is asked.
    series integrate(rational c, const series& f) {
        return make([c, f, n = std::int64_t{0}]() mutable { return n++ == 0 ? c : rational(1, n - 1) * f.next(); });
    }
    // A series that is defined by itself: `define` gets it as something to read from.
    series fixed_point(const std::function<series(series)>& define) {
        const series self;
        const auto both = split(define(self));
        group_.spawn([self, mine = both[1]] {
            for (bool yes : self.wanted)
                if (yes) self.coefficients.send(mine.next());
        });
        return both[0];
    }
    // 1 / (f + x F): Z = 1/f (1 - x F Z)
    series reciprocal(const series& f) {
        return make([this, f, rest = std::optional<series>(), begun = false]() mutable {
            if (!std::exchange(begun, true)) {
                const auto inverse = f.next().inverse();
                const auto z = fixed_point([&](const series& self) {
                    const auto tail = scale(-inverse, multiply(f, self));
                    return make([inverse, tail, first = true]() mutable {
                        return std::exchange(first, false) ? inverse : tail.next();
                    });
                });
                rest = z;
            }
            return rest->next();
        });
    }
    // exp(F), F(0) = 0: Z' = Z F', Z(0) = 1
    series exponential(const series& f) {
        return fixed_point([&](const series& self) { return integrate(1, multiply(self, derive(f))); });
    }
    series x() { return times_x(constant(1)); }
    // T' = 1 + T T, T(0) = 0
    series tangent() {
        return fixed_point([&](const series& self) {
            const auto two = split(self);
            return integrate(0, add(constant(1), multiply(two[0], two[1])));
        });
    }

private:
    rondo::group& group_;
};

template <class F>
std::vector<rational> first(int how_many, unsigned workers, F&& make) {
    return rondo::run({.workers = workers}, [&] {
        std::vector<rational> got;
        std::optional<algebra> a;                     // outlives the tasklets, which go on making others
        rondo::scope([&](rondo::group& g) {
            const series s = make(a.emplace(g));
            for (int i = 0; i < how_many; ++i) got.push_back(s.next());
            g.stop();
        });
        return got;
    });
}

using row = std::vector<rational>;

}  // namespace

TEST_CASE("power series add, scale, shift, derive and integrate coefficient by coefficient", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(4, workers, [](algebra& a) { return a.add(a.ones(), a.scale(2, a.ones())); }) == row{3, 3, 3, 3});
    CHECK(first(4, workers, [](algebra& a) { return a.times_x(a.ones()); }) == row{0, 1, 1, 1});
    CHECK(first(5, workers, [](algebra& a) { return a.derive(a.ones()); }) == row{1, 2, 3, 4, 5});
    CHECK(first(4, workers, [](algebra& a) { return a.integrate(7, a.ones()); }) ==
          row{7, 1, rational(1, 2), rational(1, 3)});
}

TEST_CASE("a power series read at two places gives both the same", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(5, workers, [](algebra& a) {
              const auto two = a.split(a.derive(a.ones()));
              return a.add(two[0], a.scale(-1, two[1]));
          }) == row{0, 0, 0, 0, 0});
}

TEST_CASE("the square of 1/(1-x) is its derivative", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(10, workers, [](algebra& a) { return a.multiply(a.ones(), a.ones()); }) ==
          row{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("the reciprocal of 1 + x + x^2 + ... is 1 - x", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(8, workers, [](algebra& a) { return a.reciprocal(a.ones()); }) == row{1, -1, 0, 0, 0, 0, 0, 0});
    CHECK(first(6, workers, [](algebra& a) { return a.reciprocal(a.add(a.constant(2), a.x())); }) ==
          row{rational(1, 2), rational(-1, 4), rational(1, 8), rational(-1, 16), rational(1, 32), rational(-1, 64)});
}

TEST_CASE("the exponential of x has 1/n! as coefficients", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(8, workers, [](algebra& a) { return a.exponential(a.x()); }) ==
          row{1, 1, rational(1, 2), rational(1, 6), rational(1, 24), rational(1, 120), rational(1, 720), rational(1, 5040)});
}

TEST_CASE("the tangent solves T' = 1 + T^2", "[go][powser]") {
    const auto workers = GENERATE(1u, 2u, 4u);
    CHECK(first(10, workers, [](algebra& a) { return a.tangent(); }) ==
          row{0, 1, 0, rational(1, 3), 0, rational(2, 15), 0, rational(17, 315), 0, rational(62, 2835)});
}
