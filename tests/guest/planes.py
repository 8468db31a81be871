#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but with a video's formats, whose colours are in a plane of their own: planes.py FORMAT WAY GENERATION…

WAY says where the planes are: "shm" (wl_shm, for comparison), "one" (a dmabuf with both), "two" (a dmabuf for each).  With
AT_ONCE, linux-dmabuf is bound and used in one go, before its formats can have been heard."""

import os
import sys

import draw
from dmabuf import Dumb, Heap, Udmabuf
from harness.client import Pool

# fourcc, and bytes of a luma sample: those of a colour are twice as many.
FORMATS = {"NV12": (0x3231564e, 1), "P010": (0x30313050, 2)}


def content(name, width, height, generation):
    """The rows of both planes, without what lies between them.  Each sample differs from its neighbours."""
    sample = FORMATS[name][1]

    def row(count, start, step):
        values = bytes((start + i * step) & 255 for i in range(count))
        if sample == 1:
            return values
        wide = bytearray(2 * count)     # ten bits, in the upper ones
        wide[0::2], wide[1::2] = bytes(v << 6 & 0xc0 for v in values), values
        return bytes(wide)

    columns, lines = (width + 1) // 2, (height + 1) // 2
    return ([row(width, 3 * y + 29 * generation, 5) for y in range(height)],
            [row(2 * columns, 7 * y + 11 * generation, 9) for y in range(lines)])


class Place:
    """Rows within a memory that is mapped."""

    def __init__(self, memory, offset, stride):
        self.memory, self.offset, self.stride = memory, offset, stride

    def put(self, rows):
        for y, row in enumerate(rows):
            at = self.offset + y * self.stride
            self.memory.map[at:at + len(row)] = row


class Window(draw.Window):
    def __init__(self, client):
        super().__init__(client)
        self.name, self.way = sys.argv[1:3]
        self.format, self.sample = FORMATS[self.name]
        if "SIZE" in os.environ:
            self.size = tuple(int(n) for n in os.environ["SIZE"].split("x"))

    def shared_memory(self, width, height):
        """What the compositors expect: the second plane right behind the first, its rows as far apart."""
        stride = 2 * -(-width // 2) * self.sample
        pool = Pool(self.client, self.shm, stride * height + stride * -(-height // 2))
        return self.client.create(pool.id, "create_buffer", 0, width, height, stride, self.format), [
            Place(pool, 0, stride), Place(pool, stride * height, stride)]

    def dmabuf(self, width, height):
        row = 2 * -(-width // 2) * self.sample
        lines = -(-height // 2)
        if self.way == "one":       # of a device's memory, the colours' rows further apart, and a gap between
            stride, wide = row + 64, row + 192
            gap = 4096 * 3 + 256
            memory = Dumb("vgem", -(-(stride * height + gap + wide * lines) // 4 // 64), 64)
            places = [Place(memory, 0, stride), Place(memory, stride * height + gap, wide)]
        else:                       # the GPU's own and plain pages
            luma = Dumb("virtio_gpu", -(-row // 4) + 8, height)
            colours = Udmabuf(-(-row // 4), lines) if self.sample == 1 else Heap(-(-row // 4), lines)
            places = [Place(m, m.offset, m.stride) for m in (luma, colours)]
        if not hasattr(self, "linux_dmabuf"):
            self.linux_dmabuf = self.client.bind("zwp_linux_dmabuf_v1", 3)
            if "AT_ONCE" not in os.environ:
                self.client.roundtrip()
        params = self.client.create(self.linux_dmabuf, "create_params")
        for i, place in enumerate(places):
            self.client.send(params, "add", place.memory.fd, i, place.offset, place.stride, 0, 0)
        buffer = self.client.create(params, "create_immed", width, height, self.format, 0)
        self.client.roundtrip()
        if any(m.object == params and m.name == "failed" for m in self.client.events):
            print("failed", flush=True)
        self.client.send(params, "destroy")
        return buffer, places

    def draw(self, generation):
        width, height = self.size
        buffer, places = (self.shared_memory if self.way == "shm" else self.dmabuf)(width, height)
        # Twice the same buffer: the first time with another picture.
        for number in (generation + 100, generation):
            for place, rows in zip(places, content(self.name, width, height, number)):
                place.put(rows)
            self.client.send(self.surface, "attach", buffer, 0, 0)
            self.client.send(self.surface, "damage", 0, 0, width, height)
            self.client.send(self.surface, "commit")
            self.client.roundtrip()
        print(f"drawn {generation} {width}x{height}", flush=True)


if __name__ == "__main__":
    draw.main(Window, sys.argv[3:])
