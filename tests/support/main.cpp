// The main function of every test program. Catch2's own signal handlers stay out: the runtime has a say in SIGSEGV (an
// overflown stack), and each test case is a process of its own under ctest, so a crash names its test anyway.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
