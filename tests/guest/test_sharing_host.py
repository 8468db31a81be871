#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The host's side of memory that a VM and a service share, where the kernel has udmabuf.

Runs in a guest kernel, which here is the host's: the host's daemon and a device are in there, and the "VM" is a test program with
a sealed memfd for its memory, whose pages are scattered."""

import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402
from harness.insider import HANDLES, SERVICES, SHARING, import_frame  # noqa: E402
from harness.link import FILE, SYNC, frame, vfd  # noqa: E402
from harness.two_vms import Vms  # noqa: E402
from harness.vgpu import PAGE  # noqa: E402

import dmabuf  # noqa: E402
from share import EXPORT_SYNC_FILE, SYNC_RW  # noqa: E402

SIZE = 64 * PAGE
ROUNDS = 1000


class Rig:
    """A VM that has one connection to a service, .link, at whose other end is .service."""

    def __init__(self, t, settings="memory = share\ndmabufs = share", resource_size=SIZE):
        if not os.access("/dev/udmabuf", os.R_OK | os.W_OK):
            raise Skip("this kernel has no /dev/udmabuf")
        self.t = t
        path = t.path("service")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        t.closers.append(listener.close)
        self.vms = Vms(t, t.fake(), names=("vm",),
                       settings=f"forward = shared\n[forward shared]\npath = {path}\n{settings}")
        self.vgpu, self.gpu, self.host = self.vms.vgpus["vm"], self.vms.gpus["vm"], self.vms.host
        self.session = self.vms.session("vm", features=HANDLES | SERVICES | SHARING)
        self.vgpu.create(1, resource_size)
        self.vgpu.write(1, bytes(range(256)) * (SIZE // 256))
        self.listener = listener
        self.connect()

    def connect(self):
        self.link = self.session.service(b"shared")
        self.service, _ = self.listener.accept()
        self.service.settimeout(60)
        self.t.closers += [self.service.close, self.link.socket.close]

    def pass_it(self, vfd=1, number=1):
        """What the service gets: a descriptor."""
        self.link.import_(number, 1, SIZE)
        self.t.eq(self.link.imported(), (number, 1), "the host can have it")
        self.link.pass_import(vfd, number)
        return self.take()

    def take(self):
        data, fds, _, _ = socket.recv_fds(self.service, 1, 1)
        self.t.eq((data, len(fds)), (b"d", 1), "what the service gets")
        return fds[0]

    def ended(self, what):
        """The host ends the connection; its reason."""
        error = self.link.error()
        self.t.ok(error, f"{what}: the host says why")
        self.t.eq(self.service.recv(1), b"", f"{what}: the service sees the end")
        return error[1]


@test(timeout=120)
def the_same_pages(t):
    """What either side writes is there for the other at once, without a word over the link: they take turns by a counter in it."""
    rig = Rig(t)
    fd = rig.pass_it()
    t.has("dmabuf", os.readlink(f"/proc/self/fd/{fd}"), "what the service has")
    with mmap.mmap(fd, SIZE) as there:
        t.ok(there[:] == bytes(range(256)) * (SIZE // 256), "the VM's bytes")
        there[5 * PAGE:5 * PAGE + 4] = b"back"
        t.eq(rig.vgpu.read(1)[5 * PAGE:5 * PAGE + 4], b"back", "what the service wrote")
        rig.vgpu.write(1, bytes(8))
        guest = rig.vgpu.words(1)
        host = (ctypes.c_uint32 * 2).from_buffer(there)

        def count():
            """The guest's half: it makes each odd number the next one."""
            while guest[0] < ROUNDS:
                if guest[0] % 2:
                    guest[0] += 1
                os.sched_yield()
        other = threading.Thread(target=count)
        other.start()
        while host[0] < ROUNDS:
            if host[0] % 2 == 0:
                host[0] += 1
            os.sched_yield()
        other.join(60)
        t.ok(not other.is_alive() and host[0] >= ROUNDS, f"they counted to {host[0]}")
        del host, guest
    os.close(fd)


@test(timeout=120)
def it_comes_and_goes(t):
    """The same again is the same, it comes home, and the guest hears when nobody has it any more."""
    rig = Rig(t)
    fd = rig.pass_it()
    rig.link.send(frame("VFD_REF", struct.pack("<IHHQ", 1, 1, 0, 0)) + frame("DATA", struct.pack("<HH", 1, 0) + b"d"))
    again = rig.take()
    t.eq(os.fstat(again)[1:3], os.fstat(fd)[1:3], "the same again")
    socket.send_fds(rig.service, [b"h"], [fd])
    t.eq(struct.unpack("<IHHQ", rig.link.wait("VFD_REF"))[:2], (1, 2), "it comes home")
    os.close(fd)
    os.close(again)
    number, passes, homes, _, _ = struct.unpack("<IIIIQ", rig.link.wait("VFD_IDLE"))
    t.eq((number, passes, homes), (1, 2, 1), "nobody has it any more")
    rig.link.send(frame("VFD_GONE", struct.pack("<IIQ", 1, 0, 0)) + frame("IMPORT_RELEASE", struct.pack("<I", 1)))
    t.eq(struct.unpack("<I", rig.link.wait("IMPORT_RELEASED")), (1,), "the guest may use its memory for something else")
    t.eq([f for f in rig.host.fds() if f.startswith("/dmabuf")], [], "what the host's daemon has of it")
    rig.vgpu.unref(1)
    rig.service.sendall(b"on")
    t.eq(rig.link.wait("DATA")[4:], b"on", "the connection goes on")


@test(timeout=120)
def it_outlives_the_connection(t):
    """The guest may use the memory for something else when the link is closed, which waits for the service to let go of it."""
    rig = Rig(t)
    fd = rig.pass_it()
    rig.service.close()
    rig.link.wait("END")
    rig.link.send(frame("END"))
    t.eq(select.select([rig.link.socket], [], [], 1)[0], [], "the link while the service has it")
    os.close(fd)
    rig.link.wait_end()


@test(timeout=120)
def from_the_host(t):
    """Nothing is shared: a dmabuf goes by content; a sync file as one that is signalled, either way."""
    rig = Rig(t, "dmabufs = once\nsync-files = once")
    memory = dmabuf.Udmabuf(64, 64)
    memory.map[:4] = b"host"
    socket.send_fds(rig.service, [b"c"], [memory.fd])
    t.eq(struct.unpack("<IHHQ", rig.link.wait("VFD"))[1:], (FILE, 0, len(memory.map)), "its VFD")
    t.eq(rig.link.wait("MEM_WRITE")[24:], memory.map[:], "its content")
    request = bytearray(struct.pack("<Ii", SYNC_RW, -1))
    fcntl.ioctl(memory.fd, EXPORT_SYNC_FILE, request)
    socket.send_fds(rig.service, [b"s"], [struct.unpack("<4xi", request)[0]])
    number, kind, flags, size = struct.unpack("<IHHQ", rig.link.wait("VFD"))
    t.eq((kind, flags, size), (SYNC, 0, 0), "the sync file's VFD")
    rig.link.send(vfd(1, SYNC) + frame("DATA", struct.pack("<HH", 1, 0) + b"d"))
    fence = rig.take()
    t.eq(os.readlink(f"/proc/self/fd/{fence}"), "anon_inode:sync_file", "what the service has")
    t.eq(select.select([fence], [], [], 0)[0], [fence], "it is signalled")
    os.close(fence)


def harm(t, what, rule):
    """The service's connection ends when the memory that it has may not be the guest's any more."""
    rig = Rig(t)
    fd = rig.pass_it()
    what(rig)
    t.has(f"(GPU rule: {rule})", rig.ended("the link"), "why")
    os.close(fd)


@test(timeout=120)
def the_device_dies(t):
    harm(t, lambda rig: rig.gpu.kill(), "device")


@test(timeout=120)
def the_driver_starts_anew(t):
    harm(t, lambda rig: rig.vgpu.reset(), "epoch")


@test(timeout=120)
def the_resource_is_destroyed(t):
    harm(t, lambda rig: rig.vgpu.unref(1), "generation")


@test(timeout=120)
def lies(t):
    """What the guest says of its memory counts only as far as the device knows the same: the connection ends, by the rule."""
    rig = Rig(t)
    rig.vgpu.create(2, PAGE, shared=False)
    for what, rule, say in (
            ("no such resource", "look-up", lambda link: link.import_(1, 77, PAGE)),
            ("not shared", "mark", lambda link: link.import_(1, 2, PAGE)),
            ("larger than it is", "size", lambda link: link.import_(1, 1, SIZE + 1)),
            ("released twice", "known", lambda link: link.send(import_frame(1, 1, SIZE) + 2 * frame("IMPORT_RELEASE", b"\1\0\0\0"))),
            ("a VFD before the answer", None, lambda link: (link.import_(1, 1, SIZE), link.pass_import(1, 1))),
            ("a VFD of another import", None, lambda link: (link.import_(1, 1, SIZE), link.pass_import(1, 2)))):
        say(rig.link)
        why = rig.ended(what)
        t.has(f"(GPU rule: {rule})" if rule else "the other proxy broke the link protocol", why, what)
        rig.connect()
    fd = rig.pass_it()
    os.close(fd)


if __name__ == "__main__":
    main()
