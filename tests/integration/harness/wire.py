# SPDX-License-Identifier: MIT
"""The Wayland wire, both ends of it, without libwayland: it must be able to say what libwayland refuses to say."""

import array
import collections
import fcntl
import select
import socket
import struct
import termios
import time

from .interfaces import INTERFACES
from .tap import Failure

MAX_FDS = 28            # what libwayland puts into one sendmsg()
SERVER_ID = 0xff000000

Message = collections.namedtuple("Message", "object interface name args fds size")


class Fd:
    """An owned descriptor that an argument 'h' takes."""

    def __init__(self, fd):
        self.fd = fd


def pack(object_id, opcode, payload, size=None):
    """One message; size: a lie about it."""
    real = 8 + len(payload)
    return struct.pack("=IHH", object_id, opcode, real if size is None else size) + payload


def pack_string(text):
    data = text.encode() if isinstance(text, str) else text
    data += b"\0"
    return struct.pack("=I", len(data)) + data + b"\0" * (-len(data) % 4)


def pack_array(data):
    return struct.pack("=I", len(data)) + data + b"\0" * (-len(data) % 4)


def pack_args(signature, args):
    """Returns (payload, fds).  args has one value per signature letter; an untyped new_id takes (interface, version, id)."""
    payload, fds = b"", []
    values = iter(args)
    for kind in signature:
        value = next(values)
        if kind == "i":
            payload += struct.pack("=i", value)
        elif kind in "uon":
            payload += struct.pack("=I", value or 0)
        elif kind == "f":
            payload += struct.pack("=i", int(value * 256))
        elif kind == "s":
            payload += pack_string(value) if value is not None else struct.pack("=I", 0)
        elif kind == "a":
            payload += pack_array(value)
        elif kind == "h":
            fds.append(value)
        elif kind == "N":
            interface, version, new_id = value
            payload += pack_string(interface) + struct.pack("=II", version, new_id)
        else:
            raise ValueError(f"signature letter {kind}")
    return payload, fds


def unpack_args(signature, payload, fds):
    """Returns the values; takes descriptors from the front of fds (a deque)."""
    at, values = 0, []

    def word(fmt="I"):
        nonlocal at
        (value,) = struct.unpack_from("=" + fmt, payload, at)
        at += 4
        return value

    def blob():
        nonlocal at
        size = word()
        data = payload[at:at + size]
        if len(data) != size:
            raise Failure("a string or array is longer than its message")
        at += (size + 3) & ~3
        return data

    for kind in signature:
        if kind == "i":
            values.append(word("i"))
        elif kind in "uon":
            values.append(word())
        elif kind == "f":
            values.append(word("i") / 256)
        elif kind == "s":
            data = blob()
            values.append(data[:-1].decode(errors="replace") if data else None)
        elif kind == "a":
            values.append(blob())
        elif kind == "h":
            if not fds:
                raise Failure("a message arrived without its descriptor")
            values.append(fds.popleft())
        elif kind == "N":
            interface = blob()[:-1].decode()
            version = word()
            values.append((interface, version, word()))
    if at != len(payload):
        raise Failure(f"{len(payload) - at} bytes are left over after signature {signature}")
    return values


class Wire:
    """A socket with Wayland messages in both directions; which of them are requests depends on is_server."""

    def __init__(self, sock, is_server):
        self.socket = sock
        self.is_server = is_server
        self.buffer = bytearray()
        self.fds = collections.deque()
        self.objects = {1: ("wl_display", 1)}
        self.closed = False
        self.received_bytes = 0
        self.largest_read = 0

    # -- sending

    def signature(self, interface, name, requests):
        table = INTERFACES[interface].requests if requests else INTERFACES[interface].events
        for opcode, m in enumerate(table):
            if m.name == name:
                return opcode, m
        raise KeyError(f"{interface} has no {'request' if requests else 'event'} {name}")

    def encode(self, object_id, name, *args, interface=None):
        """Returns (bytes, fds)."""
        interface = interface or self.objects[object_id][0]
        opcode, m = self.signature(interface, name, not self.is_server)
        payload, fds = pack_args(m.signature, args)
        return pack(object_id, opcode, payload), fds

    def send_raw(self, data, fds=()):
        """Bytes and descriptors in one sendmsg() where the kernel takes them so."""
        data = memoryview(bytes(data))
        fds = list(fds)
        while data or fds:
            ancillary = []
            if fds:
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self.socket.sendmsg([data], ancillary)
            fds = []
            data = data[sent:]

    def send(self, object_id, name, *args, interface=None):
        data, fds = self.encode(object_id, name, *args, interface=interface)
        self.send_raw(data, fds)

    # -- receiving

    def read(self, timeout=20):
        """Reads once; False at the end of the stream."""
        if not select.select([self.socket], [], [], timeout)[0]:
            raise TimeoutError
        try:
            data, ancillary, flags, _ = self.socket.recvmsg(
                65536, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, ancillary, flags = b"", [], 0
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                got = array.array("i")
                got.frombytes(value[:len(value) - len(value) % 4])
                self.fds.extend(got)
        if flags & socket.MSG_CTRUNC:
            raise Failure("descriptors were truncated")
        if not data:
            self.closed = True
            return False
        self.received_bytes += len(data)
        self.largest_read = max(self.largest_read, len(data))
        self.buffer += data
        return True

    def next(self):
        """The next whole message in the buffer, decoded, or None."""
        if len(self.buffer) < 8:
            return None
        object_id, opcode, size = struct.unpack_from("=IHH", self.buffer)
        if size < 8 or size % 4:
            raise Failure(f"a message of {size} bytes for object {object_id:#x}")
        if len(self.buffer) < size:
            return None
        payload = bytes(self.buffer[8:size])
        del self.buffer[:size]
        interface, version = self.objects.get(object_id, (None, 0))
        if interface is None:
            raise Failure(f"a message for unknown object {object_id:#x}, opcode {opcode}")
        table = INTERFACES[interface].requests if self.is_server else INTERFACES[interface].events
        if opcode >= len(table):
            raise Failure(f"opcode {opcode} of {interface}")
        m = table[opcode]
        args = unpack_args(m.signature, payload, self.fds)
        fds = [a for a, k in zip(args, m.signature) if k == "h"]
        for value, kind, new in zip(args, m.signature, m.news):
            if kind == "n" and value:
                self.objects[value] = (new, version)
            elif kind == "N":
                self.objects[value[2]] = (value[0], value[1])
        return Message(object_id, interface, m.name, args, fds, size)

    def wait_closed(self, timeout=20):
        """Reads and drops until the other side closes."""
        deadline = time.monotonic() + timeout
        while not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure("the other side never closed the connection")
            try:
                self.read(left)
            except TimeoutError:
                pass

    def taken(self):
        """The other side has read all that was sent."""
        return not struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]

    def close(self):
        import os
        while self.fds:
            os.close(self.fds.popleft())
        self.socket.close()
        self.closed = True
