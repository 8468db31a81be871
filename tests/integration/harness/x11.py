# SPDX-License-Identifier: MIT
"""A raw X11 client."""

import socket
import struct


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
