#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What programs may ask of a vsock socket, one case after the other, in a guest behind wayvsock-vsock.

WAYVSOCK_QEMU_GUEST may name a stock kernel in QEMU, as scripts/guest -k does."""

import errno
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from vsock_vm import Guest  # noqa: E402

STREAM, MESSAGES = socket.SOCK_STREAM, socket.SOCK_SEQPACKET


def answering(text, more=b""):
    """A service that answers the first question with a text, and every other one with more."""
    def serve(s):
        with s:
            if s.recv(1):
                s.sendall(text)
            while s.recv(100):
                if more:
                    s.sendall(more)
    return serve


@test(timeout=300)
def streams(t):
    g = Guest(t)
    seen = {}

    g.listen(100, answering(b"hello"))
    t.eq(g.ask("peek", 100, STREAM), ["hello", "hel", "hello", "hello"], "MSG_PEEK")
    for how, reading in ((socket.SHUT_WR, "not tried"), (socket.SHUT_RDWR, "")):
        t.eq(g.ask("shut", 100, how), ["hello", errno.EPIPE, reading], f"shutdown({how})")
    t.eq(g.ask("shut", 100, socket.SHUT_RD), ["hello", 0, ""], "shutdown of the reading side")

    def hang_up(s):
        s.recv(1)
        s.close()
    g.listen(101, hang_up)
    t.eq(g.ask("writes_after_the_end", 101), ["", True, True], "writing to nobody")

    def in_two(s):
        with s:
            s.recv(1)
            s.sendall(bytes(100))
            s.recv(1)
            s.sendall(bytes(28))
            s.recv(1)
    g.listen(102, in_two)
    t.eq(g.ask("low_water", 102, 128), [0, 128], "SO_RCVLOWAT and poll()")

    def bulk(s):
        with s:
            s.recv(1)
            s.sendall(bytes(1 << 20))
    g.listen(103, bulk)
    t.eq(g.ask("room", 103, 1 << 20, 128 << 10), True, "a low-water mark of half the buffer")

    g.listen(104, answering(b"dropped", b"after"))
    t.eq(g.ask("bad_buffers", 104, STREAM), [[True, True], "after"], "buffers that are no memory")

    def counts(s):
        with s:
            n = 0
            while n < 1000:
                n += len(s.recv(1000))
            s.sendall(b"1")
            s.recv(1)
    g.listen(105, counts)
    t.ok(g.ask("unsent", 105) in (0, None), "SIOCOUTQ")

    def echo(s):
        with s:
            while data := s.recv(1 << 18):
                s.sendall(data)
    g.listen(106, echo)
    sizes = [1, 4096, 5000, 70000, 200000]
    t.ok(g.ask("uncopied", 106, sizes, STREAM) in (None, [True] * len(sizes)), "MSG_ZEROCOPY")

    def names(s):
        with s:
            s.recv(1)
            seen["port"] = s.getpeername()
            s.sendall(b"hello")
            s.recv(1)
    g.listen(107, names)
    t.eq(g.ask("source_port", 107, 54321), ["hello", errno.EADDRINUSE], "a port of its own")
    if g.linux() >= (6, 12):        # an older one goes on saying what it said
        t.eq(g.ask("again", 99, 106), [errno.ECONNRESET, 0], "a second try")
    t.eq(g.ask("at_once", 106), [True, 0], "a connect() that does not wait")
    t.eq(g.ask("at_once", 99), [True, errno.ECONNRESET], "one that is refused")


@test(timeout=300)
def messages(t):
    g = Guest(t)

    def listen(port, serve):
        g.listen(port, serve, MESSAGES)

    listen(100, answering(b"hello"))
    if g.linux() >= (6, 6):         # an older one cannot
        t.eq(g.ask("peek", 100, MESSAGES), ["hello", "hel", "hello", "hello"], "MSG_PEEK")
    listen(101, answering(b"dropped", b"after"))
    if g.linux() >= (6, 2):         # all errors of an older one are ENOMEM
        t.eq(g.ask("bad_buffers", 101, MESSAGES), [[True, True], "after"], "buffers that are no memory")

    def two(s):
        with s:
            s.recv(1)
            s.sendall(b"a long message")
            s.sendall(b"next")
            s.recv(1)
    listen(102, two)
    if g.linux() >= (6, 6):         # by MSG_PEEK
        t.eq(g.ask("cut_message", 102), [14, "a lo", "next"], "MSG_TRUNC")
    listen(103, answering(b"late"))
    t.eq(g.ask("late_message", 103), [True, "late"], "SO_RCVTIMEO")

    def echo(s):
        with s:
            while data := s.recv(1 << 20):
                s.sendall(data)
    listen(104, echo)
    too_large = errno.EMSGSIZE if g.linux() >= (6, 2) else errno.ENOMEM
    t.eq(g.ask("large_message", 104), [too_large, "small"], "a message that is too large")
    t.ok(g.ask("uncopied", 104, [1, 4096, 5000], MESSAGES) in (None, [True] * 3), "MSG_ZEROCOPY")

    ended = threading.Event()

    def many(s):
        with s:
            s.recv(1)
            if s.recv(1) == b"":
                ended.set()
            for size in (1, 60000, 5, 4096):
                s.sendall(bytes(size))
    listen(105, many)
    t.eq(g.ask("ends_of_messages", 105), [1, 60000, 5, 4096], "messages before the end")
    t.ok(ended.wait(30), "the end of the guest's")


if __name__ == "__main__":
    if os.environ.get("WAYVSOCK_GUEST_TESTS"):
        main()
    else:
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
