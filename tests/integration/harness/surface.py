# SPDX-License-Identifier: MIT
"""A raw client with a surface, and the fake compositor's view of its buffers."""

import random

from .tap import Failure


class Rig:
    """A client with a surface, and the fake compositor's view of it."""

    def __init__(self, t, stack=None, fake=None, **options):
        self.t = t
        self.fake = fake or t.fake(globals=options.pop("globals", None))
        self.attached = {}
        self.fake.on("wl_surface", "attach", self._attach)
        self.fake.on("wl_surface", "commit", self._commit)
        self.stack = stack or t.stack(self.fake, **options)
        self.client = self.stack.client()
        self.peer = self.fake.peer_of(self.client)
        self.compositor = self.client.bind("wl_compositor", 4)
        self.shm = self.client.bind("wl_shm", 1)
        self.surface = self.client.create(self.compositor, "create_surface")

    def _attach(self, peer, m):
        peer.pending = getattr(peer, "pending", {})
        peer.pending[m.object] = m.args[0]
        return False

    def _commit(self, peer, m):
        buffer = getattr(peer, "pending", {}).pop(m.object, None)
        if buffer and peer.objects.get(buffer, ("",))[0] == "wl_buffer":
            peer.send(buffer, "release")
        return False

    def new_surface(self):
        return self.client.create(self.compositor, "create_surface")

    def commit(self, buffer=None, damage=(), surface=None, surface_damage=(), sync=True):
        surface = surface or self.surface
        if buffer is not None:
            self.client.send(surface, "attach", buffer, 0, 0)
        for r in damage:
            self.client.send(surface, "damage_buffer", *r)
        for r in surface_damage:
            self.client.send(surface, "damage", *r)
        self.client.send(surface, "commit")
        if sync:
            self.client.roundtrip()

    def same(self, pool, buffer, offset, length, what):
        """The compositor's bytes are the client's."""
        seen = self.peer.content(buffer)
        expected = bytes(pool.map[offset:offset + length])
        if seen != expected:
            bad = [i for i in range(min(len(seen), len(expected))) if seen[i] != expected[i]]
            raise Failure(f"{what}: {len(bad)} of {length} bytes differ, first at {bad[:1]}, last at {bad[-1:]}")


FULL = ((0, 0, 1 << 30, 1 << 30),)


def noise(length, seed):
    return random.Random(seed).randbytes(length)


def draw(pool, offset, stride, rect, seed, cpp=4):
    """Fills a rectangle of a buffer with noise."""
    x, y, w, h = rect
    data = noise(w * h * cpp, seed)
    for row in range(h):
        at = offset + (y + row) * stride + x * cpp
        pool.map[at:at + w * cpp] = data[row * w * cpp:(row + 1) * w * cpp]
