# SPDX-License-Identifier: MIT
"""A guest's daemon that says what it likes: the link protocol from the guest's side, with resources of a Vgpu."""

import os
import select
import struct
import time

from . import link
from .client import Client, XRGB8888
from .link import Link, frame
from .tap import Failure

HANDLES, SERVICES, SHARING = 1, 4, 32


def import_frame(number, resource, size):
    return frame("IMPORT", struct.pack("<IIQ", number, resource, size))


def copy_frame(memory, row, rows, stride, offset, number, source_stride, source_offset):
    return frame("MEM_COPY", struct.pack("<IIIIQIIQ", memory, row, rows, stride, offset, number, source_stride,
                                         source_offset))


def memory_frame(memory, number, size):
    return frame("MEM_IMPORT", struct.pack("<IIQ", memory, number, size))


class Insider:
    """A session of a VM. It shows nothing about its GPU before bind()."""

    def __init__(self, path, vgpu=None, features=HANDLES):
        self.path = path
        self.vgpu = vgpu
        self.control = Link(path)
        if isinstance(path, tuple):     # where descriptors do not go; the host was told not to mind
            self.control.send(link.hello(link.CONTROL, features=features))
        else:
            null = os.open("/dev/null", os.O_RDONLY)
            self.control.send(link.hello(link.CONTROL, link.DESCRIPTOR, features=features), [null])
            os.close(null)
        self.key = link.welcome_key(self.control.wait("WELCOME"))

    def probe(self):
        """The nonce that the host wants to find."""
        return self.control.wait("PROBE")

    def probed(self, resource):
        self.control.send(frame("PROBED", struct.pack("<II", resource, 0)))

    def bound(self):
        """The host's answer: (bound, why not)."""
        payload = self.control.wait("BOUND")
        bound, size = struct.unpack_from("<HH", payload)
        return bool(bound), payload[4:4 + size].decode()

    def bind(self, resource):
        """Shows that this daemon holds the VM's device, with a resource that exists."""
        self.vgpu.write(resource, self.probe())
        self.probed(resource)
        bound, why = self.bound()
        if not bound:
            raise Failure(f"not bound: {why}")
        return self

    def client(self, **options):
        client = LinkClient(self.path, self.key, **options)
        client.session = self       # which ends when nobody refers to it
        return client

    def service(self, name):
        """A connection to a service of the host's, which is open."""
        connection = ServiceLink(self.path, self.key, name)
        connection.session = self
        return connection

    def close(self):
        self.control.socket.close()


class ServiceLink(Link):
    """A program's connection to a service, on the link itself."""

    def __init__(self, path, key, name):
        super().__init__(path)
        self.send(link.hello(link.SERVICE, link.KEY, key, b"program") +
                  frame("OPEN", struct.pack("<HHHHQ", 0, 1, len(name), 0, 0) + name))

    def import_(self, number, resource, size):
        self.send(import_frame(number, resource, size))

    def imported(self):
        """The answer to the next import: (its number, how)."""
        return struct.unpack("<IHH", self.wait("IMPORTED"))[:2]

    def pass_import(self, vfd, number, data=b"d"):
        """A descriptor of its memory, with these bytes."""
        self.send(link.vfd(vfd, link.SHARED, 0, number) + frame("DATA", struct.pack("<HH", 1, 0) + data))


class LinkClient(Client):
    """A Wayland client on the link itself. Its pools are memory of the host, to be filled by frames of the link."""

    def __init__(self, path, key, label=b"insider", timeout=20):
        super().__init__(None, sock=link.connect(path), timeout=timeout)
        self.raw = b""
        self.memories = self.imports = 0
        self.released = 0           # IMPORT_RELEASED frames
        self.error = None           # the host's last word: (code, text)
        self.say(link.hello(link.CLIENT, link.KEY, key, label))

    def say(self, *frames):
        """Frames of the link, as they are."""
        try:
            self.socket.sendall(b"".join(frames))
        except (BrokenPipeError, ConnectionResetError):
            pass                    # what the host said before it closed is still to be read

    def send_raw(self, data, fds=()):
        """Wayland messages; what descriptors they carry was said before, with VFD frames."""
        self.say(frame("WAYLAND", bytes(data)))

    def read(self, timeout=20):
        if not select.select([self.socket], [], [], max(0, timeout))[0]:
            raise TimeoutError
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.raw += data
        at = 0
        while len(self.raw) >= at + 8:
            size, kind, _ = struct.unpack_from("<IHH", self.raw, at)
            if len(self.raw) < at + 8 + size:
                break
            payload = self.raw[at + 8:at + 8 + size]
            at += 8 + size
            name = link.TYPES[kind]
            if name == "WAYLAND":
                self.buffer += payload
            elif name == "END":
                self.say(frame("END"))
            elif name == "IMPORT_RELEASED":
                self.released += 1
            elif name == "ERROR":
                code, size, *_ = struct.unpack_from("<HHII", payload)
                self.error = code, payload[12:12 + size].decode(errors="replace")
        self.raw = self.raw[at:]
        return True

    # -- frames about memory

    def new_pool(self, shm, size):
        """A pool of new memory: (its Wayland id, the memory's)."""
        self.memories += 1
        return self.take(self.memories, shm, size), self.memories

    def new_buffer(self, shm, width, height):
        """A pool and a buffer that is all of it: (buffer, memory)."""
        pool, memory = self.new_pool(shm, width * height * 4)
        return self.create(pool, "create_buffer", 0, width, height, width * 4, XRGB8888), memory

    def take(self, memory, shm, size):
        """A pool of memory that the host has."""
        self.say(link.vfd(memory, link.MEMORY, 0, size))
        return self.create(shm, "create_pool", 0, size)

    def memory_of(self, number, size):
        """Memory that is an import."""
        self.memories += 1
        self.say(memory_frame(self.memories, number, size))
        return self.memories

    def buffer_of(self, shm, resource, width, height, form=XRGB8888, pixel=4):
        """A buffer that is a resource, as far as the host can: (buffer, memory, import)."""
        size = width * height * pixel
        number = self.import_(resource, size)
        memory = self.memory_of(number, size)
        pool = self.take(memory, shm, size)
        buffer = self.create(pool, "create_buffer", 0, width, height, width * pixel, form)
        self.send(pool, "destroy")
        return buffer, memory, number

    def import_(self, resource, size):
        self.imports += 1
        self.say(import_frame(self.imports, resource, size))
        return self.imports

    def release(self, number):
        self.say(frame("IMPORT_RELEASE", struct.pack("<I", number)))

    def copy(self, memory, number, size, offset=0, source=0):
        """So many bytes, as one row."""
        self.say(copy_frame(memory, size, 1, size, offset, number, size, source))

    def wait_released(self, count):
        self.wait_for(lambda: self.released >= count, f"{count} imports are released")

    def ended(self, timeout=20):
        """Waits until the host has ended this connection; its reason."""
        deadline = time.monotonic() + timeout
        while not self.closed:
            try:
                self.read(deadline - time.monotonic())
            except TimeoutError:
                raise Failure("the host did not end the connection") from None
        self.close()
        return self.error[1] if self.error else ""
