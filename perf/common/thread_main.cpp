// The program of plain threads. They have no number of workers, so workers=1 confines the process to one core,
// unless one thread has to wake another from outside.
#include "thread.hpp"

int main(int argc, char** argv) {
    peer::start("thread", argc, argv);
    const bool woken_from_outside = peer::workload == "latency" || peer::workload == "cold_wake";
    if (peer::workers == 1 && !woken_from_outside) {
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        sched_setaffinity(0, sizeof first, &first);
    }
    peer::program<>::run_chosen();
}
