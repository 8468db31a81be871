# SPDX-License-Identifier: MIT
"""A virtual machine's memory and its driver for virtio-gpu: a vhost-user frontend that does as it is told.

The memory is a sealed memfd in this process, so that tests see and write the "guest's" pages directly."""

import ctypes
import array
import fcntl
import mmap
import os
import random
import select
import socket
import struct
import time

from .tap import Failure

PAGE = 4096
GUEST_BASE, USER_BASE = 0x1000000, 0x7f0000000000      # where the memory is for the guest, and for its hypervisor
QUEUE = 256
SLOTS, SLOT_SIZE, ANSWER = 64, 8192, 7168               # requests of up to ANSWER bytes, then room for their answer
AVAIL, USED, REQUESTS, LONG_REQUEST, PAGES = 0x1000, 0x2000, 0x10000, 0x100000, 0x200000

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE, RESET_DEVICE = 15, 16, 18, 34
NEED_REPLY = 8
VIRGL, UUID, BLOB, PROTOCOL_FEATURES, VERSION_1 = 1 << 0, 1 << 2, 1 << 3, 1 << 30, 1 << 32

CREATE_2D, UNREF, ATTACH, DETACH, ASSIGN_UUID, CREATE_BLOB = 0x101, 0x102, 0x106, 0x107, 0x10b, 0x10c
CTX_CREATE, CTX_ATTACH, CREATE_3D, TRANSFER_TO_HOST_3D, SUBMIT_3D = 0x200, 0x202, 0x204, 0x205, 0x207
FENCE = 1                                               # a command's flag: the answer comes when all is drawn
OK, OK_UUID = 0x1100, 0x1105
GUEST_MEMORY, SHAREABLE = 1, 2                          # a blob's memory, its flag
B8G8R8A8, B8G8R8X8, R8G8B8A8, RGB565 = 1, 2, 67, 7      # formats of pictures
TEXTURE_2D, DRAWN_ON, SAMPLED = 2, 1 << 1, 1 << 3       # what a picture of the GPU is, and its uses
UPSIDE_DOWN = 1                                         # its flag: the first row is the last


class Vgpu:
    def __init__(self, path, mebibytes=16, seed=1, draws=False):
        """draws: the device is to draw for the guest (3D)."""
        self.size = mebibytes << 20
        self.fd = os.memfd_create("guest-ram", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.fd, self.size)
        # As QEMU's memory-backend-memfd does: without it there are no udmabufs.
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.ram = mmap.mmap(self.fd, self.size)
        self.shorts = memoryview(self.ram).cast("H")    # indices change at once, which pack_into() does not promise
        self.free_pages = list(range(PAGES // PAGE, self.size // PAGE))
        random.Random(seed).shuffle(self.free_pages)    # as in a guest that has run for a while
        self.resources = {}                             # id → pages
        self.path = path
        self.draws = draws
        self.socket = None
        self.connect()

    # -- vhost-user

    def _send(self, request, payload=b"", fds=(), flags=0):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([struct.pack("<III", request, 1 | flags, len(payload)), payload], ancillary)

    def _reply(self, size=8):
        data = b""
        while len(data) < 12 + size:
            more = self.socket.recv(12 + size - len(data))
            if not more:
                raise Failure("the device closed the connection")
            data += more
        return struct.unpack_from("<Q", data, 12)[0]

    def _get(self, request):
        self._send(request)
        return self._reply()

    def _set(self, request, payload, fds=()):
        self._send(request, payload, fds, NEED_REPLY)
        if self._reply() != 0:
            raise Failure(f"vhost-user request {request} failed")

    def connect(self):
        """The machine starts: a new connection, a new driver."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(self.path)
        wanted = VERSION_1 | PROTOCOL_FEATURES | UUID | BLOB | (VIRGL if self.draws else 0)
        if self._get(GET_FEATURES) & wanted != wanted:
            raise Failure("the device lacks features")
        self._send(SET_PROTOCOL_FEATURES, struct.pack("<Q", self._get(GET_PROTOCOL_FEATURES)))
        self._send(SET_OWNER)
        self._set(SET_FEATURES, struct.pack("<Q", wanted))
        self._set(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, GUEST_BASE, self.size, USER_BASE, 0), [self.fd])
        self._start()

    def _start(self):
        self.ram[:REQUESTS] = bytes(REQUESTS)
        self.available = self.seen = 0
        self.waiting = {}                               # slot → None, or the answer's type
        self.errors = 0
        self.free_slots = list(range(SLOTS))
        self.kick, self.call = os.eventfd(0, os.EFD_CLOEXEC), os.eventfd(0, os.EFD_CLOEXEC)
        self._set(SET_VRING_CALL, struct.pack("<Q", 0), [self.call])
        self._set(SET_VRING_NUM, struct.pack("<II", 0, QUEUE))
        self._set(SET_VRING_BASE, struct.pack("<II", 0, 0))
        self._set(SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, USER_BASE, USER_BASE + USED, USER_BASE + AVAIL, 0))
        self._set(SET_VRING_KICK, struct.pack("<Q", 0), [self.kick])
        self._set(SET_VRING_ENABLE, struct.pack("<II", 0, 1))

    def reset(self):
        """The driver starts anew: it knows of no resource."""
        self._set(RESET_DEVICE, b"")
        os.close(self.kick)
        os.close(self.call)
        for pages in self.resources.values():
            self.free_pages += pages
        self.resources.clear()
        self._start()

    def close(self):
        """The machine is off; its memory stays here to be looked at."""
        self.socket.close()
        os.close(self.kick)
        os.close(self.call)

    # -- the control queue

    def submit(self, kind, payload, context=0, flags=0):
        """Queues a command; wait() has its answer."""
        command = struct.pack("<IIQII", kind, flags, 0, context, 0) + payload
        while not self.free_slots:
            self._take_answers(20)
        slot = self.free_slots.pop()
        at = REQUESTS + slot * SLOT_SIZE
        where = at if len(command) <= ANSWER else LONG_REQUEST
        if where + len(command) > PAGES:
            raise Failure("a command is too long")
        self.ram[where:where + len(command)] = command
        head = 2 * slot
        struct.pack_into("<QIHH", self.ram, head * 16, GUEST_BASE + where, len(command), 1, head + 1)
        struct.pack_into("<QIHH", self.ram, head * 16 + 16, GUEST_BASE + at + ANSWER, SLOT_SIZE - ANSWER, 2, 0)
        struct.pack_into("<H", self.ram, AVAIL + 4 + self.available % QUEUE * 2, head)
        self.available = (self.available + 1) & 0xffff
        self.shorts[AVAIL // 2 + 1] = self.available
        self.waiting[slot] = None
        os.eventfd_write(self.kick, 1)
        return slot

    def _take_answers(self, timeout):
        """Waits until the device has something to say; False if it has not."""
        if not select.select([self.call], [], [], timeout)[0]:
            return False
        os.eventfd_read(self.call)
        while self.seen != self.shorts[USED // 2 + 1]:
            head, _ = struct.unpack_from("<II", self.ram, USED + 4 + self.seen % QUEUE * 8)
            self.seen = (self.seen + 1) & 0xffff
            slot = head // 2
            self.waiting[slot], = struct.unpack_from("<I", self.ram, REQUESTS + slot * SLOT_SIZE + ANSWER)
            self.errors += self.waiting[slot] not in (OK, OK_UUID)
            self.free_slots.append(slot)
        return True

    def answered(self, slot, timeout=0):
        """The answer's type, or None: it has not come yet."""
        deadline = time.monotonic() + timeout
        while self.waiting[slot] is None:
            if not self._take_answers(max(0, deadline - time.monotonic())):
                return None
        return self.waiting[slot]

    def wait(self, slot):
        answer = self.answered(slot, 20)
        if answer is None:
            raise Failure("the device does not answer a command")
        return answer

    def command(self, kind, payload, context=0, flags=0):
        answer = self.wait(self.submit(kind, payload, context, flags))
        if answer not in (OK, OK_UUID):
            raise Failure(f"command {kind:#x}: answer {answer:#x}")

    # -- resources

    def take_pages(self, count):
        pages, self.free_pages = self.free_pages[:count], self.free_pages[count:]
        return pages

    @staticmethod
    def _entries(pages):
        return b"".join(struct.pack("<QII", GUEST_BASE + page * PAGE, PAGE, 0) for page in pages)

    def _blob(self, number, pages, shared):
        return struct.pack("<IIIIQQ", number, GUEST_MEMORY, SHAREABLE if shared else 0, len(pages), 0,
                           len(pages) * PAGE) + self._entries(pages)

    def create(self, number, size=PAGE, shared=True):
        """A blob over scattered pages."""
        pages = self.take_pages((size + PAGE - 1) // PAGE)
        self.resources[number] = pages
        self.command(CREATE_BLOB, self._blob(number, pages, shared))

    def create_many(self, numbers, shared=True):
        """Blobs of one page each."""
        slots, errors = [], self.errors
        for number in numbers:
            self.resources[number] = self.take_pages(1)
            slots.append(self.submit(CREATE_BLOB, self._blob(number, self.resources[number], shared)))
        for slot in set(slots):
            self.wait(slot)
        if self.errors > errors:
            raise Failure(f"{self.errors - errors} resources could not be made")

    def create_2d(self, number, width, height, uuid=True, backed=True):
        """What Linux makes where there are no blobs."""
        self.command(CREATE_2D, struct.pack("<IIII", number, 2, width, height))
        self.resources[number] = []
        if backed:
            self.resources[number] = pages = self.take_pages((width * height * 4 + PAGE - 1) // PAGE)
            self.command(ATTACH, struct.pack("<II", number, len(pages)) + self._entries(pages))
        if uuid:
            self.command(ASSIGN_UUID, struct.pack("<II", number, 0))

    def create_picture(self, number, width, height, kind=B8G8R8X8, flags=0):
        """What Mesa makes for a window: in the host's memory, with pages of the guest to fill it from."""
        self.command(CREATE_3D, struct.pack("<12I", number, TEXTURE_2D, kind, DRAWN_ON | SAMPLED, width, height, 1, 1, 0, 0,
                                            flags, 0))
        self.resources[number] = pages = self.take_pages((width * height * 4 + PAGE - 1) // PAGE)
        self.command(ATTACH, struct.pack("<II", number, len(pages)) + self._entries(pages))
        self.command(ASSIGN_UUID, struct.pack("<II", number, 0))

    def draw(self, number, width, height, pixels):
        """Has all of the picture be these pixels, and waits until it is."""
        self.write(number, pixels)
        self.command(TRANSFER_TO_HOST_3D, struct.pack("<6IQ4I", 0, 0, 0, width, height, 1, 0, number, 0,
                                                      len(pixels) // height, 0), 0, FENCE)

    def create_context(self, context, numbers):
        """One that draws on these pictures."""
        self.command(CTX_CREATE, struct.pack("<II64s", 4, 0, b"test"), context)
        for number in numbers:
            self.command(CTX_ATTACH, struct.pack("<II", number, 0), context)

    def draw_commands(self, context, *commands):
        """Has them carried out to the end: each is (virgl's number, its kind of object, words)."""
        words = b"".join(struct.pack("<I", number | kind << 8 | len(payload) // 4 << 16) + payload
                         for number, kind, payload in commands)
        self.command(SUBMIT_3D, struct.pack("<II", len(words), 0) + words, context, FENCE)

    def detach(self, number):
        self.command(DETACH, struct.pack("<II", number, 0))

    def start_unref(self, number):
        """The pages are free again when it is answered: returns what answered() takes, and the pages."""
        return self.submit(UNREF, struct.pack("<II", number, 0)), self.resources.pop(number)

    def unref(self, number):
        slot, pages = self.start_unref(number)
        if self.wait(slot) != OK:
            raise Failure(f"UNREF of {number} failed")
        self.free_pages += pages

    def write(self, number, data, offset=0):
        """Into the resource's pages, as a program in the guest would."""
        pages = self.resources[number]
        at = 0
        while at < len(data):
            page, within = divmod(offset + at, PAGE)
            n = min(PAGE - within, len(data) - at)
            start = pages[page] * PAGE + within
            self.ram[start:start + n] = data[at:at + n]
            at += n

    def words(self, number):
        """The resource's first page as 32-bit words, to read and write as the processor does."""
        return (ctypes.c_uint32 * (PAGE // 4)).from_buffer(self.ram, self.resources[number][0] * PAGE)

    def read(self, number):
        return b"".join(self.ram[page * PAGE:(page + 1) * PAGE] for page in self.resources[number])
