// Handlers that wait for a lock. A lock belongs to the tasklet, so each handler holds its own.
#include <catch2/catch.hpp>

#include <mutex>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

namespace {

struct entry {
    int number;
};
struct clerk {
    rondo::mutex& book;
    std::vector<int>& written;
    void on(entry e) {
        const std::lock_guard hold(book);
        rondo::sleep_for(1min);                           // writing
        written.push_back(e.number);
    }
};

// A world in which somebody has the book until he is told to let go.
struct archive {
    rondo::testing::world world;
    rondo::mutex book;
    rondo::event let_go;
    std::vector<int> written;
    rondo::actor_ref<clerk> ann;
    rondo::tasklet<void> reader;

    explicit archive(unsigned workers) : world({.workers = workers}) {
        ann = rondo::start_on<clerk>(world.in(), {.mailbox_slots = 16}, book, written);
        reader = world.spawn([this] {
            const std::lock_guard hold(book);
            let_go.wait();
        });
        world.settle();
        for (int i = 1; i <= 3; ++i) ann.tell(entry{i});
        world.settle();
    }
    void reader_goes() {
        let_go.set();
        world.settle();
    }
    // Whoever wants it next has it at once.
    bool is_book_free() {
        return world.run([this] {
            const std::unique_lock mine(book, std::try_to_lock);
            return mine.owns_lock();
        });
    }
};

}  // namespace

TEST_CASE("a handler may wait for a mutex: the other messages wait meanwhile, and come in order", "[actor][mutex]") {
    archive a(GENERATE(1u, 2u));
    CHECK(a.written.empty());
    CHECK(a.ann.mailbox_size() == 2);
    a.reader_goes();
    CHECK(a.written.empty());
    CHECK_FALSE(a.is_book_free());                        // its handler has it now
    a.world.advance(3min);
    CHECK(a.written == std::vector{1, 2, 3});
    CHECK(a.is_book_free());
}

TEST_CASE("an actor that is killed while its handler waits for a mutex ends, and is out of the queue", "[actor][mutex]") {
    archive a(GENERATE(1u, 2u));
    a.ann.kill();
    a.world.settle();
    CHECK(a.ann.has_ended());
    CHECK(a.ann.join().kind == rondo::exit_kind::killed);
    a.reader_goes();
    CHECK(a.is_book_free());
    CHECK(a.written.empty());
    CHECK(rondo::dead_letters(a.world.in()).ended == 2);
}

TEST_CASE("an actor that is stopped while its handler waits for a mutex ends once that one has had it", "[actor][mutex]") {
    archive a(GENERATE(1u, 2u));
    a.ann.stop();
    a.world.settle();
    CHECK_FALSE(a.ann.has_ended());
    a.reader_goes();
    a.world.advance(1min);
    CHECK(a.ann.join().kind == rondo::exit_kind::stopped);
    CHECK(a.is_book_free());
    CHECK(a.written == std::vector{1});
    CHECK(rondo::dead_letters(a.world.in()).ended == 2);
}

TEST_CASE("an actor that is killed while its handler has a mutex lets go of it, to another actor's handler", "[actor][mutex]") {
    archive a(GENERATE(1u, 2u));
    const auto bob = rondo::start_on<clerk>(a.world.in(), a.book, a.written);
    bob.tell(entry{7});
    a.reader_goes();                                      // Ann has the book and writes, Bob waits
    a.ann.kill();
    a.world.advance(1min);
    CHECK(a.ann.join().kind == rondo::exit_kind::killed);
    CHECK(a.written == std::vector{7});
    CHECK(a.is_book_free());
}
