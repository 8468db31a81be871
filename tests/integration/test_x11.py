#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""X11 programs: a rootful Xwayland in the guest is one window on the host."""

import os
import socket
import struct

from harness import main, test


class X:
    """As much of an X11 client as it takes to fill a rectangle of the root window."""

    def __init__(self, number):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(f"/tmp/.X11-unix/X{number}")
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        success, size = struct.unpack("<B5xH", self._read(8))
        assert success == 1, "X11 setup"
        reply = self._read(size * 4)
        self.base, = struct.unpack_from("<I", reply, 4)
        vendor, formats = struct.unpack_from("<H", reply, 16)[0], reply[21]
        self.root, = struct.unpack_from("<I", reply, 32 + (vendor + 3 & ~3) + formats * 8)

    def _read(self, n):
        data = b""
        while len(data) < n:
            data += self.socket.recv(n - len(data))
        return data

    def fill(self, colour, x, y, w, h):
        gc = self.base
        self.socket.sendall(
            struct.pack("<BxHIIIII", 55, 6, gc, self.root, 4 | 1 << 15, colour, 1) +     # CreateGC: foreground, IncludeInferiors
            struct.pack("<BxHIIhhHH", 70, 5, self.root, gc, x, y, w, h) +                # PolyFillRectangle
            struct.pack("<BxHI", 60, 2, gc) +                                           # FreeGC
            struct.pack("<BxH", 43, 1))                                                 # GetInputFocus: a round trip
        self._read(32)

    def pixmaps(self, n, width, height):
        """As many that the server keeps, and a round trip."""
        for i in range(n):
            self.socket.sendall(struct.pack("<BBHIIHH", 53, 24, 4, self.base + 1 + i, self.root, width, height))
        self.socket.sendall(struct.pack("<BxH", 43, 1))
        answer = self._read(32)
        assert answer[0] == 1, f"X11 error {answer[1]}"


def start(t, stack, *args):
    """Xwayland in the guest; returns it and its number."""
    r, w = os.pipe()
    server = t.spawn(["Xwayland", "-displayfd", str(w), "-noreset", "-ac", *args], stack.env(), pass_fds=[w])
    os.close(w)
    with os.fdopen(r) as f:
        number = f.readline().strip()
    t.ok(number.isdigit(), "Xwayland has a display")
    return server, number


@test(timeout=240)
def three_thousand_pixmaps(t):
    """A rootless Xwayland without GL makes a pool for each pixmap of its programs."""
    t.need("Xwayland")
    sway = t.sway()
    stack = t.stack(sway)
    server, number = start(t, stack, "-rootless", "-shm")
    x = X(number)
    for _ in range(3):
        x.pixmaps(1000, 64, 64)
        x.base += 1000
    stack.client().roundtrip()
    t.ok(server.alive, "Xwayland goes on")


@test(timeout=120)
def rootful_xwayland(t):
    """Xwayland shows its root window, and what an X program draws on it."""
    t.need("Xwayland", "grim")
    sway = t.sway()
    stack = t.stack(sway)
    empty = sway.grab()
    _, number = start(t, stack)
    sway.wait_windows(1)
    t.wait(lambda: sway.grab() != empty, "its window is drawn")
    x = X(number)
    for colour in (0xc04020, 0x2040c0):
        x.fill(colour, 10, 10, 200, 100)
        t.wait(lambda: colour.to_bytes(3, "big") * 200 in sway.grab(), f"a rectangle in {colour:#x}")


if __name__ == "__main__":
    main()
