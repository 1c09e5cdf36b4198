#include <rondo/detail/slots_channel.hpp>

namespace rondo::detail {

template slot_end wait_for_slot(cell_queue<cell_store, true>&, const pinned&, lowlevel::waiter&, lowlevel::wait_node&, cell&,
                                const lowlevel::wait_site&, lowlevel::time_point);

}  // namespace rondo::detail
