// What a channel handle names: the face of all kinds of channels, and who keeps them alive.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/detail/atomic.hpp>
#include <rondo/detail/offer.hpp>
#include <rondo/detail/packet.hpp>
#include <rondo/detail/received.hpp>
#include <rondo/detail/slot_pool.hpp>
#include <rondo/lowlevel/select_clause.hpp>
#include <rondo/lowlevel/solo.hpp>
#include <rondo/lowlevel/wait.hpp>

namespace rondo::detail {

inline constexpr unsigned to_receiver = 1, to_sender = 2;

enum class sent : std::uint8_t { done, full, closed };

/// Counts handles (copies of the channel) and pins (operations that may touch the channel after their wait). All handles
/// together hold one pin: the last of them closes the channel, then lets go of it.
class counted_core {
public:
    /// maker: soloist_here(), for a channel that its maker may work on alone.
    explicit counted_core(lowlevel::soloist* maker = nullptr) noexcept : whose(maker) {}
    counted_core(const counted_core&) = delete;
    counted_core& operator=(const counted_core&) = delete;

    void add_handle() noexcept { refs_.fetch_add(one_handle, relaxed); }
    void drop_handle() noexcept {
        // acq_rel: the last one sees what the others did before they let go.
        if ((refs_.fetch_sub(one_handle, acq_rel) & (one_pin - 1)) != one_handle) return;
        whose.open_unshared();                      // a turn is taken through a handle; who holds a pin takes none any more
        close();                                    // whoever waits on it still gets `closed`
        unpin();
    }
    void pin() noexcept { refs_.fetch_add(one_pin, relaxed); }
    void unpin() noexcept {
        // acq_rel: each pairs with the last one, which sees what all have done.
        if (refs_.fetch_sub(one_pin, acq_rel) == one_pin) delete this;
    }

    virtual void close() noexcept = 0;

    lowlevel::bias whose;

protected:
    virtual ~counted_core() = default;

    atomic<std::uint8_t> note{0};                   // each kind's own, in the line that every operation looks at

private:
    static constexpr std::uint64_t one_handle = 1, one_pin = 1ull << 32;
    alignas(64) atomic<std::uint64_t> refs_{one_pin + one_handle};      // pins come and go: not in that line
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
    using counted_core::counted_core;
    // What is offered has been taken if and only if it has been sent.
    /// True: sent. False: `until` has passed. Throws closed, stopped.
    virtual bool send(offer<T> value, lowlevel::time_point until) = 0;
    virtual sent try_send(offer<T> value) = 0;
    virtual received receive(packet<T>& into, lowlevel::time_point until) = 0;
    virtual received try_receive(packet<T>& into) noexcept = 0;

    // For select, which holds a pin while its nodes are linked. `place`: what withdraw_ needs to know again.
    virtual lowlevel::progress select_receive(packet<T>& into, lowlevel::partner& met) noexcept = 0;
    virtual lowlevel::progress select_receive(packet<T>& into, lowlevel::wait_node& node, void*& place,
                                              lowlevel::partner& met) = 0;
    virtual void withdraw_receive(lowlevel::wait_node& node, void* place) noexcept = 0;
    virtual lowlevel::progress select_send(offer<T> value, lowlevel::partner& met) = 0;
    virtual lowlevel::progress select_send(offer<T> value, lowlevel::wait_node& node, void*& place,
                                           lowlevel::partner& met) = 0;
    virtual void withdraw_send(lowlevel::wait_node& node, void* place) noexcept = 0;

    [[nodiscard]] virtual bool is_closed() noexcept = 0;
    [[nodiscard]] virtual std::ptrdiff_t balance() noexcept = 0;
    [[nodiscard]] virtual std::size_t size() noexcept = 0;
    [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
};

}  // namespace rondo::detail
