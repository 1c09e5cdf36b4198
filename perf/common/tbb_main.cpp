// The program of oneTBB. Its tasks cannot wait for a message, so the channel workloads are absent or, with buffers,
// run on plain threads; a serial node of a flow graph takes the place of a player.
#include <oneapi/tbb/global_control.h>

#include "peer.hpp"

int main(int argc, char** argv) {
    peer::start("tbb", argc, argv);
    // A thread from outside counts as one of TBB's.
    const bool woken_from_outside = peer::workload == "latency" || peer::workload == "cold_wake";
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                      peer::workers + (woken_from_outside ? 1 : 0));
    peer::program<>::run_chosen();
}
