#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client that commits frames as fast as it can and ends among them: leave.py killed|wrong.  The one ends as by SIGKILL,
the other makes a mistake that its daemon notices."""

import os
import signal
import sys

import draw
from harness.client import Client, Pool, ProtocolError

FRAMES = 30


class Window(draw.Window):
    def commit(self, pool, offset):
        width, height = self.size
        self.client.send(self.surface, "attach", pool.buffer(offset, width, height, width * 4), 0, 0)
        self.client.send(self.surface, "damage", 0, 0, width, height)
        self.client.send(self.surface, "commit")

    def leave(self, how):
        size = self.size[0] * self.size[1] * 4
        pool = Pool(self.client, self.shm, FRAMES * size)
        lost = Pool(self.client, self.shm, size)
        self.client.roundtrip()
        os.ftruncate(lost.fd, 0)
        for i in range(FRAMES):
            self.commit(pool, i * size)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self.commit(lost, 0)
        self.client.roundtrip()


if __name__ == "__main__":
    window = Window(Client(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"])))
    try:
        window.leave(sys.argv[1])
    except ProtocolError as error:
        print(error, flush=True)
