#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""As dmabuf.py, but with `create`, whose buffers have ids of the server's; data offers, which the compositor makes, come
and go between them."""

import os

import dmabuf
import draw
from harness.tap import Failure

FIRST = 0xff000000


class Created(dmabuf.Window):
    SHARED_MEMORY = 5       # this generation is shown by wl_shm
    FLOOD = 3               # before this one is shown

    def __init__(self, client):
        self.made, self.alive, self.offers = 0, set(), []
        client.listeners["zwlr_data_control_device_v1", "data_offer"] = lambda m: self.offers.append(self.new(m.args[0]))
        client.listeners["zwlr_data_control_source_v1", "send"] = self.send
        self.manager = client.bind("zwlr_data_control_manager_v1", 1)
        self.device = client.create(self.manager, "get_data_device", client.bind("wl_seat", 1))
        super().__init__(client)

    def new(self, server_id):
        """What libwayland wants of a server's new id."""
        if server_id in self.alive or not FIRST <= server_id <= FIRST + self.made:
            raise Failure(f"new id {server_id:#x}; {self.made} were made, in use: {sorted(map(hex, self.alive))}")
        self.made = max(self.made, server_id - FIRST + 1)
        self.alive.add(server_id)
        self.client.dead.discard(server_id)
        return server_id

    def drop(self, server_id):
        self.client.send(server_id, "destroy")
        self.alive.discard(server_id)

    def send(self, m):
        os.write(m.args[1], self.text)
        os.close(m.args[1])

    def offer(self, text):
        """Offers that text, takes the compositor's offer of it, and reads it."""
        source = self.client.create(self.manager, "create_data_source")
        self.client.send(source, "offer", "text/plain")
        self.client.send(self.device, "set_selection", source)
        self.client.roundtrip()
        offer, self.text = self.offers[-1], text.encode()
        r, w = os.pipe()
        self.client.send(offer, "receive", "text/plain", w)
        os.close(w)
        self.client.wait_event("zwlr_data_control_source_v1", "send", start=len(self.client.events))
        self.client.roundtrip()
        got = os.read(r, 100)
        os.close(r)
        if got != self.text:
            raise Failure(f"offered {self.text}, got {got}")
        for old in self.offers[:-1]:
            self.drop(old)
        del self.offers[:-1]

    def try_buffer(self, memory, width, height, modifier=dmabuf.LINEAR):
        """The buffer, or None if it failed."""
        params = self.client.create(self.dmabuf, "create_params")
        self.client.send(params, "add", memory.fd, 0, memory.offset, memory.stride, modifier >> 32, modifier & 0xffffffff)
        start = len(self.client.events)
        self.client.send(params, "create", width, height, dmabuf.XR24, 0)
        m = self.client.wait_for(lambda: next((m for m in self.client.events[start:] if m.object == params), None), "an answer")
        self.client.send(params, "destroy")
        return self.new(m.args[0]) if m.name == "created" else None

    def buffer(self, memory, width, height):
        return self.try_buffer(memory, width, height)

    def flood(self, memory):
        """As many as there can be; the next one fails, and nothing else does."""
        buffers = []
        while buffer := self.try_buffer(memory, 64, 64):
            buffers.append(buffer)
        for buffer in buffers:
            self.drop(buffer)
        self.client.roundtrip()
        print(f"at once {len(buffers)}", flush=True)

    def draw(self, generation):
        self.offer(f"before {generation}")
        small = dmabuf.Udmabuf(64, 64)
        for i in range(100):  # one or two at a time, with new objects of all who make some
            first = self.try_buffer(small, 64, 64)
            second = self.try_buffer(small, 64, 64) if i % 7 == 0 else None
            surface = self.client.create(self.client.bind("wl_compositor", 4), "create_surface")
            self.client.send(surface, "attach", first, 0, 0)
            if i % 10 == 0:
                self.offer(f"among {generation} {i}")
            if self.try_buffer(small, 64, 64, modifier=dmabuf.TILED):
                raise Failure("a tiled buffer was made")
            self.client.send(surface, "destroy")
            for buffer in filter(None, (first, second)):
                self.drop(buffer)
        if generation == self.FLOOD:
            self.flood(small)
        start = len(self.client.events)  # what the guest's daemon has stand-ins for at the host
        self.client.send(self.client.create(self.client.bind("zwp_linux_dmabuf_v1", 4), "get_default_feedback"), "destroy")
        feedback = self.client.create(self.dmabuf, "get_default_feedback")
        self.client.wait_event("zwp_linux_dmabuf_feedback_v1", "done", start=start)
        self.client.send(feedback, "destroy")
        if generation == self.SHARED_MEMORY:
            draw.Window.draw(self, generation)
        else:
            super().draw(generation)
        self.offer(f"after {generation}")
        print(f"server ids {self.made}", flush=True)


if __name__ == "__main__":
    draw.main(Created)
