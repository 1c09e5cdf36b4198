#include <rondo/detail/slots_channel.hpp>

namespace rondo::detail {

template slot_end take_slot(cell_queue<cell_store>&, counted_core&, lowlevel::waiter&, lowlevel::wait_kind, void*,
                            lowlevel::time_point, void*&);

}  // namespace rondo::detail
