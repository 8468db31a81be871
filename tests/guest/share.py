#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""share.py SOCKET KIND…: passes memory of each kind to a service, has it back, and says whether it was the same.

For each: b"d" with the descriptor, whose bytes are pattern(); when it comes home, whether it is that (y, n), and the byte that the
service wrote to it.  sync: a sync file of what is still drawn when it is passed; the service says what it is."""

import fcntl
import mmap
import os
import socket
import struct
import sys

import dmabuf

EXPORT_SYNC_FILE, SYNC_RW = 0xc0086202, 3
WIDTH = HEIGHT = 64
SIZE = WIDTH * HEIGHT * 4


def pattern(size=SIZE):
    return bytes(i * 7 + (i >> 8) & 255 for i in range(size))


class Memory:
    """Shared memory, sealed as a program does that lets another one have it."""

    def __init__(self, size=SIZE, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
        self.fd = os.memfd_create("shared", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self.map = mmap.mmap(self.fd, size)


KINDS = {**{name: lambda make=make: make(WIDTH, HEIGHT) for name, make in dmabuf.KINDS.items()},
         "memory": Memory, "unsealed": lambda: Memory(seals=0), "odd": lambda: Memory(SIZE - 100)}


def passed(s, kind):
    buffer = KINDS[kind]()
    size = min(SIZE, len(buffer.map))
    buffer.map[:size] = pattern(size)
    later = None
    if kind == "vgem":                          # which is still drawn when it is passed
        buffer.map[:size] = bytes(size)
        later = buffer.draw_later()
    socket.send_fds(s, [b"d"], [buffer.fd])
    if later:
        def draw():
            buffer.map[:size] = pattern(size)
            later()
        signalled_later(draw)
    _, (home,), _, _ = socket.recv_fds(s, 1, 1)
    same = os.fstat(home)[1:3] == os.fstat(buffer.fd)[1:3]
    s.sendall(struct.pack("cB", b"y" if same else b"n", buffer.map[1]))
    os.close(home)
    return buffer


def signalled_later(later):
    """Once a daemon has read what was sent until now: another connection's answer has come by it."""
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(sys.argv[1])
        other.sendall(b"p")
        assert other.recv(1) == b"p"
    later()


def passed_sync(s):
    buffer = KINDS["vgem"]()
    later = buffer.draw_later()
    request = bytearray(struct.pack("<Ii", SYNC_RW, -1))
    fcntl.ioctl(buffer.fd, EXPORT_SYNC_FILE, request)
    fence = struct.unpack("<4xi", request)[0]
    socket.send_fds(s, [b"d"], [fence])
    signalled_later(later)
    assert s.recv(1) == b"h"
    os.close(fence)


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        kept = [passed(connection, name) if name != "sync" else passed_sync(connection) for name in sys.argv[2:]]
        assert connection.recv(1) == b""        # until the service has what it wants
