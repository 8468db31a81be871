#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Malformed, forged and excessive input from a client, and from a compositor.

Each bad client gets a wl_display.error and is disconnected; a healthy client beside it never notices; at the end the daemons
hold no descriptor more than at first.  Directly, the same input goes to weston, to see that it deserves an error."""

import contextlib
import os
import resource
import socket
import struct

from harness import Failure, main, test
from harness.client import Client, Pool, ProtocolError
from harness.fake import GLOBALS
from harness.fuse import FLUSH, Fuse
from harness.trace import Trace
from harness.wire import SERVER_ID, pack, pack_string


class Rig:
    def __init__(self, t, fake=False, **options):
        self.t = t
        self.compositor = t.fake() if fake else t.weston()
        self.stack = t.stack(self.compositor, **options)
        self.healthy = self.stack.client()
        self.healthy.bind("wl_compositor", 4)
        self.healthy.roundtrip()

    def bad(self):
        """A client with the usual things bound."""
        c = self.stack.client()
        c.compositor = c.bind("wl_compositor", 4)
        c.shm = c.bind("wl_shm", 1)
        c.surface = c.create(c.compositor, "create_surface")
        c.roundtrip()
        return c

    def refused(self, c, what):
        """The client got an error (libwayland is less strict here and there), the healthy one goes on."""
        e = None
        try:
            e = c.expect_error(0.5 if self.t.direct else None)
            self.t.ok(e.text, f"{what}: the error has a text")
        except Failure as f:
            if not self.t.direct:
                raise Failure(f"{what}: {f}") from None
        c.close()
        self.healthy.roundtrip()
        return e


def bind(c, length, text):
    """wl_registry.bind with any length for its string."""
    return pack(c.registry, 0, struct.pack("=II", 1, length) + text + struct.pack("=II", 1, c.next_id))


@test(timeout=120)
def malformed_messages(t):
    rig = Rig(t)
    cases = {
        "size 0": lambda c: pack(c.surface, 6, b"", size=0),
        "size 4": lambda c: pack(c.surface, 6, b"", size=4),
        "size 7": lambda c: pack(c.surface, 6, b"\0" * 4, size=7),
        "size 9, no multiple of 4": lambda c: pack(c.surface, 6, b"\0" * 4, size=9),
        "size 0 for wl_display": lambda c: pack(1, 0, b"", size=0),
        "unknown object": lambda c: pack(4711, 0, b""),
        "object 0": lambda c: pack(0, 0, b""),
        "unknown server object": lambda c: pack(SERVER_ID + 5, 0, b""),
        "greatest object": lambda c: pack(0xffffffff, 0, b""),
        "unknown opcode": lambda c: pack(c.surface, 99, b""),
        "unknown opcode of wl_display": lambda c: pack(1, 2, b""),
        "greatest opcode": lambda c: pack(c.surface, 0xffff, b""),
        "too short": lambda c: pack(c.surface, 2, struct.pack("=III", 1, 2, 3)),
        "no arguments at all": lambda c: pack(1, 0, b""),
        "string length beyond the message": lambda c: bind(c, 1000, b"wl_shm\0\0"),
        "greatest string length": lambda c: bind(c, 0xffffffff, b"wl_shm\0\0"),
        "string length -3": lambda c: bind(c, 0xfffffffd, b"wl_shm\0\0"),
        "string without NUL": lambda c: bind(c, 8, b"wl_shmXX"),
        "null string where none may be": lambda c: pack(2, 0, struct.pack("=IIII", 1, 0, 1, 99)),
        "null object where none may be": lambda c: pack(c.bind("wl_subcompositor", 1), 1,
                                                        struct.pack("=III", c.next_id, 0, 0)),
        "object of another interface": lambda c: pack(c.surface, 4, struct.pack("=I", c.shm)),
        "unknown object as argument": lambda c: pack(c.surface, 4, struct.pack("=I", 4711)),
        "new_id 0": lambda c: pack(1, 0, struct.pack("=I", 0)),
        "new_id in use": lambda c: pack(1, 0, struct.pack("=I", c.surface)),
        "new_id of wl_display": lambda c: pack(1, 0, struct.pack("=I", 1)),
        "new_id in the server's range": lambda c: pack(1, 0, struct.pack("=I", SERVER_ID)),
        "new_id far ahead": lambda c: pack(1, 0, struct.pack("=I", 100000)),
        "new_id just below the server's": lambda c: pack(1, 0, struct.pack("=I", SERVER_ID - 1)),
    }
    for what, make in cases.items():
        c = rig.bad()
        try:
            c.send_raw(make(c))
            rig.refused(c, what)
        except Failure as f:
            raise Failure(f"{what}: {f}") from None


@test
def requests_to_the_dead(t):
    """Using an object after its destructor is an error, be it a request to it or as an argument."""
    rig = Rig(t)
    for what in ("request", "destructor twice", "argument"):
        c = rig.bad()
        region = c.create(c.compositor, "create_region")
        c.roundtrip()
        c.send(region, "destroy")
        if what == "request":
            c.send(region, "add", 0, 0, 1, 1)
        elif what == "destructor twice":
            c.send(region, "destroy")
        else:
            c.send_raw(pack(c.surface, 4, struct.pack("=I", region)))
        rig.refused(c, what)


@test
def binds(t):
    """A name that is hidden or was never there, another interface, a higher version, version 0."""
    rig = Rig(t)
    c = rig.bad()
    names = {i: (n, v) for n, (i, v) in c.globals.items()}
    c.close()
    compositor, version = names["wl_compositor"]
    hidden = 4000
    if not t.direct:
        with Client(rig.compositor.socket) as direct:
            direct.bind("wl_compositor", 1)
            hidden = next((n for n in direct.globals if n not in c.globals), 4000)
    for what, args in {
            "another interface": (compositor, ("wl_shm", 1, None)),
            "an interface that nobody knows": (compositor, ("made_up", 1, None)),
            "a higher version": (compositor, ("wl_compositor", version + 1, None)),
            "a much higher version": (compositor, ("wl_compositor", 0xffffffff, None)),
            "version 0": (compositor, ("wl_compositor", 0, None)),
            "a name that never was": (123456, ("wl_compositor", 1, None)),
            "name 0": (0, ("wl_compositor", 1, None)),
            f"a hidden name ({hidden})": (hidden, ("wl_compositor", 1, None))}.items():
        c = rig.bad()
        name, (interface, v, _) = args
        new = c.new_id("wl_compositor", 1)
        c.send(c.registry, "bind", name, (interface, v, new))
        rig.refused(c, what)


@test
def bind_hidden_with_its_true_interface(t):
    """Knowing the name and interface of a hidden global does not help."""
    if t.direct:
        return
    fake = t.fake(globals=GLOBALS + [("zwlr_screencopy_manager_v1", 3), ("zwp_virtual_keyboard_manager_v1", 1),
                                     ("wp_security_context_manager_v1", 1), ("zwlr_data_control_manager_v1", 2),
                                     ("zwp_linux_dmabuf_v1", 4)])
    stack = t.stack(fake)
    healthy = stack.client()
    for interface in ("zwlr_screencopy_manager_v1", "zwp_virtual_keyboard_manager_v1", "zwlr_data_control_manager_v1",
                      "wp_security_context_manager_v1", "zwp_linux_dmabuf_v1"):
        c = stack.client()
        c.registry = c.get_registry()
        c.roundtrip()
        name, version = next((n, g[1]) for n, g in fake.globals.items() if g[0] == interface)
        t.ok(name not in c.globals, f"{interface} is hidden")
        c.send(c.registry, "bind", name, (interface, version, c.new_id(interface, version)))
        c.expect_error()
        healthy.roundtrip()
    with fake.lock:
        binds = [m.args[1][0] for p in fake.peers for m in p.log if m.name == "bind"]
    t.lacks("zwlr_screencopy_manager_v1", binds, "binds at the compositor")


@test
def truncated_then_closed(t):
    """A client that goes in the middle of a message leaves nothing behind."""
    rig = Rig(t)
    for cut in (1, 7, 8, 9, 15):
        c = rig.bad()
        fd = os.memfd_create("x")
        os.ftruncate(fd, 4096)
        data, _ = c.encode(c.shm, "create_pool", c.new_id("wl_shm_pool"), fd, 4096)
        c.send_raw(data[:cut], [fd])
        os.close(fd)
        c.close()
        rig.healthy.roundtrip()


@test
def missing_descriptor(t):
    rig = Rig(t)
    for _ in range(3):
        c = rig.bad()
        c.send_raw(pack(c.shm, 0, struct.pack("=II", c.next_id, 4096)))
        rig.refused(c, "create_pool without its descriptor")


@test(direct=False)
def surplus_descriptors(t):
    """Descriptors that no message names do not pile up without bound, and go with the client."""
    rig = Rig(t)
    null = os.open("/dev/null", os.O_RDONLY)
    before = len(rig.stack.guest.fds())
    c = rig.bad()
    sync = pack(c.surface, 6, b"")
    try:
        for _ in range(200):
            c.send_raw(sync, [null] * 28)
        e = c.expect_error()
        t.ok(e.text, "an error with a text")
    except (BrokenPipeError, ConnectionResetError):
        pass
    rig.healthy.roundtrip()
    c.close()
    t.wait(lambda: len(rig.stack.guest.fds()) <= before, "the surplus descriptors are closed")
    os.close(null)


@test(direct=False)
def wrong_descriptors_for_a_pool(t):
    rig = Rig(t)
    pipe = os.pipe()
    for what, fd in {"a pipe": pipe[0], "a socket": socket.socket(socket.AF_UNIX).detach(), "an eventfd": os.eventfd(0),
                     "a directory": os.open("/", os.O_RDONLY), "/dev/zero": os.open("/dev/zero", os.O_RDWR),
                     "O_PATH": os.open("/dev/shm", os.O_PATH),
                     "a write-only file": os.open(t.write("wo", "x" * 4096), os.O_WRONLY)}.items():
        c = rig.bad()
        c.create(c.shm, "create_pool", fd, 4096)
        e = rig.refused(c, what)
        t.ok(e.object_id in (c.shm, c.next_id - 1), f"{what}: the error's object: {e}")


@test(direct=False)
def closing_a_file_makes_nobody_wait(t):
    """A file system that never answers close(): in all ways that lead there, the others go on."""
    fuse = Fuse(t)
    rig = Rig(t, fake=True)
    file = os.open(fuse.path, os.O_RDONLY)
    asked = 0
    for what in "a pool", "unclaimed":
        c = rig.bad()
        if what == "a pool":
            c.create(c.shm, "create_pool", file, 4096)
            rig.refused(c, what)
        else:
            c.send_raw(pack(c.surface, 6, b""), [file] * 20)
            c.close()
        t.wait(lambda asked=asked: fuse.asked.get(FLUSH, 0) > asked, f"{what}: somebody closes the file")
        asked = fuse.asked[FLUSH]
        rig.healthy.roundtrip()
    fuse.close()
    with contextlib.suppress(OSError):      # what close() answers then
        os.close(file)
    rig.healthy.roundtrip()


@test(direct=False)
def log_names_the_reason(t):
    """One line in the log for each bad client, which names the VM."""
    rig = Rig(t)
    c = rig.bad()
    c.send_raw(pack(c.surface, 99, b""))
    e = rig.refused(c, "unknown opcode")
    logs = rig.stack.guest.log() + rig.stack.host.log()
    t.has("wl_surface", logs, "the logs")
    t.ok(e.text, "text")


@test(direct=False, timeout=120)
def hostile_flood_of_clients(t):
    """Hundreds of bad clients: the log is limited, nothing leaks, the healthy one is served in between."""
    rig = Rig(t)
    rig.stack.settle()
    for i in range(300):
        with Client(rig.stack.display) as c:
            c.send_raw(pack(4711, 0, b""))
            try:
                c.expect_error()
            except (Failure, TimeoutError) as f:
                raise Failure(f"client {i}: {f}") from None
        if i % 50 == 0:
            rig.healthy.roundtrip()
    for proc in (rig.stack.guest, rig.stack.host):
        lines = [line for line in proc.log().splitlines() if "4711" in line]
        t.ok(len(lines) < 250, f"{proc.name}: {len(lines)} lines about the same thing")


@test(direct=False, waits=True)
def client_that_never_reads(t):
    """A client that asks and never reads the answers is disconnected at the queue's limit; the daemons stay small."""
    rig = Rig(t, fake=True)
    before = [p.rss_kib() for p in (rig.stack.host, rig.stack.guest)]
    c = rig.bad()
    c.socket.settimeout(10)
    batch = b"".join(pack(1, 1, struct.pack("=I", i)) for i in range(c.next_id, c.next_id + 1000))
    gone = False
    at = c.next_id
    try:
        for _ in range(300):
            batch = b"".join(pack(1, 1, struct.pack("=I", i)) for i in range(at, at + 1000))
            at += 1000
            c.socket.sendall(batch)
    except (BrokenPipeError, ConnectionResetError):
        gone = True
    except TimeoutError:
        pass
    rig.healthy.roundtrip()
    after = [p.rss_kib() for p in (rig.stack.host, rig.stack.guest)]
    t.ok(all(a - b < 150 * 1024 for a, b in zip(after, before)), f"memory {before} → {after} KiB (gone: {gone})")
    c.close()
    rig.healthy.roundtrip()


@contextlib.contextmanager
def few_descriptors(t, stack, daemon):
    """Thirty clients come to a daemon that can open six descriptors; yields them.  Afterwards others get through again."""
    healthy = stack.client()
    healthy.roundtrip()
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    t.eq(soft, hard, "the soft limit was raised at start")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (len(daemon.fds()) + 6, hard))
    clients = []
    for _ in range(30):
        try:
            c = Client(stack.display, timeout=1)
            clients.append(c)
            c.registry = c.get_registry()
            c.dispatch(0.05)
        except (OSError, EOFError, Failure, TimeoutError):
            pass
    healthy.roundtrip()
    yield clients
    healthy.roundtrip()
    for c in clients:
        c.close()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    t.wait(stack.usable, "clients get through again")
    healthy.roundtrip()


@test(direct=False)
def own_descriptor_limit(t):
    """The guest daemon out of descriptors: clients that need more get an error or wait, and it recovers."""
    stack = t.stack(t.fake())
    with few_descriptors(t, stack, stack.guest) as clients:
        for c in clients[:3]:
            try:
                if "wl_shm" in [g[0] for g in c.globals.values()]:
                    shm = c.bind("wl_shm", 1)
                    for _ in range(20):
                        fd = os.memfd_create("x")
                        os.ftruncate(fd, 4096)
                        c.create(shm, "create_pool", fd, 4096)
                        os.close(fd)
            except (OSError, EOFError, Failure, TimeoutError):
                pass


@test(direct=False, waits=True)
def no_descriptor_for_those_who_wait(t):
    """A client that cannot be accepted wakes the guest daemon now and then, not without end."""
    stack = t.stack(t.fake())
    limits = resource.prlimit(stack.guest.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(stack.guest.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    with Client(stack.display):
        trace = Trace(t, stack.guest)
        t.wait(lambda: len(trace.between_pings(stack.guest)) >= 2, "three heartbeats", 60)
        trace.stop()
        between = trace.between_pings(stack.guest)
        # The pause between two tries is a fourth of a heartbeat. Each: its end, the client; and PING and PONG.
        t.ok(all(0 < refusals <= 5 and wakes <= 12 for wakes, refusals in between),
             f"(wake-ups, clients that it could not accept) between heartbeats: {between}")
    resource.prlimit(stack.guest.pid, resource.RLIMIT_NOFILE, limits)
    t.wait(stack.usable, "clients get through again")


@test(direct=False)
def own_descriptor_limit_of_the_host(t):
    """Of each of its processes: the one that all come to, and that of the VM."""
    stack = t.stack(t.fake())
    gate, _, vm = stack.host.family
    for process in (gate, vm):
        with few_descriptors(t, stack, process):
            pass


# -- limits of the host's policy

def limit(name, setting, exceed):
    def run(t):
        fake = t.fake()
        stack = t.stack(fake, config=f"[vm test]\nlisten = @ADDRESS@\n{setting}\n")
        healthy = stack.client()
        healthy.roundtrip()
        try:
            e = exceed(t, stack, fake)
        except ProtocolError as error:
            e = error
        t.ok(isinstance(e, ProtocolError), f"{setting}: the client got an error")
        key = setting.partition(" ")[0]
        t.ok(key in e.text or key.partition("-")[2] in e.text.lower(), f"the error says which limit: {e.text}")
        healthy.roundtrip()
    run.__name__ = f"limit_{name}"
    run.__doc__ = f"{setting}: the client that exceeds it gets an error that says so; others go on"
    test(run, direct=False)


def _clients(t, stack, fake):
    clients = [stack.client() for _ in range(3)]
    for c in clients:
        c.roundtrip()
    return stack.client().expect_error()


def _memory(t, stack, fake):
    c = stack.client()
    shm = c.bind("wl_shm", 1)
    surface = c.create(c.bind("wl_compositor", 4), "create_surface")
    for i in range(20):
        pool = Pool(c, shm, 1 << 20)
        pool.map[:] = b"x" * (1 << 20)
        buffer = pool.buffer(0, 512, 512, 2048)
        c.send(surface, "attach", buffer, 0, 0)
        c.send(surface, "damage", 0, 0, 512, 512)
        c.send(surface, "commit")
        c.roundtrip()
        pool.close()
    raise Failure("20 MiB went through")


def _fds(t, stack, fake):
    c = stack.client()
    peer = fake.peer_of(c)
    device = c.create(c.bind("wl_data_device_manager", 3), "get_data_device", c.bind("wl_seat", 5))
    c.roundtrip()
    offer = peer.new_server_id("wl_data_offer", 3)
    peer.event(device, "data_offer", offer)
    c.roundtrip()
    keep = []
    for _ in range(40):
        r, w = os.pipe()
        c.send(offer, "receive", "text/plain", w)
        os.close(w)
        keep.append(r)
        c.roundtrip()
    raise Failure("40 descriptors went through")


limit("clients", "max-clients = 4", _clients)
limit("memory", "max-memory = 4M", _memory)
limit("fds", "max-fds = 16", _fds)


# -- a bad compositor

def bad_compositor(name, make):
    def run(t):
        fake = t.fake()
        stack = t.stack(fake)
        healthy = stack.client()
        healthy.roundtrip()
        c = stack.client()
        peer = fake.peer_of(c)
        seat = c.bind("wl_seat", 5)
        keyboard = c.create(seat, "get_keyboard")
        c.roundtrip()
        data, fds = make(seat, keyboard)
        peer.raw(data, fds)
        for fd in fds:
            os.close(fd)
        try:
            c.wait_for(lambda: False, "the end", 20)
        except (ProtocolError, EOFError):
            pass
        c.close()
        healthy.roundtrip()
        peer.wait_gone()
    run.__name__ = f"compositor_{name}"
    run.__doc__ = "The client is disconnected, others go on"
    test(run, direct=False)


bad_compositor("sends_size_0", lambda s, k: (pack(s, 0, b"", size=0), []))
bad_compositor("sends_size_9", lambda s, k: (pack(s, 0, b"\0" * 4, size=9), []))
bad_compositor("sends_unknown_opcode", lambda s, k: (pack(s, 77, b""), []))
bad_compositor("sends_too_little", lambda s, k: (pack(s, 0, b""), []))
bad_compositor("sends_overlong_string", lambda s, k: (pack(s, 1, struct.pack("=I", 0x7fffffff) + b"abc\0"), []))
bad_compositor("sends_string_without_nul", lambda s, k: (pack(s, 1, struct.pack("=I", 4) + b"abcd"), []))
bad_compositor("sends_keymap_without_fd", lambda s, k: (pack(k, 0, struct.pack("=II", 1, 100)) * 2, []))


@test(direct=False)
def compositor_sends_to_unknown_objects(t):
    """libwayland's client library passes over an event of an object that it does not know; so does who is between."""
    _, _, c, peer = t.connected()
    seat = c.bind("wl_seat", 5)
    c.roundtrip()
    for unknown in (4711, SERVER_ID + 3, 0):
        peer.raw(pack(unknown, 0, b"") + pack(unknown, 9, b"1234"), [])
        peer.event(seat, "name", "after it")
        c.wait_for(lambda: c.count("wl_seat", "name") > 0, "the next event")
        c.roundtrip()


@test(direct=False)
def compositor_sends_keymap_beyond_its_file(t):
    """The client gets what is there; the daemons neither crash nor send a gigabyte."""
    fake = t.fake()
    stack = t.stack(fake)
    healthy = stack.client()
    c = stack.client()
    peer = fake.peer_of(c)
    keyboard = c.create(c.bind("wl_seat", 5), "get_keyboard")
    c.roundtrip()
    fd = os.memfd_create("x")
    os.write(fd, b"short")
    peer.event(keyboard, "keymap", 1, fd, 1 << 30)
    os.close(fd)
    m = c.wait_event("wl_keyboard", "keymap")
    t.eq(os.pread(m.fds[0], 4096, 0), b"short", "the file's content")
    t.ok(os.fstat(m.fds[0]).st_size < 1 << 20, "its size")
    c.roundtrip()
    healthy.roundtrip()


@test
def compositor_sends_keymap_that_is_no_file(t):
    """Without a keymap nobody looks at the descriptor, so it may be anything. Nor does one that says more than it is end the
    client: it gets nothing to read."""
    _, stack, c, peer = t.connected()
    keyboard = c.create(c.bind("wl_seat", 5), "get_keyboard")
    c.roundtrip()
    unreadable = t.write("unreadable", "text")
    for what, fd in (("/dev/null", os.open("/dev/null", os.O_RDWR)), ("a pipe", os.pipe()[0]),
                     ("a socket", socket.socket(socket.AF_UNIX).detach()), ("an eventfd", os.eventfd(0)),
                     ("a directory", os.open("/", os.O_RDONLY)), ("a path", os.open(unreadable, os.O_PATH)),
                     ("a file for writing", os.open(unreadable, os.O_WRONLY)),
                     ("a file that cannot be read", os.open("/proc/self/mem", os.O_RDONLY))):
        for form, size in ((0, 0), (0, 100), (1, 100)):
            start = len(c.events)
            peer.event(keyboard, "keymap", form, fd, size)
            m = c.wait_event("wl_keyboard", "keymap", start=start)
            t.eq((m.args[0], m.args[2]), (form, size), f"{what}: the event")
            if not t.direct:
                t.eq(os.read(m.fds[0], 10), b"", f"{what}: its content")
            os.close(m.fds[0])
        os.close(fd)
    c.roundtrip()


@test(direct=False)
def compositor_that_floods(t):
    """Events for a client that reads slowly are queued up to the limit, others go on; the host stays within its bounds."""
    fake = t.fake()
    stack = t.stack(fake)
    healthy = stack.client()
    healthy.roundtrip()
    c = stack.client()
    peer = fake.peer_of(c)
    pointer = c.create(c.bind("wl_seat", 5), "get_pointer")
    c.roundtrip()
    before = [p.rss_kib() for p in (stack.host, stack.guest)]
    batch = b"".join(peer.encode(pointer, "motion", i, 0, 0)[0] for i in range(2000))
    peer.socket.setblocking(False)
    total = 0
    try:
        while total < 200 << 20 and not stack.stuck(peer.socket):
            try:
                total += peer.socket.send(batch)
            except BlockingIOError:
                pass
    except (BrokenPipeError, ConnectionResetError, OSError):
        pass
    healthy.roundtrip()
    after = [p.rss_kib() for p in (stack.host, stack.guest)]
    t.ok(all(a - b < 64 * 1024 for a, b in zip(after, before)), f"{total} bytes: memory {before} → {after} KiB")
    c.close()
    fake.drop(peer)
    healthy.roundtrip()


@test(direct=False)
def bad_strings_in_titles(t):
    """The proxies look at titles: overlong ones and such with control characters harm nobody."""
    fake = t.fake()
    stack = t.stack(fake, config="[vm test]\nlisten = @ADDRESS@\ntitle-prefix = \"[vm] \"\n")
    healthy = stack.client()
    healthy.roundtrip()
    c = stack.client()
    peer = fake.peer_of(c)
    wm = c.bind("xdg_wm_base", 1)
    surface = c.create(c.bind("wl_compositor", 4), "create_surface")
    toplevel = c.create(c.create(wm, "get_xdg_surface", surface), "get_toplevel")
    for title in ("", "\x1b[2J\x01", "%s%n%x", "x" * 60000):
        c.send(toplevel, "set_title", title)
        c.roundtrip()
    t.eq([m.args[0][:20] for m in peer.find("xdg_toplevel", "set_title")[-4:]],
         ["[vm] ", "[vm]  [2J ", "[vm] %s%n%x", "[vm] " + "x" * 15], "the titles")
    try:
        # With the prefix it would not fit into a message.
        c.send_raw(pack(toplevel, 2, pack_string("y" * 65519)))
        c.roundtrip()
        t.ok(peer.find("xdg_toplevel", "set_title")[-1].args[0].startswith("[vm] "), "the prefix stays")
    except (ProtocolError, EOFError):
        pass
    healthy.roundtrip()


if __name__ == "__main__":
    main()
