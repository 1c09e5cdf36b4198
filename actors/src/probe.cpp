#include <rondo/probe.hpp>

#include <fmt/format.h>

namespace rondo::detail {

void inject_crash(const any_actor& who, std::exception_ptr error) {
    static constexpr message_ops ops{
        [](actor_cell&, message_node& m) { std::rethrow_exception(payload_of<injected_crash>(m).error); },
        &destroy_payload<injected_crash>,
        &tag_of<injected_crash>,
        &tag_of<void>,
        static_cast<std::uint32_t>(lines_of<message_with<injected_crash>>),
        false};
    who.cell().post_system(make_message<injected_crash>(ops, injected_crash{std::move(error)}));
}

void fail_expectation(const type_tag& wanted, const type_tag* came, std::source_location where) {
    const bool wants_none = &wanted == &tag_of<void>;
    throw testing::unexpected(fmt::format("{}:{}: {} was expected, {} came", where.file_name(), where.line(),
                                          wants_none ? "nothing" : wanted.name(), came ? came->name() : "nothing"));
}

}  // namespace rondo::detail
