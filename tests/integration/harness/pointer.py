# SPDX-License-Identifier: MIT
"""A pointer on the host's seat."""

from .client import Client

BTN_LEFT = 0x110


class VirtualPointer:
    """A pointer on the host, made by a raw client that is connected directly."""

    def __init__(self, t, sway):
        self.client = Client(sway.socket)
        t.closers.append(self.client.close)
        manager = self.client.bind("zwlr_virtual_pointer_manager_v1", 1)
        seat = self.client.bind("wl_seat", 1)
        self.id = self.client.create(manager, "create_virtual_pointer", seat)
        self.client.roundtrip()
        self.time = 0

    def _do(self, name, *args):
        self.time += 10
        self.client.send(self.id, name, *args)
        self.client.send(self.id, "frame")
        self.client.roundtrip()

    def to(self, x, y):
        self._do("motion_absolute", self.time, x, y, 1280, 720)

    def by(self, dx, dy):
        self._do("motion", self.time, dx, dy)

    def button(self, state):
        self._do("button", self.time, BTN_LEFT, state)

    def scroll(self, value):
        self.client.send(self.id, "axis_source", 0)
        self.client.send(self.id, "axis_discrete", self.time, 0, value * 15, value)
        self._do("axis", self.time, 0, value * 15)
