"""Suspended tasklets in gdb, in a live process and in a core file.

    (gdb) source runtime/gdb/rondo_gdb.py
    (gdb) rondo-list              every live tasklet of every runtime whose worker threads gdb can see
    (gdb) rondo-bt ID             backtrace of the suspended tasklet with that id (a number, or an expression)
    (gdb) rondo-bt-all

How: an unwinder stands in for the innermost frame while a tasklet is selected, and hands back the registers that
Boost.Context saved at its context pointer (x86-64: r12 at +10h .. rip at +40h). Nothing is written to the process.
"""
import gdb
from gdb.unwinder import Unwinder

OFFSETS = {"r12": 0x10, "r13": 0x18, "r14": 0x20, "r15": 0x28, "rbx": 0x30, "rbp": 0x38, "rip": 0x40}
RSP_AFTER = 0x48
CHUNK_TASKS = 256


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class SuspendedUnwinder(Unwinder):
    def __init__(self):
        super().__init__("rondo-suspended")
        self.context, self.top = None, None

    def __call__(self, pending):
        if self.context is None:
            return None
        u64 = gdb.lookup_type("unsigned long")
        here = tuple(int(pending.read_register(r).cast(u64)) for r in ("rsp", "rip"))
        if here != self.top:
            return None
        # The frame's id lies on the suspended stack, else gdb stops: "previous frame inner to this frame".
        info = pending.create_unwind_info(FrameId(gdb.Value(self.context), gdb.Value(here[1])))
        for register, offset in OFFSETS.items():
            info.add_saved_register(register, gdb.Value(self.context + offset).cast(u64.pointer()).dereference())
        info.add_saved_register("rsp", gdb.Value(self.context + RSP_AFTER).cast(u64))
        return info


UNWINDER = SuspendedUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def backtrace(context):
    frame = gdb.newest_frame()
    u64 = gdb.lookup_type("unsigned long")
    UNWINDER.top = tuple(int(frame.read_register(r).cast(u64)) for r in ("rsp", "rip"))
    UNWINDER.context = context
    gdb.invalidate_cached_frames()
    try:
        text = gdb.execute("bt", to_string=True)
    finally:
        UNWINDER.context = None
        gdb.invalidate_cached_frames()
    return "\n".join(line for line in text.splitlines() if not line.startswith("#0 "))


def atomic(value):
    """The value inside a std::atomic, of a pointer or of a number."""
    try:
        return value["_M_b"]["_M_p"]
    except gdb.error:
        return value["_M_i"]


def schedulers():
    """Every worker thread knows its worker, and that its runtime."""
    found, selected = {}, gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        try:
            worker = gdb.parse_and_eval("'rondo::detail::this_worker'")
            if int(worker):
                home = worker["home"]
                found[int(home.address)] = home
        except gdb.error:
            pass
    if selected:
        selected.switch()
    return list(found.values())


def tasks():
    homes = schedulers()
    if not homes:
        raise gdb.GdbError("no thread here is a worker of a Rondo runtime, or its symbols are missing")
    for home in homes:
        chunks = home["tasks"]["chunks_"]["_M_impl"]
        at, end = chunks["_M_start"], chunks["_M_finish"]
        while at != end:
            chunk = at.dereference()
            for i in range(CHUNK_TASKS):
                task = chunk[i]
                phase = str(task["state"]["_M_i"])
                if int(atomic(task["id"])) and ("started" in phase or "fresh" in phase):
                    yield task, phase.split("::")[-1]
            at = at + 1


def shown(c):
    """A character of a name, as the reports show it."""
    code = ord(c)
    if c in '"\\':
        return "\\" + c
    if code < 0x20 or code == 0x7f or 0xdc80 <= code <= 0xdcff:      # the last: a byte that is no UTF-8
        return "\\x%02x" % (code & 0xff)
    return c


def name_of(task):
    """Quoted, with a space before it; nothing if it has none."""
    extra = atomic(task["extra"])
    if not int(extra):
        return ""
    name = extra["name"]
    length = int(name["_M_string_length"])
    if not length:
        return ""
    return ' "%s"' % "".join(map(shown, name["_M_dataplus"]["_M_p"].string("utf-8", "surrogateescape", length)))


def title(task, phase):
    word = int(atomic(task["word"]))
    state = "suspended" if word & 1 else phase
    where = task["where"]["_M_impl"]
    place = "%s:%d" % (where["_M_file_name"].string(), int(where["_M_line"])) if int(where) else "?"
    return "tasklet %d%s %s, kind %s, spawned at %s" % (int(atomic(task["id"])), name_of(task), state,
                                                        str(task["kind"]["_M_i"]).split("::")[-1], place)


class List(gdb.Command):
    """List the live tasklets of every runtime whose worker threads gdb can see.
Usage: rondo-list"""

    def __init__(self):
        super().__init__("rondo-list", gdb.COMMAND_STACK)

    def invoke(self, argument, tty):
        found = [title(task, phase) for task, phase in tasks()]
        print("\n".join(found) if found else "no live tasklets")


class Backtrace(gdb.Command):
    """Show where one suspended tasklet waits.
Usage: rondo-bt ID
ID is its number, as rondo-list shows it, or an expression that gives it."""

    def __init__(self):
        super().__init__("rondo-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, tty):
        try:
            wanted = int(gdb.parse_and_eval(argument))
        except (gdb.error, ValueError, OverflowError):
            raise gdb.GdbError("rondo-bt takes the number of a tasklet: see rondo-list")
        for task, phase in tasks():
            if int(atomic(task["id"])) == wanted:
                print(title(task, phase))
                if int(atomic(task["word"])) & 1:
                    print(backtrace(int(atomic(task["context"]))))
                return
        raise gdb.GdbError("no live tasklet has the number %d: see rondo-list" % wanted)


class BacktraceAll(gdb.Command):
    """Show all live tasklets, and where the suspended ones wait.
Usage: rondo-bt-all"""

    def __init__(self):
        super().__init__("rondo-bt-all", gdb.COMMAND_STACK)

    def invoke(self, argument, tty):
        for task, phase in tasks():
            print(title(task, phase))
            if int(atomic(task["word"])) & 1:
                print(backtrace(int(atomic(task["context"]))))


List()
Backtrace()
BacktraceAll()
