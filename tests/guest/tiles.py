#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As draw.py, but odd generations are made of many small buffers that are all there at the same time."""

import draw
from harness.client import XRGB8888, Pool

COLUMNS, ROWS = 40, 16


class Tiles(draw.Window):
    def __init__(self, client):
        super().__init__(client)
        self.compositor = client.bind("wl_compositor", 4)
        self.subcompositor = client.bind("wl_subcompositor", 1)
        self.tiles = []

    def draw(self, generation):
        for kind in self.tiles:
            self.client.send(kind, "destroy")
        self.tiles = []
        if generation % 2 == 0 or self.size != (1280, 720):
            super().draw(generation)
            return
        super().draw(generation + 100)      # below them
        self.draw_tiles(generation)
        self.client.send(self.surface, "commit")
        self.client.roundtrip()

    def draw_tiles(self, generation):
        """Above the surface, shown with its next commit."""
        (width, height), pixels = self.size, draw.shm_pixels(*self.size, generation)
        wide, high = width // COLUMNS, height // ROWS
        pool = Pool(self.client, self.shm, width * height * 4)
        for i in range(COLUMNS * ROWS):
            x, y, at = i % COLUMNS * wide, i // COLUMNS * high, i * wide * high * 4
            for row in range(high):
                start = ((y + row) * width + x) * 4
                pool.map[at + row * wide * 4:at + (row + 1) * wide * 4] = pixels[start:start + wide * 4]
            surface = self.client.create(self.compositor, "create_surface")
            part = self.client.create(self.subcompositor, "get_subsurface", surface, self.surface)
            buffer = self.client.create(pool.id, "create_buffer", at, wide, high, wide * 4, XRGB8888)
            self.client.send(part, "set_position", x, y)
            self.client.send(surface, "attach", buffer, 0, 0)
            self.client.send(surface, "damage", 0, 0, wide, high)
            self.client.send(surface, "commit")
            self.tiles += [part, surface, buffer]
            if i % 32 == 0:
                self.client.roundtrip()


if __name__ == "__main__":
    draw.main(Tiles)
