# SPDX-License-Identifier: MIT
"""Both ends of the pipes beneath the clipboard: a raw client in the guest, and a fake compositor."""

import os
import select
import threading
import time

from .tap import Failure

MIB = 1 << 20


class Rig:
    """A client in the guest with a data device and an offer of the fake compositor's."""

    def __init__(self, t, **options):
        self.t = t
        self.fake = t.fake()
        self.stack = t.stack(self.fake, **options)
        self.connect()

    def connect(self):
        self.client = self.stack.client()
        self.peer = self.fake.peer_of(self.client)
        seat = self.client.bind("wl_seat", 5)
        self.manager = self.client.bind("wl_data_device_manager", 3)
        self.device = self.client.create(self.manager, "get_data_device", seat)
        self.client.roundtrip()
        self.offer = self.peer.new_server_id("wl_data_offer", 3)
        self.peer.event(self.device, "data_offer", self.offer)
        self.peer.event(self.offer, "offer", "text/plain")
        self.peer.event(self.device, "selection", self.offer)
        self.client.wait_event("wl_data_device", "selection")
        self.source = self.client.create(self.manager, "create_data_source")
        self.client.send(self.source, "offer", "text/plain")
        self.client.send(self.device, "set_selection", self.source, 1)
        self.client.roundtrip()
        self.received = 0

    def receive_into(self, sink):
        """The client asks for the offer's data into a descriptor, which it gives away; returns the compositor's end."""
        self.client.send(self.offer, "receive", "text/plain", sink)
        os.close(sink)
        self.received += 1
        m = self.peer.wait("wl_data_offer", "receive", self.received)
        return os.dup(m.fds[0]), m

    def to_guest(self):
        """A pipe from the compositor to the client: (write end there, read end here)."""
        r, w = os.pipe()
        there, m = self.receive_into(w)
        self.close_logged(m)
        return there, r

    def to_host(self):
        """A pipe from the client to the compositor: (write end here, read end there)."""
        r, w = os.pipe()
        start = len(self.client.events)
        self.peer.event(self.source, "send", "text/plain", w)
        os.close(w)
        m = self.client.wait_event("wl_data_source", "send", start=start)
        return m.args[1], r

    def close_logged(self, m):
        with self.fake.lock:
            for fd in m.fds:
                os.close(fd)
            m.fds.clear()

    def pair(self, direction):
        return self.to_guest() if direction == "to guest" else self.to_host()


DIRECTIONS = ("to guest", "to host")


def read_all(fd, timeout=60):
    data = bytearray()
    deadline = time.monotonic() + timeout
    while True:
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise Failure(f"no end of file after {len(data)} bytes")
        chunk = os.read(fd, MIB)
        if not chunk:
            os.close(fd)
            return bytes(data)
        data += chunk


def feed(fd, data):
    """Writes in the background and closes; returns the thread."""
    def run():
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view[:MIB]):]
        except OSError:
            pass
        os.close(fd)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
