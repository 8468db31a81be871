# SPDX-License-Identifier: MIT
"""A guest kernel behind wayvsock-vsock whose program does what a test asks for (vsock_peer.py), and the host's ports."""

import json
import os
import socket
import threading

import vsock_peer as peer
from vm import BOOT, HERE

KERNEL = ["-k", os.environ["WAYVSOCK_QEMU_GUEST"]] if os.environ.get("WAYVSOCK_QEMU_GUEST") else []


class Guest:
    """A guest kernel with a program that does what it is told."""

    def __init__(self, t, name="vm", options="", more=(), limit=300):
        """options: of the device; more: of scripts/guest; limit: seconds."""
        self.t = t
        self.dir = t.mkdir(name, 0o755)
        self.process = t.spawn([BOOT, *KERNEL, "-d", self.dir, "-t", str(limit), "-o", options, *more, "--",
                                "python3", f"{HERE}/vsock_peer.py", str(limit - 20)], dict(os.environ), name="guest")
        t.wait(lambda: self.answers() or not self.process.alive, "the guest listens", 120)
        self.dial_control()

    def dial_control(self):
        """Also when the connection before was lost."""
        def dialled():
            try:
                self.control = self.connect(peer.CONTROL)
                return True
            except OSError:
                return False
        self.t.wait(dialled, "the guest's program answers", 60)
        self.lines = self.control.makefile()

    def linux(self):
        """The version of its kernel, as (6, 12)."""
        return tuple(map(int, self.ask("can", "/proc/sys/kernel/osrelease").split(".")[:2]))

    def answers(self):
        try:
            self.connect(peer.CONTROL).close()
            return True
        except OSError:
            return False

    def dial(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(f"{self.dir}/vsock")
        return s

    def connect(self, port):
        s = self.dial()
        s.sendall(b"CONNECT %d\n" % port)
        self.expect_ok(s)
        return s

    def expect_ok(self, s):
        line = b""
        while not line.endswith(b"\n"):
            byte = s.recv(1)
            if not byte:
                raise ConnectionRefusedError("the guest refuses")
            line += byte
        word, port = line.split()
        if word != b"OK" or int(port) < 1:
            raise AssertionError(f"an answer: {line!r}")

    def listen(self, port, serve, kind=socket.SOCK_STREAM, backlog=300):
        """A service of the host; serve(socket) runs in a thread for each connection. None: nobody accepts."""
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(f"{self.dir}/vsock_{port}")
        listener.listen(backlog)

        def run():
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        if serve:
            threading.Thread(target=run, daemon=True).start()
        return listener

    def start(self, what, *args):
        self.control.sendall((json.dumps([what, args]) + "\n").encode())

    def answer(self):
        return json.loads(self.lines.readline())

    def ask(self, what, *args):
        self.start(what, *args)
        return self.answer()
