#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client whose pool's file becomes shorter than the buffer that it shows; prints what it is told."""

import os

import draw
from harness.client import XRGB8888, Client, Pool, ProtocolError

client = Client(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), os.environ["WAYLAND_DISPLAY"]))
window = draw.Window(client)
width, height = 200, 100
pool = Pool(client, window.shm, width * height * 4)
buffer = client.create(pool.id, "create_buffer", 0, width, height, width * 4, XRGB8888)
client.roundtrip()
os.ftruncate(pool.fd, 4096)
try:
    client.send(window.surface, "attach", buffer, 0, 0)
    client.send(window.surface, "damage", 0, 0, width, height)
    client.send(window.surface, "commit")
    client.roundtrip()
    print("no error")
except ProtocolError as error:
    print(error)
