// What a channel handle names: the face of all kinds of channels, and who keeps them alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <rondo/detail/atomic.hpp>
#include <rondo/detail/packet.hpp>
#include <rondo/detail/received.hpp>
#include <rondo/detail/slot_pool.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

inline constexpr unsigned to_receiver = 1, to_sender = 2;

enum class sent : std::uint8_t { done, full, closed };

/// The value of `p` goes back to where it came from.
template <class T>
void put_back(T& value, packet<T>& p) noexcept {
    std::destroy_at(&value);
    std::construct_at(&value, p.take());
}

/// A sender's slot holds a packet, or, in a select, just the value, where the caller has it: several clauses may offer the
/// same one.
inline constexpr std::uint8_t slot_is_value = 1;
/// A sender that has waited has its value back: the channel was closed before it could be passed on.
inline constexpr std::uint8_t value_is_back = 2;
template <class T>
packet<T> taken_from(const lowlevel::wait_node& sender) noexcept {
    if (sender.tag == slot_is_value) return packet<T>(std::move(*static_cast<T*>(sender.slot)));
    return std::move(*static_cast<packet<T>*>(sender.slot));
}

/// Counts handles (copies of the channel) and pins (operations that may touch the channel after their wait). All handles
/// together hold one pin: the last of them closes the channel, then lets go of it.
class counted_core {
public:
    counted_core() noexcept = default;
    counted_core(const counted_core&) = delete;
    counted_core& operator=(const counted_core&) = delete;

    void add_handle() noexcept { refs_.fetch_add(one_handle, relaxed); }
    void drop_handle() noexcept {
        // acq_rel: the last one sees what the others did before they let go.
        if ((refs_.fetch_sub(one_handle, acq_rel) & (one_pin - 1)) != one_handle) return;
        close();                                    // whoever waits on it still gets `closed`
        unpin();
    }
    void pin() noexcept { refs_.fetch_add(one_pin, relaxed); }
    void unpin() noexcept {
        if (refs_.fetch_sub(one_pin, acq_rel) == one_pin) delete this;
    }

    virtual void close() noexcept = 0;

protected:
    virtual ~counted_core() = default;

private:
    static constexpr std::uint64_t one_handle = 1, one_pin = 1ull << 32;
    atomic<std::uint64_t> refs_{one_pin + one_handle};
};

/// Keeps a core in being over an operation, if it has to.
class pinned {
public:
    pinned(counted_core& core, bool needed) noexcept : core_(needed ? &core : nullptr) {
        if (core_) core_->pin();
    }
    ~pinned() {
        if (core_) core_->unpin();
    }
    pinned(const pinned&) = delete;
    pinned& operator=(const pinned&) = delete;
    explicit operator bool() const noexcept { return core_; }

private:
    counted_core* core_;
};

template <class T>
class channel_core : public counted_core {
public:
    /// True: sent. False: `until` has passed. Throws closed, stopped.
    virtual bool send(packet<T>&& value, lowlevel::time_point until) = 0;
    virtual sent try_send(T& value) = 0;
    virtual received receive(packet<T>& into, lowlevel::time_point until) = 0;
    virtual received try_receive(packet<T>& into) noexcept = 0;

    // For select, which holds a pin while its nodes are linked. `place`: what withdraw_ needs to know again.
    virtual lowlevel::progress select_receive(packet<T>& into, lowlevel::partner& met) noexcept = 0;
    virtual lowlevel::progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*& place,
                                              lowlevel::partner& met) = 0;
    virtual void withdraw_receive(lowlevel::wait_node& node, void* place) noexcept = 0;
    virtual lowlevel::progress select_send(T& value, lowlevel::partner& met) = 0;
    virtual lowlevel::progress select_send(T& value, lowlevel::wait_node& node, void*& place,
                                           lowlevel::partner& met) = 0;
    virtual void withdraw_send(lowlevel::wait_node& node, void* place) noexcept = 0;

    [[nodiscard]] virtual bool is_closed() noexcept = 0;
    [[nodiscard]] virtual std::ptrdiff_t balance() noexcept = 0;
    [[nodiscard]] virtual std::size_t size() noexcept = 0;
    [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
};

}  // namespace rondo::detail
