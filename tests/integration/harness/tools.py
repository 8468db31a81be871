# SPDX-License-Identifier: MIT
"""wl-clipboard's tools, and what they need of a compositor."""

from .client import Client


def plug_keyboard(t, sway):
    """The tools get the focus only where there is a keyboard."""
    t.spawn(["wtype", "-s", "1000000", "x"], sway.env())
    with Client(sway.socket) as c:
        c.bind("wl_seat", 5)
        c.wait_for(lambda: any(m.name == "capabilities" and m.args[0] & 2 for m in c.events), "a keyboard")


def copy(t, env, path, *args):
    """wl-copy of a file's content; stays as the owner of the selection."""
    with open(path, "rb") as f:
        return t.spawn(["wl-copy", "-f", "-t", "application/octet-stream", *args], env, stdin=f)
