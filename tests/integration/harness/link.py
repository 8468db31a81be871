# SPDX-License-Identifier: MIT
"""The link's frames from Python, to play either daemon's attacker: protocol/frames.h is the reference."""

import array
import select
import socket
import struct
import time

from .tap import Failure

MAGIC = 0x4b535657
TYPES = ["", "HELLO", "WELCOME", "ERROR", "PING", "PONG", "WAYLAND", "END", "VFD", "VFD_CLOSE", "MEM_WRITE", "MEM_SIZE",
         "MEM_PUNCH", "STREAM_DATA", "STREAM_CREDIT", "STREAM_END", "PROBE", "PROBED", "BOUND",
         "IMPORT", "IMPORT_RELEASE", "IMPORT_RELEASED", "MEM_COPY", "MEM_IMPORT", "OPEN", "OPENED", "INCOMING", "REJECTED",
         "VFD_FORM", "DATA", "VFD_REF", "VFD_IDLE", "VFD_GONE", "MEM_DELTA", "EVENT", "DISPLAY", "SHARING", "IMPORTED"]
CONTROL, CLIENT, SERVICE = 1, 2, 3
NONE, TOKEN, DESCRIPTOR, KEY = range(4)
PROTOCOL, VERSION, REFUSED, LIMIT, WAYLAND_ERROR, COMPOSITOR, INTERNAL = range(1, 8)
MEMORY, FILE, STREAM = 1, 2, 3
SHARED, SYNC = 7, 8
SINK, SOURCE = 1, 2


def frame(kind, payload=b"", size=None, reserved=0):
    """size: a lie about it."""
    number = TYPES.index(kind) if isinstance(kind, str) else kind
    return struct.pack("<IHH", len(payload) if size is None else size, number, reserved) + payload


def hello(role, proof_kind=NONE, proof=b"", label=b"test", versions=(1, 1), magic=MAGIC, features=0):
    return frame("HELLO", struct.pack("<IHHIHHHH", magic, *versions, features, role, proof_kind, len(proof),
                                      len(label)) + proof + label)


def vfd(number, kind, flags=0, size=0):
    return frame("VFD", struct.pack("<IHHQ", number, kind, flags, size))


def mem_write(number, row, rows, stride, offset, data):
    return frame("MEM_WRITE", struct.pack("<IIIIQ", number, row, rows, stride, offset) + data)


def connect(address):
    """address: a path, or the CID and port of a vsock."""
    sock = socket.socket(socket.AF_VSOCK if isinstance(address, tuple) else socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(address)
    return sock


class Link:
    """One connection, either end."""

    def __init__(self, path=None, sock=None):
        if sock is None:
            sock = connect(path)
        self.socket = sock
        self.buffer = b""
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, fds=()):
        """The other side may end the connection before it has taken everything."""
        try:
            self._send(data, fds)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _send(self, data, fds):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.socket.sendmsg([data], ancillary)
        self.socket.sendall(data[sent:])

    def frame(self, timeout=20):
        """(type, payload), or None at the end of the stream."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 8:
                size, kind, _ = struct.unpack_from("<IHH", self.buffer)
                if len(self.buffer) >= 8 + size:
                    payload = self.buffer[8:8 + size]
                    self.buffer = self.buffer[8 + size:]
                    return TYPES[kind], payload
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure("no frame and no end of the connection")
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.closed = True
                return None
            self.buffer += data

    def wait(self, kind, timeout=20):
        """The payload of the next such frame; others are dropped."""
        while True:
            got = self.frame(timeout)
            if got is None:
                raise Failure(f"the connection ended before {kind}")
            if got[0] == kind:
                return got[1]

    def wait_end(self, timeout=20):
        while self.frame(timeout) is not None:
            pass

    def error(self, timeout=20):
        """Reads to the end; (code, text) of the ERROR frame, None without one."""
        found = None
        while (got := self.frame(timeout)) is not None:
            if got[0] == "ERROR":
                code, size, *_ = struct.unpack_from("<HHII", got[1])
                found = (code, got[1][12:12 + size].decode(errors="replace"))
        return found


def welcome_key(payload):
    return payload[8:40]


def welcome(key, name=b"test", version=1):
    return frame("WELCOME", struct.pack("<HHI", version, 0, 0) + key + struct.pack("<HH", len(name), 0) + name)


def pong(serial, times=None):
    clocks = [time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_BOOTTIME]
    return frame("PONG", struct.pack("<Q4q", serial, *(times or [time.clock_gettime_ns(c) for c in clocks])))
