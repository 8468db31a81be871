#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client whose window shows a pattern: draw.py GENERATION…, each drawn when the file of that name appears.

Writes "drawn GENERATION WIDTHxHEIGHT" once the compositor has had each.  Runs in the guest; the test on the host knows the
pattern, too."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness.client import XRGB8888, Client, Pool  # noqa: E402


def channels(width, height, generation):
    """The pattern's rows as (red, green, blue), each the bytes of a row: every pixel of a neighbourhood and of a
    generation differs."""
    red = bytes((x * 7 + generation * 31) & 255 for x in range(width))
    first = bytes((x ^ generation) & 255 for x in range(width))
    for y in range(height):
        yield red, bytes([(y * 5 + generation) & 255]) * width, first.translate(bytes(b ^ y & 255 for b in range(256)))


def ppm_pixels(width, height, generation):
    out = bytearray()
    for planes in channels(width, height, generation):
        row = bytearray(3 * width)
        row[0::3], row[1::3], row[2::3] = planes
        out += row
    return bytes(out)


def shm_pixels(width, height, generation):
    out = bytearray()
    for red, green, blue in channels(width, height, generation):
        row = bytearray(b"\xff" * (4 * width))
        row[0::4], row[1::4], row[2::4] = blue, green, red
        out += row
    return bytes(out)


class Window:
    def __init__(self, client):
        self.client = client
        self.size = (320, 200)
        self.acknowledged = 0
        self.shm = client.bind("wl_shm", 1)
        self.surface = client.create(client.bind("wl_compositor", 4), "create_surface")
        self.xdg = client.create(client.bind("xdg_wm_base", 1), "get_xdg_surface", self.surface)
        toplevel = client.create(self.xdg, "get_toplevel")
        client.send(toplevel, "set_title", "pattern")
        client.send(self.surface, "commit")
        client.listeners["xdg_toplevel", "configure"] = self._configured
        client.wait_event("xdg_surface", "configure")
        self._acknowledge()

    def _configured(self, m):
        if m.args[0] and m.args[1]:
            self.size = (m.args[0], m.args[1])

    def _acknowledge(self):
        """Takes the newest size; whether there was a new one."""
        serials = [m.args[0] for m in self.client.events if m.interface == "xdg_surface" and m.name == "configure"]
        new = len(serials) > self.acknowledged
        if new:
            self.client.send(self.xdg, "ack_configure", serials[-1])
        self.acknowledged = len(serials)
        return new

    def draw(self, generation):
        width, height = self.size
        pool = Pool(self.client, self.shm, width * height * 4)
        pool.map[:] = shm_pixels(width, height, generation)
        buffer = self.client.create(pool.id, "create_buffer", 0, width, height, width * 4, XRGB8888)
        self.client.send(self.surface, "attach", buffer, 0, 0)
        self.client.send(self.surface, "damage", 0, 0, width, height)
        self.client.send(self.surface, "commit")
        self.client.roundtrip()
        print(f"drawn {generation} {width}x{height}", flush=True)

    def go_on(self, generation, until):
        """Shows a generation at whatever size the compositor wants until the file is there."""
        while not (until and os.path.exists(until)):
            self.client.roundtrip()
            if self._acknowledge() and generation:
                self.draw(generation)
            time.sleep(0.1)


def main(kind=Window, generations=None):
    client = Client(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"]))
    window = kind(client)
    shown = None
    for generation in generations or sys.argv[1:]:
        window.go_on(shown, generation)
        shown = int(generation)
        window.draw(shown)
    window.go_on(shown, None)


if __name__ == "__main__":
    main()
