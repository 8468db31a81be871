#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but each generation reaches the screen in another way that applications use pools and buffers."""

import fcntl
import mmap
import os
import sys

import draw
from harness.client import XRGB8888, Pool

XBGR8888 = 0x34324258


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

    def two_in_turn(self, generation, width, height, pixels):
        """Double buffering as toolkits do it: each frame repairs its buffer, and its damage is only what is new."""
        pool = Pool(self.client, self.shm, 2 * len(pixels))
        buffers = [pool.buffer(i * len(pixels), width, height, width * 4) for i in range(2)]
        bands = [range(y, min(y + 91, height)) for y in range(0, height, 91)]
        self.commit(buffers[1], (0, 0, width, height))
        for i, band in enumerate(bands):
            for rows in bands[max(0, i - 1):i + 1]:
                self.put(pool, i % 2 * len(pixels), width * 4, width, pixels, rows)
            self.commit(buffers[i % 2], *([(0, 0, width, height)] if i == 0 else [(0, band[0], width, len(band))]))
            self.client.roundtrip()

    def on_the_same_bytes(self, generation, width, height, pixels):
        """Buffers that overlap, in pools on one file: what is drawn through one is there in the other."""
        size, rows = width * height * 4, range(height)
        first = Pool(self.client, self.shm, 2 * size)
        second = Pool(self.client, self.shm, 2 * size, first.fd)
        above = first.buffer(0, width, height, width * 4)
        below = second.buffer(width * 4 * 100, width, height, width * 4)
        self.commit(above, (0, 0, width, height))
        self.put(first, width * 4 * 100, width * 4, width, pixels[::-1], rows)
        self.commit(below, (0, 0, width, height))
        self.client.roundtrip()
        self.put(first, 0, width * 4, width, pixels, rows)
        self.commit(below, (0, 0, width, height))
        self.commit(above, (0, 0, width, height))

    def on_two_surfaces(self, generation, width, height, pixels):
        """Another surface had the new content first."""
        other = self.client.create(self.client.bind("wl_compositor", 4), "create_surface")
        pool = Pool(self.client, self.shm, len(pixels))
        buffer = pool.buffer(0, width, height, width * 4)
        self.commit(buffer, (0, 0, width, height))
        for y in range(0, height, 120):
            self.put(pool, 0, width * 4, width, pixels, range(y, min(y + 120, height)))
            self.client.send(other, "attach", buffer, 0, 0)
            self.client.send(other, "damage", 0, 0, width, height)
            self.client.send(other, "commit")
            self.commit(buffer, (0, y, width, 120))
        self.client.send(other, "destroy")

    def of_a_sealed_file(self, generation, width, height, pixels):
        """A file that cannot shrink, which others may take as it is: in the middle of a page; and it grows."""
        size = 40 + len(pixels)
        pool = Pool(self.client, self.shm, size, self.sealed(size))
        buffers = [pool.buffer(40, width, height, width * 4)]
        self.put(pool, 40, width * 4, width, pixels[::-1], range(height))
        self.commit(buffers[0], (0, 0, width, height))
        self.client.roundtrip()
        pool.resize(40 + 2 * len(pixels))
        buffers.append(pool.buffer(40 + len(pixels), width, height, width * 4))
        for offset, buffer in zip((40 + len(pixels), 40), reversed(buffers)):
            self.put(pool, offset, width * 4, width, pixels, range(height))
            self.commit(buffer, (0, 0, width, height))

    def of_sealed_files(self, generation, width, height, pixels):
        """A file for each frame, gone at once, as some video players and browsers do it."""
        for i in range(12):
            pool = Pool(self.client, self.shm, len(pixels), self.sealed(len(pixels)))
            pool.map[:] = pixels if i == 11 else bytes([i]) * len(pixels)
            buffer = pool.buffer(0, width, height, width * 4)
            self.commit(buffer, (0, 0, width, height))
            self.client.send(pool.id, "destroy")
            pool.close()
            self.client.roundtrip()
            if i:
                self.client.send(last, "destroy")
            last = buffer

    def of_a_file_with_a_name(self, generation, width, height, pixels):
        """Not a memfd; and colours in another order."""
        path = f"/dev/shm/pool-{os.getpid()}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.unlink(path)
        os.ftruncate(file, len(pixels))
        pool = Pool(self.client, self.shm, len(pixels), file)
        swapped = bytearray(pixels)
        swapped[0::4], swapped[2::4] = pixels[2::4], pixels[0::4]
        pool.map[:] = swapped
        self.commit(pool.buffer(0, width, height, width * 4, XBGR8888), (0, 0, width, height))

    def where_memory_was_given_back(self, generation, width, height, pixels):
        """A sealed file with a hole where a buffer was, as terminals that scroll leave it; a new buffer is made there."""
        pool = Pool(self.client, self.shm, len(pixels), self.sealed(len(pixels)))
        pool.map[:] = pixels[::-1]
        old = pool.buffer(0, width, height, width * 4)
        self.commit(old, (0, 0, width, height))
        between = Pool(self.client, self.shm, len(pixels))
        self.commit(between.buffer(0, width, height, width * 4), (0, 0, width, height))
        self.client.send(old, "destroy")
        self.client.roundtrip()
        pool.map.madvise(mmap.MADV_REMOVE)
        pool.map[:] = pixels
        self.commit(pool.buffer(0, width, height, width * 4), (0, 0, width, height))

    @staticmethod
    def sealed(size):
        file = os.memfd_create("sealed", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(file, size)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return file

    SCENES = (one_of_three, after_growing, piece_by_piece, gone_at_once, many, as_it_is_written, two_in_turn,
              on_the_same_bytes, on_two_surfaces, of_a_sealed_file, of_sealed_files, of_a_file_with_a_name,
              where_memory_was_given_back)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    draw.main(Scenes)
