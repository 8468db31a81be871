#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest whose applications draw with the host's GL: their pictures come from the host's memory."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402

from vm import GPU, HERE, Vm, counters, need_gpu, no_drawing  # noqa: E402

VIRGL = f"{GPU} --virgl --log-level debug"


@test(timeout=200)
def what_the_gpu_draws(t):
    """Pictures that a shader draws arrive pixel by pixel, read back from the host's GL; none cross the link."""
    vm = Vm(t, gpu=VIRGL)
    counts = counters(vm.show((1, 2, 3), program="gl.py"))
    t.has(b"renderer virgl", vm.read("drawn"), "the guest's GL")
    t.ok(counts["copied"] >= 3 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def an_application_with_egl(t):
    """weston-simple-egl, with Mesa's Wayland platform, frame after frame."""
    t.need("weston-simple-egl")
    vm = Vm(t, gpu=VIRGL)
    still = vm.compositor.grab()
    guest = vm.boot("weston-simple-egl >said 2>&1 & until [ -e enough ]; do sleep 0.1; done; kill -INT $!; wait $!; exit 3")
    pictures = set()
    t.wait(lambda: pictures.add(vm.compositor.grab()) or len(pictures - {still}) > 8 or not guest.alive, "the picture moves", 90)
    vm.touch("enough")
    t.eq(guest.wait(60), 3, f"the guest's status; {vm.read('said')}")
    counts = counters(vm.host.log())
    t.ok(counts["copied"] >= 8 * 250 * 250 * 4, f"the device copied the pixels: {counts}")
    t.ok(counts["received"] < counts["copied"] // 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def what_is_told_of_formats(t):
    """Linear ones, and those without a modifier, as Mesa's driver makes them."""
    vm = Vm(t, gpu=VIRGL)
    t.eq(vm.run(f"exec python3 {HERE}/dmabuf.py describe >told 2>&1"), 0, f"status; {vm.read('told')}")
    told = vm.read("told").decode()
    for modifier in ("0 0", "16777215 4294967295"):
        t.has(f"v3 modifier 875713112 {modifier}\n", told, "v3's modifiers")
    t.has("34325258:0 ", told, "v4's table")
    t.has("34325258:ffffffffffffff", told, "v4's table")


@test(timeout=200)
def memory_of_the_guest(t):
    """With 3D, too, wl_shm and dmabufs that no GPU draws on come from the guest's pages."""
    for program in ("draw.py", "dmabuf.py"):
        vm = Vm(t, gpu=VIRGL, name=program)
        counts = counters(vm.show((1, 2, 3, 4), program=program))
        t.ok(counts["copied"] >= 4 * 1280 * 720 * 4, f"the device copied the pixels: {counts}")
        t.ok(counts["received"] < 64 << 10, f"no pixels among the bytes received: {counts}")


@test(timeout=200)
def applications_that_are_killed(t):
    """What they had on the host is gone with them, and the next one draws."""
    vm = Vm(t, gpu=VIRGL)
    guest = vm.boot("for i in 1 2 3 4 5 6 7 8; do timeout -s KILL 1 weston-simple-egl >said 2>&1; done; "
                    f"exec python3 {HERE}/gl.py 3 >drawn")
    vm.touch("3")
    vm.picture(3, guest=guest)
    t.ok(vm.host.alive, "the host lives")


if __name__ == "__main__":
    if need_gpu():
        if no_drawing():
            print(f"1..0 # SKIP {no_drawing()}")
        else:
            main()
