# SPDX-License-Identifier: MIT
"""Programs beside the daemons: wl-clipboard's tools, with what they need of a compositor, and a service manager."""

from .client import Client

# What systemd does for a unit that has a socket.
ACTIVATE = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


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
