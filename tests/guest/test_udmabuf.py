#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The host's side of GPU buffers where the kernel has udmabuf: a compositor shows the guest's own pages.

Runs in a guest kernel, which here is the host's: both daemons, a device and a compositor are in there, and the "VM" is a test
program with a sealed memfd for its memory, whose pages are scattered."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Skip, main, test  # noqa: E402
from harness.client import Window  # noqa: E402
from harness.insider import copy_frame  # noqa: E402
from harness.link import frame  # noqa: E402
from harness.surface import noise  # noqa: E402
from harness.two_vms import HEIGHT, WIDTH, Vms, ppm  # noqa: E402
from harness.vgpu import PAGE  # noqa: E402

SIZE = WIDTH * HEIGHT * 4


class Rig:
    """A VM on a sway, with one window as large as the screen."""

    def __init__(self, t, resource_size=SIZE):
        if not os.access("/dev/udmabuf", os.R_OK | os.W_OK):
            raise Skip("this kernel has no /dev/udmabuf")
        self.t = t
        self.sway = t.sway()
        self.empty = self.sway.still()
        self.vms = Vms(t, self.sway, names=("vm",), settings="allow = zwlr_screencopy_manager_v1")
        self.vgpu, self.gpu, self.host = self.vms.vgpus["vm"], self.vms.gpus["vm"], self.vms.host
        self.session = self.vms.session("vm")
        self.vgpu.create(1, resource_size)
        self.client = self.session.client(label=b"pages")
        self.window = Window(self.client)
        self.buffer, self.memory, self.number = self.client.buffer_of(self.window.shm, 1, WIDTH, HEIGHT)

    def show(self, rect=(0, 0, WIDTH, HEIGHT)):
        """Says that the guest has drawn there."""
        x, y, width, height = rect
        at = (y * WIDTH + x) * 4
        self.client.say(copy_frame(self.memory, width * 4, height, WIDTH * 4, at, self.number, WIDTH * 4, at))
        self.window.show(self.buffer, [rect])
        self.client.roundtrip()

    def shows(self, pixels, what):
        self.sway.shows(ppm(pixels), what)

    def picture(self, seed):
        """Draws in the guest's memory, and shows that."""
        pixels = noise(SIZE, seed)
        self.vgpu.write(1, pixels)
        self.show()
        self.shows(pixels, f"picture {seed}")
        return pixels

    def counted(self, client, what):
        """What the host counted for a client that has ended."""
        client.close()
        self.t.wait(lambda: f'"{what}": ended: sent' in self.host.log(), "the host counts")
        line = next(line for line in self.host.log().splitlines() if f'"{what}": ended: sent' in line)
        counts = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}
        counts["received"] = int(re.search(r"received (\d+) bytes", line)[1])
        return counts

    def bystander(self):
        """A window beside it whose pixels came over the link: (client, check)."""
        client = self.session.client(label=b"bystander")
        window = Window(client, app_id="bystander")
        buffer, memory = client.new_buffer(window.shm, 64, 64)
        self.sway.wait_windows(1)

        def check():
            window.show(buffer)
            client.roundtrip()
            self.sway.wait_windows(1)
            self.t.eq(self.sway.windows()[0]["app_id"], "bystander", "the window that stays")
        window.show(buffer)
        client.roundtrip()
        self.sway.wait_windows(2)
        return check


@test(timeout=120)
def pixels_without_a_copy(t):
    """The picture is right to the pixel, over pages in no order; what changes is shown; no byte was copied on the host."""
    rig = Rig(t)
    pixels = bytearray(rig.picture(1))
    for n, (x, y, width, height) in enumerate(((10, 20, 300, 200), (0, 719, 1280, 1), (1279, 0, 1, 720))):
        patch = noise(width * 4, 50 + n)
        for row in range(y, y + height):
            at = (row * WIDTH + x) * 4
            pixels[at:at + width * 4] = patch
            rig.vgpu.write(1, patch, at)
        rig.show((x, y, width, height))
        rig.shows(bytes(pixels), f"rectangle {n}")
    rig.picture(2)
    t.has("resource 1: exported as a udmabuf", rig.gpu.log(), "the device's log")
    counts = rig.counted(rig.client, "pages")
    t.eq(counts["copied"], 0, "bytes copied")
    t.ok(counts["shared"] >= 2 * SIZE, f"bytes shown without a copy: {counts}")
    t.ok(counts["received"] < 16384, f"bytes received: {counts}")


@test(timeout=120)
def too_many_pieces(t):
    """A buffer in more pieces than the kernel's limit is copied on the host, and looks the same."""
    rig = Rig(t, resource_size=1100 * PAGE)
    rig.picture(1)
    rig.picture(2)
    t.has("resource 1: exported for copies: more pieces than udmabuf's list_limit", rig.gpu.log(), "the device's log")
    counts = rig.counted(rig.client, "pages")
    t.ok(counts["copied"] >= 2 * SIZE and counts["shared"] == 0, f"bytes copied: {counts}")
    t.ok(counts["received"] < 16384, f"bytes received: {counts}")


@test(timeout=120)
def the_same_pages_many_times(t):
    """Each udmabuf costs the host's kernel memory, so that a guest has them for so many bytes only; then it is mirrors."""
    rig = Rig(t)
    rig.picture(1)
    client = rig.session.client(label=b"greedy")
    names = [client.import_(1, SIZE) for _ in range(60)]
    client.roundtrip()
    pages = [f for f in rig.host.fds() if f.startswith("/dmabuf")]
    t.ok(1 < len(pages) <= 4 * rig.vgpu.size // SIZE, f"{len(pages)} descriptors of pages")
    t.has("resource 1: exported for copies: enough is exported already", rig.gpu.log(), "the device's log")
    for name in names:
        client.release(name)
    client.wait_released(len(names))
    rig.client.close()                          # one window at a time is as large as the screen
    rig.sway.no_windows()
    window = Window(client)
    buffer, memory, number = client.buffer_of(window.shm, 1, WIDTH, HEIGHT)
    client.copy(memory, number, SIZE)
    window.show(buffer)
    client.roundtrip()
    rig.shows(noise(SIZE, 1), "the picture in another client's window")
    t.eq(rig.counted(client, "greedy")["copied"], 0, "bytes copied when there is room again")


def capture(t, resource_size):
    """The compositor writes a picture of the screen into a resource. Returns what the host counted."""
    rig = Rig(t)
    pixels = rig.picture(1)
    rig.vgpu.create(2, resource_size)
    client = rig.session.client(label=b"capture")
    manager = client.bind("zwlr_screencopy_manager_v1", 1)
    shot = client.create(manager, "capture_output", 0, client.bind("wl_output", 3))
    wanted = client.wait_event("zwlr_screencopy_frame_v1", "buffer").args
    t.eq(wanted[1:], [WIDTH, HEIGHT, WIDTH * 4], "the buffer that the compositor wants")
    buffer, _, _ = client.buffer_of(client.bind("wl_shm", 1), 2, WIDTH, HEIGHT)
    client.send(shot, "copy", buffer)
    client.wait_event("zwlr_screencopy_frame_v1", "ready")
    t.ok(ppm(rig.vgpu.read(2)[:SIZE]) == ppm(pixels), "the guest's memory has the screen's picture")
    counts = rig.counted(client, "capture")
    t.eq(counts["mem"], 0, "pixel bytes over the link")


@test(timeout=120)
def screen_copies(t):
    """A picture of the screen is in the guest's memory when its client hears of it."""
    capture(t, SIZE)


@test(timeout=120)
def screen_copies_in_many_pieces(t):
    """Also where the compositor has a mirror only."""
    capture(t, 1100 * PAGE)


def harm(t, what, rule):
    """The client whose pages the compositor holds ends, and its window goes; another client goes on."""
    rig = Rig(t)
    rig.picture(1)
    check = rig.bystander()
    what(rig)
    t.has(f"(GPU rule: {rule})", rig.client.ended(), "the client's error")
    check()


@test(timeout=120)
def the_device_dies(t):
    harm(t, lambda rig: rig.gpu.kill(), "device")


@test(timeout=120)
def the_driver_starts_anew(t):
    harm(t, lambda rig: rig.vgpu.reset(), "epoch")


@test(timeout=120)
def the_resource_is_destroyed(t):
    harm(t, lambda rig: rig.vgpu.unref(1), "generation")


@test(timeout=120)
def the_host_is_slow_to_let_go(t):
    """The guest's pages are not free before the host has let go of them, or had its time."""
    rig = Rig(t)
    rig.picture(1)
    rig.host.signal(signal.SIGSTOP)
    rig.vgpu.unref(1)
    t.has("resource 1 is still held", rig.gpu.log(), "the device's log")
    rig.host.signal(signal.SIGCONT)
    t.has("(GPU rule: generation)", rig.client.ended(), "the client's error")
    rig.sway.no_windows()


@test(timeout=120)
def a_client_is_done(t):
    """A buffer that is destroyed gives the resource back: its next owner's pixels are never shown."""
    rig = Rig(t)
    rig.picture(1)
    fds = rig.host.fds()
    pages = [f for f in fds if f.startswith("/dmabuf")]
    t.ok(pages, f"the host holds the pages: {fds}")
    rig.client.release(rig.number)
    rig.client.say(frame("VFD_CLOSE", rig.memory.to_bytes(4, "little")))
    rig.client.roundtrip()
    t.eq(rig.client.released, 0, "released while it is shown")
    rig.client.send(rig.window.surface, "attach", 0, 0, 0)
    rig.client.send(rig.window.surface, "commit")
    rig.client.send(rig.buffer, "destroy")
    rig.client.roundtrip()          # libwayland keeps delete_id for the next event
    rig.client.wait_released(1)
    rig.vgpu.unref(1)
    rig.client.roundtrip()
    t.eq(rig.host.fds(), [f for f in fds if f not in pages], "the host's descriptors")


@test(timeout=120)
def the_host_dies(t):
    """Its windows go with it, and the device lets go of the pages."""
    rig = Rig(t)
    rig.picture(1)
    rig.host.kill()
    rig.sway.no_windows()
    t.wait(lambda: "disconnected" in rig.gpu.log() or "is lost" in rig.gpu.log(), "the device sees it")
    rig.vgpu.unref(1)
    t.lacks("is still held", rig.gpu.log(), "the device's log")


@test(timeout=120)
def the_compositor_dies(t):
    rig = Rig(t)
    rig.picture(1)
    rig.sway.kill()
    rig.client.ended()
    rig.vgpu.unref(1)
    t.ok(rig.host.alive, "the host lives")


if __name__ == "__main__":
    main()
