#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the host draws for a guest, on a compositor that takes dmabufs: no pixel is read back.

Runs in a guest kernel, which here is the host's: with its udmabuf, a newer Mesa has dmabufs where it draws in software. Both
daemons, a device with GL and a compositor with GL are in there, and the "VM" is a test program."""

import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import link, main, test, vgpu  # noqa: E402
from harness.client import ARGB8888, Window, XRGB8888  # noqa: E402
from harness.insider import copy_frame  # noqa: E402
from harness.surface import noise  # noqa: E402
from harness.tap import descendants  # noqa: E402
from harness.two_vms import GPU, HEIGHT, WIDTH, Vms, ppm  # noqa: E402

from vm import BACKGROUND, newer_gl, newer_weston  # noqa: E402

NOTHING = BACKGROUND * (WIDTH * HEIGHT)
ABGR8888, RG16 = 0x34324241, 0x36314752
# virgl's commands and objects.
CREATE_OBJECT, SET_FRAMEBUFFER, CLEAR, COPY_REGION, SURFACE = 1, 5, 7, 17, 8


def dmabufs(*pids):
    """The numbers of those that these processes hold."""
    found = set()
    for base in (f"/proc/{pid}" for pid in pids):
        for fd in os.listdir(f"{base}/fd"):
            try:
                if os.readlink(f"{base}/fd/{fd}").startswith("/dmabuf"):
                    with open(f"{base}/fdinfo/{fd}") as info:
                        found.add(re.search(r"^ino:\s*(\d+)", info.read(), re.M)[1])
            except FileNotFoundError:
                pass
    return found


class Rig:
    """A VM on a weston, with one window as large as the screen, which is a picture of the VM's GPU."""

    def __init__(self, t, weston=None, name="vm", kind=vgpu.B8G8R8X8, flags=0, form=XRGB8888, pixel=4, settings=""):
        self.t = t
        self.name = name
        self.pixel = pixel
        self.weston = weston or newer_weston(t, WIDTH, HEIGHT)
        self.vms = Vms(t, self.weston, names=(name,), mebibytes=32, gpu=(newer_gl(), GPU), draws=True, settings=settings)
        self.vgpu, self.gpu, self.host = self.vms.vgpus[name], self.vms.gpus[name], self.vms.host
        self.vgpu.create_picture(1, WIDTH, HEIGHT, kind, flags)
        self.client = self.vms.session(name).client(label=name.encode())
        self.window = Window(self.client)
        self.buffer, self.memory, self.number = self.client.buffer_of(self.window.shm, 1, WIDTH, HEIGHT, form, pixel)

    def show(self):
        """Says that there is another picture."""
        row = WIDTH * self.pixel
        self.client.say(copy_frame(self.memory, row, HEIGHT, row, 0, self.number, row, 0))
        self.window.show(self.buffer)
        self.client.roundtrip()

    def shows(self, pixels, what):
        expected = ppm(pixels)
        self.t.wait(lambda: self.weston.grab() == expected, what, 60)

    def picture(self, seed):
        """Has the GPU take pixels, and shows them."""
        pixels = noise(WIDTH * HEIGHT * 4, seed)
        self.vgpu.draw(1, WIDTH, HEIGHT, pixels)
        self.show()
        self.shows(pixels, f"picture {seed} is on the screen")
        return pixels

    def handed(self):
        """Whether the compositor has memory of the GPU, which its renderer has."""
        return bool(dmabufs(*self.weston.proc.pids) & dmabufs(self.gpu.pid, *descendants(self.gpu.pid)))

    def counted(self):
        """What the host counted for the client, which ends."""
        self.client.close()
        end = f'"{self.name}": ended: sent'
        self.t.wait(lambda: end in self.host.log(), "the host counts")
        line = next(line for line in self.host.log().splitlines() if end in line)
        counts = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}
        counts["received"] = int(re.search(r"received (\d+) bytes", line)[1])
        return counts

    def handed_over(self):
        """The compositor has the GPU's own memory, and nothing was copied."""
        self.t.ok(self.handed(), "the compositor has a dmabuf of the GPU's")
        counts = self.counted()
        self.t.eq(counts["copied"], 0, f"bytes read back, of {counts}")
        self.t.ok(counts["received"] < 16384, f"no pixels among the bytes received: {counts}")

    def read_back(self, pictures):
        """The compositor has shared memory, which the device filled."""
        self.t.ok(not self.handed(), "the compositor has no dmabuf of the GPU's")
        counts = self.counted()
        self.t.ok(counts["copied"] >= pictures * WIDTH * HEIGHT * self.pixel, f"bytes read back: {counts}")


@test(timeout=120)
def pixels_without_a_copy(t):
    """The picture is right to the pixel, whatever is where it has no alpha, and so is what is drawn on it afterwards."""
    rig = Rig(t)
    rig.picture(1)
    rig.picture(2)
    t.has("resource 1: exported as a dmabuf", rig.gpu.log(), "the device's log")
    rig.handed_over()


@test(timeout=120)
def drawing(t):
    """What commands draw on a picture that the compositor has is seen there."""
    rig = Rig(t)
    pixels = bytearray(rig.picture(1))
    rig.vgpu.create_picture(2, WIDTH, HEIGHT)
    patch = noise(len(pixels), 2)
    rig.vgpu.draw(2, WIDTH, HEIGHT, patch)
    rig.vgpu.create_context(1, (1, 2))
    x, y, width, height = 100, 50, 300, 200
    rig.vgpu.draw_commands(1, (COPY_REGION, 0, struct.pack("<13I", 1, 0, x, y, 0, 2, 0, 7, 9, 0, width, height, 1)))
    for row in range(height):
        to, source = ((y + row) * WIDTH + x) * 4, ((9 + row) * WIDTH + 7) * 4
        pixels[to:to + width * 4] = patch[source:source + width * 4]
    rig.show()
    rig.shows(pixels, "a part of another picture")
    rig.vgpu.draw_commands(1, (CREATE_OBJECT, SURFACE, struct.pack("<5I", 1, 1, vgpu.B8G8R8X8, 0, 0)),
                           (SET_FRAMEBUFFER, 0, struct.pack("<3I", 1, 0, 1)),
                           (CLEAR, 0, struct.pack("<I4fdI", 4, 1, 0.2, 0.4, 0, 0, 0)))
    rig.show()
    rig.shows(bytes((102, 51, 255, 0)) * (WIDTH * HEIGHT), "one colour")
    rig.handed_over()


@test(timeout=200)
def formats(t):
    """Whatever order of colours the driver has, the screen is as when the pixels are read back; alpha counts where the
    application says so."""
    def shown(weston, name, kind, form, pixel, settings=""):
        rig = Rig(t, weston, name, kind, form=form, pixel=pixel, settings=settings)
        rig.vgpu.draw(1, WIDTH, HEIGHT, noise(WIDTH * HEIGHT * pixel, 5))
        rig.show()
        return rig

    kinds = ((vgpu.B8G8R8X8, XRGB8888, 4), (vgpu.B8G8R8A8, XRGB8888, 4), (vgpu.B8G8R8A8, ARGB8888, 4),
             (vgpu.R8G8B8A8, ABGR8888, 4), (vgpu.RGB565, RG16, 2))
    weston, pictures = newer_weston(t, WIDTH, HEIGHT), []
    for number, kind in enumerate(kinds):
        rig = shown(weston, f"copied{number}", *kind, settings="dmabuf = no")
        # What is there for a moment before it is of one colour.
        copied = t.wait(lambda: len(set((screen := weston.grab())[-4096:])) > 16 and screen, "a picture is on the screen", 60)
        rig.read_back(1)
        rig.shows(NOTHING, "the window is gone")
        rig = shown(weston, f"handed{number}", *kind)
        t.wait(lambda: weston.grab() == copied, f"the screen with a picture of format {kind[0]}, shown as {kind[1]:#x}", 60)
        rig.handed_over()
        rig.shows(NOTHING, "the window is gone")
        pictures.append(copied)
    t.eq(len(set(pictures)), len(kinds) - 1, "different pictures: the first two are the same")


def buffer_of_pages(client, shm, resource):
    """As buffer_of(), but as the guest's daemon does it for an application: that has a pool already, which is exchanged."""
    size = WIDTH * HEIGHT * 4
    pool, _ = client.new_pool(shm, vgpu.PAGE)
    number = client.import_(resource, size)
    memory = client.memory_of(number, size)
    client.send(pool, "destroy")
    client.say(link.vfd(memory, link.MEMORY, 0, size))
    client.send(shm, "create_pool", pool, 0, size)
    buffer = client.create(pool, "create_buffer", 0, WIDTH, HEIGHT, WIDTH * 4, XRGB8888)
    client.roundtrip()
    return buffer, memory, number


@test(timeout=120)
def memory_of_the_guest(t):
    """Where the host is told to, the guest's own pages are shown as dmabufs, too, once the compositor has taken one alike."""
    rig = Rig(t, settings="dmabuf = linear")
    rig.picture(1)
    for number, is_dmabuf in ((2, False), (3, True)):
        before = dmabufs(*rig.weston.proc.pids)
        rig.vgpu.create(number, WIDTH * HEIGHT * 4)
        rig.buffer, rig.memory, rig.number = buffer_of_pages(rig.client, rig.window.shm, number)
        for seed in (number, 10 + number):
            pixels = noise(WIDTH * HEIGHT * 4, seed)
            rig.vgpu.write(number, pixels)
            rig.show()
            rig.shows(pixels, f"picture {seed} is on the screen")
        new = dmabufs(*rig.weston.proc.pids) - before
        t.eq(bool(new & dmabufs(*rig.host.pids)), is_dmabuf, "the compositor holds the host's dmabuf")
    t.eq(rig.counted()["copied"], 0, "bytes copied on the host")


@test(timeout=120)
def a_compositor_without_dmabufs(t):
    rig = Rig(t, newer_weston(t, WIDTH, HEIGHT, "pixman"))
    rig.picture(1)
    rig.picture(2)
    rig.read_back(2)


@test(timeout=120)
def upside_down(t):
    """The driver's first row is the guest's last: nobody can be told that."""
    rig = Rig(t, flags=vgpu.UPSIDE_DOWN)
    rig.picture(1)
    rig.read_back(1)


@test(timeout=120)
def the_resource_is_destroyed(t):
    """Its window goes, as the compositor would show what is not the guest's any more."""
    rig = Rig(t)
    rig.picture(1)
    t.ok(rig.handed(), "the compositor has a dmabuf of the GPU's")
    rig.vgpu.unref(1)
    t.has("(GPU rule: generation)", rig.client.ended(), "the client's error")
    rig.shows(NOTHING, "the window is gone")


@test(timeout=120)
def the_device_dies(t):
    rig = Rig(t)
    rig.picture(1)
    rig.gpu.kill()
    t.has("(GPU rule: device)", rig.client.ended(), "the client's error")
    rig.shows(NOTHING, "the window is gone")


@test(timeout=60)
def what_is_told_of_it(t):
    """--check says beforehand whether there are dmabufs."""
    check = t.run([newer_gl(), GPU, "--check", "--virgl"])
    t.has("dmabufs of pictures (format AB24, modifier 0)", check.log(), "with udmabuf")
    # Who may look into every folder, since the checkout may be in one of root's, but not open that device.
    look = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    check = t.run(["setpriv", "--reuid=65534", "--clear-groups", *look, newer_gl(), GPU, "--check", "--virgl"])
    t.has("EGL gives no dmabufs, pictures are read back", check.log(), "of a user who may not have udmabufs")


if __name__ == "__main__":
    main()
