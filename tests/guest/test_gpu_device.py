#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-gpu under a real guest kernel: what its driver makes is what the export socket gives out, byte for byte."""

import fcntl
import mmap
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.tap import Skip  # noqa: E402
from vm import need_gpu  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = os.path.join(HERE, "..", "..", "scripts", "guest")

HELLO, WELCOME, BIND, EXPORT, EXPORTED, MIRROR, COPY, RELEASE, STATUS, GONE, RESET, OFFER, BOUND = range(1, 14)
OK, UNKNOWN, UNMARKED, EMPTY, UNBOUND, MISMATCH, STALE, RANGE = range(8)
NONCE = bytes(range(100, 132))
BLOB_MAPPABLE, BLOB_SHAREABLE = 1, 2


def pattern(size, seed):
    out = bytearray(size)
    for i in range(size):
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        out[i] = seed >> 24
    return bytes(out)


def fnv(data):
    value = 14695981039346656037
    for byte in data:
        value = ((value ^ byte) * 1099511628211) & 0xffffffffffffffff
    return value


class Exports:
    """A client of the export socket."""

    def __init__(self, t, path):
        self.t = t
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.serial = 0
        self.events = []
        status, version, _, self.features, self.driver, self.epoch = struct.unpack_from(
            "<IHHIIQ", self.request(HELLO, struct.pack("<IHHII", 0x58535657, 2, 2, 0, 0), answer=WELCOME))
        t.eq((status, version), (OK, 2), "WELCOME")

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.socket, 8192, 4)
        if not data:
            raise EOFError
        size, kind, zero, serial = struct.unpack_from("<IHHI", data)
        self.t.eq((size, zero), (len(data) - 12, 0), "header")
        return kind, serial, data[12:], fds

    def request(self, kind, payload, fd=None, answer=STATUS):
        self.serial += 1
        packet = struct.pack("<IHHI", len(payload), kind, 0, self.serial) + payload
        socket.send_fds(self.socket, [packet], [] if fd is None else [fd])
        while True:
            got, serial, payload, self.fds = self.receive()
            if serial == 0:
                self.events.append((got, payload))
                continue
            self.t.eq((got, serial), (answer, self.serial), "answer")
            return payload

    def bind(self, resource, nonce=NONCE):
        """OK if the device finds the nonce there."""
        status, _, found = struct.unpack("<II32s", self.request(BIND, struct.pack("<IIQ", resource, 1000, 0), answer=BOUND))
        return MISMATCH if status == OK and found != nonce else status

    def export(self, resource, timeout=1000):
        """A dictionary, or a status."""
        data = self.request(EXPORT, struct.pack("<IIII", resource, timeout, 0, 0), answer=EXPORTED)
        status = struct.unpack_from("<I", data)[0]
        if status != OK:
            return status
        names = ("id", "kind", "generation", "size", "memory", "reason", "runs", "width", "height", "fourcc", "modifier")
        found = dict(zip(names, struct.unpack_from("<IIQQIIIIIIQ", data, 8)))
        found["fd"] = self.fds[0] if self.fds else None
        return found

    def mirror(self, found):
        """A memfd, mapped, that COPY fills."""
        fd = os.memfd_create("mirror", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, found["size"])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        status = struct.unpack_from("<I", self.request(MIRROR, struct.pack("<IIQ", found["id"], 0, found["size"]), fd))[0]
        self.t.eq(status, OK, "MIRROR")
        mapped = mmap.mmap(fd, found["size"])
        os.close(fd)
        return mapped

    def copy(self, found, stride, rects, to_guest=False):
        payload = struct.pack("<IIQQQIIII", found["id"], int(to_guest), found["generation"], 0, 0, stride, stride, len(rects), 0)
        payload += b"".join(struct.pack("<IIII", *r) for r in rects)
        return struct.unpack_from("<I", self.request(COPY, payload))[0]

    def content(self, found):
        """All of its bytes, by the road that this host has."""
        if found["fd"] is not None:
            with mmap.mmap(found["fd"], found["size"], prot=mmap.PROT_READ) as m:
                return m[:]
        mapped = self.mirror(found)
        self.t.eq(self.copy(found, 4096, [(0, 0, 4096, found["size"] // 4096)]), OK, "COPY")
        return mapped[:]

    def release(self, found):
        self.serial += 1
        self.socket.send(struct.pack("<IHHIII", 8, RELEASE, 0, self.serial, found["id"], 0))

    def event(self):
        while not self.events:
            got, serial, payload, _ = self.receive()
            self.t.eq(serial, 0, "an event's serial")
            self.events.append((got, payload))
        return self.events.pop(0)


class Guest:
    """A guest kernel with our GPU, in which gpu_buffers runs."""

    def __init__(self, t):
        self.t = t
        self.dir = t.mkdir("vm", 0o755)
        self.export = self.dir + "/export"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.dir + "/vsock_7000")
        listener.listen(1)
        listener.settimeout(100)
        gpu = f"{os.environ['WAYVSOCK_GPU']} --log-level debug --export {self.export}"
        self.process = t.spawn([BOOT, "-d", self.dir, "-t", "150", "-g", gpu, "--", os.environ["GPU_BUFFERS"], "7000"],
                               dict(os.environ), name="guest")
        connection, _ = listener.accept()
        connection.settimeout(100)
        self.lines = connection.makefile("rw")

    def ask(self, command):
        print(command, file=self.lines, flush=True)
        return self.lines.readline().strip()

    def do(self, command):
        """The answer's numbers."""
        answer = self.ask(command)
        self.t.ok(answer.startswith("ok"), f"{command}: {answer}")
        return [int(w) for w in answer.split()[1:] if w.isdigit()]

    def open(self):
        answer = self.ask("open")
        if "no virtio-gpu" in answer:
            raise Skip("the guest's kernel has no driver for virtio-gpu")
        self.t.ok(answer.startswith("ok /dev/dri/renderD"), answer)


def start(t):
    """A guest, and a bound client of its device."""
    guest = Guest(t)
    guest.open()
    exports = Exports(t, guest.export)
    t.eq(exports.driver, 1, "a driver is there")
    probe, _ = guest.do("create 0 32 32")
    t.eq(exports.export(probe, 0), UNBOUND, "before binding")
    t.eq(exports.bind(probe), MISMATCH, "before the nonce is written")
    guest.do(f"write 0 0 {NONCE.hex()}")
    t.eq(exports.bind(probe), OK, "BIND")
    return guest, exports


@test(timeout=200)
def classic_resources(t):
    """A 2D resource that the guest shares can be had with all its bytes; one that it keeps to itself cannot."""
    guest, exports = start(t)
    resource, size = guest.do("create 1 640 480")
    t.eq(exports.export(resource, 0), UNMARKED, "not shared")
    guest.do("share 1")
    found = exports.export(resource)
    t.eq((found["size"], found["width"], found["height"], found["fourcc"]), (size, 640, 480, 0x34325241), "what is told")
    for seed in (1, 2):
        guest.do(f"fill 1 {seed}")
        t.ok(exports.content(found) == pattern(size, seed), f"pattern {seed}")
    # Only what is asked for.
    if found["fd"] is None:
        mapped = exports.mirror(found)
        t.eq(exports.copy(found, 2560, [(100, 7, 40, 3)]), OK, "COPY of a part")
        expected, source = bytearray(size), pattern(size, 2)
        for y in range(7, 10):
            expected[y * 2560 + 100:y * 2560 + 140] = source[y * 2560 + 100:y * 2560 + 140]
        t.ok(mapped[:] == bytes(expected), "a part")
        # And the other way.
        mapped[:] = pattern(size, 3)
        t.eq(exports.copy(found, 4096, [(0, 0, 4096, size // 4096)], to_guest=True), OK, "COPY to the guest")
        t.eq(guest.do("sum 1"), [fnv(pattern(size, 3))], "what the guest sees")


@test(timeout=200)
def blobs_and_foreign_memory(t):
    """Blobs of the guest's memory, and an application's memfd that the kernel imports: without any copy in the guest."""
    guest, exports = start(t)
    answer = guest.ask(f"blob 1 65536 {BLOB_MAPPABLE}")
    if answer.startswith("error blob"):
        raise Skip("this frontend or kernel has no blobs")
    hidden = int(answer.split()[1])
    t.eq(exports.export(hidden, 0), UNMARKED, "a blob that is not shareable")
    shared, size = guest.do(f"blob 2 1048576 {BLOB_MAPPABLE | BLOB_SHAREABLE}")
    guest.do("fill 2 4")
    t.ok(exports.content(exports.export(shared)) == pattern(size, 4), "the blob's bytes")
    answer = guest.ask("import 3 2097152 5")
    if answer.startswith("error import"):
        return  # this kernel imports no foreign memory
    resource, size = (int(w) for w in answer.split()[1:])
    found = exports.export(resource)
    t.ok(exports.content(found) == pattern(size, 5), "the memfd's bytes")
    guest.do("fill 3 6")
    t.ok(exports.content(found) == pattern(size, 6), "and what it becomes")


@test(timeout=200)
def nothing_else_resolves(t):
    """Of the first 10,000 ids only the shared one gives anything."""
    guest, exports = start(t)
    resource, _ = guest.do("create 1 64 64")
    guest.do("share 1")
    guest.do("create 2 64 64")
    given = [i for i in range(1, 10001) if isinstance(exports.export(i, 0), dict)]
    t.eq(given, [resource], "ids that resolve")


@test(timeout=200)
def pages_return_when_released(t):
    """The guest drops a buffer that is held: we hear of it, and the id means nothing any more."""
    guest, exports = start(t)
    resource, _ = guest.do("create 1 64 64")
    guest.do("share 1")
    found = exports.export(resource)
    exports.mirror(found)
    guest.do("drop 1")
    kind, payload = exports.event()
    t.eq((kind, struct.unpack_from("<I", payload)[0]), (GONE, found["id"]), "the event")
    t.eq(exports.export(resource, 0), UNKNOWN, "after it")
    t.eq(exports.copy(found, 256, [(0, 0, 256, 1)]), STALE, "COPY after it")
    exports.release(found)
    again, _ = guest.do("create 2 64 64")
    guest.do("share 2")
    t.ok(exports.export(again)["generation"] > found["generation"], "a later generation")
    # Nobody releases: the guest gets its pages back all the same.
    guest.do("drop 2")
    guest.do("create 3 64 64")
    t.eq(exports.event()[0], GONE, "the event")


@test(timeout=250)
def driver_reloaded(t):
    """The driver leaves and returns, several times: all exports end, a new binding is needed, everything works again."""
    guest, exports = start(t)
    for generation in range(3):
        resource, size = guest.do("create 1 64 64")
        guest.do("share 1")
        found = exports.export(resource)
        t.ok(isinstance(found, dict), f"exported: {found}")
        for name in (0, 1):
            guest.do(f"drop {name}")
        guest.do("close")
        t.ok(guest.ask("rebind").startswith("ok virtio"), "rebinding")
        seen = exports.event()[0]
        while seen != RESET:
            seen = exports.event()[0]
        exports.events.clear()
        guest.open()
        probe, _ = guest.do("create 0 32 32")
        t.eq(exports.export(probe, 0), UNBOUND, "after the reset")
        guest.do(f"write 0 0 {NONCE.hex()}")
        t.eq(exports.bind(probe), OK, "BIND")


@test(timeout=250)
def exhaustion(t):
    """The guest takes what it can get; then it gives it back and goes on."""
    guest, exports = start(t)
    made = guest.do("flood 20000")[0]
    t.ok(made >= 1000, f"{made} resources")
    guest.do("drain")
    resource, size = guest.do("create 1 64 64")
    guest.do("share 1")
    guest.do("fill 1 9")
    t.ok(exports.content(exports.export(resource)) == pattern(size, 9), "it still works")


if __name__ == "__main__":
    if need_gpu():
        main()
