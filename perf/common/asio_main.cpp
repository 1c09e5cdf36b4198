// The program of Boost.Asio.
#include "asio.hpp"

int main(int argc, char** argv) {
    peer::start("asio", argc, argv);
    asios::pool pool(peer::workers);
    asios::program::run_chosen(pool);
    std::fflush(stdout);
    std::_Exit(0);
}
