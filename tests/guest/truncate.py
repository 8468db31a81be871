#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client whose file becomes shorter than the buffer that it shows; prints what it is told.  truncate.py dmabuf: the file
was given for a dmabuf."""

import os
import sys

import draw
from harness.client import XRGB8888, Client, Pool, ProtocolError

WIDTH, HEIGHT = 200, 100
STRIDE = 4 * WIDTH


def shared_memory(client, file, shm):
    pool = Pool(client, shm, STRIDE * HEIGHT, file)
    return client.create(pool.id, "create_buffer", 0, WIDTH, HEIGHT, STRIDE, XRGB8888)


def dmabuf(client, file, _shm):
    params = client.create(client.bind("zwp_linux_dmabuf_v1", 3), "create_params")
    client.send(params, "add", file, 0, 0, STRIDE, 0, 0)
    return client.create(params, "create_immed", WIDTH, HEIGHT, 0x34325258, 0)


def main():
    client = Client(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"]))
    window = draw.Window(client)
    file = os.memfd_create("shrinks")
    os.ftruncate(file, STRIDE * HEIGHT)
    buffer = (dmabuf if "dmabuf" in sys.argv else shared_memory)(client, file, window.shm)
    client.roundtrip()
    os.ftruncate(file, 4096)
    try:
        client.send(window.surface, "attach", buffer, 0, 0)
        client.send(window.surface, "damage", 0, 0, WIDTH, HEIGHT)
        client.send(window.surface, "commit")
        client.roundtrip()
        print("failed" if client.count("zwp_linux_buffer_params_v1", "failed") else "no error")
    except ProtocolError as error:
        print(error)


if __name__ == "__main__":
    main()
