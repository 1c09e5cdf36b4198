// expect: a clause is for one call
// links: channels
// Clauses hold what a select has made of them: a second call would find that.
#include <rondo/select.hpp>

void wait_for(const rondo::channel<int>& c) {
    auto kept = rondo::from(c, [](int) {});
    rondo::select(kept);
}
