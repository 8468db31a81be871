#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest with a virtio-gpu of ours: its pixels reach the screen without crossing the link."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

import draw  # noqa: E402
from vm import HERE, Vm  # noqa: E402

GPU = os.environ.get("WAYVSOCK_GPU", "")


def counters(log):
    """What the daemon's last client sent, in bytes: {"wayland": …, "mem": …, "copied": …, "received": …}."""
    ended = [line for line in log.splitlines() if " ended: sent " in line]
    if not ended:
        return {}
    counts = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", ended[-1])}
    counts["received"] = int(re.search(r"received (\d+) bytes", ended[-1])[1])
    return counts


def show(t, vm, generations, guest_args=()):
    """Draws each generation in the guest and waits for it on the host's screen; then the VM is killed.
    Returns the logs of guest and host."""
    guest = vm.boot(f"exec python3 {HERE}/draw.py {' '.join(map(str, generations))} >drawn", guest_args=guest_args)
    for generation in generations:
        vm.touch(str(generation))
        t.wait(lambda: f"drawn {generation} 1280x720".encode() in vm.read("drawn") or not guest.alive,
               "the guest draws", 60)
        expected = draw.ppm_pixels(1280, 720, generation)
        t.wait(lambda: vm.compositor.grab().endswith(expected), f"picture {generation} is on the screen")
    guest.kill()
    t.wait(lambda: " ended: sent " in vm.host.log(), "the host counts what it received")
    return vm.host.log()


@test(timeout=200)
def no_pixel_crosses_the_link(t):
    """Two full screens arrive pixel by pixel; the link carried messages only."""
    vm = Vm(t, gpu=f"{GPU} --log-level debug")
    log = show(t, vm, (1, 2))
    t.has("bound: the guest daemon holds this VM's device", log, "the host's log")
    counts = counters(log)
    t.ok(counts["copied"] >= 2 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def without_the_device_as_bytes(t):
    """--gpu off: the same picture, by the link; the host says why."""
    vm = Vm(t, gpu=GPU)
    log = show(t, vm, (3,), guest_args=["--gpu", "off"])
    t.has("pixels go over the link", log, "the host's log")
    counts = counters(log)
    t.eq(counts["copied"], 0, "copied bytes")
    t.ok(counts["received"] > 1280 * 720 * 4, f"the pixels are among the bytes received: {counts}")


if __name__ == "__main__":
    if not os.environ.get("WAYVSOCK_GUEST_TESTS"):
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
    elif not os.environ.get("WAYVSOCK_RIG"):
        print("1..0 # SKIP Debian's guest kernel has no virtio-gpu; WAYVSOCK_RIG may name a folder with one that has")
    else:
        main()
