// A half adder of tasklets: each gate is one, waits for a change at its inputs and tells its outputs at once ("push"
// dataflow). A port of the Stackless Python tutorial's circuit with <rondo/stackless.hpp>, nearly word for word. The result
// flickers once at each change, because one of its inputs arrives before the other: glitches, as in real circuits.
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <rondo/stackless.hpp>

using namespace rondo::stackless;

class event_handler {
public:
    explicit event_handler(std::vector<event_handler*> outputs = {}) : outputs_(std::move(outputs)) {
        tasklet([this] { listen(); })();
    }
    virtual ~event_handler() = default;
    event_handler(const event_handler&) = delete;
    event_handler& operator=(const event_handler&) = delete;

    void register_output(event_handler& o) { outputs_.push_back(&o); }
    /// A change: `from` has this value now.
    void operator()(const event_handler* from, int value) { channel_.send({from, value}); }

protected:
    virtual int process_message(const event_handler* from, int value) = 0;

private:
    void listen() {
        for (auto [from, value] : channel_) notify(process_message(from, value));
    }
    void notify(int value) {
        for (event_handler* o : outputs_) (*o)(this, value);
    }
    channel<std::pair<const event_handler*, int>> channel_;
    std::vector<event_handler*> outputs_;
};

struct input_switch : event_handler {
    void operator()(int value) { event_handler::operator()(this, value); }
    int process_message(const event_handler*, int value) override { return value; }
};

struct reporter : event_handler {
    explicit reporter(std::string n) : name(std::move(n)) {}
    int process_message(const event_handler*, int value) override {
        fmt::print("{} = {}\n", name, value);
        return value;
    }
    std::string name;
};

struct inverter : event_handler {
    explicit inverter(event_handler& input) { input.register_output(*this); }
    int process_message(const event_handler*, int value) override { return value ? 0 : 1; }
};

/// Remembers the last value of each input.
struct gate : event_handler {
    gate(std::function<int(int, int)> f, event_handler& a, event_handler& b, std::vector<event_handler*> outputs = {})
        : event_handler(std::move(outputs)), f_(std::move(f)), a_(&a), b_(&b) {
        a.register_output(*this);
        b.register_output(*this);
    }
    int process_message(const event_handler* from, int value) override {
        if (from != a_ && from != b_) throw std::invalid_argument("a message from somebody who is no input");
        (from == a_ ? last_a_ : last_b_) = value;
        return f_(last_a_, last_b_);
    }

private:
    std::function<int(int, int)> f_;
    const event_handler *a_, *b_;
    int last_a_ = 0, last_b_ = 0;
};

int main() {
    const auto both = [](int a, int b) { return a & b; };
    const auto either = [](int a, int b) { return a | b; };

    input_switch a, b;                                   // A and B
    reporter carry("Carry"), result("Result");
    gate and_gate(both, a, b, {&carry});                 // Carry = A and B
    gate or_gate(either, a, b);
    inverter not_both(and_gate);
    gate result_gate(both, or_gate, not_both, {&result});         // Result = (A or B) and not Carry

    const auto flip = [](const char* name, input_switch& s, int value) {
        fmt::print("{} = {}\n", name, value);
        s(value);                                        // main's send drives the circuit; run() lets it come to rest
        run();
    };
    flip("A", a, 1);
    flip("B", b, 1);
    flip("B", b, 0);
    flip("A", a, 0);
}
