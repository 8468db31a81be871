#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Descriptors of services: what a file becomes on the other side, in either direction, and what is refused in which words."""

import fcntl
import os
import socket
import threading

from harness import main, test
from harness.services import Services

F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 1, 2, 4, 8
SEALS = fcntl.F_GET_SEALS
MIB = 1 << 20


class Ends:
    """A service that is the test itself: connect() gives both ends of a connection, the guest's program's and the service's."""

    def __init__(self, t, lines="", vm_lines="", **options):
        self.t = t
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(t.path("service"))
        self.listener.listen(64)
        self.listener.settimeout(60)
        t.closers.append(self.listener.close)
        self.services = Services(t, {"x": f"path = {t.path('service')}\n{lines}"}, vm_lines, **options)

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(self.services.socket("x"))
        server, _ = self.listener.accept()
        server.settimeout(60)
        self.t.checks[:0] = [client.close, server.close]    # before the daemons' descriptors are counted
        return client, server

    def refused(self, connection, fds, *words):
        """What is sent on one end does not arrive at the other, both end, and the side that refused says why."""
        sender, receiver, log = connection
        for fd in fds if isinstance(fds, list) else [fds]:
            if not isinstance(fd, int):
                fd = fd.fileno()
            socket.send_fds(sender, [b"x"], [fd])
        data, got = True, []
        while data:
            data, more, _, _ = socket.recv_fds(receiver, 100, 10)
            got += more
        for word in words:
            self.t.wait(lambda word=word: word in log(), f"the log says: {word}")
        for fd in got:
            os.close(fd)
        return got

    def from_guest(self):
        client, server = self.connect()
        return client, server, self.services.guest.log

    def from_host(self):
        client, server = self.connect()
        return server, client, self.services.host.log


def pass_one(sender, receiver, fd):
    socket.send_fds(sender, [b"x"], [fd])
    data, fds, _, _ = socket.recv_fds(receiver, 1, 2)
    assert (data, len(fds)) == (b"x", 1)
    return fds[0]


def memfd(content=b"", seals=0, offset=0):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    os.lseek(fd, offset, os.SEEK_SET)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def content(fd):
    return os.pread(fd, 64 * MIB, 0)


def mode(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE


def both_ways(ends):
    client, server = ends.connect()
    return (client, server), (server, client)


@test(direct=False)
def memfds_once(t):
    """A memfd: content, offset, seals, access mode, in both directions; and it is the receiver's own."""
    ends = Ends(t, "memory = once")
    for sender, receiver in both_ways(ends):
        for seals in (0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL):
            for text, offset in ((b"", 0), (b"some content", 5), (b"x" * 100001, 100001)):
                ours = memfd(text, seals, offset)
                theirs = pass_one(sender, receiver, ours)
                what = f"of {len(text)} bytes with seals {seals}"
                t.eq(content(theirs), text, f"the content {what}")
                t.eq(os.lseek(theirs, 0, os.SEEK_CUR), offset, f"the offset {what}")
                t.eq(fcntl.fcntl(theirs, SEALS), seals, f"the seals {what}")
                t.eq(mode(theirs), os.O_RDWR, f"the access mode {what}")
                os.close(ours)
                os.close(theirs)
        ours = memfd(b"before")
        theirs = pass_one(sender, receiver, ours)
        os.pwrite(ours, b"after!", 0)
        t.eq(content(theirs), b"before", "what was there when it was passed")
        os.pwrite(theirs, b"theirs", 0)
        t.eq(content(ours), b"after!", "what the sender has")
        again = pass_one(sender, receiver, ours)
        t.eq(content(again), b"after!", "the content of the next time")
        read_only = os.open(f"/proc/self/fd/{ours}", os.O_RDONLY)
        copy = pass_one(sender, receiver, read_only)
        t.eq((content(copy), mode(copy)), (b"after!", os.O_RDONLY), "one that was opened for reading")


@test(direct=False)
def files_once(t):
    """A file: by content, whichever part of it has been read, and only for reading."""
    ends = Ends(t)
    path = t.write("a-file", "0123456789" * 10000)
    for sender, receiver in both_ways(ends):
        for offset in (0, 10, 100000):
            with open(path, "rb") as f:
                f.seek(offset)
                theirs = pass_one(sender, receiver, f.fileno())
            t.eq(content(theirs), b"0123456789" * 10000, "the content")
            t.eq(os.lseek(theirs, 0, os.SEEK_CUR), offset, "the offset")
            t.eq(mode(theirs), os.O_RDONLY, "the access mode")
            os.close(theirs)
    with open(t.path("empty"), "w"):
        pass
    with open(t.path("empty")) as f:
        t.eq(content(pass_one(*ends.connect(), f.fileno())), b"", "an empty file")


@test(direct=False)
def large_files(t):
    """30 MiB pass; above 32 they do not, and the log says what the limit is."""
    ends = Ends(t)
    client, server = ends.connect()
    large = memfd(os.urandom(MIB) * 30)
    got = []
    reader = threading.Thread(target=lambda: got.append(socket.recv_fds(server, 1, 1)))
    reader.start()
    socket.send_fds(client, [b"x"], [large])
    reader.join(60)
    t.ok(content(got[0][1][0]) == content(large), "30 MiB arrive")
    os.ftruncate(large, 32 * MIB + 1)
    for connection in (ends.from_guest(), ends.from_host()):
        t.eq(ends.refused(connection, large, "service x: a descriptor is not carried: the file is larger than 32 MiB"), [], "what arrives")


@test(direct=False)
def refusals(t):
    """Each in the log of the side where it was sent: service, client, kind, and the key that would allow it. Others go on."""
    ends = Ends(t, "files = refuse\nmemory = refuse\nsockets = no")
    a, b = socket.socketpair()
    both = os.open(t.path("fifo") if not os.mkfifo(t.path("fifo")) else "", os.O_RDWR | os.O_NONBLOCK)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(t.path("listening"))
    listening.listen()
    for fd, words in ((memfd(b"x"), "shared memory (memory = once or mirror would allow it)"),
                      (memfd(b"x", F_SEAL_WRITE), "shared memory (files = once would allow it)"),
                      (os.open("/etc/passwd", os.O_RDONLY), "file (files = once would allow it)"),
                      (a, "a connected socket (sockets = yes, or a larger max-depth, would allow it)"),
                      (listening, "a listening socket (only connected ones are carried)"),
                      (socket.socket(socket.AF_UNIX), "a socket that is not connected (only connected ones are carried)"),
                      (both, "a pipe that is open both ways (nobody can tell its end)"),
                      (os.open("/dev/null", os.O_RDWR), "(there is no way to carry it)"),
                      (os.pidfd_open(os.getpid()), "(there is no way to carry it)")):
        for connection in (ends.from_guest(), ends.from_host()):
            t.eq(ends.refused(connection, fd, words), [], "what arrives")
    for log, client in ((ends.services.guest.log(), "services x 1 (python3["), (ends.services.host.log(), "vm test service ")):
        line = [line for line in log.splitlines() if ": file (files" in line][0]
        t.has("service x: a descriptor is not carried: ", line, "the service's name")
        t.has(client.split(" 1 ")[0], line, "the client's name")
    client, server = ends.connect()
    client.sendall(b"still")
    t.eq(server.recv(100), b"still", "others go on")
    a.close()
    b.close()


@test(direct=False)
def all_or_nothing(t):
    """One that is refused takes its message's others with it, and those that came before it have arrived."""
    ends = Ends(t)
    client, server = ends.connect()
    null, r, w = os.open("/dev/null", os.O_RDWR), *os.pipe()
    os.write(w, b"good")
    os.close(w)
    socket.send_fds(client, [b"first"], [r])
    socket.send_fds(client, [b"second"], [r, null])
    data, fds = b"", []
    while True:
        part, more, _, _ = socket.recv_fds(server, 100, 10)
        data += part
        fds += more
        if not part:
            break
    t.ok(b"first".startswith(data[:5]) and b"firstsecond".startswith(data), "bytes that passed")
    t.ok(len(fds) <= 1, "descriptors that passed: only the first message's")


@test(direct=False)
def depth(t):
    """A socket on the connection has depth 1."""
    ends = Ends(t, "max-depth = 2")

    def down(sender, receiver):
        ours, theirs = socket.socketpair()
        other = socket.socket(fileno=pass_one(sender, receiver, theirs.fileno()))
        theirs.close()
        for s in (ours, other):
            s.settimeout(60)
            t.checks[:0] = [s.close]
        return ours, other
    first = down(*ends.connect())
    second = down(*first)
    second[0].sendall(b"deep")
    t.eq(second[1].recv(100), b"deep", "what is said two deep")
    a, _ = socket.socketpair()
    t.eq(ends.refused((*second, ends.services.guest.log), a, "a connected socket (sockets = yes, or a larger max-depth, would allow it)"), [],
         "what arrives")
    first[0].sendall(b"still")
    t.eq(first[1].recv(100), b"still", "one less deep goes on")


@test(direct=False)
def limits_of_the_vm(t):
    """Descriptors and memory count with those of the VM; what is too much ends that connection, and the log names the limit."""
    ends = Ends(t, vm_lines="max-memory = 24M\nmax-fds = 100")
    keep = []
    for word, make in (("(max-memory)", lambda: memfd(b"x" * 25 * MIB)), ("(max-fds)", lambda: os.pipe()[0])):
        client, server, _ = ends.from_guest()

        def swallow():
            data = True
            while data:
                data, fds, _, _ = socket.recv_fds(server, 1, 10)
                keep.extend(fds)
        thread = threading.Thread(target=swallow)
        thread.start()
        try:
            for _ in range(200):
                socket.send_fds(client, [b"x"], [make()])
            t.eq(client.recv(1), b"", "the connection ends")
        except (BrokenPipeError, ConnectionResetError):     # as it has
            pass
        thread.join(60)
        t.wait(lambda word=word: word in ends.services.host.log(), f"the host's log names {word}")
    t.ok(ends.services.stack.usable(), "the VM's windows go on")


if __name__ == "__main__":
    main()
