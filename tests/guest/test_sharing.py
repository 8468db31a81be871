#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Memory and dmabufs of a VM with a virtio-gpu of ours, passed to a service of the host: the service has the VM's pages where the
host's kernel has udmabuf, and otherwise a copy or a mirror."""

import mmap
import os
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from share import SIZE, pattern  # noqa: E402
from vm import GPU, HERE, Vm, need_gpu  # noqa: E402

SHARED = os.path.exists("/dev/udmabuf")


class Service:
    """What the guest's share.py speaks to."""

    def __init__(self, t, settings, kinds, gpu=True):
        self.t = t
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(90)
        path = t.path("service")
        self.listener.bind(path)
        self.listener.listen()
        t.closers.append(self.listener.close)
        self.vm = Vm(t, gpu=GPU if gpu else "", services=f"[forward shared]\npath = {path}\n{settings}\n", forward="shared")
        self.guest = self.vm.boot(f"exec python3 {HERE}/share.py /run/shared {' '.join(kinds)} 2>share.log",
                                  guest_args=("--forward", "shared=/run/shared"))
        self.connection = self.accept()

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(60)
        self.t.closers.append(connection.close)
        return connection

    def descriptor(self, late):
        """The next, which has to wait for what is done late."""
        if late:
            other = self.accept()
            data = other.recv(1)
            self.t.eq(select.select([self.connection], [], [], 0)[0], [], "what came before it was drawn")
            other.sendall(data)
        data, fds, _, _ = socket.recv_fds(self.connection, 1, 1)
        self.t.eq((data, len(fds)), (b"d", 1), f"what came ({self.vm.read('share.log').decode()})")
        return fds

    def take(self, late=False):
        """What the next descriptor has in it, when it has been written to and sent home: (bytes, same, the byte there)."""
        fds = self.descriptor(late)
        size = min(SIZE, os.lseek(fds[0], 0, os.SEEK_END))
        with mmap.mmap(fds[0], size) as there:
            content = there[:]
            there[1] = 99
            socket.send_fds(self.connection, [b"h"], fds)
        os.close(fds[0])
        same, byte = struct.unpack("cB", self.connection.recv(2))
        return content, same == b"y", byte

    def end(self):
        self.connection.close()
        self.t.eq(self.guest.wait(60), 0, f"share.py: {self.vm.read('share.log').decode()}")
        return self.guest.log()


@test(timeout=200)
def dmabufs(t):
    """Of the virtio-gpu, another device that still draws, a heap and plain pages."""
    kinds = ("gpu", "heap", "udmabuf", "vgem")
    service = Service(t, "dmabufs = once", kinds)
    for kind in kinds:
        content, same, byte = service.take(late=kind == "vgem")
        t.ok(content == pattern(), f"{kind}: its content")
        t.ok(same, f"{kind}: it comes home")
        t.ok(byte == 99 or not SHARED or kind == "vgem", f"{kind}: the service's byte: {byte}")
    t.has(f"a dmabuf of {SIZE} bytes {'is shared' if SHARED else 'is copied, as it cannot be shared'}", service.end(), "the guest's log")


@test(timeout=200)
def memory(t):
    """What can be shared is, what cannot is mirrored; the program sees what the service writes, either way."""
    service = Service(t, "memory = share", ("memory", "unsealed", "odd"))
    for kind in ("memory", "unsealed", "odd"):
        content, same, byte = service.take()
        t.ok(content == pattern(len(content)), f"{kind}: its content")
        t.eq((same, byte), (True, 99), f"{kind}: it comes home, with the service's byte")
    log = service.end()
    t.has("memory of 16284 bytes is mirrored, as it cannot be shared" if SHARED else
          f"memory of {SIZE} bytes is mirrored, as it cannot be shared", log, "the guest's log")
    if SHARED:
        t.has(f"memory of {SIZE} bytes is shared", log, "the guest's log")


@test(timeout=200)
def without_a_gpu(t):
    """Nothing is shared: the dmabuf is copied, the memory mirrored."""
    service = Service(t, "dmabufs = once\nmemory = share", ("heap", "memory"), gpu=False)
    for kind, written in (("heap", pattern()[1]), ("memory", 99)):
        content, same, byte = service.take()
        t.ok(content == pattern(), f"{kind}: its content")
        t.eq((same, byte), (True, written), f"{kind}: it comes home, and what the program sees")
    log = service.end()
    t.has(f"a dmabuf of {SIZE} bytes is copied, as it cannot be shared", log, "the guest's log")
    t.has(f"memory of {SIZE} bytes is mirrored, as it cannot be shared", log, "the guest's log")


@test(timeout=200)
def sync_files(t):
    """They arrive when they are signalled, as what says so: a sync file, or what poll() cannot tell from it."""
    service = Service(t, "sync-files = once", ("sync", "sync"))
    for _ in range(2):
        fd = service.descriptor(late=True)[0]
        t.eq(select.select([fd], [], [], 0)[0], [fd], "it is signalled")
        t.eq(os.readlink(f"/proc/self/fd/{fd}"), "anon_inode:sync_file" if SHARED else "anon_inode:[eventfd]", "what it is")
        os.close(fd)
        service.connection.sendall(b"h")
    service.end()


@test(timeout=200)
def refused(t):
    """In words that name the key."""
    service = Service(t, "", ("heap",))
    t.eq(service.connection.recv(1), b"", "the connection's end")
    service.guest.wait(60)
    t.has("service shared: a descriptor is not carried: a dmabuf (dmabufs = share or once would allow it)", service.guest.log(),
          "the guest's log")


if __name__ == "__main__":
    if need_gpu():
        main()
