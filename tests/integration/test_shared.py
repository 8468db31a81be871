#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a program of the VM and one of the host share through a service: memory, eventfds, and descriptors that come
home."""

import mmap
import os
import select
import socket
import struct

from harness import main, test
from harness.trace import Trace

SIZE = 64 << 10
SLOTS, SLOT = 128, 256
HEAD, TAIL, SUMS, DATA = 0, 4, 64, 1 << 12     # two counters side by side, each written by one side


class Ends:
    """A connection through both daemons: .guest and .host are its programs' ends."""

    def __init__(self, t, lines, **options):
        path = t.path("host-shared")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        t.closers.append(listener.close)
        conf = t.write("shared.conf", f"[forward shared]\npath = {path}\n{lines}\n")
        self.stack = t.stack(t.fake(), start=False, host_args=["--config", conf, "--forward", "shared"],
                             guest_args=["--forward", f"shared={t.path('guest-shared')}"], **options)
        self.stack.start_before_clients()
        self.t, self.fds = t, []
        self.guest = socket.socket(socket.AF_UNIX)
        self.guest.settimeout(60)
        self.guest.connect(t.path("guest-shared"))
        self.host, _ = listener.accept()
        self.host.settimeout(60)
        t.closers += [self.guest.close, self.host.close, self.close]

    def close(self):
        while self.fds:
            os.close(self.fds.pop())

    def keep(self, *fds):
        self.fds += fds
        return fds if len(fds) != 1 else fds[0]

    def passed(self, sender, receiver, *fds):
        socket.send_fds(sender, [b"d"], fds)
        data, got, _, _ = socket.recv_fds(receiver, 1, len(fds))
        self.t.eq((data, len(got)), (b"d", len(fds)), "what arrives")
        self.keep(*got)
        return got if len(got) != 1 else got[0]

    def memory(self):
        fd = self.keep(os.memfd_create("ring", os.MFD_ALLOW_SEALING))
        os.ftruncate(fd, SIZE)
        return fd


def wait_for(t, fd):
    t.ok(select.select([fd], [], [], 60)[0], "a signal comes")
    return os.eventfd_read(fd)


def ring(t, ends, writer, reader, memory, event):
    """What a sound server does: blocks in memory, an eventfd wakes, and what was read is said in the same memory."""
    theirs, signal = ends.passed(writer, reader, memory, event)
    with mmap.mmap(memory, SIZE) as a, mmap.mmap(theirs, SIZE) as b:
        head = tail = woken = 0
        sums = []
        while tail < 1000:
            # As many as there is room for, and one signal each.
            room = SLOTS - (head - struct.unpack_from("<I", a, TAIL)[0])
            for _ in range(min(room, 1 + head % 7)):
                block = bytes([(head * 31 + i * 7) & 255 for i in range(SLOT)])
                at = DATA + head % SLOTS * SLOT
                a[at:at + SLOT] = block
                sums.append(sum(block))
                head += 1
                struct.pack_into("<I", a, HEAD, head)
                os.eventfd_write(event, 1)
            while struct.unpack_from("<I", b, HEAD)[0] != head:
                woken += wait_for(t, signal)
            while tail < head:
                at = DATA + tail % SLOTS * SLOT
                t.eq(sum(b[at:at + SLOT]), sums[tail], f"block {tail}")
                tail += 1
            struct.pack_into("<I", b, TAIL, tail)
            reader.sendall(b"r")
            t.eq(writer.recv(1), b"r", "the answer")
            t.eq(struct.unpack_from("<II", a), (head, tail), "the counters where it is written")
        while woken < head:
            woken += wait_for(t, signal)
        t.eq(woken, head, "signals")


@test(direct=False)
def a_ring_and_a_signal(t):
    ends = Ends(t, "memory = mirror\neventfds = to-host")
    ring(t, ends, ends.guest, ends.host, ends.memory(), ends.keep(os.eventfd(0)))
    for proc in ends.stack.host, ends.stack.guest:
        t.lacks("warning", proc.log().lower(), f"{proc.name}'s log")


@test(direct=False)
def the_other_way_round(t):
    ends = Ends(t, "memory = mirror\neventfds = to-guest")
    ring(t, ends, ends.host, ends.guest, ends.memory(), ends.keep(os.eventfd(0)))


@test(direct=False)
def home(t):
    """What the host's program sends back is what was sent to it, through all that the daemons may still call."""
    ends = Ends(t, "memory = mirror\neventfds = to-host")
    r, w = ends.keep(*os.pipe())
    a, b = socket.socketpair()
    with open(t.write("file", "content"), "rb") as f, a, b:
        sent = [ends.memory(), ends.keep(os.eventfd(0)), r, w, b.fileno(), f.fileno()]
        for sender, receiver in ((ends.guest, ends.host), (ends.host, ends.guest)):
            for fd in sent:
                there = ends.passed(sender, receiver, fd)
                t.ok(os.fstat(there).st_ino != os.fstat(fd).st_ino or fd == sent[1], "there, it is another")
                back = ends.passed(receiver, sender, there)
                t.eq(os.fstat(back)[1:3], os.fstat(fd)[1:3], "the file that came home")
        os.eventfd_write(sent[1], 3)
    ends.close()
    for s in ends.guest, ends.host:
        s.close()
    t.wait(lambda: ends.stack.host.log().count("ended: sent service=") >= 1, "the connection is over")


@test(direct=False)
def a_socket_that_comes_home_at_once(t):
    """Before anybody has come for its connection: nobody shuts it down, or reads from it any more."""
    ends = Ends(t, "")
    for n, (sender, receiver) in enumerate(((ends.guest, ends.host), (ends.host, ends.guest)) * 10, 1):
        a, b = socket.socketpair()
        with a, b:
            socket.send_fds(sender, [b"d"], [b.fileno()])
            _, there, _, _ = socket.recv_fds(receiver, 1, 1)
            socket.send_fds(receiver, [b"d"], there)
            os.close(there[0])
            _, back, _, _ = socket.recv_fds(sender, 1, 1)
            t.eq(os.fstat(back[0]).st_ino, os.fstat(b.fileno()).st_ino, "what came home")
            # Until then, the other side could have heard from it.
            t.wait(lambda n=n: ends.stack.host.log().count("ended: sent") >= n, "its connection has ended")
            for _ in range(20):
                b.sendall(b"down")
                t.eq(a.recv(100), b"down", "what it says")
                a.sendall(b"up")
                t.eq(b.recv(100), b"up", "what it hears")
            os.close(back[0])


@test(direct=False)
def nothing_is_left(t):
    """Memory, files and ends that nobody has any more cost neither daemon anything."""
    ends = Ends(t, "memory = mirror\neventfds = to-host\nmax-mirrored = 1M")

    def some(n):
        for i in range(n):
            sender, receiver = (ends.guest, ends.host) if i % 2 else (ends.host, ends.guest)
            r, w = os.pipe()
            fds = [ends.memory(), r]
            ends.keep(r, w)
            got = ends.passed(sender, receiver, *fds)
            if i % 3 == 0:
                ends.passed(receiver, sender, *got)
            ends.close()

    some(10)
    daemons = ends.stack.host, ends.stack.guest
    before = [len(p.fds()) for p in daemons]
    some(200)       # 12 MiB, where one may have 1
    for p, n in zip(daemons, before):
        t.wait(lambda p=p, n=n: len(p.fds()) <= n, f"{p.name} has no descriptor more than {n}")


@test(direct=False)
def idle(t):
    """Shared memory and eventfds that nobody uses wake nobody."""
    ends = Ends(t, "memory = mirror\neventfds = to-host")
    event = ends.keep(os.eventfd(0))
    _, signal = ends.passed(ends.guest, ends.host, ends.memory(), event)
    os.eventfd_write(event, 1)
    wait_for(t, signal)
    trace = Trace(t, ends.stack.host, ends.stack.guest)
    t.wait(lambda: trace.pings(ends.stack.guest) >= 3, "three heartbeats", 60)
    trace.stop()
    for proc in ends.stack.host, ends.stack.guest:
        t.ok(trace.wakes(proc) <= 3 * trace.pings(ends.stack.guest) + 3,
             f"{proc.name}: {trace.wakes(proc)} wake-ups with {trace.pings(ends.stack.guest)} heartbeats")


@test(direct=False)
def what_is_not_allowed(t):
    """It is refused where it was sent, in words that say what would allow it."""
    ends = Ends(t, "memory = refuse")
    for fd, key in ((ends.memory(), "memory = once or mirror"),):
        socket.send_fds(ends.guest, [b"x"], [fd])
        t.eq(ends.guest.recv(1), b"", "the connection ends")
        t.has(key, ends.stack.guest.log(), "the guest's log")


@test(direct=False)
def an_eventfd_without_a_direction(t):
    ends = Ends(t, "")
    socket.send_fds(ends.host, [b"x"], [ends.keep(os.eventfd(0))])
    t.eq(ends.host.recv(1), b"", "the connection ends")
    t.has("a descriptor is not carried: an eventfd (eventfds = to-host or to-guest would allow it)",
          ends.stack.host.log(), "the host's log")


if __name__ == "__main__":
    main()
