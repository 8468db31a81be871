#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who gets in, and what either daemon does when the other one is an attacker.

Raw frames are a test double for the other daemon: no real one sends these."""

import os
import socket
import struct
import threading

from harness import Failure, main, test
from harness import link
from harness.client import Client
from harness.link import Link
from harness.stack import TOKEN, Stack
from harness.wire import pack, pack_string


# -- tokens, over a VMM's hybrid socket

def token_case(name, guest, host, works):
    def run(t):
        fake = t.fake()
        stack = t.stack(fake, transport="mux", token=guest, host_token=host, start=False)
        stack.start_host()
        stack.start_guest()
        if works:
            stack.wait_link()
            stack.settle()
            return
        t.wait(lambda: "token" in stack.host.log() or "proof" in stack.host.log(), "the host logs the refusal")
        for _ in range(3):
            t.ok(not stack.usable(), "no client gets through")
        t.eq(len([p for p in fake.peers if p.registries and p.find("wl_display", "sync")]), 0, "clients at the compositor")
        t.ok(stack.guest.alive and stack.host.alive, "both daemons live")
        t.lacks((guest or "nothing at all")[:40], stack.host.log(), "the host's log")
        t.lacks(host[:40], stack.guest.log() + stack.host.log(), "the logs")
    run.__name__ = f"token_{name}"
    run.__doc__ = f"A token that is {name}"
    test(run, direct=False, waits=not works)


token_case("right", TOKEN, TOKEN, True)
token_case("wrong", TOKEN.replace("n", "m"), TOKEN, False)
token_case("a_prefix", TOKEN[:-1], TOKEN, False)
token_case("longer", TOKEN + "x", TOKEN, False)


@test(direct=False, waits=True)
def token_missing_in_the_guest(t):
    fake = t.fake()
    stack = t.stack(fake, transport="mux", start=False)
    stack.start_host()
    stack.token_guest = None
    stack.start_guest(wait=False)
    t.wait(lambda: "token" in stack.guest.log() + stack.host.log(), "a log says what is missing")
    t.ok(not _usable(stack), "no client gets through")
    stack.guest.any_status = True
    stack.guest.expected_exit = True


@test(direct=False, waits=True)
def token_missing_on_the_host(t):
    """A hybrid socket proves nothing: the host refuses, or does not even start, without a token."""
    fake = t.fake()
    stack = t.stack(fake, transport="mux", start=False)
    stack.token_host = None
    stack.start_host(wait=False)
    stack.host.any_status = True
    stack.start_guest(wait=False)
    stack.guest.any_status = True
    t.wait(lambda: "token" in stack.host.log(), "the host's log says what is missing")
    t.ok(not _usable(stack), "no client gets through")
    stack.host.expected_exit = stack.guest.expected_exit = True


def _usable(stack):
    try:
        return stack.usable()
    except (OSError, Failure):
        return False


@test(direct=False)
def token_files_that_others_may_read(t):
    """Refused, with a message that says so."""
    fake = t.fake()
    stack = t.stack(fake, transport="mux", start=False)
    argv = stack.host_argv()
    os.chmod(argv[argv.index("--token") + 1], 0o644)
    proc = t.run(argv)
    t.ok(proc.popen.returncode == 1, f"status {proc.popen.returncode}")
    t.has("token", proc.log(), "the message")


@test(direct=False)
def no_auth_is_for_development(t):
    """Both sides with --no-auth work over a hybrid socket without a token, and say so."""
    fake = t.fake()
    stack = t.stack(fake, transport="mux", start=False, host_args=["--no-auth"], guest_args=["--no-auth"])
    stack.token_host = stack.token_guest = None
    stack.start_host()
    stack.start_guest()
    stack.wait_link()
    t.has("auth", stack.host.log(), "the host's log")


# -- raw guests

def heartbeat(control):
    """Answers on a control connection, and pings as a daemon does."""
    serial = 0
    while True:
        try:
            got = control.frame(2)
            if got is None:
                return
            if got[0] == "PING":
                control.send(link.pong(*struct.unpack("<Q", got[1])))
        except Failure:
            serial += 1
            control.send(link.frame("PING", struct.pack("<Q", serial)))
        except (OSError, ValueError):
            return


def sync(number):
    return pack(1, 0, struct.pack("=I", number))


def registry_bind(name, interface, version, new):
    return pack(2, 0, struct.pack("=I", name) + pack_string(interface) + struct.pack("=II", version, new))


def messages(payload):
    """(object, opcode) of each message in a frame."""
    at = 0
    while at < len(payload):
        number, opcode, size = struct.unpack_from("=IHH", payload, at)
        yield number, opcode
        at += size


class Evil:
    """A host daemon with two VMs: a healthy pair, and one whose guest daemon the test plays."""

    def __init__(self, t, more=""):
        self.t = t
        self.fake = t.fake()
        self.path = t.path("evil")
        self.stack = t.stack(self.fake, config=f"[vm good]\nlisten = @ADDRESS@\n[vm evil]\nlisten = unix:{self.path}\n{more}")
        self.healthy = self.stack.client()
        self.healthy.bind("wl_compositor", 4)
        self.healthy.roundtrip()
        self.control = None

    def login(self):
        """A control connection as it should be; keeps it alive and returns the session key."""
        self.control = Link(self.path)
        fd = os.open("/dev/null", os.O_RDONLY)
        self.control.send(link.hello(link.CONTROL, link.DESCRIPTOR), [fd])
        os.close(fd)
        key = link.welcome_key(self.control.wait("WELCOME"))
        self.t.guests.append(self.logout)
        threading.Thread(target=heartbeat, args=(self.control,), daemon=True).start()
        return key

    def logout(self):
        try:
            self.control.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def begin(self, key, *interfaces):
        """A client connection whose object 2 is the registry, and 3, 4… these interfaces."""
        c = self.client(key)
        c.send(link.frame("WAYLAND", pack(1, 1, struct.pack("=I", 2)) + sync(3)))
        while not any(m == (1, 1) for m in messages(c.wait("WAYLAND"))):     # wl_display.delete_id of the callback
            pass
        names = [next(n for n, g in self.fake.globals.items() if g[0] == i) for i in interfaces]
        c.send(link.frame("WAYLAND", b"".join(registry_bind(n, i, 1, 3 + k)
                                              for k, (n, i) in enumerate(zip(names, interfaces))) or sync(3)))
        return c

    def client(self, key):
        c = Link(self.path)
        c.send(link.hello(link.CLIENT, link.KEY, key))
        return c

    def ok(self):
        self.healthy.roundtrip()
        self.t.ok(self.stack.host.alive, "the host daemon lives")


@test(direct=False)
def login_over_a_unix_socket(t):
    """Our uid and a descriptor in HELLO let a guest daemon in; without the descriptor it may be a relayed VM."""
    evil = Evil(t)
    with Link(evil.path) as c:
        c.send(link.hello(link.CONTROL, link.NONE))
        e = c.error()
        t.ok(e and e[0] == link.REFUSED, f"no proof: {e}")
    with Link(evil.path) as c:
        c.send(link.hello(link.CONTROL, link.DESCRIPTOR))
        e = c.error()
        t.ok(e and e[0] == link.REFUSED, f"the claim of a descriptor, but none: {e}")
    with Link(evil.path) as c:
        c.send(link.hello(link.CONTROL, link.TOKEN, b"some token that nobody asked for"))
        e = c.error()
        t.ok(e and e[0] == link.REFUSED, f"a token where none is set: {e}")
    key = evil.login()
    t.eq(len(key), 32, "a session key")
    with evil.client(key) as c:
        c.send(link.frame("WAYLAND", pack(1, 0, struct.pack("=I", 2))))
        payload = c.wait("WAYLAND")
        t.eq(struct.unpack_from("=I", payload)[0], 2, "the callback's event")
    evil.ok()


@test(direct=False)
def client_keys(t):
    """A client connection needs the key of its own VM's control connection, while that lives."""
    evil = Evil(t)
    key = evil.login()
    for what, kind, proof in (("none", link.NONE, b""), ("an empty key", link.KEY, b""), ("zeros", link.KEY, bytes(32)),
                              ("half a key", link.KEY, key[:16]), ("more than a key", link.KEY, key + b"x"),
                              ("a bit flipped", link.KEY, bytes([key[0] ^ 1]) + key[1:]),
                              ("as a token", link.TOKEN, key)):
        with Link(evil.path) as c:
            c.send(link.hello(link.CLIENT, kind, proof))
            e = c.error()
            t.ok(e and e[0] in (link.REFUSED, link.PROTOCOL), f"{what}: {e}")
    # The other VM's listener does not take it.
    with Link(evil.stack.link_path) as c:
        c.send(link.hello(link.CLIENT, link.KEY, key))
        e = c.error()
        t.ok(e and e[0] == link.REFUSED, f"another VM's key: {e}")
    other = evil.login()
    t.ok(other != key, "each control connection has its own key")
    with evil.client(key) as c:
        e = c.error()
        t.ok(e and e[0] == link.REFUSED, f"an old key: {e}")
    evil.ok()


@test(direct=False)
def bad_hellos(t):
    """Each is answered with an ERROR frame or the end; nothing else is given away."""
    evil = Evil(t)
    good = link.hello(link.CONTROL, link.DESCRIPTOR)
    cases = {
        "another magic": link.hello(link.CONTROL, magic=0x12345678),
        "version 0": link.hello(link.CONTROL, versions=(0, 0)),
        "a later version": link.hello(link.CONTROL, versions=(2, 9)),
        "versions turned round": link.hello(link.CONTROL, versions=(3, 1)),
        "role 0": link.hello(0), "role 3": link.hello(3), "proof kind 99": link.hello(link.CONTROL, 99),
        "a frame of 4 GiB": link.frame("HELLO", b"", size=0xffffffff), "size 0": link.frame("HELLO"),
        "one byte too few": link.frame("HELLO", good[8:-1]),
        "one byte too many": link.frame("HELLO", good[8:] + b"x"),
        "reserved bits": link.frame("HELLO", good[8:], reserved=1), "type 0": link.frame(0, b"1234"),
        "type 99": link.frame(99, b"1234"), "another first frame": link.frame("PING", bytes(8)),
        "wayland first": link.frame("WAYLAND", pack(1, 0, struct.pack("=I", 2))),
        "a label with control characters": link.hello(link.CONTROL, label=b"\x1b[31m"),
        "text": b"GET / HTTP/1.1\r\n\r\n",
        "a proof beyond its bound": link.hello(link.CONTROL, link.TOKEN, b"x" * 5000),
    }
    for what, data in cases.items():
        with Link(evil.path) as c:
            c.send(data)
            kinds = []
            while (got := c.frame()) is not None:
                kinds.append(got[0])
            t.ok(set(kinds) <= {"ERROR"}, f"{what}: answered with {kinds}")
        evil.ok()
    for cut in (1, 7, 8, 20, len(good) - 1):
        with Link(evil.path) as c:
            c.send(good[:cut])
        evil.ok()


@test(direct=False, timeout=120, waits=True)
def silent_strangers_are_bounded(t):
    """Hundreds of connections that prove nothing: bounded in number and time, and the healthy VM goes on."""
    evil = Evil(t)
    before = len(evil.stack.host.fds())
    strangers = []
    for _ in range(600):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(2)
        try:
            s.connect(evil.path)
        except OSError:
            s.close()
            break
        strangers.append(s)
    evil.ok()
    t.ok(len(evil.stack.host.fds()) - before < 300, f"descriptors held for strangers: {len(evil.stack.host.fds()) - before}")
    t.wait(lambda: len(evil.stack.host.fds()) <= before, "they are dropped after a while", 60)
    for s in strangers:
        s.close()
    key = evil.login()
    with evil.client(key) as c:
        c.send(link.frame("WAYLAND", pack(1, 0, struct.pack("=I", 2))))
        c.wait("WAYLAND")
    evil.ok()


@test(direct=False)
def silent_strangers_lock_nobody_out(t):
    """As many as may wait, and more: who says HELLO at once gets in. What is no HELLO is refused at its header."""
    evil = Evil(t)
    strangers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(150)]
    for s in strangers:
        s.connect(evil.path)
    key = evil.login()
    for s in strangers[:20]:
        s.close()
    with evil.client(key) as c:
        c.send(link.frame("WAYLAND", pack(1, 0, struct.pack("=I", 2))))
        c.wait("WAYLAND")
    with Link(evil.path) as c:
        c.send(link.frame("WAYLAND", b"", size=200000))     # and nothing of it
        t.eq(c.frame()[0], "ERROR", "the answer to its header")
    for s in strangers[20:]:
        s.close()
    evil.ok()


@test(direct=False, timeout=120)
def attacks_of_a_guest_daemon(t):
    """A client connection that breaks the rules of the link or of Wayland gets an ERROR frame; only it ends."""
    evil = Evil(t)
    key = evil.login()
    # wl_shm is object 3; a pool of 4096 bytes is VFD 1.
    memory = link.vfd(1, link.MEMORY, 0, 4096)
    pool = memory + link.frame("WAYLAND", pack(3, 0, struct.pack("=II", 4, 4096)))

    def write(row=16, rows=4, stride=64, offset=0, number=1, n=None):
        return link.mem_write(number, row, rows, stride, offset, bytes(row * rows if n is None else n))
    cases = {
        "another HELLO": link.hello(link.CLIENT, link.KEY, key), "WELCOME": link.welcome(bytes(32)),
        "PING on a client connection": link.frame("PING", bytes(8)), "unknown type": link.frame(200, b""),
        "reserved bits": link.frame("WAYLAND", sync(5), reserved=7),
        "a frame of 4 GiB": link.frame("WAYLAND", b"", size=0xfffffff8),
        "a frame just beyond the cap": link.frame("WAYLAND", b"", size=(256 << 10) + 8),
        "half a message": link.frame("WAYLAND", sync(5)[:8]),
        "a message of size 0": link.frame("WAYLAND", pack(1, 0, b"", size=0)),
        "an unknown object": link.frame("WAYLAND", pack(77, 0, b"")),
        "an unknown opcode": link.frame("WAYLAND", pack(1, 9, b"")),
        "a pool without its VFD": link.frame("WAYLAND", pack(3, 0, struct.pack("=II", 4, 4096))),
        "a VFD of no kind": link.vfd(1, 99, 0, 4096), "a VFD with a gap": link.vfd(7, link.MEMORY, 0, 4096),
        "a VFD with the host's bit": link.vfd(0x80000001, link.MEMORY, 0, 4096),
        "VFD 0": link.vfd(0, link.MEMORY, 0, 4096),
        "memory of 2^63 bytes": link.vfd(1, link.MEMORY, 0, 1 << 63),
        "memory just beyond the cap": link.vfd(1, link.MEMORY, 0, (1 << 31) + 1),
        "a file beyond the cap": link.vfd(1, link.FILE, 0, 1 << 40),
        "a stream of both directions": link.vfd(1, link.STREAM, 3, 0),
        "a stream of no direction": link.vfd(1, link.STREAM, 0, 0),
        "a pool larger than its memory": memory + link.frame("WAYLAND", pack(3, 0, struct.pack("=Ii", 4, 8192))),
        "a pool of size -1": memory + link.frame("WAYLAND", pack(3, 0, struct.pack("=Ii", 4, -1))),
        "a stream as a pool": link.vfd(1, link.STREAM, 1, 0) +
            link.frame("WAYLAND", pack(3, 0, struct.pack("=II", 4, 4096))),
        "the pool's VFD again as another's file": pool + link.vfd(1, link.FILE, 0, 10),
        "writing to unknown memory": pool + write(number=9),
        "writing beyond the end": pool + write(offset=4096 - 16 * 3),
        "writing at 2^64": pool + write(offset=(1 << 64) - 8),
        "a stride that overflows": pool + write(stride=0xffffffff, rows=5),
        "rows that overflow": pool + write(row=0xffffffff, rows=0xffffffff, stride=0xffffffff, n=64),
        "a stride below the row": pool + write(row=64, stride=16), "fewer bytes than rows": pool + write(n=63),
        "more bytes than rows": pool + write(n=65),
        "growing beyond the cap": pool + link.frame("MEM_SIZE", struct.pack("<IIQ", 1, 0, 1 << 40)),
        "punching beyond the end": pool + link.frame("MEM_PUNCH", struct.pack("<IIQQ", 1, 0, 0, 8192)),
        "punching what overflows": pool + link.frame("MEM_PUNCH", struct.pack("<IIQQ", 1, 0, (1 << 64) - 4096, 8192)),
        "data for an unknown stream": link.frame("STREAM_DATA", struct.pack("<I", 5) + b"data"),
        "credit for an unknown stream": link.frame("STREAM_CREDIT", struct.pack("<II", 5, 1)),
        "closing what was never open": link.frame("VFD_CLOSE", struct.pack("<I", 9)),
        "an unused VFD, then another": link.vfd(1, link.MEMORY, 0, 1 << 30) * 1 +
            b"".join(link.vfd(i, link.MEMORY, 0, 1 << 31) for i in range(2, 5000)),
        "a bind of a hidden global": link.frame("WAYLAND", registry_bind(4000, "zwlr_screencopy_manager_v1", 1, 4)),
    }
    for what, data in cases.items():
        with evil.begin(key, "wl_shm") as c:
            c.send(data)
            try:
                e = c.error(10)
            except Failure as f:
                raise Failure(f"{what}: {f}") from None
            t.ok(e is not None, f"{what}: ended without an ERROR frame")
            t.ok(e[1], f"{what}: no text")
        evil.ok()
    with evil.begin(key, "wl_shm") as c:
        c.send(pool + write())
        c.send(link.frame("WAYLAND", sync(5)))
        c.wait("WAYLAND")
    evil.ok()


@test(direct=False)
def guest_overruns_its_credit(t):
    """Stream data beyond the window is the end of that client, not of the host's memory."""
    evil = Evil(t)
    key = evil.login()
    with evil.begin(key, "wl_seat", "wl_data_device_manager") as c:
        c.send(link.frame("WAYLAND", pack(4, 1, struct.pack("=II", 5, 3)) + pack(4, 0, struct.pack("=I", 6)) +
                          pack(6, 0, pack_string("text/plain")) + pack(5, 1, struct.pack("=II", 6, 1))))
        peer = t.wait(lambda: next((p for p in evil.fake.open_peers() if p.find("wl_data_source", "offer")), None),
                      "the source at the compositor")
        r, w = os.pipe()
        peer.event(6, "send", "text/plain", w)
        os.close(w)
        number, = struct.unpack_from("<I", c.wait("VFD"))
        block = link.frame("STREAM_DATA", struct.pack("<I", number) + bytes(1 << 17))
        try:
            for _ in range(64):
                c.send(block)
        except (BrokenPipeError, ConnectionResetError):
            pass
        e = c.error()
        t.ok(e is not None or c.closed, "the connection ended")
        os.close(r)
    evil.ok()


@test(direct=False)
def a_guest_daemon_that_dies_leaves_nothing(t):
    """Its client connections end with the control connection."""
    evil = Evil(t)
    key = evil.login()
    clients = [evil.client(key) for _ in range(10)]
    for c in clients:
        c.send(link.frame("WAYLAND", sync(2)))
        c.wait("WAYLAND")
    evil.control.socket.shutdown(socket.SHUT_RDWR)
    for c in clients:
        c.wait_end()
        c.socket.close()
    evil.ok()


# -- a raw host

class EvilHost:
    """Plays wayvsock-host for a real guest daemon."""

    def __init__(self, t):
        self.t = t
        self.key = os.urandom(32)
        fake = t.fake()
        self.stack = Stack(t, fake, start=False)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.stack.link_path)
        self.listener.listen(64)
        self.listener.settimeout(20)
        t.closers.append(self.listener.close)

    def accept(self):
        sock, _ = self.listener.accept()
        c = Link(sock=sock)
        return c, c.wait("HELLO")

    def accept_control(self):
        c, hello = self.accept()
        self.t.eq(struct.unpack_from("<IHHIH", hello)[0::4], (link.MAGIC, link.CONTROL), "HELLO")
        c.send(link.welcome(self.key))

        threading.Thread(target=heartbeat, args=(c,), daemon=True).start()
        return c


@test(direct=False, timeout=120)
def attacks_of_a_host_daemon(t):
    """The guest daemon disconnects the client, says why, and serves the next one."""
    evil = EvilHost(t)
    evil.stack.start_guest()
    evil.accept_control()
    cases = {
        "unknown type": link.frame(200), "reserved bits": link.frame("WAYLAND", b"", reserved=1),
        "a frame of 4 GiB": link.frame("WAYLAND", b"", size=0xffffffff),
        "half a message": link.frame("WAYLAND", b"12345678"),
        "an unknown object": link.frame("WAYLAND", pack(77, 0, b"")),
        "an unknown opcode": link.frame("WAYLAND", pack(1, 9, b"")),
        "HELLO": link.hello(link.CLIENT), "a VFD with the guest's id": link.vfd(1, link.MEMORY, 0, 4096),
        "writing to unknown memory": link.mem_write(1, 4, 1, 4, 0, b"1234"),
        "data for an unknown stream": link.frame("STREAM_DATA", struct.pack("<I", 0x80000005) + b"data"),
        "credit for an unknown stream": link.frame("STREAM_CREDIT", struct.pack("<II", 5, 0xffffffff)),
        "a file of 4 GiB": link.vfd(0x80000001, link.FILE, 0, 1 << 32),
        "a truncated frame": link.frame("WAYLAND", b"1234", size=100),
        "an ERROR without text": link.frame("ERROR", struct.pack("<HHII", link.LIMIT, 0, 0, 0)),
        "an ERROR of no code": link.frame("ERROR", struct.pack("<HHII", 999, 0, 0, 0)),
        "WELCOME again": link.welcome(bytes(32)), "nothing": b"",
    }
    for what, data in cases.items():
        client = Client(evil.stack.display)
        client.send(1, "sync", client.new_id("wl_callback"))
        c, hello = evil.accept()
        t.ok(evil.key in hello, "the session key is presented")
        c.wait("WAYLAND")
        c.send(data)
        if what in ("a truncated frame", "nothing"):
            c.socket.close()
        try:
            client.wait_closed(15)
        except Failure as f:
            raise Failure(f"{what}: {f}") from None
        client.close()
        c.socket.close()
        t.ok(evil.stack.guest.alive, f"{what}: the guest daemon lives")


@test(direct=False, waits=True)
def host_refuses_with_a_reason(t):
    """The text of the host's ERROR is in the guest's log, without its control characters; clients get an error."""
    evil = EvilHost(t)
    evil.stack.start_guest()
    c, _ = evil.accept()
    text = b"this VM is not named; add it"
    c.send(link.frame("ERROR", struct.pack("<HHII", link.REFUSED, len(text), 0, 0) + text))
    c.socket.close()
    t.wait(lambda: "is not named" in evil.stack.guest.log(), "the reason in the log")
    with Client(evil.stack.display):    # makes it try again
        c, _ = evil.accept()
    text = b"an \x1b[31mred\nfaked line"
    c.send(link.frame("ERROR", struct.pack("<HHII", link.REFUSED, len(text), 0, 0) + text))
    c.wait_end()
    t.lacks("\x1b", evil.stack.guest.log(), "the log")
    t.ok(not any(line.startswith("faked") for line in evil.stack.guest.log().splitlines()), "no faked line")
    t.ok(evil.stack.guest.alive, "the guest daemon lives")


@test(direct=False)
def host_of_another_version(t):
    evil = EvilHost(t)
    evil.stack.start_guest()
    clients = []
    for data in (link.welcome(evil.key, version=9), link.welcome(evil.key)[:20], link.frame("PING", bytes(8)),
                 b"HTTP/1.1 200 OK\r\n"):
        c, _ = evil.accept()
        c.send(data)
        if len(data) == 20:
            c.socket.close()
        else:
            c.wait_end()
            c.socket.close()
        t.ok(evil.stack.guest.alive, "the guest daemon lives")
        clients.append(Client(evil.stack.display))      # makes it try again
        t.closers.append(clients[-1].close)


if __name__ == "__main__":
    main()
