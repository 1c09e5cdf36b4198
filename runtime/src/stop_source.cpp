// What is done to a tasklet's std::stop_source that its std::stop_tokens, and what is called back, must see. Apart from the rest:
// in the sanitizer's precise mode it is watched, and the rest is not.
#include "precise.hpp"

#ifdef RONDO_TSAN_PRECISE

namespace rondo::detail::precise {

void request_stop(std::stop_source& source) { source.request_stop(); }
void delete_extra(task_extra* extra) noexcept { delete extra; }

}  // namespace rondo::detail::precise

#endif
