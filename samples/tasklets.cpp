// Tasklets: functions that can wait. Making one runs nothing yet; with one worker they start in the order of creation,
// as soon as whoever made them waits or ends.
#include <fmt/format.h>

#include <rondo/rondo.hpp>

void print(const char* word) {
    fmt::print("{}\n", word);
}

int main() {
    rondo::run({.workers = 1}, [] {
        for (const char* word : {"one", "two", "three"}) rondo::spawn(print, word);
    });  // returns when all of them have ended
}
