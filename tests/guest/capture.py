#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Copies the screen into buffers of several kinds, and writes each copy to a file of that kind's name (as a PPM has it).
capture.py dmabuf: into GPU buffers."""

import os
import sys

import dmabuf
import draw
from harness.client import Client, Pool
from scenes import Scenes


class Capture:
    def __init__(self, client):
        self.client = client
        self.shm = client.bind("wl_shm", 1)
        self.manager = client.bind("zwlr_screencopy_manager_v1", 1)
        self.output = client.bind("wl_output", 3)
        self.frame = None

    def next(self):
        """Asks for a copy; format, width, height, stride of the buffer that it wants."""
        start = len(self.client.events)
        self.frame = self.client.create(self.manager, "capture_output", 0, self.output)
        return self.client.wait_event("zwlr_screencopy_frame_v1", "buffer", start=start).args

    def copy(self, buffer):
        start = len(self.client.events)
        self.client.send(self.frame, "copy", buffer)
        self.client.wait_for(lambda: [m for m in self.client.events[start:] if m.name in ("ready", "failed")], "the copy")
        self.client.send(self.frame, "destroy")
        self.client.roundtrip()


def save(name, memory, offset, width, height, stride):
    """Without alpha, and in the order of a PPM."""
    with open(name + ".new", "wb") as f:
        for y in range(height):
            at = offset + y * stride
            row, out = memory[at:at + 4 * width], bytearray(3 * width)
            out[0::3], out[1::3], out[2::3] = row[2::4], row[1::4], row[0::4]
            f.write(out)
    os.rename(name + ".new", name)


def into_shared_memory(client, capture):
    """The second buffer of a pool, of both kinds of files; and the same again, which then holds the first copy."""
    for name, file in (("plain", None), ("sealed", Scenes.sealed)):
        fourcc, width, height, stride = capture.next()
        size = stride * height
        pool = Pool(client, capture.shm, 12 + 2 * size, file and file(12 + 2 * size))
        buffers = [pool.buffer(12 + i * size, width, height, stride, fourcc) for i in range(2)]
        capture.copy(buffers[1])
        save(name, pool.map, 12 + size, width, height, stride)
        save(name + "-other", pool.map, 12, width, height, stride)
        pool.map[12 + size:] = bytes(size)
        capture.next()
        capture.copy(buffers[1])
        save(name + "-again", pool.map, 12 + size, width, height, stride)
    # What was copied is shown, the lower half drawn over.
    window = draw.Window(client)
    client.send(window.surface, "attach", buffers[1], 0, 0)
    client.send(window.surface, "damage", 0, 0, width, height)
    client.send(window.surface, "commit")
    client.roundtrip()
    half = stride * height // 2
    pool.map[12 + size + half:12 + 2 * size] = draw.shm_pixels(width, height, 7)[half:]
    client.send(window.surface, "attach", buffers[1], 0, 0)
    client.send(window.surface, "damage", 0, height // 2, width, height)
    client.send(window.surface, "commit")
    client.roundtrip()


def into_gpu_buffers(client, capture):
    maker = client.bind("zwp_linux_dmabuf_v1", 3)
    for name in ("gpu", "vgem", "heap"):
        _, width, height, _ = capture.next()
        memory = dmabuf.KINDS[name](width, height)
        params = client.create(maker, "create_params")
        client.send(params, "add", memory.fd, 0, memory.offset, memory.stride, 0, 0)
        capture.copy(client.create(params, "create_immed", width, height, dmabuf.XR24, 0))
        save(name, memory.map, memory.offset, width, height, memory.stride)


def main():
    client = Client(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"]))
    (into_gpu_buffers if "dmabuf" in sys.argv else into_shared_memory)(client, Capture(client))
    print("done", flush=True)
    while True:
        client.dispatch(600)


if __name__ == "__main__":
    main()
