#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-vsock under a real guest kernel: what programs on both sides see of each other.

WAYVSOCK_QEMU_GUEST may name a stock kernel in QEMU, as scripts/guest -k does."""

import errno
import hashlib
import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

import vsock_peer as peer  # noqa: E402
from vm import device_of  # noqa: E402
from vsock_vm import Guest  # noqa: E402

MIB = 1 << 20
KILLS = int(os.environ.get("WAYVSOCK_KILLS", "50"))        # 1000 in a quiet night
KILLS_LIMIT = 300 + 4 * KILLS


def digest_of(size, seed):
    return hashlib.sha256(peer.pattern(size, seed)).hexdigest()


@test(timeout=300)
def refusals(t):
    """A port where nobody listens, a full backlog, and another VM's address."""
    g = Guest(t)
    t.eq(g.ask("refused", 77), errno.ECONNRESET, "nobody listens")
    keep = g.listen(78, None, backlog=0)
    seen = [g.ask("refused", 78) for _ in range(3)]
    t.eq(seen[-1], errno.ECONNRESET, "a full backlog, in the end")
    keep.close()
    t.eq(g.ask("refused", 78), errno.ECONNRESET, "a socket that nobody has any more")
    came = []
    g.listen(80, came.append)
    t.ok(g.ask("refused", 80, 5) != 0, "another VM is not reached")
    t.eq(came, [], "who heard of that")
    with g.dial() as s:
        s.sendall(b"CONNECT 79\n")
        t.eq(s.recv(10), b"", "the guest's port where nobody listens")


@test(timeout=300)
def half_close(t):
    """Either side ends its direction, and gets the answer to all that it said."""
    g = Guest(t)

    def answer(s):
        text = b""
        while data := s.recv(4096):
            text += data
        s.sendall(b"heard " + text)
        s.close()
    g.listen(100, answer)
    t.eq(g.ask("question", 100, "anybody?"), "heard anybody?", "the guest's question")
    with g.connect(peer.ECHO) as s:
        s.sendall(b"hello ")
        s.shutdown(socket.SHUT_WR)
        text = b""
        while data := s.recv(4096):
            text += data
        t.eq(text, b"hello end", "the host's question")


@test(timeout=300)
def greetings(t):
    """CONNECT in pieces, and together with the first bytes; anything else is no greeting."""
    g = Guest(t)
    with g.dial() as s:
        for piece in (b"CON", b"NECT 20", b"01", b"\n"):
            s.sendall(piece)
        g.expect_ok(s)
        s.sendall(b"one")
        t.eq(s.recv(10), b"one", "after pieces")
    with g.dial() as s:
        s.sendall(b"CONNECT 2001\nearly")
        g.expect_ok(s)
        t.eq(s.recv(10), b"early", "what came with the greeting")
    for text in (b"CONNECT\n", b"CONNECT x\n", b"CONNECT 4294967295\n", b"connect 2001\n", b"x" * 100, b"CONNECT -1\n"):
        with g.dial() as s:
            try:
                s.sendall(text)
                t.eq(s.recv(10), b"", f"{text!r}")
            except ConnectionError:
                pass


@test(timeout=300)
def bulk(t):
    """Much data in each direction, and in both at once, arrives as it was."""
    g = Guest(t)
    came, done = [], threading.Event()

    def take(s):
        came.append(peer.read_all(s))
        s.close()
        done.set()
    g.listen(100, take)
    sent = g.ask("send", 100, 32 * MIB)
    t.ok(done.wait(60), "the host has got all")
    t.eq(came, [(32 * MIB, sent)], "what came from the guest")

    def give(s):
        s.sendall(peer.pattern(32 * MIB, 2))
        s.close()
    g.listen(101, give)
    t.eq(g.ask("receive", 101), [32 * MIB, digest_of(32 * MIB, 2)], "what came to the guest")

    def exchange(s):
        sender = threading.Thread(target=lambda: (s.sendall(peer.pattern(8 * MIB, 4)), s.shutdown(socket.SHUT_WR)))
        sender.start()
        came.append(peer.read_all(s))
        sender.join()
        s.close()
    g.listen(102, exchange)
    sent, received = g.ask("both", 102, 8 * MIB)
    t.eq(received, [8 * MIB, digest_of(8 * MIB, 4)], "to the guest, meanwhile")
    t.eq(came[-1], (8 * MIB, sent), "from the guest, meanwhile")


@test(timeout=300)
def closing_loses_nothing(t):
    """What was written before a close arrives, though the reader takes its time."""
    g = Guest(t)
    go, came, done = threading.Event(), [], threading.Event()

    def take(s):
        go.wait()
        came.append(peer.read_all(s))
        s.close()
        done.set()
    g.listen(100, take)
    sent = g.ask("send", 100, 200000, 1, False)
    go.set()
    t.ok(done.wait(60), "the host has read to the end")
    t.eq(came, [(200000, sent)], "what came")


@test(timeout=300)
def many_connections(t):
    """Hundreds at once, both ways; and one that nobody reads holds up none of the others."""
    g = Guest(t)
    go = threading.Event()

    def stall(s):
        go.wait()
        s.close()
    g.listen(100, peer.echo)
    g.listen(101, stall)
    t.eq(g.ask("many", 100, 200), 200, "the guest's connections")
    t.ok(g.ask("stalled", 101, 64 * MIB) < 64 * MIB, "a reader that does not read makes the guest wait")
    t.eq(g.ask("ping", 100, 100), 100, "others go on")
    sockets = [g.connect(peer.ECHO) for _ in range(100)]
    for i, s in enumerate(sockets):
        s.sendall(b"%d" % i)
    t.eq([s.recv(10) for s in sockets], [b"%d" % i for i in range(100)], "the host's connections")
    for s in sockets:
        s.close()
    go.set()
    g.ask("release")
    t.eq(g.ask("many", 100, 200), 200, "again, after those")


@test(timeout=300)
def messages(t):
    """SEQPACKET: messages come back as they were, the large ones too."""
    g = Guest(t)

    def mirror(s):
        while data := s.recv(1 << 20):
            s.sendall(data)
        s.close()
    g.listen(100, mirror, socket.SOCK_SEQPACKET)
    sizes = [1, 2, 3000, 4096, 5000, 70000, 200000, 1]
    t.eq(g.ask("messages", 100, sizes), [True] * len(sizes), "messages")
    t.eq(g.ask("messages", 100, [10, 20]), [True] * 2, "of another connection")
    g.listen(101, peer.echo)
    t.ok("Error" in str(g.ask("messages", 101, [1])), "a stream's socket takes none")


@test(timeout=400)
def another_vm(t):
    """A port leads to a service of another VM where --allow-vm says so, and nowhere else."""
    g, other = Guest(t), t.path("other")
    t.eq(g.ask("refused", 22), errno.ECONNRESET, "by default")
    t.ok(g.ask("refused", peer.ECHO, 4) != 0, "the other's CID")
    g.process.stop()
    g = Guest(t, "one", f"--allow-vm 22={other}/vsock:{peer.ECHO} --allow-vm 23={other}/vsock:9")
    t.eq(g.ask("refused", 22), errno.ECONNRESET, "a VM that is not there")
    there = Guest(t, "other")
    t.eq(g.ask("question", 22, "hello "), "hello end", "its answer, and the end of it")
    t.eq(g.ask("ping", 22, 100), 100, "back and forth")
    t.eq(g.ask("refused", 23), errno.ECONNRESET, "a port where nobody listens there")
    t.eq(there.ask("refused", 22), errno.ECONNRESET, "the other way")


@test(timeout=KILLS_LIMIT)
def survives_being_killed(t):
    """kill -9 at any moment, again and again: programs of the guest are told, and the next connection works."""
    g = Guest(t, limit=KILLS_LIMIT)

    def sink(s):
        try:
            while s.recv(1 << 18):
                pass
        except OSError:
            pass
        s.close()
    g.listen(100, peer.echo)
    g.listen(101, sink)
    g.ask("load", 100, 101)
    for i in range(KILLS):
        before, killed = g.ask("talks"), device_of(g.process)
        t.ok(killed is not None, f"a device to kill, {i}")
        os.kill(killed, signal.SIGKILL)
        t.wait(lambda: device_of(g.process) not in (None, killed), "another process serves", 60)
        g.dial_control()
        t.wait(lambda: g.ask("talks") > before, f"the guest's connections go on after kill {i}", 60)
    errors = g.ask("finish")
    t.ok(set(errors) <= {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}, f"what the guest saw: {errors}")
    came = []

    def take(s):
        came.append(peer.read_all(s))
        s.close()
    g.listen(102, take)
    sent = g.ask("send", 102, 8 * MIB)
    t.eq(came, [(8 * MIB, sent)], "what comes after all that")


if __name__ == "__main__":
    if os.environ.get("WAYVSOCK_GUEST_TESTS"):
        main()
    else:
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
