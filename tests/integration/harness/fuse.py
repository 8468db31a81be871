# SPDX-License-Identifier: MIT
"""A FUSE file system with one file, whose server answers everything but what it is told to leave out."""

import ctypes
import errno
import os
import struct
import threading

from .tap import Skip

LOOKUP, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT = 1, 3, 14, 15, 18, 25, 26
HEADER = struct.Struct("=IIQQIIII")     # size, opcode, unique, node, uid, gid, pid, padding
CONTENT = b"a file of a program's own\n" * 200


def _attributes(node):
    mode, size = (0o40755, 0) if node == 1 else (0o100644, len(CONTENT))
    return struct.pack("=6Q3I7I", node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class Fuse:
    """.path is the file. .asked counts requests by opcode; those in .silent get no answer."""

    def __init__(self, t, silent=(FLUSH,)):
        self.silent = set(silent)
        self.asked = {}
        self.folder = t.mkdir("fuse")
        self.path = os.path.join(self.folder, "file")
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.device = os.open("/dev/fuse", os.O_RDWR)
        except OSError as e:
            raise Skip(f"/dev/fuse: {e}") from None
        options = f"fd={self.device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        if self.libc.mount(b"test", self.folder.encode(), b"fuse", 0, options.encode()) < 0:
            os.close(self.device)
            raise Skip(f"no FUSE file system: {os.strerror(ctypes.get_errno())}")
        t.closers.append(self.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        """Whoever waits for it gets an error."""
        self.libc.umount2(self.folder.encode(), 2)
        try:
            os.close(self.device)
        except OSError:
            pass

    def _answer(self, unique, payload=b"", error=0):
        os.write(self.device, struct.pack("=IiQ", 16 + len(payload), -error, unique) + payload)

    def _serve(self):
        while True:
            try:
                data = os.read(self.device, 1 << 20)
            except OSError:
                return
            _, opcode, unique, node, *_ = HEADER.unpack_from(data)
            self.asked[opcode] = self.asked.get(opcode, 0) + 1
            if opcode in self.silent:
                continue
            try:
                self._request(opcode, unique, node, data[HEADER.size:])
            except OSError:
                continue

    def _request(self, opcode, unique, node, body):
        if opcode == INIT:
            major, minor, readahead, _ = struct.unpack_from("=4I", body)
            self._answer(unique, struct.pack("=4IHHIIHH8I", 7, min(minor, 31), readahead, 0, 0, 0, 1 << 16, 1, 0, 0,
                                             *[0] * 8)[:64].ljust(64, b"\0"))
        elif opcode == LOOKUP:
            self._answer(unique, struct.pack("=4Q2I", 2, 0, 60, 60, 0, 0) + _attributes(2))
        elif opcode == GETATTR:
            self._answer(unique, struct.pack("=Q2I", 60, 0, 0) + _attributes(node))
        elif opcode == OPEN:
            self._answer(unique, struct.pack("=QII", 1, 0, 0))
        elif opcode == READ:
            _, offset, size = struct.unpack_from("=QQI", body)
            self._answer(unique, CONTENT[offset:offset + size])
        elif opcode in (FLUSH, RELEASE):
            self._answer(unique)
        elif opcode not in (2, 36):      # FORGET and INTERRUPT have no answer
            self._answer(unique, error=errno.ENOSYS)
