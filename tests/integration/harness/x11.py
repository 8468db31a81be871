# SPDX-License-Identifier: MIT
"""X11 clients: a raw one, a program that does as it is told, and what both ways of copying are tried with."""

import hashlib
import os
import socket
import struct
import subprocess

from .tap import Skip
from .tools import copy, plug_keyboard

# A Tk program that does as it is told, and says what happens to it.
TK = """
package require Tk
proc say {text} { puts $text; flush stdout }
fileevent stdin readable {if {[gets stdin line] < 0} exit; if {[catch $line why]} {say "error: $why"}}
wm title . first
wm geometry . 300x200
entry .e -textvariable typed
pack .e -fill x
menu .m -tearoff 0 -background #ff0000 -activebackground #ff0000
.m add command -label one -command {say chosen}
wm protocol . WM_DELETE_WINDOW {say asked; exit}
bind . <Configure> {if {"%W" eq "."} {say "size %wx%h"}}
bind . <FocusIn> {if {"%W" eq "."} {say "focus"}}
focus .e
say ready
"""


class X:
    """As much of an X11 client as it takes to fill a rectangle of the root window."""

    def __init__(self, number):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(f"/tmp/.X11-unix/X{number}")
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        success, size = struct.unpack("<B5xH", self._read(8))
        assert success == 1, "X11 setup"
        reply = self._read(size * 4)
        self.base, = struct.unpack_from("<I", reply, 4)
        vendor, formats = struct.unpack_from("<H", reply, 16)[0], reply[21]
        self.root, = struct.unpack_from("<I", reply, 32 + (vendor + 3 & ~3) + formats * 8)

    def _reply(self):
        """To what was asked last; events that come before it are kept."""
        while (answer := self._read(32))[0] != 1:
            assert answer[0] != 0, f"X11 error {answer[1]}"
            self.events.append(answer)
        return answer

    def sync(self):
        self.socket.sendall(struct.pack("<BxH", 43, 1))
        self._reply()

    def shaped_window(self, n, width, height, colour, rectangles):
        """Its number; it has buttons' events, and of its area these rectangles (x, y, width, height) alone."""
        window, name = self.base + n, b"SHAPE"
        self.socket.sendall(struct.pack("<BxHHxx8s", 98, 4, len(name), name))
        present, major = struct.unpack_from("<BB", self._reply(), 8)
        assert present, "the SHAPE extension"
        self.socket.sendall(
            struct.pack("<BBHIIhhHHHHIIII", 1, 0, 10, window, self.root, 0, 0, width, height, 0, 1, 0, 2 | 1 << 11, colour, 4) +
            struct.pack("<BBHBBBxIhh", major, 1, 4 + 2 * len(rectangles), 0, 0, 0, window, 0, 0) +
            b"".join(struct.pack("<hhHH", *r) for r in rectangles) +
            struct.pack("<BBHIIIBxxxI8s", 18, 0, 8, window, 39, 31, 8, 6, b"shaped\0\0") +      # WM_NAME
            struct.pack("<BxHI", 8, 2, window))
        self.sync()
        return window

    def pressed(self):
        """The window and the place in it of each press of a button so far."""
        self.sync()
        return [struct.unpack_from("<I8xhh", event, 12) for event in self.events if event[0] & 0x7f == 4]

    def _read(self, n):
        data = b""
        while len(data) < n:
            data += self.socket.recv(n - len(data))
        return data

    def fill(self, colour, x, y, w, h):
        gc = self.base
        self.socket.sendall(
            struct.pack("<BxHIIIII", 55, 6, gc, self.root, 4 | 1 << 15, colour, 1) +     # CreateGC: foreground, IncludeInferiors
            struct.pack("<BxHIIhhHH", 70, 5, self.root, gc, x, y, w, h) +                # PolyFillRectangle
            struct.pack("<BxHI", 60, 2, gc) +                                           # FreeGC
            struct.pack("<BxH", 43, 1))                                                 # GetInputFocus: a round trip
        self._read(32)

    def pixmaps(self, n, width, height):
        """As many that the server keeps, and a round trip."""
        for i in range(n):
            self.socket.sendall(struct.pack("<BBHIIHH", 53, 24, 4, self.base + 1 + i, self.root, width, height))
        self.socket.sendall(struct.pack("<BxH", 43, 1))
        answer = self._read(32)
        assert answer[0] == 1, f"X11 error {answer[1]}"


def need(t, *programs):
    """Skips the test where X programs would not find what they need, or this build is without."""
    t.need("Xwayland", *programs)
    if not os.path.exists(os.path.join(os.path.dirname(os.environ["WAYVSOCK_GUEST"]), "wayvsock-x11")):
        raise Skip("this build has no wayvsock-x11")


def start(t, sway, **options):
    """The daemons with an X display; its number, and what X programs have for an environment."""
    need(t)
    stack = t.stack(sway, guest_args=["--x11"], settle=False, **options)
    number = stack.guest.log().split("X display :")[1].split()[0]
    return stack, number, stack.env(DISPLAY=f":{number}")


class Tk:
    def __init__(self, t, env):
        t.need("wish")
        self.t = t
        self.proc = t.spawn(["wish", t.write("program.tcl", TK)], env, stdin=subprocess.PIPE)
        self.said("ready")

    def do(self, line):
        self.proc.popen.stdin.write(line.encode() + b"\n")
        self.proc.popen.stdin.flush()

    def ask(self, expression):
        """What it answers to one question."""
        mark = len(self.proc.log())
        self.do(f"say <[{expression}]>")
        self.t.wait(lambda: ">" in self.proc.log()[mark:], f"an answer to {expression}")
        return self.proc.log()[mark:].partition("<")[2].partition(">")[0]

    def said(self, text, after=0):
        self.t.wait(lambda: text in self.proc.log()[after:], f"the program says {text!r}: {self.proc.log()[-300:]!r}")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def both_ways(t, selection, sizes, *tool_args):
    """Contents of those sizes, and a text."""
    t.need("xclip", "wl-copy", "wl-paste", "wtype")
    sway = t.sway()
    plug_keyboard(t, sway)
    _, _, env = start(t, sway)
    tk = Tk(t, env)
    sway.window(title="first")

    def press():
        """Somebody copies by a key: else what was copied elsewhere may be newer."""
        tk.do("set typed {}")
        t.run(["wtype", "c"], sway.env())
        t.wait(lambda: tk.ask("set typed") == "c", "a key")
    kind = "application/octet-stream"
    for size in sizes:
        for n, way in enumerate(("from X", "to X")):
            data = os.urandom(size)
            path = t.path(f"{size}-{n}")
            with open(path, "wb") as f:
                f.write(data)
            if way == "from X":
                press()
                t.spawn(["xclip", "-quiet", "-selection", selection, "-t", kind, path], env).expected_exit = True
                argv, where = ["wl-paste", "-n", "-t", kind, *tool_args], sway.env()
            else:
                copy(t, sway.env(), path, *tool_args).expected_exit = True
                argv, where = ["xclip", "-o", "-selection", selection, "-t", kind], env

            def arrived():
                got = subprocess.run(argv, env=where, capture_output=True, timeout=60)
                return digest(got.stdout) == digest(data)
            t.wait(arrived, f"{way}: {size} bytes", timeout=40)
    text = "äöü€"
    t.run(["sh", "-c", f"printf %s {text} | wl-copy {' '.join(tool_args)}"], sway.env())

    def pasted():
        return subprocess.run(["xclip", "-o", "-selection", selection], env=env, capture_output=True, timeout=60).stdout
    t.wait(lambda: pasted() == text.encode(), "a text to X")
    press()
    xclip = t.spawn(["xclip", "-quiet", "-selection", selection, t.write("text", text + text)], env)

    def read():
        return subprocess.run(["wl-paste", "-n", *tool_args], env=sway.env(), capture_output=True, timeout=60).stdout
    t.wait(lambda: read() == (text + text).encode(), "a text from X")
    xclip.stop()
    t.wait(lambda: not read(), "its owner is gone")
