// The program of CAF.
#include "caf.hpp"

int main(int argc, char** argv) {
    peer::start("caf", argc, argv);
    caf::actor_system_config config;
    config.set("scheduler.max-threads", static_cast<std::size_t>(peer::workers));
    config.set("logger.verbosity", caf::atom("quiet"));
    caf::actor_system system{config};
    cafs::program::run_chosen(system);
    std::fflush(stdout);
    std::_Exit(0);
}
