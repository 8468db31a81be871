#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but with GPU buffers: each generation comes by another way.  Says what the compositor told about them."""

import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

import draw

XR24 = 0x34325258
LINEAR, TILED = 0, 1 << 56 | 1
UDMABUF_CREATE, DMA_HEAP_ALLOC = 0x40187542, 0xc0184800
VGEM_FENCE_ATTACH, VGEM_FENCE_SIGNAL, FENCE_WRITE = 0xc0106441, 0x40086442, 1
DRM_VERSION, DRM_CREATE_DUMB, DRM_PRIME_TO_FD, DRM_MAP_DUMB = 0xc0406400, 0xc02064b2, 0xc00c642d, 0xc01064b3


def card(driver, kind="card"):
    """An open node of that driver, the primary one unless kind is "renderD"; of several virtio-gpus, CARD in the
    environment says which, from 0 on."""
    skip = int(os.environ.get("CARD", 0)) if driver == "virtio_gpu" else 0
    for name in sorted(os.listdir("/dev/dri")):
        if not name.startswith(kind):
            continue
        fd = os.open(f"/dev/dri/{name}", os.O_RDWR | os.O_CLOEXEC)
        text = ctypes.create_string_buffer(32)
        version = bytearray(struct.pack("<iii4xQQQQQQ", 0, 0, 0, 31, ctypes.addressof(text), 0, 0, 0, 0))
        fcntl.ioctl(fd, DRM_VERSION, version)
        if text.value.decode() == driver:
            if not skip:
                return fd
            skip -= 1
        os.close(fd)
    raise SystemExit(f"no {driver}")


class Dumb:
    """A dumb buffer of a DRM device: the device's own memory."""

    def __init__(self, driver, width, height):
        self.card = card(driver)
        request = bytearray(struct.pack("<IIIIIIQ", height, width, 32, 0, 0, 0, 0))
        fcntl.ioctl(self.card, DRM_CREATE_DUMB, request)
        handle, self.stride, size = struct.unpack("<16xIIQ", request)
        self.handle = handle
        self.offset = 0
        prime = bytearray(struct.pack("<IIi", handle, os.O_RDWR | os.O_CLOEXEC, -1))
        fcntl.ioctl(self.card, DRM_PRIME_TO_FD, prime)
        self.fd = struct.unpack("<8xi", prime)[0]
        where = bytearray(struct.pack("<IIQ", handle, 0, 0))
        fcntl.ioctl(self.card, DRM_MAP_DUMB, where)
        self.map = mmap.mmap(self.card, size, offset=struct.unpack("<8xQ", where)[0])

    def draw_later(self):
        """From now until the returned function is called, the device is at work on it (vgem)."""
        attach = bytearray(struct.pack("<IIII", self.handle, FENCE_WRITE, 0, 0))
        fcntl.ioctl(self.card, VGEM_FENCE_ATTACH, attach)
        fence = struct.unpack("<8xI4x", attach)[0]
        return lambda: fcntl.ioctl(self.card, VGEM_FENCE_SIGNAL, struct.pack("<II", fence, 0))


class Udmabuf:
    """Pages of a memfd as a dmabuf: memory that no GPU made.  The picture begins within it, its rows are wide."""

    def __init__(self, width, height):
        self.offset, self.stride = 8192, width * 4 + 256
        size = -(-(self.offset + self.stride * height) // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = os.memfd_create("dmabuf", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(memory, size)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.map = mmap.mmap(memory, size)
        device = os.open("/dev/udmabuf", os.O_RDWR)
        request = ctypes.create_string_buffer(struct.pack("<IIQQ", memory, 1, 0, size))
        self.fd = ctypes.CDLL(None, use_errno=True).ioctl(device, UDMABUF_CREATE, request)  # the answer is the descriptor
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "UDMABUF_CREATE")


class Heap:
    """A buffer of the system's dma-heap.  mode: how its descriptor was opened."""

    def __init__(self, width, height, mode=os.O_RDWR):
        self.offset, self.stride = 0, width * 4
        size = -(-self.stride * height // mmap.PAGESIZE) * mmap.PAGESIZE
        request = bytearray(struct.pack("<QIIQ", size, 0, mode | os.O_CLOEXEC, 0))
        heap = os.open("/dev/dma_heap/system", os.O_RDWR)
        fcntl.ioctl(heap, DMA_HEAP_ALLOC, request)
        os.close(heap)
        self.fd = struct.unpack("<8xI12x", request)[0]
        self.map = mmap.mmap(self.fd, size) if mode == os.O_RDWR else None


# A generation's number says which of them shows it.
KINDS = {"udmabuf": Udmabuf, "gpu": lambda w, h: Dumb("virtio_gpu", w, h), "vgem": lambda w, h: Dumb("vgem", w, h),
         "heap": Heap}


class Window(draw.Window):
    def __init__(self, client):
        super().__init__(client)
        self.dmabuf = client.bind("zwp_linux_dmabuf_v1", 4)
        self.buffers = {}

    def buffer(self, memory, width, height):
        params = self.client.create(self.dmabuf, "create_params")
        self.client.send(params, "add", memory.fd, 0, memory.offset, memory.stride, 0, LINEAR)
        buffer = self.client.create(params, "create_immed", width, height, XR24, 0)
        self.client.roundtrip()
        self.failed = any(m.object == params and m.name == "failed" for m in self.client.events)
        self.client.send(params, "destroy")
        return buffer

    def show(self, buffer, *rects):
        self.client.send(self.surface, "attach", buffer, 0, 0)
        for rect in rects:
            self.client.send(self.surface, "damage", *rect)
        self.client.send(self.surface, "commit")
        self.client.roundtrip()

    def put(self, memory, width, height, pixels, rows):
        for y in rows:
            at = memory.offset + y * memory.stride
            memory.map[at:at + width * 4] = pixels[y * width * 4:(y + 1) * width * 4]

    def draw(self, generation):
        width, height = self.size
        pixels = draw.shm_pixels(width, height, generation)
        kind = list(KINDS)[generation % len(KINDS)]
        memory, buffer = self.buffers.get((kind, width, height), (None, None))
        if not buffer:
            memory = KINDS[kind](width, height)
            buffer = self.buffer(memory, width, height)
            self.buffers[kind, width, height] = memory, buffer
            self.put(memory, width, height, pixels, range(height))
            self.show(buffer, (0, 0, width, height))
        else:  # in two halves
            for rows in (range(height // 2), range(height // 2, height)):
                self.put(memory, width, height, pixels, rows)
                self.show(buffer, (0, rows[0], width, len(rows)))
        print(f"drawn {generation} {width}x{height}", flush=True)


class Fenced(Window):
    """Commits before its device has drawn, and lets it draw afterwards."""

    def draw(self, generation):
        width, height = self.size
        memory = Dumb("vgem", width, height)
        buffer = self.buffer(memory, width, height)
        pixels = draw.shm_pixels(width, height, generation)
        drawn = memory.draw_later()
        self.client.send(self.surface, "attach", buffer, 0, 0)
        self.client.send(self.surface, "damage", 0, 0, width, height)
        self.client.send(self.surface, "commit")
        done = self.client.create(1, "sync")
        end = time.monotonic() + 0.5
        while time.monotonic() < end:  # time enough to show what is not there yet
            try:
                self.client.dispatch(0.1)
            except TimeoutError:
                pass
        print("waits" if done not in self.client.done else "does not wait", flush=True)
        self.put(memory, width, height, pixels, range(height))
        drawn()
        self.client.roundtrip()
        print(f"drawn {generation} {width}x{height}", flush=True)


class Hanging(Window):
    """Its device never says that it has drawn."""

    def draw(self, generation):
        width, height = self.size
        memory = Dumb("vgem", width, height)
        buffer = self.buffer(memory, width, height)
        self.put(memory, width, height, draw.shm_pixels(width, height, generation), range(height))
        memory.draw_later()
        self.show(buffer, (0, 0, width, height))
        print(f"drawn {generation} {width}x{height}", flush=True)


class Unreadable(Window):
    """Tries a buffer that nobody may read first, and says what it was told."""

    def draw(self, generation):
        unreadable = self.buffer(Heap(*self.size, mode=os.O_WRONLY), *self.size)
        print("failed" if self.failed else "did not fail", flush=True)
        self.client.send(unreadable, "destroy")
        self.client.roundtrip()
        super().draw(generation)


def describe(client):
    """Prints what each version of the protocol tells."""
    old = client.bind("zwp_linux_dmabuf_v1", 3)
    client.roundtrip()
    for m in client.events:
        if m.interface == "zwp_linux_dmabuf_v1":
            print("v3", m.name, *m.args, flush=True)
    feedback = client.create(client.bind("zwp_linux_dmabuf_v1", 4), "get_default_feedback")
    client.wait_event("zwp_linux_dmabuf_feedback_v1", "done")
    for m in client.events:
        if m.interface == "zwp_linux_dmabuf_feedback_v1":
            print("v4", m.name, *(bytes(a).hex() if isinstance(a, (bytes, bytearray)) else a for a in m.args), flush=True)
            if m.name == "format_table":
                with mmap.mmap(m.args[0], m.args[1], prot=mmap.PROT_READ) as table:
                    print("v4 table", *(f"{f:x}:{mod:x}" for f, mod in struct.iter_unpack("<I4xQ", bytes(table))), flush=True)
    client.send(feedback, "destroy")
    client.roundtrip()
    # What cannot be shown does not kill the client.
    window = Window(client)
    memory = Udmabuf(64, 64)
    for what, request, modifier in (("create", "create", LINEAR), ("create of a tiled buffer", "create", TILED),
                                    ("create_immed of a tiled buffer", "create_immed", TILED)):
        start = len(client.events)
        params = client.create(window.dmabuf, "create_params")
        client.send(params, "add", memory.fd, 0, memory.offset, memory.stride, modifier >> 32, modifier & 0xffffffff)
        if request == "create":
            client.send(params, "create", 64, 64, XR24, 0)
        else:
            client.create(params, "create_immed", 64, 64, XR24, 0)
        client.roundtrip()
        print(what, *(m.name for m in client.events[start:] if m.object == params), flush=True)
        client.send(params, "destroy")
    client.send(old, "destroy")
    client.roundtrip()


def wrong(connect):
    """Prints the error code that each mistake gets from the protocol, each client's last."""
    memory = Udmabuf(64, 64)

    def add(client, params, plane=0, offset=memory.offset, stride=memory.stride):
        client.send(params, "add", memory.fd, plane, offset, stride, 0, 0)

    def make(client, params, width=64, height=64):
        if request == "create":
            client.send(params, "create", width, height, XR24, 0)
        else:
            client.create(params, request, width, height, XR24, 0)

    mistakes = {
        "already used": lambda c, p: (add(c, p), make(c, p), make(c, p)),
        "added later": lambda c, p: (add(c, p), make(c, p), add(c, p, 1)),
        "plane number": lambda c, p: add(c, p, 4),
        "plane twice": lambda c, p: (add(c, p), add(c, p)),
        "no plane": lambda c, p: make(c, p),
        "a plane too many": lambda c, p: (add(c, p), add(c, p, 1), make(c, p)),
        "no width": lambda c, p: (add(c, p), make(c, p, 0)),
        "beyond the end": lambda c, p: (add(c, p, offset=memory.offset + 8192), make(c, p)),
        "far beyond": lambda c, p: (add(c, p, stride=0xffffffff), make(c, p)),
    }
    for name, mistake, request in ((*m, request) for request in ("create_immed", "create") for m in mistakes.items()):
        with connect() as client:
            params = client.create(client.bind("zwp_linux_dmabuf_v1", 4), "create_params")
            mistake(client, params)
            error = client.expect_error()
            print(name, error.code, "params" if error.object_id == params else "other", flush=True)
    for request in ("create_immed", "create"):      # nobody can show it, but it is no mistake for wlroots or weston
        with connect() as client:
            params = client.create(client.bind("zwp_linux_dmabuf_v1", 4), "create_params")
            add(client, params, stride=255)
            make(client, params)
            print("narrow rows", client.wait_event("zwp_linux_buffer_params_v1", "failed").name, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    display = os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"])
    if sys.argv[1] == "describe":
        describe(draw.Client(display))
    elif sys.argv[1] == "wrong":
        wrong(lambda: draw.Client(display))
    else:
        draw.main({"fenced": Fenced, "hanging": Hanging, "unreadable": Unreadable}.get(os.environ.get("WINDOW"), Window))
