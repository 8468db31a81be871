#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but each generation reaches the screen in another way that applications use pools and buffers."""

import mmap
import os
import sys

import draw
from harness.client import XRGB8888, Pool


class Scenes(draw.Window):
    def draw(self, generation):
        scene = self.SCENES[(generation - 1) % len(self.SCENES)]
        width, height = self.size
        scene(self, generation, width, height, draw.shm_pixels(width, height, generation))
        self.client.roundtrip()
        print(f"drawn {generation} {width}x{height}", flush=True)

    def commit(self, buffer, *damage):
        self.client.send(self.surface, "attach", buffer, 0, 0)
        for rect in damage:
            self.client.send(self.surface, "damage", *rect)
        self.client.send(self.surface, "commit")

    @staticmethod
    def put(pool, offset, stride, width, pixels, rows):
        for y in rows:
            at = offset + y * stride
            pool.map[at:at + width * 4] = pixels[y * width * 4:(y + 1) * width * 4]

    def one_of_three(self, generation, width, height, pixels):
        """Three buffers in a pool, rows wider than the picture, an offset that is no page's."""
        stride = width * 4 + 68
        size = stride * height
        pool = Pool(self.client, self.shm, 3 * size + 12)
        buffers = [pool.buffer(12 + i * size, width, height, stride) for i in range(3)]
        for i in (0, 2, 1):
            self.put(pool, 12 + i * size, stride, width, pixels if i == 1 else bytes(len(pixels)), range(height))
            self.commit(buffers[i], (0, 0, width, height))

    def after_growing(self, generation, width, height, pixels):
        """A pool that grows while a buffer of it is shown; the new buffer lies in what was added."""
        size = width * height * 4
        pool = Pool(self.client, self.shm, size)
        self.commit(pool.buffer(0, width, height, width * 4), (0, 0, width, height))
        self.client.roundtrip()
        pool.resize(3 * size)
        pool.map[2 * size:] = pixels
        self.commit(pool.buffer(2 * size, width, height, width * 4), (0, 0, width, height))

    def piece_by_piece(self, generation, width, height, pixels):
        """Columns and rows, each with no more damage than it has."""
        pool = Pool(self.client, self.shm, width * height * 4)
        buffer = pool.buffer(0, width, height, width * 4)
        self.commit(buffer, (0, 0, width, height))
        for x in range(0, width, 97):
            end = min(x + 97, width)
            for y in range(height // 2):
                at = (y * width + x) * 4
                pool.map[at:at + (end - x) * 4] = pixels[at:at + (end - x) * 4]
            self.commit(buffer, (x, 0, end - x, height // 2))
        for y in range(height // 2, height, 31):
            self.put(pool, 0, width * 4, width, pixels, range(y, min(y + 31, height)))
            self.commit(buffer, (0, y, width, min(31, height - y)))

    def gone_at_once(self, generation, width, height, pixels):
        """Buffer and pool are destroyed as soon as they were shown."""
        pool = Pool(self.client, self.shm, len(pixels))
        pool.map[:] = pixels
        buffer = pool.buffer(0, width, height, width * 4)
        self.commit(buffer, (0, 0, width, height))
        self.client.send(pool.id, "destroy")
        self.client.roundtrip()
        self.client.send(buffer, "destroy")
        pool.close()

    def many(self, generation, width, height, pixels):
        """A new buffer for each of many frames, the old ones destroyed."""
        pool = Pool(self.client, self.shm, len(pixels))
        pool.map[:] = pixels
        for i in range(400):
            buffer = self.client.create(pool.id, "create_buffer", 0, width, height, width * 4, XRGB8888)
            self.commit(buffer, (i, i, 10, 10) if i else (0, 0, width, height))
            if i:
                self.client.send(last, "destroy")
            last = buffer
            if i % 16 == 0:
                self.client.roundtrip()

    def as_it_is_written(self, generation, width, height, pixels):
        """The client writes while the compositor shows the buffer, and into a file that has holes."""
        pool = Pool(self.client, self.shm, mmap.PAGESIZE + len(pixels))
        buffer = pool.buffer(mmap.PAGESIZE, width, height, width * 4)
        self.commit(buffer, (0, 0, width, height))
        os.pwrite(pool.fd, pixels, mmap.PAGESIZE)
        self.commit(buffer, (0, 0, width, height))

    SCENES = (one_of_three, after_growing, piece_by_piece, gone_at_once, many, as_it_is_written)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    draw.main(Scenes)
