// Rondo's program. Every workload is written against the public page, as a user would write it.
#include <exception>

#include "peer.hpp"

int main(int argc, char** argv) {
    peer::start("rondo", argc, argv);
    try {
        peer::program<>::run_chosen();
    } catch (const std::exception& error) {
        std::printf("peer=rondo workload=%s workers=%u check=FAIL\n", peer::workload.c_str(), peer::workers);
        std::fprintf(stderr, "rondo: %s\n", error.what());
        return 1;
    }
}
