#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program whose window asks for the focus with the token that it was started with, if there is one;
then its title says so. It ends when it is closed.

activated.py APP_ID"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.client import Client, Pool, Window  # noqa: E402

SIZE = 64


def main():
    with Client(os.environ["WAYLAND_DISPLAY"]) as client:
        window = Window(client, title="activated", app_id=sys.argv[1])
        pool = Pool(client, window.shm, SIZE * SIZE * 4)
        window.show(pool.buffer(0, SIZE, SIZE, SIZE * 4))
        client.roundtrip()
        token = os.environ.get("XDG_ACTIVATION_TOKEN")
        if token:
            client.send(client.bind("xdg_activation_v1", 1), "activate", token, window.surface)
        client.send(window.toplevel, "set_title", "has asked")
        client.wait_event("xdg_toplevel", "close", timeout=1000)


main()
